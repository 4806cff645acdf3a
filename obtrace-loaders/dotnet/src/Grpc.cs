using System;
using System.Globalization;

namespace Obtrace.Zero
{
    /// <summary>
    /// What gRPC for .NET writes into an activity, its client into one of its own, its server into ASP.NET Core's: `grpc.method` is
    /// `/package.Service/Method`, `grpc.status_code` a number, 0 is well.
    /// </summary>
    internal static class Grpc
    {
        /// <summary>Statuses that are the server's fault by the conventions: unknown, deadline exceeded, unimplemented, internal, unavailable,
        /// data loss. To a client everything but 0 is an error.</summary>
        private static readonly int[] ServerErrors = { 2, 4, 12, 13, 14, 15 };

        /// <summary>Names and describes the span of a call; false where it is none of gRPC.</summary>
        public static bool Describe(Span span, string method, string status)
        {
            if (method == null)
            {
                return false;
            }
            span.Name = method.TrimStart('/');
            int slash = span.Name.LastIndexOf('/');
            span.Attributes.Add("rpc.system", "grpc");
            if (slash > 0)
            {
                span.Attributes.Add("rpc.service", span.Name.Substring(0, slash)).Add("rpc.method", span.Name.Substring(slash + 1));
            }
            int code;
            if (int.TryParse(status, NumberStyles.None, CultureInfo.InvariantCulture, out code))
            {
                span.Attributes.Add("rpc.grpc.status_code", code);
                span.Failed |= span.Kind == 2 ? Array.IndexOf(ServerErrors, code) >= 0 : code != 0;
            }
            return true;
        }
    }
}
