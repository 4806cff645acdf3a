"""Databases. Neither Microsoft.Data.SqlClient nor Entity Framework Core nor Npgsql can be had where this is tested (no NuGet): the applications
write what their sources write, into listeners and sources of the same names. No driver and no database is run."""

from dotnet.rig import NEW, clean, observed, on_each, only, run
from world import equal, expect

SECRETS = ("secret", "a@b.example", "Password")


def by_time(receiver):
    return sorted(receiver.spans(), key=lambda span: int(span["endTimeUnixNano"]))


def no_secrets(receiver):
    sent = b"".join(request["body"] for request in receiver.requests).decode()
    equal([word for word in SECRETS if word in sent], [], "values that left the application")


@on_each
def sql_client(world, version):
    """Queries of SQL Server's two drivers would be missing, unnamed, or sent with their values."""
    with observed(world) as receiver:
        out = run(world, version, "Databases", "sql", to=receiver)
        clean(receiver)
        no_secrets(receiver)
        spans = by_time(receiver)
        equal([(span.name, span.kind, span.failed) for span in spans],
              [("SELECT users", "client", False), ("UPDATE orders", "client", False), ("SELECT nothing", "client", True),
               ("EXECUTE dbo.close_month", "client", False)], "spans")
        equal({span["traceId"] for span in spans}, {out.strip()}, "traces")
        wanted = {"db.system.name": "microsoft.sql_server", "db.namespace": "shop", "db.operation.name": "SELECT", "db.collection.name": "users",
                  "server.address": "db.example", "server.port": 1433, "db.query.text": "SELECT name FROM users WHERE mail = ?"}
        equal(spans[0].attributes, wanted, "attributes")
        told = spans[2].attributes
        equal((told["error.type"], told["db.response.status_code"]), ("Microsoft.Data.SqlClient.SqlException", "208"), "the error")
        points = only(receiver.metrics("db.client.operation.duration"), "histograms").points
        equal(sorted(attributes["db.operation.name"] for attributes, _ in points), ["EXECUTE", "SELECT", "SELECT", "UPDATE"], "measured")


@on_each
def entity_framework(world, version):
    """Queries of drivers that say nothing (SQLite, Oracle) would be missing; those of drivers that do would be told of twice."""
    with observed(world) as receiver:
        run(world, version, "Databases", "ef", to=receiver)
        clean(receiver)
        no_secrets(receiver)
        spans = by_time(receiver)
        equal([(span.name, span.scope["name"].rsplit(".", 1)[-1], span.failed) for span in spans],
              [("INSERT notes", "entityframeworkcore", False), ("DELETE notes", "entityframeworkcore", True),
               ("UPDATE notes", "entityframeworkcore", True), ("SELECT shop", "sqlclient", False),
               ("SELECT shop", "sqlclient", False)], "spans")
        told = spans[0].attributes
        equal((told["db.system.name"], told["db.query.text"]), ("sqlite", "INSERT INTO notes (text) VALUES (?)"), "attributes")
        counts = sum(int(point["count"]) for _, point in only(receiver.metrics("db.client.operation.duration"), "histograms").points)
        equal(spans[2].attributes["error.type"], "System.OperationCanceledException", "error.type of what was canceled")
        equal(counts, 5, "commands measured")


def npgsql(world):
    """Queries of PostgreSQL (Npgsql 6 and later, an ActivitySource: .NET 5 and later) would be missing, told of twice below Entity Framework, or sent
    with passwords."""
    with observed(world) as receiver:
        run(world, NEW, "Sources", "npgsql", to=receiver, against=NEW)
        clean(receiver)
        no_secrets(receiver)
        spans = by_time(receiver)
        equal([(span.name, span.scope["name"], span.failed) for span in spans],
              [("SELECT users", "Npgsql", False), ("DELETE nothing", "Npgsql", True), ("UPDATE orders", "Npgsql", False)], "spans")
        wanted = {"db.system.name": "postgresql", "db.namespace": "shop", "db.operation.name": "SELECT", "db.collection.name": "users",
                  "server.address": "db.example", "server.port": 5433, "db.query.text": "SELECT name FROM users WHERE id = ?"}
        equal(spans[0].attributes, wanted, "attributes")
        equal(spans[1].attributes["error.type"], "Npgsql.PostgresException", "error.type")
        run(world, NEW, "Sources", "npgsql", to=receiver, against=NEW, extra={"OBTRACE_TRACE_SAMPLE_RATIO": "0"})
        equal(len(receiver.spans()), 3, "spans after a run with the ratio 0")
        counts = [sum(int(point["count"]) for _, point in metric.points) for metric in receiver.metrics("db.client.operation.duration")]
        equal(counts, [3, 3], "commands measured, with and without spans")


def npgsql_from_10(world):
    """With Npgsql 10 queries would be misnamed, procedures be taken for statements, and connections' strings sent. Of a database that speaks no SQL
    the values would be sent that were asked for."""
    with observed(world) as receiver:
        run(world, NEW, "Sources", "npgsql10", to=receiver, against=NEW)
        clean(receiver)
        no_secrets(receiver)
        spans = by_time(receiver)
        equal([(span.name, span.failed, span.attributes.get("db.query.text")) for span in spans],
              [("SELECT users", False, "SELECT name FROM users WHERE id = ?"), ("DELETE nothing", True, "DELETE FROM nothing"),
               ("CALL close_month", False, None), ("SELECT orders", False, None),
               ("COPY FROM shop", False, "COPY orders FROM STDIN (DELIMITER ?)"), ("CONNECT shop", False, None), ("find shop", False, None)], "spans")
        told = spans[1].attributes
        equal((told["error.type"], told["db.response.status_code"], told["server.address"]), ("42P01", "42P01", "db.example"), "the error")
        expect("server.port" not in told, "a port that Npgsql did not tell")
        counts = sum(int(point["count"]) for _, point in only(receiver.metrics("db.client.operation.duration"), "histograms").points)
        equal(counts, 6, "commands measured, opening a connection not among them")


def without_traces(world):
    """OBTRACE_TRACED without `client` would not stop spans that another tool reports."""
    with observed(world) as receiver:
        run(world, NEW, "Sources", "npgsql", to=receiver, against=NEW, extra={"OBTRACE_TRACED": "server,internal"})
        run(world, NEW, "Databases", "sql", to=receiver, extra={"OBTRACE_TRACED": "server,internal"})
        equal(receiver.spans(), [], "spans")
        expect(receiver.metrics("db.client.operation.duration"), "no durations")


CASES = [sql_client, entity_framework, npgsql, npgsql_from_10, without_traces]
