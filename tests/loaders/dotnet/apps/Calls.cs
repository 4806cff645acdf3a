// An application that calls others with HttpClient: `Calls.dll VERB [URL ...]`. It says on standard output what it got.

using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Net;
using System.Net.Http;
using System.Threading;
using System.Threading.Tasks;

public static class Calls
{
    private static readonly HttpClient Client = new HttpClient();

    public static int Main(string[] words)
    {
        string verb = words[0];
        string[] urls = new string[words.Length - 1];
        Array.Copy(words, 1, urls, 0, urls.Length);
        switch (verb)
        {
            case "get": return All(urls, Get);
            case "post": return All(urls, url => Tell(Client.SendAsync(new HttpRequestMessage(new HttpMethod("post"), url)).Result));
            case "odd": return All(urls, url => Tell(Client.SendAsync(new HttpRequestMessage(new HttpMethod("BREW"), url)).Result));
            case "old": return All(urls, url => Console.WriteLine(((HttpWebResponse)WebRequest.Create(url).GetResponse()).StatusCode));
            case "below": return Below(urls);
            case "own": return All(urls, Own);
            case "twice": return All(urls, Twice);
            case "cancel": return All(urls, Cancel);
            case "many": return Many(urls[0], int.Parse(urls[1]));
            case "hierarchical":
                Activity.DefaultIdFormat = ActivityIdFormat.Hierarchical;
                Activity.ForceDefaultIdFormat = true;
                return All(urls, Get);
            case "exit": All(urls, Get); Environment.Exit(3); return 0;
            case "throw": All(urls, Get); throw new InvalidOperationException("nobody catches this");
            case "failfast": All(urls, Get); Environment.FailFast("stopped hard"); return 0;
            case "wait": All(urls, Get); Console.WriteLine("ready"); Thread.Sleep(Timeout.Infinite); return 0;
            case "drain": return Drain(urls[0]);
            case "handle": return Handle(urls[0]);
            default: return 2;
        }
    }

    private static int All(string[] urls, Action<string> call)
    {
        foreach (string url in urls)
        {
            call(url);
        }
        return 0;
    }

    private static void Tell(HttpResponseMessage answer)
    {
        Console.WriteLine((int)answer.StatusCode + " " + answer.Content.ReadAsStringAsync().Result);
    }

    private static void Get(string url)
    {
        try
        {
            Tell(Client.GetAsync(url).Result);
        }
        catch (AggregateException error)
        {
            Console.WriteLine(error.InnerException.GetType().FullName);
        }
    }

    /// Calls within an activity of the application's own, which nobody decided on.
    private static int Below(string[] urls)
    {
        var activity = new Activity("nightly").Start();
        All(urls, Get);
        Console.WriteLine(activity.TraceId.ToHexString() + " " + activity.SpanId.ToHexString());
        activity.Stop();
        return 0;
    }

    private static void Own(string url)
    {
        var request = new HttpRequestMessage(HttpMethod.Get, url);
        request.Headers.TryAddWithoutValidation("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
        Tell(Client.SendAsync(request).Result);
    }

    /// A handler that sends the same message again.
    private sealed class Again : DelegatingHandler
    {
        protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellation)
        {
            await base.SendAsync(request, cancellation);
            return await base.SendAsync(request, cancellation);
        }
    }

    private static void Twice(string url)
    {
        using (var client = new HttpClient(new Again { InnerHandler = new HttpClientHandler() }))
        {
            var request = new HttpRequestMessage(HttpMethod.Get, url);
            Tell(client.SendAsync(request).Result);
        }
    }

    private static void Cancel(string url)
    {
        using (var source = new CancellationTokenSource(200))
        {
            try
            {
                Tell(Client.GetAsync(url, source.Token).Result);
            }
            catch (AggregateException error)
            {
                Console.WriteLine(error.InnerException.GetType().FullName);
            }
        }
    }

    private static int Many(string url, int count)
    {
        var calls = new List<Task>();
        for (int i = 0; i < count; i++)
        {
            calls.Add(Client.GetAsync(url));
            if (calls.Count == 16)
            {
                Task.WaitAll(calls.ToArray());
                calls.Clear();
            }
        }
        Task.WaitAll(calls.ToArray());
        Console.WriteLine("done");
        return 0;
    }

    /// As the generic host of 3.1 ends: a handler of ProcessExit that waits for what is still at work.
    private static int Drain(string url)
    {
        AppDomain.CurrentDomain.ProcessExit += delegate
        {
            Thread.Sleep(300);
            Get(url);
        };
        Get(url);
        Console.WriteLine("ready");
        Thread.Sleep(Timeout.Infinite);
        return 0;
    }

    private static int Handle(string url)
    {
        var asked = new ManualResetEventSlim(false);
        Console.CancelKeyPress += (sender, what) =>
        {
            what.Cancel = true;
            asked.Set();
        };
        Get(url);
        Console.WriteLine("ready");
        asked.Wait();
        Get(url);
        Console.WriteLine("bye");
        return 7;
    }
}
