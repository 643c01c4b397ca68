//! User code as data: orchestrators as lists of steps, activities that are counted.

use std::collections::BTreeMap;
use std::panic::Location;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use durabletask_core::replay::{
    ContinueOptions, Finish, Replay, ReplayOptions, Step, SubOrchestrationCall, TaskId,
    TaskOutcome, WaitId,
};
use durabletask_core::{
    ActivityExecutor, ActivityOutcome, ActivityWork, BoxFuture, EpisodeResult, EpisodeWork,
    ExecutorError, FailureDetails, OrchestrationExecutor, OrchestrationInstance, OrchestrationRun,
};
use durabletask_storage::Env;

/// A step of an orchestrator. Its output joins what the steps yield.
#[derive(Debug, Clone)]
pub(crate) enum Do {
    /// Calls an activity once for each argument, all at the same time.
    Calls(&'static str, Vec<String>),
    /// Waits for a timer of that many seconds.
    Timer(u64),
    /// Waits for an event of that name and yields it.
    Event(&'static str),
    /// Runs a child and yields its output.
    Child(&'static str, String),
    /// Sends an event to another instance.
    Send(String, &'static str, String),
    /// Continues as new with the input counted up while it is below this.
    CountTo(u32),
    /// Yields the input.
    Input,
    /// Yields this many characters of that text over and over.
    Repeat(&'static str, usize),
    /// Sets the custom status.
    Status(&'static str),
    /// The episode is refused.
    Abort,
    /// The executor panics.
    Panic,
}

pub(crate) fn call(activity: &'static str, argument: &str) -> Do {
    Do::Calls(activity, vec![argument.to_owned()])
}

/// Orchestrators by name.
#[derive(Default)]
pub(crate) struct Scripts(BTreeMap<&'static str, Vec<Do>>);

impl Scripts {
    pub(crate) fn with(mut self, name: &'static str, steps: Vec<Do>) -> Self {
        self.0.insert(name, steps);
        self
    }
}

impl OrchestrationExecutor for Scripts {
    fn open(&self, name: &str, _: Option<&str>) -> Option<Box<dyn OrchestrationRun>> {
        let steps = self.0.get(name)?.clone();
        Some(Box::new(ScriptRun {
            steps,
            replay: None,
            at: 0,
            waiting: Waiting::Nothing,
            answers: BTreeMap::new(),
            output: Vec::new(),
        }))
    }

    fn names(&self) -> Vec<String> {
        self.0.keys().map(|name| (*name).to_owned()).collect()
    }
}

enum Waiting {
    Nothing,
    Tasks(Vec<TaskId>),
    Event(WaitId),
    Ended,
}

struct ScriptRun {
    steps: Vec<Do>,
    replay: Option<Replay>,
    at: usize,
    waiting: Waiting,
    answers: BTreeMap<TaskId, TaskOutcome>,
    output: Vec<String>,
}

impl OrchestrationRun for ScriptRun {
    fn execute(
        &mut self,
        work: EpisodeWork,
    ) -> BoxFuture<'_, Result<EpisodeResult, ExecutorError>> {
        let result = self.episode(work);
        Box::pin(async { result })
    }

    fn held_bytes(&self) -> usize {
        256
    }
}

impl ScriptRun {
    fn episode(&mut self, work: EpisodeWork) -> Result<EpisodeResult, ExecutorError> {
        let mut replay = self
            .replay
            .take()
            .unwrap_or_else(|| Replay::new(work.instance.clone(), ReplayOptions::default()));
        for event in work.past {
            replay.push(event, true);
        }
        for event in work.new {
            replay.push(event, false);
        }
        while let Some(step) = replay.next_step() {
            match step {
                Step::Resolved { task, outcome } => drop(self.answers.insert(task, outcome)),
                Step::Start | Step::Event { .. } => {}
            }
            self.go_on(&mut replay)?;
        }
        let result = replay.decide();
        self.replay = Some(replay);
        Ok(result)
    }

    fn go_on(&mut self, replay: &mut Replay) -> Result<(), ExecutorError> {
        loop {
            match &self.waiting {
                Waiting::Ended => return Ok(()),
                Waiting::Nothing => {}
                Waiting::Tasks(tasks) => {
                    if !tasks.iter().all(|task| self.answers.contains_key(task)) {
                        return Ok(());
                    }
                    for task in tasks.clone() {
                        let text = match self.answers.remove(&task) {
                            Some(TaskOutcome::Completed(text)) => text.unwrap_or_default(),
                            Some(TaskOutcome::Failed(failure)) => {
                                format!("!{}", failure.reason.unwrap_or_default())
                            }
                            Some(TaskOutcome::Fired) | None => "fired".to_owned(),
                        };
                        self.output.push(text);
                    }
                }
                Waiting::Event(wait) => match replay.take_event(*wait) {
                    None => return Ok(()),
                    Some(input) => self.output.push(input.unwrap_or_default()),
                },
            }
            let Some(step) = self.steps.get(self.at).cloned() else {
                self.waiting = Waiting::Ended;
                replay.finish(Finish::Completed(Some(self.output.join(","))));
                return Ok(());
            };
            self.at += 1;
            self.waiting = self.begin(step, replay)?;
        }
    }

    fn begin(&mut self, step: Do, replay: &mut Replay) -> Result<Waiting, ExecutorError> {
        let here = Location::caller();
        let input = replay
            .started()
            .and_then(|started| started.input.clone())
            .unwrap_or_default();
        Ok(match step {
            Do::Calls(name, arguments) => {
                let call =
                    |argument| replay.schedule_task(name, Some(""), Some(argument), None, here);
                Waiting::Tasks(arguments.into_iter().map(call).collect())
            }
            Do::Timer(seconds) => {
                let due = replay.now().saturating_add(Duration::from_secs(seconds));
                Waiting::Tasks(vec![replay.create_timer(due, here)])
            }
            Do::Event(name) => Waiting::Event(replay.wait_event(name, here)),
            Do::Child(name, input) => {
                let call = SubOrchestrationCall {
                    name: name.to_owned(),
                    input: Some(input),
                    ..SubOrchestrationCall::default()
                };
                Waiting::Tasks(vec![replay.create_sub_orchestration(call, here)])
            }
            Do::Send(target, name, payload) => {
                let target = OrchestrationInstance::current(target);
                replay.send_event(target, name, Some(payload), here);
                Waiting::Nothing
            }
            Do::CountTo(limit) => {
                let count: u32 = input.parse().unwrap_or(0);
                if count < limit {
                    let next = Some((count + 1).to_string());
                    replay.continue_as_new(next, ContinueOptions::default());
                }
                Waiting::Nothing
            }
            Do::Input => {
                self.output.push(input);
                Waiting::Nothing
            }
            Do::Repeat(text, count) => {
                self.output.push(text.chars().cycle().take(count).collect());
                Waiting::Nothing
            }
            Do::Status(status) => {
                replay.set_custom_status(Some(status.to_owned()));
                Waiting::Nothing
            }
            Do::Abort => return Err(ExecutorError::Aborted("as the script wants it".into())),
            Do::Panic => panic!("as the script wants it"),
        })
    }
}

/// Activities `Hello` (greets), `Sleep` (that many seconds), `Large` (returns that many
/// characters) and `Fail`. All are counted.
#[derive(Clone)]
pub(crate) struct Activities {
    /// Names that a worker is given when it starts: all of these, unless a test says otherwise.
    pub(crate) names: &'static [&'static str],
    env: Env,
    /// Runs by name and argument.
    pub(crate) runs: Arc<Mutex<BTreeMap<String, usize>>>,
    /// Runs under way, and the most there ever were.
    pub(crate) busy: Arc<Mutex<(usize, usize)>>,
}

impl Activities {
    pub(crate) fn new(env: &Env) -> Self {
        Self {
            names: &["Fail", "Hello", "Large", "Sleep"],
            env: env.clone(),
            runs: Arc::default(),
            busy: Arc::default(),
        }
    }
}

impl ActivityExecutor for Activities {
    fn knows(&self, name: &str) -> bool {
        self.names.contains(&name)
    }

    fn names(&self) -> Vec<String> {
        self.names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn run(
        &self,
        work: ActivityWork,
    ) -> BoxFuture<'static, Result<ActivityOutcome, ExecutorError>> {
        let this = self.clone();
        Box::pin(async move {
            let argument = work.input.unwrap_or_default();
            let key = format!("{}({argument})", work.name);
            *this.runs.lock().unwrap().entry(key).or_default() += 1;
            {
                let mut busy = this.busy.lock().unwrap();
                busy.0 += 1;
                busy.1 = busy.1.max(busy.0);
            }
            let number = argument.parse().unwrap_or(0);
            let outcome = match work.name.as_str() {
                "Hello" => ActivityOutcome::Completed(Some(format!("Hello {argument}!"))),
                "Large" => ActivityOutcome::Completed(Some("世".repeat(number))),
                "Sleep" => {
                    let pause = Duration::from_secs(u64::try_from(number).unwrap());
                    this.env.sleep(pause).await;
                    ActivityOutcome::Completed(Some(argument))
                }
                _ => ActivityOutcome::Failed(FailureDetails::new("Test", "as it wants")),
            };
            this.busy.lock().unwrap().0 -= 1;
            Ok(outcome)
        })
    }
}
