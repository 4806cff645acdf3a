// Requests as ASP.NET Core writes them into its DiagnosticListener, without ASP.NET Core, which cannot be had where this is tested.
// What is recorded here: the names, order and shapes of HostingApplicationDiagnostics (activity and payloads of HttpRequestIn, the
// exception's payload), EndpointRoutingMiddleware (EndpointMatched with the HttpContext), ExceptionHandlerMiddlewareImpl (HandledException, after
// the error page was matched and run), DeveloperExceptionPageMiddlewareImpl (UnhandledException) and what gRPC's server writes into the activity.
// README.md says in which versions of these files that was read.
// `AspNetCore.dll SHAPE VERB ...`; SHAPE `3` wraps the context as the earlier ones do, `8` is what later ones do.

using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Net;
using System.Net.Http;
using System.Threading;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace Microsoft.Extensions.Primitives
{
    public struct StringValues
    {
        private readonly string value;

        public StringValues(string value)
        {
            this.value = value;
        }

        public override string ToString()
        {
            return value ?? "";
        }
    }
}

namespace Microsoft.AspNetCore.Http
{
    using Microsoft.Extensions.Primitives;

    public interface IHeaderDictionary
    {
        StringValues this[string key] { get; set; }
    }

    internal sealed class HeaderDictionary : IHeaderDictionary
    {
        private readonly Dictionary<string, string> values = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);

        public StringValues this[string key]
        {
            get { return new StringValues(values.TryGetValue(key, out var value) ? value : null); }
            set { values[key] = value.ToString(); }
        }
    }

    public struct PathString
    {
        public string Value { get; set; }

        public override string ToString()
        {
            return Value ?? "";
        }
    }

    public struct HostString
    {
        public string Host { get; set; }
        public int? Port { get; set; }
    }

    public abstract class HttpRequest
    {
        public abstract string Method { get; set; }
        public abstract string Scheme { get; set; }
        public abstract string Protocol { get; set; }
        public abstract HostString Host { get; set; }
        public abstract PathString Path { get; set; }
        public abstract PathString PathBase { get; set; }
        public abstract IHeaderDictionary Headers { get; }
    }

    internal sealed class DefaultHttpRequest : HttpRequest
    {
        public override string Method { get; set; }
        public override string Scheme { get; set; }
        public override string Protocol { get; set; }
        public override HostString Host { get; set; }
        public override PathString Path { get; set; }
        public override PathString PathBase { get; set; }
        public override IHeaderDictionary Headers { get; } = new HeaderDictionary();
    }

    public sealed class HttpResponse
    {
        public int StatusCode { get; set; } = 200;
    }

    public sealed class ConnectionInfo
    {
        public IPAddress RemoteIpAddress { get; set; } = IPAddress.Loopback;
    }

    public abstract class HttpContext
    {
        public abstract HttpRequest Request { get; }
        public abstract HttpResponse Response { get; }
        public abstract ConnectionInfo Connection { get; }
        internal Endpoint Endpoint;
    }

    public sealed class DefaultHttpContext : HttpContext
    {
        public override HttpRequest Request { get; } = new DefaultHttpRequest();
        public override HttpResponse Response { get; } = new HttpResponse();
        public override ConnectionInfo Connection { get; } = new ConnectionInfo();
    }

    public class Endpoint
    {
    }

    public static class EndpointHttpContextExtensions
    {
        public static Endpoint GetEndpoint(HttpContext context)
        {
            return context.Endpoint;
        }
    }
}

namespace Microsoft.AspNetCore.Routing
{
    public sealed class RoutePattern
    {
        public string RawText { get; set; }
    }

    public sealed class RouteEndpoint : Microsoft.AspNetCore.Http.Endpoint
    {
        public RoutePattern RoutePattern { get; set; }
    }
}

public static class AspNetCore
{
    private const string Activities = "Microsoft.AspNetCore.Hosting.HttpRequestIn";
    private static readonly DiagnosticListener Listener = new DiagnosticListener("Microsoft.AspNetCore");
    private static readonly HttpClient Client = new HttpClient();
    private static bool wrapped;

    private static void Serve(string method, string path, string route, int status, Action work = null, string traceparent = null,
        string tracestate = null, bool matched = true, string fails = null)
    {
        var context = new DefaultHttpContext();
        context.Request.Method = method;
        context.Request.Scheme = "http";
        context.Request.Protocol = "HTTP/1.1";
        context.Request.Host = new HostString { Host = "shop.example", Port = 8080 };
        context.Request.Path = new PathString { Value = path };
        context.Request.Headers["User-Agent"] = new Microsoft.Extensions.Primitives.StringValues("curl/8");
        Activity activity = null;
        object payload = wrapped ? (object)new { HttpContext = context } : context;
        if (Listener.IsEnabled() && Listener.IsEnabled(Activities, context))
        {
            activity = new Activity(Activities);
            if (traceparent != null)
            {
                context.Request.Headers["traceparent"] = new Microsoft.Extensions.Primitives.StringValues(traceparent);
                activity.SetParentId(traceparent);
                activity.TraceStateString = tracestate;
            }
            activity.Start();
            if (Listener.IsEnabled(Activities + ".Start"))
            {
                Listener.Write(Activities + ".Start", payload);
            }
        }
        // As UseRewriter does.
        context.Request.Path = new PathString { Value = path == "/old" ? "/new" : path };
        context.Endpoint = route == null ? null : new RouteEndpoint { RoutePattern = new RoutePattern { RawText = route } };
        if (matched && route != null && Listener.IsEnabled("Microsoft.AspNetCore.Routing.EndpointMatched"))
        {
            Listener.Write("Microsoft.AspNetCore.Routing.EndpointMatched", context);
        }
        context.Response.StatusCode = status;
        try
        {
            work?.Invoke();
        }
        catch (Exception exception)
        {
            context.Response.StatusCode = 500;
            if (fails == "handled")
            {
                // The error page's route takes the place of the one that failed.
                context.Endpoint = new RouteEndpoint { RoutePattern = new RoutePattern { RawText = "/error" } };
                Listener.Write("Microsoft.AspNetCore.Routing.EndpointMatched", context);
                Listener.Write("Microsoft.AspNetCore.Diagnostics.HandledException", new { httpContext = (HttpContext)context, exception });
            }
            else if (fails == "developer")
            {
                Listener.Write("Microsoft.AspNetCore.Diagnostics.UnhandledException", new { httpContext = (HttpContext)context, exception });
            }
            else if (Listener.IsEnabled("Microsoft.AspNetCore.Hosting.UnhandledException"))
            {
                Listener.Write("Microsoft.AspNetCore.Hosting.UnhandledException", new { httpContext = (HttpContext)context, timestamp = 1L, exception });
            }
        }
        if (activity != null)
        {
            activity.SetEndTime(DateTime.UtcNow);
            Listener.Write(Activities + ".Stop", payload);
            activity.Stop();
        }
    }

    private static void Fail()
    {
        throw new InvalidOperationException("no such order");
    }

    /// An exception whose own code fails.
    private sealed class Odd : Exception
    {
        public override string Message
        {
            get { throw new NotSupportedException(); }
        }

        public override string ToString()
        {
            throw new NotSupportedException();
        }
    }

    private static void FailOddly()
    {
        throw new Odd();
    }

    /// As Grpc.AspNetCore.Server does: tags of the request's activity.
    private static void Grpc(string method, string status)
    {
        Activity.Current.AddTag("grpc.method", method);
        Activity.Current.AddTag("grpc.status_code", status);
    }

    private static void Call(string url)
    {
        Client.GetStringAsync(url).Wait();
    }

    public static int Main(string[] words)
    {
        wrapped = words[0] == "3";
        string url = words.Length > 2 ? words[2] : null;
        switch (words[1])
        {
            case "routes":
                Serve("GET", "/orders/7", "/orders/{id}", 200);
                Serve("POST", "/api/orders", "api/orders", 201);
                Serve("GET", "/nowhere", null, 404);
                Serve("get", "/orders/8", "/orders/{id}", 200);
                Serve("BREW", "/pot", "/pot", 200);
                Serve("GET", "/late", "/late", 200, matched: false);
                Serve("GET", "/old", "/new", 200);
                break;
            case "errors":
                Serve("GET", "/fails", "/fails", 200, Fail);
                Serve("GET", "/handled", "/handled/{id}", 200, Fail, fails: "handled");
                Serve("GET", "/developer", "/developer", 200, Fail, fails: "developer");
                Serve("GET", "/odd", "/odd", 200, FailOddly);
                Serve("GET", "/broken", "/broken", 503);
                break;
            case "grpc":
                Serve("POST", "/shop.Orders/Get", "/shop.Orders/Get", 200, () => Grpc("/shop.Orders/Get", "0"));
                Serve("POST", "/shop.Orders/Get", "/shop.Orders/Get", 200, () => Grpc("/shop.Orders/Get", "5"));
                Serve("POST", "/shop.Orders/Get", "/shop.Orders/Get", 200, () => Grpc("/shop.Orders/Get", "14"));
                break;
            case "context":
                Serve("GET", "/orders/7", "/orders/{id}", 200, () => Call(url), words[3], words.Length > 4 ? words[4] : "vendor=1");
                break;
            case "headers":
                for (int i = 2; i < words.Length; i++)
                {
                    try
                    {
                        Serve("GET", "/" + (i - 2), "/headers", 200, null, words[i]);
                    }
                    catch (ArgumentOutOfRangeException)
                    {
                        // The runtime's own: Activity of 3.1 does not bear flags that are no digits.
                        Console.WriteLine(i - 2);
                    }
                }
                break;
            case "leak":
                // The application starts an activity in a request and never stops it.
                Serve("GET", "/leak", "/leak", 200, () => new Activity("forgotten").Start());
                Activity.Current = null;
                break;
            case "burst":
                for (int i = 0; i < int.Parse(words[2]); i++)
                {
                    Serve("GET", "/burst", "/burst", 200);
                }
                Console.WriteLine("done");
                if (words.Length > 3)
                {
                    Thread.Sleep(int.Parse(words[3]));
                }
                break;
            case "kinds":
                for (int i = 0; i < int.Parse(words[2]); i++)
                {
                    Serve("GET", "/" + i, "/kinds/" + i, 200);
                }
                break;
            default:
                return 2;
        }
        return 0;
    }
}
