//! Expectations on table queries.

use durabletask_core::Timestamp;
use uuid::Uuid;

use super::{Bench, Broken, Outcome, ensure, ensure_equal, ensure_refused};
use crate::{Continuation, ErrorKind, Query, Row, Value, Write};

pub(super) async fn sort_by_utf16_units(bench: Bench) -> Outcome {
    let (tables, table) = (&bench.account.tables, bench.table().await?);
    // In this order by UTF-16 units; by code points the crab would come last.
    let sorted = [
        "", "A", "B", "_", "a", "aa", "é", "世", "🦀", "\u{e000}", "\u{ff5e}",
    ];
    for index in [5, 0, 9, 3, 10, 7, 1, 8, 2, 6, 4] {
        let key = sorted[index];
        for row in [Row::new("rows", key), Row::new(format!("z{key}"), "r")] {
            tables.write(&table, Write::Insert(row)).await?;
        }
    }
    let page = tables
        .query(&table, &Query::filter("PartitionKey eq 'rows'"))
        .await?;
    ensure_equal(&row_keys(&page.rows), &sorted.to_vec(), "row keys")?;
    let page = tables
        .query(&table, &Query::filter("PartitionKey ge 'z'"))
        .await?;
    let partitions: Vec<&str> = page
        .rows
        .iter()
        .map(|row| &row.partition_key["z".len()..])
        .collect();
    ensure_equal(&partitions, &sorted.to_vec(), "partition keys")?;
    let between = "PartitionKey eq 'rows' and RowKey gt '世' and RowKey lt '\u{ff5e}'";
    let page = tables.query(&table, &Query::filter(between)).await?;
    ensure_equal(&row_keys(&page.rows), &vec!["🦀", "\u{e000}"], "range")
}

pub(super) async fn page_by_top(bench: Bench) -> Outcome {
    let (tables, table) = (&bench.account.tables, bench.table().await?);
    for partition in ["", "p", "q"] {
        let rows = (0..5).map(|row| {
            let mut row = Row::new(
                partition,
                if row == 0 {
                    String::new()
                } else {
                    format!("r{row}")
                },
            );
            row.set("N", 1);
            Write::Insert(row)
        });
        tables.transact(&table, rows.collect()).await?;
    }
    for (filter, expected) in [
        (None, 15),
        (Some("PartitionKey eq 'p'"), 5),
        (Some("PartitionKey ge 'p' and RowKey ne ''"), 8),
        (Some("RowKey eq ''"), 3),
        (Some("RowKey eq 'none'"), 0),
    ] {
        for top in [1, 2, 4, 1000] {
            let query = Query {
                filter: filter.map(str::to_owned),
                top: Some(top),
                ..Query::default()
            };
            let pages = all_pages(&bench, &table, query).await?;
            let fits = pages.iter().all(|page| page.len() <= top as usize);
            ensure(fits, "pages within $top")?;
            let keys: Vec<(String, String)> = pages
                .into_iter()
                .flatten()
                .map(|row| (row.partition_key, row.row_key))
                .collect();
            let what = format!("rows of {filter:?} by {top}");
            ensure_equal(&keys.len(), &expected, &what)?;
            ensure(keys.is_sorted_by(|a, b| a < b), "order across pages")?;
        }
    }
    Ok(())
}

pub(super) async fn page_by_a_thousand(bench: Bench) -> Outcome {
    let (tables, table) = (&bench.account.tables, bench.table().await?);
    for batch in 0..11 {
        let rows = (0..100).map(|row| Write::Insert(Row::new("p", format!("{batch:02}{row:02}"))));
        tables.transact(&table, rows.collect()).await?;
    }
    let pages = all_pages(&bench, &table, Query::filter("PartitionKey eq 'p'")).await?;
    ensure(pages.iter().all(|page| page.len() <= 1000), "page sizes")?;
    ensure(pages.len() >= 2, "more than one page")?;
    let rows: Vec<Row> = pages.into_iter().flatten().collect();
    ensure_equal(&rows.len(), &1100, "rows")?;
    ensure(rows.is_sorted_by(|a, b| a.row_key < b.row_key), "order")
}

pub(super) async fn select_columns(bench: Bench) -> Outcome {
    let (tables, table) = (&bench.account.tables, bench.table().await?);
    let mut row = Row::new("p", "r");
    row.set("A", 1);
    row.set("B", "b");
    row.set("C", true);
    let etag = tables.write(&table, Write::Insert(row)).await?;
    let query = Query {
        select: ["B", "Missing", "PartitionKey", "RowKey", "Timestamp"]
            .map(str::to_owned)
            .to_vec(),
        ..Query::filter("A eq 1")
    };
    let page = tables.query(&table, &query).await?;
    ensure_equal(&page.rows.len(), &1, "rows")?;
    let row = &page.rows[0];
    let columns: Vec<&str> = row.columns.keys().map(String::as_str).collect();
    ensure_equal(&columns, &vec!["B"], "columns")?;
    ensure_equal(&row.get_str("B"), &Some("b"), "value")?;
    ensure_equal(&row.partition_key.as_str(), &"p", "partition key")?;
    ensure_equal(&row.row_key.as_str(), &"r", "row key")?;
    ensure_equal(&row.etag, &etag, "ETag")
}

pub(super) async fn filter_rows(bench: Bench) -> Outcome {
    let table = sample_table(&bench).await?;
    let cases: &[(&str, &[&str])] = &[
        ("", &["a", "b", "c", "d"]),
        ("PartitionKey eq 'x'", &["a", "b"]),
        ("PartitionKey eq 'x' and RowKey eq 'b'", &["b"]),
        ("PartitionKey ge 'x' and PartitionKey lt 'y'", &["a", "b"]),
        ("PartitionKey lt 'x' or PartitionKey ge 'y'", &["c", "d"]),
        ("RowKey gt 'a' and RowKey le 'c'", &["b", "c"]),
        (
            "PartitionKey eq 'x' and (RowKey eq 'a' or Text eq 'it''s')",
            &["a", "b"],
        ),
        ("Text eq 'it''s'", &["b"]),
        ("Text ne 'one'", &["b"]),
        ("Number eq 3", &["c"]),
        ("Number gt -1 and Number le 2", &["a", "b"]),
        ("Long ge 5000000000L", &["b"]),
        ("Long lt 5000000000L", &["a"]),
        ("Ratio gt 0.25", &["a"]),
        ("Flag eq true", &["a", "c"]),
        ("Flag eq false or Number eq 3", &["b", "c"]),
        ("not (Flag eq true)", &["b", "d"]),
        ("When gt datetime'2026-01-01T00:00:01.0000000Z'", &["b"]),
        ("When le datetime'2026-01-01T00:00:01.0000000Z'", &["a"]),
        ("Id eq guid'00000000-0000-0000-0000-000000000007'", &["a"]),
        (
            "(Flag eq true) and ((Number eq 1) or (Number eq 3))",
            &["a", "c"],
        ),
        ("Number eq 1 or Number eq 2 and Flag eq true", &["a"]),
        ("Missing eq 'x'", &[]),
        ("Missing ne 'x'", &[]),
        ("not (Missing eq 'x')", &["a", "b", "c", "d"]),
        ("Text eq 'nobody' or Missing gt 5", &[]),
    ];
    for (filter, expected) in cases {
        let page = bench
            .account
            .tables
            .query(&table, &Query::filter(*filter))
            .await?;
        ensure_equal(&row_keys(&page.rows), &expected.to_vec(), filter)?;
    }
    Ok(())
}

pub(super) async fn compare_numbers_of_different_types(bench: Bench) -> Outcome {
    let table = sample_table(&bench).await?;
    let cases: &[(&str, &[&str])] = &[
        ("Number gt 1L", &["b", "c"]),
        ("Long eq 5", &["a"]),
        ("Ratio lt 1", &["a", "b"]),
        ("Number ge 1.5", &["b", "c"]),
    ];
    for (filter, expected) in cases {
        let page = bench
            .account
            .tables
            .query(&table, &Query::filter(*filter))
            .await?;
        ensure_equal(&row_keys(&page.rows), &expected.to_vec(), filter)?;
    }
    Ok(())
}

pub(super) async fn compare_dates_to_the_tick(bench: Bench) -> Outcome {
    let table = sample_table(&bench).await?;
    for (filter, expected) in [
        ("When gt datetime'2026-01-01T00:00:00.0000001Z'", "b"),
        ("When lt datetime'2026-01-01T00:00:00.0000002Z'", "a"),
    ] {
        let page = bench
            .account
            .tables
            .query(&table, &Query::filter(filter))
            .await?;
        ensure_equal(&row_keys(&page.rows), &vec![expected], filter)?;
    }
    Ok(())
}

pub(super) async fn refuse_malformed_filters(bench: Bench) -> Outcome {
    let (tables, table) = (&bench.account.tables, bench.table().await?);
    for filter in [
        "RowKey",
        "RowKey eq",
        "RowKey eq 'a",
        "RowKey eq 'a' and",
        "(RowKey eq 'a'",
        "RowKey eq 'a')",
        "RowKey is 'a'",
        "RowKey eq 'a' RowKey eq 'b'",
        "When gt datetime'yesterday'",
        "Id eq guid'7'",
        "Number eq 1x",
        "startswith(RowKey, 'a')",
    ] {
        let refused = tables.query(&table, &Query::filter(filter)).await;
        ensure_refused(refused, ErrorKind::Invalid, filter)?;
    }
    Ok(())
}

/// Rows a and b in partition x, c in y, d in z; d has no columns.
async fn sample_table(bench: &Bench) -> Result<String, Broken> {
    let table = bench.table().await?;
    let first_tick = |second: i64| {
        let start: Result<Timestamp, _> = "2026-01-01T00:00:00.0000001Z".parse();
        Timestamp::from_ticks(start.unwrap_or_default().ticks() + second * 10_000_000)
    };
    let mut a = Row::new("x", "a");
    a.set("Text", "one");
    a.set("Number", 1);
    a.set("Long", Value::Int64(5));
    a.set("Ratio", Value::Double(0.5));
    a.set("Flag", true);
    a.set("When", first_tick(0));
    a.set("Id", Value::Guid(Uuid::from_u128(7)));
    let mut b = Row::new("x", "b");
    b.set("Text", "it's");
    b.set("Number", 2);
    b.set("Long", Value::Int64(5_000_000_000));
    b.set("Ratio", Value::Double(0.25));
    b.set("Flag", false);
    b.set("When", first_tick(1));
    b.set("Id", Value::Guid(Uuid::from_u128(8)));
    let mut c = Row::new("y", "c");
    c.set("Number", 3);
    c.set("Flag", true);
    for row in [a, b, c, Row::new("z", "d")] {
        bench
            .account
            .tables
            .write(&table, Write::Insert(row))
            .await?;
    }
    Ok(table)
}

/// All pages; a user's token of two texts must be enough to go on (chapter 03 §6.5).
async fn all_pages(bench: &Bench, table: &str, mut query: Query) -> Result<Vec<Vec<Row>>, Broken> {
    let mut pages = Vec::new();
    loop {
        let page = bench.account.tables.query(table, &query).await?;
        pages.push(page.rows);
        let Some(continuation) = page.continuation else {
            return Ok(pages);
        };
        let row_key = continuation.next_row_key.unwrap_or_default();
        let spaces = continuation.next_partition_key.contains(' ') || row_key.contains(' ');
        ensure(!spaces, "a continuation without spaces")?;
        query.continuation = Some(Continuation {
            next_partition_key: continuation.next_partition_key,
            next_row_key: Some(row_key).filter(|key| !key.is_empty()),
        });
        ensure(pages.len() < 100, "an end of the pages")?;
    }
}

fn row_keys(rows: &[Row]) -> Vec<&str> {
    rows.iter().map(|row| row.row_key.as_str()).collect()
}
