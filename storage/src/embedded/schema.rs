//! The tables inside of the database, and how a connection is set up.
//!
//! Keys and blob names are BLOBs, so that `SQLite` compares them byte by byte: keys in the
//! encoding of [`super::key_order`], names in UTF-8. Times are ticks of
//! [`Timestamp`](durabletask_core::Timestamp). Ids, sequence numbers, receipts and ETags are drawn
//! from the one row of `counter`.

use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use super::failure::{Failure, Result};

/// Marks a file as ours: "DTRs".
const APPLICATION_ID: i32 = 0x4454_5273;
/// Raised with every change of [`TABLES`].
const SCHEMA_VERSION: i32 = 2;
/// How long a transaction waits for another process that writes, in milliseconds.
const BUSY_TIMEOUT_MS: u32 = 10_000;
/// Switches to WAL that may fail because another process opens the file in the same moment.
const WAL_ATTEMPTS: u32 = 10;
/// Prepared statements kept per connection.
const CACHED_STATEMENTS: usize = 128;
/// Page cache of a connection, in KiB.
const PAGE_CACHE_KIB: u32 = 16 * 1024;

const TABLES: &str = "
CREATE TABLE account (name TEXT NOT NULL);
CREATE TABLE counter (value INTEGER NOT NULL);
INSERT INTO counter VALUES (0);

CREATE TABLE queues (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE messages (
    seq INTEGER PRIMARY KEY,
    queue INTEGER NOT NULL,
    visible_at INTEGER NOT NULL,
    inserted INTEGER NOT NULL,
    dequeue_count INTEGER NOT NULL,
    receipt INTEGER NOT NULL,
    text TEXT NOT NULL
);
-- Ends with seq, the row id: visibility time, then insertion.
CREATE INDEX messages_by_time ON messages (queue, visible_at);

CREATE TABLE tables (id INTEGER PRIMARY KEY, name TEXT NOT NULL, folded TEXT NOT NULL UNIQUE);
CREATE TABLE rows (
    table_id INTEGER NOT NULL,
    pk BLOB NOT NULL,
    rk BLOB NOT NULL,
    etag INTEGER NOT NULL,
    written INTEGER NOT NULL,
    columns BLOB NOT NULL,
    PRIMARY KEY (table_id, pk, rk)
) WITHOUT ROWID;

CREATE TABLE containers (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    lease TEXT,
    lease_seconds INTEGER,
    lease_until INTEGER
);
CREATE TABLE blobs (
    container INTEGER NOT NULL,
    name BLOB NOT NULL,
    etag INTEGER NOT NULL,
    written INTEGER NOT NULL,
    lease TEXT,
    lease_seconds INTEGER,
    lease_until INTEGER,
    content BLOB NOT NULL,
    PRIMARY KEY (container, name)
);
";

pub(super) fn open_memory(name: &str) -> Result<Connection> {
    let mut connection = Connection::open_in_memory()?;
    connection.execute_batch("PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF;")?;
    prepare(&connection)?;
    create_tables(&mut connection, name)?;
    Ok(connection)
}

/// Opens or makes the file. `name` becomes the account's name if the file is new.
pub(super) fn open_file(path: &Path, name: &str) -> Result<Connection> {
    let mut connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    connection.execute_batch(&format!("PRAGMA busy_timeout = {BUSY_TIMEOUT_MS};"))?;
    switch_to_wal(&mut connection)?;
    connection.execute_batch("PRAGMA synchronous = FULL;")?;
    prepare(&connection)?;
    create_tables(&mut connection, name)?;
    Ok(connection)
}

pub(super) fn account_name(connection: &Connection) -> Result<String> {
    Ok(connection.query_row("SELECT name FROM account", [], |row| row.get(0))?)
}

fn prepare(connection: &Connection) -> Result<()> {
    connection.set_prepared_statement_cache_capacity(CACHED_STATEMENTS);
    // Else every statement with a range is compiled anew whenever its bounds change.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.execute_batch(&format!(
        "PRAGMA cache_size = -{PAGE_CACHE_KIB}; PRAGMA temp_store = MEMORY;"
    ))?;
    Ok(())
}

/// The busy time-out does not cover this switch, so waiting is done by an ordinary transaction.
fn switch_to_wal(connection: &mut Connection) -> Result<()> {
    for attempt in 1.. {
        match connection.query_row("PRAGMA journal_mode = WAL", [], |row| {
            row.get::<_, String>(0)
        }) {
            Ok(mode) if mode == "wal" => return Ok(()),
            Ok(mode) => {
                return Err(Failure::invalid(
                    "Database",
                    format!("the file system does not allow WAL (journal mode {mode})"),
                ));
            }
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
                    && attempt < WAL_ATTEMPTS =>
            {
                connection
                    .transaction_with_behavior(TransactionBehavior::Immediate)?
                    .commit()?;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn create_tables(connection: &mut Connection, name: &str) -> Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let read = |pragma: &str| transaction.query_row(pragma, [], |row| row.get::<_, i32>(0));
    let application = read("PRAGMA application_id")?;
    let version = read("PRAGMA user_version")?;
    match (application, version) {
        (APPLICATION_ID, SCHEMA_VERSION) => {}
        (APPLICATION_ID, _) => {
            return Err(Failure::invalid(
                "SchemaVersion",
                format!("the file has schema version {version}, this program {SCHEMA_VERSION}"),
            ));
        }
        (0, 0) if read("SELECT count(*) FROM sqlite_schema")? == 0 => {
            transaction.execute_batch(TABLES)?;
            transaction.execute("INSERT INTO account VALUES (?1)", [name])?;
            transaction.execute_batch(&format!(
                "PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {SCHEMA_VERSION};"
            ))?;
        }
        _ => {
            return Err(Failure::invalid(
                "ForeignFile",
                "the file is a SQLite database of another program",
            ));
        }
    }
    transaction.commit()?;
    Ok(())
}
