using System;
using System.Text;

namespace Obtrace.Zero
{
    /// <summary>A statement without its literals, its first word, and the table it is about.</summary>
    internal sealed class Sql
    {
        private readonly string sql;
        private readonly bool mysql;
        private readonly StringBuilder text;
        private int at, depth;
        private bool wanted, found;

        public string Text, Operation = "", Collection;

        /// <param name="mysql">Backslashes escape in every string, and double quotes are strings too.</param>
        public Sql(string statement, bool mysql)
        {
            sql = Attributes.Cut(statement ?? "", Attributes.LongestText).Trim();
            this.mysql = mysql;
            text = new StringBuilder(sql.Length);
            while (at < sql.Length)
            {
                Step();
            }
            Text = text.ToString();
        }

        private char Next
        {
            get { return at + 1 < sql.Length ? sql[at + 1] : '\0'; }
        }

        private void Step()
        {
            char c = sql[at];
            if (c == '\'' || c == '"' && mysql)
            {
                Literal(c, mysql);
            }
            else if (c == '"' || c == '`' || c == '[')
            {
                Quoted(c == '[' ? ']' : c);
            }
            else if (c == '-' && Next == '-' || c == '#' && mysql)
            {
                int end = sql.IndexOf('\n', at);
                at = end < 0 ? sql.Length : end;
            }
            else if (c == '/' && Next == '*')
            {
                int end = sql.IndexOf("*/", at + 2, StringComparison.Ordinal);
                at = end < 0 ? sql.Length : end + 2;
            }
            else if (c == '$' && !char.IsDigit(Next) && Dollar())
            {
                text.Append('?');
                wanted = false;
            }
            else if (IsDigit(c) || c == '.' && IsDigit(Next))
            {
                Number();
            }
            else if (IsWord(c))
            {
                Word();
            }
            else
            {
                Other(c);
            }
        }

        private void Other(char c)
        {
            depth += c == '(' ? 1 : c == ')' ? -1 : 0;
            if (!char.IsWhiteSpace(c))
            {
                wanted = false;
            }
            text.Append(c);
            at++;
            // A parameter's name or number is not a literal: $1, :name, @p, %s.
            while ((c == '$' || c == ':' || c == '@' || c == '%') && at < sql.Length && IsWord(sql[at]))
            {
                text.Append(sql[at++]);
            }
        }

        private void Literal(char quote, bool backslash)
        {
            for (at++; at < sql.Length; at++)
            {
                if (sql[at] == '\\' && backslash)
                {
                    at++;
                }
                else if (sql[at] == quote && Next == quote)
                {
                    at++;
                }
                else if (sql[at] == quote)
                {
                    at++;
                    break;
                }
            }
            at = Math.Min(at, sql.Length);
            text.Append('?');
            wanted = false;
        }

        /// <summary>`$$ ... $$` and `$tag$ ... $tag$` of PostgreSQL.</summary>
        private bool Dollar()
        {
            int end = at + 1;
            while (end < sql.Length && IsWord(sql[end]))
            {
                end++;
            }
            if (end >= sql.Length || sql[end] != '$')
            {
                return false;
            }
            string tag = sql.Substring(at, end - at + 1);
            int close = sql.IndexOf(tag, end + 1, StringComparison.Ordinal);
            at = close < 0 ? sql.Length : close + tag.Length;
            return true;
        }

        private void Number()
        {
            bool hexadecimal = sql[at] == '0' && (Next == 'x' || Next == 'X');
            while (at < sql.Length && (IsWord(sql[at]) || sql[at] == '.'
                || !hexadecimal && (sql[at] == '+' || sql[at] == '-') && (sql[at - 1] == 'e' || sql[at - 1] == 'E')))
            {
                at++;
            }
            text.Append('?');
            wanted = false;
        }

        private void Word()
        {
            int from = at;
            while (at < sql.Length && IsWord(sql[at]))
            {
                at++;
            }
            if (at < sql.Length && sql[at] == '\'' && at - from <= 2)
            {
                // E'', N'', B'', X'', U&'' has its own sign: a string with a prefix.
                Literal('\'', mysql || sql[from] == 'e' || sql[from] == 'E');
                return;
            }
            string word = sql.Substring(from, at - from);
            text.Append(word);
            if (wanted)
            {
                Target(word);
                return;
            }
            string upper = word.ToUpperInvariant();
            if (Operation.Length == 0)
            {
                Operation = upper;
                wanted = upper == "UPDATE";
            }
            else if (!found && depth == 0)
            {
                wanted = upper == "FROM" && (Operation == "SELECT" || Operation == "DELETE") || upper == "INTO" && Operation == "INSERT";
            }
        }

        private void Quoted(char close)
        {
            int end = sql.IndexOf(close, at + 1);
            end = end < 0 ? sql.Length : end + 1;
            string whole = sql.Substring(at, end - at);
            text.Append(whole);
            at = end;
            if (wanted && whole.Length > 2)
            {
                Target(whole.Substring(1, whole.Length - 2));
            }
        }

        /// <summary>A part of the target's name; the next part follows a point.</summary>
        private void Target(string part)
        {
            Collection = Collection == null ? part : Collection + "." + part;
            found = true;
            wanted = at < sql.Length && sql[at] == '.';
            if (wanted)
            {
                text.Append('.');
                at++;
            }
        }

        private static bool IsDigit(char c)
        {
            return c >= '0' && c <= '9';
        }

        private static bool IsWord(char c)
        {
            return char.IsLetterOrDigit(c) || c == '_';
        }
    }
}
