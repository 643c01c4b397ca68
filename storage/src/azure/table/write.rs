//! One write as method, path, condition and body; the same for single requests and transactions.

use reqwest::Method;

use super::super::transport::{Repeat, encode};
use super::{json, row_path};
use crate::table::{Condition, Row, Write};

pub(super) struct Parts {
    pub(super) method: Method,
    /// From the slash after the endpoint on, percent-encoded.
    pub(super) path: String,
    pub(super) if_match: Option<String>,
    pub(super) body: Option<Vec<u8>>,
    pub(super) repeat: Repeat,
}

pub(super) fn parts(table: &str, write: &Write) -> Parts {
    match write {
        Write::Insert(row) => Parts {
            method: Method::POST,
            path: format!("/{}", encode(table)),
            if_match: None,
            body: Some(json::write_row(row)),
            repeat: Repeat::Conditional,
        },
        Write::InsertOrReplace(row) => of_row(Method::PUT, table, row, None),
        Write::InsertOrMerge(row) => of_row(Method::PATCH, table, row, None),
        Write::Replace(row, condition) => of_row(Method::PUT, table, row, Some(condition)),
        Write::Merge(row, condition) => of_row(Method::PATCH, table, row, Some(condition)),
        Write::Delete { condition, .. } => Parts {
            method: Method::DELETE,
            path: row_path(table, write.keys()),
            if_match: Some(if_match(condition)),
            body: None,
            repeat: Repeat::Conditional,
        },
    }
}

fn of_row(method: Method, table: &str, row: &Row, condition: Option<&Condition>) -> Parts {
    Parts {
        method,
        path: row_path(table, row.keys()),
        if_match: condition.map(if_match),
        body: Some(json::write_row(row)),
        repeat: match condition {
            None => Repeat::Idempotent,
            Some(_) => Repeat::Conditional,
        },
    }
}

fn if_match(condition: &Condition) -> String {
    match condition {
        Condition::Exists => "*".to_owned(),
        Condition::Matches(etag) => etag.0.clone(),
    }
}
