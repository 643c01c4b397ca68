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
