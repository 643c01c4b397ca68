//! Workers on a hub in virtual time: scripted user code over storage that may fail.
#![allow(dead_code, unused_imports, reason = "each test binary uses a part")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod brittle;
pub(crate) mod faults;
mod hello;
pub(crate) mod look;
pub(crate) mod script;
pub(crate) mod world;

pub(crate) use brittle::Brittle;
pub(crate) use hello::{HelloSequence, SayHello, start_worker};
