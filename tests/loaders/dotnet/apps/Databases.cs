// Commands as Microsoft.Data.SqlClient, System.Data.SqlClient and Entity Framework Core write them into their DiagnosticListeners, without these
// packages, which cannot be had where this is tested. What is recorded here: names and payloads of SqlClientCommandBefore and its like (a list and an
// object at once, since 6.1) and of SqlClientDiagnosticListenerExtensions (before), of EF Core's CommandEventData, CommandExecutedEventData,
// CommandErrorEventData and CommandEndEventData (a command that was canceled, since 7); the order in which EF Core and the driver below write.
// README.md says in which versions of these files that was read.

using System;
using System.Collections;
using System.Collections.Generic;
using System.Diagnostics;
using Microsoft.Data.SqlClient.Diagnostics;
using Microsoft.EntityFrameworkCore.Diagnostics;

namespace Microsoft.Data.SqlClient
{
    public sealed class SqlConnection
    {
        public string DataSource { get; set; }
        public string Database { get; set; }
    }

    public sealed class SqlException : Exception
    {
        public SqlException() : base("Invalid object name 'nothing'.")
        {
        }

        public int Number
        {
            get { return 208; }
        }
    }

    public sealed class SqlCommand
    {
        public string CommandText { get; set; }
        public System.Data.CommandType CommandType { get; set; } = System.Data.CommandType.Text;
        public SqlConnection Connection { get; set; } = new SqlConnection { DataSource = "tcp:db.example\\main,1433", Database = "shop" };
    }

    namespace Diagnostics
    {
        public abstract class CommandEvent : IReadOnlyList<KeyValuePair<string, object>>
        {
            public Guid OperationId { get; set; }
            public string Operation { get; set; }
            public long Timestamp { get; set; }
            public Guid? ConnectionId { get; set; }
            public long? TransactionId { get; set; }
            public SqlCommand Command { get; set; }

            public int Count
            {
                get { return 1; }
            }

            public KeyValuePair<string, object> this[int index]
            {
                get { return new KeyValuePair<string, object>(nameof(OperationId), OperationId); }
            }

            public IEnumerator<KeyValuePair<string, object>> GetEnumerator()
            {
                yield return this[0];
            }

            IEnumerator IEnumerable.GetEnumerator()
            {
                return GetEnumerator();
            }
        }

        public sealed class SqlClientCommandBefore : CommandEvent
        {
        }

        public sealed class SqlClientCommandAfter : CommandEvent
        {
            public IDictionary Statistics { get; set; }
        }

        public sealed class SqlClientCommandError : CommandEvent
        {
            public Exception Exception { get; set; }
        }
    }
}

namespace Microsoft.Data.Sqlite
{
    public sealed class SqliteConnection
    {
        public string DataSource
        {
            get { return "/data/shop.db"; }
        }

        public string Database
        {
            get { return "main"; }
        }
    }

    public sealed class SqliteCommand
    {
        public string CommandText { get; set; }
        public System.Data.CommandType CommandType { get; set; } = System.Data.CommandType.Text;
        public SqliteConnection Connection { get; } = new SqliteConnection();
    }
}

namespace Microsoft.EntityFrameworkCore.Diagnostics
{
    public class CommandCorrelatedEventData
    {
        public virtual Guid CommandId { get; set; }
        public virtual Guid ConnectionId { get; set; }
    }

    public class CommandEventData : CommandCorrelatedEventData
    {
        public virtual object Command { get; set; }
    }

    public class CommandEndEventData : CommandEventData
    {
        public virtual TimeSpan Duration { get; set; }
    }

    public class CommandExecutedEventData : CommandEndEventData
    {
        public virtual object Result { get; set; }
    }

    public class CommandErrorEventData : CommandEndEventData
    {
        public virtual Exception Exception { get; set; }
    }
}

public static class Databases
{
    private const string Ef = "Microsoft.EntityFrameworkCore.Database.Command.Command";
    private static readonly DiagnosticListener Driver = new DiagnosticListener("SqlClientDiagnosticListener");
    private static readonly DiagnosticListener Framework = new DiagnosticListener("Microsoft.EntityFrameworkCore");

    private static Microsoft.Data.SqlClient.SqlCommand Command(string text, bool procedure)
    {
        var command = new Microsoft.Data.SqlClient.SqlCommand { CommandText = text };
        command.CommandType = procedure ? System.Data.CommandType.StoredProcedure : System.Data.CommandType.Text;
        return command;
    }

    private static void Write(string name, object payload)
    {
        if (Driver.IsEnabled(name))
        {
            Driver.Write(name, payload);
        }
    }

    private static void Sql(string text, bool fails = false, bool procedure = false)
    {
        const string Prefix = "Microsoft.Data.SqlClient.WriteCommand";
        Guid id = Guid.NewGuid();
        var command = Command(text, procedure);
        Write(Prefix + "Before", new SqlClientCommandBefore { OperationId = id, Operation = "ExecuteReader", Command = command });
        if (fails)
        {
            var error = new Microsoft.Data.SqlClient.SqlException();
            Write(Prefix + "Error", new SqlClientCommandError { OperationId = id, Operation = "ExecuteReader", Command = command, Exception = error });
        }
        else
        {
            Write(Prefix + "After", new SqlClientCommandAfter { OperationId = id, Operation = "ExecuteReader", Command = command });
        }
    }

    /// As Microsoft.Data.SqlClient before 6.1 and System.Data.SqlClient do.
    private static void OlderSql(string text)
    {
        const string Prefix = "System.Data.SqlClient.WriteCommand";
        Guid id = Guid.NewGuid();
        var command = Command(text, false);
        Write(Prefix + "Before", new { OperationId = id, Operation = "ExecuteReader", ConnectionId = (Guid?)id, Command = command });
        Write(Prefix + "After", new { OperationId = id, Operation = "ExecuteReader", ConnectionId = (Guid?)id, Command = command,
            Statistics = (IDictionary)null, Timestamp = 2L });
    }

    private static void Entity(object command, Action below, string ends = "Executed")
    {
        Guid id = Guid.NewGuid();
        if (Framework.IsEnabled(Ef + "Executing"))
        {
            Framework.Write(Ef + "Executing", new CommandEventData { Command = command, CommandId = id });
        }
        below();
        if (Framework.IsEnabled(Ef + ends))
        {
            Framework.Write(Ef + ends, ends == "Error" ? new CommandErrorEventData { Command = command, CommandId = id, Exception = new TimeoutException("locked") }
                : ends == "Canceled" ? new CommandEndEventData { Command = command, CommandId = id }
                : new CommandExecutedEventData { Command = command, CommandId = id });
        }
    }

    public static int Main(string[] words)
    {
        var activity = new Activity("job").Start();
        if (words[0] == "sql")
        {
            Sql("SELECT name FROM users WHERE mail = 'a@b.example'");
            OlderSql("UPDATE orders SET total = 7");
            Sql("SELECT * FROM nothing", fails: true);
            Sql("dbo.close_month", procedure: true);
        }
        else
        {
            Entity(new Microsoft.Data.Sqlite.SqliteCommand { CommandText = "INSERT INTO notes (text) VALUES ('secret')" }, () => { });
            Entity(new Microsoft.Data.Sqlite.SqliteCommand { CommandText = "DELETE FROM notes" }, () => { }, "Error");
            Entity(new Microsoft.Data.Sqlite.SqliteCommand { CommandText = "UPDATE notes SET text = ''" }, () => { }, "Canceled");
            // Over SQL Server: the driver tells of the same command itself.
            Entity(new Microsoft.Data.SqlClient.SqlCommand { CommandText = "SELECT 1" }, () => Sql("SELECT 1"));
            // What comes after is not covered by what was.
            Sql("SELECT 2");
        }
        Console.WriteLine(activity.TraceId.ToHexString());
        return 0;
    }
}
