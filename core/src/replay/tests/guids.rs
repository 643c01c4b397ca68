//! Deterministic GUIDs: the vectors of chapter 04 §2.7.

use crate::harness::{Hub, Plan};
use crate::replay::{Flavour, deterministic_guid};

#[test]
fn draws_the_guids_of_dotnet() {
    let time = "2024-01-02T03:04:05.6789012Z";
    let whole = "2024-01-02T03:04:05Z";
    let odd = "@naïve-日本";
    for (flavour, id, time, counter, guid) in [
        (
            Flavour::InProc,
            "abc123",
            time,
            0,
            "f0be3a1c-57e1-51c5-b53c-186d28fa001d",
        ),
        (
            Flavour::InProc,
            "abc123",
            time,
            1,
            "8ce5c0ca-38f6-5119-9c05-3f5d55a0b394",
        ),
        (
            Flavour::InProc,
            "abc123",
            time,
            2,
            "c51ba564-6c13-513b-adbf-d5409de5ca66",
        ),
        (
            Flavour::Isolated,
            "abc123",
            time,
            0,
            "41adc900-a688-5b6a-8519-4671b9911fb0",
        ),
        (
            Flavour::Isolated,
            "abc123",
            time,
            1,
            "dc06fe60-1d65-580e-8a60-87a7bcf61943",
        ),
        (
            Flavour::Rust,
            "abc123",
            time,
            2,
            "536d7981-1f8d-591c-8681-556f1621a3ee",
        ),
        (
            Flavour::InProc,
            "abc123",
            whole,
            0,
            "599fdeb5-eb39-5d61-bf5c-760097b65ebd",
        ),
        (
            Flavour::Isolated,
            "abc123",
            whole,
            0,
            "9e6da236-e0d4-5763-9676-05cac0dfe31c",
        ),
        (
            Flavour::InProc,
            odd,
            time,
            7,
            "872b8b57-0ca1-5096-9763-6a6a4e3f0306",
        ),
        (
            Flavour::Isolated,
            odd,
            time,
            7,
            "6cdc4a92-9374-59b1-b08c-1609b45f89d3",
        ),
    ] {
        let drawn = deterministic_guid(flavour, id, time.parse().unwrap(), counter);
        assert_eq!(drawn.to_string(), guid, "{flavour:?} {id} {time} {counter}");
    }
}

#[test]
fn guids_and_random_numbers_survive_replay() {
    use Plan::{Call, Guid, Random, Seq};
    // The hub compares a kept with a fresh run; both numbers end in the output.
    let mut hub = Hub::started(Seq(vec![Guid, Random, Call("a"), Guid, Guid, Random]));
    let answer = hub.completed(0, "A");
    hub.deliver(vec![answer]);
    let output: Vec<_> = hub
        .output()
        .unwrap()
        .split(',')
        .map(str::to_owned)
        .collect();
    assert_eq!(output.len(), 6);
    let mut distinct = output.clone();
    distinct.sort();
    distinct.dedup();
    assert_eq!(distinct.len(), 6, "{output:?}");
}
