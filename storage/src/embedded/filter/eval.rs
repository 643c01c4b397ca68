//! Whether a row matches.

use std::cmp::Ordering;

use super::{Comparison, Filter};
use crate::embedded::key_order;
use crate::{Row, Value};

impl Filter {
    pub(in crate::embedded) fn matches(&self, row: &Row) -> bool {
        match self {
            Self::And(parts) => parts.iter().all(|part| part.matches(row)),
            Self::Or(parts) => parts.iter().any(|part| part.matches(row)),
            Self::Not(inner) => !inner.matches(row),
            Self::Compare {
                column,
                comparison,
                literal,
            } => order(row, column, literal).is_some_and(|order| comparison.holds(order)),
        }
    }
}

/// How the column stands to the literal; `None` if they do not compare.
fn order(row: &Row, column: &str, literal: &Value) -> Option<Ordering> {
    let text = |value: &str| match literal {
        Value::String(literal) => Some(key_order::compare(value, literal)),
        _ => None,
    };
    match column {
        "PartitionKey" => text(&row.partition_key),
        "RowKey" => text(&row.row_key),
        "Timestamp" => compare(&Value::DateTime(row.written?), literal),
        _ => compare(row.get(column)?, literal),
    }
}

fn compare(value: &Value, literal: &Value) -> Option<Ordering> {
    match (value, literal) {
        (Value::String(left), Value::String(right)) => Some(key_order::compare(left, right)),
        (Value::Bool(left), Value::Bool(right)) => Some(left.cmp(right)),
        (Value::DateTime(left), Value::DateTime(right)) => Some(left.cmp(right)),
        (Value::Guid(left), Value::Guid(right)) => Some(left.cmp(right)),
        _ => match (integer(value), integer(literal)) {
            (Some(left), Some(right)) => Some(left.cmp(&right)),
            _ => double(value)?.partial_cmp(&double(literal)?),
        },
    }
}

fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Int32(number) => Some(i64::from(*number)),
        Value::Int64(number) => Some(*number),
        _ => None,
    }
}

#[allow(
    clippy::cast_precision_loss,
    reason = "what comparing an integer with a double means"
)]
fn double(value: &Value) -> Option<f64> {
    match value {
        Value::Double(number) => Some(*number),
        _ => integer(value).map(|number| number as f64),
    }
}

impl Comparison {
    fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::NotEqual => order.is_ne(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
        }
    }
}
