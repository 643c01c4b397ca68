//! Every history that .NET recorded, replayed through our twins: at each of its episodes they
//! decide what .NET decided, and the rows that we would write are the rows that it wrote.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on should stop here"
)]

#[path = "../../../provider/tests/wire/golden.rs"]
mod golden;
mod histories;
mod rows;

use std::collections::BTreeSet;
use std::sync::Arc;

use azurite_tests::{catalogue, extension};
use durabletask_core::episode::{
    Begun, Episode, EpisodeOptions, ErrorMode, Next, RuntimeState, Stamps,
};
use durabletask_core::{
    EventKind, HistoryEvent, OrchestrationExecutor, OrchestrationRun, TaskMessage, Timestamp,
};
use histories::History;
use rows::assert_same_rows;

/// Orchestrations whose twins come with entities.
const NOT_YET: [&str; 3] = ["EntityCalls", "EntityProxy", "TallyCalls"];

#[tokio::test]
async fn our_twins_write_what_dotnet_wrote() {
    let worker = catalogue::worker().unwrap();
    // Made of the others, or without a recording.
    let unrecorded = ["FailingParent", "FragileParent", "Mailbox", "Sender"];
    let is_core = |scenario: &str| !scenario.starts_with("ext-");
    replay(&*worker.registry(), is_core, &unrecorded).await;
}

#[tokio::test]
async fn our_twins_write_what_the_functions_extension_wrote() {
    let is_extension = |scenario: &str| scenario.starts_with("ext-");
    let worker = extension::builder().build().unwrap();
    replay(&*worker.registry(), is_extension, &[]).await;
}

/// Replays all histories of the scenarios that are wanted, and checks that each twin was needed.
async fn replay(
    registry: &dyn OrchestrationExecutor,
    is_wanted: impl Fn(&str) -> bool,
    unrecorded: &[&str],
) {
    let mut replayed = BTreeSet::new();
    for scenario in golden::hubs().into_iter().filter(|name| is_wanted(name)) {
        for history in histories::of(&scenario) {
            if history.is_of_entity() || NOT_YET.contains(&history.name()) {
                continue;
            }
            let options = options(&scenario, &history);
            let replay = Replay {
                registry,
                history: &history,
                options,
            };
            assert!(replay.whole().await > 0, "{history}: nothing to replay");
            replayed.insert(history.name().to_owned());
        }
    }
    let names = registry.names().into_iter();
    let recorded = names.filter(|name| !unrecorded.contains(&&**name));
    assert_eq!(replayed, recorded.collect());
}

/// The settings of a recording.
fn options(scenario: &str, history: &History) -> EpisodeOptions {
    EpisodeOptions {
        child_version: "".into(),
        keeps_duplicates: false,
        include_parameters: history.keeps_inputs(),
        error_mode: match scenario {
            "fails-exceptions" => ErrorMode::Exceptions,
            _ if history.is_of_extension() => ErrorMode::Exceptions,
            _ => ErrorMode::FailureDetails,
        },
    }
}

/// One history under our engine.
struct Replay<'a> {
    registry: &'a dyn OrchestrationExecutor,
    history: &'a History,
    options: EpisodeOptions,
}

impl Replay<'_> {
    /// Replays each episode over what was before it, by a run that sees all of history anew and
    /// by one that is kept from episode to episode, and counts them.
    async fn whole(&self) -> usize {
        let mut kept = Some(self.open());
        let mut replayed = 0;
        for range in self.history.episodes() {
            let (past, recorded) = (&self.history.events[..range.start], &range);
            if !self.history.is_whole(recorded.clone()) {
                // Laid down or edited by hand: nothing to compare with, but it is history.
                kept = None;
                continue;
            }
            let fresh = self.episode(past, recorded.clone(), None).await;
            assert_same_rows(self.history, recorded.clone(), fresh.state().new_events());
            if let Some(run) = kept.as_mut() {
                let resumed = self.episode(past, recorded.clone(), Some(run)).await;
                assert_same_rows(self.history, recorded.clone(), resumed.state().new_events());
            }
            replayed += 1;
        }
        replayed
    }

    fn open(&self) -> Box<dyn OrchestrationRun> {
        let run = self.registry.open(self.history.name(), None);
        run.unwrap_or_else(|| panic!("{}: no twin", self.history))
    }

    /// Runs one episode over the messages that the recorded one was made of.
    async fn episode(
        &self,
        past: &[Arc<HistoryEvent>],
        recorded: std::ops::Range<usize>,
        kept: Option<&mut Box<dyn OrchestrationRun>>,
    ) -> Episode {
        let state = RuntimeState::load(past.iter().cloned(), None);
        let mut stamps = Recorded(self.history.events[recorded.start].timestamp);
        let messages = self.history.messages(recorded);
        let begun = Episode::begin(state, messages, &self.options, &mut stamps);
        let Begun::Run(mut episode) = begun else {
            panic!("{}: no episode: {begun:?}", self.history);
        };
        let result = match kept {
            Some(run) => run.execute(episode.resume_work()).await,
            None => self.open().execute(episode.work()).await,
        };
        let next = episode.apply(result.unwrap(), &mut stamps);
        assert_eq!(next, Next::Done, "{}: it continues as new", self.history);
        *episode
    }
}

/// Gives out the time of the recorded episode first, and then a tick more each time.
struct Recorded(Timestamp);

impl Stamps for Recorded {
    fn now(&mut self) -> Timestamp {
        let now = self.0;
        self.0 = Timestamp::from_ticks(now.ticks() + 1);
        now
    }
}

impl History {
    /// The messages that became the inbound events of an episode.
    fn messages(&self, episode: std::ops::Range<usize>) -> Vec<TaskMessage> {
        let events = self.events[episode].iter();
        let inbound = events.filter(|event| {
            let is_frame = matches!(
                event.kind,
                EventKind::OrchestratorStarted | EventKind::OrchestratorCompleted
            );
            event.event_id < 0 && !is_frame
        });
        inbound
            .map(|event| TaskMessage {
                event: HistoryEvent {
                    is_played: false,
                    ..(**event).clone()
                },
                target: self.instance().clone(),
                orchestration_tags: None,
            })
            .collect()
    }
}
