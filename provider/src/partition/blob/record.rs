//! One lease record: the content of a lease blob (chapter 01 §5.4).

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// What a lease blob says about its holder, in the order in which .NET writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct LeaseRecord {
    /// The control queue's name; .NET goes by this, not by the blob's name.
    pub(crate) partition_id: String,
    /// The holder's worker id.
    #[serde(default)]
    pub(crate) owner: Option<String>,
    /// The id of the holder's lease: what others need to take it over (R5-30).
    #[serde(default)]
    pub(crate) token: Option<String>,
    /// One more with every acquisition; nobody compares it.
    #[serde(default)]
    pub(crate) epoch: i64,
}

impl LeaseRecord {
    /// The record of a lease that nobody ever held.
    pub(crate) fn free(queue: String) -> Self {
        Self {
            partition_id: queue,
            owner: None,
            token: None,
            epoch: 0,
        }
    }

    /// Reads what any writer wrote; members that it does not know are ignored (R5-32).
    pub(crate) fn read(content: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(content)
    }

    /// The bytes as .NET writes them.
    pub(crate) fn to_json(&self) -> Bytes {
        // Strings and numbers always have a JSON form.
        serde_json::to_vec(self).unwrap_or_default().into()
    }

    /// The record of a worker that has just acquired the lease `token`.
    pub(super) fn taken(&self, worker_id: &str, token: String) -> Self {
        Self {
            partition_id: self.partition_id.clone(),
            owner: Some(worker_id.to_owned()),
            token: Some(token),
            epoch: self.epoch.saturating_add(1),
        }
    }

    /// The record after its holder let go.
    pub(super) fn released(&self) -> Self {
        Self {
            owner: None,
            token: None,
            ..self.clone()
        }
    }

    /// Who holds it, if the blob is leased; a blank name is nobody (§5.5).
    pub(super) fn holder(&self, leased: bool) -> Option<&str> {
        let named = self.owner.as_deref().filter(|name| !name.trim().is_empty());
        named.filter(|_| leased)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_written_and_read_as_recorded() {
        // Recordings `hello-legacy`, `hello-safe`.
        let free =
            r#"{"PartitionId":"goldenhellolegacy-control-00","Owner":null,"Token":null,"Epoch":0}"#;
        let record = LeaseRecord::free("goldenhellolegacy-control-00".to_owned());
        assert_eq!(record.to_json(), free);
        let taken = record.taken("alpha", "3f0e5c1e-8a57-4a3e-9d0b-6a8f2f0f9f11".to_owned());
        let text = r#"{"PartitionId":"goldenhellolegacy-control-00","Owner":"alpha","Token":"3f0e5c1e-8a57-4a3e-9d0b-6a8f2f0f9f11","Epoch":1}"#;
        assert_eq!(taken.to_json(), text);
        assert_eq!(taken.released().epoch, 1);
        // covers: R5-32
        let odd = r#" {"Epoch":7, "More":{}, "PartitionId":"h-control-01"} "#;
        let record = LeaseRecord::read(odd.as_bytes()).unwrap();
        assert_eq!((record.epoch, record.owner), (7, None));
        for bad in ["{}", "[]", "", r#"{"PartitionId":3}"#] {
            assert!(LeaseRecord::read(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
