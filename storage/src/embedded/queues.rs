//! The queue service.

use async_trait::async_trait;
use durabletask_core::Timestamp;
use rusqlite::{OptionalExtension, params};
use std::time::Duration;

use super::failure::{Failure, Result as Outcome};
use super::{EmbeddedStore, Turn, limits};
use crate::{
    ErrorKind, MessageHandle, PeekedMessage, Queues, ReceivedMessage, Result, SentMessage,
    UpdatedMessage,
};

#[async_trait]
impl Queues for EmbeddedStore {
    async fn create_queue(&self, queue: &str) -> Result<bool> {
        limits::resource_name(queue).map_err(|f| f.into_error("create_queue", queue))?;
        self.write("create_queue", queue, |turn| {
            if turn.find_queue()?.is_some() {
                return Ok(false);
            }
            let id = turn.draw_numbers(1)?;
            turn.connection
                .prepare_cached("INSERT INTO queues VALUES (?1, ?2)")?
                .execute(params![id, turn.name])?;
            Ok(true)
        })
        .await
    }

    async fn delete_queue(&self, queue: &str) -> Result<bool> {
        self.write("delete_queue", queue, |turn| {
            let Some(id) = turn.find_queue()? else {
                return Ok(false);
            };
            for statement in [
                "DELETE FROM messages WHERE queue = ?1",
                "DELETE FROM queues WHERE id = ?1",
            ] {
                turn.connection.prepare_cached(statement)?.execute([id])?;
            }
            Ok(true)
        })
        .await
    }

    async fn list_queues(&self, prefix: &str) -> Result<Vec<String>> {
        self.read("list_queues", prefix, |turn| {
            turn.list_names("SELECT name FROM queues ORDER BY name", turn.name)
        })
        .await
    }

    async fn put_message(
        &self,
        queue: &str,
        text: &str,
        invisible_seconds: Option<u32>,
    ) -> Result<SentMessage> {
        const OPERATION: &str = "put_message";
        let seconds = invisible_seconds.unwrap_or(0);
        limits::message_text(text)
            .and_then(|()| limits::visibility(seconds, 0))
            .map_err(|failure| failure.into_error(OPERATION, queue))?;
        let text = text.to_owned();
        self.write(OPERATION, queue, move |turn| {
            let queue = turn.queue()?;
            let seq = turn.draw_numbers(2)?;
            let visible_at = turn.later(seconds);
            turn.connection
                .prepare_cached("INSERT INTO messages VALUES (?1, ?2, ?3, ?4, 0, ?5, ?6)")?
                .execute(params![
                    seq,
                    queue,
                    visible_at.ticks(),
                    turn.now.ticks(),
                    seq + 1,
                    text
                ])?;
            Ok(SentMessage {
                handle: handle(seq, seq + 1),
                inserted: cut_to_second(turn.now),
                next_visible: cut_to_second(visible_at),
            })
        })
        .await
    }

    async fn get_messages(
        &self,
        queue: &str,
        count: u32,
        invisible_seconds: u32,
    ) -> Result<Vec<ReceivedMessage>> {
        const OPERATION: &str = "get_messages";
        limits::message_count(count)
            .and_then(|()| limits::visibility(invisible_seconds, 1))
            .map_err(|failure| failure.into_error(OPERATION, queue))?;
        // Idle polls are the most frequent calls of all: they shall not take the write lock.
        if !self.read(OPERATION, queue, has_visible).await? {
            return Ok(Vec::new());
        }
        self.write(OPERATION, queue, move |turn| {
            turn.receive(count, invisible_seconds)
        })
        .await
    }

    async fn peek_messages(&self, queue: &str, count: u32) -> Result<Vec<PeekedMessage>> {
        const OPERATION: &str = "peek_messages";
        limits::message_count(count).map_err(|failure| failure.into_error(OPERATION, queue))?;
        self.read(OPERATION, queue, move |turn| {
            let found = turn.visible(count)?;
            Ok(found
                .into_iter()
                .map(|message| PeekedMessage {
                    id: number_text(message.seq),
                    inserted: cut_to_second(message.inserted),
                    dequeue_count: message.dequeue_count,
                    text: message.text,
                })
                .collect())
        })
        .await
    }

    async fn update_message(
        &self,
        queue: &str,
        handle: &MessageHandle,
        text: Option<&str>,
        invisible_seconds: u32,
    ) -> Result<UpdatedMessage> {
        const OPERATION: &str = "update_message";
        text.map_or(Ok(()), limits::message_text)
            .and_then(|()| limits::visibility(invisible_seconds, 0))
            .map_err(|failure| failure.into_error(OPERATION, queue))?;
        let (held, text) = (handle.clone(), text.map(str::to_owned));
        self.write(OPERATION, queue, move |turn| {
            let seq = turn.held_message(&held)?;
            let receipt = turn.draw_numbers(1)?;
            let visible_at = turn.later(invisible_seconds);
            turn.connection
                .prepare_cached(
                    "UPDATE messages SET visible_at = ?2, receipt = ?3, text = coalesce(?4, text)
                     WHERE seq = ?1",
                )?
                .execute(params![seq, visible_at.ticks(), receipt, text])?;
            Ok(UpdatedMessage {
                handle: self::handle(seq, receipt),
                next_visible: cut_to_second(visible_at),
            })
        })
        .await
    }

    async fn delete_message(&self, queue: &str, handle: &MessageHandle) -> Result<()> {
        let held = handle.clone();
        self.write("delete_message", queue, move |turn| {
            let seq = turn.held_message(&held)?;
            turn.connection
                .prepare_cached("DELETE FROM messages WHERE seq = ?1")?
                .execute([seq])?;
            Ok(())
        })
        .await
    }

    async fn count_messages(&self, queue: &str) -> Result<u64> {
        self.read("count_messages", queue, |turn| {
            let count: i64 = turn
                .connection
                .prepare_cached("SELECT count(*) FROM messages WHERE queue = ?1")?
                .query_row([turn.queue()?], |row| row.get(0))?;
            Ok(count.cast_unsigned())
        })
        .await
    }
}

struct StoredMessage {
    seq: i64,
    inserted: Timestamp,
    dequeue_count: u32,
    text: String,
}

impl Turn<'_> {
    fn find_queue(&self) -> Outcome<Option<i64>> {
        Ok(self
            .connection
            .prepare_cached("SELECT id FROM queues WHERE name = ?1")?
            .query_row([self.name], |row| row.get(0))
            .optional()?)
    }

    fn queue(&self) -> Outcome<i64> {
        self.find_queue()?
            .ok_or_else(|| Failure::new(ErrorKind::NotFound, "QueueNotFound"))
    }

    fn later(&self, seconds: u32) -> Timestamp {
        self.now
            .saturating_add(Duration::from_secs(u64::from(seconds)))
    }

    /// Visible messages in the order in which they became visible.
    fn visible(&self, count: u32) -> Outcome<Vec<StoredMessage>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT seq, inserted, dequeue_count, text FROM messages
             WHERE queue = ?1 AND visible_at <= ?2 ORDER BY visible_at, seq LIMIT ?3",
        )?;
        let rows = statement.query_map(params![self.queue()?, self.now.ticks(), count], |row| {
            Ok(StoredMessage {
                seq: row.get(0)?,
                inserted: Timestamp::from_ticks(row.get(1)?),
                dequeue_count: row.get(2)?,
                text: row.get(3)?,
            })
        })?;
        Ok(rows.collect::<std::result::Result<_, _>>()?)
    }

    fn receive(&self, count: u32, invisible_seconds: u32) -> Outcome<Vec<ReceivedMessage>> {
        let found = self.visible(count)?;
        if found.is_empty() {
            return Ok(Vec::new());
        }
        // One receipt for all messages of a receive, as Azurite has it: only the pair of id and
        // receipt is a proof, and nobody shall get used to less.
        let receipt = self.draw_numbers(1)?;
        let visible_at = self.later(invisible_seconds);
        let mut hide = self.connection.prepare_cached(
            "UPDATE messages SET visible_at = ?2, receipt = ?3, dequeue_count = ?4 WHERE seq = ?1",
        )?;
        let mut received = Vec::with_capacity(found.len());
        for message in found {
            let dequeue_count = message.dequeue_count.saturating_add(1);
            hide.execute(params![
                message.seq,
                visible_at.ticks(),
                receipt,
                dequeue_count
            ])?;
            received.push(ReceivedMessage {
                handle: handle(message.seq, receipt),
                inserted: cut_to_second(message.inserted),
                next_visible: cut_to_second(visible_at),
                dequeue_count,
                text: message.text,
            });
        }
        Ok(received)
    }

    /// The sequence number of a message whose latest receipt is that of `held`.
    fn held_message(&self, held: &MessageHandle) -> Outcome<i64> {
        let queue = self.queue()?;
        let gone = || Failure::new(ErrorKind::NotFound, "MessageNotFound");
        let seq = i64::from_str_radix(&held.id, 16).map_err(|_| gone())?;
        let receipt: i64 = self
            .connection
            .prepare_cached("SELECT receipt FROM messages WHERE seq = ?1 AND queue = ?2")?
            .query_row([seq, queue], |row| row.get(0))
            .optional()?
            .ok_or_else(gone)?;
        if number_text(receipt) == held.pop_receipt {
            Ok(seq)
        } else {
            Err(Failure::new(
                ErrorKind::PopReceiptMismatch,
                "PopReceiptMismatch",
            ))
        }
    }
}

fn has_visible(turn: &Turn<'_>) -> Outcome<bool> {
    Ok(turn
        .connection
        .prepare_cached("SELECT 1 FROM messages WHERE queue = ?1 AND visible_at <= ?2 LIMIT 1")?
        .exists([turn.queue()?, turn.now.ticks()])?)
}

fn handle(seq: i64, receipt: i64) -> MessageHandle {
    MessageHandle {
        id: number_text(seq),
        pop_receipt: number_text(receipt),
    }
}

fn number_text(number: i64) -> String {
    format!("{number:016x}")
}

/// The service writes these times into headers that know no fractions.
fn cut_to_second(stamp: Timestamp) -> Timestamp {
    Timestamp::from_ticks(stamp.ticks() / 10_000_000 * 10_000_000)
}
