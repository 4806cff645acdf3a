using System;
using System.Collections.Concurrent;
using System.Collections.Generic;
using System.Diagnostics;
using System.Reflection;
using System.Runtime.ExceptionServices;
using System.Threading;

namespace Obtrace.Zero
{
    /// <summary>One report of the process and its runtime, by the semantic conventions for .NET (`dotnet.*`) and processes.</summary>
    internal sealed class RuntimeMetrics
    {
        private const string Scope = "obtrace.dotnet.runtime";
        private const int MostTypes = 1000;
        private static readonly ConcurrentDictionary<string, long[]> Exceptions = new ConcurrentDictionary<string, long[]>();
        private static readonly Attributes None = new Attributes();

        private readonly Action<object> add;
        private readonly long started, now;

        public RuntimeMetrics(Action<object> add, long started, long now)
        {
            this.add = add;
            this.started = started;
            this.now = now;
        }

        /// <summary>Counts exceptions from now on, thrown ones, whether or not somebody catches them.</summary>
        public static void Watch()
        {
            AppDomain.CurrentDomain.FirstChanceException += Thrown;
        }

        /// <summary>On this thread an exception is being counted; one of the counting itself is not counted in its turn.</summary>
        [ThreadStatic]
        private static bool counting;

        private static void Thrown(object sender, FirstChanceExceptionEventArgs what)
        {
            if (Sender.Quiet || counting || what.Exception == null)
            {
                return;
            }
            counting = true;
            try
            {
                Count(what.Exception.GetType().FullName ?? "");
            }
            catch (Exception)
            {
                // No memory, perhaps. Nothing may leave this handler: it would end the process.
            }
            finally
            {
                counting = false;
            }
        }

        private static void Count(string type)
        {
            long[] counter;
            if (!Exceptions.TryGetValue(type, out counter))
            {
                counter = Exceptions.GetOrAdd(Exceptions.Count < MostTypes ? type : "", _ => new long[1]);
            }
            Interlocked.Increment(ref counter[0]);
        }

        public void Collect()
        {
            Try(OfProcess);
            Try(OfCollector);
            Try(OfThreads);
            Try(OfCompiler);
            Try(OfExceptions);
            Dropped.Report(delegate(string signal, string reason, long number)
            {
                Whole("obtrace.loader.dropped", "{item}", Point.Counter, number, new Attributes().Add("signal", signal).Add("reason", reason));
            });
        }

        private static void Try(Action report)
        {
            try
            {
                report();
            }
            catch (Exception error)
            {
                Debug.Failed("runtime metrics", error);
            }
        }

        private void OfProcess()
        {
            using (var self = Process.GetCurrentProcess())
            {
                Seconds("process.cpu.time", self.UserProcessorTime, new Attributes().Add("cpu.mode", "user"));
                Seconds("process.cpu.time", self.PrivilegedProcessorTime, new Attributes().Add("cpu.mode", "system"));
                Whole("process.memory.usage", "By", Point.UpDown, self.WorkingSet64, None);
            }
            Whole("dotnet.process.cpu.count", "{cpu}", Point.UpDown, Environment.ProcessorCount, None);
            Whole("dotnet.assembly.count", "{assembly}", Point.UpDown, AppDomain.CurrentDomain.GetAssemblies().Length, None);
        }

        private void OfCollector()
        {
            long younger = 0;
            for (int generation = GC.MaxGeneration; generation >= 0; generation--)
            {
                // A collection of a generation is one of those below it, too; the convention counts it once.
                long all = GC.CollectionCount(generation);
                var attributes = new Attributes().Add("dotnet.gc.heap.generation", "gen" + (char)('0' + generation));
                Whole("dotnet.gc.collections", "{collection}", Point.Counter, all - younger, attributes);
                younger = all;
            }
            Whole("dotnet.gc.heap.total_allocated", "By", Point.Counter, GC.GetTotalAllocatedBytes(false), None);
            object info = typeof(GC).GetMethod("GetGCMemoryInfo", Type.EmptyTypes).Invoke(null, null);
            object committed = Reach.Get(info, "TotalCommittedBytes");
            if (committed is long && (long)committed > 0)
            {
                Whole("dotnet.gc.last_collection.memory.committed_size", "By", Point.UpDown, (long)committed, None);
            }
            MethodInfo pause = typeof(GC).GetMethod("GetTotalPauseDuration", Type.EmptyTypes);
            if (pause != null)
            {
                Seconds("dotnet.gc.pause.time", (TimeSpan)pause.Invoke(null, null), None);
            }
        }

        private void OfThreads()
        {
            Whole("dotnet.thread_pool.thread.count", "{thread}", Point.UpDown, ThreadPool.ThreadCount, None);
            Whole("dotnet.thread_pool.work_item.count", "{work_item}", Point.Counter, ThreadPool.CompletedWorkItemCount, None);
            Whole("dotnet.thread_pool.queue.length", "{work_item}", Point.UpDown, ThreadPool.PendingWorkItemCount, None);
            Whole("dotnet.monitor.lock_contentions", "{contention}", Point.Counter, Monitor.LockContentionCount, None);
            Whole("dotnet.timer.count", "{timer}", Point.UpDown, Timer.ActiveCount, None);
        }

        /// <summary>JitInfo, .NET 6 and later.</summary>
        private void OfCompiler()
        {
            Type info = typeof(object).Assembly.GetType("System.Runtime.JitInfo");
            if (info == null)
            {
                return;
            }
            var all = new object[] { false };
            Whole("dotnet.jit.compiled_methods", "{method}", Point.Counter, (long)info.GetMethod("GetCompiledMethodCount").Invoke(null, all), None);
            Whole("dotnet.jit.compiled_il.size", "By", Point.Counter, (long)info.GetMethod("GetCompiledILBytes").Invoke(null, all), None);
            Seconds("dotnet.jit.compilation.time", (TimeSpan)info.GetMethod("GetCompilationTime").Invoke(null, all), None);
        }

        private void OfExceptions()
        {
            foreach (var pair in Exceptions)
            {
                var attributes = pair.Key.Length == 0 ? new Attributes().Add("otel.metric.overflow", true) : new Attributes().Add("error.type", pair.Key);
                Whole("dotnet.exceptions", "{exception}", Point.Counter, Interlocked.Read(ref pair.Value[0]), attributes);
            }
        }

        private void Whole(string name, string unit, string form, long number, Attributes attributes)
        {
            byte[] json = Head(attributes).Raw(",\"asInt\":").Long(number).Raw('}').ToArray();
            add(new Point { Scope = Scope, Name = name, Unit = unit, Form = form, Json = json });
        }

        private void Seconds(string name, TimeSpan time, Attributes attributes)
        {
            byte[] json = Head(attributes).Raw(",\"asDouble\":").Double(time.TotalSeconds).Raw('}').ToArray();
            add(new Point { Scope = Scope, Name = name, Unit = "s", Form = Point.Counter, Json = json });
        }

        private Json Head(Attributes attributes)
        {
            return new Json(256).Raw('{').Pairs(attributes).Raw(",\"startTimeUnixNano\":").Long(started).Raw(",\"timeUnixNano\":").Long(now);
        }
    }
}
