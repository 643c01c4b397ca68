//! Who reads a queue, seen from storage.

use durabletask_azurestorage::partition::partition_manager;
use durabletask_azurestorage::{Executors, HubWorker, TaskHub};
use durabletask_storage::wrappers::{Operation, Recording};
use std::sync::Arc;
use std::time::Duration;

use crate::machine::Machine;
use crate::support::{HelloSequence, SayHello};
use crate::world::on_hub;

#[test]
fn a_process_that_stood_still_reads_nothing_before_it_knows_what_is_its_own() {
    // covers: R5-05 R5-06 R5-23
    on_hub(1, 4, |world| async move {
        let machine = Machine::new(&world.env, 0.0);
        let env = machine.env();
        let (account, recording) = Recording::wrap(world.account.clone(), 10_000);
        let manager = partition_manager(&account, &world.settings, "alpha", &env);
        let hub = TaskHub::new(env, account, world.settings.clone());
        let executors = Executors {
            orchestrators: Arc::new(HelloSequence),
            activities: Arc::new(SayHello),
        };
        let alpha = HubWorker::start(hub, executors, manager);
        world.pass(12.0).await;
        let receives = || {
            let calls = recording.take();
            let receives = calls.iter().filter(|call| {
                call.operation == Operation::GetMessages && call.resource.contains("-control-")
            });
            receives.count()
        };
        assert!(receives() >= 4);
        machine.stop_for(Duration::from_secs(60));
        let beta = world.started("beta");
        world.pass(59.0).await;
        assert_eq!(beta.reading().len(), 4);
        world.pass(1.5).await;
        assert_eq!(receives(), 0);
        world.pass(30.0).await;
        assert_eq!(alpha.partitions().len(), 2);
        assert!(receives() >= 2);
    });
}
