//! Expectations on entity-group transactions.

use futures::future::join_all;

use super::tables::{delete, matches, number_of, numbered};
use super::{Bench, Broken, Outcome, ensure, ensure_equal, ensure_refused};
use crate::{Condition, ErrorKind, MAX_STRING_UNITS, MAX_TRANSACTION_ROWS, Query, Row, Write};

pub(super) async fn are_all_or_nothing(bench: Bench) -> Outcome {
    let (tables, table) = (&bench.account.tables, bench.table().await?);
    let first = tables
        .transact(
            &table,
            vec![
                Write::Insert(numbered("a", 1)),
                Write::Insert(numbered("b", 1)),
                Write::Insert(numbered("sentinel", 1)),
            ],
        )
        .await?;
    ensure_equal(&first.len(), &3, "answers")?;
    let sentinel = matches(first[2].clone())?;
    let second = tables
        .transact(
            &table,
            vec![
                Write::InsertOrReplace(numbered("a", 2)),
                delete("b", Condition::Exists),
                Write::Insert(numbered("c", 2)),
                Write::Merge(numbered("sentinel", 2), sentinel.clone()),
            ],
        )
        .await?;
    let kinds: Vec<bool> = second.iter().map(Option::is_some).collect();
    ensure_equal(
        &kinds,
        &vec![true, false, true, true],
        "ETags except for the delete",
    )?;
    let refused = tables
        .transact(
            &table,
            vec![
                Write::InsertOrReplace(numbered("a", 3)),
                Write::Insert(numbered("d", 3)),
                Write::Merge(numbered("sentinel", 3), sentinel),
            ],
        )
        .await;
    let error = ensure_refused(refused, ErrorKind::PreconditionFailed, "stale sentinel")?;
    ensure_equal(&error.failed_index(), &Some(2), "index of the sentinel")?;
    for (row, expected) in [
        ("a", Some(2)),
        ("b", None),
        ("c", Some(2)),
        ("d", None),
        ("sentinel", Some(2)),
    ] {
        ensure_equal(&number_of(&bench, &table, row).await?, &expected, row)?;
    }
    let current = matches(second[3].clone())?;
    tables
        .transact(
            &table,
            vec![Write::Replace(numbered("sentinel", 4), current)],
        )
        .await?;
    let most: Vec<Write> = (0..MAX_TRANSACTION_ROWS)
        .map(|index| Write::Insert(numbered(&format!("most-{index:03}"), 1)))
        .collect();
    ensure_equal(
        &tables.transact(&table, most).await?.len(),
        &MAX_TRANSACTION_ROWS,
        "a full transaction",
    )
}

pub(super) async fn name_the_write_that_failed(bench: Bench) -> Outcome {
    let (tables, table) = (&bench.account.tables, bench.table().await?);
    let etag = tables
        .write(&table, Write::Insert(numbered("there", 1)))
        .await?;
    tables
        .write(
            &table,
            Write::Merge(numbered("there", 2), matches(etag.clone())?),
        )
        .await?;
    let cases = [
        (
            Write::Insert(numbered("there", 9)),
            ErrorKind::AlreadyExists,
        ),
        (
            Write::Merge(numbered("there", 9), matches(etag)?),
            ErrorKind::PreconditionFailed,
        ),
        (
            Write::Replace(numbered("missing", 9), Condition::Exists),
            ErrorKind::NotFound,
        ),
        (delete("missing", Condition::Exists), ErrorKind::NotFound),
    ];
    for (failing, kind) in cases {
        for index in 0..3 {
            let mut writes: Vec<Write> = (0..2)
                .map(|number| Write::Insert(numbered(&format!("new-{number}"), number)))
                .collect();
            writes.insert(index, failing.clone());
            let refused = tables.transact(&table, writes).await;
            let error = ensure_refused(refused, kind, "transaction")?;
            ensure_equal(&error.failed_index(), &Some(index), "index")?;
        }
    }
    let page = tables.query(&table, &Query::default()).await?;
    ensure_equal(&page.rows.len(), &1, "rows at the end")
}

pub(super) async fn refuse_illegal_ones(bench: Bench) -> Outcome {
    let (tables, table) = (&bench.account.tables, bench.table().await?);
    let many = (0..=MAX_TRANSACTION_ROWS).map(|index| Row::new("p", format!("{index:03}")));
    let large = (0..80).map(|index| {
        let mut row = Row::new("p", format!("{index:03}"));
        row.set("A", "x".repeat(MAX_STRING_UNITS));
        row.set("B", "x".repeat(MAX_STRING_UNITS));
        row
    });
    let cases: [(&str, ErrorKind, Vec<Row>); 5] = [
        ("no writes", ErrorKind::Invalid, Vec::new()),
        (
            "two partitions",
            ErrorKind::Invalid,
            vec![Row::new("p", "a"), Row::new("q", "b")],
        ),
        (
            "one row twice",
            ErrorKind::Invalid,
            vec![Row::new("p", "a"), Row::new("p", "a")],
        ),
        ("101 writes", ErrorKind::PayloadTooLarge, many.collect()),
        ("5 MiB", ErrorKind::PayloadTooLarge, large.collect()),
    ];
    for (what, kind, rows) in cases {
        let writes = rows.into_iter().map(Write::Insert).collect();
        ensure_refused(tables.transact(&table, writes).await, kind, what)?;
    }
    let page = tables.query(&table, &Query::default()).await?;
    ensure(page.rows.is_empty(), "nothing was written")
}

pub(super) async fn let_one_of_many_writers_win(bench: Bench) -> Outcome {
    let (tables, table) = (&bench.account.tables, bench.table().await?);
    let mut sentinel = tables
        .write(&table, Write::Insert(numbered("sentinel", 0)))
        .await?;
    for round in 0..4 {
        let condition = matches(sentinel.clone())?;
        let racers = (0..8).map(|racer| {
            let writes = vec![
                Write::InsertOrReplace(numbered(&format!("event-{round}"), racer)),
                Write::Merge(numbered("sentinel", racer), condition.clone()),
            ];
            tables.transact(&table, writes)
        });
        let mut winners = Vec::new();
        for (racer, outcome) in (0..).zip(join_all(racers).await) {
            match outcome {
                Ok(etags) => winners.push((racer, etags[1].clone())),
                refused => drop(ensure_refused(
                    refused,
                    ErrorKind::PreconditionFailed,
                    "a loser",
                )?),
            }
        }
        let [(winner, etag)] = &winners[..] else {
            return Err(Broken(format!("{} winners", winners.len())));
        };
        for row in ["sentinel".to_owned(), format!("event-{round}")] {
            ensure_equal(
                &number_of(&bench, &table, &row).await?,
                &Some(*winner),
                "the winner's write",
            )?;
        }
        sentinel.clone_from(etag);
    }
    Ok(())
}
