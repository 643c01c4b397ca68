//! The conformance suite on the embedded store: in memory and in a file, in virtual time; and in a
//! file with threads, in real time.

#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use std::future::Future;

use common::Folder;
use durabletask_storage::conformance::{Check, checks};
use durabletask_storage::embedded::EmbeddedStore;
use durabletask_storage::{Account, Env, VirtualEnv};

/// Runs the checks on an account each and reports all that fail.
fn run_all<F>(kept: impl Fn(&Check) -> bool, mut run: impl FnMut(Check, String) -> F)
where
    F: Future<Output = Result<(), String>>,
{
    let block_on = |future| {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap()
            .block_on(future)
    };
    let mut failures = Vec::new();
    for (index, check) in checks().into_iter().filter(kept).enumerate() {
        let name = check.name();
        if let Err(why) = block_on(run(check, format!("check{index}"))) {
            failures.push(format!("{name}: {why}"));
        }
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

fn in_virtual_time(kept: impl Fn(&Check) -> bool, account_of: impl Fn(Env) -> Account) {
    run_all(kept, |check, prefix| {
        let time = VirtualEnv::new(1);
        let account = account_of(time.env());
        let outcome = time.block_on(check.run(account, time.env(), &prefix));
        std::future::ready(outcome.unwrap_or_else(|stalled| Err(stalled.to_string())))
    });
}

#[test]
fn memory_conforms() {
    in_virtual_time(
        |_| true,
        |env| EmbeddedStore::in_memory(env).unwrap().account(),
    );
}

#[test]
fn file_conforms() {
    let folder = Folder::new();
    in_virtual_time(
        // Thousands of writes, each with a flush of its own.
        |check| check.name() != "blobs::list_in_pages",
        |env| EmbeddedStore::open(folder.file(), env).unwrap().account(),
    );
}

#[test]
fn file_with_threads_conforms() {
    let folder = Folder::new();
    let env = Env::system();
    let account = EmbeddedStore::open(folder.file(), env.clone())
        .unwrap()
        .account();
    run_all(
        |check| !check.is_slow(),
        |check, prefix| {
            let (account, env) = (account.clone(), env.clone());
            async move { check.run(account, env, &prefix).await }
        },
    );
}
