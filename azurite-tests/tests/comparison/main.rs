//! What our worker and client send and leave behind, against recordings of .NET's.
//!
//! `COMPARE=hello,timer cargo test -p azurite-tests --test comparison` runs only those scenarios.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on should stop here"
)]

mod differences;
#[path = "../../../provider/tests/wire/golden.rs"]
mod golden;
mod normal;
mod observed;
mod scenarios;

use azurite_tests::azurite;
use differences::complaints;
use futures::future::join_all;
use normal::normal;
use observed::Observed;
use scenarios::SCENARIOS;

#[tokio::test(flavor = "multi_thread")]
async fn what_we_send_and_leave_is_what_dotnet_does() {
    // covers: R4-02 C02-1 C02-2 C02-3 C02-5 C02-12 C03-2 C03-3 C03-6
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_test_writer()
        .init();
    let connection = azurite::connection().await;
    let chosen = std::env::var("COMPARE").ok();
    let is_chosen = |scenario: &&&str| {
        let mut names = chosen.iter().flat_map(|chosen| chosen.split(','));
        chosen.is_none() || names.any(|name| name == **scenario)
    };
    let runs = SCENARIOS.iter().filter(is_chosen).map(|scenario| async {
        let ours = scenarios::run(scenario, &connection).await;
        let dotnet = Observed::recorded(scenario);
        complaints(scenario, &normal(&dotnet), &normal(&ours))
    });
    let complaints = join_all(runs).await.concat();
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

#[test]
fn differences_are_seen() {
    let recorded = |scenario| normal(&Observed::recorded(scenario));
    let hello = recorded("hello");
    assert_eq!(complaints("hello", &hello, &hello), Vec::<String>::new());
    // Without inputs in history, and the same in base64.
    let inputs = complaints("hello", &hello, &recorded("hello-noparams"));
    assert_eq!(inputs.len(), 3, "{inputs:?}");
    let carried = complaints("hello", &hello, &recorded("hello-base64"));
    assert_eq!(carried.len(), 7, "{carried:?}");
    // A meant difference that is not there, and rows in another order.
    let timer = recorded("timer");
    assert_eq!(complaints("timer", &timer, &timer).len(), 1);
    let mut reversed = recorded("fanout");
    reversed.reverse();
    assert_eq!(
        complaints("fanout", &recorded("fanout"), &reversed).len(),
        1
    );
}
