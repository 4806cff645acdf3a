using System;
using System.Text;

namespace Obtrace.Zero
{
    /// <summary>What may be told of a URL.</summary>
    internal static class Urls
    {
        /// <summary>`url.full`: without user information and fragment, the query's values replaced.</summary>
        public static string Full(Uri url)
        {
            string query = url.Query;
            if (query.Length <= 1)
            {
                return Attributes.Cut(url.GetComponents(UriComponents.SchemeAndServer | UriComponents.Path, UriFormat.UriEscaped), Attributes.LongestText);
            }
            string authority = url.GetComponents(UriComponents.Host | UriComponents.Port, UriFormat.UriEscaped);
            var text = new StringBuilder(url.Scheme).Append("://").Append(authority).Append(url.AbsolutePath);
            char before = '?';
            foreach (string pair in query.Substring(1).Split('&'))
            {
                int equals = pair.IndexOf('=');
                text.Append(before);
                before = '&';
                if (equals < 0 || equals == pair.Length - 1)
                {
                    text.Append(pair);
                }
                else
                {
                    text.Append(pair, 0, equals + 1).Append("REDACTED");
                }
            }
            return Attributes.Cut(text.ToString(), Attributes.LongestText);
        }

        /// <summary>`server.address`: without brackets, in ASCII. What is that already needs not be made anew by each call.</summary>
        public static string Host(Uri url)
        {
            if (url == null)
            {
                return null;
            }
            string host = url.Host;
            foreach (char c in host)
            {
                if (c > 127 || c == '[')
                {
                    return url.IdnHost;
                }
            }
            return host;
        }

        private static readonly string[] Known = { "GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "TRACE", "CONNECT", "QUERY" };

        /// <summary>The method as the conventions have it: in capitals, `_OTHER` where they do not know it.</summary>
        public static string Method(string given)
        {
            if (Array.IndexOf(Known, given) >= 0)
            {
                return given;
            }
            string upper = (given ?? "").ToUpperInvariant();
            return Array.IndexOf(Known, upper) >= 0 ? upper : "_OTHER";
        }

        /// <summary>What a span's name begins with.</summary>
        public static string Name(string method)
        {
            return method == "_OTHER" ? "HTTP" : method;
        }
    }
}
