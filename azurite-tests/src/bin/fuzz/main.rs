//! Feeds readers and the replay engine what nobody would write: mutations of the recordings.
//!
//! `cargo run -p azurite-tests --bin fuzz -- TARGET [--seconds 60] [--seed N]`, where TARGET is
//! `message`, `history-row`, `instance-row`, `names`, `replay`, or `all` for all at once. An input
//! that makes a target panic is written to a file, and the exit code is 1. The seed is printed.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the recordings can be read"
)]

#[path = "../../../../provider/tests/wire/golden.rs"]
mod golden;
mod mutate;
mod replay;
mod seeds;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use durabletask_azurestorage::wire::fuzz;
use durabletask_storage::Env;

use mutate::Mutator;

/// Inputs between two looks at the clock.
const BATCH: u32 = 64;

struct Target {
    name: &'static str,
    run: fn(&[u8]),
    seeds: fn() -> Vec<Vec<u8>>,
}

const TARGETS: [Target; 5] = [
    Target {
        name: "message",
        run: fuzz::fuzz_message,
        seeds: seeds::messages,
    },
    Target {
        name: "history-row",
        run: fuzz::fuzz_history_row,
        seeds: || seeds::rows("History"),
    },
    Target {
        name: "instance-row",
        run: fuzz::fuzz_instance_row,
        seeds: || seeds::rows("Instances"),
    },
    Target {
        name: "names",
        run: fuzz::fuzz_names,
        seeds: seeds::names,
    },
    Target {
        name: "replay",
        run: replay::fuzz_replay,
        seeds: seeds::histories,
    },
];

struct Options {
    target: String,
    limit: Duration,
    seed: u64,
}

fn main() -> ExitCode {
    let env = Env::system();
    let Some(options) = options(&env) else {
        eprintln!("usage: fuzz TARGET [--seconds 60] [--seed N], where TARGET is all or one of:");
        for target in &TARGETS {
            eprintln!("  {}", target.name);
        }
        return ExitCode::from(2);
    };
    let chosen = TARGETS
        .iter()
        .filter(|target| options.target == "all" || options.target == target.name);
    let survived: Vec<bool> = thread::scope(|scope| {
        let running: Vec<_> = chosen
            .map(|target| scope.spawn(|| fuzz_one(target, &options, &env)))
            .collect();
        running
            .into_iter()
            .map(|one| one.join().unwrap_or(false))
            .collect()
    });
    if survived.iter().all(|survived| *survived) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn options(env: &Env) -> Option<Options> {
    let mut arguments = std::env::args().skip(1);
    let mut options = Options {
        target: arguments.next()?,
        limit: Duration::from_secs(60),
        seed: env.random_u64(),
    };
    while let Some(flag) = arguments.next() {
        let number: u64 = arguments.next()?.parse().ok()?;
        match flag.as_str() {
            "--seconds" => options.limit = Duration::from_secs(number),
            "--seed" => options.seed = number,
            _ => return None,
        }
    }
    let is_known = |name: &str| name == "all" || TARGETS.iter().any(|t| t.name == name);
    is_known(&options.target).then_some(options)
}

/// Whether a target survived its time.
fn fuzz_one(target: &Target, options: &Options, env: &Env) -> bool {
    let Options { limit, seed, .. } = *options;
    let name = target.name;
    println!("{name}: --seed {seed}");
    let seeds = (target.seeds)();
    assert!(!seeds.is_empty(), "no recordings for {name}");
    let mut mutator = Mutator::new(seed);
    let (began, mut inputs) = (env.monotonic(), 0_u64);
    while env.monotonic().saturating_sub(began) < limit {
        for _ in 0..BATCH {
            let input = mutator.next(&seeds);
            inputs += 1;
            if catch_unwind(AssertUnwindSafe(|| (target.run)(&input))).is_err() {
                let file = std::env::temp_dir().join(format!("fuzz-{name}-{seed}-{inputs}"));
                let written = std::fs::write(&file, &input);
                println!(
                    "{name}: input {inputs} of --seed {seed} panics; see {} ({written:?})",
                    file.display()
                );
                return false;
            }
        }
    }
    println!(
        "{name}: {inputs} inputs from {} seeds, no panic",
        seeds.len()
    );
    true
}
