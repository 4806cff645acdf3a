using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Diagnostics.Tracing;
using System.Globalization;

namespace Obtrace.Zero
{
    /// <summary>
    /// What the application says by ILogger, at the levels it set: the EventSource Microsoft-Extensions-Logging, which the generic host and
    /// ASP.NET Core's builders put beside the application's other logging providers (`AddEventSourceLogger`).
    /// </summary>
    internal sealed class LoggerListener : EventListener
    {
        private const string Source = "Microsoft-Extensions-Logging";
        private const EventKeywords Formatted = (EventKeywords)4, WithArguments = (EventKeywords)8;
        private static readonly string[] Levels = { "Trace", "Debug", "Information", "Warning", "Error", "Critical" };
        private static readonly Dictionary<string, string> Filter = new Dictionary<string, string> { { "FilterSpecs", "UseAppFilters" } };

        private static Sender sender;

        /// <summary>The text of the record whose event with the exception comes next; libraries before 5.0 write two events.</summary>
        [ThreadStatic]
        private static string formatted;

        public static void Listen(Sender to)
        {
            sender = to;
            // The runtime's list of listeners keeps it.
            new LoggerListener();
        }

        protected override void OnEventSourceCreated(EventSource source)
        {
            // Called by the base's constructor too: nothing of this object may be used.
            try
            {
                if (source.Name == Source)
                {
                    EnableEvents(source, EventLevel.Verbose, IsWhole(source) ? WithArguments : WithArguments | Formatted, Filter);
                }
            }
            catch (Exception error)
            {
                Debug.Failed("listening to loggers", error);
            }
        }

        /// <summary>Does the event that has the exception have the text as well?</summary>
        private static bool IsWhole(EventSource source)
        {
            var method = source.GetType().GetMethod("MessageJson", System.Reflection.BindingFlags.Instance
                | System.Reflection.BindingFlags.NonPublic | System.Reflection.BindingFlags.Public);
            return method != null && Array.Exists(method.GetParameters(), it => it.Name == "FormattedMessage");
        }

        protected override void OnEventWritten(EventWrittenEventArgs written)
        {
            try
            {
                if (Sender.Quiet || Agent.Retired || written.EventSource.Name != Source || written.Payload == null)
                {
                    return;
                }
                if (written.EventName == "FormattedMessage")
                {
                    formatted = Value(written, "FormattedMessage") as string;
                }
                else if (written.EventName == "MessageJson")
                {
                    Take(written);
                }
            }
            catch (Exception error)
            {
                Debug.Failed("a log record", error);
            }
        }

        private static object Value(EventWrittenEventArgs written, string name)
        {
            int at = written.PayloadNames.IndexOf(name);
            return at < 0 || at >= written.Payload.Count ? null : written.Payload[at];
        }

        private static void Take(EventWrittenEventArgs written)
        {
            string text = Value(written, "FormattedMessage") as string ?? formatted;
            formatted = null;
            int level = Convert.ToInt32(Value(written, "Level") ?? 2, CultureInfo.InvariantCulture);
            if (level < 0 || level >= Levels.Length)
            {
                return;
            }
            string logger = Value(written, "LoggerName") as string;
            var record = new Record
            {
                Time = Clock.Now,
                Severity = Severity(level),
                SeverityText = Levels[level],
                Scope = string.IsNullOrEmpty(logger) ? "ILogger" : logger,
                Body = Attributes.Cut(text ?? "", Record.LongestBody),
                ExceptionJson = Attributes.Cut(Value(written, "ExceptionJson") as string ?? "", 4 * Attributes.LongestStack),
            };
            Activity current = Activity.Current;
            if (Traces.IsW3C(current))
            {
                record.TraceId = current.TraceId.ToHexString();
                record.SpanId = Traces.SpanOf(current) ?? current.SpanId.ToHexString();
                record.Sampled = Traces.IsSampled(current);
            }
            sender.Add(record);
        }

        /// <summary>LogLevel's numbers 0 to 5 in OpenTelemetry's: 1, 5, 9, 13, 17, 21.</summary>
        public static int Severity(int level)
        {
            return 1 + 4 * level;
        }
    }
}
