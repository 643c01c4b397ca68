//! What clients do in a run.

mod catalogue;
mod operations;

use std::sync::Arc;
use std::time::Duration;

use durabletask_azurestorage::hub::HubSettings;
use durabletask_core::OrchestrationStatus;
use futures::future::{BoxFuture, join, join_all};

use crate::client::{Answer, Client, Start};
use crate::crew::skew_ms;
use crate::dice::Dice;
use crate::network::World;
use crate::plot::Plot;
use crate::program::{Gate, Program, Step};

/// Instances of one run, at most.
const MAX_ACTORS: u64 = 6;
/// Longest time before an actor begins, in milliseconds.
const MAX_LATENESS_MS: u64 = 120_000;

/// Rewinds of one instance, at most, where one is not enough.
const MAX_REWINDS: u32 = 5;

/// One client with one instance.
struct Actor {
    world: Arc<World>,
    plot: Plot,
    client: Client,
    /// For races.
    rival: Client,
    gate: Gate,
    dice: Dice,
    id: String,
    adrift: Vec<Adrift>,
}

/// What a client left half done and nobody looks after.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Adrift {
    /// An instance that perhaps was started, and perhaps waits for events that nobody sends.
    Started(String),
    /// An instance that is perhaps purged in part.
    Purged(String),
    /// An instance that is perhaps rewound in part, and perhaps fails again.
    Rewound(String),
}

/// Lets all actors of the seed act, until they are through; what they left behind.
pub(crate) async fn act(
    world: &Arc<World>,
    settings: &HubSettings,
    gate: &Gate,
    seed: u64,
) -> Vec<Adrift> {
    let plot = Plot::of(seed);
    let count = 1 + Dice::of(seed, "actors", 0).below(MAX_ACTORS);
    let actors = (0..count).map(|n| {
        let mut dice = Dice::of(seed, "actor", n);
        let mut client = |kind: &str| {
            let skew = skew_ms(&mut dice);
            let deaths = || Dice::of(seed, &format!("deaths of {kind}"), n);
            let deaths = (plot == Plot::Everything).then(deaths);
            Client::new(world, settings, &format!("{kind}{n}"), skew, deaths)
        };
        let actor = Actor {
            world: world.clone(),
            plot,
            client: client("c"),
            rival: client("r"),
            gate: gate.clone(),
            id: format!("i{n}"),
            dice,
            adrift: Vec::new(),
        };
        actor.act()
    });
    join_all(actors).await.into_iter().flatten().collect()
}

impl Actor {
    async fn act(mut self) -> Vec<Adrift> {
        let kind = self.dice.below(8);
        self.pause(MAX_LATENESS_MS).await;
        if self.plot == Plot::Everything && self.dice.below(3) != 0 {
            self.acts_otherwise().await;
            return self.adrift;
        }
        let program = Program::random(&mut self.dice, 1);
        let doing: BoxFuture<'_, ()> = match kind {
            0..=2 => Box::pin(self.runs(program)),
            3 => Box::pin(self.raises_at_once(program)),
            4 => Box::pin(self.races(program)),
            5 => Box::pin(self.recreates(program)),
            6 => Box::pin(self.rewinds(program)),
            _ => Box::pin(self.repeats(program)),
        };
        doing.await;
        self.adrift
    }

    /// What the catalogue and the operations have; each of both as often.
    async fn acts_otherwise(&mut self) {
        if self.dice.below(2) == 0 {
            self.acts_from_catalogue().await;
        } else {
            self.operates().await;
        }
    }

    /// Starts something; false if nobody knows whether it runs.
    async fn starts(&mut self, start: &Start) -> bool {
        let answer = self.client.start(&self.id, start).await;
        let is_given_up = matches!(answer, Answer::GivenUp);
        if is_given_up {
            self.adrift.push(Adrift::Started(self.id.clone()));
        }
        !is_given_up
    }

    async fn pause(&mut self, limit_ms: u64) {
        let pause = Duration::from_millis(self.dice.below(limit_ms));
        self.world.env.sleep(pause).await;
    }

    /// Raises its events in the course of time.
    async fn runs(&mut self, program: Program) {
        if self.starts(&Start::program(&program)).await {
            self.goes_on(&program).await;
        }
    }

    async fn goes_on(&mut self, program: &Program) {
        for event in program.events() {
            self.pause(20_000).await;
            self.client.raise(&self.id, event).await;
        }
        self.client.completed(&self.id, program).await;
    }

    /// Raises its events right after it started it.
    async fn raises_at_once(&mut self, program: Program) {
        if !self.starts(&Start::program(&program)).await {
            return;
        }
        for event in program.events() {
            self.client.raise(&self.id, event).await;
        }
        self.client.completed(&self.id, &program).await;
    }

    /// Two clients want the same id for different programs, without events.
    async fn races(&mut self, program: Program) {
        let without_events = |mut program: Program| {
            program.steps.retain(|step| !matches!(step, Step::Event(_)));
            program
        };
        let mine = without_events(program);
        let other = without_events(Program::random(&mut self.dice, 1));
        let late = Duration::from_millis(self.dice.below(300));
        let (starts, others) = (Start::program(&mine), Start::program(&other));
        let answers = join(self.client.start(&self.id, &starts), async {
            self.world.env.sleep(late).await;
            self.rival.start(&self.id, &others).await
        })
        .await;
        if matches!(answers, (Answer::GivenUp, Answer::GivenUp)) {
            self.adrift.push(Adrift::Started(self.id.clone()));
            return;
        }
        let Some(status) = self.client.ended(&self.id).await else {
            return;
        };
        let output = status.output.unwrap_or_default();
        let expected = [&mine, &other].map(|p| serde_json::to_string(&p.expected()).ok());
        if !expected.contains(&Some(output.clone())) {
            let id = &self.id;
            let what = format!("{id} ended with {output}, neither of {expected:?}");
            self.world.trace.violation(what);
        }
    }

    /// Lets what is under way to an instance land before it is purged: nothing of it is left then
    /// by whose version an insert that lands late could be refused.
    async fn settles(&self) {
        let pause = Duration::from_millis(MAX_LATENESS_MS);
        self.world.env.sleep(pause).await;
    }

    /// Purges what it ran and runs another program under the same id.
    async fn recreates(&mut self, program: Program) {
        self.runs(program).await;
        if !self.adrift.is_empty() {
            return;
        }
        self.settles().await;
        if let Answer::GivenUp = self.client.purge(&self.id).await {
            self.adrift.push(Adrift::Purged(self.id.clone()));
            return;
        }
        self.pause(2_000).await;
        let next = Program::random(&mut self.dice, 1);
        self.runs(next).await;
    }

    /// Runs another program under the same id without a purge.
    async fn repeats(&mut self, program: Program) {
        self.runs(program).await;
        if !self.adrift.is_empty() {
            return;
        }
        let next = Program::random(&mut self.dice, 1);
        self.runs(next).await;
    }

    /// Runs into a failure, removes its cause, and rewinds.
    async fn rewinds(&mut self, mut program: Program) {
        let gate = format!("g{}", self.id);
        program.steps.push(Step::Gate(gate.clone()));
        if !self.starts(&Start::program(&program)).await {
            return;
        }
        for event in program.events() {
            self.client.raise(&self.id, event).await;
        }
        let Some(status) = self.client.ended(&self.id).await else {
            return;
        };
        if status.runtime_status != OrchestrationStatus::Failed {
            let what = format!("{} is {}, not Failed", self.id, status.runtime_status);
            self.world.trace.violation(what);
            return;
        }
        self.gate.open(&gate);
        // A second failure of a task that the first commit of a generation asked for cannot be told
        // from one of the second run (see ARCHITECTURE.md).
        let rewinds = if program.steps.contains(&Step::Anew) {
            MAX_REWINDS
        } else {
            1
        };
        self.rewinds_until_it_runs(&program, rewinds).await;
    }

    /// Rewinds an instance, so often at most, and waits for its end.
    async fn rewinds_until_it_runs(&mut self, program: &Program, rewinds: u32) {
        for _ in 0..rewinds {
            if let Answer::GivenUp = self.client.rewind(&self.id).await {
                self.adrift.push(Adrift::Rewound(self.id.clone()));
                return;
            }
            let status = self.client.ended(&self.id).await;
            if status.is_none_or(|s| s.runtime_status != OrchestrationStatus::Failed) {
                break;
            }
        }
        self.client.completed(&self.id, program).await;
    }
}
