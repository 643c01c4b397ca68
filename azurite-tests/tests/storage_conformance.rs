//! The conformance suite of storage backends, on Azurite.
#![allow(clippy::unwrap_used, reason = "helpers of tests may panic, too")]

use azurite_tests::{azurite, unique_name};
use durabletask_storage::Env;
use durabletask_storage::azure::{AzureAccount, AzureOptions, Connection};
use durabletask_storage::conformance::{Check, checks};
use futures::StreamExt;
use futures::stream;

/// Checks under way at once. They are mostly waiting.
const CONCURRENT_CHECKS: usize = 8;

/// Where Azurite 3.35 differs from the service, besides the checks that say so themselves.
const AZURITE_DIFFERS: [(&str, &str); 2] = [
    (
        "tables::come_and_go",
        "rows are found by a table's name in its own case only",
    ),
    (
        "queries::filter_rows",
        "dates are compared by the millisecond",
    ),
];

fn is_for_azurite(check: &Check) -> bool {
    let name = check.name().replace(' ', "");
    !check.is_service_only() && AZURITE_DIFFERS.iter().all(|(differs, _)| *differs != name)
}

/// Runs the checks side by side, each under names of its own, and reports all that fail.
async fn run_all(kept: impl Fn(&Check) -> bool) {
    let connection = Connection::parse(&azurite::connection().await).unwrap();
    let env = Env::system();
    let account = AzureAccount::connect(&connection, AzureOptions::default(), env.clone()).unwrap();
    let outcomes = stream::iter(checks().into_iter().filter(kept)).map(|check| {
        let (account, env) = (account.clone(), env.clone());
        async move {
            let prefix = unique_name("c");
            let outcome = check.run(account, env, &prefix).await;
            outcome.err().map(|why| format!("{}: {why}", check.name()))
        }
    });
    let failures: Vec<_> = outcomes
        .buffer_unordered(CONCURRENT_CHECKS)
        .filter_map(std::future::ready)
        .collect()
        .await;
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

#[tokio::test]
async fn azurite_conforms() {
    run_all(|check| is_for_azurite(check) && !check.is_slow()).await;
}

#[tokio::test]
async fn azurite_conforms_where_it_takes_time() {
    run_all(|check| is_for_azurite(check) && check.is_slow()).await;
}

#[tokio::test]
#[ignore = "shows where Azurite differs from the service"]
async fn azurite_differs() {
    run_all(|check| !is_for_azurite(check)).await;
}
