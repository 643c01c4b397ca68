//! GUIDs and numbers that every replay draws alike (chapter 04 §2.7).

use uuid::Uuid;

use super::Flavour;
use crate::{OrchestrationInstance, Timestamp};

const IN_PROCESS: Uuid = Uuid::from_u128(0x9e95_2959_5e33_4daf_827f_2fa1_2937_b875);
const ISOLATED: Uuid = Uuid::from_u128(0x9e95_2958_5e33_4daf_827f_2fa1_2937_b875);

/// The GUID that .NET draws as number `counter` of an execution at that orchestrator time: version
/// 5 over instance id, time with seven digits, and counter.
pub fn deterministic_guid(
    flavour: Flavour,
    instance_id: &str,
    time: Timestamp,
    counter: u64,
) -> Uuid {
    let namespace = match flavour {
        Flavour::InProc => IN_PROCESS,
        // Core has no such call; any namespace is as good.
        Flavour::Rust | Flavour::Core | Flavour::Isolated => ISOLATED,
    };
    Uuid::new_v5(
        &namespace,
        format!("{instance_id}_{time}_{counter}").as_bytes(),
    )
}

/// The random numbers of one execution: `SplitMix64`, seeded from its ids.
#[derive(Debug)]
pub(super) struct Randoms(u64);

impl Randoms {
    pub(super) fn of(instance: &OrchestrationInstance) -> Self {
        let execution = instance.execution_id.as_deref().unwrap_or_default();
        let name = format!("{}_{execution}_random", instance.instance_id);
        Self(Uuid::new_v5(&ISOLATED, name.as_bytes()).as_u64_pair().0)
    }

    pub(super) const fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
