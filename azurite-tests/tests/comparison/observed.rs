//! What a run sent and left behind: of .NET from its recording, of ours from the hub and the
//! recorded storage calls.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use durabletask_azurestorage::TaskHub;
use durabletask_azurestorage::wire::large::gunzip;
use durabletask_storage::wrappers::{Arguments, Operation, RecordedCall};
use durabletask_storage::{Account, Query, Row};

use crate::golden;
use crate::scenarios::has_several_senders;

/// Messages that one look at a queue shows.
const MAX_PEEKED: u32 = 32;
/// What gzip begins with, and JSON never.
const GZIP_MAGIC: [u8; 2] = [0x1F, 0x8B];

/// What is compared. Names of queues, tables and containers are without the hub's name.
#[derive(Debug, Default)]
pub(crate) struct Observed {
    pub(crate) hub: String,
    pub(crate) sent: Vec<Sent>,
    pub(crate) tables: BTreeMap<String, Vec<Row>>,
    /// By queue: how many messages were left, invisible ones included.
    pub(crate) left: BTreeMap<String, usize>,
    /// By container and name: the content, unpacked.
    pub(crate) blobs: BTreeMap<String, String>,
    /// The same of those that were there once, and may have been purged.
    seen_blobs: BTreeMap<String, String>,
}

/// A queue message as it was sent.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) queue: String,
    /// The JSON of the message, wherever it was.
    pub(crate) json: String,
    /// `inline`, `base64` or `blob`.
    pub(crate) carried: &'static str,
    /// Seconds for which it was invisible, if any were given.
    pub(crate) delay_seconds: Option<String>,
}

impl Observed {
    /// What .NET did in a scenario.
    pub(crate) fn recorded(scenario: &str) -> Self {
        let mut observed = Self {
            hub: format!("golden{}", scenario.replace('-', "")),
            ..Self::default()
        };
        let left = golden::hub(scenario);
        observed.blobs = observed.unpacked(left.blobs);
        for (name, rows) in left.tables {
            observed.tables.insert(observed.local(&name), rows);
        }
        for (name, texts) in left.queues {
            observed.left.insert(observed.local(&name), texts.len());
        }
        let requests = golden::requests(scenario);
        // Uploads are in pieces, downloads whole.
        let downloads = requests.iter().filter(|request| {
            let is_get = request.service == "blob" && request.method == "GET";
            is_get && request.status == 200 && !request.path.contains('?')
        });
        let downloads = downloads.map(|request| {
            let name = request.path.trim_start_matches('/').to_owned();
            (name, request.answer.clone())
        });
        observed.seen_blobs = observed.unpacked(downloads);
        for request in requests {
            let is_put = request.method == "POST" && request.path.contains("/messages");
            if is_put && request.status == 201 {
                let queue = request.path.trim_start_matches('/').split('/').next();
                let delay = request.parameter("visibilitytimeout");
                let delay = delay.and_then(|rest| rest.split('&').next());
                for text in request.message_texts() {
                    let delay = delay.map(str::to_owned);
                    observed.add_sent(queue.unwrap_or_default(), text, delay);
                }
            }
        }
        if !has_several_senders(scenario) {
            observed.sort_by_sequence();
        }
        observed
    }

    /// What our workers and client did in a hub, now that they have stopped. `several_senders`:
    /// messages stay in the order in which they were sent.
    pub(crate) async fn captured(
        hub: &TaskHub,
        account: &Account,
        calls: Vec<RecordedCall>,
        several_senders: bool,
    ) -> Self {
        let mut observed = Self {
            hub: hub.name().to_owned(),
            ..Self::default()
        };
        observed.blobs = observed.unpacked(blobs_of(account, hub.name()).await);
        let uploads = calls.iter().filter_map(|call| match &call.arguments {
            Arguments::Blob { content, .. } => Some((call.resource.clone(), content.to_vec())),
            _ => None,
        });
        observed.seen_blobs = observed.unpacked(uploads);
        for table in account.tables.list_tables(hub.name()).await.unwrap() {
            let rows = rows_of(account, &table).await;
            observed.tables.insert(observed.local(&table), rows);
        }
        for queue in account.queues.list_queues(hub.name()).await.unwrap() {
            let count = account.queues.count_messages(&queue).await.unwrap();
            let peeked = account
                .queues
                .peek_messages(&queue, MAX_PEEKED)
                .await
                .unwrap();
            assert!(
                peeked.is_empty(),
                "visible messages are left in {queue}: {peeked:?}"
            );
            observed
                .left
                .insert(observed.local(&queue), usize::try_from(count).unwrap());
        }
        for call in calls {
            if let (
                Operation::PutMessage,
                Arguments::Put {
                    text,
                    invisible_seconds,
                },
            ) = (call.operation, call.arguments)
            {
                let delay = invisible_seconds.map(|seconds| seconds.to_string());
                observed.add_sent(&call.resource, text, delay);
            }
        }
        if !several_senders {
            observed.sort_by_sequence();
        }
        observed
    }

    /// A name without the hub's.
    fn local(&self, name: &str) -> String {
        let (hub, rest) = name.split_at(self.hub.len());
        assert!(
            hub.eq_ignore_ascii_case(&self.hub),
            "{name} is not of {}",
            self.hub
        );
        rest.to_owned()
    }

    fn unpacked(
        &self,
        blobs: impl IntoIterator<Item = (String, Vec<u8>)>,
    ) -> BTreeMap<String, String> {
        let unpack = |(name, content): (String, Vec<u8>)| {
            let text = if content.starts_with(&GZIP_MAGIC) {
                gunzip(&content).unwrap()
            } else {
                String::from_utf8(content).unwrap()
            };
            (self.local(&name), text)
        };
        blobs.into_iter().map(unpack).collect()
    }

    fn add_sent(&mut self, queue: &str, text: String, delay_seconds: Option<String>) {
        let (mut json, mut carried) = if text.starts_with('{') {
            (text, "inline")
        } else {
            let json = STANDARD.decode(text).unwrap();
            (String::from_utf8(json).unwrap(), "base64")
        };
        let wrapper: serde_json::Value = serde_json::from_str(&json).unwrap();
        if let Some(blob) = wrapper["CompressedBlobName"].as_str() {
            let blob = format!("-largemessages/{blob}");
            json.clone_from(&self.seen_blobs[&blob]);
            carried = "blob";
        }
        self.sent.push(Sent {
            queue: self.local(queue),
            json,
            carried,
            delay_seconds,
        });
    }

    /// Sequence numbers are drawn in the order of sending; requests overtake each other.
    fn sort_by_sequence(&mut self) {
        self.sent.sort_by_key(|sent| {
            let message: serde_json::Value = serde_json::from_str(&sent.json).unwrap();
            message["SequenceNumber"].as_i64().unwrap()
        });
    }
}

async fn rows_of(account: &Account, table: &str) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut query = Query::default();
    loop {
        let page = account.tables.query(table, &query).await.unwrap();
        rows.extend(page.rows);
        query.continuation = page.continuation;
        if query.continuation.is_none() {
            return rows;
        }
    }
}

async fn blobs_of(account: &Account, hub: &str) -> BTreeMap<String, Vec<u8>> {
    let mut blobs = BTreeMap::new();
    for container in account.blobs.list_containers(hub).await.unwrap() {
        let container = container.name;
        let page = account
            .blobs
            .list_blobs(&container, "", None)
            .await
            .unwrap();
        assert_eq!(page.marker, None, "one page is enough for these scenarios");
        for info in page.blobs {
            let blob = account
                .blobs
                .get_blob(&container, &info.name)
                .await
                .unwrap()
                .unwrap();
            blobs.insert(format!("{container}/{}", info.name), blob.content.to_vec());
        }
    }
    blobs
}
