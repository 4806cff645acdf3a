using System;
using System.Diagnostics;

namespace Obtrace.Zero
{
    /// <summary>Begins and ends the loader's work.</summary>
    internal static class Agent
    {
        private static readonly EventHandler One = Ending, Other = EndingToo;
        private static Sender sender;
        private static int moves;

        public static void Start()
        {
            Func<string, string> variable = Environment.GetEnvironmentVariable;
            Settings settings = Settings.Read(variable);
            string reason = Aside.Reason(settings, variable);
            if (reason != null)
            {
                Debug.Say("steps aside: " + reason);
                return;
            }
            try
            {
                Begin(settings, variable);
                Debug.Say("0.1.0 is at work, sending to " + settings.Ingest.Scheme + "://" + settings.Ingest.IdnHostAndPort());
            }
            catch (Exception error)
            {
                Retired = true;
                Debug.Failed("the start", error);
            }
        }

        /// <summary>The application turned out to have an SDK of its own, or our start failed: nothing is observed any more. What is queued still
        /// goes.</summary>
        public static volatile bool Retired;

        private static void Loaded(object from, AssemblyLoadEventArgs what)
        {
            try
            {
                string name = what.LoadedAssembly.GetName().Name;
                if (!Retired && Aside.IsSdk(name))
                {
                    Retired = true;
                    Debug.Say("steps aside: the application loaded an SDK of its own: " + name);
                }
            }
            catch (Exception error)
            {
                Debug.Failed("an assembly's load", error);
            }
        }

        private static void Begin(Settings settings, Func<string, string> variable)
        {
            sender = new Sender(settings, Resource.Read(variable));
            Traces.Use(settings, sender);
            UseW3C();
            // Whatever is sent: the context is passed on, and with the right flag.
            Observer.SubscribeAll();
            Sources.Listen(settings.Metrics);
            if (settings.Logs)
            {
                LoggerListener.Listen(sender);
            }
            if (settings.Metrics)
            {
                RuntimeMetrics.Watch();
            }
            AppDomain.CurrentDomain.ProcessExit += One;
            AppDomain.CurrentDomain.UnhandledException += delegate { Finish(); };
            AppDomain.CurrentDomain.AssemblyLoad += Loaded;
            Signals.Watch(Finish);
            sender.Start();
        }

        /// <summary>Ids as the contract has them, unless somebody chose others before us (a hook, a switch of the runtime). Who chooses later
        /// wins.</summary>
        private static void UseW3C()
        {
            bool chosen = Activity.ForceDefaultIdFormat
                || Environment.Version.Major >= 5 && Activity.DefaultIdFormat != ActivityIdFormat.W3C;
            if (!chosen)
            {
                Activity.DefaultIdFormat = ActivityIdFormat.W3C;
                Activity.ForceDefaultIdFormat = true;
            }
        }

        /// <summary>Handlers of the end run in the order of their registration. A host registers one that waits for its last requests;
        /// ours, which was here first, goes behind it. The new one is there before the old one goes.</summary>
        public static void StayLast()
        {
            bool first = (moves++ & 1) == 0;
            AppDomain.CurrentDomain.ProcessExit += first ? Other : One;
            AppDomain.CurrentDomain.ProcessExit -= first ? One : Other;
        }

        private static void Ending(object from, EventArgs what)
        {
            Finish();
        }

        private static void EndingToo(object from, EventArgs what)
        {
            Finish();
        }

        private static void Finish()
        {
            try
            {
                sender.Finish();
            }
            catch (Exception error)
            {
                Debug.Failed("the end", error);
            }
        }
    }
}
