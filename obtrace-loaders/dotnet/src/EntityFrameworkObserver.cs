using System;
using System.Collections.Concurrent;
using System.Diagnostics;

namespace Obtrace.Zero
{
    /// <summary>
    /// Commands of Entity Framework Core whose driver does not tell of them itself (SQLite, Oracle, older Npgsql, ...): the events
    /// Database.Command.CommandExecuting, CommandExecuted, CommandError and CommandCanceled of the listener Microsoft.EntityFrameworkCore.
    /// </summary>
    internal sealed class EntityFrameworkObserver : Observer
    {
        private const string Prefix = "Microsoft.EntityFrameworkCore.Database.Command.Command";
        private const int MostOpen = 10000;
        private readonly ConcurrentDictionary<Guid, Exchange> open = new ConcurrentDictionary<Guid, Exchange>();

        protected override bool Wants(string name, object subject, object other)
        {
            return name.StartsWith(Prefix, StringComparison.Ordinal) && (name.EndsWith("Executing", StringComparison.Ordinal)
                || name.EndsWith("Executed", StringComparison.Ordinal) || name.EndsWith("Error", StringComparison.Ordinal)
                || name.EndsWith("Canceled", StringComparison.Ordinal));
        }

        protected override void On(string name, object payload)
        {
            object id = Reach.Get(payload, "CommandId");
            if (!(id is Guid))
            {
                return;
            }
            Exchange exchange;
            if (name.EndsWith("Executing", StringComparison.Ordinal))
            {
                if (open.Count < MostOpen)
                {
                    exchange = Traces.BeginBelow(Activity.Current, 3);
                    open[(Guid)id] = exchange;
                    Database.Outer.Value = exchange;
                }
                return;
            }
            Database.Outer.Value = null;
            object command = Reach.Get(payload, "Command");
            if (open.TryRemove((Guid)id, out exchange) && !exchange.Covered && command != null)
            {
                Exception failure = Reach.Get(payload, "Exception") as Exception
                    ?? (name.EndsWith("Canceled", StringComparison.Ordinal) ? new OperationCanceledException() : null);
                Database.End(exchange, command, "obtrace.dotnet.entityframeworkcore", failure);
            }
        }
    }
}
