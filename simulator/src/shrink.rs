//! Fewer faults that still lead to a violation.

use std::collections::BTreeSet;

use crate::faults::FaultId;
use crate::run::{Options, Report, run};

/// Leaves out faults of a failing run, half of them at a time, then fewer, for as long as it still
/// fails, in at most `max_runs` runs. The smallest failing run, and the options that give it.
pub fn shrink(options: &Options, report: Report, max_runs: usize) -> (Options, Report) {
    let mut best = (options.clone(), report);
    let wanted = best.1.violations.first().map(|v| shape(v));
    let wanted = wanted.unwrap_or_default();
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
            let fails_so = report.violations.iter().any(|v| shape(v) == wanted);
            if fails_so {
                best = (tried, report);
            } else {
                start = end;
            }
        }
        chunk /= 2;
    }
    best
}

/// A violation without what differs from run to run.
fn shape(violation: &str) -> String {
    let words = violation.split_whitespace();
    let is_plain = |word: &&str| word.chars().all(char::is_alphabetic);
    words.filter(is_plain).take(5).collect::<Vec<_>>().join(" ")
}
