//! Names and keys: queues, tables, containers, blobs, rows; and which partition an instance is in
//! (chapter 01 §1–3, chapter 03 §1.1–1.3).

use durabletask_core::EventType;
use uuid::Uuid;

use super::WireError;

/// Row key of the sentinel (chapter 03 §2).
pub const SENTINEL_ROW_KEY: &str = "sentinel";
/// Row key of every Instances row (chapter 03 §5.1).
pub const INSTANCE_ROW_KEY: &str = "";
/// The hub description's blob name, in the leases container.
pub const TASK_HUB_BLOB: &str = "taskhub.json";

/// Names of everything that makes up a hub (chapter 01 §1.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubNames {
    /// As configured; the spelling that tables and the `TaskHubName` column have.
    pub hub: String,
    lower: String,
    tracking_prefix: String,
}

impl HubNames {
    /// Names for a hub whose tables are in the main account.
    pub fn new(hub: impl Into<String>) -> Self {
        let hub = hub.into();
        Self {
            lower: hub.to_lowercase(),
            tracking_prefix: hub.clone(),
            hub,
        }
    }

    /// With History and Instances in a tracking-store account under this prefix (.NET's default is
    /// `DurableTask`).
    #[must_use]
    pub fn with_tracking_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.tracking_prefix = prefix.into();
        self
    }

    /// `{hub}-control-{NN}`
    pub fn control_queue(&self, partition: u32) -> String {
        format!("{}-control-{partition:02}", self.lower)
    }

    /// `{hub}-workitems`
    pub fn work_item_queue(&self) -> String {
        format!("{}-workitems", self.lower)
    }

    /// `{Hub}History`
    pub fn history_table(&self) -> String {
        format!("{}History", self.tracking_prefix)
    }

    /// `{Hub}Instances`
    pub fn instances_table(&self) -> String {
        format!("{}Instances", self.tracking_prefix)
    }

    /// `{Hub}Partitions`; never takes the tracking prefix.
    pub fn partitions_table(&self) -> String {
        format!("{}Partitions", self.hub)
    }

    /// `{Hub}Poison`, our own: messages that were set aside. Never takes the tracking prefix.
    pub fn poison_table(&self) -> String {
        format!("{}Poison", self.hub)
    }

    /// `{hub}-largemessages`
    pub fn large_message_container(&self) -> String {
        format!("{}-largemessages", self.lower)
    }

    /// `{hub}-leases`
    pub fn lease_container(&self) -> String {
        format!("{}-leases", self.lower)
    }

    /// `{hub}-applease`
    pub fn app_lease_container(&self) -> String {
        format!("{}-applease", self.lower)
    }

    /// `{hub}-appleaseinfo`, in [`HubNames::app_lease_container`].
    pub fn app_lease_blob(&self) -> String {
        format!("{}-appleaseinfo", self.lower)
    }

    /// `default/{hub}-control-NN`: the legacy manager's lease blob.
    pub fn legacy_lease_blob(&self, partition: u32) -> String {
        format!("default/{}", self.control_queue(partition))
    }

    /// `intent/{hub}-control-NN`: the safe manager's intent lease blob.
    pub fn intent_lease_blob(&self, partition: u32) -> String {
        format!("intent/{}", self.control_queue(partition))
    }

    /// `ownership/{hub}-control-NN`: the safe manager's ownership lease blob.
    pub fn ownership_lease_blob(&self, partition: u32) -> String {
        format!("ownership/{}", self.control_queue(partition))
    }
}

/// 32-bit FNV-1a over UTF-8 (chapter 01 §2.2).
pub fn fnv1a_32(text: &str) -> u32 {
    text.bytes().fold(2_166_136_261, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(16_777_619)
    })
}

/// The partition of an instance among `count` (1 to 16); 0 if `count` is 0.
pub fn partition_of(instance_id: &str, count: u32) -> u32 {
    fnv1a_32(instance_id).checked_rem(count).unwrap_or(0)
}

/// What is added to a control character's code behind `^`.
const CONTROL_OFFSET: u16 = 0xC0;

/// The partition key of an instance id (chapter 03 §1.2). Not idempotent: escape once.
pub fn escape_key(instance_id: &str) -> String {
    let mut key = String::with_capacity(instance_id.len());
    for char in instance_id.chars() {
        let escaped = match char {
            '^' => '^',
            '/' => '0',
            '\\' => '1',
            '#' => '2',
            '?' => '3',
            // U+0000–U+001F and U+007F–U+009F
            _ if char.is_control() => {
                let code = u32::from(char) + u32::from(CONTROL_OFFSET);
                char::from_u32(code).unwrap_or(char)
            }
            _ => {
                key.push(char);
                continue;
            }
        };
        key.push('^');
        key.push(escaped);
    }
    key
}

/// The instance id of a partition key; [`WireError::BadKey`] if it ends in a lone `^`. UTF-16 unit
/// by unit, as .NET does it; half surrogates that no writer produces read as U+FFFD.
pub fn unescape_key(partition_key: &str) -> Result<String, WireError> {
    if !partition_key.contains('^') {
        return Ok(partition_key.to_owned());
    }
    let mut units = partition_key.encode_utf16();
    let mut id = Vec::with_capacity(partition_key.len());
    while let Some(unit) = units.next() {
        if unit != u16::from(b'^') {
            id.push(unit);
            continue;
        }
        let escaped = units.next().ok_or(WireError::BadKey)?;
        id.push(match u8::try_from(escaped) {
            Ok(b'0') => u16::from(b'/'),
            Ok(b'1') => u16::from(b'\\'),
            Ok(b'2') => u16::from(b'#'),
            Ok(b'3') => u16::from(b'?'),
            _ => escaped.checked_sub(CONTROL_OFFSET).unwrap_or(escaped),
        });
    }
    Ok(String::from_utf16_lossy(&id))
}

/// Row key of an event: 16 upper-case hex digits.
pub fn event_row_key(sequence: u64) -> String {
    format!("{sequence:016X}")
}

/// The sequence number of an event's row key; `None` for the sentinel and anything else.
pub fn sequence_of(row_key: &str) -> Option<u64> {
    let digits = row_key.len() == 16 && row_key.bytes().all(|byte| byte.is_ascii_hexdigit());
    digits.then(|| u64::from_str_radix(row_key, 16).ok())?
}

/// Blob of a large message: raw target id, envelope's activity id (chapter 02 §2.3).
pub fn message_blob(instance_id: &str, activity_id: Uuid, event: EventType) -> String {
    format!(
        "{instance_id}/message-{}-{}.json.gz",
        activity_id.simple(),
        event.name()
    )
}

/// Blob of a large column: escaped id, row key, `EventType` (or the column on Instances rows),
/// random part (chapter 03 §4.3).
pub fn history_blob(
    partition_key: &str,
    row_key: &str,
    event: &str,
    random: u32,
    column: &str,
) -> String {
    format!("{partition_key}/history-{row_key}-{event}-{random:08X}-{column}.json.gz")
}

/// Prefixes of all blobs of an instance, for purge. Messages are under the raw id, history values
/// under the escaped one; where the two differ, either prefix alone may hold blobs of another
/// instance too (chapter 03 §7.1). What follows the slash holds no other one.
pub fn blob_prefixes(instance_id: &str) -> Vec<String> {
    let escaped = escape_key(instance_id);
    if escaped == instance_id {
        vec![format!("{instance_id}/")]
    } else {
        vec![
            format!("{instance_id}/{MESSAGE_BLOB}"),
            format!("{escaped}/{HISTORY_BLOB}"),
        ]
    }
}

/// The instance that a blob of the large-message container belongs to; `None` for names that no
/// writer gives.
pub fn owner_of_blob(blob_name: &str) -> Option<String> {
    let (directory, file) = blob_name.rsplit_once('/')?;
    if file.starts_with(MESSAGE_BLOB) {
        Some(directory.to_owned())
    } else if file.starts_with(HISTORY_BLOB) {
        unescape_key(directory).ok()
    } else {
        None
    }
}

/// Whether a blob of the large-message container holds a message, and not a value of a row.
pub fn is_message_blob(blob_name: &str) -> bool {
    let file = blob_name.rsplit_once('/').map(|(_, file)| file);
    file.is_some_and(|file| file.starts_with(MESSAGE_BLOB))
}

/// How the file names of message blobs begin.
const MESSAGE_BLOB: &str = "message-";
/// How the file names of history blobs begin.
const HISTORY_BLOB: &str = "history-";

/// Longest hub name that works everywhere: `{hub}-largemessages` must fit a container's 63
/// characters (chapter 01 §1.3).
pub const MAX_HUB_NAME: usize = 49;

/// Whether all resources of a hub can have this name: a letter, then letters and digits, 3 to
/// [`MAX_HUB_NAME`] characters, all ASCII (chapter 01 §1.3; .NET accepts 50 and fails later).
pub fn is_valid_hub_name(hub: &str) -> bool {
    (3..=MAX_HUB_NAME).contains(&hub.len())
        && hub.starts_with(|first: char| first.is_ascii_alphabetic())
        && hub.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// The hub name that Functions hosts make of a site name when none is configured (chapter 01
/// §1.3).
pub fn default_hub_name(site_name: &str) -> String {
    let kept: Vec<char> = site_name
        .chars()
        .filter(|char| char.is_alphanumeric())
        .collect();
    let Some(first) = kept.first() else {
        return "DefaultTaskHub".to_owned();
    };
    let letter = first.is_numeric().then_some('t');
    let mut name: String = letter.into_iter().chain(kept).take(45).collect();
    if name.chars().count() < 3 {
        name.push_str("Hub");
    }
    name
}
