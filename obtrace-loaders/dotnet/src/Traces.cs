using System;
using System.Diagnostics;
using System.Runtime.CompilerServices;

namespace Obtrace.Zero
{
    /// <summary>A piece of work that began: what is decided of it, and what is learned before it ends.</summary>
    internal sealed class Exchange
    {
        public Activity Activity;
        public string TraceId, SpanId, ParentId, TraceState;
        public int Kind;
        public long Start;
        /// <summary>The trace is kept.</summary>
        public bool Sampled;
        /// <summary>It becomes a span of ours; a child's parent is the next one above that does.</summary>
        public bool Reported;
        /// <summary>The runtime gave it a parent from a header that is not valid: a new trace begins here.</summary>
        public bool Begins;
        public Exception Failure;
        public string Route, Path;
        /// <summary>The driver below told of it itself.</summary>
        public bool Covered;
    }

    /// <summary>Which activities become spans, whose children they are, and whether their trace is kept.</summary>
    internal static class Traces
    {
        private const int Deepest = 64;
        private const int LongestState = 512;
        private static readonly string NoSpan = default(ActivitySpanId).ToHexString();
        private static readonly ConditionalWeakTable<Activity, Exchange> Known = new ConditionalWeakTable<Activity, Exchange>();

        private static Settings settings;
        private static Sampling sampling;
        private static Sender sender;

        public static void Use(Settings given, Sender to)
        {
            settings = given;
            sampling = new Sampling(given.Ratio);
            sender = to;
        }

        public static bool IsW3C(Activity activity)
        {
            return activity != null && activity.IdFormat == ActivityIdFormat.W3C;
        }

        /// <summary>An activity that just started. Its flags become what the contract says, before anybody passes them on.</summary>
        /// <param name="begins">No parent that the activity has from outside counts.</param>
        public static Exchange Begin(Activity activity, int kind, bool begins = false)
        {
            bool sampled = Decide(activity, begins);
            var exchange = new Exchange { Activity = activity, Kind = kind, Sampled = sampled, Begins = begins };
            exchange.Reported = Reports(kind);
            Known.AddOrUpdate(activity, exchange);
            return exchange;
        }

        /// <summary>The same for an activity of which nothing needs to be remembered: the decision is in its flags. True: the trace is kept.</summary>
        public static bool Decide(Activity activity, bool begins = false)
        {
            bool sampled = begins ? sampling.Keeps(activity.TraceId.ToHexString()) : IsSampled(activity);
            activity.ActivityTraceFlags = sampled ? activity.ActivityTraceFlags | ActivityTraceFlags.Recorded
                : activity.ActivityTraceFlags & ~ActivityTraceFlags.Recorded;
            if (activity.TraceStateString != null && activity.TraceStateString.Length > LongestState)
            {
                activity.TraceStateString = null;
            }
            return sampled;
        }

        /// <summary>Work that has no activity of its own, below the current one.</summary>
        public static Exchange BeginBelow(Activity current, int kind)
        {
            var exchange = new Exchange { Kind = kind, Start = Clock.Now, SpanId = ActivitySpanId.CreateRandom().ToHexString() };
            if (IsW3C(current))
            {
                exchange.TraceId = current.TraceId.ToHexString();
                exchange.ParentId = SpanOf(current);
                exchange.TraceState = current.TraceStateString;
                exchange.Sampled = IsSampled(current);
            }
            else
            {
                exchange.TraceId = ActivityTraceId.CreateRandom().ToHexString();
                exchange.Sampled = sampling.Keeps(exchange.TraceId);
            }
            exchange.Reported = Reports(kind);
            return exchange;
        }

        public static Exchange Of(Activity activity)
        {
            Exchange exchange;
            return activity != null && Known.TryGetValue(activity, out exchange) ? exchange : null;
        }

        /// <summary>A valid context from outside decides by its flag; a trace that begins here, by its id. The first activity of this process
        /// in the trace tells which: an application's own activities have flags that nobody decided on.</summary>
        public static bool IsSampled(Activity activity)
        {
            Activity top = activity;
            for (int depth = 0; depth < Deepest && top.Parent != null && top.Parent.IdFormat == ActivityIdFormat.W3C; depth++)
            {
                top = top.Parent;
                Exchange known = Of(top);
                if (known != null)
                {
                    return known.Sampled;
                }
            }
            return top.ParentSpanId.ToHexString() == NoSpan ? sampling.Keeps(top.TraceId.ToHexString())
                : (top.ActivityTraceFlags & ActivityTraceFlags.Recorded) != 0;
        }

        /// <summary>The same for an activity that is about to be made; by reflection, see Sources.</summary>
        public static bool WillBeSampled(ActivityTraceId trace, ActivitySpanId parent, ActivityTraceFlags parentFlags)
        {
            Activity current = Activity.Current;
            if (IsW3C(current) && current.SpanId.Equals(parent))
            {
                return IsSampled(current);
            }
            return parent.ToHexString() == NoSpan ? sampling.Keeps(trace.ToHexString()) : (parentFlags & ActivityTraceFlags.Recorded) != 0;
        }

        /// <summary>The span that work below this activity has as its parent: itself, or the next one above that is reported, or the
        /// caller's; null where there is none.</summary>
        public static string SpanOf(Activity activity)
        {
            Activity at = activity;
            for (int depth = 0; depth < Deepest; depth++)
            {
                if (IsReported(at))
                {
                    return at.SpanId.ToHexString();
                }
                if (at.Parent == null || at.Parent.IdFormat != ActivityIdFormat.W3C)
                {
                    break;
                }
                at = at.Parent;
            }
            return Outside(at);
        }

        /// <summary>Calls of HttpClient are not remembered one by one: they are all reported, or none.</summary>
        private static bool IsReported(Activity activity)
        {
            Exchange known = Of(activity);
            return known != null ? known.Reported : Reports(3) && activity.OperationName == HttpClientObserver.Activities;
        }

        /// <summary>Are spans of this kind ours to report?</summary>
        public static bool Reports(int kind)
        {
            return settings.Traces && settings.Kinds[kind];
        }

        /// <summary>The span of the caller in another process.</summary>
        private static string Outside(Activity activity)
        {
            Exchange known = Of(activity);
            string outside = activity.ParentSpanId.ToHexString();
            return outside == NoSpan || known != null && known.Begins ? null : outside;
        }

        /// <summary>The parent's span for an activity of ours.</summary>
        public static string ParentOf(Activity activity)
        {
            if (activity.Parent != null && activity.Parent.IdFormat == ActivityIdFormat.W3C)
            {
                return SpanOf(activity.Parent);
            }
            return Outside(activity);
        }

        public static bool IsKept(Exchange exchange)
        {
            return exchange.Sampled && exchange.Reported;
        }

        /// <summary>A span of it, with the ids and times known; the caller names it and sends it by `Send`.</summary>
        public static Span End(Exchange exchange, string scope)
        {
            if (exchange.Activity != null)
            {
                return End(exchange.Activity, exchange.Kind, scope);
            }
            return new Span
            {
                Scope = scope,
                Kind = exchange.Kind,
                TraceId = exchange.TraceId,
                SpanId = exchange.SpanId,
                ParentId = exchange.ParentId,
                TraceState = exchange.TraceState,
                Start = exchange.Start,
                End = Clock.Now,
            };
        }

        /// <summary>The same of an activity.</summary>
        public static Span End(Activity activity, int kind, string scope)
        {
            long start = Clock.Nanoseconds(activity.StartTimeUtc);
            return new Span
            {
                Scope = scope,
                Kind = kind,
                TraceId = activity.TraceId.ToHexString(),
                SpanId = activity.SpanId.ToHexString(),
                ParentId = ParentOf(activity),
                TraceState = activity.TraceStateString,
                Start = start,
                End = activity.Duration == TimeSpan.Zero ? Clock.Now : start + activity.Duration.Ticks * 100,
            };
        }

        public static void Send(Span span)
        {
            span.Name = Attributes.Cut(string.IsNullOrEmpty(span.Name) ? "unknown" : span.Name, Attributes.LongestText);
            sender.Add(span);
        }

        public static double Seconds(Exchange exchange)
        {
            return exchange.Activity != null ? Seconds(exchange.Activity) : Math.Max(0, Clock.Now - exchange.Start) / 1e9;
        }

        public static double Seconds(Activity activity)
        {
            return activity.Duration != TimeSpan.Zero ? activity.Duration.TotalSeconds
                : Math.Max(0, Clock.Now - Clock.Nanoseconds(activity.StartTimeUtc)) / 1e9;
        }
    }
}
