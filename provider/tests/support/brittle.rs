//! User code that takes its worker's executor down.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use durabletask_core::{
    ActivityExecutor, ActivityOutcome, ActivityWork, BoxFuture, ExecutorError,
    OrchestrationExecutor, OrchestrationRun,
};

use super::hello::{HelloSequence, SayHello};

/// Hello cities on an executor that crashes, until it is mended.
#[derive(Clone, Default)]
pub(crate) struct Brittle {
    pub(crate) broken_orchestrator: bool,
    pub(crate) broken_activity: bool,
    pub(crate) mended: Arc<AtomicBool>,
}

impl Brittle {
    fn crash_if(&self, broken: bool) {
        assert!(!broken || self.mended.load(Ordering::Relaxed), "brittle");
    }
}

impl OrchestrationExecutor for Brittle {
    fn open(&self, name: &str, version: Option<&str>) -> Option<Box<dyn OrchestrationRun>> {
        self.crash_if(self.broken_orchestrator);
        HelloSequence.open(name, version)
    }

    fn names(&self) -> Vec<String> {
        HelloSequence.names()
    }
}

impl ActivityExecutor for Brittle {
    fn knows(&self, name: &str) -> bool {
        SayHello.knows(name)
    }

    fn names(&self) -> Vec<String> {
        SayHello.names()
    }

    fn run(
        &self,
        work: ActivityWork,
    ) -> BoxFuture<'static, Result<ActivityOutcome, ExecutorError>> {
        self.crash_if(self.broken_activity);
        SayHello.run(work)
    }
}
