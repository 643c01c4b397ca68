//! Samples as programs: in a folder of their own, with an environment of their own.

#![allow(dead_code, reason = "each test program uses its part")]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use azurite_tests::unique_name;
use durabletask_storage::Env;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout};

/// Longest wait for a line or an end.
const LIMIT: Duration = Duration::from_secs(60);

pub(crate) const HELLO_CITIES: &str = env!("CARGO_BIN_EXE_hello-cities");
pub(crate) const FAN_OUT: &str = env!("CARGO_BIN_EXE_fan-out");
pub(crate) const APPROVAL: &str = env!("CARGO_BIN_EXE_approval");
pub(crate) const MONITOR: &str = env!("CARGO_BIN_EXE_monitor");
pub(crate) const MAP_REDUCE: &str = env!("CARGO_BIN_EXE_map-reduce");
pub(crate) const SAGA: &str = env!("CARGO_BIN_EXE_saga");
pub(crate) const RETRY: &str = env!("CARGO_BIN_EXE_retry");

/// A folder that is empty and goes away when dropped.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(unique_name("sample"));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// The sample with these arguments, in this folder, without the environment of the tests.
    pub(crate) fn command(&self, program: &str, arguments: &str) -> Command {
        let mut command = Command::new(program);
        command
            .args(arguments.split_whitespace())
            .current_dir(&self.0)
            .env_clear();
        command
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A sample that runs. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Program {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    seen: Vec<String>,
    errors: PathBuf,
}

impl Program {
    pub(crate) fn start(folder: &Folder, mut command: Command) -> Self {
        let errors = folder.path().join(unique_name("errors"));
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(&errors).unwrap());
        let mut command = tokio::process::Command::from(command);
        let mut child = command.kill_on_drop(true).spawn().unwrap();
        let output = child.stdout.take().unwrap();
        Self {
            child,
            lines: BufReader::new(output).lines(),
            seen: Vec::new(),
            errors,
        }
    }

    /// Reads its output until a line contains `text`.
    pub(crate) async fn until(&mut self, text: &str) {
        let found = Env::system()
            .timeout(LIMIT, async {
                while let Some(line) = self.lines.next_line().await.unwrap() {
                    self.seen.push(line);
                    if self.seen.last().is_some_and(|line| line.contains(text)) {
                        return true;
                    }
                }
                false
            })
            .await;
        assert_eq!(found, Ok(true), "no {text:?} in {}", self.words());
    }

    /// Ends it with SIGKILL.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// Sends SIGTERM.
    pub(crate) fn terminate(&self) {
        let id = self.child.id().expect("it runs").to_string();
        let sent = Command::new("kill").args(["-TERM", &id]).status();
        assert!(sent.unwrap().success());
    }

    /// Waits for its end, and returns how it ended and all its output.
    pub(crate) async fn end(mut self) -> (ExitStatus, String) {
        let ended = Env::system()
            .timeout(LIMIT, async {
                while let Some(line) = self.lines.next_line().await.unwrap() {
                    self.seen.push(line);
                }
                self.child.wait().await.unwrap()
            })
            .await;
        let Ok(status) = ended else {
            panic!("still running after {LIMIT:?}: {}", self.words());
        };
        (status, self.words())
    }

    fn words(&self) -> String {
        let errors = fs::read_to_string(&self.errors).unwrap_or_default();
        format!("{}\n{errors}", self.seen.join("\n"))
    }
}
