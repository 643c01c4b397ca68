//! The Azure backend on Azurite: what is particular to its protocol.
#![allow(clippy::unwrap_used, reason = "helpers of tests may panic, too")]

use azurite_tests::{azurite, unique_name};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use durabletask_storage::azure::{AzureAccount, AzureOptions, Connection};
use durabletask_storage::{
    Account, Condition, ETag, Env, ErrorKind, MessageHandle, PutCondition, Query, Row, RowKeys,
    Value, Write,
};
use hmac::{Hmac, Mac};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::Sha256;

async fn account() -> Account {
    connect(&azurite::connection().await)
}

fn connect(text: &str) -> Account {
    let connection = Connection::parse(text).unwrap();
    AzureAccount::connect(&connection, AzureOptions::default(), Env::system()).unwrap()
}

#[tokio::test]
async fn message_texts_come_back_character_for_character() {
    let queues = account().await.queues;
    let queue = unique_name("texts");
    assert!(queues.create_queue(&queue).await.unwrap());
    assert!(!queues.create_queue(&queue).await.unwrap());
    let texts = [
        "",
        "   ",
        "\n x \t\n",
        "a\r\nb\rc",
        "<>&\"' &lt; ]]> &#13;",
        "é世🎉\u{fffd}\u{2028}",
        r#"{"$type":"X","a":"\u0001\u0000"}"#,
    ];
    for text in texts {
        queues.put_message(&queue, text, None).await.unwrap();
        let got = queues.get_messages(&queue, 32, 30).await.unwrap();
        assert_eq!(got.len(), 1);
        assert_eq!(got[0].text, text);
        assert_eq!(got[0].dequeue_count, 1);
        queues.delete_message(&queue, &got[0].handle).await.unwrap();
    }
    let full = "x".repeat(65_536);
    queues.put_message(&queue, &full, Some(0)).await.unwrap();
    assert_eq!(queues.peek_messages(&queue, 1).await.unwrap()[0].text, full);
    assert_eq!(queues.count_messages(&queue).await.unwrap(), 1);
    assert_eq!(queues.list_queues(&queue).await.unwrap(), [queue.as_str()]);
    assert!(queues.delete_queue(&queue).await.unwrap());
    assert!(!queues.delete_queue(&queue).await.unwrap());
    let error = queues.get_messages(&queue, 1, 1).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(error.code(), Some("QueueNotFound"));
}

#[tokio::test]
async fn pop_receipts_pass_on_and_run_out() {
    let queues = account().await.queues;
    let queue = unique_name("receipts");
    queues.create_queue(&queue).await.unwrap();
    let sent = queues
        .put_message(&queue, "hidden", Some(3600))
        .await
        .unwrap();
    assert!(sent.next_visible > sent.inserted);
    assert!(queues.get_messages(&queue, 1, 30).await.unwrap().is_empty());
    // A put's receipt is as good as a receive's, and an update without text keeps the text.
    let shown = queues
        .update_message(&queue, &sent.handle, None, 0)
        .await
        .unwrap();
    assert_ne!(shown.handle, sent.handle);
    let stale = queues.update_message(&queue, &sent.handle, None, 0).await;
    assert_eq!(stale.unwrap_err().kind(), ErrorKind::PopReceiptMismatch);
    let got = queues.get_messages(&queue, 1, 30).await.unwrap().remove(0);
    assert_eq!(got.text, "hidden");
    let changed = queues
        .update_message(&queue, &got.handle, Some("<new>"), 0)
        .await
        .unwrap();
    assert_eq!(
        queues.peek_messages(&queue, 1).await.unwrap()[0].text,
        "<new>"
    );
    queues
        .delete_message(&queue, &changed.handle)
        .await
        .unwrap();
    let gone = queues.delete_message(&queue, &changed.handle).await;
    assert_eq!(gone.unwrap_err().kind(), ErrorKind::NotFound);
    let unknown = MessageHandle {
        id: "00000000-0000-0000-0000-000000000000".into(),
        pop_receipt: changed.handle.pop_receipt,
    };
    let unknown = queues.update_message(&queue, &unknown, None, 0).await;
    assert_eq!(unknown.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn rows_of_every_type_come_back() {
    let tables = account().await.tables;
    let table = unique_name("types");
    assert!(tables.create_table(&table).await.unwrap());
    assert!(!tables.create_table(&table).await.unwrap());
    let mut row = Row::new("it's 100% ^ + & = \" ; , ( ) @", "é世🎉 %41 ''");
    row.set("Text", "\u{0}\u{1f}\"\\/é世🎉\r\n ");
    row.set("Empty", "");
    row.set("Small", i32::MIN);
    row.set("Flag", false);
    row.set("Big", Value::Int64(i64::MAX));
    row.set("Number", Value::Double(0.1));
    row.set("Id", Value::Guid(uuid::Uuid::from_u128(7)));
    row.set("Bytes", Value::Binary(Bytes::from_static(&[0, 255])));
    let stamp = "2026-11-21T12:30:48.4040046Z".parse().unwrap();
    row.set("When", Value::DateTime(stamp));
    let etag = tables
        .write(&table, Write::Insert(row.clone()))
        .await
        .unwrap();
    let read = tables.get_row(&table, row.keys()).await.unwrap().unwrap();
    assert_eq!(read.columns, row.columns);
    assert_eq!(
        (&read.partition_key, &read.row_key),
        (&row.partition_key, &row.row_key)
    );
    assert_eq!(read.etag, etag);
    assert!(read.written.is_some());
    let filter = format!(
        "PartitionKey eq '{}'",
        row.partition_key.replace('\'', "''")
    );
    let page = tables.query(&table, &Query::filter(filter)).await.unwrap();
    assert_eq!(page.rows, [read]);
    assert_eq!(tables.list_tables(&table).await.unwrap(), [table.as_str()]);
    assert!(tables.delete_table(&table).await.unwrap());
    let error = tables.get_row(&table, row.keys()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(!tables.delete_table(&table).await.unwrap());
}

#[tokio::test]
async fn refused_transactions_name_the_operation_and_change_nothing() {
    let tables = account().await.tables;
    let table = unique_name("transactions");
    tables.create_table(&table).await.unwrap();
    let row = |name: &str| Row::new("p'1", name);
    tables.write(&table, Write::Insert(row("b"))).await.unwrap();
    let writes = vec![
        Write::Insert(row("a")),
        Write::InsertOrReplace(row("c")),
        Write::Insert(row("b")),
    ];
    let error = tables.transact(&table, writes).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    assert_eq!(error.failed_index(), Some(2));
    assert!(!error.is_after_unknown());
    let page = tables.query(&table, &Query::default()).await.unwrap();
    assert_eq!(page.rows.len(), 1);
    let stale = Condition::Matches(ETag(
        "W/\"datetime'2020-01-01T00%3A00%3A00.0000000Z'\"".into(),
    ));
    let writes = vec![
        Write::InsertOrMerge(row("a")),
        Write::Replace(row("b"), stale),
    ];
    let error = tables.transact(&table, writes).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PreconditionFailed);
    assert_eq!(error.failed_index(), Some(1));
    let writes = vec![
        Write::Insert(row("a")),
        Write::Merge(row("b"), Condition::Exists),
        Write::Merge(row("missing"), Condition::Exists),
    ];
    let error = tables.transact(&table, writes).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(error.failed_index(), Some(2));
    let writes = vec![
        Write::Insert(row("a")),
        Write::Delete {
            partition_key: "p'1".into(),
            row_key: "b".into(),
            condition: Condition::Exists,
        },
    ];
    let etags = tables.transact(&table, writes).await.unwrap();
    assert!(etags[0].is_some() && etags[1].is_none());
    let left = tables.query(&table, &Query::default()).await.unwrap().rows;
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].etag, etags[0]);
}

#[tokio::test]
async fn a_hundred_rows_fit_and_pages_connect() {
    let tables = account().await.tables;
    let table = unique_name("pages");
    tables.create_table(&table).await.unwrap();
    let writes: Vec<_> = (0..100)
        .map(|number| {
            let mut row = Row::new("p", format!("{number:04}"));
            row.set("Number", number);
            row.set("Other", "x".repeat(1_000));
            Write::Insert(row)
        })
        .collect();
    let etags = tables.transact(&table, writes).await.unwrap();
    assert_eq!(etags.iter().flatten().count(), 100);
    let mut query = Query::filter("PartitionKey eq 'p' and RowKey ge '0010'");
    query.select = vec!["Number".into(), "Missing".into()];
    query.top = Some(40);
    let mut seen = Vec::new();
    let mut pages = 0;
    loop {
        let page = tables.query(&table, &query).await.unwrap();
        pages += 1;
        for row in page.rows {
            assert!(row.etag.is_some() && row.written.is_some());
            assert_eq!(row.columns.len(), 1);
            seen.push(row.row_key);
        }
        match page.continuation {
            Some(next) => query.continuation = Some(next),
            None => break,
        }
    }
    let expected: Vec<_> = (10..100).map(|number| format!("{number:04}")).collect();
    assert_eq!(seen, expected);
    assert_eq!(pages, 3);
    let missing = RowKeys {
        partition: "p",
        row: "none",
    };
    assert_eq!(tables.get_row(&table, missing).await.unwrap(), None);
}

#[tokio::test]
async fn blobs_of_any_name_and_size_come_back() {
    let blobs = account().await.blobs;
    let container = unique_name("blobs");
    assert!(blobs.create_container(&container).await.unwrap());
    assert!(!blobs.create_container(&container).await.unwrap());
    let big = Bytes::from(vec![7; 5 * 1024 * 1024]);
    let contents = [
        ("plain", Bytes::from_static(b"x")),
        ("empty", Bytes::new()),
        ("a b/100%/é世🎉?#&+='", Bytes::from_static(b"odd")),
        ("big", big),
    ];
    for (name, content) in contents {
        let put = blobs
            .put_blob(
                &container,
                name,
                content.clone(),
                PutCondition::Absent,
                None,
            )
            .await
            .unwrap();
        let got = blobs.get_blob(&container, name).await.unwrap().unwrap();
        assert_eq!((got.content, got.etag), (content, put.clone()), "{name}");
        let again = blobs
            .put_blob(&container, name, Bytes::new(), PutCondition::Absent, None)
            .await;
        assert_eq!(again.unwrap_err().kind(), ErrorKind::AlreadyExists);
        let newer = blobs
            .put_blob(
                &container,
                name,
                Bytes::new(),
                PutCondition::Matches(put.clone()),
                None,
            )
            .await
            .unwrap();
        assert_ne!(newer, put);
        let stale = blobs
            .put_blob(
                &container,
                name,
                Bytes::new(),
                PutCondition::Matches(put),
                None,
            )
            .await;
        assert_eq!(stale.unwrap_err().kind(), ErrorKind::PreconditionFailed);
    }
    let page = blobs.list_blobs(&container, "", None).await.unwrap();
    let names: Vec<_> = page.blobs.iter().map(|blob| blob.name.as_str()).collect();
    assert_eq!(names, ["a b/100%/é世🎉?#&+='", "big", "empty", "plain"]);
    assert!(blobs.delete_blob(&container, "plain", None).await.unwrap());
    assert!(!blobs.delete_blob(&container, "plain", None).await.unwrap());
    assert!(blobs.get_blob(&container, "plain").await.unwrap().is_none());
    let listed = blobs.list_containers(&container).await.unwrap();
    let names: Vec<_> = listed.into_iter().map(|listed| listed.name).collect();
    assert_eq!(names, [container.as_str()]);
    assert!(
        blobs
            .container_url(&container)
            .ends_with(&format!("/devstoreaccount1/{container}"))
    );
    assert!(blobs.delete_container(&container).await.unwrap());
    assert!(!blobs.delete_container(&container).await.unwrap());
    assert!(blobs.get_blob(&container, "big").await.unwrap().is_none());
    let error = blobs.list_blobs(&container, "", None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn leases_have_one_holder() {
    const OURS: &str = "11111111-1111-4111-8111-111111111111";
    const THEIRS: &str = "22222222-2222-4222-8222-222222222222";
    let blobs = account().await.blobs;
    let container = unique_name("leases");
    blobs.create_container(&container).await.unwrap();
    let (c, b) = (container.as_str(), "default/partition-00");
    let put = |lease: Option<&'static str>| {
        blobs.put_blob(c, b, Bytes::from_static(b"{}"), PutCondition::Always, lease)
    };
    let kind = |outcome: Result<(), durabletask_storage::StorageError>| {
        outcome.map_err(|error| error.kind())
    };
    let missing = kind(blobs.acquire_lease(c, Some(b), OURS, Some(15)).await);
    assert_eq!(missing, Err(ErrorKind::NotFound));
    put(None).await.unwrap();
    assert_eq!(
        kind(blobs.acquire_lease(c, Some(b), OURS, Some(60)).await),
        Ok(())
    );
    assert_eq!(
        kind(blobs.acquire_lease(c, Some(b), OURS, Some(60)).await),
        Ok(())
    );
    let taken = kind(blobs.acquire_lease(c, Some(b), THEIRS, Some(15)).await);
    assert_eq!(taken, Err(ErrorKind::LeaseLost));
    assert_eq!(kind(blobs.renew_lease(c, Some(b), OURS).await), Ok(()));
    assert_eq!(put(None).await.unwrap_err().kind(), ErrorKind::LeaseLost);
    assert_eq!(
        put(Some(THEIRS)).await.unwrap_err().kind(),
        ErrorKind::LeaseLost
    );
    put(Some(OURS)).await.unwrap();
    assert!(blobs.list_blobs(c, "default/", None).await.unwrap().blobs[0].leased);
    assert_eq!(
        kind(blobs.change_lease(c, Some(b), OURS, THEIRS).await),
        Ok(())
    );
    let lost = kind(blobs.renew_lease(c, Some(b), OURS).await);
    assert_eq!(lost, Err(ErrorKind::LeaseLost));
    assert_eq!(kind(blobs.release_lease(c, Some(b), THEIRS).await), Ok(()));
    let twice = kind(blobs.release_lease(c, Some(b), THEIRS).await);
    assert_eq!(twice, Err(ErrorKind::LeaseLost));
    let short = kind(blobs.acquire_lease(c, Some(b), OURS, Some(14)).await);
    assert_eq!(short, Err(ErrorKind::Invalid));
    assert_eq!(
        kind(blobs.acquire_lease(c, Some(b), OURS, None).await),
        Ok(())
    );
}

#[tokio::test]
async fn a_wrong_key_is_named_as_such() {
    let text = azurite::connection().await;
    let wrong = STANDARD.encode("not the key");
    let text: Vec<_> = text
        .split(';')
        .map(|part| match part.split_once('=') {
            Some(("AccountKey", _)) => format!("AccountKey={wrong}"),
            _ => part.to_owned(),
        })
        .collect();
    let account = connect(&text.join(";"));
    let queue = account.queues.put_message("queue", "x", None).await;
    let table = account.tables.query("Table", &Query::default()).await;
    let blob = account.blobs.create_container("container").await;
    for error in [queue.unwrap_err(), table.unwrap_err(), blob.unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::Unauthorized, "{error}");
        assert!(error.to_string().contains("key"), "{error}");
        assert!(!format!("{error:?}").contains(&wrong));
    }
}

#[tokio::test]
async fn a_shared_access_signature_is_enough() {
    let text = azurite::connection().await;
    let part = |name: &str| {
        text.split(';')
            .find_map(|part| part.strip_prefix(name)?.strip_prefix('='))
            .unwrap()
    };
    let signature = account_signature(part("AccountName"), part("AccountKey"));
    let account = connect(&format!(
        "BlobEndpoint={}/;QueueEndpoint={};TableEndpoint={};SharedAccessSignature={signature}",
        part("BlobEndpoint"),
        part("QueueEndpoint"),
        part("TableEndpoint")
    ));
    let name = unique_name("signed");
    account.queues.create_queue(&name).await.unwrap();
    account.queues.put_message(&name, "x", None).await.unwrap();
    account.tables.create_table(&name).await.unwrap();
    let writes = vec![Write::Insert(Row::new("p", "r"))];
    account.tables.transact(&name, writes).await.unwrap();
    account.blobs.create_container(&name).await.unwrap();
    assert!(account.blobs.get_blob(&name, "b").await.unwrap().is_none());
    assert!(!account.blobs.container_url(&name).contains("sig="));
}

/// An account SAS with all permissions, as the portal makes it.
fn account_signature(account: &str, key: &str) -> String {
    const VERSION: &str = "2020-08-04";
    const END: &str = "2099-01-01T00:00:00Z";
    let text = format!("{account}\nrwdlacup\nbqt\nsco\n\n{END}\n\n\n{VERSION}\n");
    let mut mac = Hmac::<Sha256>::new_from_slice(&STANDARD.decode(key).unwrap()).unwrap();
    mac.update(text.as_bytes());
    let signature = STANDARD.encode(mac.finalize().into_bytes());
    format!(
        "?sv={VERSION}&ss=bqt&srt=sco&sp=rwdlacup&se={}&sig={}",
        utf8_percent_encode(END, NON_ALPHANUMERIC),
        utf8_percent_encode(&signature, NON_ALPHANUMERIC)
    )
}
