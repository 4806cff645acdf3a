using System;
using System.Collections.Generic;

namespace Obtrace.Zero
{
    /// <summary>Lines to standard error where OBTRACE_DEBUG is on, each once.</summary>
    internal static class Debug
    {
        private const int Most = 100;
        private static readonly bool On = Settings.IsOn(Environment.GetEnvironmentVariable("OBTRACE_DEBUG"));
        private static readonly HashSet<string> Said = new HashSet<string>();

        public static void Say(string line)
        {
            if (!On)
            {
                return;
            }
            try
            {
                lock (Said)
                {
                    if (Said.Count < Most && Said.Add(line))
                    {
                        Console.Error.WriteLine("[obtrace] " + line);
                    }
                }
            }
            catch (Exception)
            {
                // Standard error is closed.
            }
        }

        /// <summary>An error of ours: its type and message once, never a stack trace on an application's terminal.</summary>
        public static void Failed(string what, Exception error)
        {
            if (On)
            {
                Say(what + " failed: " + error.GetType().FullName + ": " + error.Message);
            }
        }
    }
}
