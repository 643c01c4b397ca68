//! The tasks of a worker by name: what the provider runs.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use durabletask_core::replay::{Flavour, ReplayOptions};
use durabletask_core::{
    ActivityExecutor, ActivityOutcome, ActivityWork, BoxFuture, ExecutorError,
    OrchestrationExecutor, OrchestrationRun,
};

use durabletask_azurestorage::hub::HubSettings;
use durabletask_storage::Env;

use crate::activity::{RunActivity, run_of};
use crate::run::{Run, Start, start_of};
use crate::threads::Threads;
use crate::{Activity, Orchestrator};

/// Two tasks of one kind have the same name, and the same version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there are two {kind} named '{name}'")]
pub struct DuplicateName {
    /// `orchestrators` or `activities`.
    pub kind: &'static str,
    /// The name.
    pub name: String,
}

/// Orchestrators and activities by their names, compared exactly.
#[derive(Clone)]
pub struct Registry {
    /// By name, then by version.
    orchestrators: BTreeMap<String, BTreeMap<String, Start>>,
    activities: BTreeMap<String, RunActivity>,
    threads: Option<Arc<Threads>>,
    options: ReplayOptions,
    /// The clock of time limits.
    env: Env,
}

impl Default for Registry {
    fn default() -> Self {
        Self::new()
    }
}

impl Registry {
    /// Without tasks. Orchestrators are polled by whoever executes them, in line.
    pub fn new() -> Self {
        Self {
            orchestrators: BTreeMap::new(),
            activities: BTreeMap::new(),
            threads: None,
            options: ReplayOptions::default(),
            env: Env::system(),
        }
    }

    /// Takes the time of activities' limits from there.
    pub fn use_env(&mut self, env: Env) {
        self.env = env;
    }

    /// Polls orchestrators on plain threads from now on, outside of any tokio runtime.
    pub fn use_threads(&mut self) -> std::io::Result<()> {
        self.threads = Some(Arc::new(Threads::start()?));
        Ok(())
    }

    /// Lets orchestrators follow the habits of that flavour, whatever histories tell.
    pub fn use_flavour(&mut self, flavour: Flavour) {
        self.options.flavour = Some(flavour);
    }

    /// Follows the hub's settings where orchestrators depend on them.
    pub(crate) fn use_settings(&mut self, settings: &HubSettings) {
        self.options.http_poll_pause = settings.http_async_sleep;
    }

    /// Puts an activity in the place of whatever has its name.
    pub(crate) fn set_activity(&mut self, name: &str, activity: RunActivity) {
        self.activities.insert(name.to_owned(), activity);
    }

    /// Puts an orchestrator in the place of whatever has its name and version.
    pub(crate) fn set_orchestrator(&mut self, name: &str, version: &str, start: Start) {
        let versions = self.orchestrators.entry(name.to_owned()).or_default();
        versions.insert(version.to_owned(), start);
    }

    /// Adds an orchestrator.
    pub fn add_orchestrator<O: Orchestrator>(
        &mut self,
        orchestrator: O,
    ) -> Result<(), DuplicateName> {
        // The value names the type, and says nothing more.
        drop(orchestrator);
        let versions = self.orchestrators.entry(O::NAME.to_owned()).or_default();
        let replaced = versions.insert(O::VERSION.to_owned(), start_of::<O>());
        refuse(replaced.is_some(), "orchestrators", O::NAME)
    }

    /// Adds an activity.
    pub fn add_activity<A: Activity>(&mut self, activity: A) -> Result<(), DuplicateName> {
        let replaced = self.activities.insert(A::NAME.to_owned(), run_of(activity));
        refuse(replaced.is_some(), "activities", A::NAME)
    }
}

fn refuse(replaced: bool, kind: &'static str, name: &str) -> Result<(), DuplicateName> {
    if replaced {
        let name = name.to_owned();
        return Err(DuplicateName { kind, name });
    }
    Ok(())
}

impl OrchestrationExecutor for Registry {
    /// The orchestrator of exactly that version; one without a version only if the name has no
    /// versions at all (chapter 04 §7.2).
    fn open(&self, name: &str, version: Option<&str>) -> Option<Box<dyn OrchestrationRun>> {
        let versions = self.orchestrators.get(name)?;
        let any = || versions.get("").filter(|_| versions.len() == 1);
        let start = versions.get(version.unwrap_or_default()).or_else(any)?;
        let start = Arc::clone(start);
        let threads = self.threads.clone();
        Some(Box::new(Run::new(name, start, self.options, threads)))
    }

    fn declares(&self, name: &str, version: &str) -> bool {
        let versions = self.orchestrators.get(name);
        versions.is_some_and(|versions| versions.contains_key(version))
    }

    fn names(&self) -> Vec<String> {
        self.orchestrators.keys().cloned().collect()
    }
}

impl ActivityExecutor for Registry {
    fn knows(&self, name: &str) -> bool {
        self.activities.contains_key(name)
    }

    fn names(&self) -> Vec<String> {
        self.activities.keys().cloned().collect()
    }

    fn run(
        &self,
        work: ActivityWork,
    ) -> BoxFuture<'static, Result<ActivityOutcome, ExecutorError>> {
        let run = self.activities.get(&work.name);
        let run = run.map(|run| run(work, self.env.clone()));
        Box::pin(async move {
            let unknown =
                || ExecutorError::Unavailable("the activity is not registered".to_owned());
            Ok(run.ok_or_else(unknown)?.await)
        })
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry")
            .field("orchestrators", &self.orchestrators.keys())
            .field("activities", &self.activities.keys())
            .field("threads", &self.threads.is_some())
            .finish()
    }
}
