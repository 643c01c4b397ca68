//! The same seed gives the same run, step by step.

use simulator::{Options, run};

/// Seeds that are run twice.
const SEEDS: u64 = 12;

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in 0..SEEDS {
        let (first, second) = (run(&Options::seed(seed)), run(&Options::seed(seed)));
        let differs = first
            .steps
            .iter()
            .zip(&second.steps)
            .position(|(a, b)| a != b);
        if let Some(at) = differs {
            assert_eq!(first.steps[at], second.steps[at], "seed {seed}, step {at}");
        }
        assert_eq!(first, second, "seed {seed}");
        assert!(first.steps.len() > 100, "seed {seed} did nothing");
    }
}
