// What applications do that an agent in their process does not expect: `Odd.dll VERB URL [FILE]`. It says on standard output what it got.

using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Globalization;
using System.Net.Http;
using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.Loader;
using System.Threading;

public static class Odd
{
    private static readonly HttpClient Client = new HttpClient();
    private static string url;

    public static int Main(string[] words)
    {
        url = words[1];
        switch (words[0])
        {
            case "late": Get(); Assembly.LoadFrom(words[2]); Get(); return 0;
            case "culture": Strange(); Get(); return 0;
            case "starve": return Starve();
            case "static": Ends.Now(); return 0;
            case "pool": ThreadPool.QueueUserWorkItem(_ => { Get(); Environment.Exit(5); }); break;
            case "thread": new Thread(() => { Get(); throw new InvalidOperationException("on a thread"); }).Start(); break;
            case "listens": return Listens();
            case "plugin": return Plugin(words[2]);
            default: return 2;
        }
        Thread.Sleep(Timeout.Infinite);
        return 0;
    }

    private static void Get()
    {
        Console.WriteLine(Client.GetStringAsync(url).Result);
    }

    /// A culture whose numbers no parser of JSON reads.
    private static void Strange()
    {
        var culture = (CultureInfo)CultureInfo.InvariantCulture.Clone();
        culture.NumberFormat.NumberDecimalSeparator = ",";
        culture.NumberFormat.NegativeSign = "minus";
        culture.NumberFormat.NativeDigits = new[] { "\u0660", "\u0661", "\u0662", "\u0663", "\u0664", "\u0665", "\u0666", "\u0667", "\u0668", "\u0669" };
        CultureInfo.DefaultThreadCurrentCulture = CultureInfo.CurrentCulture = culture;
        Console.WriteLine(-1.5);
    }

    /// Every thread of the pool waits, and many more would.
    private static int Starve()
    {
        Get();
        for (int i = 0; i < 500; i++)
        {
            ThreadPool.QueueUserWorkItem(_ => Thread.Sleep(Timeout.Infinite));
        }
        Console.WriteLine("ready");
        Thread.Sleep(Timeout.Infinite);
        return 0;
    }

    private static class Ends
    {
        static Ends()
        {
            Get();
            Environment.Exit(4);
        }

        [MethodImpl(MethodImplOptions.NoInlining)]
        public static void Now()
        {
        }
    }

    /// An application that looks at HttpClient's events itself.
    private sealed class Watcher : IObserver<DiagnosticListener>, IObserver<KeyValuePair<string, object>>
    {
        public void OnNext(DiagnosticListener listener)
        {
            if (listener.Name == "HttpHandlerDiagnosticListener")
            {
                listener.Subscribe(this);
            }
        }

        public void OnNext(KeyValuePair<string, object> written)
        {
            Console.WriteLine(written.Key + " " + (Activity.Current == null ? "-" : Activity.Current.OperationName));
        }

        public void OnCompleted()
        {
        }

        public void OnError(Exception error)
        {
        }
    }

    private static int Listens()
    {
        using (DiagnosticListener.AllListeners.Subscribe(new Watcher()))
        {
            Get();
        }
        return 0;
    }

    /// A plugin that is unloaded: says whether it went.
    private static int Plugin(string file)
    {
        WeakReference context = Play(file);
        for (int i = 0; i < 20 && context.IsAlive; i++)
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }
        Console.WriteLine(context.IsAlive ? "kept" : "unloaded");
        return 0;
    }

    private sealed class Unloadable : AssemblyLoadContext
    {
        public Unloadable() : base(true)
        {
        }

        protected override Assembly Load(AssemblyName name)
        {
            return null;
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static WeakReference Play(string file)
    {
        var context = new Unloadable();
        context.LoadFromAssemblyPath(file).EntryPoint.Invoke(null, new object[] { new[] { "sql" } });
        Activity.Current = null;
        context.Unload();
        return new WeakReference(context);
    }
}
