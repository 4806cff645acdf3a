namespace Obtrace.Zero
{
    /// <summary>
    /// The header as W3C Trace Context, section 3.2, has it. The runtime reads it before us and is laxer: it takes a trace id of zeros, or flags
    /// that are no digits; what it takes wrongly is no parent of ours.
    /// </summary>
    internal static class Traceparent
    {
        private const int Shortest = 55;

        public static bool IsValid(string header)
        {
            string text = (header ?? "").Trim(' ', '\t');
            if (text.Length < Shortest || text[2] != '-' || text[35] != '-' || text[52] != '-')
            {
                return false;
            }
            bool longer = text.Length > Shortest;
            if (!Hex(text, 0, 2) || !Hex(text, 3, 32) || !Hex(text, 36, 16) || !Hex(text, 53, 2) || text.StartsWith("ff", System.StringComparison.Ordinal)
                || longer && (text.StartsWith("00", System.StringComparison.Ordinal) || text[Shortest] != '-'))
            {
                return false;
            }
            return !Zeros(text, 3, 32) && !Zeros(text, 36, 16);
        }

        private static bool Hex(string text, int from, int count)
        {
            for (int i = from; i < from + count; i++)
            {
                if (!(text[i] >= '0' && text[i] <= '9' || text[i] >= 'a' && text[i] <= 'f'))
                {
                    return false;
                }
            }
            return true;
        }

        private static bool Zeros(string text, int from, int count)
        {
            return text.Substring(from, count).Trim('0').Length == 0;
        }
    }
}
