//! What instances that wait for an event cost a worker in memory: the session budget, and no
//! more, however many there are.

use durabletask_worker::{Client, ClientError, OrchestrationStatus};
use futures::future::try_join_all;
use futures::{StreamExt as _, TryStreamExt as _, stream};

use crate::heap::Heap;
use crate::stage::{Limits, Stage, Store};
use crate::{Error, process, workload};

/// Starts under way at the same time.
const CONCURRENCY: usize = 200;
/// Instances between two looks at the memory.
pub const STEP: u32 = 5_000;

/// The memory of this process while so many instances wait.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    /// Instances that wait.
    pub instances: u32,
    /// Resident size in MiB; `None` where the system does not tell.
    pub resident_mib: Option<f64>,
    /// The heap; `None` where the C library does not tell.
    pub heap: Option<Heap>,
}

/// Starts `count` instances in a file of the embedded store, worker and client in this process,
/// and looks at the memory now and then. The worker may keep `session_mib` of sessions.
pub async fn measure(
    count: u32,
    session_mib: u64,
    mut shows: impl FnMut(Seen),
) -> Result<Vec<Seen>, Error> {
    let limits = Limits {
        partitions: 4,
        concurrency: 100,
    };
    let budget = |settings: &mut durabletask_azurestorage::hub::HubSettings| {
        settings.session_cache_max_bytes = session_mib << 20;
    };
    let stage = Stage::open_with(&Store::File(None), limits, budget).await?;
    let client = stage.client();
    let mut seen = Vec::new();
    let mut instances = 0;
    loop {
        let now = Seen {
            instances,
            resident_mib: process::resident_mib(),
            heap: Heap::now(),
        };
        shows(now);
        seen.push(now);
        if instances == count {
            break;
        }
        let more = STEP.min(count - instances);
        wait_more(&client, more).await?;
        instances += more;
    }
    stage.close().await?;
    Ok(seen)
}

/// Starts instances and waits until all of them wait.
async fn wait_more(client: &Client, count: u32) -> Result<(), Error> {
    let starts = stream::iter((0..count).map(|_| client.start(workload::waiting, ())));
    let ids: Vec<String> = starts.buffered(CONCURRENCY).try_collect().await?;
    for ids in ids.chunks(CONCURRENCY) {
        try_join_all(ids.iter().map(|id| until_running(client, id))).await?;
    }
    Ok(())
}

async fn until_running(client: &Client, id: &str) -> Result<(), ClientError> {
    loop {
        let status = client.status(id).await?;
        if status.is_some_and(|status| status.runtime_status == OrchestrationStatus::Running) {
            return Ok(());
        }
    }
}

/// One line per look.
pub fn table(seen: &[Seen]) -> String {
    let line = |seen: &Seen| {
        let mib = |mib: Option<f64>| mib.map_or("?".to_owned(), |mib| format!("{mib:.0}"));
        let live = mib(seen.heap.map(|heap| in_mib(heap.live)));
        let spare = mib(seen.heap.map(|heap| in_mib(heap.spare)));
        let resident = mib(seen.resident_mib);
        format!(
            "{:>12}{live:>18}{spare:>18}{resident:>16}\n",
            seen.instances
        )
    };
    let lines: String = seen.iter().map(line).collect();
    let heading = (
        "instances",
        "live heap, MiB",
        "spare heap, MiB",
        "resident, MiB",
    );
    let (instances, live, spare, resident) = heading;
    format!("{instances:>12}{live:>18}{spare:>18}{resident:>16}\n{lines}")
}

#[allow(clippy::cast_precision_loss, reason = "for people")]
fn in_mib(bytes: usize) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
