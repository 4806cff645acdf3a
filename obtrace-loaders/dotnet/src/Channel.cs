using System;
using System.Collections.Concurrent;
using System.Collections.Generic;
using System.Threading;

namespace Obtrace.Zero
{
    /// <summary>The queue of one signal and the batch that is on its way. Anybody adds; the sender's thread does the rest.</summary>
    internal sealed class Channel
    {
        public const int LargestBatch = 500;
        private const int Capacity = 5000;
        private const int FirstPause = 2000;
        private const int Attempts = 3;

        public readonly string Signal;
        private readonly ConcurrentQueue<object> queue = new ConcurrentQueue<object>();
        private readonly AutoResetEvent wake;
        private readonly int delay;
        private int count;
        private long firstAt;
        private readonly Json batch = new Json(4096);
        /// <summary>Items of the batch on its way; 0: there is none.</summary>
        private int batchItems;
        private int attempts;
        private long againAt;

        /// <param name="delay">Milliseconds that a batch waits for more items.</param>
        public Channel(string signal, AutoResetEvent wake, int delay)
        {
            Signal = signal;
            this.wake = wake;
            this.delay = delay;
        }

        public bool IsEmpty
        {
            get { return batchItems == 0 && Volatile.Read(ref count) == 0; }
        }

        public void Add(object item)
        {
            int now = Interlocked.Increment(ref count);
            if (now > Capacity)
            {
                Interlocked.Decrement(ref count);
                Dropped.Add(Signal, Dropped.QueueFull, 1);
                return;
            }
            if (now == 1)
            {
                Volatile.Write(ref firstAt, Environment.TickCount64);
            }
            queue.Enqueue(item);
            if (now == 1 || now == LargestBatch)
            {
                wake.Set();
            }
        }

        /// <summary>Milliseconds until there is something to do.</summary>
        public long DueIn(long now)
        {
            if (batchItems > 0)
            {
                return Math.Max(0, againAt - now);
            }
            int waiting = Volatile.Read(ref count);
            return waiting >= LargestBatch ? 0 : waiting == 0 ? long.MaxValue : Math.Max(0, Volatile.Read(ref firstAt) + delay - now);
        }

        /// <summary>Sends the batch on its way, or the next one; false where the receiver did not take it.</summary>
        public bool Send(Connection connection, Attributes resource, int milliseconds)
        {
            if (batchItems == 0 && !Take(resource))
            {
                return true;
            }
            attempts++;
            switch (connection.Post(Signal, batch, milliseconds))
            {
                case Outcome.Done:
                    Forget();
                    return true;
                case Outcome.Rejected:
                    Drop(Dropped.Rejected);
                    return true;
                default:
                    if (attempts >= Attempts)
                    {
                        Drop(Dropped.SendFailed);
                    }
                    else
                    {
                        int seconds = Math.Min(30, connection.RetryAfter);
                        againAt = Environment.TickCount64 + (seconds > 0 ? seconds * 1000L : FirstPause * (long)attempts);
                    }
                    return false;
            }
        }

        private bool Take(Attributes resource)
        {
            var items = new List<object>();
            object item;
            while (items.Count < LargestBatch && queue.TryDequeue(out item))
            {
                Interlocked.Decrement(ref count);
                items.Add(item);
            }
            Volatile.Write(ref firstAt, Environment.TickCount64);
            if (items.Count == 0)
            {
                return false;
            }
            attempts = 0;
            try
            {
                Otlp.Body(batch, Signal, resource, items);
            }
            catch (Exception error)
            {
                // What cannot be written now cannot be written later.
                Debug.Failed("writing " + Signal, error);
                Dropped.Add(Signal, Dropped.Rejected, items.Count);
                batch.Clear();
                return false;
            }
            batchItems = items.Count;
            return true;
        }

        private void Drop(string reason)
        {
            Dropped.Add(Signal, reason, batchItems);
            Forget();
        }

        private void Forget()
        {
            batchItems = 0;
            batch.Clear();
        }
    }

    /// <summary>What was dropped, by signal and reason: the metric obtrace.loader.dropped.</summary>
    internal static class Dropped
    {
        public const string QueueFull = "queue_full", SendFailed = "send_failed", Rejected = "rejected";

        private static readonly ConcurrentDictionary<string, long[]> Counts = new ConcurrentDictionary<string, long[]>();

        public static void Add(string signal, string reason, int number)
        {
            Interlocked.Add(ref Counts.GetOrAdd(signal + " " + reason, _ => new long[1])[0], number);
            Debug.Say("dropping " + signal + ": " + reason);
        }

        public static void Report(Action<string, string, long> report)
        {
            foreach (var pair in Counts)
            {
                string[] words = pair.Key.Split(' ');
                report(words[0], words[1], Interlocked.Read(ref pair.Value[0]));
            }
        }
    }
}
