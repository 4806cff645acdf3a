//! What only MySQL exchanges have.

use alloc::borrow::Cow;

use crate::exchange::own;

/// Which command an exchange is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Request {
    /// COM_QUERY: a statement as text, or several.
    #[default]
    Query,
    /// COM_STMT_EXECUTE: one run of a prepared statement.
    Execute,
    /// COM_STMT_BULK_EXECUTE (MariaDB): one run with many rows of parameters.
    BulkExecute,
    /// COM_STMT_FETCH: the next rows of a cursor.
    Fetch,
    /// COM_STMT_PREPARE. Reported only when it failed.
    Prepare,
    /// COM_STMT_RESET. Reported only when it failed.
    ResetStatement,
    /// COM_SET_OPTION: several statements in a query or not. Reported only when it failed.
    SetOption,
    /// The start of the session. Reported only when it failed.
    Connect,
    /// COM_INIT_DB: another default database.
    InitDb,
    /// COM_CHANGE_USER.
    ChangeUser,
    /// COM_RESET_CONNECTION.
    ResetConnection,
    /// COM_FIELD_LIST: columns of a table.
    FieldList,
    /// COM_CREATE_DB.
    CreateDb,
    /// COM_DROP_DB.
    DropDb,
    /// COM_REFRESH.
    Refresh,
    /// COM_SHUTDOWN.
    Shutdown,
    /// COM_STATISTICS.
    Statistics,
    /// COM_PROCESS_INFO.
    ProcessInfo,
    /// COM_PROCESS_KILL.
    ProcessKill,
    /// COM_DEBUG.
    Debug,
    /// COM_PING.
    Ping,
    /// COM_REGISTER_SLAVE.
    RegisterReplica,
    /// A command that could not be read, because the connection is compressed in a way that was not undone.
    Unread,
}

impl Request {
    /// What an exchange is called whose SQL is not known.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Query => "QUERY",
            Self::Execute => "EXECUTE",
            Self::BulkExecute => "BULK_EXECUTE",
            Self::Fetch => "FETCH",
            Self::Prepare => "PREPARE",
            Self::ResetStatement => "STMT_RESET",
            Self::SetOption => "SET_OPTION",
            Self::Connect => "CONNECT",
            Self::InitDb => "INIT_DB",
            Self::ChangeUser => "CHANGE_USER",
            Self::ResetConnection => "RESET_CONNECTION",
            Self::FieldList => "FIELD_LIST",
            Self::CreateDb => "CREATE_DB",
            Self::DropDb => "DROP_DB",
            Self::Refresh => "REFRESH",
            Self::Shutdown => "SHUTDOWN",
            Self::Statistics => "STATISTICS",
            Self::ProcessInfo => "PROCESS_INFO",
            Self::ProcessKill => "PROCESS_KILL",
            Self::Debug => "DEBUG",
            Self::Ping => "PING",
            Self::RegisterReplica => "REGISTER_SLAVE",
            Self::Unread => "COMMAND",
        }
    }

    /// Whether it only prepares: it is an exchange only if the server refused it.
    pub(super) const fn only_prepares(self) -> bool {
        matches!(self, Self::Prepare | Self::ResetStatement | Self::SetOption | Self::Connect)
    }
}

/// What only MySQL and MariaDB have.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct MySqlDetails<'a> {
    /// Which command it was.
    pub request: Request,
    /// The text of the statement with its literals replaced ([`sanitize`](crate::sql::sanitize)), or as it is with
    /// [`Config::raw_sql`](crate::Config::raw_sql). At most [`Config::max_text`](crate::Config::max_text) bytes of
    /// it were read. Empty: not known (it was prepared before the connection was observed), or none.
    pub statement: Cow<'a, str>,
    /// The statement is longer than what was read of it.
    pub statement_cut: bool,
    /// The `db.query.summary` ([`summary`](crate::sql::summary)).
    pub summary: Cow<'a, str>,
    /// Number of the prepared statement.
    pub statement_id: Option<u32>,
    /// Default database when the request was sent, as far as the start of the session, COM_INIT_DB, `USE` and what
    /// the server says of changes tell; of COM_INIT_DB the new one. Empty: none, or not known.
    pub database: Cow<'a, str>,
    /// User of the session; empty if its start was not seen.
    pub user: Cow<'a, str>,
    /// Version of the server; empty if its greeting was not seen.
    pub server_version: Cow<'a, str>,
    /// The server is MariaDB. `None`: its greeting was not seen.
    pub mariadb: Option<bool>,
    /// Number of the error.
    pub error_code: Option<u16>,
    /// SQLSTATE of the error.
    pub sqlstate: Option<Cow<'a, str>>,
    /// The error's message; only with [`Config::error_text`](crate::Config::error_text), as it may hold data.
    pub error_message: Option<Cow<'a, str>>,
    /// Rows that came back.
    pub returned_rows: u64,
    /// Rows that the server says it inserted, changed or deleted. `None` if no result said so.
    pub affected_rows: Option<u64>,
    /// Number of warnings of the last result.
    pub warnings: u16,
    /// Results that came back, one a statement.
    pub results: u32,
    /// Statements in a query.
    pub batch_size: u32,
    /// Bytes that the client sent for LOAD DATA LOCAL INFILE.
    pub loaded: u64,
    /// A cursor was opened: its rows are asked for by COM_STMT_FETCH.
    pub cursor: bool,
    /// Whether a transaction is open after it, as far as the server said.
    pub transaction: Option<bool>,
    /// The session is compressed.
    pub compressed: bool,
}

impl MySqlDetails<'_> {
    /// Copies what is borrowed.
    #[must_use]
    pub fn into_owned(self) -> MySqlDetails<'static> {
        MySqlDetails {
            request: self.request,
            statement: own(self.statement),
            statement_cut: self.statement_cut,
            summary: own(self.summary),
            statement_id: self.statement_id,
            database: own(self.database),
            user: own(self.user),
            server_version: own(self.server_version),
            mariadb: self.mariadb,
            error_code: self.error_code,
            sqlstate: self.sqlstate.map(own),
            error_message: self.error_message.map(own),
            returned_rows: self.returned_rows,
            affected_rows: self.affected_rows,
            warnings: self.warnings,
            results: self.results,
            batch_size: self.batch_size,
            loaded: self.loaded,
            cursor: self.cursor,
            transaction: self.transaction,
            compressed: self.compressed,
        }
    }
}
