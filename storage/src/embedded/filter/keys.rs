//! The part of a filter that an index can answer.

use super::{Comparison, Filter};
use crate::Value;
use crate::embedded::key_order;

/// Conditions on keys that every match fulfils; rows that fulfil them need not match.
#[derive(Debug, Default)]
pub(in crate::embedded) struct KeyRange {
    partition: Bounds,
    row: Bounds,
}

#[derive(Debug, Default)]
struct Bounds {
    equal: Option<Vec<u8>>,
    lower: Option<(Comparison, Vec<u8>)>,
    upper: Option<(Comparison, Vec<u8>)>,
}

impl KeyRange {
    pub(in crate::embedded) fn of(filter: &Filter) -> Self {
        let mut range = Self::default();
        range.narrow(filter);
        range
    }

    /// Only what is joined by `and` holds for every match.
    fn narrow(&mut self, filter: &Filter) {
        match filter {
            Filter::And(parts) => parts.iter().for_each(|part| self.narrow(part)),
            Filter::Compare {
                column,
                comparison,
                literal: Value::String(key),
            } => match column.as_str() {
                "PartitionKey" => self.partition.narrow(*comparison, key),
                "RowKey" => self.row.narrow(*comparison, key),
                _ => {}
            },
            _ => {}
        }
    }

    /// Starts at a row that an earlier call has met in this range. The new lower bound takes the
    /// place of the old one, because `SQLite` would use only one of them to search. Returns the
    /// keys if they are to be compared as a pair.
    pub(in crate::embedded) fn start_at(
        &mut self,
        pk: Vec<u8>,
        rk: Vec<u8>,
    ) -> Option<(Vec<u8>, Vec<u8>)> {
        if self.partition.equal.as_ref() == Some(&pk) {
            self.row.lower = Some((Comparison::GreaterOrEqual, rk));
            return None;
        }
        self.partition.lower = None;
        Some((pk, rk))
    }

    /// SQL conditions, each with the key for its `?`.
    pub(in crate::embedded) fn conditions(self) -> impl Iterator<Item = (&'static str, Vec<u8>)> {
        let partition = self
            .partition
            .conditions(["pk = ?", "pk > ?", "pk >= ?", "pk < ?", "pk <= ?"]);
        let row = self
            .row
            .conditions(["rk = ?", "rk > ?", "rk >= ?", "rk < ?", "rk <= ?"]);
        partition.chain(row)
    }
}

impl Bounds {
    /// Of several bounds on one side the first is kept: the filter is evaluated anyway.
    fn narrow(&mut self, comparison: Comparison, key: &str) {
        let key = || key_order::encode(key);
        match comparison {
            Comparison::Equal => {
                self.equal.get_or_insert_with(key);
            }
            Comparison::Greater | Comparison::GreaterOrEqual => {
                self.lower.get_or_insert_with(|| (comparison, key()));
            }
            Comparison::Less | Comparison::LessOrEqual => {
                self.upper.get_or_insert_with(|| (comparison, key()));
            }
            Comparison::NotEqual => {}
        }
    }

    /// With an equality the others add nothing.
    fn conditions(
        self,
        [equal, greater, at_least, less, at_most]: [&'static str; 5],
    ) -> impl Iterator<Item = (&'static str, Vec<u8>)> {
        let ranged = self.equal.is_none();
        let lower = self.lower.map(|(comparison, key)| match comparison {
            Comparison::Greater => (greater, key),
            _ => (at_least, key),
        });
        let upper = self.upper.map(|(comparison, key)| match comparison {
            Comparison::Less => (less, key),
            _ => (at_most, key),
        });
        let equal = self.equal.map(|key| (equal, key));
        let bounds = lower.into_iter().chain(upper).filter(move |_| ranged);
        equal.into_iter().chain(bounds)
    }
}
