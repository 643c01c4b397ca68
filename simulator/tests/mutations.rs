//! The simulator notices when a protection is missing; with all of them, seeds that once failed
//! do not.
#![allow(clippy::panic, reason = "tests")]

use simulator::{MUTATIONS, Options, all_but, run};

/// Seeds within which a missing protection is found.
const MAX_SEEDS: u64 = 1_000;
/// Seeds that failed, by what was wrong then.
const REGRESSIONS: [(u64, &str); 19] = [
    (
        6,
        "a start ran again over the execution that continued its own",
    ),
    (
        26,
        "a message of an earlier execution did not repair the row",
    ),
    (
        31,
        "a start ran again, and children that had answered stayed silent",
    ),
    (59, "two answers of one task in one batch"),
    (
        196,
        "a start was taken for old because its client's clock was behind",
    ),
    (240, "an answer was taken up by the start that it came with"),
    (28, "a child's start ran again after it continued as new"),
    (
        1020,
        "a finished child that was started again told its parent nothing",
    ),
    (
        495,
        "a child was rewound before it had recorded its failure, and its parent waited for ever",
    ),
    (
        383,
        "an answer to a child that was rewound in part was put back for ever",
    ),
    (
        278,
        "an answer to a task that an ended instance never had was put back for ever",
    ),
    (
        700,
        "a child ended before its parent was rewound, which then waited for ever",
    ),
    (
        1008,
        "a row was repaired while a rewind was cut off, which no rewind found any more",
    ),
    (
        3124,
        "a rewind was cut off after the parent was woken, before the child was",
    ),
    (
        1328,
        "a child was about to end while its parent was rewound, which then waited for ever",
    ),
    (
        966,
        "a client died after it had woken a rewound parent and before its child",
    ),
    (
        32158,
        "a stray message woke an instance whose rows were still being rewound",
    ),
    (
        42238,
        "what a child sent to itself came before its first commit, and was dropped",
    ),
    (
        46258,
        "a slow rewind took out what was decided after a faster one",
    ),
];

#[test]
fn every_missing_protection_is_found() {
    for (name, _) in MUTATIONS {
        let Some(protections) = all_but(name) else {
            panic!("{name} is gone");
        };
        let found = (0..MAX_SEEDS).find(|seed| {
            let options = Options {
                protections,
                ..Options::seed(*seed)
            };
            // A seed that fails anyway says nothing.
            !run(&options).violations.is_empty() && run(&Options::seed(*seed)).violations.is_empty()
        });
        assert!(found.is_some(), "without {name} nothing goes wrong");
    }
}

#[test]
fn seeds_that_failed_once_pass() {
    for (seed, what) in REGRESSIONS {
        let report = run(&Options::seed(seed));
        assert!(
            report.violations.is_empty(),
            "{what}: seed {seed}: {:?}",
            report.violations
        );
    }
}
