"""Drivers of the DB-API (PEP 249): psycopg2, psycopg 3, PyMySQL, mysqlclient, MySQL Connector, sqlite3.

Where a driver's classes are Python, their methods are observed; where they are C, connections and cursors are of a subclass
with the same name, as the drivers themselves provide for."""

from functools import update_wrapper

from obtrace_python import settings
from obtrace_python.libraries.database import Server, begin_statement, first, wrap


def known(connection, make):
    """What is known of a connection, asked once."""
    server = connection.__dict__.get("_obtrace_server")
    if server is None:
        server = connection._obtrace_server = make(connection)
    return server


def executing(library, make, connection_of=lambda cursor: cursor.connection):
    """What begins the span of a cursor's `execute`."""
    def start(cursor, arguments, named):
        return begin_statement(known(connection_of(cursor), make), first(arguments, named, "query", "sql", "operation"), cursor)

    return start


def cursors(kinds, library, make, connection_of=lambda cursor: cursor.connection, names=("execute", "executemany", "callproc", "stream")):
    start = executing(library, make, connection_of)

    def call(cursor, arguments, named):
        return begin_statement(known(connection_of(cursor), make), "CALL " + str(first(arguments, named, "procname")), cursor)

    for kind in kinds:
        for name in names:
            wrap(kind, name, library, call if name == "callproc" else start)


def subclass(kind, body):
    """A subclass that looks like the class it is of."""
    return type(kind)(kind.__name__, (kind,), {"__module__": kind.__module__, "__qualname__": kind.__qualname__, "__doc__": kind.__doc__, **body})


def psycopg2_server(connection):
    info = connection.info
    return Server("postgresql", "psycopg2", info.dbname, info.host, info.port)


def psycopg2(module):
    """`psycopg2`: its connections and cursors are C."""
    extensions = module.extensions
    factory = Subclasses("psycopg2", psycopg2_server)
    original = module.connect

    def connect(dsn=None, connection_factory=None, cursor_factory=None, **named):
        kind = connection_factory or extensions.connection
        try:
            kind = factory.connection(kind, "cursor_factory", extensions.cursor)
        except Exception as error:
            settings.fault("psycopg2", error)
        return original(dsn, connection_factory=kind, cursor_factory=cursor_factory, **named)

    module.connect = update_wrapper(connect, original)


_KINDS = 1000
# What connections of sqlite3 have of a cursor's.
_SHORTCUTS = ("execute", "executemany", "executescript")


class Subclasses:
    """Subclasses of a C driver's classes, one of each that the application uses."""

    def __init__(self, library, make):
        self.library, self.make, self.made = library, make, {}

    def fits(self, kind):
        """Whether a subclass is to be had: not of ours, nor of more classes than an application can mean to have."""
        return isinstance(kind, type) and "_obtrace" not in kind.__dict__ and (kind in self.made or len(self.made) < _KINDS)

    def cursor(self, kind):
        found = self.made.get(kind) if self.fits(kind) else kind
        if found is None:
            body = {"_obtrace": True}
            for name in ("execute", "executemany", "executescript", "callproc"):
                if hasattr(kind, name):
                    body[name] = getattr(kind, name)
            found = self.made[kind] = subclass(kind, body)
            cursors([found], self.library, self.make, names=("execute", "executemany", "executescript", "callproc"))
        return found

    def connection(self, kind, option, default):
        """A connection class whose cursors are observed; `option` names the argument of `cursor` that gives a class."""
        found = self.made.get(kind) if self.fits(kind) else kind
        if found is None:
            base, subclasses = kind.cursor, self

            def cursor(self, *arguments, **named):
                try:
                    if option == "factory" and arguments:
                        arguments = (subclasses.cursor(arguments[0]), *arguments[1:])
                    else:
                        named[option] = subclasses.cursor(named.get(option) or getattr(self, option, None) or default)
                except Exception as error:
                    settings.fault(subclasses.library, error)
                return base(self, *arguments, **named)

            body = {"_obtrace": True, "cursor": update_wrapper(cursor, base)}
            shortcuts = [name for name in _SHORTCUTS if hasattr(kind, name)]
            body.update({name: getattr(kind, name) for name in shortcuts})
            found = self.made[kind] = subclass(kind, body)
            cursors([found], self.library, self.make, lambda connection: connection, shortcuts)
        return found


def sqlite3(module):
    """`sqlite3.dbapi2`: its connections and cursors are C."""
    subclasses = Subclasses("sqlite3", lambda connection: Server("sqlite", "sqlite3"))
    original = module.connect

    def connect(*arguments, **named):
        try:
            # The sixth of the arguments is the class.
            if len(arguments) > 5:
                arguments = (*arguments[:5], subclasses.connection(arguments[5], "factory", module.Cursor), *arguments[6:])
            else:
                named["factory"] = subclasses.connection(named.get("factory", module.Connection), "factory", module.Cursor)
        except Exception as error:
            settings.fault("sqlite3", error)
        connection = original(*arguments, **named)
        try:
            database = str(arguments[0] if arguments else named.get("database"))
            connection._obtrace_server = Server("sqlite", "sqlite3", database.rpartition("/")[2])
        except Exception as error:
            settings.fault("sqlite3", error)
        return connection

    module.connect = update_wrapper(connect, original)


def psycopg_server(connection):
    info = connection.info
    return Server("postgresql", "psycopg", info.dbname, info.host, info.port)


def psycopg(module):
    """`psycopg`, version 3: Python classes, synchronous and asynchronous."""
    kinds = {kind for name in ("Cursor", "ClientCursor", "ServerCursor", "RawCursor", "RawServerCursor", "AsyncCursor", "AsyncClientCursor",
                               "AsyncServerCursor", "AsyncRawCursor", "AsyncRawServerCursor") for kind in getattr(module, name, object).__mro__}
    cursors([kind for kind in kinds if kind.__module__.startswith("psycopg")], "psycopg", psycopg_server, names=("execute", "executemany"))


def pymysql(module):
    """`pymysql.cursors`."""
    cursors([module.Cursor, module.SSCursor], "pymysql", lambda connection: Server("mysql", "pymysql", connection.db, connection.host, connection.port))


def mysqldb(module):
    """`MySQLdb.cursors` of mysqlclient; a cursor's connection is a weak proxy."""
    cursors([module.BaseCursor], "mysqlclient", lambda connection: Server("mysql", "mysqlclient"))


def mysqldb_connections(module):
    """`MySQLdb.connections`: only the arguments tell where it is."""
    start = module.Connection.__init__

    def init(self, *arguments, **named):
        start(self, *arguments, **named)
        try:
            given = dict(zip(("host", "user", "password", "database", "port"), arguments), **named)
            self._obtrace_server = Server("mysql", "mysqlclient", given.get("database") or given.get("db"), given.get("host"), given.get("port") or 3306)
        except Exception as error:
            settings.fault("mysqlclient", error)

    module.Connection.__init__ = update_wrapper(init, start)


def mysql_connector(module):
    """`mysql.connector.cursor` and `.cursor_cext`."""
    def make(connection):
        return Server("mysql", "mysql_connector", connection._database, connection._host, connection._port)

    kinds = [kind for kind in vars(module).values() if isinstance(kind, type) and kind.__module__ == module.__name__]
    cursors(kinds, "mysql_connector", make, lambda cursor: cursor._connection, ("execute", "executemany", "callproc"))
