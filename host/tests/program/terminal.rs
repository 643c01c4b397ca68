//! On a terminal: questions, progress and pages; and none of them in pipes.

use std::io::{Read, Write};
use std::os::fd::AsFd as _;
use std::process::Child;
use std::sync::mpsc::{Receiver, channel};

use durabletask_azurestorage::{HubClient, StartOptions};
use pty_process::Size;
use pty_process::blocking::{Command, Pty, open};

use crate::support::{Desk, LIMIT};

/// Instances that take half a second to purge, at [`PER_SECOND`].
const COUNT: usize = 25;
const PER_SECOND: &str = "50";

/// The program with a person in front of it.
struct Terminal {
    pty: Pty,
    child: Child,
    shown: Receiver<Vec<u8>>,
    seen: String,
}

impl Terminal {
    fn run(desk: &Desk, pager: &str, arguments: &str) -> Self {
        let (pty, pts) = open().unwrap();
        pty.resize(Size::new(24, 80)).unwrap();
        let command = Command::new(env!("CARGO_BIN_EXE_durabletask"))
            .args(["--task-hub", &desk.hub])
            .args(arguments.split(' '))
            .current_dir(&desk.folder.0)
            .env_clear()
            .env("TERM", "xterm")
            .env("PAGER", pager)
            .env("PATH", std::env::var("PATH").unwrap());
        let child = command.spawn(pts).unwrap();
        let (send, shown) = channel();
        // The same terminal, to be read while it is written to.
        let reader = pty.as_fd().try_clone_to_owned().unwrap();
        let mut reader = std::fs::File::from(reader);
        std::thread::spawn(move || {
            let mut buffer = [0; 4_096];
            // An error means that the program has closed the terminal.
            while let Ok(count @ 1..) = reader.read(&mut buffer) {
                if send.send(buffer[..count].to_vec()).is_err() {
                    break;
                }
            }
        });
        Self {
            pty,
            child,
            shown,
            seen: String::new(),
        }
    }

    /// Waits until the screen has shown that.
    fn wait_for(&mut self, text: &str) {
        while !self.seen.contains(text) {
            let more = self.shown.recv_timeout(LIMIT);
            let more = more.unwrap_or_else(|error| panic!("{error}: {:?}", self.seen));
            self.seen.push_str(&String::from_utf8_lossy(&more));
        }
    }

    fn say(&mut self, answer: &str) {
        writeln!(self.pty, "{answer}").unwrap();
    }

    /// The exit code and all that was shown.
    fn ended(mut self) -> (i32, String) {
        while let Ok(more) = self.shown.recv_timeout(LIMIT) {
            self.seen.push_str(&String::from_utf8_lossy(&more));
        }
        (self.child.wait().unwrap().code().unwrap(), self.seen)
    }
}

async fn hub_with_instances(desk: &Desk) {
    let hub = desk.open(|_| {}).await;
    let client = HubClient::new(hub);
    for number in 0..COUNT {
        let options = StartOptions {
            instance_id: Some(format!("i-{number:02}")),
            ..StartOptions::default()
        };
        client.start("Nobody", None, options).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn destructive_commands_ask_and_long_work_shows_how_far_it_is() {
    let desk = Desk::embedded("asked");
    hub_with_instances(&desk).await;
    let purge = format!("instances purge --force --prefix i- --per-second {PER_SECOND}");

    let mut terminal = Terminal::run(&desk, "cat", &purge);
    let what = "This removes 25 instances (live ones included, ids from \"i-\") with their \
                histories for ever. Go on? [y/N] ";
    terminal.wait_for(what);
    terminal.say("");
    let (code, seen) = terminal.ended();
    assert_eq!(code, 2, "{seen}");
    assert!(seen.contains("nothing was done"), "{seen}");

    // Without a terminal nothing is asked, shown or done.
    let piped = desk.run(&purge);
    assert_eq!(piped.code, 2);
    assert!(piped.err.contains("say --yes"), "{}", piped.err);
    assert_eq!(desk.run("instances list --json").lines().len(), COUNT);

    let mut terminal = Terminal::run(&desk, "cat", &purge);
    terminal.wait_for("[y/N] ");
    terminal.say("y");
    let (code, seen) = terminal.ended();
    assert_eq!(code, 0, "{seen}");
    assert!(seen.contains("Purging: [#"), "{seen:?}");
    assert!(seen.contains(" of 25 instances, 0 s"), "{seen:?}");
    assert!(
        seen.contains("\r\u{1b}[2KPurged 25 instances, 0 history rows, 0 blobs."),
        "{seen:?}"
    );

    hub_with_instances(&desk).await;
    let piped = desk.run(&format!("{purge} --yes"));
    assert_eq!(piped.out, "Purged 25 instances, 0 history rows, 0 blobs.\n");
    assert!(!piped.err.contains("Purging"), "{}", piped.err);

    let mut terminal = Terminal::run(&desk, "cat", "hub delete");
    terminal.wait_for("This deletes task hub Desk with all its instances");
    terminal.say("yes");
    let (code, seen) = terminal.ended();
    assert_eq!(code, 0, "{seen}");
    assert_eq!(desk.run("hub show").code, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn long_tables_go_through_the_pager_of_the_terminal() {
    let desk = Desk::embedded("paged");
    hub_with_instances(&desk).await;
    let (code, seen) = Terminal::run(&desk, "sed s/^/|/", "instances list").ended();
    assert_eq!(code, 0, "{seen}");
    assert!(seen.contains("|INSTANCE"), "{seen}");
    assert_eq!(seen.matches("|i-").count(), COUNT, "{seen}");
    // Whoever has read enough gets no error.
    let (code, seen) = Terminal::run(&desk, "head -n 1", "instances list").ended();
    assert_eq!(code, 0, "{seen}");
    assert!(
        seen.contains("INSTANCE") && !seen.contains("error"),
        "{seen}"
    );
    let (_, seen) = Terminal::run(&desk, "sed s/^/|/", "instances list --json").ended();
    assert!(!seen.contains('|'), "{seen}");
}

/// Shows its first line and stays until it is told to end.
const PATIENT_PAGER: &str = r#"#!/bin/sh
trap '' INT
read -r first
echo "shown: $first"
cat > /dev/null
read -r answer < /dev/tty
echo "told: $answer"
"#;

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_is_the_pagers() {
    use std::os::unix::fs::PermissionsExt as _;
    let desk = Desk::embedded("interrupted");
    hub_with_instances(&desk).await;
    let pager = desk.folder.0.join("pager");
    std::fs::write(&pager, PATIENT_PAGER).unwrap();
    std::fs::set_permissions(&pager, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut terminal = Terminal::run(&desk, pager.to_str().unwrap(), "instances list");
    terminal.wait_for("shown: INSTANCE");
    terminal.pty.write_all(&[3]).unwrap();
    terminal.wait_for("^C");
    terminal.say("enough");
    let (code, seen) = terminal.ended();
    assert_eq!(code, 0, "{seen}");
    assert!(seen.contains("told: enough"), "{seen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_has_read_enough_is_no_error() {
    let desk = Desk::embedded("closed");
    hub_with_instances(&desk).await;
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_durabletask"));
    let mut child = command
        .args(["--task-hub", "Desk", "instances", "list", "--json"])
        .current_dir(&desk.folder.0)
        .env_clear()
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let ended = child.wait_with_output().unwrap();
    let err = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(0), "{err}");
    assert!(!err.contains("error"), "{err}");
}
