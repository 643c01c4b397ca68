//! Who reads a queue, seen from storage.

use durabletask_azurestorage::hub::{HubSettings, StoreChoice, create_hub, open_account};
use durabletask_azurestorage::partition::partition_manager;
use durabletask_azurestorage::{Executors, HubWorker, TaskHub};
use durabletask_storage::VirtualEnv;
use durabletask_storage::wrappers::{
    Fate, Faults, Faulty, Operation, RecordedCall, Recording, SeenCall,
};
use std::sync::{Arc, Mutex};
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

/// The first receive from each of these queues kills its reader.
#[derive(Debug)]
struct Deadly(Mutex<Vec<String>>);

impl Faults for Deadly {
    fn fate(&self, call: &SeenCall<'_>) -> Fate {
        let mut queues = self.0.lock().unwrap();
        let position = queues
            .iter()
            .position(|queue| call.operation == Operation::GetMessages && call.resource == queue);
        if let Some(position) = position {
            let queue = queues.swap_remove(position);
            drop(queues);
            panic!("reading {queue}");
        }
        Fate::default()
    }
}

#[test]
fn a_queue_whose_reader_died_is_read_again_from_the_next_renewal_on() {
    // covers: R5-26
    let time = VirtualEnv::new(1);
    let env = time.env();
    let mut settings = HubSettings::new("TestHub", 1).with_store(StoreChoice::Memory);
    settings.use_app_lease = false;
    settings.max_queue_polling_interval = Duration::from_secs(1);
    time.block_on(async {
        let account = open_account(&settings, &env).unwrap();
        create_hub(&account, &settings, &env).await.unwrap();
        let queue = settings.names().control_queue(2);
        let deadly = Arc::new(Deadly(Mutex::new(vec![queue.clone()])));
        let (account, recording) = Recording::wrap(account, 10_000);
        let account = Faulty::wrap(account, env.clone(), deadly);
        let manager = partition_manager(&account, &settings, "alpha", &env);
        let hub = TaskHub::new(env.clone(), account, settings.clone());
        let executors = Executors {
            orchestrators: Arc::new(HelloSequence),
            activities: Arc::new(SayHello),
        };
        let alpha = HubWorker::start(hub, executors, manager);
        let receives = || {
            let calls = recording.take();
            let is_it = |call: &&RecordedCall| {
                call.operation == Operation::GetMessages && call.resource == queue
            };
            calls.iter().filter(is_it).count()
        };
        env.sleep(Duration::from_secs(9)).await;
        assert_eq!((alpha.partitions().len(), receives()), (4, 0));
        env.sleep(Duration::from_secs(10)).await;
        assert_eq!(alpha.partitions().len(), 4);
        assert!(receives() >= 5);
        assert!(alpha.stop().await.unwrap());
    })
    .unwrap();
    assert_eq!(time.panics().texts.len(), 1);
}
