//! Values too large for a row or a message, in gzip blobs (chapter 03 §4, chapter 02 §2.3).

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};

use durabletask_storage::{Row, Value};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

use super::{WireError, history_row, names};

/// UTF-16 code units up to which a string stays in its row: 60 KiB (chapter 03 §4.2).
pub const MAX_INLINE_UNITS: usize = 30 * 1024;
/// Bytes that a blob may unpack to: 256 MiB. .NET has no limit.
pub const MAX_UNPACKED_BYTES: u64 = 256 * 1024 * 1024;
/// Sum of [`size_estimate`] beyond which a batch is flushed: 3 MiB (chapter 03 §3.3 step 3).
pub const MAX_BATCH_ESTIMATE: usize = 3 * 1024 * 1024;
/// Columns of history rows whose values may move (chapter 03 §4.1).
pub const MOVABLE_COLUMNS: [&str; 9] = [
    "Name",
    "Input",
    "Result",
    "Output",
    "Reason",
    "Details",
    "Correlation",
    "FailureDetails",
    "Tags",
];
/// The same for Instances rows; .NET cannot name the blob of any other.
const MOVABLE_INSTANCE_COLUMNS: [&str; 3] = ["Input", "Output", "Tags"];

/// The UTF-8 bytes of `text`, gzip-compressed.
pub fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    // Writing to memory cannot fail.
    let _ = encoder.write_all(text.as_bytes());
    encoder.finish().unwrap_or_default()
}

/// The text in a gzip blob that unpacks to at most [`MAX_UNPACKED_BYTES`].
pub fn gunzip(packed: &[u8]) -> Result<String, WireError> {
    gunzip_limited(packed, MAX_UNPACKED_BYTES)
}

/// The text in a gzip blob that unpacks to at most `limit` bytes.
pub fn gunzip_limited(packed: &[u8], limit: u64) -> Result<String, WireError> {
    let mut bytes = Vec::new();
    let mut unpacked = GzDecoder::new(packed).take(limit.saturating_add(1));
    unpacked
        .read_to_end(&mut bytes)
        .map_err(|_| WireError::NotGzip)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > limit) {
        return Err(WireError::TooLarge { limit });
    }
    String::from_utf8(bytes).map_err(|_| WireError::NotUtf8)
}

/// A value that left its row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MovedValue {
    /// The column that is empty now.
    pub column: &'static str,
    /// The blob to write, within the large-message container.
    pub blob_name: String,
    /// Its content: gzip.
    pub content: Vec<u8>,
}

/// Takes too large values out of a history row, or out of an Instances row at creation: the column
/// becomes empty, `{Column}BlobName` names the blob. The blobs must be written before the row.
/// `random` gives the random part of each name.
pub fn move_large_values(row: &mut Row, mut random: impl FnMut() -> u32) -> Vec<MovedValue> {
    let event_type = history_row::event_type(row).ok();
    let candidates = match event_type {
        Some(_) => &MOVABLE_COLUMNS[..],
        None => &MOVABLE_INSTANCE_COLUMNS[..],
    };
    let mut moved = Vec::new();
    for column in candidates.iter().copied() {
        let Some(content) = take_if_large(row, column) else {
            continue;
        };
        let event = event_type.map_or(column, |event_type| event_type.name());
        let (pk, rk) = (&row.partition_key, &row.row_key);
        let blob_name = names::history_blob(pk, rk, event, random(), column);
        row.set(blob_name_column(column), blob_name.as_str());
        moved.push(MovedValue {
            column,
            blob_name,
            content,
        });
    }
    moved
}

/// Empties a column with too large a value; the value in gzip.
fn take_if_large(row: &mut Row, column: &str) -> Option<Vec<u8>> {
    match row.columns.get_mut(column) {
        Some(Value::String(text)) if exceeds_units(text, MAX_INLINE_UNITS) => {
            let content = gzip(text);
            text.clear();
            Some(content)
        }
        _ => None,
    }
}

fn blob_name_column(column: &str) -> String {
    format!("{column}BlobName")
}

/// The columns of a history row whose values are in blobs, with the blobs' names. Set each to the
/// blob's text ([`gunzip`]) before [`history_row::row_to_event`], and keep the names: they are the
/// execution's blob list.
pub fn moved_columns(row: &Row) -> Vec<(&'static str, String)> {
    MOVABLE_COLUMNS
        .into_iter()
        .filter_map(|column| {
            let blob = row.get_str(&blob_name_column(column))?;
            (!blob.is_empty()).then(|| (column, blob.to_owned()))
        })
        .collect()
}

/// UTF-16 code units of a text.
fn units(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}

/// Whether a text has more than `limit` UTF-16 code units; looks at the text only if its length in
/// bytes leaves that open.
pub fn exceeds_units(text: &str, limit: usize) -> bool {
    text.len() > limit && (text.len() > limit.saturating_mul(3) || units(text) > limit)
}

/// .NET's size estimate of one history row whose large values have moved, in bytes (chapter 03
/// §3.3 step 4). A batch is flushed when the sum exceeds [`MAX_BATCH_ESTIMATE`].
pub fn size_estimate(row: &Row) -> usize {
    let texts = MOVABLE_COLUMNS
        .iter()
        .filter_map(|column| row.get_str(column));
    1024 + texts.map(|text| 2 * units(text)).sum::<usize>()
}

/// At least the bytes that the row takes up in a transaction's body, for the service's limit
/// ([`durabletask_storage::MAX_TRANSACTION_BYTES`]): JSON that escapes no more than it must, and
/// headers around it with the keys percent-encoded.
pub fn body_size(row: &Row) -> usize {
    // Boundaries, headers, account and table names, the keys once more in the body.
    const FRAME: usize = 1024;
    // Name, quotes, comma, and a type annotation that repeats the name.
    const COLUMN: usize = 48;
    let keys = row.partition_key.len() + row.row_key.len();
    let columns = row.columns.iter().map(|(name, value)| {
        let length = match value {
            Value::String(text) => escaped_length(text),
            Value::Binary(bytes) => bytes.len() * 2,
            _ => 40,
        };
        COLUMN + 2 * name.len() + length
    });
    FRAME + 9 * keys + columns.sum::<usize>()
}

fn escaped_length(text: &str) -> usize {
    let length = |byte| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0C => 2,
        0..b' ' => 6,
        _ => 1,
    };
    // Three bytes each, and written as escapes of six (Azurite takes them for ends of lines).
    let separators = text.matches(['\u{2028}', '\u{2029}']).count();
    text.bytes().map(length).sum::<usize>() + 3 * separators
}

/// Where large values live: knows the URLs of blobs in the large-message container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LargeStore {
    container_url: String,
}

impl LargeStore {
    /// The container by its URL in the form that .NET workers of the hub use
    /// (`https://acct.blob.core.windows.net/hub-largemessages`; no SAS): .NET refuses any other.
    pub fn new(container_url: impl Into<String>) -> Self {
        Self {
            container_url: container_url.into(),
        }
    }

    /// A blob's URL, as the Instances table holds it (chapter 03 §4.4).
    pub fn url(&self, blob_name: &str) -> String {
        let mut url = format!("{}/", self.container_url);
        for byte in blob_name.bytes() {
            match byte {
                b'/' | b'-' | b'.' | b'_' | b'~' => url.push(char::from(byte)),
                _ if byte.is_ascii_alphanumeric() => url.push(char::from(byte)),
                _ => {
                    // Writing to a string cannot fail.
                    let _ = write!(url, "%{byte:02X}");
                }
            }
        }
        url
    }

    /// Makes the row of a termination without history refer to its moved values as .NET does there:
    /// by URL in the column itself (chapter 03 §4.4), not by `{Column}BlobName`.
    pub fn refer_by_url(&self, row: &mut Row, moved: &[MovedValue]) {
        for value in moved {
            row.columns.remove(&blob_name_column(value.column));
            row.set(value.column, self.url(&value.blob_name));
        }
    }

    /// The blob that a value of `Input` or `Output` refers to; `None` if the value stands for
    /// itself. .NET takes any absolute URI for a reference (chapter 03 §4.5 TRAP); here only one
    /// into this container counts.
    pub fn blob_of_url(&self, value: &str) -> Option<String> {
        let path = value.strip_prefix(&self.container_url)?.strip_prefix('/')?;
        // Provider 2.0.0 left the path unescaped, so it may hold anything.
        percent_decode(path).filter(|name| name.ends_with(".json.gz"))
    }
}

/// Resolves `%XX`; `None` if the result is not UTF-8.
fn percent_decode(path: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let [byte, tail @ ..] = rest {
        let escaped = match (byte, tail) {
            (b'%', [high, low, ..]) => hex(*high).zip(hex(*low)),
            _ => None,
        };
        if let Some((high, low)) = escaped {
            bytes.push(high * 16 + low);
            rest = &tail[2..];
        } else {
            bytes.push(*byte);
            rest = tail;
        }
    }
    String::from_utf8(bytes).ok()
}

fn hex(digit: u8) -> Option<u8> {
    let value = char::from(digit).to_digit(16)?;
    u8::try_from(value).ok()
}

/// Whether a blob of that name holds a whole start message
/// ([`message::decode`](super::message::decode)) whose event carries the input, and not the input
/// itself (chapter 03 §4.5).
pub fn is_start_message_blob(blob_name: &str) -> bool {
    blob_name.ends_with("ExecutionStarted.json.gz")
}
