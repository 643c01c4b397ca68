//! What the client of a sample does.

use std::time::Duration;

use durabletask_worker::{Argument, Client, ClientError, Orchestrator, StartOptions, TaskHubError};
use serde::de::DeserializeOwned;

use crate::{Error, Flags};

/// Time between two looks at the progress of an instance.
const LOOK_INTERVAL: Duration = Duration::from_millis(300);

/// The client's side of a sample, with its command line.
#[derive(Debug)]
pub struct Sample {
    client: Client,
    flags: Flags,
}

impl Sample {
    pub(crate) fn new(client: Client, flags: Flags) -> Self {
        Self { client, flags }
    }

    /// The client.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The command line.
    pub fn flags(&self) -> &Flags {
        &self.flags
    }

    /// Starts an orchestration and says so. If `--id` names an instance that is under way, that
    /// one is taken instead: so a sample that was killed goes on when it is run again.
    pub async fn start<O: Orchestrator>(
        &self,
        orchestrator: O,
        input: impl Argument<O::Input>,
    ) -> Result<String, Error> {
        let given = self.flags.text("--id").map(str::to_owned);
        if let Some(id) = &given
            && let Some(found) = self.client.status(id).await?
            && !found.runtime_status.is_terminal()
        {
            println!("Orchestration {id} is under way: {}.", found.runtime_status);
            return Ok(id.clone());
        }
        let options = StartOptions {
            instance_id: given,
            ..StartOptions::default()
        };
        let id = self.client.start_with(orchestrator, input, options).await?;
        println!("Started orchestration {id}.");
        Ok(id)
    }

    /// Waits for the output of an instance, and meanwhile shows its custom status whenever that
    /// changes.
    pub async fn output<T: DeserializeOwned + 'static>(&self, id: &str) -> Result<T, Error> {
        let mut shown = None;
        loop {
            match self.client.output(id, Some(LOOK_INTERVAL)).await {
                Err(ClientError::Hub(TaskHubError::TimedOut { .. })) => {}
                outcome => return Ok(outcome?),
            }
            let status = self.client.status(id).await?;
            let progress = status.and_then(|status| status.custom_status);
            // As long as none was set, rows of .NET and ours hold the JSON text null.
            let progress = progress.filter(|text| text != "null");
            if progress != shown {
                if let Some(progress) = &progress {
                    println!("  … {}", progress.trim_matches('"'));
                }
                shown = progress;
            }
        }
    }
}
