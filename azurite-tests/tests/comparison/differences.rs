//! How two runs differ, and the one list of the differences that are meant.

use std::collections::BTreeMap;

use crate::normal::{Item, TEXT};

/// One value that is not the same.
#[derive(Debug)]
pub(crate) struct Difference {
    pub(crate) place: String,
    pub(crate) member: String,
    pub(crate) dotnet: Option<String>,
    pub(crate) ours: Option<String>,
}

/// A difference that is meant.
pub(crate) struct Meant {
    /// The scenarios in which it must be found; empty for all of them.
    scenarios: &'static [&'static str],
    /// Where, `*` standing for anything.
    place: &'static str,
    /// Of which value.
    member: &'static str,
    /// What .NET has there, `*` standing for anything; `None` for nothing.
    dotnet: Option<&'static str>,
    /// What is there of ours.
    ours: Option<&'static str>,
    why: &'static str,
}

/// Every difference between what this project and .NET do. One that is listed and not found
/// fails the test like one that is found and not listed.
pub(crate) const MEANT: &[Meant] = &[
    rounded_up(&["status", "retry", "retry-sub"], "0", "1"),
    rounded_up(&["timer", "event-timeout", "retry"], "1", "2"),
    rounded_up(&["event"], "59", "60"),
    rounded_up(&["terminate", "suspend"], "599", "600"),
    Meant {
        scenarios: &["event", "eternal", "suspend"],
        place: "sent * EventRaisedEvent -1*",
        member: "TaskMessage.OrchestrationInstance.ExecutionId",
        dotnet: Some("<id 1>"),
        ours: Some("null"),
        why: "the recording's driver raised the event to one execution; our client raises it to \
              whichever runs, so that it survives continue-as-new (chapter 04 §6.4)",
    },
    Meant {
        scenarios: &["characters"],
        place: "* ch-2*",
        member: "*",
        dotnet: Some(r"*sep\u2028\u2029 nbsp*"),
        ours: Some("*sep\u{2028}\u{2029} nbsp*"),
        why: "Json.NET escapes line separators in payloads, serde_json does not: the same JSON",
    },
];

const fn rounded_up(
    scenarios: &'static [&'static str],
    dotnet: &'static str,
    ours: &'static str,
) -> Meant {
    Meant {
        scenarios,
        place: "sent * TimerFiredEvent *",
        member: "delay",
        dotnet: Some(dotnet),
        ours: Some(ours),
        why: "timers round up to whole seconds, so that none fires early (design.md §8)",
    }
}

impl Meant {
    /// Whether it is to be found in that scenario.
    fn concerns(&self, scenario: &str) -> bool {
        self.scenarios.is_empty() || self.scenarios.contains(&scenario)
    }

    fn explains(&self, difference: &Difference) -> bool {
        let side = |pattern: Option<&str>, value: &Option<String>| match (pattern, value) {
            (None, None) => true,
            (Some(pattern), Some(value)) => matches(pattern, value),
            _ => false,
        };
        matches(self.place, &difference.place)
            && matches(self.member, &difference.member)
            && side(self.dotnet, &difference.dotnet)
            && side(self.ours, &difference.ours)
    }
}

/// Whether the text is as the pattern says; `*` stands for any text.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(text) = text.strip_prefix(head) else {
        return false;
    };
    (0..=text.len())
        .filter(|start| text.is_char_boundary(*start))
        .any(|start| matches(rest, &text[start..]))
}

/// What is wrong with a scenario, in words: differences that are not meant, meant ones that are
/// not there.
pub(crate) fn complaints(scenario: &str, dotnet: &[Item], ours: &[Item]) -> Vec<String> {
    let differences = differences(dotnet, ours);
    let meant: Vec<&Meant> = MEANT.iter().filter(|m| m.concerns(scenario)).collect();
    let mut complaints: Vec<String> = differences
        .iter()
        .filter(|difference| !meant.iter().any(|m| m.explains(difference)))
        .map(|d| {
            let side = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
            let (dotnet, ours) = (side(&d.dotnet), side(&d.ours));
            let place = format!("{scenario}: {}: {}", d.place, d.member);
            format!("{place}\n    .NET {dotnet:.1200}\n    ours {ours:.1200}")
        })
        .collect();
    for meant in meant {
        if !differences
            .iter()
            .any(|difference| meant.explains(difference))
        {
            let (place, member) = (meant.place, meant.member);
            let why = meant.why;
            complaints.push(format!(
                "{scenario}: {place}: {member}: a listed difference is not there: {why}"
            ));
        }
    }
    complaints
}

fn differences(dotnet: &[Item], ours: &[Item]) -> Vec<Difference> {
    let by_place = |items: &'_ [Item]| -> BTreeMap<String, BTreeMap<String, String>> {
        let items = items.iter();
        items
            .map(|item| (item.place.clone(), item.values.clone()))
            .collect()
    };
    let (left, right) = (by_place(dotnet), by_place(ours));
    let mut found = Vec::new();
    for place in left
        .keys()
        .chain(right.keys().filter(|key| !left.contains_key(*key)))
    {
        match (left.get(place), right.get(place)) {
            (Some(dotnet), Some(ours)) => compare(place, dotnet, ours, &mut found),
            (dotnet, ours) => found.push(Difference {
                place: place.clone(),
                member: "whole".to_owned(),
                dotnet: dotnet.map(|values| format!("{values:?}")),
                ours: ours.map(|values| format!("{values:?}")),
            }),
        }
    }
    let order = |items: &[Item], other: &BTreeMap<String, _>| -> Vec<String> {
        let places = items.iter().map(|item| item.place.clone());
        places.filter(|place| other.contains_key(place)).collect()
    };
    let (left, right) = (order(dotnet, &right), order(ours, &left));
    if let Some(at) = (0..left.len()).find(|at| left[*at] != right[*at]) {
        found.push(Difference {
            place: left[at].clone(),
            member: "order".to_owned(),
            dotnet: Some(left[at].clone()),
            ours: Some(right[at].clone()),
        });
    }
    found
}

fn compare(
    place: &str,
    dotnet: &BTreeMap<String, String>,
    ours: &BTreeMap<String, String>,
    found: &mut Vec<Difference>,
) {
    let before = found.len();
    let members = dotnet
        .keys()
        .chain(ours.keys().filter(|key| !dotnet.contains_key(*key)));
    // The whole text says nothing more where members differ.
    let members = members.filter(|member| *member != TEXT);
    for member in members.chain([&TEXT.to_owned()]) {
        let (dotnet, ours) = (dotnet.get(member), ours.get(member));
        let is_noise = member == TEXT && found.len() > before;
        if dotnet != ours && !is_noise {
            found.push(Difference {
                place: place.to_owned(),
                member: member.clone(),
                dotnet: dotnet.cloned(),
                ours: ours.cloned(),
            });
        }
    }
}
