//! `simulate --seeds 0..1000` looks for seeds that break a promise; `simulate --seed 7 --trace`
//! shows what happened in one.

use std::collections::BTreeSet;
use std::process::ExitCode;

use clap::Parser;
use durabletask_azurestorage::hub::Protections;
use simulator::{Options, Report, all_but, run, shrink};

/// Runs of a failing seed with fewer faults, at most.
const MAX_SHRINK_RUNS: usize = 80;

/// Simulates whole task hubs with faults, seed by seed.
#[derive(Debug, Parser)]
#[command(name = "simulate")]
struct Arguments {
    /// Seeds to run: the first, and the one after the last, as in 0..1000.
    #[arg(long, value_parser = range, default_value = "0..100")]
    seeds: std::ops::Range<u64>,
    /// One seed only.
    #[arg(long, conflicts_with = "seeds")]
    seed: Option<u64>,
    /// Print every step and every log line; of a seed that fails, those of its smallest failing run,
    /// except with --no-shrink.
    #[arg(long)]
    trace: bool,
    /// Leave out a protection, which must then be found missing: sentinel-etag, duplicate-drop,
    /// held-back-answers, start-deduplication, commit-order, unknown-outcomes, fresh-verdicts.
    #[arg(long, value_parser = protections)]
    without: Option<Protections>,
    /// Let nothing go wrong.
    #[arg(long)]
    calm: bool,
    /// Do not look for fewer faults that still make a seed fail.
    #[arg(long)]
    no_shrink: bool,
    /// Stop after so many failing seeds.
    #[arg(long, default_value_t = 5)]
    max_failures: usize,
}

fn protections(name: &str) -> Result<Protections, String> {
    all_but(name).ok_or_else(|| format!("there is no protection '{name}'"))
}

fn range(text: &str) -> Result<std::ops::Range<u64>, String> {
    let numbers = text.split_once("..");
    let parsed = numbers.and_then(|(a, b)| Some(a.trim().parse().ok()?..b.trim().parse().ok()?));
    parsed.ok_or_else(|| format!("'{text}' is not a range such as 0..1000"))
}

#[allow(clippy::print_stdout, reason = "a program")]
fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let seeds = arguments
        .seed
        .map_or(arguments.seeds, |seed| seed..seed + 1);
    println!("seeds {}..{}", seeds.start, seeds.end);
    let mut failures = 0;
    let mut faults = 0;
    for seed in seeds {
        let options = Options {
            only: arguments.calm.then(BTreeSet::new),
            protections: arguments.without.unwrap_or_default(),
            ..Options::seed(seed)
        };
        let report = if arguments.trace && arguments.no_shrink {
            loudly(options.clone())
        } else {
            run(&options)
        };
        faults += report.struck.len();
        if report.violations.is_empty() {
            continue;
        }
        failures += 1;
        tell(seed, &report);
        if !arguments.no_shrink {
            let (options, smallest) = shrink(&options, report, MAX_SHRINK_RUNS);
            tell(seed, &smallest);
            println!("  only {:?}", smallest.struck);
            if arguments.trace {
                println!("---- the smallest run ----");
                loudly(options);
            }
        }
        if failures >= arguments.max_failures {
            break;
        }
    }
    println!("{failures} failing seeds, {faults} faults struck");
    ExitCode::from(u8::from(failures > 0))
}

/// Runs with steps and logs printed.
fn loudly(mut options: Options) -> Report {
    options.is_loud = true;
    let logs = tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::new("durabletask=debug,info"))
        .without_time()
        .with_ansi(false)
        .finish();
    tracing::subscriber::with_default(logs, || run(&options))
}

#[allow(clippy::print_stdout, reason = "a program")]
fn tell(seed: u64, report: &Report) {
    println!("seed {seed} fails with {} faults:", report.struck.len());
    for violation in report.violations.iter().take(10) {
        println!("  {violation}");
    }
}
