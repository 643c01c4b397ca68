//! Results as tables for people and as JSON for machines.

use std::time::Duration;

use durabletask_storage::wrappers::{Operation, Prices, Service};
use serde_json::{Value, json};

use crate::hop::Hops;
use crate::load::Measured;
use crate::replay::Replayed;

/// Width of a table's first column.
const NAME_WIDTH: usize = 38;
/// Width of the others.
const CELL_WIDTH: usize = 16;

/// Loads side by side, storage calls per orchestration.
pub fn loads_table(measured: &[Measured]) -> String {
    let line =
        |name: &str, cell: &dyn Fn(&Measured) -> String| row(name, measured.iter().map(cell));
    let mut text = [
        line("", &|m| m.load.workload.name().to_owned()),
        line("orchestrations", &|m| m.load.count.to_string()),
        line("at the same time", &|m| m.load.concurrency.to_string()),
        line("orchestrations/s", &|m| format!("{:.1}", m.per_second())),
        line("latency p50, ms", &|m| millis(m.latency(0.50))),
        line("latency p99, ms", &|m| millis(m.latency(0.99))),
        line("CPU per orchestration, ms", &|m| optional(m.cpu_ms())),
        line("peak memory, MiB", &|m| optional(m.peak_mib)),
        "storage transactions per orchestration\n".to_owned(),
    ]
    .concat();
    let per_orchestration: Vec<Vec<(String, f64)>> = measured
        .iter()
        .map(|m| {
            let each = |count| float(count) / f64::from(m.load.count.max(1));
            let rows = price_rows(&m.prices).into_iter();
            rows.map(|(name, count)| (name, each(count))).collect()
        })
        .collect();
    text.push_str(&price_table(&per_orchestration, 2));
    text
}

/// Storage calls of single orchestrations, and their critical paths.
pub fn hops_table(hello: &Hops, fan_out: &Hops) -> String {
    let exact = |hops: &Hops| {
        let rows = price_rows(&hops.prices).into_iter();
        rows.map(|(name, count)| (name, float(count))).collect()
    };
    let hops: Vec<String> = hello.calls_per_hop.iter().map(u32::to_string).collect();
    [
        row("", ["HelloSequence5", "FanOut(100)"].map(str::to_owned)),
        row(
            "calls from start to first activity",
            [hello.calls_to_first.to_string()],
        ),
        row("calls from activity to activity", [hops.join(" ")]),
        "storage transactions\n".to_owned(),
        price_table(&[exact(hello), exact(fan_out)], 0),
    ]
    .concat()
}

/// Replay times.
pub fn replays_table(replays: &[Replayed]) -> String {
    let line = |name: &str, cell: &dyn Fn(&Replayed) -> String| row(name, replays.iter().map(cell));
    [
        line("", &|r| r.name.to_owned()),
        line("events", &|r| r.events.to_string()),
        line("median, ms", &|r| millis(r.median())),
        line("slowest, ms", &|r| {
            millis(r.times.last().copied().unwrap_or_default())
        }),
    ]
    .concat()
}

/// A load as an object; times in milliseconds, storage calls of all orchestrations together.
pub fn load_json(m: &Measured) -> Value {
    json!({
        "workload": m.load.workload.name(),
        "orchestrations": m.load.count,
        "concurrency": m.load.concurrency,
        "seconds": m.elapsed.as_secs_f64(),
        "perSecond": m.per_second(),
        "latencyP50Ms": as_ms(m.latency(0.50)),
        "latencyP99Ms": as_ms(m.latency(0.99)),
        "cpuMsPerOrchestration": m.cpu_ms(),
        "peakMemoryMib": m.peak_mib,
        "transactions": prices_json(&m.prices),
    })
}

/// Critical path and storage calls of a single orchestration.
pub fn hops_json(hops: &Hops) -> Value {
    json!({
        "callsToFirstActivity": hops.calls_to_first,
        "callsPerHop": hops.calls_per_hop,
        "transactions": prices_json(&hops.prices),
    })
}

/// A replay as an object.
pub fn replay_json(replayed: &Replayed) -> Value {
    json!({
        "name": replayed.name,
        "events": replayed.events,
        "medianMs": as_ms(replayed.median()),
    })
}

/// All kinds of calls, those that were not made included, with sums at the end.
fn price_rows(prices: &Prices) -> Vec<(String, u64)> {
    let mut rows = Vec::new();
    for &operation in Operation::ALL {
        let name = format!("{} {operation}", operation.service());
        if operation == Operation::GetMessages {
            rows.push((
                format!("{name}, with messages"),
                prices.gets_with_messages(),
            ));
            rows.push((format!("{name}, empty"), prices.gets_empty()));
        } else {
            rows.push((name, prices.calls(operation)));
        }
    }
    for service in [Service::Queues, Service::Tables, Service::Blobs] {
        rows.push((format!("all {service}"), prices.service(service)));
    }
    rows.push(("all".to_owned(), prices.total()));
    let without = prices.total_without_empty_gets();
    rows.push(("all without empty receives".to_owned(), without));
    rows
}

fn prices_json(prices: &Prices) -> Value {
    let rows = price_rows(prices).into_iter();
    rows.filter(|(_, count)| *count > 0)
        .map(|(name, count)| (name, Value::from(count)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// The rows that are not zero everywhere; all columns have the same names.
fn price_table(columns: &[Vec<(String, f64)>], decimals: usize) -> String {
    let Some(first) = columns.first() else {
        return String::new();
    };
    let lines = first.iter().enumerate().filter_map(|(index, (name, _))| {
        let counts: Vec<f64> = columns.iter().map(|column| column[index].1).collect();
        let is_used = counts.iter().any(|count| *count > 0.0);
        let cells = counts.iter().map(|count| format!("{count:.decimals$}"));
        is_used.then(|| row(&format!("  {name}"), cells))
    });
    lines.collect()
}

fn row(name: &str, cells: impl IntoIterator<Item = String>) -> String {
    let cells = cells.into_iter().map(|cell| format!("{cell:>CELL_WIDTH$}"));
    let cells: Vec<String> = cells.collect();
    format!("{name:<NAME_WIDTH$}{}\n", cells.concat())
}

fn optional(number: Option<f64>) -> String {
    number.map_or_else(|| "–".to_owned(), |number| format!("{number:.2}"))
}

fn millis(time: Duration) -> String {
    format!("{:.2}", as_ms(time))
}

fn as_ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

#[allow(
    clippy::cast_precision_loss,
    reason = "counts of calls stay far below 2^53"
)]
fn float(count: u64) -> f64 {
    count as f64
}
