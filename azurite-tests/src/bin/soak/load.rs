//! The mixed load: what is started, and what has to come of it.

use std::collections::BTreeMap;
use std::time::Duration;

use azurite_tests::Dice;
use durabletask_azurestorage::{HubClient, StartOptions, TaskHubError};
use serde_json::json;

/// Longest time between the start of `Notes` and an event for it, in milliseconds.
const MAX_EVENT_DELAY_MS: usize = 6_000;
/// What the three events say: no other three of them have the same sum.
const RAISED_NOTES: [u64; 2] = [1, 20];
const RELAYED_NOTE: u64 = 300;
/// What `BigData` adds to its input.
const BIG_CHARS: usize = 100_000;

/// An orchestration to start, and the output that it must have.
struct Plan {
    name: &'static str,
    input: String,
    output: String,
}

/// An event under way.
struct Event {
    due: Duration,
    instance_id: String,
    note: u64,
}

/// What was started so far.
pub(crate) struct Load {
    client: HubClient,
    dice: Dice,
    /// Expected outputs by instance id.
    started: BTreeMap<String, String>,
    events: Vec<Event>,
}

impl Load {
    pub(crate) fn new(client: HubClient, dice: Dice) -> Self {
        Self {
            client,
            dice,
            started: BTreeMap::new(),
            events: Vec::new(),
        }
    }

    /// Expected outputs by instance id.
    pub(crate) fn started(&self) -> &BTreeMap<String, String> {
        &self.started
    }

    /// Starts one instance of a random kind; `now` is monotonic.
    pub(crate) async fn start_one(&mut self, now: Duration) -> Result<(), TaskHubError> {
        let number = self.started.len();
        let plan = self.plan();
        let id = format!("{}-{number:05}", plan.name.to_lowercase());
        if plan.name == "Notes" {
            for note in RAISED_NOTES {
                let delay = self.dice.below(MAX_EVENT_DELAY_MS);
                self.events.push(Event {
                    due: now + Duration::from_millis(u64::try_from(delay).unwrap_or(0)),
                    instance_id: id.clone(),
                    note,
                });
            }
        }
        let is_notes = plan.name == "Notes";
        self.start(&id, plan).await?;
        if is_notes {
            let relay = Plan {
                name: "Relay",
                input: json!([id, RELAYED_NOTE - 1]).to_string(),
                output: RELAYED_NOTE.to_string(),
            };
            self.start(&format!("relay-{number:05}"), relay).await?;
        }
        Ok(())
    }

    async fn start(&mut self, id: &str, plan: Plan) -> Result<(), TaskHubError> {
        let options = StartOptions {
            instance_id: Some(id.to_owned()),
            ..StartOptions::default()
        };
        self.client
            .start(plan.name, Some(plan.input), options)
            .await?;
        self.started.insert(id.to_owned(), plan.output);
        Ok(())
    }

    /// Raises the events whose time has come; all of them with [`Duration::MAX`].
    pub(crate) async fn raise_due(&mut self, now: Duration) -> Result<(), TaskHubError> {
        while let Some(at) = self.events.iter().position(|event| event.due <= now) {
            let event = self.events.swap_remove(at);
            let note = Some(event.note.to_string());
            self.client
                .raise_event(&event.instance_id, "Note", note)
                .await?;
        }
        Ok(())
    }

    fn plan(&mut self) -> Plan {
        let size = self.dice.below(10);
        let plan = |name, input: String, output: String| Plan {
            name,
            input,
            output,
        };
        let text = |text: &str| json!(text).to_string();
        let sum_of_squares = |below: usize| (0..below).map(|n| n * n).sum::<usize>();
        match self.dice.below(9) {
            0 | 1 => plan("Steps", (size + 1).to_string(), (size + 1).to_string()),
            2 => plan(
                "Squares",
                (size + 5).to_string(),
                sum_of_squares(size + 5).to_string(),
            ),
            3 => plan("Timer", size.to_string(), text("fired")),
            4 => {
                let sum = RAISED_NOTES.iter().sum::<u64>() + RELAYED_NOTE;
                plan("Notes", "null".to_owned(), sum.to_string())
            }
            5 => plan("Parent", text("x"), text("Hello one!,Hello two!")),
            // Three rounds, and the last one is doubled.
            6 => plan("Eternal", "0".to_owned(), "6".to_owned()),
            7 => plan("Unsteady", "null".to_owned(), text("heads")),
            _ => {
                let output = "b".to_owned() + &"x".repeat(BIG_CHARS);
                plan("BigData", text("b"), text(&output))
            }
        }
    }
}
