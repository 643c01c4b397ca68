//! Orchestrators as trees of durable calls, interpreted directly against `Replay`.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::replay::{
    CallSite, ContinueOptions, Finish, LongTimer, Replay, Step, SubOrchestrationCall, TaskId,
    TaskOutcome, WaitId,
};
use crate::{FailureDetails, OrchestrationInstance};

/// A piece of an orchestrator. Every piece yields a text; sequences and sets join them.
#[derive(Debug, Clone)]
pub(crate) enum Plan {
    Call(&'static str),
    Child(&'static str),
    Forget(&'static str),
    Timer(u64),
    /// A timer in parts, as a long delay needs.
    Long(u64),
    Event(&'static str),
    Send(&'static str, &'static str),
    /// Everything buffered.
    TakeEvents,
    Status(&'static str),
    Now,
    Guid,
    Random,
    Input,
    /// Asks to continue as new with this input.
    Continue(&'static str),
    /// Continues as new while the input is a number below this one, counting up.
    CountTo(u32),
    Fail(&'static str),
    /// A text for a failed piece, instead of failing.
    Catch(Box<Plan>),
    Seq(Vec<Plan>),
    All(Vec<Plan>),
    /// The first to end; the others are dropped.
    Race(Vec<Plan>),
    /// Only started, then dropped.
    Drop(Box<Plan>),
}

type Outcome = Result<String, String>;

/// User code while it is polled.
pub(crate) struct Context {
    pub(crate) replay: Replay,
    answers: BTreeMap<TaskId, TaskOutcome>,
}

enum Node {
    Done(Option<Outcome>),
    Task(TaskId),
    Timer(TaskId),
    Long(LongTimer, TaskId),
    Wait(WaitId),
    Seq(std::vec::IntoIter<Plan>, Box<Node>, Vec<String>),
    All(Vec<(Node, Option<Outcome>)>),
    Race(Vec<Node>),
    Catch(Box<Node>),
}

#[track_caller]
fn here() -> CallSite {
    std::panic::Location::caller()
}

fn done(text: impl Into<String>) -> Node {
    Node::Done(Some(Ok(text.into())))
}

impl Node {
    fn start(plan: Plan, context: &mut Context) -> Self {
        let replay = &mut context.replay;
        match plan {
            Plan::Catch(plan) => Self::Catch(Box::new(Self::start(*plan, context))),
            Plan::Seq(plans) => Self::Seq(plans.into_iter(), Box::new(done("")), Vec::new()),
            Plan::All(plans) => {
                let nodes = plans.into_iter();
                Self::All(
                    nodes
                        .map(|plan| (Self::start(plan, context), None))
                        .collect(),
                )
            }
            Plan::Race(plans) => Self::Race(
                plans
                    .into_iter()
                    .map(|plan| Self::start(plan, context))
                    .collect(),
            ),
            Plan::Drop(plan) => {
                Self::start(*plan, context).abandon(context);
                done("")
            }
            plan => Self::call(&plan, replay),
        }
    }

    fn call(plan: &Plan, replay: &mut Replay) -> Self {
        match *plan {
            Plan::Call(name) => Self::Task(replay.schedule_task(
                name,
                Some(""),
                Some("[null]".into()),
                None,
                here(),
            )),
            Plan::Child(name) | Plan::Forget(name) => {
                let forget = matches!(plan, Plan::Forget(_));
                let call = SubOrchestrationCall {
                    name: name.into(),
                    input: Some("7".into()),
                    fire_and_forget: forget,
                    ..SubOrchestrationCall::default()
                };
                let task = replay.create_sub_orchestration(call, here());
                if forget { done("") } else { Self::Task(task) }
            }
            Plan::Timer(seconds) => {
                let due = replay.now().saturating_add(Duration::from_secs(seconds));
                Self::Timer(replay.create_timer(due, here()))
            }
            Plan::Long(seconds) => {
                let due = replay.now().saturating_add(Duration::from_secs(seconds));
                let mut long = LongTimer::new(replay.flavour(), due);
                let first = long.next(replay.now()).unwrap();
                Self::Long(long, replay.create_timer(first, here()))
            }
            Plan::Event(name) => Self::Wait(replay.wait_event(name, here())),
            Plan::Send(target, name) => {
                let target = OrchestrationInstance::current(target);
                replay.send_event(target, name, Some("1".into()), here());
                done("")
            }
            _ => Self::Done(Some(Self::immediate(plan, replay))),
        }
    }

    /// Pieces that never wait.
    fn immediate(plan: &Plan, replay: &mut Replay) -> Outcome {
        Ok(match *plan {
            Plan::TakeEvents => {
                let taken = replay.take_events().into_iter();
                let texts: Vec<_> = taken
                    .map(|event| event.input.unwrap_or(event.name))
                    .collect();
                texts.join("+")
            }
            Plan::Status(status) => {
                replay.set_custom_status(Some(status.into()));
                String::new()
            }
            Plan::Now => replay.now().to_string(),
            Plan::Guid => replay.new_guid().to_string(),
            Plan::Random => replay.random().to_string(),
            Plan::Continue(input) => {
                replay.continue_as_new(Some(input.into()), ContinueOptions::default());
                String::new()
            }
            Plan::CountTo(limit) => {
                let count: u32 = input(replay).parse().unwrap_or(0);
                if count < limit {
                    let next = (count + 1).to_string();
                    replay.continue_as_new(Some(next), ContinueOptions::default());
                }
                count.to_string()
            }
            Plan::Fail(message) => return Err(message.into()),
            _ => input(replay),
        })
    }

    fn poll(&mut self, context: &mut Context) -> Option<Outcome> {
        match self {
            Self::Done(outcome) => outcome.take(),
            Self::Task(task) | Self::Timer(task) => context.answers.remove(task).map(told),
            Self::Long(long, task) => {
                context.answers.remove(task)?;
                let due = long.next(context.replay.now());
                match due {
                    None => Some(Ok("fired".into())),
                    Some(due) => {
                        *task = context.replay.create_timer(due, here());
                        None
                    }
                }
            }
            Self::Wait(wait) => {
                let event = context.replay.take_event(*wait)?;
                Some(Ok(event.unwrap_or_default()))
            }
            Self::Seq(rest, current, texts) => loop {
                match current.poll(context)? {
                    Err(failure) => return Some(Err(failure)),
                    Ok(text) => texts.push(text),
                }
                match rest.next() {
                    Some(plan) => **current = Self::start(plan, context),
                    None => return Some(Ok(join(texts))),
                }
            },
            Self::All(nodes) => {
                for (node, outcome) in nodes.iter_mut().filter(|(_, outcome)| outcome.is_none()) {
                    *outcome = node.poll(context);
                }
                let outcomes: Option<Vec<_>> = nodes.iter().map(|(_, end)| end.clone()).collect();
                Some(
                    outcomes?
                        .into_iter()
                        .collect::<Result<Vec<_>, _>>()
                        .map(|texts| join(&texts)),
                )
            }
            Self::Race(nodes) => {
                let ended = nodes.iter_mut().find_map(|node| node.poll(context))?;
                for node in nodes.drain(..) {
                    node.abandon(context);
                }
                Some(ended)
            }
            Self::Catch(node) => {
                let outcome = node.poll(context)?;
                Some(Ok(
                    outcome.unwrap_or_else(|failure| format!("caught {failure}"))
                ))
            }
        }
    }

    /// What dropping a future does.
    fn abandon(self, context: &mut Context) {
        match self {
            Self::Done(_) | Self::Task(_) => {}
            Self::Timer(timer) | Self::Long(_, timer) => context.replay.cancel_timer(timer),
            Self::Wait(wait) => context.replay.cancel_wait(wait),
            Self::Seq(_, node, _) | Self::Catch(node) => node.abandon(context),
            Self::All(nodes) => nodes
                .into_iter()
                .for_each(|(node, _)| node.abandon(context)),
            Self::Race(nodes) => nodes.into_iter().for_each(|node| node.abandon(context)),
        }
    }
}

fn join(texts: &[String]) -> String {
    let told: Vec<_> = texts
        .iter()
        .map(String::as_str)
        .filter(|text| !text.is_empty())
        .collect();
    told.join(",")
}

fn told(outcome: TaskOutcome) -> Outcome {
    match outcome {
        TaskOutcome::Completed(result) => Ok(result.unwrap_or_default()),
        TaskOutcome::Fired => Ok("fired".into()),
        TaskOutcome::Failed(failure) => Err(failure.reason.unwrap_or_default()),
    }
}

fn input(replay: &Replay) -> String {
    replay
        .started()
        .and_then(|start| start.input.clone())
        .unwrap_or_default()
}

/// An orchestrator in memory.
pub(crate) struct Script {
    pub(crate) context: Context,
    plan: Plan,
    root: Option<Node>,
    /// Every step with its time and replay flag.
    pub(crate) steps: Vec<(Step, bool)>,
}

impl Script {
    pub(crate) fn new(plan: Plan, replay: Replay) -> Self {
        Self {
            context: Context {
                replay,
                answers: BTreeMap::new(),
            },
            plan,
            root: None,
            steps: Vec::new(),
        }
    }

    /// Runs until all pushed events are taken up.
    pub(crate) fn run(&mut self) {
        while let Some(step) = self.context.replay.next_step() {
            self.steps
                .push((step.clone(), self.context.replay.is_replaying()));
            match step {
                Step::Start => {
                    let plan = Plan::Seq(vec![self.plan.clone()]);
                    self.root = Some(Node::start(plan, &mut self.context));
                }
                Step::Resolved { task, outcome } => {
                    self.context.answers.insert(task, outcome);
                }
                Step::Event { .. } => {}
            }
            if let Some(root) = &mut self.root
                && let Some(outcome) = root.poll(&mut self.context)
            {
                self.root.take().unwrap().abandon(&mut self.context);
                self.context.replay.finish(match outcome {
                    Ok(output) => Finish::Completed(Some(output)),
                    Err(message) => Finish::Failed {
                        failure: FailureDetails::new("Test", &message),
                        message,
                        is_bare: false,
                        details: None,
                    },
                });
            }
        }
    }
}
