using System;
using System.Diagnostics;
using System.Globalization;
using System.Net.Http;
using System.Runtime.CompilerServices;
using System.Threading.Tasks;

namespace Obtrace.Zero
{
    /// <summary>
    /// Calls of HttpClient, and so of HttpWebRequest, WebClient and gRPC: the activity System.Net.Http.HttpRequestOut and its events
    /// of the listener HttpHandlerDiagnosticListener, as System.Net.Http's DiagnosticsHandler writes them since .NET Core 2.
    /// The runtime writes `traceparent` and `tracestate` itself, from the activity.
    /// </summary>
    internal sealed class HttpClientObserver : Observer
    {
        private const string Scope = "obtrace.dotnet.httpclient";
        public const string Activities = "System.Net.Http.HttpRequestOut";
        private const string Start = Activities + ".Start";
        private const string Stop = Activities + ".Stop";
        private const string Failed = "System.Net.Http.Exception";

        /// <summary>Why calls failed that have no answer. There is nothing else to remember of a call: its activity says the rest.</summary>
        private readonly ConditionalWeakTable<Activity, Exception> failures = new ConditionalWeakTable<Activity, Exception>();

        protected override bool Wants(string name, object subject, object other)
        {
            return name == Activities || name == Start || name == Stop || name == Failed;
        }

        protected override void On(string name, object payload)
        {
            Activity activity = Activity.Current;
            if (!Traces.IsW3C(activity) || activity.OperationName != Activities)
            {
                return;
            }
            if (name == Failed)
            {
                var failure = Reach.Get(payload, "Exception") as Exception;
                if (failure != null)
                {
                    failures.AddOrUpdate(activity, failure);
                }
                return;
            }
            var request = Reach.Get(payload, "Request") as HttpRequestMessage;
            if (name == Start)
            {
                bool sampled = Traces.Decide(activity);
                if (!Traces.Reports(3) && request != null)
                {
                    PassOn(activity, sampled, request);
                }
            }
            else if (name == Stop && request != null)
            {
                Forget(activity, request);
                End(activity, request, Reach.Get(payload, "Response") as HttpResponseMessage, payload);
            }
        }

        /// <summary>Where another tool reports the client's span, the callee's parent is what we report, not an activity that nobody does.</summary>
        private static void PassOn(Activity activity, bool sampled, HttpRequestMessage request)
        {
            string parent = Traces.ParentOf(activity);
            if (parent != null && !request.Headers.Contains("traceparent"))
            {
                request.Headers.TryAddWithoutValidation("traceparent", "00-" + activity.TraceId.ToHexString() + "-" + parent + (sampled ? "-01" : "-00"));
                if (!string.IsNullOrEmpty(activity.TraceStateString))
                {
                    request.Headers.TryAddWithoutValidation("tracestate", activity.TraceStateString);
                }
            }
        }

        /// <summary>A handler that sends the same message again must not pass on the span of the attempt before.</summary>
        private static void Forget(Activity activity, HttpRequestMessage request)
        {
            System.Collections.Generic.IEnumerable<string> values;
            if (!request.Headers.TryGetValues("traceparent", out values))
            {
                return;
            }
            string written = activity.TraceId.ToHexString() + "-" + activity.SpanId.ToHexString();
            foreach (string value in values)
            {
                if (value.IndexOf(written, StringComparison.Ordinal) == 3)
                {
                    request.Headers.Remove("traceparent");
                    if (activity.TraceStateString != null)
                    {
                        request.Headers.Remove("tracestate");
                    }
                    return;
                }
            }
        }

        private void End(Activity activity, HttpRequestMessage request, HttpResponseMessage response, object payload)
        {
            Exception failure = null;
            string error = null;
            if (response == null)
            {
                error = failures.TryGetValue(activity, out failure) ? failure.GetType().FullName
                    : Reach.Text(payload, "RequestTaskStatus") == "Canceled" ? typeof(TaskCanceledException).FullName : "_OTHER";
            }
            int status = response == null ? 0 : (int)response.StatusCode;
            if (status >= 400)
            {
                error = status.ToString(CultureInfo.InvariantCulture);
            }
            Uri url = request.RequestUri;
            string given = request.Method.Method, method = Urls.Method(given), host = Urls.Host(url);
            string version = response == null ? null : Version(response.Version);
            double seconds = Traces.Seconds(activity);
            // Port and status as characters: nobody reads the key.
            string numbers = new string(new[] { (char)(url == null ? 0 : url.Port), (char)status });
            string key = string.Concat(new[] { method, " ", host, numbers, url == null ? null : url.Scheme, version, " ", error });
            if (!Meters.Client.Record(key, seconds))
            {
                Meters.Client.Add(key, Common(new Attributes(), method, host, url, status, version, error), seconds);
            }
            if (!Traces.Reports(3) || (activity.ActivityTraceFlags & ActivityTraceFlags.Recorded) == 0)
            {
                return;
            }
            Span span = Traces.End(activity, 3, Scope);
            span.Name = Urls.Name(method);
            Common(span.Attributes, method, host, url, status, version, error);
            span.Attributes.Add("http.request.method_original", method == given ? null : given);
            if (url != null)
            {
                span.Attributes.Add("url.full", Urls.Full(url));
            }
            span.Failed = error != null;
            if (failure != null)
            {
                span.AddException(failure, span.End);
            }
            Traces.Send(span);
        }

        private static Attributes Common(Attributes attributes, string method, string host, Uri url, int status, string version, string error)
        {
            attributes.Add("http.request.method", method);
            if (url != null)
            {
                attributes.Add("server.address", host).Add("server.port", url.Port).Add("url.scheme", url.Scheme);
            }
            if (status > 0)
            {
                attributes.Add("http.response.status_code", status);
            }
            return attributes.Add("network.protocol.version", version).Add("error.type", error);
        }

        private static string Version(Version version)
        {
            return version.Major == 1 ? version.Minor == 1 ? "1.1" : "1.0"
                : version.Minor == 0 ? version.Major.ToString(CultureInfo.InvariantCulture) : version.ToString(2);
        }
    }
}
