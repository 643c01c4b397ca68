//! What one orchestration on a quiet hub costs, call by call: a contract, not an observation.
#![allow(clippy::unwrap_used, reason = "tests")]

use benchmarks::hop;
use durabletask_storage::wrappers::{Operation, Prices, Service};

/// Every call that was made but the empty receives, by kind.
fn paid(prices: &Prices) -> Vec<(Operation, u64)> {
    let calls = Operation::ALL.iter().map(|&operation| match operation {
        Operation::GetMessages => (operation, prices.gets_with_messages()),
        _ => (operation, prices.calls(operation)),
    });
    calls.filter(|(_, count)| *count > 0).collect()
}

/// .NET with extended sessions pays the same 33 Q + 16 T, item by item (recording
/// `price-hello5-extended`, without the waiting client); without them five history queries more.
#[test]
fn hello_sequence_5_costs_49_transactions_and_4_calls_a_hop() {
    let hops = hop::hello_sequence_5().unwrap();
    assert_eq!(
        paid(&hops.prices),
        [
            (Operation::PutMessage, 11),
            (Operation::GetMessages, 11),
            (Operation::DeleteMessage, 11),
            // The client and the worker look for the instance, then its history.
            (Operation::Query, 3),
            // The Pending row, then one merge an episode.
            (Operation::Write, 7),
            (Operation::Transact, 6),
        ]
    );
    // Answer sent, answer received, activity sent, activity received; nothing waits for a commit.
    assert_eq!(hops.calls_per_hop, [4, 4, 4, 4]);
    // The client looks, sends and writes its row; the start is received, loaded and judged at
    // once; the activity is sent and received.
    assert_eq!(hops.calls_to_first, 7);
}

/// 100 answers wake 1 to 100 episodes, as they happen to come in; all else is fixed.
#[test]
fn fan_out_costs_six_queue_calls_an_activity_at_most() {
    let prices = hop::fan_out().unwrap().prices;
    let episodes = prices.calls(Operation::Transact) - 2;
    assert!((1..=100).contains(&episodes), "{episodes}");
    assert_eq!(prices.calls(Operation::PutMessage), 201);
    assert_eq!(prices.calls(Operation::DeleteMessage), 201);
    assert!(prices.gets_with_messages() <= 201);
    assert_eq!(prices.calls(Operation::Query), 3);
    // The Pending row, the start's episode and one merge an episode; two transactions for the
    // 103 rows of the start.
    assert_eq!(prices.calls(Operation::Write), 2 + episodes);
    assert_eq!(prices.service(Service::Blobs), 0);
}
