// What the runtime calls before Main because DOTNET_STARTUP_HOOKS names this assembly. The runtime wants this class without a
// namespace. It touches nothing that a runtime could lack: what could fail is compiled behind `Begin`, inside the `try`.

using System;
using System.Runtime.CompilerServices;

internal class StartupHook
{
    public static void Initialize()
    {
        try
        {
            Begin();
        }
        catch (Exception)
        {
            // The application runs on without us.
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Begin()
    {
        Obtrace.Zero.Agent.Start();
    }
}
