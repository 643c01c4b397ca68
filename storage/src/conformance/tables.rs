//! Expectations on tables, except queries.

use bytes::Bytes;
use durabletask_core::Timestamp;
use uuid::Uuid;

use super::{Bench, Broken, Outcome, ensure, ensure_equal, ensure_refused};
use crate::{Condition, ETag, ErrorKind, MAX_STRING_UNITS, Query, Row, RowKeys, Value, Write};

const KEYS: RowKeys<'_> = RowKeys {
    partition: "p",
    row: "r",
};

pub(super) async fn come_and_go(bench: Bench) -> Outcome {
    let tables = &bench.account.tables;
    let names = ["A", "B"].map(|end| format!("{}List{end}", bench.prefix));
    for name in &names {
        ensure(tables.create_table(name).await?, "made")?;
        let same = name.to_uppercase();
        ensure(!tables.create_table(&same).await?, "made only once")?;
    }
    let prefix = format!("{}List", bench.prefix);
    ensure_equal(&tables.list_tables(&prefix).await?, &names.to_vec(), "list")?;
    let other_case = names[0].to_lowercase();
    tables
        .write(&names[0], Write::Insert(Row::new("p", "r")))
        .await?;
    let found = tables.get_row(&other_case, KEYS).await?;
    ensure(found.is_some(), "names without case")?;
    ensure(tables.delete_table(&other_case).await?, "deleted")?;
    ensure(!tables.delete_table(&names[0]).await?, "deleted only once")?;
    ensure_equal(
        &tables.list_tables(&prefix).await?,
        &vec![names[1].clone()],
        "rest",
    )?;
    for name in ["ab", "1abc", "a-bc", "a_bc"] {
        ensure_refused(tables.create_table(name).await, ErrorKind::Invalid, name)?;
    }
    Ok(())
}

pub(super) async fn missing_ones_are_not_found(bench: Bench) -> Outcome {
    let tables = &bench.account.tables;
    let name = format!("{}Missing", bench.prefix);
    let kind = ErrorKind::NotFound;
    ensure_refused(tables.get_row(&name, KEYS).await, kind, "get")?;
    let query = Query::default();
    ensure_refused(tables.query(&name, &query).await, kind, "query")?;
    let row = || Row::new("p", "r");
    for write in [
        Write::Insert(row()),
        Write::InsertOrReplace(row()),
        Write::Merge(row(), Condition::Exists),
        delete("r", Condition::Exists),
    ] {
        ensure_refused(tables.write(&name, write).await, kind, "write")?;
    }
    let writes = vec![Write::Insert(row())];
    ensure_refused(tables.transact(&name, writes).await, kind, "transact")?;

    let table = bench.table().await?;
    let found = tables.get_row(&table, KEYS).await?;
    ensure(found.is_none(), "a missing row is none")
}

pub(super) async fn keep_typed_values(bench: Bench) -> Outcome {
    let (tables, table) = (&bench.account.tables, bench.table().await?);
    let mut row = Row::new("p", "r");
    row.set("Empty", "");
    row.set(
        "Text",
        " <\"'\\>\r\n\t\u{1}\u{7f} 世界 🦀 \u{85}\u{a0}\u{2028}\u{2029}\u{feff} ",
    );
    row.set("LooksLikeADate", "2026-01-01T00:00:00Z");
    row.set("Zero", 0);
    row.set("Least", i32::MIN);
    row.set("Long", Value::Int64(i64::MAX));
    row.set("Small", Value::Int64(5));
    row.set("Third", Value::Double(1.0 / 3.0));
    row.set("Three", Value::Double(3.0));
    row.set("Tiny", Value::Double(5e-324));
    row.set("Yes", true);
    row.set("No", false);
    row.set("First", instant("1601-01-01T00:00:00Z")?);
    row.set("Tick", instant("2026-11-21T12:30:48.5665703Z")?);
    row.set("Last", Value::DateTime(Timestamp::MAX));
    row.set("Guid", Value::Guid(Uuid::from_u128(0x0123_4567 << 96 | 9)));
    row.set("Nothing", Value::Binary(Bytes::new()));
    let bytes: Vec<u8> = (0..=255).collect();
    row.set("Bytes", Value::Binary(bytes.into()));
    let etag = tables.write(&table, Write::Insert(row.clone())).await?;
    let found = tables.get_row(&table, KEYS).await?.unwrap_or_default();
    ensure_same_columns(&found, &row, "get")?;
    ensure_equal(&found.etag, &etag, "ETag of the write and the read")?;
    ensure(found.written.is_some(), "time of the write")?;
    let page = tables.query(&table, &Query::default()).await?;
    let queried = page.rows.first().cloned().unwrap_or_default();
    ensure_same_columns(&queried, &row, "query")?;
    ensure_equal(&queried.etag, &etag, "ETag of the query")?;
    let mut next = row.clone();
    next.row_key.push_str("-batch");
    tables
        .transact(&table, vec![Write::InsertOrReplace(next.clone())])
        .await?;
    let found = tables
        .get_row(&table, next.keys())
        .await?
        .unwrap_or_default();
    ensure_same_columns(&found, &row, "transact")
}

pub(super) async fn keep_odd_keys(bench: Bench) -> Outcome {
    let (tables, table) = (&bench.account.tables, bench.table().await?);
    let keys = [
        ("", "empty partition"),
        ("p", ""),
        ("O'Brien''s", "'"),
        ("%41^%2F", "a+b c&d=e"),
        ("@counter@k\"", "(x,y):;<>{}|~`$!*[]"),
        ("世界 é", "🦀"),
        (".", ".."),
    ];
    for (partition, row) in keys {
        let what = format!("{partition:?}, {row:?}");
        let mut new = Row::new(partition, row);
        new.set("V", 1);
        tables.write(&table, Write::Insert(new.clone())).await?;
        let found = tables.get_row(&table, new.keys()).await?;
        let Some(found) = found else {
            return Err(Broken(format!("{what} not found again")));
        };
        ensure_equal(&found.keys(), &new.keys(), "keys of a get")?;
        let quoted = |key: &str| key.replace('\'', "''");
        let filter = format!(
            "PartitionKey eq '{}' and RowKey eq '{}'",
            quoted(partition),
            quoted(row)
        );
        let page = tables.query(&table, &Query::filter(filter)).await?;
        ensure_equal(&page.rows.len(), &1, &what)?;
        ensure_equal(&page.rows[0].keys(), &new.keys(), "keys of a query")?;
        let etag = tables
            .transact(&table, vec![Write::InsertOrMerge(new.clone())])
            .await?;
        let condition = matches(etag.into_iter().next().flatten())?;
        let removed = Write::Delete {
            partition_key: partition.to_owned(),
            row_key: row.to_owned(),
            condition,
        };
        tables.write(&table, removed).await?;
    }
    let rest = tables.query(&table, &Query::default()).await?;
    ensure(rest.rows.is_empty(), "all deleted")
}

pub(super) async fn refuse_illegal_keys(bench: Bench) -> Outcome {
    let (tables, table) = (&bench.account.tables, bench.table().await?);
    for key in ["a/b", "a\\b", "a#b", "a?b", "a\tb", "a\u{85}"] {
        for row in [Row::new(key, "r"), Row::new("p", key)] {
            let refused = tables.write(&table, Write::Insert(row)).await;
            ensure_refused(refused, ErrorKind::Invalid, &format!("{key:?}"))?;
        }
    }
    Ok(())
}

pub(super) async fn refuse_early_dates(bench: Bench) -> Outcome {
    let (tables, table) = (&bench.account.tables, bench.table().await?);
    for early in [Timestamp::MIN, instant("1600-12-31T23:59:59.9999999Z")?] {
        let mut row = Row::new("p", "r");
        row.set("When", early);
        let refused = tables.write(&table, Write::Insert(row)).await;
        ensure_refused(refused, ErrorKind::Invalid, &early.to_string())?;
    }
    Ok(())
}

pub(super) async fn insert_once(bench: Bench) -> Outcome {
    let (tables, table) = (&bench.account.tables, bench.table().await?);
    tables
        .write(&table, Write::Insert(numbered("r", 1)))
        .await?;
    let again = tables.write(&table, Write::Insert(numbered("r", 2))).await;
    ensure_refused(again, ErrorKind::AlreadyExists, "second insert")?;
    ensure_equal(
        &number_of(&bench, &table, "r").await?,
        &Some(1),
        "the first stays",
    )
}

pub(super) async fn check_etags(bench: Bench) -> Outcome {
    let (tables, table) = (&bench.account.tables, bench.table().await?);
    let first = tables
        .write(&table, Write::Insert(numbered("r", 1)))
        .await?;
    let second = tables
        .write(
            &table,
            Write::Replace(numbered("r", 2), matches(first.clone())?),
        )
        .await?;
    let third = tables
        .write(
            &table,
            Write::Merge(numbered("r", 3), matches(second.clone())?),
        )
        .await?;
    let distinct = first != second && second != third && first != third;
    ensure(distinct, "each write has its own ETag")?;
    for stale in [first, second] {
        let condition = || matches(stale.clone());
        for write in [
            Write::Replace(numbered("r", 9), condition()?),
            Write::Merge(numbered("r", 9), condition()?),
            delete("r", condition()?),
        ] {
            let refused = tables.write(&table, write.clone()).await;
            ensure_refused(refused, ErrorKind::PreconditionFailed, "stale ETag")?;
            let refused = tables.transact(&table, vec![write]).await;
            ensure_refused(
                refused,
                ErrorKind::PreconditionFailed,
                "stale ETag in a transaction",
            )?;
        }
    }
    ensure_equal(
        &number_of(&bench, &table, "r").await?,
        &Some(3),
        "nothing changed",
    )?;
    tables
        .write(&table, delete("r", matches(third.clone())?))
        .await?;
    for condition in [Condition::Exists, matches(third)?] {
        for write in [
            Write::Replace(numbered("r", 9), condition.clone()),
            Write::Merge(numbered("r", 9), condition.clone()),
            delete("r", condition),
        ] {
            let refused = tables.write(&table, write).await;
            ensure_refused(refused, ErrorKind::NotFound, "a row that is gone")?;
        }
    }
    // A row that was made anew has another version than the one before.
    let fourth = tables
        .write(&table, Write::Insert(numbered("r", 4)))
        .await?;
    tables
        .write(&table, delete("r", matches(fourth.clone())?))
        .await?;
    tables
        .write(&table, Write::Insert(numbered("r", 4)))
        .await?;
    let stale = tables.write(&table, delete("r", matches(fourth)?)).await;
    ensure_refused(
        stale,
        ErrorKind::PreconditionFailed,
        "the ETag of a former row",
    )?;
    Ok(())
}

pub(super) async fn merge_and_replace(bench: Bench) -> Outcome {
    let (tables, table) = (&bench.account.tables, bench.table().await?);
    let with = |columns: &[(&str, i32)]| {
        let mut row = Row::new("p", "r");
        for (name, value) in columns {
            row.set(*name, *value);
        }
        row
    };
    let steps = [
        (
            Write::InsertOrMerge(with(&[("A", 1), ("B", 1)])),
            with(&[("A", 1), ("B", 1)]),
        ),
        (
            Write::InsertOrMerge(with(&[("B", 2), ("C", 2)])),
            with(&[("A", 1), ("B", 2), ("C", 2)]),
        ),
        (
            Write::Merge(with(&[("A", 3)]), Condition::Exists),
            with(&[("A", 3), ("B", 2), ("C", 2)]),
        ),
        (
            Write::Replace(with(&[("D", 4)]), Condition::Exists),
            with(&[("D", 4)]),
        ),
        (Write::InsertOrReplace(with(&[("E", 5)])), with(&[("E", 5)])),
        (
            Write::Merge(with(&[]), Condition::Exists),
            with(&[("E", 5)]),
        ),
    ];
    for (index, (write, expected)) in steps.into_iter().enumerate() {
        tables.write(&table, write).await?;
        let found = tables.get_row(&table, KEYS).await?.unwrap_or_default();
        ensure_same_columns(&found, &expected, &format!("step {index}"))?;
    }
    Ok(())
}

pub(super) async fn limit_rows_and_strings(bench: Bench) -> Outcome {
    let (tables, table) = (&bench.account.tables, bench.table().await?);
    let mut row = Row::new("p", "r");
    row.set("Text", "é".repeat(MAX_STRING_UNITS));
    tables.write(&table, Write::Insert(row.clone())).await?;
    row.set("Text", "é".repeat(MAX_STRING_UNITS + 1));
    let too_long = tables.write(&table, Write::InsertOrReplace(row)).await;
    ensure_refused(too_long, ErrorKind::PayloadTooLarge, "32 Ki and one")?;
    let mut row = Row::new("p", "large");
    for index in 0..17 {
        row.set(format!("Text{index}"), "x".repeat(MAX_STRING_UNITS - 100));
    }
    let too_large = tables.write(&table, Write::Insert(row)).await;
    ensure_refused(too_large, ErrorKind::PayloadTooLarge, "over 1 MiB")?;
    Ok(())
}

pub(super) fn numbered(row_key: &str, number: i32) -> Row {
    let mut row = Row::new("p", row_key);
    row.set("N", number);
    row
}

pub(super) async fn number_of(
    bench: &Bench,
    table: &str,
    row: &str,
) -> Result<Option<i32>, Broken> {
    let keys = RowKeys {
        partition: "p",
        row,
    };
    let found = bench.account.tables.get_row(table, keys).await?;
    match found.as_ref().map(|row| row.get("N")) {
        None => Ok(None),
        Some(Some(Value::Int32(number))) => Ok(Some(*number)),
        Some(_) => Err(Broken(format!("row {row} without its number"))),
    }
}

pub(super) fn delete(row_key: &str, condition: Condition) -> Write {
    Write::Delete {
        partition_key: "p".to_owned(),
        row_key: row_key.to_owned(),
        condition,
    }
}

pub(super) fn matches(etag: Option<ETag>) -> Result<Condition, Broken> {
    etag.map(Condition::Matches)
        .ok_or_else(|| Broken("a write without ETag".to_owned()))
}

fn instant(text: &str) -> Result<Timestamp, Broken> {
    text.parse()
        .map_err(|_| Broken(format!("not a time: {text}")))
}

fn ensure_same_columns(found: &Row, expected: &Row, what: &str) -> Outcome {
    for (name, value) in &expected.columns {
        let what = format!("{what}, column {name}");
        ensure_equal(&found.get(name), &Some(value), &what)?;
    }
    ensure_equal(
        &found.columns.len(),
        &expected.columns.len(),
        &format!("{what}, columns"),
    )
}
