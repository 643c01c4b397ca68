//! Partition numbers.

use std::fmt;

use crate::wire::names::partition_of;

/// A partition by its index: the `NN` of `{hub}-control-NN`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartitionId(u32);

impl PartitionId {
    /// Partitions a hub may have (chapter 01 §1.1).
    pub const MAX_COUNT: u32 = 16;

    /// The partition with that index.
    pub const fn new(index: u32) -> Self {
        Self(index)
    }

    /// The index, counted from 0.
    pub const fn index(self) -> u32 {
        self.0
    }

    /// The partition of an instance in a hub of `count` partitions (chapter 01 §2).
    pub fn of_instance(instance_id: &str, count: u32) -> Self {
        Self(partition_of(instance_id, count))
    }

    /// The partition whose control queue has this name in the hub (lower-case) `hub`; `None` for
    /// any other queue.
    pub fn from_queue(hub: &str, queue: &str) -> Option<Self> {
        let digits = queue.strip_prefix(hub)?.strip_prefix("-control-")?;
        let plain = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| digits.parse().ok().map(Self)).flatten()
    }
}

impl fmt::Display for PartitionId {
    /// Two digits, as in queue names.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_control_queue_names_its_partition() {
        let id = |queue| PartitionId::from_queue("myhub", queue).map(PartitionId::index);
        assert_eq!(id("myhub-control-00"), Some(0));
        assert_eq!(id("myhub-control-15"), Some(15));
        for other in [
            "myhub-workitems",
            "myhub-control-1",
            "myhub-control-+1",
            "x-control-00",
        ] {
            assert_eq!(id(other), None, "{other}");
        }
        assert_eq!(PartitionId::new(7).to_string(), "07");
    }
}
