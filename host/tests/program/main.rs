//! The program as an operator runs it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod damage;
mod dotnet;
mod embedded;
#[path = "../../../provider/tests/wire/golden.rs"]
mod golden;
mod poison;
mod support;
mod terminal;
