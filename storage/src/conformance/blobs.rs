//! Expectations on containers and blobs.

use bytes::Bytes;

use super::{Bench, Broken, Outcome, ensure, ensure_equal, ensure_refused};
use crate::{BlobInfo, ErrorKind, PutCondition};

pub(super) async fn containers_come_and_go(bench: Bench) -> Outcome {
    let blobs = &bench.account.blobs;
    let names = ["a", "b"].map(|end| format!("{}-{end}", bench.prefix));
    for name in &names {
        ensure(blobs.create_container(name).await?, "made")?;
        ensure(!blobs.create_container(name).await?, "made only once")?;
    }
    let prefix = format!("{}-", bench.prefix);
    let found = container_names(&bench, &prefix).await?;
    ensure_equal(&found, &names.to_vec(), "list")?;
    let url = blobs.container_url(&names[0]);
    let parsed = url::Url::parse(&url).map_err(|error| Broken(format!("{url}: {error}")))?;
    let ends = parsed.path().ends_with(&format!("/{}", names[0]));
    ensure(ends && parsed.query().is_none(), "address of a container")?;
    put(&bench, &names[0], "x", "content").await?;
    ensure(blobs.delete_container(&names[0]).await?, "deleted")?;
    ensure(
        !blobs.delete_container(&names[0]).await?,
        "deleted only once",
    )?;
    let found = container_names(&bench, &prefix).await?;
    ensure_equal(&found, &vec![names[1].clone()], "rest")?;
    let missing = blobs.get_blob(&names[0], "x").await?;
    ensure(missing.is_none(), "the blobs went with the container")?;
    let refused = blobs.create_container("Upper").await;
    ensure_refused(refused, ErrorKind::Invalid, "illegal name")?;
    Ok(())
}

async fn container_names(bench: &Bench, prefix: &str) -> Result<Vec<String>, Broken> {
    let found = bench.account.blobs.list_containers(prefix).await?;
    Ok(found.into_iter().map(|container| container.name).collect())
}

pub(super) async fn missing_ones_are_not_found(bench: Bench) -> Outcome {
    let blobs = &bench.account.blobs;
    let missing = format!("{}-missing", bench.prefix);
    let kind = ErrorKind::NotFound;
    let refused = blobs
        .put_blob(&missing, "x", Bytes::new(), PutCondition::Always, None)
        .await;
    ensure_refused(refused, kind, "put without container")?;
    let refused = blobs.list_blobs(&missing, "", None).await;
    ensure_refused(refused, kind, "list without container")?;
    let container = bench.container().await?;
    let lease = bench.env.new_uuid().to_string();
    for container in [&missing, &container] {
        let found = blobs.get_blob(container, "x").await?;
        ensure(found.is_none(), "get")?;
        ensure(!blobs.delete_blob(container, "x", None).await?, "delete")?;
        let refused = blobs
            .acquire_lease(container, Some("x"), &lease, Some(15))
            .await;
        ensure_refused(refused, kind, "lease of nothing")?;
    }
    Ok(())
}

pub(super) async fn keep_content(bench: Bench) -> Outcome {
    let (blobs, container) = (&bench.account.blobs, bench.container().await?);
    let all_bytes: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    let contents = [Bytes::new(), Bytes::from_static(b"{}"), all_bytes.into()];
    for name in ["plain", "a b/c%2F+d/é世🦀.json.gz", "@counter@k/x(1)'&="] {
        let mut versions = Vec::new();
        for content in &contents {
            let etag = blobs
                .put_blob(
                    &container,
                    name,
                    content.clone(),
                    PutCondition::Always,
                    None,
                )
                .await?;
            let Some(found) = blobs.get_blob(&container, name).await? else {
                return Err(Broken(format!("{name} not found again")));
            };
            let same = found.content == *content;
            ensure(same, &format!("{name}, {} bytes", content.len()))?;
            ensure_equal(&found.etag, &etag, "ETag of the put and the get")?;
            versions.push(etag);
        }
        versions.dedup();
        ensure_equal(&versions.len(), &contents.len(), "distinct ETags")?;
        ensure(blobs.delete_blob(&container, name, None).await?, "deleted")?;
        ensure(!blobs.delete_blob(&container, name, None).await?, "once")?;
    }
    Ok(())
}

pub(super) async fn check_conditions(bench: Bench) -> Outcome {
    let (blobs, container) = (&bench.account.blobs, bench.container().await?);
    let put = |text: &'static str, condition| {
        blobs.put_blob(
            &container,
            "x",
            Bytes::from_static(text.as_bytes()),
            condition,
            None,
        )
    };
    let first = put("1", PutCondition::Absent).await?;
    let refused = put("2", PutCondition::Absent).await;
    ensure_refused(refused, ErrorKind::AlreadyExists, "already there")?;
    let second = put("3", PutCondition::Matches(first.clone())).await?;
    ensure(first != second, "another version")?;
    let refused = put("4", PutCondition::Matches(first)).await;
    ensure_refused(refused, ErrorKind::PreconditionFailed, "stale ETag")?;
    let found = blobs.get_blob(&container, "x").await?;
    let content = found.map(|blob| blob.content).unwrap_or_default();
    ensure_equal(&content, &Bytes::from_static(b"3"), "content")?;
    blobs.delete_blob(&container, "x", None).await?;
    let refused = put("5", PutCondition::Matches(second)).await;
    ensure_refused(
        refused,
        ErrorKind::PreconditionFailed,
        "the ETag of a blob that is gone",
    )?;
    Ok(())
}

pub(super) async fn list_by_prefix(bench: Bench) -> Outcome {
    let (blobs, container) = (&bench.account.blobs, bench.container().await?);
    let names = ["a/1", "a/10", "a/2", "a0", "b", "é/1"];
    for name in ["b", "a/10", "é/1", "a0", "a/2", "a/1"] {
        put(&bench, &container, name, name).await?;
    }
    for (prefix, expected) in [
        ("", &names[..]),
        ("a", &names[..4]),
        ("a/", &names[..3]),
        ("a/1", &names[..2]),
        ("é", &names[5..]),
        ("c", &[]),
    ] {
        let page = blobs.list_blobs(&container, prefix, None).await?;
        ensure(page.marker.is_none(), "one page")?;
        let found: Vec<&str> = page.blobs.iter().map(|blob| blob.name.as_str()).collect();
        ensure_equal(&found, &expected.to_vec(), &format!("prefix {prefix:?}"))?;
        for blob in &page.blobs {
            ensure_equal(&blob.bytes, &(blob.name.len() as u64), "size")?;
            ensure(blob.written.is_some() && !blob.leased, "time and lease")?;
        }
    }
    Ok(())
}

pub(super) async fn list_in_pages(bench: Bench) -> Outcome {
    const BLOBS: usize = 5_010;
    let (blobs, container) = (&bench.account.blobs, bench.container().await?);
    for index in 0..BLOBS {
        put(&bench, &container, &format!("b/{index:05}"), "").await?;
    }
    put(&bench, &container, "c", "").await?;
    let mut found: Vec<BlobInfo> = Vec::new();
    let mut marker = None;
    loop {
        let page = blobs
            .list_blobs(&container, "b/", marker.as_deref())
            .await?;
        ensure(page.blobs.len() <= 5_000, "page size")?;
        found.extend(page.blobs);
        marker = page.marker;
        if marker.is_none() {
            break;
        }
    }
    ensure_equal(&found.len(), &BLOBS, "blobs")?;
    ensure(found.is_sorted_by(|a, b| a.name < b.name), "order")
}

pub(super) async fn put(bench: &Bench, container: &str, name: &str, text: &str) -> Outcome {
    let content = Bytes::copy_from_slice(text.as_bytes());
    bench
        .account
        .blobs
        .put_blob(container, name, content, PutCondition::Always, None)
        .await?;
    Ok(())
}
