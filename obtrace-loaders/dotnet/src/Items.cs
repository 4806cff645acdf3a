using System;
using System.Collections.Generic;

namespace Obtrace.Zero
{
    /// <summary>A span that ended.</summary>
    internal sealed class Span
    {
        public string Scope, TraceId, SpanId, ParentId, TraceState, Name;
        public int Kind;
        public long Start, End;
        public bool Failed;
        public string Message;
        public readonly Attributes Attributes = new Attributes();
        public List<Event> Events;
        public List<Link> Links;

        public const int MostEvents = 32, MostLinks = 32;

        public void AddEvent(Event item)
        {
            Events = Events ?? new List<Event>();
            if (Events.Count < MostEvents)
            {
                Events.Add(item);
            }
        }

        public void AddLink(Link item)
        {
            Links = Links ?? new List<Link>();
            if (Links.Count < MostLinks)
            {
                Links.Add(item);
            }
        }

        public void AddException(Exception error, long time)
        {
            var attributes = new Attributes().Add("exception.type", error.GetType().FullName);
            attributes.Add("exception.message", Said(() => error.Message)).AddStack(Said(error.ToString));
            AddEvent(new Event { Name = "exception", Time = time, Attributes = attributes });
        }

        /// <summary>What an exception says may be the application's code, which may throw in its turn.</summary>
        private static string Said(Func<string> text)
        {
            try
            {
                return text();
            }
            catch (Exception)
            {
                return null;
            }
        }
    }

    internal sealed class Event
    {
        public string Name;
        public long Time;
        public Attributes Attributes;
    }

    internal sealed class Link
    {
        public string TraceId, SpanId;
        public Attributes Attributes;
    }

    /// <summary>What a logger said.</summary>
    internal sealed class Record
    {
        public const int LongestBody = 16384;

        public string Scope, Body, SeverityText, TraceId, SpanId;
        public int Severity;
        public bool Sampled;
        public long Time;
        /// <summary>The exception as the logging library writes it; read by the sender.</summary>
        public string ExceptionJson;
    }

    /// <summary>A data point of a metric, written already.</summary>
    internal sealed class Point
    {
        public string Scope, Name, Unit, Form;
        public byte[] Json;

        public const string Counter = "counter", UpDown = "updown", Histogram = "histogram";
    }

    internal static class Clock
    {
        private const long Epoch = 621355968000000000L;

        public static long Nanoseconds(DateTime time)
        {
            return (time.ToUniversalTime().Ticks - Epoch) * 100;
        }

        public static long Now
        {
            get { return (DateTime.UtcNow.Ticks - Epoch) * 100; }
        }
    }
}
