//! Fewer faults that still lead to a violation.

use std::collections::BTreeSet;

use crate::faults::FaultId;
use crate::run::{Options, Report, run};

/// Leaves out faults of a failing run, half of them at a time, then fewer, for as long as it still
/// fails, in at most `max_runs` runs. The smallest failing run, and the options that give it.
pub fn shrink(options: &Options, report: Report, max_runs: usize) -> (Options, Report) {
    let mut best = (options.clone(), report);
    let mut runs = 0;
    let mut chunk = best.1.struck.len().div_ceil(2);
    while chunk > 0 {
        let mut start = 0;
        while start < best.1.struck.len() && runs < max_runs {
            let struck = &best.1.struck;
            let end = (start + chunk).min(struck.len());
            let only: BTreeSet<FaultId> = struck[..start]
                .iter()
                .chain(&struck[end..])
                .cloned()
                .collect();
            let tried = Options {
                only: Some(only),
                ..options.clone()
            };
            let report = run(&tried);
            runs += 1;
            if report.violations.is_empty() {
                start = end;
            } else {
                best = (tried, report);
            }
        }
        chunk /= 2;
    }
    best
}
