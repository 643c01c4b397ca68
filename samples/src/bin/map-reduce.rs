//! Map-reduce: one sub-orchestration counts the words of each text, their parent adds them up.
//!
//! `cargo run -p samples --bin map-reduce -- --texts 6`

use std::collections::BTreeMap;
use std::process::ExitCode;

use durabletask_worker::prelude::*;
use samples::Flag;

const FLAGS: [Flag; 1] = [Flag::value("--texts", "N", "how many texts to count (3)")];

const TEXTS: [&str; 3] = [
    "the quick brown fox\njumps over the lazy dog",
    "the early bird\ncatches the worm",
    "let sleeping dogs lie\nthe dog said",
];

type Counts = BTreeMap<String, u32>;

#[orchestrator]
async fn count_all(ctx: OrchestrationContext, texts: Vec<String>) -> Result<Counts> {
    let children = texts.iter().map(|text| ctx.call_child(count_text, text));
    let counts = ctx.try_join_all(children).await?;
    Ok(sum(counts))
}

#[orchestrator]
async fn count_text(ctx: OrchestrationContext, text: String) -> Result<Counts> {
    let lines = text.lines().map(|line| ctx.call(count_line, line));
    let counts = ctx.try_join_all(lines).await?;
    Ok(sum(counts))
}

#[activity]
async fn count_line(_: ActivityContext, line: String) -> Result<Counts> {
    println!("  counting {line:?}");
    samples::work().await;
    let words = line.split_whitespace();
    Ok(sum(words.map(|word| Counts::from([(word.to_owned(), 1)]))))
}

fn sum(all: impl IntoIterator<Item = Counts>) -> Counts {
    let mut total = Counts::new();
    for (word, count) in all.into_iter().flatten() {
        *total.entry(word).or_default() += count;
    }
    total
}

#[tokio::main]
async fn main() -> ExitCode {
    let worker = Worker::builder()
        .orchestrator(count_all)
        .orchestrator(count_text)
        .activity(count_line)
        .build();
    samples::run(&FLAGS, worker, async |sample| {
        let count = sample.flags().number("--texts", 3)?;
        let texts = TEXTS.iter().cycle().zip(0..count);
        let texts: Vec<String> = texts.map(|(text, _)| (*text).to_owned()).collect();
        let id = sample.start(count_all, texts).await?;
        let counts: Counts = sample.output(&id).await?;
        let mut counts: Vec<_> = counts.into_iter().collect();
        counts.sort_by_key(|(word, count)| (std::cmp::Reverse(*count), word.clone()));
        for (word, count) in counts.iter().take(3) {
            println!("{count} × {word}");
        }
        Ok(())
    })
    .await
}
