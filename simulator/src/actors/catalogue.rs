//! The catalogue's orchestrations, and what must become of them.

use durabletask_core::OrchestrationStatus;

use super::{Actor, Adrift};
use crate::client::{Answer, Start, short};
use crate::notes::Notes;

/// Characters of a large input, at most.
const MAX_LARGE_CHARS: u64 = 60_000;
/// What the catalogue's `BigData` adds to its input.
const BIG_DATA_CHARS: usize = 100_000;
/// Calls that the catalogue's `Flaky` lets fail, plus one.
const FIRST_GOOD_CALL: u64 = 3;
/// Rewinds of `FragileParent`: two, and those for failures that were sent twice.
const MAX_REWINDS: usize = 8;
/// Length of a timer that still waits when its instance has long ended, in seconds.
const DAYS_SECONDS: u64 = 5 * 86_400;

/// How an orchestration must end.
#[derive(Debug)]
enum End {
    /// With one of these outputs, JSON.
    Output(Vec<String>),
    /// With a number that is not smaller.
    AtLeast(u64),
    /// In failure, with these words.
    Failed(&'static str),
}

impl End {
    fn is(&self, status: OrchestrationStatus, output: &str) -> bool {
        match (self, status) {
            (Self::Output(allowed), OrchestrationStatus::Completed) => {
                allowed.iter().any(|one| one == output)
            }
            (Self::AtLeast(least), OrchestrationStatus::Completed) => {
                output.parse::<u64>().is_ok_and(|number| number >= *least)
            }
            (Self::Failed(words), OrchestrationStatus::Failed) => output.contains(words),
            _ => false,
        }
    }
}

fn output(json: impl Into<String>) -> End {
    End::Output(vec![json.into()])
}

/// Text as JSON.
fn text(content: impl AsRef<str>) -> String {
    format!("\"{}\"", content.as_ref())
}

fn greetings(cities: &[&str]) -> End {
    let all: Vec<_> = cities
        .iter()
        .map(|city| text(format!("Hello {city}!")))
        .collect();
    output(format!("[{}]", all.join(",")))
}

impl Actor {
    /// One orchestration of the catalogue, or one whose notes are counted.
    pub(super) async fn acts_from_catalogue(&mut self) {
        match self.dice.below(8) {
            0..=3 => self.runs_alone().await,
            4 => self.answers_an_approval().await,
            5 => self.sends_notes().await,
            6 => self.mends_what_is_fragile().await,
            _ => self.disturbs_what_is_eternal().await,
        }
    }

    /// Something that needs nobody.
    async fn runs_alone(&mut self) {
        let (name, input, end) = self.draw_alone();
        if self.starts(&Start::of(name, Some(input))).await {
            self.ends(name, &end).await;
        }
    }

    fn draw_alone(&mut self) -> (&'static str, String, End) {
        let count = self.dice.below(25);
        match self.dice.below(13) {
            0 => (
                "HelloSequence",
                text(""),
                greetings(&["Tokyo", "Seattle", "London"]),
            ),
            1 => (
                "HelloSequence5",
                text(""),
                greetings(&["Tokyo", "Seattle", "London", "Amsterdam", "Seoul"]),
            ),
            2 => {
                let sum = count * count.saturating_sub(1);
                ("FanOut", count.to_string(), output(sum.to_string()))
            }
            3 => ("Parent", text(""), output(text("Hello one!,Hello two!"))),
            4 => ("Failing", text("boom"), End::Failed("boom")),
            5 => ("FailingParent", text(""), End::Failed("sub")),
            6 => ("Catching", text(""), output(text("handled: caught"))),
            7 => ("Timer", count.to_string(), output(text("fired"))),
            8 => ("EventOrTimeout", count.to_string(), output(text("timeout"))),
            9 => {
                let chars = self.dice.below(MAX_LARGE_CHARS);
                let input = "i".repeat(usize::try_from(chars).unwrap_or(0));
                let end = output(text(format!("{input}{}", "x".repeat(BIG_DATA_CHARS))));
                ("BigData", text(input), end)
            }
            10 => ("Retrying", text(&self.id), End::AtLeast(FIRST_GOOD_CALL)),
            11 => ("RetryingSub", text(&self.id), End::AtLeast(FIRST_GOOD_CALL)),
            _ => ("Status", text(""), output(text("done"))),
        }
    }

    /// Waits for the end and looks at it.
    async fn ends(&mut self, name: &str, end: &End) {
        let Some(status) = self.client.ended(&self.id).await else {
            return;
        };
        let said = status.output.unwrap_or_default();
        let last = status.custom_status.as_deref();
        // A custom status is in no history: what the last commit had not yet written of it is lost
        // with the worker, as with .NET.
        let is_told = name != "Status"
            || self.world.faults.has_struck()
            || last.is_some_and(|last| last.contains("second"));
        if !end.is(status.runtime_status, &said) || !is_told {
            let (id, is) = (&self.id, status.runtime_status);
            let (said, end) = (short(said), short(format!("{end:?}")));
            let what = format!("{name} {id} is {is} with {said} and {last:?}, not {end}");
            self.world.trace.violation(what);
        }
    }

    /// An approval that comes in time, from a client or from another instance, while a timer of
    /// days waits; or about when time runs out.
    async fn answers_an_approval(&mut self) {
        let by_instance = self.dice.below(3) == 0;
        let is_tight = self.dice.below(3) == 0;
        let seconds = if is_tight { 20 } else { DAYS_SECONDS };
        let start = Start::of("EventOrTimeout", Some(seconds.to_string()));
        if !self.starts(&start).await {
            return;
        }
        self.pause(30_000).await;
        let mut outputs = if by_instance {
            let id = format!("{}-sender", self.id);
            let start = Start::of("Sender", Some(text(&self.id)));
            // Somebody has to send it.
            while let Answer::GivenUp = self.client.start(&id, &start).await {}
            self.client.ended(&id).await;
            vec![text("from orchestrator")]
        } else {
            let name = "aPPROVAL";
            self.client.raise_named(&self.id, name, text("yes")).await;
            vec![text("yes")]
        };
        if is_tight {
            outputs.push(text("timeout"));
        }
        self.ends("EventOrTimeout", &End::Output(outputs)).await;
    }

    /// Notes of which none may get lost, over several executions or in one.
    async fn sends_notes(&mut self) {
        let notes = Notes::random(&mut self.dice);
        if !self.starts(&Start::of("Notes", notes.to_input())).await {
            return;
        }
        for n in 0..notes.wanted {
            if self.dice.below(2) == 0 {
                self.pause(15_000).await;
            }
            let payload = n.to_string();
            self.client.raise_named(&self.id, "Note", payload).await;
        }
        let Some(status) = self.client.ended(&self.id).await else {
            return;
        };
        if let Some(fault) = notes.fault_of(&status, self.world.faults.may_double()) {
            let what = format!("{}: {fault}", self.id);
            self.world.trace.violation(what);
        }
    }

    /// `FragileParent` fails twice, and is rewound each time.
    async fn mends_what_is_fragile(&mut self) {
        let start = Start::of("FragileParent", Some(text(&self.id)));
        if !self.starts(&start).await {
            return;
        }
        for _ in 0..MAX_REWINDS {
            let Some(status) = self.client.ended(&self.id).await else {
                return;
            };
            if status.runtime_status != OrchestrationStatus::Failed {
                break;
            }
            if let Answer::GivenUp = self.client.rewind(&self.id).await {
                self.adrift.push(Adrift::Rewound(self.id.clone()));
                return;
            }
        }
        let calls = FIRST_GOOD_CALL..FIRST_GOOD_CALL + 9;
        let outputs = calls.map(|call| text(format!("Hello before!{call}")));
        let end = End::Output(outputs.collect());
        self.ends("FragileParent", &end).await;
    }

    /// `Eternal` does not mind events that it did not ask for.
    async fn disturbs_what_is_eternal(&mut self) {
        if !self
            .starts(&Start::of("Eternal", Some("0".to_owned())))
            .await
        {
            return;
        }
        for _ in 0..self.dice.below(4) {
            self.pause(3_000).await;
            let payload = text("nothing");
            self.client.raise_named(&self.id, "Noise", payload).await;
        }
        self.ends("Eternal", &output("6")).await;
    }
}
