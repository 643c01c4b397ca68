//! Queries: key conditions are left to `SQLite`, the rest of the filter is evaluated here.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use durabletask_core::Timestamp;
use rusqlite::params_from_iter;
use rusqlite::types::Value as SqlValue;

use super::failure::{Failure, Result};
use super::filter::{Filter, KeyRange};
use super::tables::etag_text;
use super::{Turn, filter, key_order, rows};
use crate::{Continuation, MAX_PAGE_ROWS, Page, Query, Row};

/// Rows a call looks at; the page is short then, as the service's pages may be.
const MAX_SCANNED_ROWS: usize = 10_000;
/// Bytes of encoded columns a page may have before it is cut short: 4 MiB.
const MAX_PAGE_BYTES: usize = 4 * 1024 * 1024;
/// Starts every continuation text, so that none is empty.
const TOKEN_PREFIX: &str = "1!";

/// A query that is known to be legal.
pub(super) struct Plan {
    filter: Option<Filter>,
    select: Vec<String>,
    max_rows: usize,
    sql: String,
    parameters: Vec<SqlValue>,
}

impl Plan {
    pub(super) fn of(query: &Query) -> Result<Self> {
        let filter = match query.filter.as_deref() {
            Some(text) if !text.trim().is_empty() => Some(filter::parse(text)?),
            _ => None,
        };
        let top = query.top.unwrap_or(MAX_PAGE_ROWS);
        if top == 0 || top > MAX_PAGE_ROWS {
            return Err(Failure::invalid(
                "InvalidInput",
                format!("a page of {top} rows, 1 to {MAX_PAGE_ROWS} are allowed"),
            ));
        }
        let range = filter.as_ref().map(KeyRange::of).unwrap_or_default();
        let start = query.continuation.as_ref().map(start_of).transpose()?;
        let (sql, parameters) = sql_of(range, start);
        Ok(Self {
            filter,
            select: query.select.clone(),
            max_rows: top as usize,
            sql,
            parameters,
        })
    }

    pub(super) fn run(&self, turn: &Turn<'_>) -> Result<Page> {
        let mut parameters = self.parameters.clone();
        parameters[0] = SqlValue::Integer(turn.table()?);
        let mut statement = turn.connection.prepare_cached(&self.sql)?;
        let mut found = statement.query(params_from_iter(parameters))?;
        let mut page = Page::default();
        let (mut scanned, mut bytes) = (0, 0);
        while let Some(stored) = found.next()? {
            let blob = |column| {
                stored
                    .get_ref(column)?
                    .as_blob()
                    .map_err(|_| Failure::corrupt("a key or row is not a BLOB"))
            };
            let (pk, rk, columns) = (blob(0)?, blob(1)?, blob(4)?);
            if page.rows.len() == self.max_rows
                || scanned == MAX_SCANNED_ROWS
                || bytes > MAX_PAGE_BYTES
            {
                page.continuation = Some(Continuation {
                    next_partition_key: token(pk),
                    next_row_key: Some(token(rk)),
                });
                break;
            }
            scanned += 1;
            let mut row = Row {
                partition_key: key_order::decode(pk)?,
                row_key: key_order::decode(rk)?,
                columns: rows::decode(columns)?,
                etag: Some(etag_text(stored.get(2)?)),
                written: Some(Timestamp::from_ticks(stored.get(3)?)),
            };
            if self
                .filter
                .as_ref()
                .is_none_or(|filter| filter.matches(&row))
            {
                if !self.select.is_empty() {
                    row.columns.retain(|name, _| self.select.contains(name));
                }
                bytes += columns.len();
                page.rows.push(row);
            }
        }
        Ok(page)
    }
}

/// The statement and its parameters; the first, the table's id, is yet to be filled in.
fn sql_of(mut range: KeyRange, start: Option<(Vec<u8>, Vec<u8>)>) -> (String, Vec<SqlValue>) {
    let mut sql =
        String::from("SELECT pk, rk, etag, written, columns FROM rows WHERE table_id = ?");
    let mut parameters = vec![SqlValue::Null];
    let start = start.and_then(|(pk, rk)| range.start_at(pk, rk));
    for (condition, key) in range.conditions() {
        sql.push_str(" AND ");
        sql.push_str(condition);
        parameters.push(SqlValue::Blob(key));
    }
    if let Some((pk, rk)) = start {
        sql.push_str(" AND (pk, rk) >= (?, ?)");
        parameters.extend([SqlValue::Blob(pk), SqlValue::Blob(rk)]);
    }
    sql.push_str(" ORDER BY pk, rk");
    (sql, parameters)
}

fn token(key: &[u8]) -> String {
    format!("{TOKEN_PREFIX}{}", URL_SAFE_NO_PAD.encode(key))
}

fn start_of(continuation: &Continuation) -> Result<(Vec<u8>, Vec<u8>)> {
    let key_of = |token: &str| {
        token
            .strip_prefix(TOKEN_PREFIX)
            .and_then(|text| URL_SAFE_NO_PAD.decode(text).ok())
            .ok_or_else(|| Failure::invalid("InvalidInput", "the continuation is none of ours"))
    };
    let row_key = match continuation.next_row_key.as_deref() {
        None | Some("") => Vec::new(),
        Some(token) => key_of(token)?,
    };
    Ok((key_of(&continuation.next_partition_key)?, row_key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embedded::schema;

    /// How `SQLite` carries out the query: the sum of its plan's lines.
    fn explain(query: &Query) -> String {
        let connection = schema::open_memory("memory").unwrap();
        let plan = Plan::of(query).unwrap();
        let mut statement = connection
            .prepare(&format!("EXPLAIN QUERY PLAN {}", plan.sql))
            .unwrap();
        let lines = statement
            .query_map(params_from_iter(plan.parameters), |row| {
                row.get::<_, String>(3)
            })
            .unwrap();
        lines.map(Result::unwrap).collect::<Vec<_>>().join("; ")
    }

    use std::result::Result;

    #[test]
    fn key_conditions_become_index_searches() {
        let history = "PartitionKey eq 'a' and (RowKey eq 'sentinel' or ExecutionId eq 'e')";
        let cases = [
            (history, "(table_id=? AND pk=?)"),
            (
                "PartitionKey eq 'a' and RowKey eq 'b'",
                "(table_id=? AND pk=? AND rk=?)",
            ),
            (
                "PartitionKey eq 'a' and RowKey ge 'b'",
                "(table_id=? AND pk=? AND rk>?)",
            ),
            (
                "(PartitionKey ge 'a') and (PartitionKey lt 'b')",
                "(table_id=? AND pk>? AND pk<?)",
            ),
            ("RuntimeStatus eq 'Failed'", "(table_id=?)"),
        ];
        for (filter, search) in cases {
            let plan = explain(&Query::filter(filter));
            assert_eq!(
                plan,
                format!("SEARCH rows USING PRIMARY KEY {search}"),
                "{filter}"
            );
        }
    }

    #[test]
    fn a_continuation_starts_in_the_middle_of_the_index() {
        let continuation = Some(Continuation {
            next_partition_key: token(b"a"),
            next_row_key: Some(token(b"b")),
        });
        let cases = [
            ("", "(table_id=? AND (pk,rk)>(?,?))"),
            ("PartitionKey eq 'a'", "(table_id=? AND pk=? AND rk>?)"),
            (
                "PartitionKey ge 'a' and PartitionKey lt 'b'",
                "(table_id=? AND (pk,rk)>(?,?) AND pk<?)",
            ),
        ];
        for (filter, search) in cases {
            let query = Query {
                continuation: continuation.clone(),
                ..Query::filter(filter)
            };
            let plan = explain(&query);
            assert_eq!(plan, format!("SEARCH rows USING PRIMARY KEY {search}"));
        }
    }
}
