using System;
using System.Threading;

namespace Obtrace.Zero
{
    /// <summary>The one thread that sends: batches when they are due, metrics by the clock, all that is left at the end.</summary>
    internal sealed class Sender
    {
        private const int RequestTime = 5000;
        private const int BatchTime = 2000;
        private const int StackSize = 256 * 1024;
        /// <summary>The contract gives the end 2 s in all; a little of it belongs to the runtime.</summary>
        private const int EndTime = 1850;
        private const int LongestSleep = 60000;

        /// <summary>True on the sender's thread: what happens there is no business of the application's telemetry.</summary>
        [ThreadStatic]
        public static bool Quiet;

        private readonly Settings settings;
        private readonly Attributes resource;
        private readonly Connection connection;
        private readonly AutoResetEvent wake = new AutoResetEvent(false);
        private readonly ManualResetEventSlim ended = new ManualResetEventSlim(false);
        private readonly Channel spans, records, points;
        private long metricsAt, endBy;
        /// <summary>0 at work, 1 told to end, 2 everything was sent that could be.</summary>
        private int end;
        private bool lastReport;

        public Sender(Settings settings, Attributes resource)
        {
            this.settings = settings;
            this.resource = resource;
            connection = new Connection(settings);
            spans = new Channel("traces", wake, BatchTime);
            records = new Channel("logs", wake, BatchTime);
            points = new Channel("metrics", wake, 0);
            metricsAt = Environment.TickCount64 + settings.MetricInterval * 1000L;
        }

        public void Start()
        {
            var thread = new Thread(Run, StackSize) { IsBackground = true, Name = "obtrace" };
            thread.Start();
        }

        public void Add(Span span)
        {
            spans.Add(span);
        }

        public void Add(Record record)
        {
            records.Add(record);
        }

        /// <summary>Sends what is queued and a last report of metrics. Waits until that is done, at most until the time of the end is over,
        /// which begins with the first call.</summary>
        public void Finish()
        {
            if (Interlocked.CompareExchange(ref end, 1, 0) == 0)
            {
                Volatile.Write(ref endBy, Environment.TickCount64 + EndTime);
            }
            else if (Interlocked.CompareExchange(ref end, 1, 2) == 2)
            {
                ended.Reset();
            }
            wake.Set();
            long by = Volatile.Read(ref endBy);
            ended.Wait((int)Math.Max(0, (by == 0 ? Environment.TickCount64 + EndTime : by) - Environment.TickCount64));
        }

        private void Run()
        {
            Quiet = true;
            while (true)
            {
                try
                {
                    if (Volatile.Read(ref end) == 1)
                    {
                        SendRest();
                        Interlocked.CompareExchange(ref end, 2, 1);
                        ended.Set();
                    }
                    wake.WaitOne((int)Math.Min(LongestSleep, DueIn()));
                    if (Volatile.Read(ref end) != 1)
                    {
                        SendDue();
                    }
                }
                catch (Exception error)
                {
                    Debug.Failed("the sender", error);
                    Thread.Sleep(100);
                }
            }
        }

        private long DueIn()
        {
            long now = Environment.TickCount64;
            long due = Math.Min(spans.DueIn(now), Math.Min(records.DueIn(now), points.DueIn(now)));
            return settings.Metrics ? Math.Min(due, Math.Max(0, metricsAt - now)) : due;
        }

        private void SendDue()
        {
            if (Volatile.Read(ref end) == 0)
            {
                Agent.StayLast();
            }
            if (settings.Metrics && Environment.TickCount64 >= metricsAt)
            {
                metricsAt = Environment.TickCount64 + settings.MetricInterval * 1000L;
                Collect();
            }
            foreach (Channel channel in new[] { spans, records, points })
            {
                if (channel.DueIn(Environment.TickCount64) == 0 && Volatile.Read(ref end) != 1)
                {
                    channel.Send(connection, resource, RequestTime);
                }
            }
        }

        /// <summary>Numbers only grow: while older ones are still on their way, newer ones would say the same again.</summary>
        private void Collect()
        {
            if (points.IsEmpty && !Agent.Retired)
            {
                Meters.Collect(points.Add);
            }
        }

        private void SendRest()
        {
            if (settings.Metrics && !lastReport)
            {
                lastReport = true;
                Collect();
            }
            foreach (Channel channel in new[] { spans, records, points })
            {
                while (!channel.IsEmpty)
                {
                    int left = (int)(Volatile.Read(ref endBy) - Environment.TickCount64);
                    if (left <= 0 || !channel.Send(connection, resource, left))
                    {
                        return;
                    }
                }
            }
        }
    }
}
