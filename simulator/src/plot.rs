//! Which workloads a seed has.

use crate::dice::Dice;

/// Which seeds have all workloads: such that none of the first regressions is among them, whose
/// seeds would otherwise have lost their meaning when workloads were added.
const CHOICE: u64 = 1_355;

/// Which seeds are wild; likewise.
const CHOICE_OF_WILD: u64 = 27_204;

/// Whether in that seed more goes wrong than requests and processes now and then: mishaps at any
/// request, disorder in queues, clocks that are set, partitions that are taken away.
pub(crate) fn is_wild(seed: u64) -> bool {
    Dice::of(seed, "wild", CHOICE_OF_WILD).below(2) != 0
}

/// What clients do in a run, and what hub they do it in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plot {
    /// Random programs in an ordinary hub.
    Programs,
    /// Also the catalogue, large values, all operations, clients that die, and all managers.
    Everything,
}

impl Plot {
    /// That of a seed.
    pub(crate) fn of(seed: u64) -> Self {
        match Dice::of(seed, "plot", CHOICE).below(2) {
            0 => Self::Programs,
            _ => Self::Everything,
        }
    }
}
