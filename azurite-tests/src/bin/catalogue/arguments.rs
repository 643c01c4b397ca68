//! The command line.

use std::time::Duration;

/// What to do, where.
#[derive(Debug, PartialEq)]
pub(crate) struct Arguments {
    pub(crate) command: Command,
    pub(crate) hub: Option<String>,
    /// `host.json` keys below `extensions.durableTask`, and their values.
    pub(crate) settings: Vec<(String, String)>,
    pub(crate) limit: Option<Duration>,
}

#[derive(Debug, PartialEq)]
pub(crate) enum Command {
    Worker,
    Start {
        name: String,
        id: String,
        input: String,
    },
    Raise {
        id: String,
        name: String,
        payload: String,
    },
    Terminate {
        id: String,
        reason: String,
    },
    Suspend {
        id: String,
        reason: String,
    },
    Resume {
        id: String,
        reason: String,
    },
    Rewind {
        id: String,
        reason: String,
    },
}

/// What the program is told when it was called in another way.
pub(crate) const USAGE: &str = "\
usage: catalogue worker [--seconds N]
       catalogue start NAME ID INPUT-JSON [--seconds N]
       catalogue raise ID EVENT PAYLOAD-JSON
       catalogue terminate|suspend|resume|rewind ID REASON

flags, before, between or after the others:
  --task-hub NAME                         the task hub
  --partition-manager table|safe|legacy   default: table
  --extended                              extended sessions
  --plain                                 message by message as .NET, no short cuts
  --set KEY=VALUE                         any key below extensions.durableTask of a host.json
  --seconds N                             worker: stop after so long; start: wait no longer

The account is the one of AzureWebJobsStorage.";

impl Arguments {
    /// Reads the arguments after the program's name; the error says what is wrong with them.
    pub(crate) fn parse(given: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut given = given.into_iter();
        let mut words = Vec::new();
        let (mut hub, mut settings, mut limit) = (None, Vec::new(), None);
        while let Some(argument) = given.next() {
            let Some(flag) = argument.strip_prefix("--") else {
                words.push(argument);
                continue;
            };
            let (flag, inline) = match flag.split_once('=') {
                Some((flag, value)) => (flag, Some(value.to_owned())),
                None => (flag, None),
            };
            let mut value = || {
                let value = inline.clone().or_else(|| given.next());
                value.ok_or_else(|| format!("--{flag} needs a value"))
            };
            match flag {
                "task-hub" => hub = Some(value()?),
                "partition-manager" => settings.extend(partition_manager(&value()?)?),
                "extended" => settings.push(setting("extendedSessionsEnabled", "true")),
                "plain" => settings.push(setting("rust.plain", "true")),
                "set" => {
                    let assignment = value()?;
                    let (key, value) = assignment
                        .split_once('=')
                        .ok_or_else(|| format!("--set {assignment}: write KEY=VALUE"))?;
                    settings.push(setting(key, value));
                }
                "seconds" => {
                    let text = value()?;
                    let seconds = text.parse();
                    let seconds =
                        seconds.map_err(|_| format!("--seconds {text}: not a whole number"))?;
                    limit = Some(Duration::from_secs(seconds));
                }
                _ => return Err(format!("there is no flag --{flag}")),
            }
        }
        Ok(Self {
            command: Command::parse(words)?,
            hub,
            settings,
            limit,
        })
    }
}

impl Command {
    fn parse(words: Vec<String>) -> Result<Self, String> {
        let mut words = words.into_iter();
        let verb = words.next().ok_or("say what to do")?;
        let rest: Vec<String> = words.collect();
        match verb.as_str() {
            "worker" => exactly(&verb, rest).map(|[]| Self::Worker),
            "start" => {
                exactly(&verb, rest).map(|[name, id, input]| Self::Start { name, id, input })
            }
            "raise" => {
                exactly(&verb, rest).map(|[id, name, payload]| Self::Raise { id, name, payload })
            }
            "terminate" => exactly(&verb, rest).map(|[id, reason]| Self::Terminate { id, reason }),
            "suspend" => exactly(&verb, rest).map(|[id, reason]| Self::Suspend { id, reason }),
            "resume" => exactly(&verb, rest).map(|[id, reason]| Self::Resume { id, reason }),
            "rewind" => exactly(&verb, rest).map(|[id, reason]| Self::Rewind { id, reason }),
            _ => Err(format!("there is no command {verb}")),
        }
    }
}

fn exactly<const N: usize>(verb: &str, words: Vec<String>) -> Result<[String; N], String> {
    let count = words.len();
    words
        .try_into()
        .map_err(|_| format!("{verb} takes {N} arguments, not {count}"))
}

fn setting(key: &str, value: &str) -> (String, String) {
    (key.to_owned(), value.to_owned())
}

fn partition_manager(name: &str) -> Result<[(String, String); 2], String> {
    let (table, legacy) = match name {
        "table" => ("true", "false"),
        "safe" => ("false", "false"),
        "legacy" => ("false", "true"),
        _ => return Err(format!("--partition-manager {name}: table, safe or legacy")),
    };
    Ok([
        setting("storageProvider.useTablePartitionManagement", table),
        setting("storageProvider.useLegacyPartitionManagement", legacy),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Arguments, String> {
        Arguments::parse(line.split(' ').map(str::to_owned))
    }

    #[test]
    fn flags_stand_anywhere() {
        let before = parse("--task-hub h --plain start FanOut f-1 10 --seconds=5").unwrap();
        let after = parse("start FanOut --seconds 5 f-1 10 --plain --task-hub=h").unwrap();
        assert_eq!(before, after);
        assert_eq!(before.hub.as_deref(), Some("h"));
        assert_eq!(before.limit, Some(Duration::from_secs(5)));
        assert_eq!(before.settings, [setting("rust.plain", "true")]);
        assert!(matches!(before.command, Command::Start { input, .. } if input == "10"));
    }

    #[test]
    fn mistakes_are_named() {
        for (line, said) in [
            ("start Child", "start takes 3 arguments, not 1"),
            ("worker --hub h", "there is no flag --hub"),
            ("worker --task-hub", "--task-hub needs a value"),
            (
                "worker --seconds soon",
                "--seconds soon: not a whole number",
            ),
            ("purge x", "there is no command purge"),
            ("worker --set plain", "--set plain: write KEY=VALUE"),
        ] {
            assert_eq!(parse(line).unwrap_err(), said);
        }
    }
}
