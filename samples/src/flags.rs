//! The command line of a sample.

/// One flag that a sample understands.
#[derive(Debug, Clone, Copy)]
pub struct Flag {
    name: &'static str,
    /// What the value is called in the help text; `None` for a switch.
    value: Option<&'static str>,
    help: &'static str,
    /// Whether the flag asks for something that needs no worker in this process.
    client_only: bool,
}

impl Flag {
    /// A flag that is there or not.
    pub const fn switch(name: &'static str, help: &'static str) -> Self {
        Self {
            name,
            value: None,
            help,
            client_only: false,
        }
    }

    /// A flag with a value after it.
    pub const fn value(name: &'static str, value: &'static str, help: &'static str) -> Self {
        Self {
            value: Some(value),
            ..Self::switch(name, help)
        }
    }

    /// The flag implies `--client`.
    #[must_use]
    pub const fn client_only(self) -> Self {
        Self {
            client_only: true,
            ..self
        }
    }
}

const COMMON: [Flag; 8] = [
    Flag::value("--task-hub", "NAME", "the task hub to use"),
    Flag::value(
        "--connection",
        "NAME",
        "the storage connection, such as Storage for AzureWebJobsStorage",
    ),
    Flag::value(
        "--set",
        "KEY=VALUE",
        "any key below extensions.durableTask of host.json; may be repeated",
    ),
    Flag::switch("--worker", "only run what others start, until Ctrl-C"),
    Flag::switch("--client", "only start and wait; a worker runs elsewhere"),
    Flag::value(
        "--id",
        "ID",
        "the instance id; if that instance is under way, wait for it",
    ),
    Flag::value(
        "--work",
        "MILLISECONDS",
        "how long each activity pretends to work (200)",
    ),
    Flag::switch("--help", "show this"),
];

/// A command line that is not understood. The text says what is wrong.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}; see --help")]
pub struct Misuse(String);

/// Flags as given.
#[derive(Debug, Clone, Default)]
pub struct Flags(Vec<(Flag, String)>);

impl Flags {
    /// Reads a command line, the program's name left out.
    pub fn parse(
        own: &[Flag],
        arguments: impl IntoIterator<Item = String>,
    ) -> Result<Self, Misuse> {
        let mut flags = Self::default();
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            let known = COMMON.iter().chain(own).find(|flag| flag.name == argument);
            let Some(flag) = known else {
                return Err(Misuse(format!("{argument:?} is no flag of this sample")));
            };
            let value = match flag.value {
                None => String::new(),
                Some(what) => arguments
                    .next()
                    .ok_or_else(|| Misuse(format!("{argument} needs {what} after it")))?,
            };
            flags.0.push((*flag, value));
        }
        if flags.has("--worker") && flags.is_client_only() {
            return Err(Misuse("--worker runs no client".to_owned()));
        }
        Ok(flags)
    }

    /// Whether the flag was given.
    pub fn has(&self, name: &str) -> bool {
        self.text(name).is_some()
    }

    /// The value of a flag, the last one if it was repeated.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.texts(name).last()
    }

    /// All values of a flag.
    pub fn texts(&self, name: &str) -> impl DoubleEndedIterator<Item = &str> {
        let given = self.0.iter().filter(move |(flag, _)| flag.name == name);
        given.map(|(_, value)| value.as_str())
    }

    /// The value of a flag as a number, `default` if it was not given.
    pub fn number(&self, name: &str, default: u32) -> Result<u32, Misuse> {
        self.text(name).map_or(Ok(default), |text| {
            text.parse()
                .map_err(|_| Misuse(format!("{name} is {text:?}; write a whole number")))
        })
    }

    /// Whether no worker is wanted in this process.
    pub fn is_client_only(&self) -> bool {
        self.has("--client") || self.0.iter().any(|(flag, _)| flag.client_only)
    }
}

/// What `--help` prints.
pub(crate) fn help(own: &[Flag]) -> String {
    let lines = own.iter().chain(&COMMON).map(|flag| {
        let usage = format!("{} {}", flag.name, flag.value.unwrap_or_default());
        format!("  {usage:<24}{}\n", flag.help)
    });
    format!("Flags:\n{}", lines.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: [Flag; 2] = [
        Flag::value("--count", "N", "how many"),
        Flag::value("--raise", "ID", "raise the event").client_only(),
    ];

    fn parse(line: &str) -> Result<Flags, Misuse> {
        Flags::parse(&OWN, line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn flags_have_values_or_none() {
        let flags = parse("--count 7 --set a=1 --set b=2 --client").unwrap();
        assert_eq!(flags.number("--count", 1), Ok(7));
        assert_eq!(flags.number("--work", 200), Ok(200));
        assert_eq!(flags.texts("--set").collect::<Vec<_>>(), ["a=1", "b=2"]);
        assert!(flags.has("--client") && flags.is_client_only());
        assert!(!flags.has("--worker"));
        assert!(parse("--raise x").unwrap().is_client_only());
        assert!(!parse("").unwrap().is_client_only());
    }

    #[test]
    fn misuse_is_named() {
        for (line, part) in [
            ("--cuont 7", "\"--cuont\" is no flag"),
            ("approve", "\"approve\" is no flag"),
            ("--count", "--count needs N"),
            ("--worker --raise x", "--worker runs no client"),
        ] {
            let text = parse(line).unwrap_err().to_string();
            assert!(text.contains(part), "{line}: {text}");
        }
        let text = parse("--count many").unwrap().number("--count", 1);
        assert!(text.unwrap_err().to_string().contains("whole number"));
    }
}
