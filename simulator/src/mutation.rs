//! The protections that the simulator can leave out, by name.

use durabletask_azurestorage::hub::Protections;

/// A protection's name, and how it is turned off.
pub type Mutation = (&'static str, fn(&mut Protections));

/// All of them.
pub const MUTATIONS: [Mutation; 7] = [
    ("sentinel-etag", |p| p.sentinel_etag = false),
    ("duplicate-drop", |p| p.duplicate_drop = false),
    ("held-back-answers", |p| p.held_back_answers = false),
    ("start-deduplication", |p| p.start_deduplication = false),
    ("commit-order", |p| p.commit_order = false),
    ("unknown-outcomes", |p| p.unknown_outcomes = false),
    ("fresh-verdicts", |p| p.fresh_verdicts = false),
];

/// All protections but that one; `None` if there is none of that name.
pub fn all_but(name: &str) -> Option<Protections> {
    let (_, turn_off) = MUTATIONS.iter().find(|(known, _)| *known == name)?;
    let mut protections = Protections::default();
    turn_off(&mut protections);
    Some(protections)
}
