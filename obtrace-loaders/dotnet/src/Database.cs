using System;
using System.Globalization;
using System.Threading;

namespace Obtrace.Zero
{
    /// <summary>A call to a database, whoever told of it.</summary>
    internal sealed class Database
    {
        /// <summary>Entity Framework's command that is on its way in this flow: the driver that tells of it itself covers it.</summary>
        public static readonly AsyncLocal<Exchange> Outer = new AsyncLocal<Exchange>();

        public string System, Namespace, Host, Error, Code;
        public int Port;
        private string text, operation, collection;

        /// <summary>The driver's own span begins.</summary>
        public static void Cover()
        {
            Exchange outer = Outer.Value;
            if (outer != null)
            {
                outer.Covered = true;
            }
        }

        /// <summary>The system by a driver's namespace, in the conventions' words.</summary>
        public static string SystemOf(string type)
        {
            type = type ?? "";
            return type.Contains("SqlClient") ? "microsoft.sql_server" : type.StartsWith("Npgsql", StringComparison.Ordinal) ? "postgresql"
                : type.Contains("MySql") ? "mysql" : type.Contains("Sqlite") || type.Contains("SQLite") ? "sqlite"
                : type.Contains("Oracle") ? "oracle.db" : type.Contains("Firebird") ? "firebirdsql" : "other_sql";
        }

        public void Statement(string statement)
        {
            var sql = new Sql(statement, System == "mysql" || System == "mariadb");
            text = sql.Text;
            operation = sql.Operation.Length == 0 ? null : sql.Operation;
            collection = sql.Collection;
        }

        /// <summary>What the driver says itself: of a procedure or a table as such, whose text is a name, or of COPY.</summary>
        public void Named(string word, string name)
        {
            operation = word;
            collection = name ?? collection;
        }

        /// <summary>`DataSource` of a connection: `tcp:host\instance,1433`, `host:5432`, a path.</summary>
        public void Source(string source)
        {
            source = (source ?? "").Trim();
            int prefix = source.IndexOf(':');
            if (prefix > 0 && (source.StartsWith("tcp:", StringComparison.OrdinalIgnoreCase) || source.StartsWith("np:", StringComparison.OrdinalIgnoreCase)
                || source.StartsWith("lpc:", StringComparison.OrdinalIgnoreCase) || source.StartsWith("admin:", StringComparison.OrdinalIgnoreCase)))
            {
                source = source.Substring(prefix + 1);
            }
            if (source.StartsWith("//", StringComparison.Ordinal))
            {
                source = source.Substring(2);
            }
            int mark = source.LastIndexOfAny(new[] { ',', ':' });
            int port;
            if (mark > 0 && int.TryParse(source.Substring(mark + 1), NumberStyles.None, CultureInfo.InvariantCulture, out port))
            {
                Port = port;
                source = source.Substring(0, mark);
            }
            int instance = source.IndexOf('\\');
            Host = System == "sqlite" || source.Length == 0 ? null : instance > 0 ? source.Substring(0, instance) : source;
        }

        /// <summary>A statement or something like it; a connection that is opened is none.</summary>
        public bool IsOperation
        {
            get { return operation != null || text != null; }
        }

        public string Name
        {
            get
            {
                string target = collection ?? Namespace;
                return operation == null ? target ?? System : target == null ? operation : operation + " " + target;
            }
        }

        public void Count(double seconds)
        {
            string key = string.Concat(System, " ", Namespace, " ") + string.Concat(operation, " ", collection, " ")
                + string.Concat(Host, " ", Error, " ") + Port.ToString(CultureInfo.InvariantCulture);
            if (!Meters.Database.Record(key, seconds))
            {
                Meters.Database.Add(key, Common(new Attributes()), seconds);
            }
        }

        private Attributes Common(Attributes attributes)
        {
            attributes.Add("db.system.name", System).Add("db.namespace", string.IsNullOrEmpty(Namespace) ? null : Namespace);
            attributes.Add("db.operation.name", operation).Add("db.collection.name", collection).Add("server.address", Host);
            if (Port > 0)
            {
                attributes.Add("server.port", Port);
            }
            return attributes.Add("db.response.status_code", Code).Add("error.type", Error);
        }

        public void Describe(Attributes attributes)
        {
            Common(attributes).Add("db.query.text", string.IsNullOrEmpty(text) ? null : text);
        }

        /// <summary>A DbCommand of any driver.</summary>
        public static Database Of(object command)
        {
            var database = new Database { System = SystemOf(command.GetType().FullName) };
            object connection = Reach.Get(command, "Connection");
            database.Namespace = Reach.Text(connection, "Database");
            if (string.IsNullOrEmpty(database.Namespace))
            {
                database.Namespace = null;
            }
            database.Source(Reach.Text(connection, "DataSource"));
            string statement = Reach.Text(command, "CommandText");
            switch (Reach.Text(command, "CommandType"))
            {
                case "StoredProcedure":
                    database.Named("EXECUTE", statement);
                    break;
                case "TableDirect":
                    database.Named("SELECT", statement);
                    break;
                default:
                    database.Statement(statement);
                    break;
            }
            return database;
        }

        /// <summary>The end of a call that has an exchange but no activity.</summary>
        public static void End(Exchange exchange, object command, string scope, Exception failure)
        {
            Database database = Of(command);
            if (failure != null)
            {
                database.Error = failure.GetType().FullName;
                database.Code = Reach.Text(failure, "SqlState") ?? Reach.Text(failure, "Number");
            }
            database.Count(Traces.Seconds(exchange));
            if (!Traces.IsKept(exchange))
            {
                return;
            }
            Span span = Traces.End(exchange, scope);
            span.Name = database.Name;
            database.Describe(span.Attributes);
            span.Failed = failure != null;
            if (failure != null)
            {
                span.AddException(failure, span.End);
            }
            Traces.Send(span);
        }
    }
}
