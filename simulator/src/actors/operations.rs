//! Operations on instances that run: suspend, resume, terminate, purge and start again, large
//! values, tags.

use std::time::Duration;

use durabletask_azurestorage::StartOptions;
use durabletask_core::{OrchestrationStatus, Tags};
use futures::future::join;

use super::{Actor, Adrift, MAX_REWINDS};
use crate::client::{Answer, Order, Start};
use crate::program::{FIRST_LARGE_EVENT, Program, Step};

/// Characters of a large value, at most: beyond what a message and a row's column hold.
const MAX_LARGE_CHARS: u64 = 80_000;
/// Why instances are terminated.
const WHY: &str = "enough";
/// The last event of instances that are suspended or terminated.
const LAST_EVENT: u32 = 900;
/// Looks at an instance that may have been suspended once more, at most.
const MAX_LOOKS: u32 = 60;
/// Pause before each of them.
const LOOK_PAUSE: Duration = Duration::from_secs(60);

impl Actor {
    /// One operation on an instance that runs.
    pub(super) async fn operates(&mut self) {
        match self.dice.below(8) {
            0 | 1 => {
                let program = self.large_program();
                self.runs(program).await;
            }
            2 => {
                let program = self.large_program();
                self.recreates(program).await;
            }
            3 => self.suspends().await,
            4 => self.terminates().await,
            5 => self.tags().await,
            6 => self.rewinds_amid().await,
            _ => self.purges_in_a_race().await,
        }
    }

    /// A program with values that fit neither message nor row.
    fn large_program(&mut self) -> Program {
        let mut program = Program::random(&mut self.dice, 1);
        for _ in 0..=self.dice.below(2) {
            let chars = u32::try_from(self.dice.below(MAX_LARGE_CHARS)).unwrap_or(0);
            let step = match self.dice.below(3) {
                0 => Step::Event(FIRST_LARGE_EVENT + chars),
                1 => Step::Large(chars),
                _ => Step::Children(vec![vec![Step::Large(chars)]]),
            };
            let at = self.dice.below(program.steps.len() as u64 + 1);
            let at = usize::try_from(at).unwrap_or(0);
            program.steps.insert(at, step);
        }
        program
    }

    fn program_that_waits(&mut self) -> Program {
        let mut program = Program::random(&mut self.dice, 1);
        program.steps.push(Step::Event(LAST_EVENT));
        program
    }

    /// Stands still for a while, whatever comes, and goes on, or is terminated there.
    async fn suspends(&mut self) {
        let program = self.program_that_waits();
        if !self.starts(&Start::program(&program)).await {
            return;
        }
        self.pause(10_000).await;
        self.client.tell(&self.id, Order::Suspend).await;
        if self.dice.below(4) == 0 {
            self.client.tell(&self.id, Order::Terminate(WHY)).await;
            return self.ends_terminated().await;
        }
        for event in program.events() {
            self.client.raise(&self.id, event).await;
        }
        self.pause(60_000).await;
        let status = self.client.status(&self.id).await;
        let has_ended = status.is_some_and(|status| status.runtime_status.is_terminal());
        // With faults, the event may have overtaken the order.
        if has_ended && !self.world.faults.has_struck() {
            let what = format!("{} ended while it was suspended", self.id);
            self.world.trace.violation(what);
        }
        self.resumes().await;
        self.client.completed(&self.id, &program).await;
    }

    /// Lets an instance go on, again if an order to stand still comes late or twice.
    async fn resumes(&mut self) {
        self.client.tell(&self.id, Order::Resume).await;
        for _ in 0..MAX_LOOKS {
            self.world.env.sleep(LOOK_PAUSE).await;
            let status = self.client.status(&self.id).await;
            match status.map(|status| status.runtime_status) {
                Some(OrchestrationStatus::Suspended) => {
                    self.client.tell(&self.id, Order::Resume).await;
                }
                Some(status) if !status.is_terminal() => {}
                _ => return,
            }
        }
    }

    /// Ends what waits for ever, perhaps before it has begun.
    async fn terminates(&mut self) {
        let program = self.program_that_waits();
        if !self.starts(&Start::program(&program)).await {
            return;
        }
        if self.dice.below(3) != 0 {
            self.pause(20_000).await;
        }
        self.client.tell(&self.id, Order::Terminate(WHY)).await;
        self.ends_terminated().await;
    }

    async fn ends_terminated(&mut self) {
        let Some(status) = self.client.ended(&self.id).await else {
            return;
        };
        let output = status.output.as_deref();
        if status.runtime_status != OrchestrationStatus::Terminated || output != Some(WHY) {
            let (id, is) = (&self.id, status.runtime_status);
            let what = format!("{id} is {is} with {output:?}, not Terminated with {WHY}");
            self.world.trace.violation(what);
        }
    }

    /// Fails while other tasks run, whose answers come before the rewind or after it.
    async fn rewinds_amid(&mut self) {
        let gate = format!("g{}", self.id);
        let work = (0..3).map(|_| u32::try_from(self.dice.below(1_000)).unwrap_or(0));
        let work: Vec<u32> = work.collect();
        let step = if self.dice.below(2) == 0 {
            Step::GateAmid(gate.clone(), work, 5)
        } else {
            let others = vec![Step::Calls(work), Step::Timer(5)];
            Step::Children(vec![vec![Step::Gate(gate.clone())], others])
        };
        let program = Program::new(vec![step]);
        if !self.starts(&Start::program(&program)).await {
            return;
        }
        let Some(status) = self.client.ended(&self.id).await else {
            return;
        };
        if status.runtime_status != OrchestrationStatus::Failed {
            let what = format!("{} is {}, not Failed", self.id, status.runtime_status);
            self.world.trace.violation(what);
            return;
        }
        self.pause(90_000).await;
        self.gate.open(&gate);
        self.rewinds_until_it_runs(&program, MAX_REWINDS).await;
    }

    /// Tags reach the row, through continue-as-new, too.
    async fn tags(&mut self) {
        let program = Program::random(&mut self.dice, 1);
        let mut tags = Tags::new();
        tags.insert("who", self.id.clone());
        let options = StartOptions {
            tags: Some(tags.clone()),
            ..StartOptions::default()
        };
        let start = Start {
            options,
            ..Start::program(&program)
        };
        if !self.starts(&start).await {
            return;
        }
        self.goes_on(&program).await;
        let status = self.client.status(&self.id).await;
        let stored = status.and_then(|status| status.tags);
        if stored.as_ref() != Some(&tags) {
            let what = format!("{} has the tags {stored:?}, not {tags:?}", self.id);
            self.world.trace.violation(what);
        }
    }

    /// One client purges what another starts again.
    async fn purges_in_a_race(&mut self) {
        let program = Program::random(&mut self.dice, 1);
        self.runs(program).await;
        if !self.adrift.is_empty() {
            return;
        }
        self.settles().await;
        let mut next = Program::random(&mut self.dice, 1);
        next.steps.retain(|step| !matches!(step, Step::Event(_)));
        let start = Start::program(&next);
        let late = Duration::from_millis(self.dice.below(200));
        let (purged, started) = join(self.client.purge(&self.id), async {
            self.world.env.sleep(late).await;
            self.rival.start(&self.id, &start).await
        })
        .await;
        if matches!(purged, Answer::GivenUp) {
            self.adrift.push(Adrift::Purged(self.id.clone()));
        } else if matches!(started, Answer::GivenUp) {
            self.adrift.push(Adrift::Started(self.id.clone()));
        } else if self.client.status(&self.id).await.is_some() {
            // Else a purge that was repeated has found the new one at its end already.
            self.client.completed(&self.id, &next).await;
        }
    }
}
