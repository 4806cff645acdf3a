// ActivitySources of an application and of libraries (.NET 5 and later). Npgsql and Grpc.Net.Client cannot be had where this is tested: what is
// recorded here are the names and tags that NpgsqlActivitySource (6 to 9, and 10) and GrpcCall's activities have. README.md says in which versions of
// these files that was read. `Sources.dll VERB [URL]`.

using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Net.Http;

public static class Sources
{
    private static readonly ActivitySource Shop = new ActivitySource("Shop.Orders", "2.0"), Npgsql = new ActivitySource("Npgsql", "0.1.0"),
        Mongo = new ActivitySource("MongoDB.Driver"), Grpc = new ActivitySource("Grpc.Net.Client");
    private static readonly HttpClient Client = new HttpClient();

    private static void Query(string text, bool fails)
    {
        using (var activity = Npgsql.StartActivity("shop", ActivityKind.Client))
        {
            if (activity == null || !activity.IsAllDataRequested)
            {
                return;
            }
            activity.SetTag("db.statement", text);
            activity.SetTag("db.system", "postgresql");
            activity.SetTag("db.connection_string", "Host=db;Password=secret");
            activity.SetTag("db.user", "shop");
            activity.SetTag("db.name", "shop");
            activity.SetTag("net.peer.name", "db.example");
            activity.SetTag("net.peer.port", 5433);
            if (fails)
            {
                var tags = new ActivityTagsCollection { { "exception.type", "Npgsql.PostgresException" }, { "exception.message", "42P01" },
                    { "exception.stacktrace", "at Npgsql" } };
                activity.AddEvent(new ActivityEvent("exception", tags: tags));
                activity.SetTag("otel.status_code", "ERROR");
                activity.SetTag("otel.status_description", "42P01");
            }
            else
            {
                activity.SetTag("otel.status_code", "OK");
            }
        }
    }

    /// As Npgsql does from 10 on: `what` is the operation where it is not told by the text alone.
    private static void NewQuery(string text, string what = null, string target = null, string state = null)
    {
        using (var activity = Npgsql.StartActivity(what == null ? "postgresql" : what + " " + text, ActivityKind.Client))
        {
            if (activity == null || !activity.IsAllDataRequested)
            {
                return;
            }
            activity.SetTag("db.query.text", text);
            activity.SetTag("db.npgsql.prepared", true);
            if (what != null)
            {
                activity.SetTag("db.operation.name", what);
            }
            if (target != null)
            {
                activity.SetTag(target, text);
            }
            activity.SetTag("db.system.name", "postgresql");
            activity.SetTag("db.namespace", "shop");
            activity.SetTag("server.address", "db.example");
            activity.SetTag("db.npgsql.data_source", "Host=db;Username=shop");
            if (state != null)
            {
                activity.SetTag("db.response.status_code", state);
                activity.SetTag("error.type", state);
                activity.SetStatus(ActivityStatusCode.Error, state);
            }
        }
    }

    /// As the drivers of MongoDB do, whose statements are documents.
    private static void Find()
    {
        using (var activity = Mongo.StartActivity("mongodb.find", ActivityKind.Client))
        {
            activity?.SetTag("db.system", "mongodb");
            activity?.SetTag("db.name", "shop");
            activity?.SetTag("db.operation", "find");
            activity?.SetTag("db.statement", "{ \"find\" : \"users\", \"filter\" : { \"mail\" : \"a@b.example\" } }");
        }
    }

    /// A physical connection, which is told of where the application asked for it.
    private static void Connect()
    {
        using (var activity = Npgsql.StartActivity("CONNECT shop", ActivityKind.Client))
        {
            activity?.SetTag("db.system.name", "postgresql");
            activity?.SetTag("db.namespace", "shop");
            activity?.SetTag("db.npgsql.data_source", "Host=db;Password=secret");
        }
    }

    private static void Call(string status)
    {
        using (var activity = Grpc.StartActivity("Grpc.Net.Client.GrpcOut", ActivityKind.Client))
        {
            activity?.SetTag("grpc.method", "/shop.Orders/Get");
            activity?.SetTag("grpc.status_code", status);
        }
    }

    private static void Own()
    {
        var link = new ActivityLink(ActivityContext.Parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", null));
        using (var outer = Shop.StartActivity("close month", ActivityKind.Internal, default(ActivityContext), null, new[] { link }))
        {
            outer?.SetTag("orders", 7);
            outer?.SetTag("paid", true);
            outer?.SetTag("share", 0.5);
            outer?.SetTag("names", new[] { "a", "b" });
            outer?.SetTag("long", new string('x', 5000));
            outer?.AddEvent(new ActivityEvent("locked"));
            using (var inner = Shop.StartActivity("publish", ActivityKind.Producer))
            {
                inner?.SetStatus(ActivityStatusCode.Error, "no broker");
            }
        }
        for (int kind = 0; kind < 5; kind++)
        {
            Shop.StartActivity("kind " + kind, (ActivityKind)kind)?.Dispose();
        }
        using (var many = Shop.StartActivity("many"))
        {
            for (int i = 0; i < 200; i++)
            {
                many?.SetTag("tag" + i, i);
                many?.AddEvent(new ActivityEvent("event" + i));
            }
        }
    }

    private static void Entity(Action below)
    {
        var listener = new DiagnosticListener("Microsoft.EntityFrameworkCore");
        Guid id = Guid.NewGuid();
        var command = new Exception();
        listener.Write("Microsoft.EntityFrameworkCore.Database.Command.CommandExecuting", new { Command = command, CommandId = id });
        below();
        listener.Write("Microsoft.EntityFrameworkCore.Database.Command.CommandExecuted", new { Command = command, CommandId = id });
    }

    public static int Main(string[] words)
    {
        switch (words[0])
        {
            case "own": Own(); break;
            case "npgsql":
                Query("SELECT name FROM users WHERE id = 7", false);
                Query("DELETE FROM nothing", true);
                Entity(() => Query("UPDATE orders SET total = 1", false));
                break;
            case "npgsql10":
                NewQuery("SELECT name FROM users WHERE id = 7");
                NewQuery("DELETE FROM nothing", state: "42P01");
                NewQuery("close_month", "CALL", "db.stored_procedure.name");
                NewQuery("orders", "SELECT", "db.collection.name");
                NewQuery("COPY orders FROM STDIN (DELIMITER ';')", "COPY FROM");
                Connect();
                Find();
                break;
            case "grpc": Call("0"); Call("5"); break;
            case "call":
                using (var activity = Shop.StartActivity("job"))
                {
                    Client.GetStringAsync(words[1]).Wait();
                    Console.WriteLine(activity == null ? "none" : activity.Recorded + " " + activity.IsAllDataRequested);
                }
                break;
            default: return 2;
        }
        return 0;
    }
}
