//! The tasks of a worker by name: what the provider runs.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use durabletask_core::replay::{Flavour, ReplayOptions};
use durabletask_core::{
    ActivityExecutor, ActivityOutcome, ActivityWork, BoxFuture, ExecutorError,
    OrchestrationExecutor, OrchestrationRun,
};

use crate::activity::{RunActivity, run_of};
use crate::run::{Run, Start, start_of};
use crate::threads::Threads;
use crate::{Activity, Orchestrator};

/// Two tasks of one kind have the same name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there are two {kind} named '{name}'")]
pub struct DuplicateName {
    /// `orchestrators` or `activities`.
    pub kind: &'static str,
    /// The name.
    pub name: String,
}

/// Orchestrators and activities by their names, compared exactly.
#[derive(Default, Clone)]
pub struct Registry {
    orchestrators: BTreeMap<String, Start>,
    activities: BTreeMap<String, RunActivity>,
    threads: Option<Arc<Threads>>,
    options: ReplayOptions,
}

impl Registry {
    /// Without tasks. Orchestrators are polled by whoever executes them, in line.
    pub fn new() -> Self {
        Self::default()
    }

    /// Polls orchestrators on plain threads from now on, outside of any tokio runtime.
    pub fn use_threads(&mut self) -> std::io::Result<()> {
        self.threads = Some(Arc::new(Threads::start()?));
        Ok(())
    }

    /// Lets orchestrators agree with a .NET flavour, id by id and GUID by GUID: for twins of
    /// existing orchestrators, which take over their histories.
    #[doc(hidden)]
    pub fn use_flavour(&mut self, flavour: Flavour) {
        self.options.flavour = flavour;
    }

    /// Adds an orchestrator.
    pub fn add_orchestrator<O: Orchestrator>(
        &mut self,
        orchestrator: O,
    ) -> Result<(), DuplicateName> {
        // The value names the type, and says nothing more.
        drop(orchestrator);
        let replaced = self
            .orchestrators
            .insert(O::NAME.to_owned(), start_of::<O>());
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
    fn open(&self, name: &str, _version: Option<&str>) -> Option<Box<dyn OrchestrationRun>> {
        let start = Arc::clone(self.orchestrators.get(name)?);
        Some(Box::new(Run::new(
            name,
            start,
            self.options,
            self.threads.clone(),
        )))
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
        let run = self.activities.get(&work.name).map(|run| run(work));
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
