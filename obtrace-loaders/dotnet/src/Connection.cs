using System;
using System.Globalization;
using System.IO;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Text;

namespace Obtrace.Zero
{
    /// <summary>What became of a request.</summary>
    internal enum Outcome
    {
        Done,
        Again,
        Rejected,
        Refused,
    }

    /// <summary>
    /// HTTP/1.1 over a socket of our own, used by one thread. HttpClient is the application's: its counters, its proxy settings, its
    /// diagnostics and its thread pool would all have a part of our requests. Redirects and proxies are not followed.
    /// </summary>
    internal sealed class Connection
    {
        private const int LargestAnswer = 64 * 1024;

        private readonly Uri target;
        private readonly string head;
        private Stream stream;
        private long deadline;
        private readonly byte[] buffer = new byte[8192];
        private int filled, used;

        /// <summary>Seconds that the last answer asked us to wait; 0: it did not.</summary>
        public int RetryAfter { get; private set; }

        public Connection(Settings settings)
        {
            target = settings.Ingest;
            head = " HTTP/1.1\r\nHost: " + target.IdnHostAndPort() + "\r\nContent-Type: application/json\r\nX-Obtrace-Source: zero-agent-dotnet\r\n"
                + (settings.ApiKey == null ? "" : "X-API-Key: " + settings.ApiKey + "\r\n") + "Content-Length: ";
        }

        /// <summary>Posts a body to `{base}/otlp/v1/{signal}`.</summary>
        public Outcome Post(string signal, Json body, int milliseconds)
        {
            deadline = Environment.TickCount64 + milliseconds;
            RetryAfter = 0;
            bool reused = stream != null;
            try
            {
                return Exchange(signal, body);
            }
            catch (SocketException error) when (error.SocketErrorCode == SocketError.ConnectionRefused)
            {
                Close();
                Debug.Failed("sending " + signal, error);
                return Outcome.Refused;
            }
            catch (Exception error)
            {
                Close();
                if (reused && Left > 0)
                {
                    // The receiver closed the connection that was kept; that says nothing of the batch.
                    return Post(signal, body, Left);
                }
                Debug.Failed("sending " + signal, error);
                return Outcome.Again;
            }
        }

        private int Left
        {
            get { return (int)Math.Max(0, deadline - Environment.TickCount64); }
        }

        private Outcome Exchange(string signal, Json body)
        {
            stream = stream ?? Open();
            string path = target.AbsolutePath.TrimEnd('/') + "/otlp/v1/" + signal;
            byte[] start = Encoding.UTF8.GetBytes("POST " + path + head + body.Count.ToString(CultureInfo.InvariantCulture) + "\r\n\r\n");
            Limit();
            stream.Write(start, 0, start.Length);
            stream.Write(body.Bytes, 0, body.Count);
            stream.Flush();
            filled = used = 0;
            int status;
            do
            {
                status = ReadAnswer();
            }
            while (status >= 100 && status < 200);
            if (status >= 200 && status < 300)
            {
                return Outcome.Done;
            }
            Debug.Say("the receiver answers " + status.ToString(CultureInfo.InvariantCulture) + " to " + signal);
            return status == 429 || status >= 502 && status <= 504 ? Outcome.Again : Outcome.Rejected;
        }

        private Stream Open()
        {
            Exception last = new SocketException((int)SocketError.HostNotFound);
            foreach (IPAddress address in Addresses())
            {
                var socket = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
                try
                {
                    Connect(socket, new IPEndPoint(address, target.Port));
                    Stream plain = new NetworkStream(socket, true);
                    return target.Scheme == "https" ? Secured(plain) : plain;
                }
                catch (Exception error)
                {
                    socket.Dispose();
                    last = error;
                }
            }
            throw last;
        }

        private IPAddress[] Addresses()
        {
            IPAddress address;
            string host = target.DnsSafeHost;
            return IPAddress.TryParse(host, out address) ? new[] { address } : Dns.GetHostAddresses(host);
        }

        /// <summary>A connect that ends in time without the thread pool, which may be as busy as the application.</summary>
        private void Connect(Socket socket, IPEndPoint address)
        {
            socket.Blocking = false;
            try
            {
                socket.Connect(address);
            }
            catch (SocketException error) when (error.SocketErrorCode == SocketError.WouldBlock || error.SocketErrorCode == SocketError.InProgress)
            {
                if (!socket.Poll(Left * 1000, SelectMode.SelectWrite))
                {
                    throw new SocketException((int)SocketError.TimedOut);
                }
                int failed = (int)socket.GetSocketOption(SocketOptionLevel.Socket, SocketOptionName.Error);
                if (failed != 0)
                {
                    throw new SocketException(failed);
                }
            }
            socket.Blocking = true;
        }

        private Stream Secured(Stream plain)
        {
            plain.ReadTimeout = plain.WriteTimeout = Math.Max(1, Left);
            var secured = new SslStream(plain, false);
            secured.AuthenticateAsClient(target.IdnHost);
            return secured;
        }

        private void Limit()
        {
            int left = Left;
            if (left == 0)
            {
                throw new TimeoutException("no answer in time");
            }
            stream.ReadTimeout = stream.WriteTimeout = left;
        }

        private int ReadByte()
        {
            if (used == filled)
            {
                Limit();
                used = 0;
                filled = stream.Read(buffer, 0, buffer.Length);
                if (filled == 0)
                {
                    throw new EndOfStreamException("the receiver closed the connection");
                }
            }
            return buffer[used++];
        }

        private string ReadLine(ref int budget)
        {
            var line = new StringBuilder();
            for (int letter = ReadByte(); letter != '\n'; letter = ReadByte())
            {
                if (--budget < 0)
                {
                    throw new InvalidDataException("an answer without end");
                }
                line.Append((char)letter);
            }
            return line.ToString().TrimEnd('\r');
        }

        /// <summary>Reads an answer and its body; its status. The connection is kept where the end of the body is certain.</summary>
        private int ReadAnswer()
        {
            int budget = LargestAnswer;
            string[] words = ReadLine(ref budget).Split(' ');
            int status;
            if (words.Length < 2 || !words[0].StartsWith("HTTP/1.", StringComparison.Ordinal)
                || !int.TryParse(words[1], NumberStyles.None, CultureInfo.InvariantCulture, out status))
            {
                throw new InvalidDataException("no HTTP");
            }
            bool keep = words[0] == "HTTP/1.1", chunked = false;
            long length = -1;
            for (string line = ReadLine(ref budget); line.Length > 0; line = ReadLine(ref budget))
            {
                int colon = line.IndexOf(':');
                string name = colon < 0 ? "" : line.Substring(0, colon).Trim().ToLowerInvariant();
                string value = colon < 0 ? "" : line.Substring(colon + 1).Trim();
                int seconds;
                keep &= !(name == "connection" && value.IndexOf("close", StringComparison.OrdinalIgnoreCase) >= 0);
                chunked |= name == "transfer-encoding" && value.EndsWith("chunked", StringComparison.OrdinalIgnoreCase);
                if (name == "content-length" && !long.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out length))
                {
                    length = -1;
                }
                if (name == "retry-after" && int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out seconds))
                {
                    RetryAfter = seconds;
                }
            }
            if (status < 200)
            {
                return status;
            }
            bool whole = status == 204 || status == 304 || Skip(chunked, length, budget);
            if (!keep || !whole)
            {
                Close();
            }
            return status;
        }

        /// <summary>Reads the body away; false where it is too long or ends with the connection.</summary>
        private bool Skip(bool chunked, long length, int budget)
        {
            try
            {
                if (!chunked)
                {
                    for (long left = length; left > 0 && length <= budget; left--)
                    {
                        ReadByte();
                    }
                    return length >= 0 && length <= budget;
                }
                while (true)
                {
                    int size = int.Parse(ReadLine(ref budget).Split(';')[0].Trim(), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
                    budget -= size;
                    if (size < 0 || budget < 0)
                    {
                        return false;
                    }
                    for (int left = size; left > 0; left--)
                    {
                        ReadByte();
                    }
                    if (ReadLine(ref budget).Length == 0 && size == 0)
                    {
                        return true;
                    }
                }
            }
            catch (Exception)
            {
                // The status was read; how the body ends changes nothing but the connection's fate.
                return false;
            }
        }

        private void Close()
        {
            Stream old = stream;
            stream = null;
            try
            {
                old?.Dispose();
            }
            catch (Exception)
            {
                // It is gone either way.
            }
        }
    }

    internal static class Targets
    {
        /// <summary>The value of the Host header.</summary>
        public static string IdnHostAndPort(this Uri url)
        {
            string host = url.HostNameType == UriHostNameType.IPv6 ? "[" + url.DnsSafeHost + "]" : url.IdnHost;
            return url.IsDefaultPort ? host : host + ":" + url.Port.ToString(CultureInfo.InvariantCulture);
        }
    }
}
