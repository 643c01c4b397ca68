//! The blob service. Lease rules are in [`super::leases`].

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use durabletask_core::Timestamp;
use rusqlite::{OptionalExtension, params};
use uuid::Uuid;

use super::failure::{Failure, Result as Outcome};
use super::leases::{self, Lease};
use super::tables::{etag_number, etag_text};
use super::{EmbeddedStore, Turn, limits};
use crate::{
    Blob, BlobInfo, BlobPage, Blobs, ContainerInfo, ETag, ErrorKind, PutCondition, Result,
};

/// Bytes one blob may have: 256 MiB.
const MAX_BLOB_BYTES: usize = 256 * 1024 * 1024;
/// Blobs one page of a list may have.
const MAX_PAGE_BLOBS: usize = 5_000;

#[async_trait]
impl Blobs for EmbeddedStore {
    async fn create_container(&self, container: &str) -> Result<bool> {
        limits::resource_name(container)
            .map_err(|failure| failure.into_error("create_container", container))?;
        self.write("create_container", container, |turn| {
            if turn.find_container(turn.name)?.is_some() {
                return Ok(false);
            }
            let id = turn.draw_numbers(1)?;
            turn.connection
                .prepare_cached("INSERT INTO containers (id, name) VALUES (?1, ?2)")?
                .execute(params![id, turn.name])?;
            Ok(true)
        })
        .await
    }

    async fn delete_container(&self, container: &str) -> Result<bool> {
        self.write("delete_container", container, |turn| {
            let Some((id, lease)) = turn.container_lease(turn.name)? else {
                return Ok(false);
            };
            lease.check_write(None, turn.now)?;
            for statement in [
                "DELETE FROM blobs WHERE container = ?1",
                "DELETE FROM containers WHERE id = ?1",
            ] {
                turn.connection.prepare_cached(statement)?.execute([id])?;
            }
            Ok(true)
        })
        .await
    }

    async fn list_containers(&self, prefix: &str) -> Result<Vec<ContainerInfo>> {
        self.read("list_containers", prefix, |turn| {
            let names = turn.list_names("SELECT name FROM containers ORDER BY name", turn.name)?;
            let found = names.into_iter().map(|name| {
                let lease = turn.container_lease(&name)?.map(|(_, lease)| lease);
                let leased = lease.is_some_and(|lease| lease.is_held(turn.now));
                Ok(ContainerInfo { name, leased })
            });
            found.collect()
        })
        .await
    }

    async fn put_blob(
        &self,
        container: &str,
        blob: &str,
        content: Bytes,
        condition: PutCondition,
        lease: Option<&str>,
    ) -> Result<ETag> {
        let name = BlobName::of(container, blob);
        let check = || {
            limits::blob_name(blob)?;
            if content.len() > MAX_BLOB_BYTES {
                return Err(Failure::too_large(
                    "RequestBodyTooLarge",
                    format!("a blob of {} bytes", content.len()),
                ));
            }
            lease.map(leases::parse_id).transpose()
        };
        let lease = check().map_err(|f| f.into_error("put_blob", name.to_string()))?;
        self.write("put_blob", &name.to_string(), move |turn| {
            turn.put_blob(&name, &content, &condition, lease)
        })
        .await
    }

    async fn get_blob(&self, container: &str, blob: &str) -> Result<Option<Blob>> {
        let name = BlobName::of(container, blob);
        self.read("get_blob", &name.to_string(), move |turn| {
            let Some(container) = turn.find_container(&name.container)? else {
                return Ok(None);
            };
            Ok(turn
                .connection
                .prepare_cached(
                    "SELECT content, etag FROM blobs WHERE container = ?1 AND name = ?2",
                )?
                .query_row(params![container, name.blob.as_bytes()], |row| {
                    Ok(Blob {
                        content: row.get::<_, Vec<u8>>(0)?.into(),
                        etag: etag_text(row.get(1)?),
                    })
                })
                .optional()?)
        })
        .await
    }

    async fn delete_blob(&self, container: &str, blob: &str, lease: Option<&str>) -> Result<bool> {
        let name = BlobName::of(container, blob);
        let lease = lease
            .map(leases::parse_id)
            .transpose()
            .map_err(|f| f.into_error("delete_blob", name.to_string()))?;
        self.write("delete_blob", &name.to_string(), move |turn| {
            let Some(stored) = turn.find_blob(&name)? else {
                return Ok(false);
            };
            stored.lease.check_write(lease, turn.now)?;
            turn.connection
                .prepare_cached("DELETE FROM blobs WHERE rowid = ?1")?
                .execute([stored.row_id])?;
            Ok(true)
        })
        .await
    }

    async fn list_blobs(
        &self,
        container: &str,
        prefix: &str,
        marker: Option<&str>,
    ) -> Result<BlobPage> {
        let (prefix, marker) = (prefix.to_owned(), marker.map(str::to_owned));
        self.read("list_blobs", container, move |turn| {
            turn.list_blobs(&prefix, marker.as_deref())
        })
        .await
    }

    async fn acquire_lease(
        &self,
        container: &str,
        blob: Option<&str>,
        lease: &str,
        seconds: Option<u32>,
    ) -> Result<()> {
        let id = leases::parse_id(lease);
        self.change("acquire_lease", container, blob, move |old, now| {
            old.acquire(id?, seconds, now)
        })
        .await
    }

    async fn renew_lease(&self, container: &str, blob: Option<&str>, lease: &str) -> Result<()> {
        let id = leases::parse_id(lease);
        self.change("renew_lease", container, blob, move |old, now| {
            old.renew(id?, now)
        })
        .await
    }

    async fn release_lease(&self, container: &str, blob: Option<&str>, lease: &str) -> Result<()> {
        let id = leases::parse_id(lease);
        self.change("release_lease", container, blob, move |old, _| {
            old.release(id?)
        })
        .await
    }

    async fn change_lease(
        &self,
        container: &str,
        blob: Option<&str>,
        lease: &str,
        proposed: &str,
    ) -> Result<()> {
        let (id, proposed) = (leases::parse_id(lease), leases::parse_id(proposed));
        self.change("change_lease", container, blob, move |old, now| {
            old.hand_over(id?, proposed?, now)
        })
        .await
    }

    fn container_url(&self, container: &str) -> String {
        format!("embedded://{}/{container}", self.name())
    }
}

impl EmbeddedStore {
    /// Replaces the lease of a blob, or of a container itself, by what `next` makes of it.
    async fn change(
        &self,
        operation: &'static str,
        container: &str,
        blob: Option<&str>,
        next: impl FnOnce(Lease, Timestamp) -> Outcome<Lease> + Send + 'static,
    ) -> Result<()> {
        let Some(blob) = blob else {
            return self
                .write(operation, container, move |turn| {
                    let (id, lease) = turn
                        .container_lease(turn.name)?
                        .ok_or_else(|| Failure::new(ErrorKind::NotFound, "ContainerNotFound"))?;
                    turn.set_lease("containers", id, &next(lease, turn.now)?)
                })
                .await;
        };
        let name = BlobName::of(container, blob);
        self.write(operation, &name.to_string(), move |turn| {
            let stored = turn
                .find_blob(&name)?
                .ok_or_else(|| Failure::new(ErrorKind::NotFound, "BlobNotFound"))?;
            turn.set_lease("blobs", stored.row_id, &next(stored.lease, turn.now)?)
        })
        .await
    }
}

struct BlobName {
    container: String,
    blob: String,
}

impl BlobName {
    fn of(container: &str, blob: &str) -> Self {
        Self {
            container: container.to_owned(),
            blob: blob.to_owned(),
        }
    }
}

impl fmt::Display for BlobName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.container, self.blob)
    }
}

struct StoredBlob {
    row_id: i64,
    etag: i64,
    lease: Lease,
}

/// A lease in three columns, from `first` on.
fn read_lease(row: &rusqlite::Row<'_>, first: usize) -> rusqlite::Result<Lease> {
    let id: Option<String> = row.get(first)?;
    Ok(Lease {
        id: id.and_then(|id| id.parse().ok()),
        seconds: row.get(first + 1)?,
        until: row
            .get::<_, Option<i64>>(first + 2)?
            .map(Timestamp::from_ticks),
    })
}

impl Turn<'_> {
    fn find_container(&self, name: &str) -> Outcome<Option<i64>> {
        Ok(self
            .connection
            .prepare_cached("SELECT id FROM containers WHERE name = ?1")?
            .query_row([name], |row| row.get(0))
            .optional()?)
    }

    fn container(&self, name: &str) -> Outcome<i64> {
        self.find_container(name)?
            .ok_or_else(|| Failure::new(ErrorKind::NotFound, "ContainerNotFound"))
    }

    /// A container with its own lease; `None` if it is missing.
    fn container_lease(&self, name: &str) -> Outcome<Option<(i64, Lease)>> {
        Ok(self
            .connection
            .prepare_cached(
                "SELECT id, lease, lease_seconds, lease_until FROM containers WHERE name = ?1",
            )?
            .query_row([name], |row| Ok((row.get(0)?, read_lease(row, 1)?)))
            .optional()?)
    }

    /// Writes the lease of a row of `table`, which is one with the columns of a lease.
    fn set_lease(&self, table: &'static str, row_id: i64, lease: &Lease) -> Outcome<()> {
        self.connection
            .prepare_cached(&format!(
                "UPDATE {table} SET lease = ?2, lease_seconds = ?3, lease_until = ?4
                 WHERE rowid = ?1"
            ))?
            .execute(params![
                row_id,
                lease.id.map(|id| id.to_string()),
                lease.seconds,
                lease.until.map(Timestamp::ticks)
            ])?;
        Ok(())
    }

    /// `None` if the blob or its container is missing.
    fn find_blob(&self, name: &BlobName) -> Outcome<Option<StoredBlob>> {
        Ok(self
            .connection
            .prepare_cached(
                "SELECT rowid, etag, lease, lease_seconds, lease_until FROM blobs
                 WHERE container = (SELECT id FROM containers WHERE name = ?1) AND name = ?2",
            )?
            .query_row(params![name.container, name.blob.as_bytes()], |row| {
                Ok(StoredBlob {
                    row_id: row.get(0)?,
                    etag: row.get(1)?,
                    lease: read_lease(row, 2)?,
                })
            })
            .optional()?)
    }

    fn put_blob(
        &self,
        name: &BlobName,
        content: &[u8],
        condition: &PutCondition,
        lease: Option<Uuid>,
    ) -> Outcome<ETag> {
        let container = self.container(&name.container)?;
        let stored = self.find_blob(name)?;
        match (condition, &stored) {
            (PutCondition::Absent, Some(_)) => {
                return Err(Failure::new(ErrorKind::AlreadyExists, "BlobAlreadyExists"));
            }
            (PutCondition::Matches(wanted), found) => {
                let wanted = etag_number(wanted)?;
                if found.as_ref().is_none_or(|found| found.etag != wanted) {
                    return Err(Failure::new(
                        ErrorKind::PreconditionFailed,
                        "ConditionNotMet",
                    ));
                }
            }
            (PutCondition::Always | PutCondition::Absent, _) => {}
        }
        let kept = stored.map(|found| found.lease).unwrap_or_default();
        kept.check_write(lease, self.now)?;
        // A write ends a lease that has run out: its holder can no longer renew it.
        let kept = if kept.is_held(self.now) {
            kept
        } else {
            Lease::default()
        };
        let etag = self.draw_numbers(1)?;
        self.connection
            .prepare_cached("INSERT OR REPLACE INTO blobs VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?
            .execute(params![
                container,
                name.blob.as_bytes(),
                etag,
                self.now.ticks(),
                kept.id.map(|id| id.to_string()),
                kept.seconds,
                kept.until.map(Timestamp::ticks),
                content
            ])?;
        Ok(etag_text(etag))
    }

    fn list_blobs(&self, prefix: &str, marker: Option<&str>) -> Outcome<BlobPage> {
        let start = prefix.max(marker.unwrap_or(""));
        let mut statement = self.connection.prepare_cached(
            "SELECT name, length(content), written, lease, lease_until FROM blobs
             WHERE container = ?1 AND name >= ?2 ORDER BY name",
        )?;
        let mut found = statement.query(params![self.container(self.name)?, start.as_bytes()])?;
        let mut page = BlobPage::default();
        while let Some(row) = found.next()? {
            let name = String::from_utf8(row.get(0)?)
                .map_err(|_| Failure::corrupt("a blob name is not UTF-8"))?;
            if !name.starts_with(prefix) {
                break;
            }
            if page.blobs.len() == MAX_PAGE_BLOBS {
                page.marker = Some(name);
                break;
            }
            let until: Option<i64> = row.get(4)?;
            let leased = row.get::<_, Option<String>>(3)?.is_some()
                && until.is_none_or(|until| until > self.now.ticks());
            page.blobs.push(BlobInfo {
                name,
                bytes: row.get::<_, i64>(1)?.cast_unsigned(),
                written: Some(Timestamp::from_ticks(row.get(2)?)),
                leased,
            });
        }
        Ok(page)
    }
}
