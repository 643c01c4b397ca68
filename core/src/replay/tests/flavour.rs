//! Whose habits are followed.

use crate::replay::Flavour;
use crate::{EventKind, ExecutionStarted, HistoryEvent, Timestamp};

#[test]
fn a_history_tells_who_began_it() {
    let began = |version: Option<&str>, is_played: bool, replaying: bool| {
        let start = ExecutionStarted {
            version: version.map(str::to_owned),
            ..ExecutionStarted::default()
        };
        let start = HistoryEvent {
            is_played,
            ..HistoryEvent::new(Timestamp::MIN, EventKind::ExecutionStarted(Box::new(start)))
        };
        Flavour::of(&start, replaying)
    };
    for replaying in [false, true] {
        assert_eq!(began(None, true, replaying), Flavour::InProc);
        assert_eq!(began(Some(""), true, replaying), Flavour::Rust);
        assert_eq!(began(Some("1.0"), true, replaying), Flavour::Rust);
    }
    assert_eq!(began(Some(""), false, true), Flavour::Isolated);
    assert_eq!(began(None, false, true), Flavour::Isolated);
    assert_eq!(began(None, false, false), Flavour::InProc);
}
