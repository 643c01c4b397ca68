//! Worker processes, and what happens to them.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use azurite_tests::Dice;
use azurite_tests::azurite::CONNECTION_VARIABLE;

use crate::arguments::Soak;

/// Shortest and longest time between two kills, in milliseconds.
const KILL_PAUSE_MS: (usize, usize) = (2_000, 7_000);
/// Longest time for which a killed worker stays away, in milliseconds.
const MAX_ABSENCE_MS: usize = 4_000;

enum State {
    Runs(Child),
    /// Stopped with SIGSTOP until then.
    Stands(Child, Duration),
    /// Killed; starts again then.
    Dead(Duration),
}

struct Slot {
    name: String,
    state: State,
}

/// The worker processes.
pub(crate) struct Workers {
    connection: String,
    hub: String,
    logs: PathBuf,
    manager: &'static str,
    stop_for: Duration,
    skew_seconds: i64,
    dice: Dice,
    slots: Vec<Slot>,
    next_kill: Duration,
    starts: usize,
    pub(crate) kills: usize,
    pub(crate) standstills: usize,
}

impl Workers {
    /// Starts them.
    pub(crate) fn start(
        soak: &Soak,
        connection: &str,
        hub: &str,
        logs: &Path,
        dice: Dice,
    ) -> io::Result<Self> {
        let mut workers = Self {
            connection: connection.to_owned(),
            hub: hub.to_owned(),
            logs: logs.to_owned(),
            manager: soak.manager.name(),
            stop_for: soak.stop_for,
            skew_seconds: soak.skew_seconds,
            dice,
            slots: Vec::new(),
            next_kill: Duration::ZERO,
            starts: 0,
            kills: 0,
            standstills: 0,
        };
        for number in 0..soak.workers {
            let name = format!("worker-{number}");
            let state = State::Runs(workers.spawn(&name)?);
            workers.slots.push(Slot { name, state });
        }
        Ok(workers)
    }

    fn spawn(&mut self, name: &str) -> io::Result<Child> {
        self.starts += 1;
        let log = self.logs.join(format!("{:03}-{name}.log", self.starts));
        let off_seconds = self.skew_seconds * [-1, 0, 1][self.dice.below(3)];
        Command::new(std::env::current_exe()?)
            .args(["worker", "--task-hub", &self.hub, "--worker-id", name])
            .args(["--manager", self.manager])
            .args(["--clock-off", &off_seconds.to_string()])
            .env(CONNECTION_VARIABLE, &self.connection)
            // It ends when we do.
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(File::create(log)?)
            .spawn()
    }

    fn between(&mut self, (low, high): (usize, usize)) -> Duration {
        let milliseconds = low + self.dice.below(high - low);
        Duration::from_millis(u64::try_from(milliseconds).unwrap_or(0))
    }

    /// Does what is due at that monotonic time: kills or stops one, starts or continues others.
    pub(crate) fn disturb(&mut self, now: Duration) -> io::Result<()> {
        if self.next_kill.is_zero() {
            self.next_kill = now + self.between(KILL_PAUSE_MS);
        }
        if self.next_kill <= now {
            self.next_kill = now + self.between(KILL_PAUSE_MS);
            let runs = |slot: &Slot| matches!(slot.state, State::Runs(_));
            let running = self.slots.iter().filter(|slot| runs(slot)).count();
            let victim = self.dice.below(running);
            // One in five stands still and learns only later that its partitions are gone.
            let stands = self.dice.below(5) == 0;
            let back = now + self.between((0, MAX_ABSENCE_MS));
            if let Some(slot) = self.slots.iter_mut().filter(|slot| runs(slot)).nth(victim) {
                let state = std::mem::replace(&mut slot.state, State::Dead(back));
                if let State::Runs(mut child) = state {
                    if stands {
                        signal(&child, "-STOP")?;
                        self.standstills += 1;
                        slot.state = State::Stands(child, now + self.stop_for);
                    } else {
                        child.kill()?;
                        child.wait()?;
                        self.kills += 1;
                    }
                }
            }
        }
        self.bring_back(now)
    }

    /// Starts and continues those whose time has come; all of them with [`Duration::MAX`].
    pub(crate) fn bring_back(&mut self, now: Duration) -> io::Result<()> {
        for index in 0..self.slots.len() {
            let state = std::mem::replace(&mut self.slots[index].state, State::Dead(now));
            self.slots[index].state = match state {
                State::Stands(child, until) if until <= now => {
                    signal(&child, "-CONT")?;
                    State::Runs(child)
                }
                State::Dead(until) if until <= now => {
                    // Under the old name it has its partitions back at once, under a new one
                    // somebody has to wait for the old one's leases to end.
                    if self.dice.below(2) == 0 {
                        self.slots[index].name = format!("worker-{index}-{}", self.starts);
                    }
                    let name = self.slots[index].name.clone();
                    State::Runs(self.spawn(&name)?)
                }
                other => other,
            };
        }
        Ok(())
    }

    /// Fails if a worker ended that nobody killed.
    pub(crate) fn check(&mut self) -> io::Result<()> {
        for slot in &mut self.slots {
            if let State::Runs(child) = &mut slot.state
                && let Some(status) = child.try_wait()?
            {
                let name = &slot.name;
                return Err(io::Error::other(format!(
                    "{name} ended by itself: {status}"
                )));
            }
        }
        Ok(())
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        for slot in &mut self.slots {
            if let State::Runs(child) | State::Stands(child, _) = &mut slot.state {
                let _ = child.kill();
                let _ = child.wait();
            }
        }
    }
}

fn signal(child: &Child, signal: &str) -> io::Result<()> {
    let id = child.id().to_string();
    let status = Command::new("kill").args([signal, &id]).status()?;
    if status.success() {
        return Ok(());
    }
    Err(io::Error::other(format!("kill {signal} {id}: {status}")))
}
