//! The one list of the differences that are meant.

use std::collections::{BTreeMap, BTreeSet};

use durabletask_storage::Row;

use crate::values::{Executions, Place, members};

/// A difference that is meant.
struct Meant {
    /// In rows or messages of this event type, or in rows of `Instance`.
    kind: &'static str,
    /// A column, or a member of the JSON in it; `*` at the end stands for anything.
    member: &'static str,
    /// What .NET has there, with the same `*`; `None` for nothing.
    dotnet: Option<&'static str>,
    /// What is there of ours.
    ours: Option<&'static str>,
    why: &'static str,
}

/// Every difference between what we append to a history that a Functions app began and what its
/// host would have appended. One that is listed and not found fails the test like one that is
/// found and not listed.
const MEANT: &[Meant] = &[
    Meant {
        kind: "TaskFailed",
        member: "Reason",
        dotnet: Some("Activity function 'Fail' failed: *"),
        ours: Some("*"),
        why: "a work item does not tell who will read the answer; in-process functions build what \
              they show from Details, and after HTTP requests they show Reason as it is",
    },
    Meant {
        kind: "TaskScheduled",
        member: "Input.0.$type",
        dotnet: Some("*"),
        ours: None,
        why: "activities read the type that they declare; ours has no .NET name",
    },
    both_ways("TaskFailed", "FailureDetails", Some("null"), None),
    both_ways("TaskFailed", "FailureDetails.*", None, Some("*")),
    both_ways(
        "SubOrchestrationInstanceFailed",
        "FailureDetails",
        Some("null"),
        None,
    ),
    both_ways(
        "SubOrchestrationInstanceFailed",
        "FailureDetails.*",
        None,
        Some("*"),
    ),
    no_source("TaskFailed", "Details.Source"),
    no_source("SubOrchestrationInstanceFailed", "Details.Source"),
    no_source(
        "SubOrchestrationInstanceFailed",
        "Details.InnerException.Source",
    ),
    http("Details.HttpRequestError", Some("2"), None),
    http("Details.Data.$type", Some("*"), None),
    http("Details.HResult", Some("-2147467259"), Some("-2146233088")),
    http(
        "Details.InnerException.$type",
        Some("System.Net.Sockets.*"),
        None,
    ),
    http(
        "Details.InnerException.ClassName",
        Some("System.Net.Sockets.SocketException"),
        Some("System.Exception"),
    ),
    http(
        "Details.InnerException.HResult",
        Some("-2147467259"),
        Some("-2146233088"),
    ),
    no_source("TaskFailed", "Details.InnerException.Source"),
    http("Details.InnerException.NativeErrorCode", Some("111"), None),
    null_result("TaskCompleted", "Result"),
    null_result("ExecutionCompleted", "Result"),
    null_result("Instance", "Output"),
    by_time("ExecutionCompleted", "Result.id"),
    by_time("Instance", "Output.id"),
];

const fn both_ways(
    kind: &'static str,
    member: &'static str,
    dotnet: Option<&'static str>,
    ours: Option<&'static str>,
) -> Meant {
    Meant {
        kind,
        member,
        dotnet,
        ours,
        why: "failures are written in both ways (errorMode), because whoever takes over next may \
              read only one of them",
    }
}

const fn no_source(kind: &'static str, member: &'static str) -> Meant {
    Meant {
        kind,
        member,
        dotnet: Some("*"),
        ours: None,
        why: "the name of the .NET assembly that threw: there is none",
    }
}

const fn http(
    member: &'static str,
    dotnet: Option<&'static str>,
    ours: Option<&'static str>,
) -> Meant {
    Meant {
        kind: "TaskFailed",
        member,
        dotnet,
        ours,
        why: "readers look at the type and message of a failed request, both the same; the cause is \
              a plain exception, because SocketException may be missing or want more members",
    }
}

const fn null_result(kind: &'static str, member: &'static str) -> Meant {
    Meant {
        kind,
        member,
        dotnet: None,
        ours: Some("null"),
        why: "a JSON null, as the isolated workers write it; readers take nothing and null alike",
    }
}

const fn by_time(kind: &'static str, member: &'static str) -> Meant {
    Meant {
        kind,
        member,
        dotnet: Some("*"),
        ours: Some("*"),
        why: "a GUID is drawn from the time of its episode, which was ours",
    }
}

type Members = BTreeMap<String, String>;

/// What was found and is not meant.
#[derive(Default)]
pub(crate) struct Complaints {
    found: BTreeSet<String>,
    used: BTreeSet<usize>,
}

impl Complaints {
    pub(crate) fn compare_rows(
        &mut self,
        place: &Place,
        known: &Executions,
        theirs: &Row,
        ours: &Row,
    ) {
        self.compare(place, &members(theirs), &known.ours(ours));
    }

    pub(crate) fn compare(&mut self, place: &Place, theirs: &Members, ours: &Members) {
        let names: BTreeSet<&String> = theirs.keys().chain(ours.keys()).collect();
        for name in names {
            let (dotnet, ours) = (theirs.get(name), ours.get(name));
            if dotnet == ours {
                continue;
            }
            let meant = |meant: &Meant| {
                meant.kind == place.kind
                    && is_like(meant.member, name)
                    && is_side(meant.dotnet, dotnet)
                    && is_side(meant.ours, ours)
            };
            if let Some(entry) = MEANT.iter().position(meant) {
                self.used.insert(entry);
                continue;
            }
            let (scenario, kind, row) = (&place.scenario, &place.kind, &place.row);
            self.found.insert(format!(
                "{scenario}: {kind} {row}: {name}\n    .NET {dotnet:?}\n    ours {ours:?}"
            ));
        }
    }

    /// Differences that are not meant, and entries that nothing was like.
    pub(crate) fn all(self) -> Vec<String> {
        let unused = (0..MEANT.len()).filter(|entry| !self.used.contains(entry));
        let unused = unused.map(|entry| {
            let Meant {
                kind, member, why, ..
            } = MEANT[entry];
            format!("{kind}: {member}: a listed difference is not there: {why}")
        });
        self.found.into_iter().chain(unused).collect()
    }
}

fn is_side(pattern: Option<&str>, value: Option<&String>) -> bool {
    match (pattern, value) {
        (None, None) => true,
        (Some(pattern), Some(value)) => is_like(pattern, value),
        _ => false,
    }
}

/// Whether the text is the pattern, or begins with what stands before its `*`.
fn is_like(pattern: &str, text: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(head) => text.starts_with(head),
        None => text == pattern,
    }
}
