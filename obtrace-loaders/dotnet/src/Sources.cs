using System;
using System.Diagnostics;
using System.Reflection;

namespace Obtrace.Zero
{
    /// <summary>
    /// ActivitySources of libraries and applications (.NET 5 and later, or System.Diagnostics.DiagnosticSource 5 beside the application).
    /// The types do not exist where this assembly is compiled for: they are found by their names, and generics stand for them.
    /// </summary>
    internal static class Sources
    {
        /// <summary>Told of by listeners of ours, or the runtime's experiments.</summary>
        private static bool IsOthers(string name)
        {
            return name.Length == 0 || name == "Microsoft.AspNetCore" || name == "System.Net.Http" || name.StartsWith("Experimental.", StringComparison.Ordinal);
        }

        private static bool IsDatabase(string name)
        {
            return name == "Npgsql" || name == "MySqlConnector" || name.StartsWith("Oracle.", StringComparison.Ordinal);
        }

        /// <summary>Does nothing where the runtime has none.</summary>
        public static void Listen(bool metrics)
        {
            Assembly assembly = typeof(Activity).Assembly;
            Type listener = assembly.GetType("System.Diagnostics.ActivityListener"), source = assembly.GetType("System.Diagnostics.ActivitySource");
            if (listener == null || source == null)
            {
                return;
            }
            Add(assembly, listener, source, nameof(IsWanted), 1);
            // The durations of all calls count, sampled or not: a driver then has to say what it did in any case.
            Add(assembly, listener, source, nameof(IsWantedDatabase), metrics ? 2 : 1);
        }

        /// <param name="unsampled">What is asked for of an activity whose trace is not kept: 1 its context, 2 its tags too.</param>
        private static void Add(Assembly assembly, Type listener, Type source, string wanted, int unsampled)
        {
            object it = Activator.CreateInstance(listener);
            Type context = assembly.GetType("System.Diagnostics.ActivityContext");
            Type options = assembly.GetType("System.Diagnostics.ActivityCreationOptions`1").MakeGenericType(context);
            Type result = assembly.GetType("System.Diagnostics.ActivitySamplingResult");
            Type sampler = typeof(Sampler<,,>).MakeGenericType(options, context, result);
            object chooser = Activator.CreateInstance(sampler, unsampled);
            PropertyInfo sample = listener.GetProperty("Sample"), should = listener.GetProperty("ShouldListenTo");
            sample.SetValue(it, Delegate.CreateDelegate(sample.PropertyType, chooser, sampler.GetMethod("Choose")));
            MethodInfo filter = typeof(Sources).GetMethod(wanted, BindingFlags.Static | BindingFlags.NonPublic);
            should.SetValue(it, Delegate.CreateDelegate(should.PropertyType, filter));
            listener.GetProperty("ActivityStarted").SetValue(it, new Action<Activity>(Started));
            listener.GetProperty("ActivityStopped").SetValue(it, new Action<Activity>(Stopped));
            source.GetMethod("AddActivityListener").Invoke(null, new[] { it });
        }

        private static string NameOf(object source)
        {
            return Reach.Get(source, "Name") as string ?? "";
        }

        private static bool IsWanted(object source)
        {
            string name = NameOf(source);
            return !IsOthers(name) && !IsDatabase(name);
        }

        private static bool IsWantedDatabase(object source)
        {
            return IsDatabase(NameOf(source));
        }

        /// <summary>ActivityKind begins at 0 with internal, OTLP's at 1.</summary>
        private static int KindOf(Activity activity)
        {
            object kind = Reach.Get(activity, "Kind");
            int number = kind == null ? 0 : (int)kind;
            return number < 0 || number > 4 ? 1 : number + 1;
        }

        private static void Started(Activity activity)
        {
            try
            {
                if (Sender.Quiet || Agent.Retired || !Traces.IsW3C(activity))
                {
                    return;
                }
                int kind = KindOf(activity);
                Traces.Begin(activity, kind);
                if (kind == 3 && IsDatabase(NameOf(Reach.Get(activity, "Source"))))
                {
                    Database.Cover();
                }
            }
            catch (Exception error)
            {
                Debug.Failed("an activity's start", error);
            }
        }

        private static void Stopped(Activity activity)
        {
            try
            {
                Exchange exchange = Agent.Retired ? null : Traces.Of(activity);
                if (exchange != null)
                {
                    SourceSpan.End(exchange, activity, NameOf(Reach.Get(activity, "Source")));
                }
            }
            catch (Exception error)
            {
                Debug.Failed("an activity's end", error);
            }
        }

        /// <summary>The sampling of an ActivityListener: O is ActivityCreationOptions of C, C is ActivityContext, R is ActivitySamplingResult.</summary>
        private sealed class Sampler<O, C, R> where O : struct where C : struct
        {
            private delegate V Getter<T, V>(ref T from);

            private readonly Getter<O, C> parent;
            private readonly Getter<O, ActivityTraceId> trace;
            private readonly Getter<C, ActivitySpanId> span;
            private readonly Getter<C, ActivityTraceFlags> flags;
            private readonly R kept, otherwise, nothing;

            public Sampler(int unsampled)
            {
                parent = Make<O, C>("Parent");
                trace = Make<O, ActivityTraceId>("TraceId");
                span = Make<C, ActivitySpanId>("SpanId");
                flags = Make<C, ActivityTraceFlags>("TraceFlags");
                kept = (R)Enum.ToObject(typeof(R), 3);
                otherwise = (R)Enum.ToObject(typeof(R), unsampled);
                nothing = (R)Enum.ToObject(typeof(R), 0);
            }

            private static Getter<T, V> Make<T, V>(string name)
            {
                return (Getter<T, V>)Delegate.CreateDelegate(typeof(Getter<T, V>), typeof(T).GetProperty(name).GetMethod);
            }

            public R Choose(ref O options)
            {
                try
                {
                    if (Sender.Quiet || Agent.Retired)
                    {
                        return nothing;
                    }
                    C context = parent(ref options);
                    return Traces.WillBeSampled(trace(ref options), span(ref context), flags(ref context)) ? kept : otherwise;
                }
                catch (Exception error)
                {
                    Debug.Failed("an activity's sampling", error);
                    return nothing;
                }
            }
        }
    }
}
