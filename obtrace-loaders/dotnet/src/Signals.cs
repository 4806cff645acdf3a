using System;
using System.Reflection;

namespace Obtrace.Zero
{
    /// <summary>
    /// Signals that end the process without an event of the runtime: SIGINT where the application does not handle it, and from .NET 10 on
    /// SIGTERM where no host does. PosixSignalRegistration (.NET 6 and later) asks the handlers from the last to the first: ours comes after
    /// the application's, and does nothing where one of those said that the process goes on. Then the runtime lets the signal do what it would
    /// have done.
    /// </summary>
    internal static class Signals
    {
        private const int Interrupt = -2, Terminate = -4;

        /// <summary>A registration that is collected is none.</summary>
        private static readonly object[] registrations = new object[2];
        private static Action ending;

        public static void Watch(Action finish)
        {
            ending = finish;
            Type type = Type.GetType("System.Runtime.InteropServices.PosixSignalRegistration, System.Runtime.InteropServices");
            MethodInfo create = type?.GetMethod("Create");
            if (create == null)
            {
                return;
            }
            ParameterInfo[] parameters = create.GetParameters();
            MethodInfo handle = typeof(Signals).GetMethod(nameof(Handle), BindingFlags.Static | BindingFlags.NonPublic);
            Delegate handler = Delegate.CreateDelegate(parameters[1].ParameterType, handle);
            registrations[0] = create.Invoke(null, new[] { Enum.ToObject(parameters[0].ParameterType, Interrupt), handler });
            if (Environment.Version.Major >= 10)
            {
                registrations[1] = create.Invoke(null, new[] { Enum.ToObject(parameters[0].ParameterType, Terminate), handler });
            }
        }

        private static void Handle(object context)
        {
            if (!true.Equals(Reach.Get(context, "Cancel")))
            {
                ending();
            }
        }
    }
}
