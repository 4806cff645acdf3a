using System;
using System.Collections;
using System.Collections.Generic;
using System.Diagnostics;
using System.Globalization;

namespace Obtrace.Zero
{
    /// <summary>The span of an ActivitySource's activity, from what the library wrote into it.</summary>
    internal static class SourceSpan
    {
        public static void End(Exchange exchange, Activity activity, string source)
        {
            var given = new Tags(Reach.Get(activity, "TagObjects") as IEnumerable<KeyValuePair<string, object>>);
            bool failed = Reach.Text(activity, "Status") == "Error" || (given.Text("otel.status_code") ?? "").ToUpperInvariant() == "ERROR";
            Database database = exchange.Kind == 3 ? given.Database() : null;
            if (database != null && database.IsOperation)
            {
                database.Error = failed ? given.Text("error.type") ?? ExceptionOf(activity) ?? "_OTHER" : null;
                database.Count(Traces.Seconds(exchange));
            }
            if (!Traces.IsKept(exchange))
            {
                return;
            }
            Span span = Traces.End(exchange, source);
            Events(span, Reach.Get(activity, "Events") as IEnumerable);
            Links(span, Reach.Get(activity, "Links") as IEnumerable);
            span.Name = Reach.Text(activity, "DisplayName") ?? activity.OperationName;
            span.Failed = failed;
            span.Message = Reach.Text(activity, "StatusDescription") ?? given.Text("otel.status_description");
            if (database != null)
            {
                database.Describe(span.Attributes);
                span.Name = database.IsOperation ? database.Name : span.Name;
            }
            else if (!Grpc.Describe(span, given.Text("grpc.method"), given.Text("grpc.status_code")))
            {
                given.CopyTo(span.Attributes);
            }
            Traces.Send(span);
        }

        private static string ExceptionOf(Activity activity)
        {
            foreach (object item in Reach.Get(activity, "Events") as IEnumerable ?? new object[0])
            {
                if (Reach.Text(item, "Name") == "exception")
                {
                    return new Tags(Reach.Get(item, "Tags") as IEnumerable<KeyValuePair<string, object>>).Text("exception.type");
                }
            }
            return null;
        }

        private static void Events(Span span, IEnumerable events)
        {
            foreach (object item in events ?? new object[0])
            {
                object time = Reach.Get(item, "Timestamp");
                var attributes = new Attributes();
                new Tags(Reach.Get(item, "Tags") as IEnumerable<KeyValuePair<string, object>>).CopyTo(attributes);
                long nanoseconds = time is DateTimeOffset ? Clock.Nanoseconds(((DateTimeOffset)time).UtcDateTime) : span.End;
                span.AddEvent(new Event { Name = Reach.Text(item, "Name") ?? "", Time = nanoseconds, Attributes = attributes });
            }
        }

        private static void Links(Span span, IEnumerable links)
        {
            foreach (object item in links ?? new object[0])
            {
                object context = Reach.Get(item, "Context");
                if (context == null)
                {
                    continue;
                }
                var attributes = new Attributes();
                new Tags(Reach.Get(item, "Tags") as IEnumerable<KeyValuePair<string, object>>).CopyTo(attributes);
                span.AddLink(new Link { TraceId = Reach.Text(context, "TraceId"), SpanId = Reach.Text(context, "SpanId"), Attributes = attributes });
            }
        }
    }

    /// <summary>The tags of an activity.</summary>
    internal sealed class Tags
    {
        private readonly IEnumerable<KeyValuePair<string, object>> pairs;

        public Tags(IEnumerable<KeyValuePair<string, object>> given)
        {
            pairs = given ?? new KeyValuePair<string, object>[0];
        }

        public string Text(string key)
        {
            foreach (var pair in pairs)
            {
                if (pair.Key == key)
                {
                    return Attributes.TextOf(pair.Value);
                }
            }
            return null;
        }

        public void CopyTo(Attributes attributes)
        {
            foreach (var pair in pairs)
            {
                if (pair.Key == "exception.stacktrace")
                {
                    attributes.AddStack(Text(pair.Key));
                }
                else if (!pair.Key.StartsWith("otel.status", StringComparison.Ordinal))
                {
                    attributes.Add(pair.Key, pair.Value);
                }
            }
        }

        /// <summary>Databases whose statements are no SQL: nobody here knows which words of them are values.</summary>
        private static readonly string[] Otherwise =
        {
            "mongo", "redis", "valkey", "elastic", "opensearch", "cosmos", "couch", "dynamo", "neo4j", "memcached", "hbase", "geode", "influx",
        };

        private static bool SpeaksSql(string system)
        {
            return system == null || !Array.Exists(Otherwise, it => system.IndexOf(it, StringComparison.OrdinalIgnoreCase) >= 0);
        }

        /// <summary>A database call by the conventions of before and after 1.26; null where it is none. Connection strings, users and
        /// parameters are left where they are.</summary>
        public Database Database()
        {
            string system = Text("db.system.name") ?? Text("db.system");
            string statement = Text("db.query.text") ?? Text("db.statement");
            if (system == null && statement == null)
            {
                return null;
            }
            var database = new Database { System = system == "mssql" ? "microsoft.sql_server" : system ?? "other_sql" };
            database.Namespace = Text("db.namespace") ?? Text("db.name");
            database.Host = Text("server.address") ?? Text("net.peer.name");
            int port;
            string told = Text("server.port") ?? Text("net.peer.port");
            database.Port = int.TryParse(told, NumberStyles.None, CultureInfo.InvariantCulture, out port) ? port : 0;
            database.Code = Text("db.response.status_code");
            string operation = Text("db.operation.name") ?? Text("db.operation");
            string collection = Text("db.collection.name") ?? Text("db.sql.table") ?? Text("db.stored_procedure.name");
            if (collection == null && operation == "CALL")
            {
                // Npgsql up to 9: the statement is the procedure's name.
                collection = statement;
            }
            if (statement != null && collection == null && SpeaksSql(system))
            {
                database.Statement(statement);
            }
            if (operation != null)
            {
                database.Named(operation, collection);
            }
            return database;
        }
    }
}
