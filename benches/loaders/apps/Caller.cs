// Calls an upstream with HttpClient, eight calls at a time, for as long as it is asked to: `Caller.dll PORT URL`. `GET /SECONDS` is answered with the
// number of calls. The asking is one request on a socket: what is measured is the calls. They come in bursts, and no faster than a receiver on the
// same two cores takes their spans.

using System;
using System.Diagnostics;
using System.IO;
using System.Net;
using System.Net.Http;
using System.Net.Sockets;
using System.Text;
using System.Threading.Tasks;

public static class Caller
{
    private const int AtOnce = 8;
    private const int Burst = 32;
    private const int MostASecond = 6000;
    private static readonly HttpClient Client = new HttpClient();
    private static string url;

    public static int Main(string[] words)
    {
        url = words[1];
        var listener = new TcpListener(IPAddress.Loopback, int.Parse(words[0]));
        listener.Start();
        while (true)
        {
            using (TcpClient client = listener.AcceptTcpClient())
            using (var reader = new StreamReader(client.GetStream()))
            {
                string asked = reader.ReadLine();
                for (string line = asked; !string.IsNullOrEmpty(line);)
                {
                    line = reader.ReadLine();
                }
                if (asked == null)
                {
                    continue;
                }
                string body = Calls(int.Parse(asked.Split(' ')[1].Substring(1))).ToString();
                byte[] answer = Encoding.ASCII.GetBytes("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: " + body.Length + "\r\n\r\n" + body);
                client.GetStream().Write(answer, 0, answer.Length);
            }
        }
    }

    private static int Calls(int seconds)
    {
        var flows = new Task<int>[AtOnce];
        var watch = Stopwatch.StartNew();
        for (int i = 0; i < AtOnce; i++)
        {
            flows[i] = Task.Run(() => Flow(watch, seconds));
        }
        int count = 0;
        foreach (var flow in flows)
        {
            count += flow.Result;
        }
        return count;
    }

    private static async Task<int> Flow(Stopwatch watch, int seconds)
    {
        int count = 0;
        do
        {
            await Client.GetStringAsync(url);
            count++;
            long ahead = count * 1000L * AtOnce / MostASecond - watch.ElapsedMilliseconds;
            if (count % Burst == 0 && ahead > 0)
            {
                await Task.Delay((int)ahead);
            }
        }
        while (watch.ElapsedMilliseconds < seconds * 1000L);
        return count;
    }
}
