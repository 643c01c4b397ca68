//! The reader of the work-item queue.

use std::sync::Arc;

use super::control::FAILED_RECEIVE_PAUSE;
use super::signal::PollBackoff;
use crate::dispatch::{Settle, WorkerContext};

impl WorkerContext {
    /// Receives activities one by one while there are free slots, until the worker stops
    /// (chapter 02 §5.1). Price: one queue transaction per receive.
    pub(crate) async fn read_work_items(self: Arc<Self>) {
        let settings = self.hub.settings();
        let queue = self.hub.tables().work_items.clone();
        let signal = self.hub.signal(&queue);
        let seconds = self.hub.work_item_visibility_seconds();
        let mut backoff = PollBackoff::new(settings.max_queue_polling_interval);
        let _reading = self.reading.begin();
        while !self.is_stopping() {
            // Closed only when the worker is gone.
            let Ok(slot) = self.activity_slots.clone().acquire_owned().await else {
                return;
            };
            if self.is_stopping() {
                return;
            }
            let received = self
                .hub
                .account()
                .queues
                .get_messages(&queue, 1, seconds)
                .await;
            match received {
                Ok(messages) if messages.is_empty() => {
                    drop(slot);
                    backoff.wait(self.hub.env(), &signal).await;
                }
                Ok(messages) => {
                    signal.set();
                    for message in messages {
                        let held = self
                            .held
                            .hold(self.hub.env(), &queue, message, seconds, false);
                        let Some((held, text)) = held else {
                            // It runs already; the copy's receipt keeps it hidden.
                            continue;
                        };
                        if self.is_stopping() {
                            self.settle(held, Settle::HandBack, &self.settling);
                        } else {
                            self.start_activity(held, text, slot);
                        }
                        break;
                    }
                }
                Err(error) => {
                    tracing::error!(%queue, %error, "could not receive activities");
                    self.hub.env().sleep(FAILED_RECEIVE_PAUSE).await;
                }
            }
        }
    }
}
