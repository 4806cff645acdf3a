"""asyncpg: the statements of a connection, also one of a pool."""

from weakref import WeakKeyDictionary

from obtrace_python.libraries.database import Server, begin_statement, first, wrap

_servers = WeakKeyDictionary()


def server(connection):
    found = _servers.get(connection)
    if found is None:
        address, parameters = connection._addr, connection._params
        host, port = address if isinstance(address, tuple) else (address, None)
        found = _servers[connection] = Server("postgresql", "asyncpg", parameters.database, host, port)
    return found


def start(connection, arguments, named):
    return begin_statement(server(connection), first(arguments, named, "query", "command"))


def install(module):
    """`asyncpg.connection`."""
    for name in ("execute", "executemany", "fetch", "fetchval", "fetchrow", "fetchmany"):
        wrap(module.Connection, name, "asyncpg", start)


def prepared(module):
    """`asyncpg.prepared_stmt`."""
    def begun(statement, arguments, named):
        return begin_statement(server(statement._connection), statement._query)

    for name in ("fetch", "fetchval", "fetchrow", "fetchmany", "executemany"):
        wrap(module.PreparedStatement, name, "asyncpg", begun)
