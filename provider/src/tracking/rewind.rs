//! Rewinding failed instances: history and instance rows (chapter 03 §7.3).

use std::collections::BTreeSet;

use durabletask_core::episode::is_derived_id;
use durabletask_core::{EventType, OrchestrationStatus};
use durabletask_storage::{Condition, ErrorKind, Row, StorageError, Write};
use futures::FutureExt;
use futures::future::BoxFuture;

use crate::TaskHub;
use crate::error::TaskHubError;
use crate::wire::instance_row::InstanceRow;
use crate::wire::rewound::{self, Failure};
use crate::wire::{WireError, filter, history_row, instance_row};

/// Attempts to write an instance row that keeps changing.
const MAX_ROW_ATTEMPTS: usize = 10;

/// What a rewind went through, an instance and its failed descendants.
#[derive(Debug, Default)]
pub(crate) struct Rewound {
    /// Instances to wake: those without failed children.
    pub(crate) leaves: Vec<String>,
    seen: BTreeSet<String>,
}

/// An execution that was rewound and has not run since.
#[derive(Debug)]
pub(crate) struct Asleep {
    /// Children that were rewound with it.
    children: Vec<String>,
}

impl TaskHub {
    /// Takes the failures out of an instance's history, children first. Each row is replaced under
    /// the ETag that was read; the sentinel is not touched. Price: three table transactions, two or
    /// three per failure, one or two per decision without an answer, one for the instance row, which
    /// was read before; the same and that read for every failed descendant.
    ///
    /// Where the chapter's algorithm breaks off in the middle (a decision whose row an interrupted
    /// rewind has rewritten already), this one goes on.
    pub(crate) fn rewind_rows<'a>(
        &'a self,
        instance_id: &'a str,
        row: Option<InstanceRow>,
        rewound: &'a mut Rewound,
    ) -> BoxFuture<'a, Result<(), TaskHubError>> {
        async move {
            if !rewound.seen.insert(instance_id.to_owned()) {
                return Ok(());
            }
            let execution_id = self.execution_to_rewind(instance_id).await?;
            let table = &self.tables().history;
            let failures = self
                .query_all(table, filter::failures(instance_id, &execution_id))
                .await?;
            let (mut has_child, mut has_task, mut end) = (false, false, None);
            for failure in failures {
                let what = rewound::failure_of(&failure).map_err(unreadable(&failure))?;
                match what {
                    Failure::Orchestration => {
                        // Others are ends of earlier runs, rewound by then.
                        if is_end(&failure) {
                            end = Some(failure);
                            continue;
                        }
                    }
                    Failure::Task(id) => {
                        has_task = true;
                        let scheduled = self
                            .decision(instance_id, &execution_id, id, EventType::TaskScheduled)
                            .await?;
                        if let Some(row) = scheduled {
                            self.replace_row(row, rewound::blank).await?;
                        }
                    }
                    Failure::Child(id) => {
                        has_child = true;
                        let created = EventType::SubOrchestrationCreated;
                        let created = self
                            .decision(instance_id, &execution_id, id, created)
                            .await?;
                        if let Some(row) = created {
                            let child = rewound::child_of(&row).map_err(unreadable(&row))?;
                            let child = child.to_owned();
                            self.replace_row(row, rewound::mark).await?;
                            let row = self.instance_row(&child, false).await?;
                            self.rewind_rows(&child, row, rewound).await?;
                        }
                    }
                }
                self.replace_row(failure, rewound::blank).await?;
            }
            // Last: until then a message that comes meanwhile finds an instance that has ended, and
            // from then on one that is rewound as a whole.
            if let Some(end) = end {
                self.redo_unanswered(instance_id, &execution_id).await?;
                self.replace_row(end, rewound::blank).await?;
            }
            self.show_rewound(instance_id, row).await?;
            if has_child {
                return Ok(());
            }
            rewound.leaves.push(instance_id.to_owned());
            if !has_task {
                // Perhaps an interrupted rewind dealt with them, and nobody woke the children.
                let children = self.rewound_children(instance_id, &execution_id).await?;
                let asleep = self.asleep_below(Vec::new(), children).await?;
                rewound.leaves.extend(asleep);
            }
            Ok(())
        }
        .boxed()
    }

    /// Takes decisions without an answer out of the replay, so that they are made again: an answer
    /// that came while the instance was Failed was dropped, and nobody sends it again. .NET leaves
    /// them, and such an instance waits for ever. What still runs is done twice at worst. Children
    /// with random execution ids are left while they run: started again they would run anew.
    async fn redo_unanswered(
        &self,
        instance_id: &str,
        execution_id: &str,
    ) -> Result<(), TaskHubError> {
        let rows = self.history_of(instance_id, execution_id).await?;
        if !rows.iter().any(is_end) {
            // Another rewind was faster, and what is open now was decided since.
            return Ok(());
        }
        for row in rewound::unanswered(rows) {
            if let Ok(child) = rewound::child_of(&row)
                && !self.may_start_again(child).await?
            {
                continue;
            }
            self.replace_row(row, rewound::blank).await?;
        }
        Ok(())
    }

    /// Whether a child that is started once more does no more than answer once more.
    async fn may_start_again(&self, child: &str) -> Result<bool, TaskHubError> {
        let row = self.instance_row(child, false).await?;
        Ok(row.is_some_and(|row| {
            row.runtime_status
                .is_some_and(OrchestrationStatus::is_terminal)
                || row.execution_id.as_deref().is_some_and(is_derived_id)
        }))
    }

    /// Makes the row of an instance whose history was rewound Pending, over the version that was
    /// read. .NET does so without a condition: if that lands late, the row of an instance that has
    /// run since is Pending for ever. A row that was changed and shows no failure any more belongs
    /// to somebody who was faster: another rewind, or the run that followed it.
    async fn show_rewound(
        &self,
        instance_id: &str,
        mut row: Option<InstanceRow>,
    ) -> Result<(), TaskHubError> {
        let table = &self.tables().instances;
        for _ in 0..MAX_ROW_ATTEMPTS {
            let Some(etag) = row.and_then(|row| row.etag) else {
                return Ok(());
            };
            let pending = instance_row::rewind_row(instance_id, self.env().now());
            let write = Write::Merge(pending, Condition::Matches(etag));
            match self.account().tables.write(table, write).await {
                Ok(_) => return Ok(()),
                Err(error) if error.is_conflict() || error.is_not_found() => {}
                Err(error) => return Err(error.into()),
            }
            let changed = self.instance_row(instance_id, false).await?;
            row = changed.filter(|row| row.runtime_status == Some(OrchestrationStatus::Failed));
        }
        Err(TaskHubError::Busy {
            instance_id: instance_id.to_owned(),
        })
    }

    /// The current execution. .NET takes that of the last `OrchestratorStarted` row, which may be
    /// a left-over of a longer, earlier execution (§7.3 TRAP): if the rows disagree, the sentinel
    /// decides.
    async fn execution_to_rewind(&self, instance_id: &str) -> Result<String, TaskHubError> {
        let table = &self.tables().history;
        let rows = self.query_all(table, filter::episodes(instance_id)).await?;
        let executions: BTreeSet<_> = rows.iter().map(history_row::execution_id).collect();
        let last = rows.last().and_then(history_row::execution_id);
        let mut current = last.map(str::to_owned);
        if executions.len() > 1 {
            let sentinel = self.sentinel_row(instance_id).await?;
            let named = sentinel.as_ref().and_then(history_row::execution_id);
            current = named.map(str::to_owned).or(current);
        }
        current.ok_or_else(|| TaskHubError::NoHistory {
            instance_id: instance_id.to_owned(),
        })
    }

    async fn sentinel_row(&self, instance_id: &str) -> Result<Option<Row>, StorageError> {
        let key = crate::wire::names::escape_key(instance_id);
        let keys = durabletask_storage::RowKeys {
            partition: &key,
            row: crate::wire::names::SENTINEL_ROW_KEY,
        };
        let tables = &self.account().tables;
        tables.get_row(&self.tables().history, keys).await
    }

    /// The row of the decision with that task id that has not been taken out of the replay.
    async fn decision(
        &self,
        instance_id: &str,
        execution_id: &str,
        task_id: i32,
        event: EventType,
    ) -> Result<Option<Row>, StorageError> {
        let query = filter::decision(instance_id, execution_id, task_id, event);
        let rows = self.query_all(&self.tables().history, query).await?;
        Ok(rows.into_iter().next())
    }

    async fn replace_row(
        &self,
        mut row: Row,
        change: impl FnOnce(&mut Row) -> Result<(), WireError>,
    ) -> Result<(), TaskHubError> {
        change(&mut row).map_err(unreadable(&row))?;
        let Some(etag) = row.etag.clone() else {
            let error = StorageError::new(ErrorKind::Other, "query", &self.tables().history);
            return Err(error.with_detail("a row came without its ETag").into());
        };
        let write = Write::Replace(row, Condition::Matches(etag));
        let tables = &self.account().tables;
        tables.write(&self.tables().history, write).await?;
        Ok(())
    }

    /// The history rows of an execution. One table transaction per 1,000 rows.
    async fn history_of(
        &self,
        instance_id: &str,
        execution_id: &str,
    ) -> Result<Vec<Row>, StorageError> {
        let query = filter::history(instance_id, Some(execution_id));
        let mut rows = self.query_all(&self.tables().history, query).await?;
        rows.retain(|row| !history_row::is_sentinel(row));
        Ok(rows)
    }

    /// Whether the execution was rewound and has not run since. Price: one table transaction per
    /// 1,000 rows.
    pub(crate) async fn asleep(
        &self,
        instance_id: &str,
        execution_id: &str,
    ) -> Result<Option<Asleep>, TaskHubError> {
        let rows = self.history_of(instance_id, execution_id).await?;
        if !rewound::is_asleep(&rows) {
            return Ok(None);
        }
        let children = marked_children(&rows)?;
        Ok(Some(Asleep { children }))
    }

    /// Those instances as far as they sleep; their rewound children, and those of sleeping ones, in
    /// any case: one that has ended before its parent was rewound, or is about to, has answered to
    /// nobody, and a wake-up lets it answer again.
    pub(crate) async fn asleep_below(
        &self,
        mut pending: Vec<String>,
        mut children: Vec<String>,
    ) -> Result<Vec<String>, TaskHubError> {
        let mut seen = BTreeSet::new();
        let mut found = Vec::new();
        loop {
            let (instance_id, is_child) = match pending.pop() {
                Some(instance_id) => (instance_id, false),
                None => match children.pop() {
                    Some(child) => (child, true),
                    None => break,
                },
            };
            if !seen.insert(instance_id.clone()) {
                continue;
            }
            let row = self.instance_row(&instance_id, false).await?;
            if is_child {
                found.push(instance_id.clone());
            }
            let has_ended = |row: &InstanceRow| {
                row.runtime_status
                    .is_some_and(OrchestrationStatus::is_terminal)
            };
            let Some(row) = row.filter(|row| !has_ended(row)) else {
                continue;
            };
            let Some(execution_id) = row.execution_id.as_deref() else {
                continue;
            };
            let rows = self.history_of(&instance_id, execution_id).await?;
            if row.is_pending() && rewound::is_asleep(&rows) {
                children.extend(marked_children(&rows)?);
                if !is_child {
                    found.push(instance_id);
                }
            } else {
                // It runs again; a child may sleep that nobody came to wake.
                pending.extend(marked_children(&rows)?);
            }
        }
        Ok(found)
    }

    /// Children of a sleeping instance that were rewound with it and have ended. One table
    /// transaction for each child.
    pub(crate) async fn ended_children(
        &self,
        asleep: Option<&Asleep>,
    ) -> Result<Vec<String>, TaskHubError> {
        let mut ended = Vec::new();
        for child in asleep.iter().flat_map(|asleep| &asleep.children) {
            let row = self.instance_row(child, false).await?;
            let status = row.and_then(|row| row.runtime_status);
            if status.is_some_and(OrchestrationStatus::is_terminal) {
                ended.push(child.clone());
            }
        }
        Ok(ended)
    }

    async fn rewound_children(
        &self,
        instance_id: &str,
        execution_id: &str,
    ) -> Result<Vec<String>, TaskHubError> {
        let created = EventType::SubOrchestrationCreated;
        let query = filter::events_of_type(instance_id, execution_id, created);
        let rows = self.query_all(&self.tables().history, query).await?;
        marked_children(&rows)
    }
}

fn marked_children(rows: &[Row]) -> Result<Vec<String>, TaskHubError> {
    let is_marked_child = |row: &&Row| {
        history_row::event_type(row).ok() == Some(EventType::SubOrchestrationCreated)
            && rewound::is_marked(row)
    };
    let children = rows.iter().filter(is_marked_child);
    children
        .map(|row| {
            let child = rewound::child_of(row).map_err(unreadable(row))?;
            Ok(child.to_owned())
        })
        .collect()
}

fn unreadable(row: &Row) -> impl FnOnce(WireError) -> TaskHubError + use<> {
    let what = super::load::row_name(row);
    move |source| TaskHubError::unreadable(what, source)
}

/// Whether the row is the end of an execution, not rewound.
fn is_end(row: &Row) -> bool {
    history_row::event_type(row).ok() == Some(EventType::ExecutionCompleted)
}
