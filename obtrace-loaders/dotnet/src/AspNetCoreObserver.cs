using System;
using System.Diagnostics;
using System.Globalization;
using System.Reflection;
using System.Runtime.CompilerServices;

namespace Obtrace.Zero
{
    /// <summary>
    /// Requests that ASP.NET Core serves: the activity Microsoft.AspNetCore.Hosting.HttpRequestIn and the events of the listener
    /// Microsoft.AspNetCore, as HostingApplicationDiagnostics, the endpoint routing and the exception middleware write them since 3.0.
    /// The framework reads `traceparent` and `tracestate` itself, into the activity.
    /// </summary>
    internal sealed class AspNetCoreObserver : Observer
    {
        private const string Scope = "obtrace.dotnet.aspnetcore";
        private const string Activities = "Microsoft.AspNetCore.Hosting.HttpRequestIn";
        private const string Start = Activities + ".Start";
        private const string Stop = Activities + ".Stop";
        private const string Unhandled = "Microsoft.AspNetCore.Hosting.UnhandledException";
        private const string ShownToDeveloper = "Microsoft.AspNetCore.Diagnostics.UnhandledException";
        private const string Handled = "Microsoft.AspNetCore.Diagnostics.HandledException";
        private const string Matched = "Microsoft.AspNetCore.Routing.EndpointMatched";

        /// <summary>By HttpContext: at the end of a request the current activity may be one that the application left open.</summary>
        private readonly ConditionalWeakTable<object, Exchange> requests = new ConditionalWeakTable<object, Exchange>();
        private MethodInfo endpointOf;
        private bool endpointSought;

        protected override bool Wants(string name, object subject, object other)
        {
            switch (name)
            {
                case Activities:
                case Start:
                case Stop:
                case Unhandled:
                case ShownToDeveloper:
                case Handled:
                case Matched:
                    return true;
                default:
                    return false;
            }
        }

        protected override void On(string name, object payload)
        {
            // The context itself since 5.0, before that an object that has it; written in small letters by some.
            object context = Reach.Get(payload, "HttpContext") ?? Reach.Get(payload, "httpContext") ?? payload;
            if (context == null)
            {
                return;
            }
            if (name == Start)
            {
                Activity activity = Activity.Current;
                if (Traces.IsW3C(activity) && activity.OperationName == Activities)
                {
                    bool begins = activity.ParentId != null && !Traceparent.IsValid(Header(Reach.Get(context, "Request", "Headers"), "traceparent"));
                    Exchange begun = Traces.Begin(activity, 2, begins);
                    // Middleware that rewrites the path comes later.
                    object asked = Reach.Get(context, "Request");
                    begun.Path = Reach.Text(asked, "PathBase") + Reach.Text(asked, "Path");
                    requests.AddOrUpdate(context, begun);
                }
                return;
            }
            Exchange exchange;
            if (!requests.TryGetValue(context, out exchange))
            {
                return;
            }
            switch (name)
            {
                case Matched:
                    // An error page is matched later; what was asked for is the first.
                    exchange.Route = exchange.Route ?? RouteOf(Endpoint(context));
                    break;
                case Stop:
                    requests.Remove(context);
                    End(exchange, context);
                    break;
                default:
                    exchange.Failure = Reach.Get(payload, "exception") as Exception ?? Reach.Get(payload, "Exception") as Exception;
                    exchange.Covered = name == Handled;
                    break;
            }
        }

        /// <summary>EndpointHttpContextExtensions.GetEndpoint, which lives beside the abstract HttpContext.</summary>
        private object Endpoint(object context)
        {
            if (!endpointSought)
            {
                for (Type at = context.GetType(); at != null && endpointOf == null; at = at.BaseType)
                {
                    endpointOf = at.Assembly.GetType("Microsoft.AspNetCore.Http.EndpointHttpContextExtensions")?.GetMethod("GetEndpoint");
                }
                endpointSought = true;
            }
            return endpointOf == null ? null : endpointOf.Invoke(null, new[] { context });
        }

        private static string RouteOf(object endpoint)
        {
            string route = Reach.Get(Reach.Get(endpoint, "RoutePattern"), "RawText") as string;
            return route == null || route.StartsWith("/", StringComparison.Ordinal) ? route : "/" + route.TrimStart('~', '/');
        }

        private void End(Exchange exchange, object context)
        {
            object request = Reach.Get(context, "Request");
            object code = Reach.Get(context, "Response", "StatusCode");
            int status = code is int ? (int)code : 0;
            string route = exchange.Route ?? RouteOf(Endpoint(context));
            string given = Reach.Text(request, "Method"), method = Urls.Method(given);
            string scheme = Reach.Text(request, "Scheme"), version = Version(Reach.Text(request, "Protocol"));
            bool left = exchange.Failure != null && !exchange.Covered;
            string error = left || status >= 500 && exchange.Failure != null ? exchange.Failure.GetType().FullName
                : status >= 500 ? status.ToString(CultureInfo.InvariantCulture) : null;
            string key = string.Concat(method, " ", route, " ") + string.Concat(scheme, " ", version, " ")
                + status.ToString(CultureInfo.InvariantCulture) + " " + error;
            double seconds = Traces.Seconds(exchange);
            if (!Meters.Server.Record(key, seconds))
            {
                Meters.Server.Add(key, Common(new Attributes(), method, scheme, version, route, status, error), seconds);
            }
            if (!Traces.IsKept(exchange))
            {
                return;
            }
            Span span = Traces.End(exchange, Scope);
            span.Name = route == null ? Urls.Name(method) : Urls.Name(method) + " " + route;
            Common(span.Attributes, method, scheme, version, route, status, error);
            span.Attributes.Add("http.request.method_original", method == given ? null : given);
            Further(span.Attributes, exchange, context, request);
            span.Failed = error != null;
            Grpc.Describe(span, Tag(exchange.Activity, "grpc.method"), Tag(exchange.Activity, "grpc.status_code"));
            if (exchange.Failure != null)
            {
                span.AddException(exchange.Failure, span.End);
            }
            Traces.Send(span);
        }

        private static Attributes Common(Attributes attributes, string method, string scheme, string version, string route, int status, string error)
        {
            attributes.Add("http.request.method", method).Add("url.scheme", scheme).Add("http.route", route);
            if (status > 0)
            {
                attributes.Add("http.response.status_code", status);
            }
            return attributes.Add("network.protocol.version", version).Add("error.type", error);
        }

        private static string Tag(Activity activity, string key)
        {
            foreach (var pair in activity.Tags)
            {
                if (pair.Key == key)
                {
                    return pair.Value;
                }
            }
            return null;
        }

        private static void Further(Attributes attributes, Exchange exchange, object context, object request)
        {
            attributes.Add("url.path", exchange.Path);
            object host = Reach.Get(request, "Host");
            attributes.Add("server.address", NotEmpty(Reach.Text(host, "Host"))).Add("server.port", Reach.Get(host, "Port"));
            attributes.Add("client.address", Reach.Text(Reach.Get(context, "Connection"), "RemoteIpAddress"));
            attributes.Add("user_agent.original", Header(Reach.Get(request, "Headers"), "User-Agent"));
        }

        /// <summary>The headers are an IHeaderDictionary of StringValues, types that are not ours to refer to; its indexer gives an empty
        /// value for what is missing.</summary>
        private static string Header(object headers, string name)
        {
            object values = Reach.Item(headers, "Microsoft.AspNetCore.Http.IHeaderDictionary", name);
            return NotEmpty(values?.ToString());
        }

        private static string NotEmpty(string text)
        {
            return string.IsNullOrEmpty(text) ? null : text;
        }

        /// <summary>`HTTP/1.1` is 1.1.</summary>
        private static string Version(string protocol)
        {
            return protocol != null && protocol.StartsWith("HTTP/", StringComparison.OrdinalIgnoreCase) ? protocol.Substring(5) : null;
        }
    }
}
