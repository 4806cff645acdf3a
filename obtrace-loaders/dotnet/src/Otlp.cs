using System;
using System.Collections.Generic;
using System.Text.Json;

namespace Obtrace.Zero
{
    /// <summary>OTLP JSON bodies of batches.</summary>
    internal static class Otlp
    {
        public static void Body(Json json, string signal, Attributes resource, IEnumerable<object> items)
        {
            string title = signal == "traces" ? "Spans" : signal == "logs" ? "Logs" : "Metrics";
            json.Raw("{\"resource").Raw(title).Raw("\":[{\"resource\":{").Pairs(resource).Raw("},\"scope").Raw(title).Raw("\":[");
            bool first = true;
            foreach (var scope in ByScope(items))
            {
                json.Raw(first ? "{\"scope\":{\"name\":" : ",{\"scope\":{\"name\":");
                first = false;
                json.Text(scope.Key).Raw(scope.Key.StartsWith("obtrace.", StringComparison.Ordinal) ? ",\"version\":\"" + Resource.Version + "\"}," : "},");
                json.Raw(signal == "traces" ? "\"spans\":[" : signal == "logs" ? "\"logRecords\":[" : "\"metrics\":[");
                if (signal == "metrics")
                {
                    Metrics(json, scope.Value);
                }
                else
                {
                    List(json, scope.Value);
                }
                json.Raw("]}");
            }
            json.Raw("]}]}");
        }

        private static Dictionary<string, List<object>> ByScope(IEnumerable<object> items)
        {
            var scopes = new Dictionary<string, List<object>>();
            foreach (object item in items)
            {
                var span = item as Span;
                var record = item as Record;
                string name = span != null ? span.Scope : record != null ? record.Scope : ((Point)item).Scope;
                List<object> list;
                if (!scopes.TryGetValue(name, out list))
                {
                    scopes[name] = list = new List<object>();
                }
                list.Add(item);
            }
            return scopes;
        }

        private static void List(Json json, List<object> items)
        {
            for (int i = 0; i < items.Count; i++)
            {
                if (i > 0)
                {
                    json.Raw(',');
                }
                var span = items[i] as Span;
                if (span != null)
                {
                    One(json, span);
                }
                else
                {
                    One(json, (Record)items[i]);
                }
            }
        }

        private static void One(Json json, Span span)
        {
            json.Raw("{\"traceId\":\"").Raw(span.TraceId).Raw("\",\"spanId\":\"").Raw(span.SpanId).Raw("\",");
            if (span.ParentId != null)
            {
                json.Raw("\"parentSpanId\":\"").Raw(span.ParentId).Raw("\",");
            }
            if (!string.IsNullOrEmpty(span.TraceState))
            {
                json.Key("traceState").Text(span.TraceState).Raw(',');
            }
            json.Raw("\"flags\":1,\"name\":");
            json.Text(span.Name).Raw(",\"kind\":").Raw((char)('0' + span.Kind));
            json.Raw(",\"startTimeUnixNano\":").Long(span.Start);
            json.Raw(",\"endTimeUnixNano\":").Long(Math.Max(span.Start, span.End)).Raw(',');
            json.Pairs(span.Attributes);
            Many(json, "events", span.Events, delegate(Event item)
            {
                json.Raw("{\"timeUnixNano\":").Long(item.Time);
                json.Raw(",\"name\":").Text(item.Name).Raw(',').Pairs(item.Attributes).Raw('}');
            });
            Many(json, "links", span.Links, delegate(Link item)
            {
                json.Raw("{\"traceId\":\"").Raw(item.TraceId).Raw("\",\"spanId\":\"").Raw(item.SpanId).Raw("\",");
                json.Pairs(item.Attributes).Raw('}');
            });
            json.Raw(",\"status\":{").Raw(span.Failed ? "\"code\":2" : "");
            if (span.Failed && !string.IsNullOrEmpty(span.Message))
            {
                json.Raw(",\"message\":").Text(span.Message);
            }
            json.Raw("}}");
        }

        private static void Many<T>(Json json, string name, List<T> items, Action<T> write)
        {
            if (items == null)
            {
                return;
            }
            json.Raw(',').Key(name).Raw('[');
            for (int i = 0; i < items.Count; i++)
            {
                if (i > 0)
                {
                    json.Raw(',');
                }
                write(items[i]);
            }
            json.Raw(']');
        }

        private static void One(Json json, Record record)
        {
            json.Raw("{\"timeUnixNano\":").Long(record.Time);
            json.Raw(",\"observedTimeUnixNano\":").Long(record.Time);
            json.Raw(",\"severityNumber\":").Number(record.Severity);
            json.Raw(",\"severityText\":").Text(record.SeverityText);
            json.Raw(",\"body\":{\"stringValue\":").Text(record.Body).Raw("},");
            if (record.TraceId != null)
            {
                json.Raw("\"traceId\":\"").Raw(record.TraceId).Raw("\",\"spanId\":\"").Raw(record.SpanId);
                json.Raw("\",\"flags\":").Raw(record.Sampled ? "1," : "0,");
            }
            json.Pairs(Attached(record)).Raw('}');
        }

        /// <summary>Where System.Text.Json is not there, in an application that was trimmed, the record goes without its exception.</summary>
        private static Attributes Attached(Record record)
        {
            try
            {
                return ExceptionOf(record.ExceptionJson);
            }
            catch (Exception error)
            {
                Debug.Failed("reading an exception", error);
                return new Attributes();
            }
        }

        /// <summary>The logging library writes TypeName, Message and VerboseMessage; `{}` where there is no exception.</summary>
        private static Attributes ExceptionOf(string text)
        {
            var attributes = new Attributes();
            if (string.IsNullOrEmpty(text) || text == "{}")
            {
                return attributes;
            }
            try
            {
                using (JsonDocument document = JsonDocument.Parse(text))
                {
                    attributes.Add("exception.type", Member(document.RootElement, "TypeName"));
                    attributes.Add("exception.message", Member(document.RootElement, "Message"));
                    attributes.AddStack(Member(document.RootElement, "VerboseMessage"));
                }
            }
            catch (JsonException)
            {
                // Cut off, or not by that library: the record goes without.
            }
            return attributes;
        }

        private static string Member(JsonElement element, string name)
        {
            JsonElement value;
            return element.ValueKind == JsonValueKind.Object && element.TryGetProperty(name, out value) && value.ValueKind == JsonValueKind.String
                ? value.GetString() : null;
        }

        /// <summary>Points that follow each other and are of the same metric share its head.</summary>
        private static void Metrics(Json json, List<object> points)
        {
            Point last = null;
            foreach (Point point in points)
            {
                if (last != null && last.Name == point.Name)
                {
                    json.Raw(',').Raw(point.Json);
                    continue;
                }
                json.Raw(last == null ? "{\"name\":" : "]}},{\"name\":").Text(point.Name);
                json.Raw(",\"unit\":").Text(point.Unit).Raw(Head(point.Form)).Raw("\"dataPoints\":[").Raw(point.Json);
                last = point;
            }
            json.Raw("]}}");
        }

        private static string Head(string form)
        {
            switch (form)
            {
                case Point.Counter: return ",\"sum\":{\"aggregationTemporality\":2,\"isMonotonic\":true,";
                case Point.UpDown: return ",\"sum\":{\"aggregationTemporality\":2,\"isMonotonic\":false,";
                default: return ",\"histogram\":{\"aggregationTemporality\":2,";
            }
        }
    }
}
