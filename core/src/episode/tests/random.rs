//! Random programs with answers in random order, cut at random rows.

use std::collections::BTreeMap;

use crate::episode::Outbound;
use crate::harness::{Hub, Plan, replay, start_event};
use crate::{Action, EpisodeWork, EventKind, TaskMessage};

/// A small generator; the seed is all a failure needs.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % limit.max(1)
    }

    fn plans(&mut self, depth: usize) -> Vec<Plan> {
        (0..=self.below(3)).map(|_| self.plan(depth)).collect()
    }

    fn plan(&mut self, depth: usize) -> Plan {
        match self.below(if depth == 0 { 11 } else { 16 }) {
            0..=2 => Plan::Call("a"),
            3 => Plan::Timer(5),
            4 => Plan::Child("c"),
            5 | 6 => Plan::Event(["x", "y"][self.below(2)]),
            7 => Plan::Send("other", "m"),
            8 => Plan::Forget("f"),
            9 => Plan::TakeEvents,
            10 => Plan::Drop(Box::new(Plan::Call("d"))),
            11 | 12 => Plan::Seq(self.plans(depth - 1)),
            13 | 14 => Plan::All(self.plans(depth - 1)),
            _ => Plan::Race(self.plans(depth - 1)),
        }
    }
}

/// A world around one instance: answers what it sends, in random order.
struct World {
    hub: Hub,
    random: Random,
    /// Messages on their way to the instance.
    queue: Vec<TaskMessage>,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let body = Plan::Seq(random.plans(3));
        let plan = if random.below(3) == 0 {
            Plan::Seq(vec![body, Plan::CountTo(2)])
        } else {
            body
        };
        let mut hub = Hub::new(plan);
        let start = hub.start_message(start_event(None, "0"));
        Self {
            hub,
            random,
            queue: vec![start],
        }
    }

    fn answer(&mut self, sent: Outbound) {
        let (kind, target) = match sent {
            Outbound::Timer(message) => {
                self.queue.push(message);
                return;
            }
            Outbound::Activity(message) => (
                EventKind::TaskCompleted {
                    task_scheduled_id: message.event.event_id,
                    result: Some(format!("a{}", message.event.event_id)),
                },
                message.target,
            ),
            Outbound::ToInstance(message) => {
                let Some(parent) = message
                    .event
                    .as_started()
                    .and_then(|start| start.parent.clone())
                else {
                    return;
                };
                let kind = EventKind::SubOrchestrationCompleted {
                    task_scheduled_id: parent.task_schedule_id,
                    result: Some(format!("c{}", parent.task_schedule_id)),
                };
                (kind, parent.instance)
            }
        };
        let answer = self.hub.addressed(kind, target);
        self.queue.push(answer);
    }

    fn batch(&mut self) -> Vec<TaskMessage> {
        let count = 1 + self.random.below(3);
        let mut batch = Vec::new();
        while batch.len() < count && !self.queue.is_empty() {
            let position = self.random.below(self.queue.len());
            batch.push(self.queue.swap_remove(position));
        }
        if batch.is_empty() || self.random.below(4) == 0 {
            let name = ["x", "y"][self.random.below(2)];
            batch.push(self.hub.event(name, name));
        }
        match self.random.below(12) {
            0 => batch.push(self.hub.suspend()),
            1 | 2 => batch.push(self.hub.resume()),
            _ => {}
        }
        batch
    }

    /// Delivers a batch, sometimes with a crash that leaves a part of the rows.
    fn step(&mut self, crashes: bool) {
        let batch = self.batch();
        let before = self.hub.state.events().len();
        let execution = self.hub.current();
        if self.hub.try_deliver(batch.clone()).is_err() {
            return;
        }
        let same = self.hub.current() == execution;
        for sent in std::mem::take(&mut self.hub.sent) {
            self.answer(sent);
        }
        let after = self.hub.state.events().len();
        if crashes && same && after > before && self.random.below(3) == 0 {
            let cut = before + self.random.below(after - before + 1);
            self.hub.reload(cut);
            // The batch comes back, without the events that history already holds.
            let again = batch.into_iter().filter(|m| {
                let answers = m.event.answered_task().is_some();
                answers || !self.hub.state.holds_same_event(&m.event)
            });
            self.queue.extend(again);
        } else if self.random.below(4) == 0 {
            self.hub.reload(after);
        }
    }

    fn ended(&self) -> bool {
        self.hub.state.completed().is_some()
    }

    fn run(seed: u64, crashes: bool) -> Self {
        let mut world = Self::new(seed);
        for _ in 0..400 {
            if world.ended() {
                break;
            }
            world.step(crashes);
        }
        // Whatever is suspended goes on, and events that nobody sent come.
        for _ in 0..400 {
            if world.ended() {
                break;
            }
            let wake = [
                world.hub.resume(),
                world.hub.event("x", "x"),
                world.hub.event("y", "y"),
            ];
            world.queue.extend(wake);
            world.step(false);
        }
        world
    }
}

#[test]
fn random_programs_end_whatever_the_order_and_the_crashes() {
    for seed in 1..=400 {
        for crashes in [false, true] {
            let world = World::run(seed, crashes);
            assert!(
                world.ended(),
                "seed {seed}: {:#?}\n{:#?}",
                world.hub.plan,
                world.hub.history()
            );
            let status = world.hub.state.status();
            let text = world.hub.output().unwrap_or_default();
            assert_eq!(
                status,
                crate::OrchestrationStatus::Completed,
                "seed {seed}: {text}"
            );
        }
    }
}

#[test]
fn every_cut_of_a_history_replays_to_the_same_decisions() {
    for seed in 1..=150 {
        let world = World::run(seed, true);
        let rows = world.hub.state.events();
        let mut whole = BTreeMap::new();
        for cut in 0..=rows.len() {
            // However history is split into what was acted on and what is new, the decisions
            // that have no rows yet are the same, and agree with those made later.
            let decide = |past: usize| {
                let work = EpisodeWork {
                    instance: world.hub.current(),
                    past: rows[..past].to_vec(),
                    new: rows[past..cut].to_vec(),
                };
                let (script, result) = replay(&world.hub.plan, work);
                assert_eq!(
                    script.context.replay.non_determinism(),
                    None,
                    "seed {seed} cut {cut}"
                );
                result.commands
            };
            let commands = decide(cut);
            assert_eq!(commands, decide(cut / 2), "seed {seed} cut {cut}");
            for command in commands {
                if !matches!(command.action, Action::Complete(_)) {
                    let known = whole
                        .entry(command.id)
                        .or_insert_with(|| command.action.clone());
                    assert_eq!(*known, command.action, "seed {seed} cut {cut}");
                }
            }
        }
    }
}
