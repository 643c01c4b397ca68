//! Expectations on blob leases.

use bytes::Bytes;

use super::blobs::put;
use super::{Bench, Broken, Outcome, ensure, ensure_refused};
use crate::{ErrorKind, PutCondition};

const BLOB: &str = "lease";

/// A container with a blob, and two lease ids.
async fn prepare(bench: &Bench) -> Result<(String, String, String), Broken> {
    let container = bench.container().await?;
    put(bench, &container, BLOB, "{}").await?;
    let id = || bench.env.new_uuid().to_string();
    Ok((container, id(), id()))
}

pub(super) async fn have_one_holder(bench: Bench) -> Outcome {
    let (container, ours, theirs) = prepare(&bench).await?;
    let blobs = &bench.account.blobs;
    let lost = ErrorKind::LeaseLost;
    for seconds in [Some(60), None] {
        blobs
            .acquire_lease(&container, Some(BLOB), &ours, seconds)
            .await?;
        blobs
            .acquire_lease(&container, Some(BLOB), &ours, seconds)
            .await?;
        ensure(is_leased(&bench, &container).await?, "listed as leased")?;
        let refused = blobs
            .acquire_lease(&container, Some(BLOB), &theirs, Some(15))
            .await;
        ensure_refused(refused, lost, "acquire by another")?;
        for refused in [
            blobs.renew_lease(&container, Some(BLOB), &theirs).await,
            blobs.release_lease(&container, Some(BLOB), &theirs).await,
        ] {
            ensure_refused(refused, lost, "renew or release by another")?;
        }
        blobs.renew_lease(&container, Some(BLOB), &ours).await?;
        blobs
            .change_lease(&container, Some(BLOB), &ours, &theirs)
            .await?;
        let refused = blobs.renew_lease(&container, Some(BLOB), &ours).await;
        ensure_refused(refused, lost, "renew after the change")?;
        blobs.renew_lease(&container, Some(BLOB), &theirs).await?;
        blobs.release_lease(&container, Some(BLOB), &theirs).await?;
        ensure(!is_leased(&bench, &container).await?, "listed as free")?;
        let refused = blobs.renew_lease(&container, Some(BLOB), &theirs).await;
        ensure_refused(refused, lost, "renew after the release")?;
    }
    Ok(())
}

pub(super) async fn guard_writes(bench: Bench) -> Outcome {
    let (container, ours, theirs) = prepare(&bench).await?;
    let blobs = &bench.account.blobs;
    let lost = ErrorKind::LeaseLost;
    let put = |lease| {
        blobs.put_blob(
            &container,
            BLOB,
            Bytes::from_static(b"new"),
            PutCondition::Always,
            lease,
        )
    };
    blobs
        .acquire_lease(&container, Some(BLOB), &ours, Some(60))
        .await?;
    for wrong in [None, Some(theirs.as_str())] {
        ensure_refused(put(wrong).await, lost, "write without the lease")?;
        let refused = blobs.delete_blob(&container, BLOB, wrong).await;
        ensure_refused(refused, lost, "delete without the lease")?;
    }
    let read = blobs.get_blob(&container, BLOB).await?;
    ensure(
        read.is_some_and(|blob| blob.content == "{}"),
        "readable and unchanged",
    )?;
    put(Some(&ours)).await?;
    ensure(is_leased(&bench, &container).await?, "leased after a write")?;
    blobs.release_lease(&container, Some(BLOB), &ours).await?;
    ensure_refused(put(Some(&ours)).await, lost, "write with a former lease")?;
    put(None).await?;
    blobs
        .acquire_lease(&container, Some(BLOB), &theirs, None)
        .await?;
    let deleted = blobs.delete_blob(&container, BLOB, Some(&theirs)).await?;
    ensure(deleted, "deleted by the holder")
}

pub(super) async fn guard_containers(bench: Bench) -> Outcome {
    let (container, ours, theirs) = prepare(&bench).await?;
    let blobs = &bench.account.blobs;
    let lost = ErrorKind::LeaseLost;
    let refused = blobs.renew_lease(&container, None, &ours).await;
    ensure_refused(refused, lost, "renew without a lease")?;
    for _ in 0..2 {
        blobs
            .acquire_lease(&container, None, &ours, Some(60))
            .await?;
    }
    let refused = blobs.acquire_lease(&container, None, &theirs, Some(60));
    ensure_refused(refused.await, lost, "acquire by another")?;
    blobs.renew_lease(&container, None, &ours).await?;
    ensure(is_held(&bench, &container).await?, "container is leased")?;
    blobs.change_lease(&container, None, &ours, &theirs).await?;
    let refused = blobs.renew_lease(&container, None, &ours).await;
    ensure_refused(refused, lost, "renew after the change")?;
    put(&bench, &container, BLOB, "blobs are not guarded").await?;
    ensure(!is_leased(&bench, &container).await?, "the blob is free")?;
    let refused = blobs.delete_container(&container).await;
    ensure_refused(refused, lost, "removal of a leased container")?;
    blobs.release_lease(&container, None, &theirs).await?;
    ensure(!is_held(&bench, &container).await?, "container is free")?;
    let refused = blobs.change_lease(&container, None, &theirs, &ours).await;
    ensure_refused(refused, lost, "change without a lease")?;
    ensure(blobs.delete_container(&container).await?, "removed")?;
    let refused = blobs.acquire_lease(&container, None, &ours, Some(60)).await;
    let kinds = [ErrorKind::NotFound, ErrorKind::BeingDeleted];
    ensure(
        refused.is_err_and(|error| kinds.contains(&error.kind())),
        "lease of a container that is gone",
    )
}

pub(super) async fn refuse_illegal_lengths(bench: Bench) -> Outcome {
    let (container, ours, _) = prepare(&bench).await?;
    for seconds in [0, 14, 61, 300] {
        let refused = bench
            .account
            .blobs
            .acquire_lease(&container, Some(BLOB), &ours, Some(seconds))
            .await;
        ensure_refused(refused, ErrorKind::Invalid, &format!("{seconds} s"))?;
    }
    Ok(())
}

pub(super) async fn run_out(bench: Bench) -> Outcome {
    let (container, ours, theirs) = prepare(&bench).await?;
    let blobs = &bench.account.blobs;
    let before = bench.env.monotonic();
    blobs
        .acquire_lease(&container, Some(BLOB), &ours, Some(15))
        .await?;
    bench
        .eventually("taken by another", async || {
            let taken = blobs
                .acquire_lease(&container, Some(BLOB), &theirs, Some(15))
                .await;
            match taken {
                Err(error) if error.kind() == ErrorKind::LeaseLost => Ok(None),
                taken => Ok(Some(taken?)),
            }
        })
        .await?;
    let waited = bench.env.monotonic().saturating_sub(before);
    ensure(waited.as_millis() >= 14_000, "not taken early")?;
    let refused = blobs.renew_lease(&container, Some(BLOB), &ours).await;
    ensure_refused(refused, ErrorKind::LeaseLost, "renew by the former holder")?;
    Ok(())
}

pub(super) async fn can_be_renewed_late(bench: Bench) -> Outcome {
    let (container, ours, theirs) = prepare(&bench).await?;
    let blobs = &bench.account.blobs;
    blobs
        .acquire_lease(&container, Some(BLOB), &ours, Some(15))
        .await?;
    bench
        .eventually("run out", async || {
            let leased = is_leased(&bench, &container).await?;
            Ok((!leased).then_some(()))
        })
        .await?;
    blobs.renew_lease(&container, Some(BLOB), &ours).await?;
    let refused = blobs
        .acquire_lease(&container, Some(BLOB), &theirs, Some(15))
        .await;
    ensure_refused(refused, ErrorKind::LeaseLost, "taken after the renewal")?;
    Ok(())
}

/// Whether the container itself is listed as leased.
async fn is_held(bench: &Bench, container: &str) -> Result<bool, Broken> {
    let found = bench.account.blobs.list_containers(container).await?;
    match &found[..] {
        [container] => Ok(container.leased),
        _ => Err(Broken("the container is not listed".to_owned())),
    }
}

async fn is_leased(bench: &Bench, container: &str) -> Result<bool, Broken> {
    let page = bench
        .account
        .blobs
        .list_blobs(container, BLOB, None)
        .await?;
    match &page.blobs[..] {
        [blob] => Ok(blob.leased),
        _ => Err(Broken("the blob is not listed".to_owned())),
    }
}
