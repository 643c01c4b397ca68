//! The table service: rows and transactions. Queries are in [`super::query`].

use async_trait::async_trait;
use durabletask_core::Timestamp;
use rusqlite::{OptionalExtension, params};

use super::failure::{Failure, Result as Outcome};
use super::{EmbeddedStore, Turn, key_order, limits, query, rows};
use crate::{Condition, ETag, ErrorKind, Page, Query, Result, Row, RowKeys, Tables, Write};

#[async_trait]
impl Tables for EmbeddedStore {
    async fn create_table(&self, table: &str) -> Result<bool> {
        limits::table_name(table).map_err(|f| f.into_error("create_table", table))?;
        self.write("create_table", table, |turn| {
            if turn.find_table()?.is_some() {
                return Ok(false);
            }
            let id = turn.draw_numbers(1)?;
            turn.connection
                .prepare_cached("INSERT INTO tables VALUES (?1, ?2, ?3)")?
                .execute(params![id, turn.name, turn.name.to_ascii_lowercase()])?;
            Ok(true)
        })
        .await
    }

    async fn delete_table(&self, table: &str) -> Result<bool> {
        self.write("delete_table", table, |turn| {
            let Some(id) = turn.find_table()? else {
                return Ok(false);
            };
            for statement in [
                "DELETE FROM rows WHERE table_id = ?1",
                "DELETE FROM tables WHERE id = ?1",
            ] {
                turn.connection.prepare_cached(statement)?.execute([id])?;
            }
            Ok(true)
        })
        .await
    }

    async fn list_tables(&self, prefix: &str) -> Result<Vec<String>> {
        self.read("list_tables", prefix, |turn| {
            turn.list_names("SELECT name FROM tables ORDER BY name", turn.name)
        })
        .await
    }

    async fn get_row(&self, table: &str, keys: RowKeys<'_>) -> Result<Option<Row>> {
        let (partition_key, row_key) = (keys.partition.to_owned(), keys.row.to_owned());
        self.read("get_row", table, move |turn| {
            let table = turn.table()?;
            let (pk, rk) = (
                key_order::encode(&partition_key),
                key_order::encode(&row_key),
            );
            let Some(stored) = turn.stored_row(table, &pk, &rk)? else {
                return Ok(None);
            };
            Ok(Some(Row {
                partition_key,
                row_key,
                columns: rows::decode(&stored.columns)?,
                etag: Some(etag_text(stored.etag)),
                written: Some(stored.written),
            }))
        })
        .await
    }

    async fn query(&self, table: &str, query: &Query) -> Result<Page> {
        const OPERATION: &str = "query";
        let plan = query::Plan::of(query).map_err(|f| f.into_error(OPERATION, table))?;
        self.read(OPERATION, table, move |turn| plan.run(turn))
            .await
    }

    async fn write(&self, table: &str, write: Write) -> Result<Option<ETag>> {
        const OPERATION: &str = "write";
        let change = change_of(write).map_err(|f| f.into_error(OPERATION, table))?;
        EmbeddedStore::write(self, OPERATION, table, move |turn| {
            let table = turn.table()?;
            let etag = turn.draw_numbers(1)?;
            turn.apply(table, &change, etag)
        })
        .await
    }

    async fn transact(&self, table: &str, writes: Vec<Write>) -> Result<Vec<Option<ETag>>> {
        const OPERATION: &str = "transact";
        let changes = changes_of(writes).map_err(|f| f.into_error(OPERATION, table))?;
        EmbeddedStore::write(self, OPERATION, table, move |turn| {
            let table = turn.table()?;
            let first_etag = turn.draw_numbers(changes.len())?;
            (first_etag..)
                .zip(changes.iter().enumerate())
                .map(|(etag, (index, change))| {
                    turn.apply(table, change, etag)
                        .map_err(|failure| failure.at(index))
                })
                .collect()
        })
        .await
    }
}

/// A write, encoded before it is its turn on the database.
struct Change {
    pk: Vec<u8>,
    rk: Vec<u8>,
    action: Action,
}

enum Action {
    Insert(Vec<u8>),
    Upsert(Vec<u8>),
    Replace(Vec<u8>, Option<i64>),
    /// The flag allows making the row.
    Merge(Row, Option<i64>, bool),
    Delete(Option<i64>),
}

impl Change {
    fn of(write: Write) -> Outcome<Self> {
        let keys = write.keys();
        let (pk, rk) = (
            key_order::encode(keys.partition),
            key_order::encode(keys.row),
        );
        let encoded = |row: &Row| rows::encode(&row.columns);
        let action = match write {
            Write::Insert(row) => Action::Insert(encoded(&row)),
            Write::InsertOrReplace(row) => Action::Upsert(encoded(&row)),
            Write::Replace(row, condition) => {
                Action::Replace(encoded(&row), wanted_etag(&condition)?)
            }
            Write::InsertOrMerge(row) => Action::Merge(row, None, true),
            Write::Merge(row, condition) => Action::Merge(row, wanted_etag(&condition)?, false),
            Write::Delete { condition, .. } => Action::Delete(wanted_etag(&condition)?),
        };
        Ok(Self { pk, rk, action })
    }
}

fn change_of(write: Write) -> Outcome<Change> {
    crate::limits::write(&write)?;
    Change::of(write)
}

fn changes_of(writes: Vec<Write>) -> Outcome<Vec<Change>> {
    crate::limits::transaction(&writes)?;
    limits::transaction_size(&writes)?;
    let change = |(index, write)| Change::of(write).map_err(|failure| failure.at(index));
    writes.into_iter().enumerate().map(change).collect()
}

pub(super) struct StoredRow {
    pub(super) etag: i64,
    pub(super) written: Timestamp,
    pub(super) columns: Vec<u8>,
}

impl Turn<'_> {
    fn find_table(&self) -> Outcome<Option<i64>> {
        Ok(self
            .connection
            .prepare_cached("SELECT id FROM tables WHERE folded = ?1")?
            .query_row([self.name.to_ascii_lowercase()], |row| row.get(0))
            .optional()?)
    }

    pub(super) fn table(&self) -> Outcome<i64> {
        self.find_table()?
            .ok_or_else(|| Failure::new(ErrorKind::NotFound, "TableNotFound"))
    }

    fn stored_row(&self, table: i64, pk: &[u8], rk: &[u8]) -> Outcome<Option<StoredRow>> {
        Ok(self
            .connection
            .prepare_cached(
                "SELECT etag, written, columns FROM rows
                 WHERE table_id = ?1 AND pk = ?2 AND rk = ?3",
            )?
            .query_row(params![table, pk, rk], |row| {
                Ok(StoredRow {
                    etag: row.get(0)?,
                    written: Timestamp::from_ticks(row.get(1)?),
                    columns: row.get(2)?,
                })
            })
            .optional()?)
    }

    fn apply(&self, table: i64, change: &Change, etag: i64) -> Outcome<Option<ETag>> {
        let Change { pk, rk, action } = change;
        match action {
            Action::Insert(columns) => {
                let inserted = self
                    .connection
                    .prepare_cached(
                        "INSERT INTO rows VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING",
                    )?
                    .execute(params![table, pk, rk, etag, self.now.ticks(), columns])?;
                if inserted == 0 {
                    return Err(Failure::new(
                        ErrorKind::AlreadyExists,
                        "EntityAlreadyExists",
                    ));
                }
            }
            Action::Upsert(columns) => self.put_row(table, change, etag, columns)?,
            Action::Replace(columns, wanted) => {
                let replaced = self
                    .connection
                    .prepare_cached(
                        "UPDATE rows SET etag = ?4, written = ?5, columns = ?6
                         WHERE table_id = ?1 AND pk = ?2 AND rk = ?3 AND etag = coalesce(?7, etag)",
                    )?
                    .execute(params![
                        table,
                        pk,
                        rk,
                        etag,
                        self.now.ticks(),
                        columns,
                        wanted
                    ])?;
                if replaced == 0 {
                    return Err(self.refusal(table, change)?);
                }
            }
            Action::Merge(row, wanted, may_insert) => {
                let columns = self.merged(table, change, row, *wanted, *may_insert)?;
                self.put_row(table, change, etag, &columns)?;
            }
            Action::Delete(wanted) => {
                let deleted = self
                    .connection
                    .prepare_cached(
                        "DELETE FROM rows
                         WHERE table_id = ?1 AND pk = ?2 AND rk = ?3 AND etag = coalesce(?4, etag)",
                    )?
                    .execute(params![table, pk, rk, wanted])?;
                if deleted == 0 {
                    return Err(self.refusal(table, change)?);
                }
                return Ok(None);
            }
        }
        Ok(Some(etag_text(etag)))
    }

    fn put_row(&self, table: i64, change: &Change, etag: i64, columns: &[u8]) -> Outcome<()> {
        self.connection
            .prepare_cached("INSERT OR REPLACE INTO rows VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
            .execute(params![
                table,
                change.pk,
                change.rk,
                etag,
                self.now.ticks(),
                columns
            ])?;
        Ok(())
    }

    /// The columns after the merge, encoded.
    fn merged(
        &self,
        table: i64,
        change: &Change,
        row: &Row,
        wanted: Option<i64>,
        may_insert: bool,
    ) -> Outcome<Vec<u8>> {
        let Some(stored) = self.stored_row(table, &change.pk, &change.rk)? else {
            return if may_insert {
                Ok(rows::encode(&row.columns))
            } else {
                Err(not_found())
            };
        };
        if wanted.is_some_and(|wanted| wanted != stored.etag) {
            return Err(not_matched());
        }
        let mut merged = Row::new(row.partition_key.as_str(), row.row_key.as_str());
        merged.columns = rows::decode(&stored.columns)?;
        merged.columns.extend(row.columns.clone());
        crate::limits::row_size(&merged)?;
        Ok(rows::encode(&merged.columns))
    }

    /// Why a conditional write met no row.
    fn refusal(&self, table: i64, change: &Change) -> Outcome<Failure> {
        let there = self.stored_row(table, &change.pk, &change.rk)?.is_some();
        Ok(if there { not_matched() } else { not_found() })
    }
}

fn not_found() -> Failure {
    Failure::new(ErrorKind::NotFound, "ResourceNotFound")
}

fn not_matched() -> Failure {
    Failure::new(ErrorKind::PreconditionFailed, "UpdateConditionNotSatisfied")
}

pub(super) fn etag_text(number: i64) -> ETag {
    ETag(format!("W/\"{number:016x}\""))
}

/// The number in an ETag that this store has made; anything else is malformed, as for the service.
pub(super) fn etag_number(etag: &ETag) -> Outcome<i64> {
    etag.0
        .strip_prefix("W/\"")
        .and_then(|rest| rest.strip_suffix('"'))
        .and_then(|digits| i64::from_str_radix(digits, 16).ok())
        .ok_or_else(|| Failure::invalid("InvalidInput", "the ETag is none of this store's"))
}

fn wanted_etag(condition: &Condition) -> Outcome<Option<i64>> {
    match condition {
        Condition::Exists => Ok(None),
        Condition::Matches(etag) => etag_number(etag).map(Some),
    }
}
