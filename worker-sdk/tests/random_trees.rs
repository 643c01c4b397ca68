//! Random trees of durable calls: a run kept in memory and a fresh one that replays history
//! decide the same in every episode, and so does a replay of any cut of the history.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod support;

use std::time::Duration;

use durabletask_core::{Action, BoxFuture, Command, EventKind, TaskFailed};
use durabletask_worker::prelude::*;
use futures::FutureExt as _;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use support::{Driver, Session, completed, fired, raised};

/// What an orchestrator does.
#[derive(Debug, Clone, Serialize, Deserialize)]
enum Tree {
    Call(u8),
    Child(u8),
    /// Called again when it fails, so many times at most.
    Retried(u8, u32),
    RetriedChild(u8, u32),
    Timer(u32),
    Event(u8),
    EventOrTimeout(u8, u32),
    /// Made now, awaited by nobody.
    Forgotten(Box<Tree>),
    Sequence(Vec<Tree>),
    Join(Vec<Tree>),
    Race(Vec<Tree>),
    Select(Box<Tree>, Box<Tree>),
}

fn trees() -> impl Strategy<Value = Tree> {
    let days = 0..20 * 86_400_u32;
    let leaf = prop_oneof![
        4 => (0..4_u8).prop_map(Tree::Call),
        1 => (0..4_u8).prop_map(Tree::Child),
        2 => (0..4_u8, 1..4_u32).prop_map(|(name, times)| Tree::Retried(name, times)),
        1 => (0..4_u8, 1..4_u32).prop_map(|(name, times)| Tree::RetriedChild(name, times)),
        2 => days.clone().prop_map(Tree::Timer),
        2 => (0..3_u8).prop_map(Tree::Event),
        2 => (0..3_u8, days).prop_map(|(name, limit)| Tree::EventOrTimeout(name, limit)),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        let some = prop::collection::vec(inner.clone(), 1..5);
        // Long enough that joins take the path for many.
        let many = prop::collection::vec(inner.clone(), 31..40);
        prop_oneof![
            2 => inner.clone().prop_map(|tree| Tree::Forgotten(Box::new(tree))),
            4 => some.clone().prop_map(Tree::Sequence),
            4 => some.clone().prop_map(Tree::Join),
            1 => many.prop_map(Tree::Join),
            4 => some.prop_map(Tree::Race),
            4 => (inner.clone(), inner).prop_map(|(a, b)| Tree::Select(Box::new(a), Box::new(b))),
        ]
    })
}

/// Runs a tree; says what it saw, which goes into what it does next.
fn grow(ctx: OrchestrationContext, tree: Tree, seen: String) -> BoxFuture<'static, String> {
    match tree {
        Tree::Call(n) => {
            let call = ctx.call_by_name::<String>(&format!("A{n}"), &seen);
            call.map(Result::unwrap_or_default).boxed()
        }
        Tree::Child(n) => {
            let options = ChildOptions::new();
            let call = ctx.call_child_by_name::<String>(&format!("O{n}"), &seen, options);
            call.map(Result::unwrap_or_default).boxed()
        }
        Tree::Retried(n, times) => {
            let options = CallOptions::new().retry(policy(times));
            let call = ctx.call_by_name_with::<String>(&format!("A{n}"), &seen, options);
            call.map(|result| format!("{result:?}")).boxed()
        }
        Tree::RetriedChild(n, times) => {
            let options = ChildOptions::new().retry(policy(times));
            let call = ctx.call_child_by_name::<String>(&format!("O{n}"), &seen, options);
            call.map(|result| format!("{result:?}")).boxed()
        }
        Tree::Timer(seconds) => ctx
            .timer(Duration::from_secs(seconds.into()))
            .map(|()| "fired".to_owned())
            .boxed(),
        Tree::Event(n) => ctx
            .wait_event::<String>(&format!("E{n}"))
            .map(Result::unwrap_or_default)
            .boxed(),
        Tree::EventOrTimeout(n, limit) => {
            let limit = Duration::from_secs(limit.into());
            let wait = ctx.wait_event_timeout::<String>(&format!("E{n}"), limit);
            wait.map(|event| format!("{event:?}")).boxed()
        }
        Tree::Forgotten(tree) => {
            drop(grow(ctx.clone(), *tree, seen));
            async move { ctx.new_guid().to_string() }.boxed()
        }
        Tree::Sequence(trees) => async move {
            let mut seen = seen;
            for tree in trees {
                let saw = grow(ctx.clone(), tree, seen.clone()).await;
                seen = digest(&[seen, saw]);
            }
            seen
        }
        .boxed(),
        Tree::Join(trees) => {
            let branches = branches(&ctx, trees, &seen);
            ctx.join_all(branches).map(|all| digest(&all)).boxed()
        }
        Tree::Race(trees) => {
            let branches = branches(&ctx, trees, &seen);
            ctx.race(branches).map(|won| format!("{won:?}")).boxed()
        }
        Tree::Select(a, b) => {
            let a = grow(ctx.clone(), *a, seen.clone());
            let b = grow(ctx.clone(), *b, seen);
            ctx.select(a, b).map(|won| format!("{won:?}")).boxed()
        }
    }
}

fn policy(times: u32) -> RetryPolicy {
    RetryPolicy::new(times, Duration::from_secs(60)).only_if(|failure| failure.message() != "no")
}

/// Half of them make their first call now, the others when they are polled.
fn branches(
    ctx: &OrchestrationContext,
    trees: Vec<Tree>,
    seen: &str,
) -> Vec<BoxFuture<'static, String>> {
    let branch = |(index, tree): (usize, Tree)| {
        let (ctx, seen) = (ctx.clone(), format!("{index}{seen}"));
        if index % 2 == 0 {
            grow(ctx, tree, seen)
        } else {
            async move { grow(ctx, tree, seen).await }.boxed()
        }
    };
    trees.into_iter().enumerate().map(branch).collect()
}

fn digest(texts: &[String]) -> String {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};
    let mut hasher = DefaultHasher::new();
    texts.hash(&mut hasher);
    hasher.finish().to_string()
}

#[orchestrator]
async fn tree(ctx: OrchestrationContext, (tree, again): (Tree, bool)) -> Result<String> {
    ctx.set_custom_status("growing")?;
    let grown = grow(ctx.clone(), tree, String::new()).await;
    if again {
        return ctx.continue_as_new(grown);
    }
    Ok(grown)
}

/// Whether a decision is answered.
fn is_task(command: &Command) -> bool {
    !matches!(
        command.action,
        Action::SendEvent { .. } | Action::Complete(_)
    )
}

/// What answers a decision: a third of the tasks fail, some of them for good.
fn answer(command: &Command, pick: usize) -> EventKind {
    let id = command.id;
    let is_child = matches!(command.action, Action::CreateSubOrchestration { .. });
    let message = match pick % 6 {
        _ if matches!(command.action, Action::CreateTimer { .. }) => return fired(id),
        0 => "later",
        1 => "no",
        _ if is_child => {
            return EventKind::SubOrchestrationCompleted {
                task_scheduled_id: id,
                result: Some(format!("\"c{id}\"")),
            };
        }
        _ => return completed(id, &format!("\"r{id}\"")),
    };
    let failed = Box::new(TaskFailed {
        task_scheduled_id: id,
        reason: Some(message.to_owned()),
        ..TaskFailed::default()
    });
    if is_child {
        EventKind::SubOrchestrationFailed(failed)
    } else {
        EventKind::TaskFailed(failed)
    }
}

/// A replay of the history up to any row decides nothing else than was decided, and nothing that
/// the rows up to there hold already.
fn check_cuts(driver: &Driver, cuts: &[usize]) -> Result<(), TestCaseError> {
    for cut in cuts {
        let rows = &driver.history[..cut % (driver.history.len() + 1)];
        let recorded: Vec<i32> = rows.iter().map(|row| row.event_id).collect();
        for command in driver.decided_over(rows) {
            prop_assert!(!recorded.contains(&command.id), "{command:?} once more");
            let decided = driver.commands.iter().find(|other| other.id == command.id);
            prop_assert_eq!(
                Some(without_carryover(&command)),
                decided.map(without_carryover)
            );
        }
    }
    Ok(())
}

/// What travels along depends on what had arrived.
fn without_carryover(command: &Command) -> Command {
    let mut command = command.clone();
    if let Action::Complete(end) = &mut command.action {
        end.carryover.clear();
    }
    command
}

proptest! {
    #[test]
    fn kept_and_replayed_runs_decide_alike(
        grown in trees(),
        again: bool,
        choices in prop::collection::vec((any::<usize>(), 0..4_usize, 0..6_u8), 1..120),
        cuts in prop::collection::vec(any::<usize>(), 12),
    ) {
        let mut driver = Driver::new(tree, Session::Kept);
        let input = serde_json::to_string(&(grown, again)).unwrap();
        let mut open: Vec<Command> = Vec::new();
        let mut batch = vec![driver.started(&input)];
        let mut choices = choices.into_iter();
        loop {
            let replayed = driver.replayed(batch.clone());
            let kept = driver.episode(std::mem::take(&mut batch)).unwrap();
            prop_assert_eq!(&kept, &replayed.commands);
            prop_assert_eq!(&driver.custom_status, &replayed.custom_status);
            open.extend(kept.into_iter().filter(is_task));
            if driver.completion.is_some() {
                break;
            }
            let Some((pick, count, event)) = choices.next() else {
                break;
            };
            for _ in 0..count.min(open.len()) {
                let task = open.swap_remove(pick % open.len());
                batch.push(answer(&task, pick / 7));
            }
            if event < 3 {
                batch.push(raised(&format!("E{event}"), &format!("\"e{pick}\"")));
            }
            // An orchestrator in between may be given time, and that is all.
            driver.now = driver.now.saturating_add(Duration::from_secs(3 * 86_400));
        }
        check_cuts(&driver, &cuts)?;
    }
}
