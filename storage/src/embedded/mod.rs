//! A storage account inside of one `SQLite` database: a file, or memory only.
//!
//! It behaves as the Azure services do where a task hub can tell: visibility in whole seconds, pop
//! receipts, ETags, entity-group transactions, filters, leases, limits and error meanings. Each
//! call is one database transaction.
//!
//! **Memory** mode is called in line. **File** mode has one thread that writes and one that reads
//! (in line where [`Env::has_threads`] is false), a write-ahead log and full synchronisation: what
//! a call has answered survives a power failure. Writes that wait at the same time share a commit.
//!
//! **Several processes** may open one file. A write waits up to 10 s for another process's
//! transaction and is [`Throttled`](crate::ErrorKind::Throttled) then. Nobody is notified of
//! messages: every receive reads the file, so whoever polls at least every 100 ms sees another
//! process's messages within that time. The pollers are the queue readers above this crate.
//!
//! Time comes from [`Env::now`] of the process that makes the call; processes that share a file
//! share a machine, hence a clock.

mod blobs;
mod failure;
mod filter;
mod key_order;
mod lane;
mod leases;
mod limits;
mod query;
mod queues;
mod rows;
mod schema;
mod tables;

use std::path::Path;
use std::sync::Arc;

use durabletask_core::Timestamp;
use rusqlite::Connection;

use crate::{Account, Env, Result, ServiceClock};
pub use filter::fuzz_filter;
use lane::{Lane, Mode};

/// The account name of a store in memory.
const MEMORY_NAME: &str = "memory";

/// One storage account in one database; all three services. Clones share it.
#[derive(Debug, Clone)]
pub struct EmbeddedStore {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    env: Env,
    name: String,
    writer: Lane,
    /// Absent where one connection does both, in line.
    reader: Option<Lane>,
}

impl EmbeddedStore {
    /// An empty account in memory. It lives as long as the store, its clones and accounts;
    /// nothing is durable.
    pub fn in_memory(env: Env) -> Result<Self> {
        let connection = schema::open_memory(MEMORY_NAME)
            .map_err(|failure| failure.into_error("open", MEMORY_NAME))?;
        Ok(Self::of(
            env,
            MEMORY_NAME.to_owned(),
            Lane::inline(connection),
            None,
        ))
    }

    /// The account in the file at `path`; makes the file and its folder if they are missing.
    /// Blocks while the file is opened.
    pub fn open(path: impl AsRef<Path>, env: Env) -> Result<Self> {
        let path = path.as_ref();
        let open = || -> failure::Result<Self> {
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder).map_err(|error| {
                    failure::Failure::invalid("Folder", format!("cannot make its folder: {error}"))
                })?;
            }
            let connection = schema::open_file(path, &name_of(path))?;
            let name = schema::account_name(&connection)?;
            if !env.has_threads() {
                return Ok(Self::of(env, name, Lane::inline(connection), None));
            }
            let second = schema::open_file(path, &name)?;
            let writer = Lane::thread(connection, Mode::Write)?;
            let reader = Lane::thread(second, Mode::Read)?;
            Ok(Self::of(env, name, writer, Some(reader)))
        };
        open().map_err(|failure| failure.into_error("open", path.display().to_string()))
    }

    fn of(env: Env, name: String, writer: Lane, reader: Option<Lane>) -> Self {
        Self {
            shared: Arc::new(Shared {
                env,
                name,
                writer,
                reader,
            }),
        }
    }

    /// The account's name: `memory`, or what the file was called when it was made. Container
    /// addresses carry it, so it stays when the file is renamed.
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// The three services.
    pub fn account(&self) -> Account {
        let store = Arc::new(self.clone());
        Account {
            queues: store.clone(),
            tables: store.clone(),
            blobs: store,
            clock: ServiceClock::local(self.shared.env.clone()),
        }
    }

    /// Carries out `act` on what is committed, without a transaction of its own.
    async fn read<T, F>(&self, operation: &'static str, resource: &str, act: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Turn<'_>) -> failure::Result<T> + Send + 'static,
    {
        let lane = self.shared.reader.as_ref().unwrap_or(&self.shared.writer);
        self.call(lane, Mode::Read, operation, resource, act).await
    }

    /// Carries out `act` in a transaction; durable when this returns.
    async fn write<T, F>(&self, operation: &'static str, resource: &str, act: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Turn<'_>) -> failure::Result<T> + Send + 'static,
    {
        let lane = &self.shared.writer;
        self.call(lane, Mode::Write, operation, resource, act).await
    }

    async fn call<T, F>(
        &self,
        lane: &Lane,
        mode: Mode,
        operation: &'static str,
        resource: &str,
        act: F,
    ) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Turn<'_>) -> failure::Result<T> + Send + 'static,
    {
        let (env, name) = (self.shared.env.clone(), resource.to_owned());
        lane.call(mode, move |connection| {
            act(&Turn {
                connection,
                name: &name,
                now: env.now(),
            })
        })
        .await
        .map_err(|failure| failure.into_error(operation, resource))
    }
}

/// What an operation has while it is its turn on the database.
struct Turn<'a> {
    connection: &'a Connection,
    /// The queue, table or container the call is about.
    name: &'a str,
    now: Timestamp,
}

impl Turn<'_> {
    /// The first of `count` numbers that were never given out before and never will be again.
    fn draw_numbers(&self, count: usize) -> failure::Result<i64> {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        // Not one statement with RETURNING: SQLite compiles such a one anew at every use.
        self.connection
            .prepare_cached("UPDATE counter SET value = value + ?1")?
            .execute([count])?;
        let last: i64 = self
            .connection
            .prepare_cached("SELECT value FROM counter")?
            .query_row([], |row| row.get(0))?;
        Ok(last - count + 1)
    }

    /// All names in `SELECT`'s single column that start with `prefix`.
    fn list_names(&self, select: &str, prefix: &str) -> failure::Result<Vec<String>> {
        let mut statement = self.connection.prepare_cached(select)?;
        let names = statement.query_map([], |row| row.get::<_, String>(0))?;
        let names = names.collect::<std::result::Result<Vec<_>, _>>()?;
        Ok(names
            .into_iter()
            .filter(|name| name.starts_with(prefix))
            .collect())
    }
}

/// The file's stem in the letters that the host part of an address may have.
fn name_of(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let name: String = stem
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    let name = name.trim_matches('-').to_ascii_lowercase();
    if name.is_empty() {
        "store".to_owned()
    } else {
        name
    }
}
