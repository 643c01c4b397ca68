//! Without faults, what faults excuse must not happen either: a doubled event, an instance that
//! ends while it is suspended, a custom status that is behind.

use std::collections::BTreeSet;

use simulator::{Options, run};

const SEEDS: u64 = 60;

#[test]
fn nothing_goes_wrong_without_faults() {
    for seed in 0..SEEDS {
        let options = Options {
            only: Some(BTreeSet::new()),
            ..Options::seed(seed)
        };
        let report = run(&options);
        assert!(
            report.violations.is_empty(),
            "seed {seed}: {:?}",
            report.violations
        );
        assert!(report.struck.is_empty(), "seed {seed}");
    }
}
