//! `bench load`, `bench replay`, `bench hop`, `bench waiting`: see `bench --help`.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use benchmarks::load::{self, Load, Workload};
use benchmarks::stage::{Limits, Stage, Store};
use benchmarks::{Error, hop, replay, report, waiting};
use clap::{Args, Parser, ValueEnum};
use durabletask_storage::Env;
use serde_json::json;
use tracing_subscriber::EnvFilter;

/// Measures durable orchestrations. Build with --release before believing any time.
#[derive(Parser)]
#[command(name = "bench")]
enum Command {
    /// Many orchestrations through one hub: throughput, latency, CPU, memory, transactions
    Load(LoadArguments),
    /// Bringing orchestrators back from histories of 10,000 events and more
    Replay {
        /// Runs of which the median is taken
        #[arg(long, default_value_t = 21)]
        runs: usize,
        /// For machines
        #[arg(long)]
        json: bool,
    },
    /// Memory of a worker while many instances wait for an event, on a file of the embedded store
    Waiting {
        /// Instances
        #[arg(short = 'n', long, default_value_t = 100_000)]
        count: u32,
        /// Memory for idle sessions, in MiB
        #[arg(long, default_value_t = 64)]
        session_mib: u64,
    },
    /// Storage calls of single orchestrations and between two activities, in virtual time
    Hop {
        /// For machines
        #[arg(long)]
        json: bool,
    },
}

#[derive(Args)]
struct LoadArguments {
    /// What to run
    #[arg(long, value_enum, default_value = "all")]
    workload: Which,
    /// Orchestrations of each kind
    #[arg(short = 'n', long, default_value_t = 200)]
    count: u32,
    /// Orchestrations at the same time
    #[arg(long, default_value_t = 50)]
    concurrency: u32,
    /// Where the hub lives
    #[arg(long, value_enum, default_value = "memory")]
    store: Kind,
    /// File of the embedded store; a temporary one if absent
    #[arg(long)]
    file: Option<PathBuf>,
    /// Environment variable that holds the connection string for --store azure
    #[arg(long, value_name = "NAME", default_value = "AZURITE_CONNECTION")]
    connection: String,
    /// Control queues of the hub
    #[arg(long, default_value_t = 4)]
    partitions: u32,
    /// Activities, and episodes, that the worker runs at once
    #[arg(long, default_value_t = 100)]
    slots: u32,
    /// For machines
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Which {
    Hello,
    FanOut,
    All,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Kind {
    Memory,
    File,
    Azure,
}

fn main() -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    let log = tracing_subscriber::fmt().with_env_filter(filter);
    log.with_writer(std::io::stderr).init();
    match run(Command::parse()) {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<String, Error> {
    let runtime = || {
        tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
    };
    match command {
        Command::Load(arguments) => runtime()?.block_on(run_loads(arguments)),
        Command::Replay { runs, json } => runtime()?.block_on(run_replays(runs, json)),
        Command::Waiting { count, session_mib } => runtime()?.block_on(async {
            let show = |seen: waiting::Seen| eprint!("{}", waiting::table(&[seen]));
            Ok(waiting::table(
                &waiting::measure(count, session_mib, show).await?,
            ))
        }),
        Command::Hop { json } => run_hops(json),
    }
}

async fn run_loads(arguments: LoadArguments) -> Result<String, Error> {
    let store = match arguments.store {
        Kind::Memory => Store::Memory,
        Kind::File => Store::File(arguments.file),
        Kind::Azure => Store::Azure(arguments.connection),
    };
    let limits = Limits {
        partitions: arguments.partitions,
        concurrency: arguments.slots,
    };
    let loads = [
        (Which::Hello, Workload::HelloSequence5),
        (Which::FanOut, Workload::FanOut),
    ];
    let mut measured = Vec::new();
    for (which, workload) in loads {
        if arguments.workload != Which::All && arguments.workload != which {
            continue;
        }
        let load = Load {
            workload,
            count: arguments.count,
            concurrency: arguments.concurrency,
        };
        // A hub of its own for each, so that none pays for the rows of the one before.
        let stage = Stage::open(&store, limits).await?;
        let show = |ended, elapsed| show_progress(load, ended, elapsed);
        let outcome = load::run(&stage, load, show).await;
        stage.close().await?;
        measured.push(outcome?);
        clear_progress();
    }
    Ok(if arguments.json {
        let results: Vec<_> = measured.iter().map(report::load_json).collect();
        format!("{}\n", json!({ "results": results }))
    } else {
        report::loads_table(&measured)
    })
}

async fn run_replays(runs: usize, json: bool) -> Result<String, Error> {
    let replays = replay::measure(&Env::system(), runs).await?;
    Ok(if json {
        let results: Vec<_> = replays.iter().map(report::replay_json).collect();
        format!("{}\n", json!({ "results": results }))
    } else {
        report::replays_table(&replays)
    })
}

fn run_hops(json: bool) -> Result<String, Error> {
    let (hello, fan_out) = (hop::hello_sequence_5()?, hop::fan_out()?);
    Ok(if json {
        let results = json!({
            "HelloSequence5": report::hops_json(&hello),
            "FanOut(100)": report::hops_json(&fan_out),
        });
        format!("{results}\n")
    } else {
        report::hops_table(&hello, &fan_out)
    })
}

/// One line on a terminal, rewritten; nothing elsewhere.
fn show_progress(load: Load, ended: u32, elapsed: Duration) {
    let mut terminal = std::io::stderr();
    if terminal.is_terminal() {
        let rate = f64::from(ended) / elapsed.as_secs_f64();
        let (name, count) = (load.workload.name(), load.count);
        // A terminal that went away is no reason to stop.
        drop(write!(
            terminal,
            "\r\x1b[K{name}: {ended} of {count}, {rate:.0}/s"
        ));
    }
}

fn clear_progress() {
    let mut terminal = std::io::stderr();
    if terminal.is_terminal() {
        drop(write!(terminal, "\r\x1b[K"));
    }
}
