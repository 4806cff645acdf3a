using System;
using System.Collections.Concurrent;
using System.Diagnostics;

namespace Obtrace.Zero
{
    /// <summary>
    /// Commands of Microsoft.Data.SqlClient and System.Data.SqlClient: WriteCommandBefore, After and Error of the listener
    /// SqlClientDiagnosticListener, matched by their OperationId. There is no activity.
    /// </summary>
    internal sealed class SqlClientObserver : Observer
    {
        private const int MostOpen = 10000;
        private readonly ConcurrentDictionary<Guid, Exchange> open = new ConcurrentDictionary<Guid, Exchange>();

        protected override bool Wants(string name, object subject, object other)
        {
            return name.EndsWith(".WriteCommandBefore", StringComparison.Ordinal) || name.EndsWith(".WriteCommandAfter", StringComparison.Ordinal)
                || name.EndsWith(".WriteCommandError", StringComparison.Ordinal);
        }

        protected override void On(string name, object payload)
        {
            object id = Reach.Get(payload, "OperationId");
            if (!(id is Guid))
            {
                return;
            }
            Exchange exchange;
            if (name.EndsWith("Before", StringComparison.Ordinal))
            {
                Database.Cover();
                if (open.Count < MostOpen)
                {
                    open[(Guid)id] = Traces.BeginBelow(Activity.Current, 3);
                }
            }
            else if (open.TryRemove((Guid)id, out exchange))
            {
                object command = Reach.Get(payload, "Command");
                if (command != null)
                {
                    Database.End(exchange, command, "obtrace.dotnet.sqlclient", Reach.Get(payload, "Exception") as Exception);
                }
            }
        }
    }
}
