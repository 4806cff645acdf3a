// Plays a file of the contract's vectors to the loader's own functions: `Vectors.dll LOADER.dll FILE.json`. For each case a line of
// JSON with what the loader made of it; the test compares.

using System;
using System.Collections.Generic;
using System.IO;
using System.Reflection;
using System.Text.Json;

public static class Vectors
{
    private const BindingFlags Any = BindingFlags.Static | BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic;
    private static Assembly loader;

    public static int Main(string[] words)
    {
        loader = Assembly.LoadFrom(words[0]);
        string name = Path.GetFileNameWithoutExtension(words[1]);
        JsonElement told = JsonDocument.Parse(File.ReadAllText(words[1])).RootElement;
        if (name == "severity")
        {
            string[] levels = { "Trace", "Debug", "Information", "Warning", "Error", "Critical" };
            foreach (JsonProperty level in told.GetProperty("dotnet").GetProperty("ILogger").EnumerateObject())
            {
                Tell("number", Call("LoggerListener", "Severity", Array.IndexOf(levels, level.Name)));
            }
            return 0;
        }
        foreach (JsonElement one in told.GetProperty("cases").EnumerateArray())
        {
            switch (name)
            {
                case "sampling": Sampling(one); break;
                case "sql": Sql(one); break;
                case "url": Tell("full", Call("Urls", "Full", new Uri(one.GetProperty("url").GetString()))); break;
                case "resource": Resource(one); break;
                case "aside": Tell("reason", Call("Aside", "Vendor", Variable(one))); break;
                case "traceparent": Tell("valid", Call("Traceparent", "IsValid", one.GetProperty("header").GetString())); break;
                default: return 2;
            }
        }
        return 0;
    }

    private static Type Of(string type)
    {
        return loader.GetType("Obtrace.Zero." + type, true);
    }

    private static object Call(string type, string method, params object[] arguments)
    {
        return Of(type).GetMethod(method, Any).Invoke(null, arguments);
    }

    private static object Make(string type, params object[] arguments)
    {
        return Activator.CreateInstance(Of(type), Any, null, arguments, null);
    }

    private static object Field(object from, string name)
    {
        return from.GetType().GetField(name, Any).GetValue(from);
    }

    private static void Tell(params object[] pairs)
    {
        var line = new Dictionary<string, object>();
        for (int i = 0; i < pairs.Length; i += 2)
        {
            line[(string)pairs[i]] = pairs[i + 1];
        }
        Console.WriteLine(JsonSerializer.Serialize(line));
    }

    private static void Sampling(JsonElement one)
    {
        object sampling = Make("Sampling", Call("Settings", "ReadRatio", one.GetProperty("ratio").GetString()));
        Tell("sampled", sampling.GetType().GetMethod("Keeps").Invoke(sampling, new object[] { one.GetProperty("trace_id").GetString() }));
    }

    private static void Sql(JsonElement one)
    {
        object sql = Make("Sql", one.GetProperty("sql").GetString(), false);
        Tell("text", Field(sql, "Text"), "operation", Field(sql, "Operation"), "collection", Field(sql, "Collection"));
    }

    /// The variables of a case, as the environment gives them.
    private static Func<string, string> Variable(JsonElement one)
    {
        JsonElement given = one.GetProperty("env");
        return delegate(string name)
        {
            JsonElement value;
            return given.TryGetProperty(name, out value) ? value.GetString() : null;
        };
    }

    private static void Resource(JsonElement one)
    {
        object attributes = Call("Resource", "Read", Variable(one));
        var line = new Dictionary<string, object>();
        foreach (var pair in (List<KeyValuePair<string, object>>)Field(attributes, "Pairs"))
        {
            line[pair.Key] = pair.Value;
        }
        Console.WriteLine(JsonSerializer.Serialize(line));
    }
}
