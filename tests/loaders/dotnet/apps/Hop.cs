// The first one: asks, prints the answer, ends.
using System;
using System.Net.Http;

public static class Hop
{
    public static int Main(string[] arguments)
    {
        using (var client = new HttpClient())
        {
            Console.WriteLine(client.GetStringAsync(arguments[0]).Result);
        }
        return 0;
    }
}
