//! The program in a folder of its own, and hubs for it.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use azurite_tests::{azurite, eventually, unique_hub};
use durabletask_storage::Env;
use durabletask_storage::azure::Connection;
use durabletask_worker::TaskHub;
use durabletask_worker::hub::{HubSettings, StoreChoice};
use serde_json::Value;

/// Longest time for anything to come true.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// A folder of its own, gone when the test ends.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let unique = format!("durabletask-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(unique);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// How a run of the program ended.
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ended {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap()
    }

    /// One object per line.
    pub(crate) fn lines(&self) -> Vec<Value> {
        let lines = self.out.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// The value beside that name.
    pub(crate) fn field(&self, name: &str) -> &str {
        let mut values = self.out.lines().filter_map(|line| line.strip_prefix(name));
        values.next().unwrap().trim()
    }
}

/// The program on one hub, with nothing in its environment but the connection.
pub(crate) struct Desk {
    pub(crate) folder: Folder,
    pub(crate) hub: String,
    connection: Option<String>,
}

impl Desk {
    /// On the embedded store.
    pub(crate) fn embedded(name: &str) -> Self {
        Self {
            folder: Folder::new(name),
            hub: "Desk".to_owned(),
            connection: None,
        }
    }

    /// On Azurite.
    pub(crate) async fn azurite(name: &str) -> Self {
        Self {
            folder: Folder::new(name),
            hub: unique_hub(name),
            connection: Some(azurite::connection().await),
        }
    }

    /// Settings of the same hub, for workers and storage.
    pub(crate) fn settings(&self) -> HubSettings {
        let store = match &self.connection {
            None => StoreChoice::Embedded {
                path: Some(self.file()),
            },
            Some(connection) => StoreChoice::Azure {
                main: Connection::parse(connection).unwrap().into(),
                tracking: None,
            },
        };
        let mut settings = HubSettings::new(&self.hub, 2).with_store(store);
        settings.max_queue_polling_interval = Duration::from_millis(100);
        settings
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.folder.0.join(".durabletask/desk.db")
    }

    /// The hub, made if missing, as a worker has it.
    pub(crate) async fn open(&self, change: impl FnOnce(&mut HubSettings)) -> TaskHub {
        let mut settings = self.settings();
        change(&mut settings);
        TaskHub::open(settings, &Env::system()).await.unwrap()
    }

    /// Runs the program; its arguments have no spaces.
    pub(crate) fn run(&self, arguments: &str) -> Ended {
        self.run_with(&arguments.split(' ').collect::<Vec<_>>())
    }

    pub(crate) fn run_with(&self, arguments: &[&str]) -> Ended {
        let mut command = Command::new(env!("CARGO_BIN_EXE_durabletask"));
        command
            .args(["--task-hub", &self.hub])
            .args(arguments)
            .current_dir(&self.folder.0)
            .env_clear();
        if let Some(connection) = &self.connection {
            command.env("AzureWebJobsStorage", connection);
        }
        ended(&mut command)
    }

    /// Runs the program until its output has lines, and reads them.
    pub(crate) async fn lines(&self, arguments: &str) -> Vec<Value> {
        eventually(LIMIT, || async {
            Some(self.run(arguments).lines()).filter(|lines| !lines.is_empty())
        })
        .await
    }
}

pub(crate) fn ended(command: &mut Command) -> Ended {
    let output = command.output().unwrap();
    Ended {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}
