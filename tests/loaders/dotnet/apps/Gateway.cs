// A server that calls another one for each request: `Gateway.dll PORT`. `/leaf` is answered at once, everything else with what `/leaf` of
// itself says. HttpListener is the only server in the base runtime; nothing can be told of it, its calls are what is observed.

using System;
using System.Net;
using System.Net.Http;
using System.Text;
using System.Threading.Tasks;

public static class Gateway
{
    private static readonly HttpClient Client = new HttpClient();
    private static string leaf;

    public static int Main(string[] words)
    {
        leaf = "http://127.0.0.1:" + words[0] + "/leaf";
        var listener = new HttpListener();
        listener.Prefixes.Add("http://127.0.0.1:" + words[0] + "/");
        listener.Start();
        while (true)
        {
            HttpListenerContext context = listener.GetContext();
            Task.Run(() => Answer(context));
        }
    }

    private static void Answer(HttpListenerContext context)
    {
        try
        {
            string text = context.Request.Url.AbsolutePath == "/leaf" ? "ok" : Client.GetStringAsync(leaf).Result;
            byte[] body = Encoding.UTF8.GetBytes(text);
            context.Response.ContentLength64 = body.Length;
            context.Response.OutputStream.Write(body, 0, body.Length);
            context.Response.Close();
        }
        catch (Exception)
        {
            context.Response.Abort();
        }
    }
}
