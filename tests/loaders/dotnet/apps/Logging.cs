// Records as Microsoft.Extensions.Logging writes them into its EventSource, without that package, which cannot be had where this is tested.
// What is recorded here: the source's name, keywords, events and payloads (LoggingEventSource, before 5.0 and now), the order of EventSourceLogger, and
// that it is on only where a listener asks for `UseAppFilters`. README.md says in which versions of these files that was read. `Logging.dll old|new`.

using System;
using System.Diagnostics;
using System.Diagnostics.Tracing;
using System.Threading;

[EventSource(Name = "Microsoft-Extensions-Logging")]
public sealed class OldSource : EventSource
{
    public string Filter;

    public OldSource() : base(EventSourceSettings.EtwSelfDescribingEventFormat)
    {
    }

    protected override void OnEventCommand(EventCommandEventArgs command)
    {
        Filter = command.Arguments != null && command.Arguments.TryGetValue("FilterSpecs", out var filter) ? filter : "";
    }

    [Event(1, Keywords = (EventKeywords)4, Level = EventLevel.LogAlways)]
    public void FormattedMessage(int Level, int FactoryID, string LoggerName, string EventId, string FormattedMessage)
    {
        WriteEvent(1, Level, FactoryID, LoggerName, EventId, FormattedMessage);
    }

    [Event(5, Keywords = (EventKeywords)8, Level = EventLevel.LogAlways)]
    public void MessageJson(int Level, int FactoryID, string LoggerName, string EventId, string ExceptionJson, string ArgumentsJson)
    {
        WriteEvent(5, Level, FactoryID, LoggerName, EventId, ExceptionJson, ArgumentsJson);
    }
}

[EventSource(Name = "Microsoft-Extensions-Logging")]
public sealed class NewSource : EventSource
{
    public string Filter;

    public NewSource() : base(EventSourceSettings.EtwSelfDescribingEventFormat)
    {
    }

    protected override void OnEventCommand(EventCommandEventArgs command)
    {
        Filter = command.Arguments != null && command.Arguments.TryGetValue("FilterSpecs", out var filter) ? filter : "";
    }

    [Event(1, Keywords = (EventKeywords)4, Level = EventLevel.LogAlways, Version = 2)]
    public void FormattedMessage(int Level, int FactoryID, string LoggerName, int EventId, string EventName, string FormattedMessage,
        string ActivityTraceId, string ActivitySpanId, string ActivityTraceFlags)
    {
        WriteEvent(1, Level, FactoryID, LoggerName, EventId, EventName, FormattedMessage, ActivityTraceId, ActivitySpanId, ActivityTraceFlags);
    }

    [Event(5, Keywords = (EventKeywords)8, Level = EventLevel.LogAlways, Version = 2)]
    public void MessageJson(int Level, int FactoryID, string LoggerName, int EventId, string EventName, string ExceptionJson, string ArgumentsJson,
        string FormattedMessage, string ActivityTraceId, string ActivitySpanId, string ActivityTraceFlags)
    {
        WriteEvent(5, Level, FactoryID, LoggerName, EventId, EventName, ExceptionJson, ArgumentsJson, FormattedMessage, ActivityTraceId, ActivitySpanId,
            ActivityTraceFlags);
    }
}

public static class Logging
{
    private const string Failure = "{\"TypeName\":\"System.TimeoutException\",\"Message\":\"too late\",\"HResult\":\"0\",\"VerboseMessage\":\"System.TimeoutException: too late\\n   at Shop\"}";
    private static OldSource older;
    private static NewSource newer;

    private static void Say(int level, string logger, string text, string exception = "{}")
    {
        // The order of EventSourceLogger.Log: the text first, then JSON.
        if (older != null)
        {
            if (older.IsEnabled(EventLevel.LogAlways, (EventKeywords)4))
            {
                older.FormattedMessage(level, 1, logger, "0", text);
            }
            if (older.IsEnabled(EventLevel.LogAlways, (EventKeywords)8))
            {
                older.MessageJson(level, 1, logger, "0", exception, "{}");
            }
            return;
        }
        if (newer.IsEnabled(EventLevel.LogAlways, (EventKeywords)4))
        {
            newer.FormattedMessage(level, 1, logger, 0, "", text, "", "", "");
        }
        if (newer.IsEnabled(EventLevel.LogAlways, (EventKeywords)8))
        {
            newer.MessageJson(level, 1, logger, 0, "", exception, "{}", text, "", "", "");
        }
    }

    public static int Main(string[] words)
    {
        older = words[0] == "old" ? new OldSource() : null;
        newer = words[0] == "old" ? null : new NewSource();
        string[] levels = { "trace", "debug", "information", "warning", "error", "critical" };
        for (int level = 0; level < levels.Length; level++)
        {
            Say(level, "Shop.Levels", "at " + levels[level]);
        }
        Activity.Current = null;
        var activity = new Activity("work").Start();
        Say(2, "Shop.Orders", "order 7 \"taken\"\n\u0001 größe \ud83d\ude00");
        Say(4, "Shop.Orders", "order 8 failed", Failure);
        Say(2, "Shop.Orders", new string('x', 20000));
        Console.WriteLine(activity.TraceId.ToHexString() + " " + activity.SpanId.ToHexString() + " " + (older == null ? newer.Filter : older.Filter));
        return 0;
    }
}
