//! The columns of a row as one compact value.
//!
//! For each column, in the order of names: length of the name (varint), the name, one byte for the
//! type, the value. Numbers, ticks and the bits of doubles are 8 bytes, little endian (Int32 4,
//! Boolean 1, Guid 16 in network order); String and Binary start with their length as a varint. A
//! varint holds seven bits per byte, the lowest first, the high bit set on all but the last.

use std::collections::BTreeMap;

use bytes::Bytes;
use durabletask_core::Timestamp;
use uuid::Uuid;

use super::failure::{Failure, Result};
use crate::Value;

const STRING: u8 = 0;
const INT32: u8 = 1;
const INT64: u8 = 2;
const DOUBLE: u8 = 3;
const BOOL: u8 = 4;
const DATE_TIME: u8 = 5;
const GUID: u8 = 6;
const BINARY: u8 = 7;

pub(super) fn encode(columns: &BTreeMap<String, Value>) -> Vec<u8> {
    let mut out = Vec::with_capacity(columns.len() * 32);
    for (name, value) in columns {
        put_bytes(&mut out, name.as_bytes());
        match value {
            Value::String(text) => {
                out.push(STRING);
                put_bytes(&mut out, text.as_bytes());
            }
            Value::Int32(number) => put(&mut out, INT32, &number.to_le_bytes()),
            Value::Int64(number) => put(&mut out, INT64, &number.to_le_bytes()),
            Value::Double(number) => put(&mut out, DOUBLE, &number.to_bits().to_le_bytes()),
            Value::Bool(flag) => put(&mut out, BOOL, &[u8::from(*flag)]),
            Value::DateTime(stamp) => put(&mut out, DATE_TIME, &stamp.ticks().to_le_bytes()),
            Value::Guid(guid) => put(&mut out, GUID, guid.as_bytes()),
            Value::Binary(bytes) => {
                out.push(BINARY);
                put_bytes(&mut out, bytes);
            }
        }
    }
    out
}

pub(super) fn decode(stored: &[u8]) -> Result<BTreeMap<String, Value>> {
    let mut reader = Reader(stored);
    let mut columns = BTreeMap::new();
    while !reader.0.is_empty() {
        let name = reader.text()?;
        let value = match reader.array::<1>()?[0] {
            STRING => Value::String(reader.text()?),
            INT32 => Value::Int32(i32::from_le_bytes(reader.array()?)),
            INT64 => Value::Int64(i64::from_le_bytes(reader.array()?)),
            DOUBLE => Value::Double(f64::from_bits(u64::from_le_bytes(reader.array()?))),
            BOOL => Value::Bool(reader.array::<1>()?[0] != 0),
            DATE_TIME => {
                Value::DateTime(Timestamp::from_ticks(i64::from_le_bytes(reader.array()?)))
            }
            GUID => Value::Guid(Uuid::from_bytes(reader.array()?)),
            BINARY => Value::Binary(Bytes::copy_from_slice(reader.counted()?)),
            _ => return Err(unreadable()),
        };
        columns.insert(name, value);
    }
    Ok(columns)
}

fn put(out: &mut Vec<u8>, tag: u8, value: &[u8]) {
    out.push(tag);
    out.extend_from_slice(value);
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    let mut length = bytes.len();
    loop {
        let low = u8::try_from(length & 0x7F).unwrap_or(0);
        length >>= 7;
        if length == 0 {
            out.push(low);
            break;
        }
        out.push(low | 0x80);
    }
    out.extend_from_slice(bytes);
}

fn unreadable() -> Failure {
    Failure::corrupt("a row's columns are not in this store's encoding")
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or_else(unreadable)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        self.take(N)?.try_into().map_err(|_| unreadable())
    }

    fn counted(&mut self) -> Result<&'a [u8]> {
        let mut length = 0_usize;
        for shift in (0..usize::BITS).step_by(7) {
            let [byte] = self.array()?;
            length |= usize::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return self.take(length);
            }
        }
        Err(unreadable())
    }

    fn text(&mut self) -> Result<String> {
        let bytes = self.counted()?;
        String::from_utf8(bytes.to_vec()).map_err(|_| unreadable())
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::{btree_map, vec};
    use proptest::prelude::*;

    use super::*;

    fn value() -> impl Strategy<Value = Value> {
        prop_oneof![
            "\\PC{0,300}".prop_map(Value::String),
            any::<i32>().prop_map(Value::Int32),
            any::<i64>().prop_map(Value::Int64),
            any::<f64>().prop_map(Value::Double),
            any::<bool>().prop_map(Value::Bool),
            (0..=Timestamp::MAX.ticks())
                .prop_map(|ticks| Value::DateTime(Timestamp::from_ticks(ticks))),
            any::<u128>().prop_map(|bits| Value::Guid(Uuid::from_u128(bits))),
            vec(any::<u8>(), 0..300).prop_map(|bytes| Value::Binary(bytes.into())),
        ]
    }

    proptest! {
        #[test]
        fn columns_survive_the_round_trip(columns in btree_map("\\PC{1,9}", value(), 0..8)) {
            let decoded = decode(&encode(&columns)).unwrap();
            // Through Debug, because NaN is not equal to itself.
            prop_assert_eq!(format!("{decoded:?}"), format!("{columns:?}"));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..64)) {
            let _ = decode(&bytes);
        }
    }
}
