//! `taskhub.json`: what the blob managers and the scale monitor know of a hub (chapter 01 §1.5).

use bytes::Bytes;
use durabletask_core::Timestamp;
use durabletask_storage::Account;
use serde_json::{Map, Value};

use super::error::HubError;
use crate::wire::names::{HubNames, TASK_HUB_BLOB};

/// The content of `{hub}-leases/taskhub.json`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskHubInfo {
    /// The hub's name with the spelling of whoever wrote the blob.
    pub task_hub_name: Option<String>,
    /// When it was written, by the writer's clock.
    pub created_at: Timestamp,
    /// Number of control queues.
    pub partition_count: u32,
}

impl TaskHubInfo {
    /// The bytes as .NET writes them.
    pub fn to_json(&self) -> Bytes {
        let name = self
            .task_hub_name
            .clone()
            .map_or(Value::Null, Value::String);
        let created = self.created_at.to_json_text();
        let count = self.partition_count;
        let json =
            format!(r#"{{"TaskHubName":{name},"CreatedAt":"{created}","PartitionCount":{count}}}"#);
        Bytes::from(json)
    }

    /// Reads what any writer wrote: member names in any case, missing members as .NET's defaults.
    pub fn from_json(content: &[u8]) -> Result<Self, serde_json::Error> {
        let members: Map<String, Value> = serde_json::from_slice(content)?;
        let get = |name: &str| {
            let mut all = members.iter();
            let found = all.find(|(member, _)| member.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value)
        };
        let text = |name| get(name).and_then(Value::as_str);
        Ok(Self {
            task_hub_name: text("TaskHubName").map(str::to_owned),
            created_at: text("CreatedAt")
                .and_then(|date| date.parse().ok())
                .unwrap_or(Timestamp::MIN),
            partition_count: get("PartitionCount")
                .and_then(Value::as_u64)
                .and_then(|count| count.try_into().ok())
                .unwrap_or(0),
        })
    }

    /// Reads the blob, at the price of one blob request; `None` if it is not there.
    pub async fn load(account: &Account, names: &HubNames) -> Result<Option<Self>, HubError> {
        let container = names.lease_container();
        let Some(blob) = account.blobs.get_blob(&container, TASK_HUB_BLOB).await? else {
            return Ok(None);
        };
        let info = Self::from_json(&blob.content).map_err(|source| HubError::TaskHubJson {
            blob: format!("{container}/{TASK_HUB_BLOB}"),
            source,
        })?;
        Ok(Some(info))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Recording `hello-safe`.
    const RECORDED: &str = r#"{"TaskHubName":"goldenhellosafe","CreatedAt":"2026-11-21T12:31:02.2547318Z","PartitionCount":4}"#;

    #[test]
    fn writes_the_recorded_bytes_and_reads_variants() {
        let info = TaskHubInfo::from_json(RECORDED.as_bytes()).unwrap();
        assert_eq!(info.to_json(), RECORDED);
        let loose = r#" {"partitionCOUNT": 8, "more": [1]} "#;
        let info = TaskHubInfo::from_json(loose.as_bytes()).unwrap();
        assert_eq!((info.partition_count, info.task_hub_name), (8, None));
        assert!(TaskHubInfo::from_json(b"[]").is_err());
    }
}
