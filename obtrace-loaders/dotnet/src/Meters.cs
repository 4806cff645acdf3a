using System;
using System.Collections.Concurrent;
using System.Collections.Generic;

namespace Obtrace.Zero
{
    /// <summary>A histogram of durations in seconds, by attributes; cumulative.</summary>
    internal sealed class Histogram
    {
        private const int MostSets = 1000;

        private sealed class Series
        {
            public Attributes Attributes;
            public long Count;
            public double Sum, Least = double.MaxValue, Largest;
            public long[] Buckets;
        }

        private readonly string scope, name;
        private readonly double[] bounds;
        private readonly ConcurrentDictionary<string, Series> sets = new ConcurrentDictionary<string, Series>();
        private readonly Series overflow;
        /// <summary>There are as many sets as there may be: what is new goes to the overflow, without asking how many there are, which stops
        /// everybody.</summary>
        private volatile bool full;

        public Histogram(string scope, string name, double[] bounds)
        {
            this.scope = scope;
            this.name = name;
            this.bounds = bounds;
            overflow = Empty(new Attributes().Add("otel.metric.overflow", true));
        }

        private Series Empty(Attributes attributes)
        {
            return new Series { Attributes = attributes, Buckets = new long[bounds.Length + 1] };
        }

        /// <param name="key">Tells the sets of attributes apart.</param>
        /// <returns>False where the set is new: call `Add` with its attributes.</returns>
        public bool Record(string key, double seconds)
        {
            Series series;
            if (!sets.TryGetValue(key, out series))
            {
                series = full ? overflow : null;
            }
            if (series != null)
            {
                Count(series, seconds);
            }
            return series != null;
        }

        /// <summary>A duration of a set that is new.</summary>
        public void Add(string key, Attributes attributes, double seconds)
        {
            full = sets.Count >= MostSets;
            Count(full ? overflow : sets.GetOrAdd(key, Empty(attributes)), seconds);
        }

        private void Count(Series series, double seconds)
        {
            int bucket = 0;
            while (bucket < bounds.Length && seconds > bounds[bucket])
            {
                bucket++;
            }
            lock (series)
            {
                series.Count++;
                series.Sum += seconds;
                series.Least = Math.Min(series.Least, seconds);
                series.Largest = Math.Max(series.Largest, seconds);
                series.Buckets[bucket]++;
            }
        }

        public void Collect(Action<Point> report, long started, long now)
        {
            foreach (var pair in sets)
            {
                report(Write(pair.Value, started, now));
            }
            if (overflow.Count > 0)
            {
                report(Write(overflow, started, now));
            }
        }

        private Point Write(Series series, long started, long now)
        {
            var json = new Json(1024).Raw('{').Pairs(series.Attributes);
            json.Raw(",\"startTimeUnixNano\":").Long(started).Raw(",\"timeUnixNano\":").Long(now);
            lock (series)
            {
                json.Raw(",\"count\":").Long(series.Count);
                json.Raw(",\"sum\":").Double(series.Sum);
                json.Raw(",\"min\":").Double(series.Least);
                json.Raw(",\"max\":").Double(series.Largest);
                json.Raw(",\"bucketCounts\":[");
                for (int i = 0; i < series.Buckets.Length; i++)
                {
                    (i == 0 ? json : json.Raw(',')).Long(series.Buckets[i]);
                }
            }
            json.Raw("],\"explicitBounds\":[");
            for (int i = 0; i < bounds.Length; i++)
            {
                (i == 0 ? json : json.Raw(',')).Double(bounds[i]);
            }
            json.Raw("]}");
            return new Point { Scope = scope, Name = name, Unit = "s", Form = Point.Histogram, Json = json.ToArray() };
        }
    }

    /// <summary>The metrics of the contract, section 8.</summary>
    internal static class Meters
    {
        private static readonly double[] HttpBounds = { 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10 };
        private static readonly double[] DatabaseBounds = { 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10 };
        private static readonly long Started = Clock.Now;

        public static readonly Histogram Server = new Histogram("obtrace.dotnet.aspnetcore", "http.server.request.duration", HttpBounds);
        public static readonly Histogram Client = new Histogram("obtrace.dotnet.httpclient", "http.client.request.duration", HttpBounds);
        public static readonly Histogram Database = new Histogram("obtrace.dotnet.database", "db.client.operation.duration", DatabaseBounds);

        public static void Collect(Action<object> add)
        {
            long now = Clock.Now;
            Server.Collect(add, Started, now);
            Client.Collect(add, Started, now);
            Database.Collect(add, Started, now);
            new RuntimeMetrics(add, Started, now).Collect();
        }
    }
}
