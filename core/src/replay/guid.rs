//! GUIDs and numbers that every replay draws alike (chapter 04 §2.7).

use uuid::Uuid;

use super::Flavour;
use crate::Timestamp;

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

/// Number `counter` of the random sequence of one execution.
pub(super) fn random(instance_id: &str, execution_id: &str, counter: u64) -> u64 {
    let name = format!("{instance_id}_{execution_id}_random_{counter}");
    let bits = Uuid::new_v5(&ISOLATED, name.as_bytes()).as_u128();
    // The upper half holds the four version bits; fold the halves so that none is fixed.
    ((bits >> 64) as u64 ^ bits as u64).rotate_left(32) ^ (bits >> 4) as u64
}
