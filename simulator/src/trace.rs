//! What happened in a run, step by step.

use std::fmt::Display;
use std::sync::{Mutex, PoisonError};

use durabletask_storage::Env;

/// Steps kept; a run that makes more goes round in circles.
const MAX_STEPS: usize = 400_000;

/// The steps of one run and what was wrong with it.
#[derive(Debug)]
pub(crate) struct Trace {
    env: Env,
    is_loud: bool,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    steps: Vec<String>,
    violations: Vec<String>,
}

impl Trace {
    /// Nothing yet. If loud, steps are printed as they happen.
    pub(crate) fn new(env: &Env, is_loud: bool) -> Self {
        Self {
            env: env.clone(),
            is_loud,
            inner: Mutex::default(),
        }
    }

    /// Notes a step.
    #[allow(clippy::print_stdout, reason = "if asked for")]
    pub(crate) fn step(&self, who: &str, what: impl Display) {
        let at = self.env.monotonic().as_secs_f64();
        let line = format!("{at:>12.4} {who:<8} {what}");
        if self.is_loud {
            println!("{line}");
        }
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.steps.len() < MAX_STEPS {
            inner.steps.push(line);
        }
    }

    /// Notes something that must not be.
    pub(crate) fn violation(&self, what: impl Display) {
        self.step("!!", &what);
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.violations.push(what.to_string());
    }

    /// All steps.
    pub(crate) fn steps(&self) -> Vec<String> {
        self.inner
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .steps
            .clone()
    }

    /// All violations.
    pub(crate) fn violations(&self) -> Vec<String> {
        self.inner
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .violations
            .clone()
    }
}
