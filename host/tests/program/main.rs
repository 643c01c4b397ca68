//! The program as an operator runs it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

#[path = "../../../provider/tests/support/brittle.rs"]
mod brittle;
mod damage;
mod dotnet;
mod embedded;
#[path = "../../../provider/tests/wire/golden.rs"]
mod golden;
#[path = "../../../provider/tests/support/hello.rs"]
#[allow(dead_code, reason = "shared with the provider's tests")]
mod hello;
mod poison;
mod support;
mod terminal;
