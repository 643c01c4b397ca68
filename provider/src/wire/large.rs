//! Values too large for a row or a message, in gzip blobs (chapter 03 §4, chapter 02 §2.3).

use durabletask_storage::Row;

use super::WireError;

/// UTF-16 code units up to which a string stays in its row: 60 KiB (chapter 03 §4.2).
pub const MAX_INLINE_UNITS: usize = 30 * 1024;
/// Bytes that a blob may unpack to: 256 MiB. .NET has no limit.
pub const MAX_UNPACKED_BYTES: u64 = 256 * 1024 * 1024;
/// Columns whose values may move, on history rows (chapter 03 §4.1).
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

/// The UTF-8 bytes of `text`, gzip-compressed.
pub fn gzip(text: &str) -> Vec<u8> {
    let _ = text;
    todo!()
}

/// The text in a gzip blob of at most [`MAX_UNPACKED_BYTES`] unpacked.
pub fn gunzip(packed: &[u8]) -> Result<String, WireError> {
    let _ = packed;
    todo!()
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

/// Takes too large values out of a history row, or out of an Instances row at creation: the
/// column becomes empty, `{Column}BlobName` names the blob. The blobs must be written before the
/// row. `random` gives the random part of each name.
pub fn move_large_values(row: &mut Row, random: impl FnMut() -> u32) -> Vec<MovedValue> {
    let _ = (row, random);
    todo!()
}

/// The columns of a history row whose values are in blobs, with the blobs' names. Set each to the
/// blob's text ([`gunzip`]) before [`row_to_event`](super::history_row::row_to_event), and keep
/// the names: they are the execution's blob list.
pub fn moved_columns(row: &Row) -> Vec<(&'static str, String)> {
    let _ = row;
    todo!()
}

/// .NET's size estimate of one history row, in bytes (chapter 03 §3.3 step 4); a batch is flushed
/// when the sum exceeds [`MAX_BATCH_ESTIMATE`].
pub fn size_estimate(row: &Row) -> usize {
    let _ = row;
    todo!()
}

/// Sum of [`size_estimate`] beyond which a batch is flushed: 3 MiB.
pub const MAX_BATCH_ESTIMATE: usize = 3 * 1024 * 1024;

/// At least the bytes that the row takes up in a transaction's body, for the service's limit
/// ([`durabletask_storage::MAX_TRANSACTION_BYTES`]).
pub fn body_size(row: &Row) -> usize {
    let _ = row;
    todo!()
}

/// Where large values live: knows the URLs of blobs in the large-message container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LargeStore {
    container_url: String,
}

impl LargeStore {
    /// The container by its URL in the form that .NET workers of the hub use
    /// (`https://acct.blob.core.windows.net/hub-largemessages`; no SAS).
    pub fn new(container_url: impl Into<String>) -> Self {
        Self {
            container_url: container_url.into(),
        }
    }

    /// A blob's URL, as the Instances table holds it (chapter 03 §4.4).
    pub fn url(&self, blob_name: &str) -> String {
        let _ = (blob_name, &self.container_url);
        todo!()
    }

    /// The blob that a value of `Input` or `Output` refers to; `None` if the value stands for
    /// itself. .NET takes any absolute URI for a reference (chapter 03 §4.5); here only one of
    /// this container counts.
    pub fn blob_of_url(&self, value: &str) -> Option<String> {
        let _ = value;
        todo!()
    }
}

/// Whether a blob of that name holds a whole start message
/// ([`message::decode`](super::message::decode)) whose event carries the input, and not the input
/// itself (chapter 03 §4.5).
pub fn is_start_message_blob(blob_name: &str) -> bool {
    blob_name.ends_with("ExecutionStarted.json.gz")
}
