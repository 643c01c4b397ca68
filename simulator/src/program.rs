//! Random orchestrations, and what they must yield.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use durabletask_storage::Env;
use durabletask_worker::prelude::*;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};

use crate::dice::Dice;

/// A step of a program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Step {
    /// Calls these activities at the same time.
    Calls(Vec<u32>),
    /// Waits so many seconds.
    Timer(u32),
    /// Waits for the event of that number.
    Event(u32),
    /// Runs these programs as children at the same time.
    Children(Vec<Vec<Step>>),
    /// Calls an activity that fails until the gate of that name is opened.
    Gate(String),
    /// The same while activities run and a timer of so many seconds waits.
    GateAmid(String, Vec<u32>, u32),
    /// Sends the event of that number to this instance itself, and waits for it.
    Echo(u32),
    /// Calls an activity with a text of so many characters, which comes back.
    Large(u32),
    /// Goes on as a new execution.
    Anew,
}

/// A program, as far as it has come.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Program {
    /// What is left to do.
    pub(crate) steps: Vec<Step>,
    /// What was yielded.
    pub(crate) yielded: Vec<String>,
}

impl Program {
    /// A program that has yet to begin.
    pub(crate) fn new(steps: Vec<Step>) -> Self {
        Self {
            steps,
            yielded: Vec::new(),
        }
    }

    /// A random one, with at most so many levels of children below it.
    pub(crate) fn random(dice: &mut Dice, depth: u32) -> Self {
        let mut event = 0;
        Self::new(steps(dice, depth, &mut event))
    }

    /// As input of an orchestration.
    pub(crate) fn to_input(&self) -> Option<String> {
        serde_json::to_string(self).ok()
    }

    /// The events that it waits for and nobody but a client sends.
    pub(crate) fn events(&self) -> Vec<u32> {
        let event = |step: &Step| match step {
            Step::Event(n) => Some(*n),
            _ => None,
        };
        self.steps.iter().filter_map(event).collect()
    }

    /// What it yields in the end.
    pub(crate) fn expected(&self) -> Vec<String> {
        self.steps.iter().flat_map(expected_of).collect()
    }
}

fn steps(dice: &mut Dice, depth: u32, event: &mut u32) -> Vec<Step> {
    let count = 1 + dice.below(4);
    let is_root = depth > 0;
    let mut all = Vec::new();
    for _ in 0..count {
        all.push(match dice.below(10) {
            0..=2 => {
                let width = 1 + dice.below(4);
                Step::Calls((0..width).map(|_| small(dice)).collect())
            }
            3 => Step::Timer(1 + small(dice) % 60),
            4 | 5 if is_root => {
                *event += 1;
                Step::Event(*event)
            }
            6 | 7 if is_root => {
                let width = 1 + dice.below(3);
                let child = |_| steps(dice, 0, &mut 0);
                Step::Children((0..width).map(child).collect())
            }
            8 => Step::Anew,
            9 => {
                *event += 1;
                Step::Echo(*event)
            }
            _ => Step::Calls(vec![small(dice)]),
        });
    }
    all
}

fn small(dice: &mut Dice) -> u32 {
    u32::try_from(dice.below(1_000)).unwrap_or(0)
}

fn expected_of(step: &Step) -> Vec<String> {
    match step {
        Step::Calls(numbers) => numbers.iter().map(|n| format!("a{n}")).collect(),
        Step::Timer(seconds) => vec![format!("t{seconds}")],
        Step::Event(n) | Step::Echo(n) => vec![format!("e{n}")],
        Step::Children(children) => children
            .iter()
            .map(|steps| Program::new(steps.clone()).expected().join("+"))
            .collect(),
        Step::Gate(name) => vec![name.clone()],
        Step::GateAmid(name, numbers, _) => {
            let calls = numbers.iter().map(|n| format!("a{n}"));
            calls.chain([name.clone()]).collect()
        }
        Step::Large(chars) => vec![large_text(*chars)],
        Step::Anew => Vec::new(),
    }
}

/// Runs a program.
#[orchestrator(name = "Program")]
pub(crate) async fn program(
    ctx: OrchestrationContext,
    mut program: Program,
) -> Result<Vec<String>> {
    while !program.steps.is_empty() {
        let step = program.steps.remove(0);
        if step == Step::Anew {
            return ctx.continue_as_new(program);
        }
        program.yielded.extend(run(&ctx, step).await?);
    }
    Ok(program.yielded)
}

fn run(ctx: &OrchestrationContext, step: Step) -> BoxFuture<'_, Result<Vec<String>>> {
    async move {
        Ok(match step {
            Step::Calls(numbers) => {
                let calls = numbers
                    .iter()
                    .map(|n| ctx.call_by_name::<String>("Work", n));
                ctx.try_join_all(calls.collect::<Vec<_>>()).await?
            }
            Step::Timer(seconds) => {
                ctx.timer(Duration::from_secs(seconds.into())).await;
                vec![format!("t{seconds}")]
            }
            Step::Event(n) => {
                let payload: String = ctx.wait_event(&event_name(n)).await?;
                // Large events come with filling.
                vec![payload.chars().filter(|c| *c != FILLING).collect()]
            }
            Step::Echo(n) => {
                ctx.send_event(ctx.instance_id(), &event_name(n), format!("e{n}"))?;
                vec![ctx.wait_event::<String>(&event_name(n)).await?]
            }
            Step::Children(children) => {
                let child = |steps| ctx.call_child(program, Program::new(steps));
                let calls: Vec<_> = children.into_iter().map(child).collect();
                let yielded = ctx.try_join_all(calls).await?;
                yielded.into_iter().map(|one| one.join("+")).collect()
            }
            Step::Gate(name) => vec![ctx.call_by_name::<String>("Gate", name).await?],
            Step::GateAmid(name, numbers, seconds) => {
                let timer = ctx.timer(Duration::from_secs(seconds.into()));
                let calls = numbers
                    .iter()
                    .map(|n| ctx.call_by_name::<String>("Work", n));
                let gate = ctx.call_by_name::<String>("Gate", name);
                let all = calls.chain([gate]).collect::<Vec<_>>();
                let yielded = ctx.try_join_all(all).await?;
                timer.await;
                yielded
            }
            Step::Large(chars) => vec![ctx.call(repeat, large_text(chars)).await?],
            Step::Anew => Vec::new(),
        })
    }
    .boxed()
}

/// Name of the event of that number. Each is waited for once, so that an event that comes twice
/// does no harm.
pub(crate) fn event_name(n: u32) -> String {
    format!("E{n}")
}

/// What large events carry besides their name.
const FILLING: char = '.';
/// Events from that number on are large.
pub(crate) const FIRST_LARGE_EVENT: u32 = 1_000;

/// Payload of the event of that number.
pub(crate) fn payload_of(n: u32) -> String {
    let filling = if n < FIRST_LARGE_EVENT { 0 } else { n };
    let filling = FILLING.to_string().repeat(filling as usize);
    format!("e{n}{filling}")
}

/// So many characters, in `large_text` order.
fn large_text(chars: u32) -> String {
    "l".repeat(chars as usize)
}

/// Returns what it is given.
#[activity(name = "Repeat")]
pub(crate) async fn repeat(_: ActivityContext, text: String) -> Result<String> {
    Ok(text)
}

/// Takes up to two seconds, by its input.
#[derive(Debug, Clone)]
pub(crate) struct Work(pub Env);

impl Activity for Work {
    const NAME: &'static str = "Work";
    type Input = u32;
    type Output = String;

    async fn run(&self, _: ActivityContext, n: u32) -> Result<String> {
        // Some outlast visibility timeouts.
        let millis = if n % 50 == 7 {
            45_000
        } else {
            u64::from(n) * 2
        };
        self.0.sleep(Duration::from_millis(millis)).await;
        Ok(format!("a{n}"))
    }
}

/// Fails until its gate is open.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gate(Arc<Mutex<BTreeSet<String>>>);

impl Gate {
    /// Opens that gate.
    pub(crate) fn open(&self, name: &str) {
        let mut gates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        gates.insert(name.to_owned());
    }
}

impl Activity for Gate {
    const NAME: &'static str = "Gate";
    type Input = String;
    type Output = String;

    async fn run(&self, _: ActivityContext, name: String) -> Result<String> {
        let is_open = {
            let gates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            gates.contains(&name)
        };
        if is_open {
            Ok(name)
        } else {
            Err(Failure::new("Closed", name))
        }
    }
}
