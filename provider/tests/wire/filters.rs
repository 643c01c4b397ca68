//! Every recorded query is one that the builders make.

use durabletask_azurestorage::wire::filter::{self, InstanceQuery};
use durabletask_azurestorage::wire::names;
use durabletask_core::{EventType, OrchestrationStatus};
use durabletask_storage::{Continuation, Query};

use crate::golden::{self, Request};

/// The text between `before` and the next single quote that is not doubled.
fn literal(filter: &str, before: &str) -> Option<String> {
    let rest = &filter[filter.find(before)? + before.len()..];
    let rest = rest.replace("''", "\u{1}");
    Some(rest.split('\'').next()?.replace('\u{1}', "'"))
}

fn recorded(request: &Request) -> Query {
    let select = request.parameter("$select").unwrap_or_default();
    Query {
        filter: request.parameter("$filter").map(str::to_owned),
        select: select
            .split(',')
            .filter(|column| !column.is_empty())
            .map(str::to_owned)
            .collect(),
        top: request.parameter("$top").map(|top| top.parse().unwrap()),
        continuation: None,
    }
}

/// What the builders make for the ids in a recorded filter about one instance.
fn candidates(query: &Query) -> Vec<Query> {
    let filter = query.filter.as_deref().unwrap_or_default();
    let Some(key) = literal(filter, "PartitionKey eq '") else {
        return Vec::new();
    };
    let id = names::unescape_key(&key).unwrap();
    let execution = literal(filter, "ExecutionId eq '");
    let mut candidates = vec![
        filter::history(&id, execution.as_deref()),
        filter::history_keys(&id),
        filter::episodes(&id),
        filter::instance(&id, false),
        filter::instance(&id, true),
        filter::instance_to_purge(&id),
    ];
    if let Some(execution) = execution {
        candidates.push(filter::failures(&id, &execution));
        candidates.push(filter::decision(
            &id,
            &execution,
            0,
            EventType::TaskScheduled,
        ));
    }
    candidates
}

#[test]
fn recorded_queries_are_made_again() {
    let (mut about_one, mut lists) = (0, Vec::new());
    for scenario in golden::scenarios() {
        for request in golden::requests(&scenario) {
            let is_ours =
                request.path.contains("History()") || request.path.contains("Instances()");
            if request.service != "table" || request.method != "GET" || !is_ours {
                continue;
            }
            let query = recorded(&request);
            if candidates(&query).contains(&query) {
                about_one += 1;
            } else {
                lists.push(query);
            }
        }
    }
    assert_eq!((about_one, lists.len()), (883, 9));
    for list in lists {
        let made = expected_list(&list);
        assert_eq!(
            list,
            Query {
                top: list.top,
                ..made.to_query()
            }
        );
    }
}

/// The condition behind a recorded list, from its texts.
fn expected_list(query: &Query) -> InstanceQuery {
    let filter = query.filter.as_deref().unwrap_or_default();
    let date = |before| literal(filter, before).map(|text| text.parse().unwrap());
    let selects =
        |column: &str| query.select.is_empty() || query.select.iter().any(|name| name == column);
    let mut statuses: Vec<_> = OrchestrationStatus::ALL
        .into_iter()
        .filter(|status| filter.contains(&format!("RuntimeStatus eq '{status}'")))
        .collect();
    statuses.sort_by_key(|status| filter.find(status.name()));
    InstanceQuery {
        created_from: date("CreatedTime ge datetime'"),
        created_to: date("CreatedTime le datetime'"),
        statuses,
        hubs: literal(filter, "TaskHubName eq '").into_iter().collect(),
        prefix: literal(filter, "PartitionKey ge '").unwrap_or_default(),
        fetch_input: selects("Input"),
        fetch_output: selects("Output"),
        ..InstanceQuery::default()
    }
}

#[test]
fn conditions_in_their_order() {
    let all = InstanceQuery::default();
    assert_eq!(all.to_query(), Query::default());
    let text = |query: InstanceQuery| query.to_query().filter.unwrap();
    let many = InstanceQuery {
        created_from: Some("2018-01-10T10:10:10Z".parse().unwrap()),
        created_to: Some("2018-01-10T10:10:50Z".parse().unwrap()),
        statuses: vec![OrchestrationStatus::Running, OrchestrationStatus::Completed],
        hubs: vec!["FooProduction".to_owned(), "BarStaging".to_owned()],
        ..all.clone()
    };
    assert_eq!(
        text(many),
        "(CreatedTime ge datetime'2018-01-10T10:10:10.0000000Z') and (CreatedTime le datetime'2018-01-10T10:10:50.0000000Z') and (RuntimeStatus eq 'Running' or RuntimeStatus eq 'Completed') and (TaskHubName eq 'FooProduction' or TaskHubName eq 'BarStaging')"
    );
    let with_prefix = |prefix: &str| InstanceQuery {
        prefix: prefix.to_owned(),
        exclude_entities: true,
        ..InstanceQuery::default()
    };
    assert_eq!(
        text(with_prefix("aaab")),
        "(PartitionKey ge 'aaab') and (PartitionKey lt 'aaac')"
    );
    assert_eq!(
        text(with_prefix("a/")),
        "(PartitionKey ge 'a^0') and (PartitionKey lt 'a^1')"
    );
    assert_eq!(
        text(with_prefix("a&")),
        "(PartitionKey ge 'a&') and (PartitionKey lt 'a''')"
    );
    assert_eq!(
        text(with_prefix("😀")),
        "(PartitionKey ge '😀') and (PartitionKey lt '😁')"
    );
    assert_eq!(
        text(with_prefix("a\u{FFFF}")),
        "(PartitionKey ge 'a\u{FFFF}') and (PartitionKey lt 'b')"
    );
    assert_eq!(text(with_prefix("\u{FFFF}")), "PartitionKey ge '\u{FFFF}'");
    assert_eq!(
        text(with_prefix("\u{D7FF}")),
        "(PartitionKey ge '\u{D7FF}') and (PartitionKey lt '\u{10000}')"
    );
    assert_eq!(
        text(with_prefix("")),
        "PartitionKey lt '@' or PartitionKey ge 'A'"
    );
    let one = |id: &str| InstanceQuery {
        instance_id: Some(id.to_owned()),
        ..InstanceQuery::default()
    };
    assert_eq!(text(one("")), "PartitionKey eq ''");
    assert_eq!(text(one("in#st'ance")), "PartitionKey eq 'in^2st''ance'");
    let hub = InstanceQuery {
        hubs: vec!["Hub'Injected".to_owned()],
        ..all
    };
    assert_eq!(text(hub), "TaskHubName eq 'Hub''Injected'");
}

#[test]
fn tokens_for_the_next_page() {
    let continuation = |partition: &str, row: Option<&str>| Continuation {
        next_partition_key: partition.to_owned(),
        next_row_key: row.map(str::to_owned),
    };
    for (token, expected) in [
        ("cS0z ", continuation("cS0z", None)),
        ("1!8!cS0z 1!4!AA", continuation("1!8!cS0z", Some("1!4!AA"))),
    ] {
        assert_eq!(filter::continuation_token(&expected), token);
        assert_eq!(filter::parse_continuation_token(token), Some(expected));
    }
    assert_eq!(filter::parse_continuation_token(" "), None);
    assert_eq!(filter::parse_continuation_token(""), None);
    assert_eq!(
        filter::parse_continuation_token("ab"),
        Some(continuation("ab", None))
    );
}
