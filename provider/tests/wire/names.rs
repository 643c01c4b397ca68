//! Names, keys and partitions: the vectors of chapter 01 §1.3, §2.2 and §3, chapter 03 §1.2.

use durabletask_azurestorage::wire::WireError;
use durabletask_azurestorage::wire::large::LargeStore;
use durabletask_azurestorage::wire::names::{self, HubNames};
use durabletask_core::EventType;
use uuid::Uuid;

/// Instance id, hash, partition of 4, partition of 16.
const PARTITIONS: &[(&str, u32, u32, u32)] = &[
    ("", 0x811c_9dc5, 1, 5),
    (" ", 0x250c_8f7f, 3, 15),
    ("a", 0xe40c_292c, 0, 12),
    ("A", 0xc40b_f6cc, 0, 12),
    ("abc", 0x1a47_e90b, 3, 11),
    ("ABC", 0x5c84_2f6b, 3, 11),
    ("foobar", 0xbf9c_f968, 0, 8),
    ("instance-1", 0xfa92_3a94, 0, 4),
    ("order/42", 0x6ccb_ed52, 2, 2),
    ("order#42?x=1", 0xf758_9d0f, 3, 15),
    ("my^id", 0x7b31_123a, 2, 10),
    ("00000000000000000000000000000000", 0xf0c8_6445, 1, 5),
    ("00000000-0000-0000-0000-000000000000", 0xbe47_8ed1, 1, 1),
    ("7f1a4c5e9b8d4e2fa0c3d6b7e8f90123", 0x3e33_0b67, 3, 7),
    ("7F1A4C5E9B8D4E2FA0C3D6B7E8F90123", 0x8ea0_fd27, 3, 7),
    ("7f1a4c5e-9b8d-4e2f-a0c3-d6b7e8f90123", 0x01e1_6feb, 3, 11),
    ("3fa85f6457174562b3fc2c963f66afa6:5", 0xe154_c6a3, 3, 3),
    ("@counter@key", 0x8a0a_f67a, 2, 10),
    ("@Counter@key", 0x117d_04da, 2, 10),
    ("@counter@", 0xce8d_2ec3, 3, 3),
    ("@counter@myCounter", 0x5673_bcc7, 3, 7),
    ("@chirper@user/1", 0xd6d1_b1c5, 1, 5),
    ("sample@3", 0x9080_af22, 2, 2),
    ("sample!03", 0xcfd7_e0cf, 3, 15),
    ("été", 0xffb5_8817, 3, 7),
    ("e\u{301}te\u{301}", 0x1082_1943, 3, 3),
    ("Grüße", 0xb822_6e38, 0, 8),
    ("日本語のインスタンス", 0x5440_23fa, 2, 10),
    ("😀", 0x33a2_9608, 0, 8),
    ("tab\u{9}id", 0xbc9a_3ad2, 2, 2),
    ("nul\u{0}id", 0xa4d3_fc5d, 1, 13),
    ("\u{7f}\u{85}", 0x45e5_b1b3, 3, 3),
    ("a b", 0x10a3_f9f2, 2, 2),
    ("per%cent", 0xc0a0_7ba5, 1, 5),
    ("quo'te", 0x81e3_1fee, 2, 14),
    ("UPPER-lower", 0x1e7a_3173, 3, 3),
    ("a+b=c&d", 0x2824_5b83, 3, 3),
    ("x^y", 0xc747_02c6, 2, 6),
    ("sl/ash", 0x65a1_9399, 1, 9),
    ("ha#sh", 0x0f81_5138, 0, 8),
    ("q?m", 0x0270_2e5c, 0, 12),
    ("世界", 0x40d6_51bf, 3, 15),
    ("@counter@s1", 0x8e88_20f3, 3, 3),
    // What half a pair of surrogates is read as.
    ("a\u{fffd}", 0xd93a_901d, 1, 13),
];

#[test]
fn instances_hash_to_their_partitions() {
    // covers: R2-02 R2-04 R3-03
    for &(id, hash, of_4, of_16) in PARTITIONS {
        assert_eq!(names::fnv1a_32(id), hash, "{id:?}");
        assert_eq!(names::partition_of(id, 4), of_4, "{id:?}");
        assert_eq!(names::partition_of(id, 16), of_16, "{id:?}");
        assert_eq!(names::partition_of(id, 1), 0);
        assert_eq!(names::partition_of(id, 0), 0);
    }
    assert_eq!(names::fnv1a_32(&"x".repeat(100)), 0xac24_6ad5);
}

#[test]
fn ids_become_keys_and_back() {
    // covers: R3-01 R3-02
    for (id, key) in [
        ("", ""),
        ("abc", "abc"),
        ("order/42", "order^042"),
        ("order#42?x=1", "order^242^3x=1"),
        ("a\\b", "a^1b"),
        ("my^id", "my^^id"),
        ("^^", "^^^^"),
        ("a^", "a^^"),
        ("^0", "^^0"),
        ("@counter@key", "@counter@key"),
        ("@chirper@user/1", "@chirper@user^01"),
        ("100%", "100%"),
        ("it's", "it's"),
        ("tab\tid", "tab^\u{C9}id"),
        ("\r\n", "^\u{CD}^\u{CA}"),
        ("nul\0id", "nul^\u{C0}id"),
        ("\u{1f}", "^\u{DF}"),
        ("\u{7f}", "^\u{13F}"),
        ("\u{80}", "^\u{140}"),
        ("\u{9f}", "^\u{15F}"),
        ("\u{a0}", "\u{a0}"),
        ("éÀ😀", "éÀ😀"),
        ("~!@#$%^&*()_+/\\?", "~!@^2$%^^&*()_+^0^1^3"),
        ("http://x/y?z#w", "http:^0^0x^0y^3z^2w"),
        ("sl/ash", "sl^0ash"),
        ("a+b=c&d 世界 UPPER-lower", "a+b=c&d 世界 UPPER-lower"),
    ] {
        assert_eq!(names::escape_key(id), key);
        assert_eq!(names::unescape_key(key).as_deref(), Ok(id));
    }
    for (key, id) in [
        ("^x", "x"),
        ("^\u{C5}", "\u{5}"),
        ("^\u{E9}", ")"),
        // Below and at the edge of what control characters use; half a pair becomes U+FFFD.
        ("^\u{BF}", "\u{BF}"),
        ("^\u{E000}", "\u{FFFD}"),
        ("^😀", "\u{D77D}\u{FFFD}"),
    ] {
        assert_eq!(names::unescape_key(key).as_deref(), Ok(id));
    }
    assert_eq!(names::unescape_key("a^"), Err(WireError::BadKey));
    assert_eq!(names::unescape_key("^^^"), Err(WireError::BadKey));
}

#[test]
fn resources_have_their_names() {
    // covers: R1-01 R1-02
    let hub = HubNames::new("MyHub");
    assert_eq!(hub.control_queue(3), "myhub-control-03");
    assert_eq!(hub.control_queue(15), "myhub-control-15");
    assert_eq!(hub.work_item_queue(), "myhub-workitems");
    assert_eq!(hub.history_table(), "MyHubHistory");
    assert_eq!(hub.instances_table(), "MyHubInstances");
    assert_eq!(hub.partitions_table(), "MyHubPartitions");
    assert_eq!(hub.large_message_container(), "myhub-largemessages");
    assert_eq!(hub.lease_container(), "myhub-leases");
    assert_eq!(hub.app_lease_container(), "myhub-applease");
    assert_eq!(hub.app_lease_blob(), "myhub-appleaseinfo");
    assert_eq!(hub.legacy_lease_blob(0), "default/myhub-control-00");
    assert_eq!(hub.intent_lease_blob(9), "intent/myhub-control-09");
    assert_eq!(hub.ownership_lease_blob(10), "ownership/myhub-control-10");
    let elsewhere = hub.with_tracking_prefix("DurableTask");
    assert_eq!(elsewhere.history_table(), "DurableTaskHistory");
    assert_eq!(elsewhere.instances_table(), "DurableTaskInstances");
    assert_eq!(elsewhere.partitions_table(), "MyHubPartitions");
}

#[test]
fn hub_names_are_checked_and_made() {
    // covers: R1-06 R1-07
    for (site, hub) in [
        ("my-func-app", "myfuncapp"),
        ("contoso_orders.prod", "contosoordersprod"),
        ("9lives", "t9lives"),
        ("a", "aHub"),
        ("Ab", "AbHub"),
        ("1", "t1Hub"),
        ("---", "DefaultTaskHub"),
        ("été-app", "étéapp"),
    ] {
        assert_eq!(names::default_hub_name(site), hub);
    }
    assert_eq!(names::default_hub_name(&"x".repeat(60)), "x".repeat(45));
    let digits = format!("1{}", "y".repeat(50));
    assert_eq!(
        names::default_hub_name(&digits),
        format!("t1{}", "y".repeat(43))
    );
    for good in ["abc", "A12", &"h".repeat(49)] {
        assert!(names::is_valid_hub_name(good), "{good}");
    }
    for bad in ["", "ab", "1bc", "a-b", "étéapp", &"h".repeat(50)] {
        assert!(!names::is_valid_hub_name(bad), "{bad}");
    }
}

#[test]
fn rows_and_blobs_have_their_names() {
    // covers: R3-04
    assert_eq!(names::event_row_key(10), "000000000000000A");
    assert_eq!(names::sequence_of("00000000000000FF"), Some(255));
    assert_eq!(names::sequence_of("sentinel"), None);
    assert_eq!(names::sequence_of("+00000000000000F"), None);
    assert_eq!(
        names::message_blob("a/b", Uuid::from_u128(0xAB), EventType::ExecutionStarted),
        "a/b/message-000000000000000000000000000000ab-ExecutionStarted.json.gz"
    );
    assert_eq!(names::blob_prefixes("a"), ["a/"]);
    assert_eq!(
        names::blob_prefixes("a/b"),
        ["a/b/message-", "a^0b/history-"]
    );
    for (blob, owner) in [
        ("a/message-00ff-ExecutionStarted.json.gz", Some("a")),
        ("a/b/message-00ff-ExecutionStarted.json.gz", Some("a/b")),
        ("a^0b/history--Input-00FF12AB-Input.json.gz", Some("a/b")),
        ("a^0b/message-00ff-TaskCompleted.json.gz", Some("a^0b")),
        ("a^/history-x.json.gz", None),
        ("somebody's.txt", None),
    ] {
        assert_eq!(names::owner_of_blob(blob).as_deref(), owner, "{blob}");
    }
}

#[test]
fn only_urls_of_the_container_are_references() {
    let store = LargeStore::new("https://acct.blob.core.windows.net/myhub-largemessages");
    let blob = "@counter@k/history--Input-00FF12AB-Input.json.gz";
    let url = "https://acct.blob.core.windows.net/myhub-largemessages/%40counter%40k/history--Input-00FF12AB-Input.json.gz";
    assert_eq!(store.url(blob), url);
    assert_eq!(store.blob_of_url(url).as_deref(), Some(blob));
    let odd = "per%cent é/message.json.gz";
    assert_eq!(store.blob_of_url(&store.url(odd)).as_deref(), Some(odd));
    for value in [
        "",
        "urn:x",
        "https://example.com/a.json.gz",
        "https://acct.blob.core.windows.net/myhub-largemessages",
        "https://acct.blob.core.windows.net/myhub-largemessages2/a.json.gz",
        "https://acct.blob.core.windows.net/myhub-largemessages/a.txt",
        "https://acct.blob.core.windows.net/myhub-largemessages/%FF.json.gz",
    ] {
        assert_eq!(store.blob_of_url(value), None, "{value}");
    }
}
