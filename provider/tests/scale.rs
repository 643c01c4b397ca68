//! The scale monitor on hubs in memory (chapter 01 §7.2, §7.3).

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use std::time::Duration;

use durabletask_azurestorage::hub::{HubSettings, PartitionManagement, create_hub};
use durabletask_azurestorage::scale::{ScaleAction, ScaleMonitor};
use durabletask_storage::VirtualEnv;
use durabletask_storage::embedded::EmbeddedStore;

#[test]
fn a_monitor_sees_what_waits() {
    // covers: R7-01 R7-02
    for management in [PartitionManagement::Table, PartitionManagement::Safe] {
        let time = VirtualEnv::new(1);
        let env = time.env();
        let outcome = time.block_on(async {
            let account = EmbeddedStore::in_memory(env.clone()).unwrap().account();
            let mut settings = HubSettings::new("ScaleHub", 1).with_partition_count(3);
            settings.partition_management = management;
            create_hub(&account, &settings, &env).await.unwrap();
            // The hub tells how many partitions it has, not whoever looks.
            let looking = HubSettings::new("ScaleHub", 1).with_partition_count(16);
            let mut monitor = ScaleMonitor::new(&account, &looking, &env);
            let empty = monitor.pulse(0).await.unwrap().unwrap();
            assert_eq!(
                (empty.partition_count, empty.work_item_queue_length),
                (3, 0)
            );
            assert_eq!(empty.recommendation.reason, "Not enough samples");
            let queues = &account.queues;
            for (queue, hidden) in [
                ("scalehub-workitems", None),
                ("scalehub-workitems", None),
                ("scalehub-control-01", Some(600)),
            ] {
                queues.put_message(queue, "{}", hidden).await.unwrap();
            }
            env.sleep(Duration::from_secs(3)).await;
            let busy = monitor.pulse(0).await.unwrap().unwrap();
            assert_eq!(busy.work_item_queue_length, 2);
            assert_eq!(busy.work_item_queue_latency, Duration::from_secs(3));
            assert_eq!(busy.control_queue_lengths, [0, 0, 0]);
            assert_eq!(busy.recommendation.action, ScaleAction::AddWorker);
            queues.delete_queue("scalehub-control-02").await.unwrap();
            assert_eq!(monitor.pulse(0).await.unwrap(), None);
        });
        outcome.unwrap();
    }
}
