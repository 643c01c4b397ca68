//! Where settings come from: files, environment, overrides; flattened as .NET flattens them.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::super::error::SettingsError;
use super::json::parse_lenient;

/// Prefix of app settings that override `host.json`.
const OVERRIDE_PREFIX: &str = "azurefunctionsjobhost:";

/// What [`SettingsSources::read`] reads, from weak to strong: `host.json`, then
/// `local.settings.json`, then environment variables, then overrides.
///
/// As in a Functions host, `Values` of `local.settings.json` are environment variables that the
/// real environment wins over, keys ignore letter case, and `__` separates the parts of a name.
#[derive(Clone, Default)]
pub struct SettingsSources {
    host_json: Option<(String, String)>,
    local_settings: Option<(String, String)>,
    environment: BTreeMap<String, String>,
    overrides: Vec<(String, String)>,
    pub(super) cpu_count: u32,
}

impl std::fmt::Debug for SettingsSources {
    /// Nothing: values may be secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SettingsSources").finish_non_exhaustive()
    }
}

impl SettingsSources {
    /// No files and an empty environment, on a machine with one processor.
    pub fn none() -> Self {
        Self {
            cpu_count: 1,
            ..Self::default()
        }
    }

    /// `host.json` and `local.settings.json` of that folder, where present, and the environment
    /// and processors of this process.
    pub fn from_folder(folder: &Path) -> Result<Self, SettingsError> {
        let cpu_count = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Ok(Self {
            host_json: read_file(&folder.join("host.json"))?,
            local_settings: read_file(&folder.join("local.settings.json"))?,
            environment: std::env::vars_os()
                .filter_map(|(name, value)| {
                    Some((name.into_string().ok()?, value.into_string().ok()?))
                })
                .collect(),
            overrides: Vec::new(),
            cpu_count: u32::try_from(cpu_count).unwrap_or(u32::MAX),
        })
    }

    /// Takes this text for `host.json`.
    #[must_use]
    pub fn with_host_json(mut self, text: impl Into<String>) -> Self {
        self.host_json = Some(("host.json".to_owned(), text.into()));
        self
    }

    /// Takes this text for `local.settings.json`.
    #[must_use]
    pub fn with_local_settings(mut self, text: impl Into<String>) -> Self {
        self.local_settings = Some(("local.settings.json".to_owned(), text.into()));
        self
    }

    /// Sets an environment variable, as these settings see it.
    #[must_use]
    pub fn with_variable(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.environment.insert(name.into(), value.into());
        self
    }

    /// Sets the number of processors that defaults go by.
    #[must_use]
    pub fn with_cpu_count(mut self, count: u32) -> Self {
        self.cpu_count = count;
        self
    }

    /// Sets a key below `extensions.durableTask`, such as `storageProvider.connectionName`,
    /// whatever files and environment say. The last one of a key wins.
    #[must_use]
    pub fn with_override(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.overrides.push((key.into(), value.into()));
        self
    }

    /// Whether any source says something about a key below `extensions.durableTask`.
    pub fn sets(&self, key: &str) -> Result<bool, SettingsError> {
        let keys = self.keys(&self.app_settings()?)?;
        let path = key.replace('.', ":").to_lowercase();
        Ok(keys.entries.contains_key(&path))
    }

    /// App settings: `local.settings.json` under the environment.
    pub(super) fn app_settings(&self) -> Result<AppSettings, SettingsError> {
        let mut settings = AppSettings::default();
        if let Some((file, text)) = &self.local_settings {
            settings.add_local(file, text)?;
        }
        for (name, value) in &self.environment {
            settings.add(name, value);
        }
        Ok(settings)
    }

    /// All keys below `extensions.durableTask`.
    pub(super) fn keys(&self, app_settings: &AppSettings) -> Result<Keys, SettingsError> {
        let mut keys = Keys::default();
        if let Some((file, text)) = &self.host_json {
            let root = parse_lenient(file, text)?;
            flatten("", &Value::Object(root), &mut |path, value| {
                keys.set_from_root(path, value);
            });
        }
        for (name, (spelling, value)) in &app_settings.0 {
            let key = spelling.get(OVERRIDE_PREFIX.len()..);
            if let Some(key) = key.filter(|_| name.starts_with(OVERRIDE_PREFIX)) {
                keys.set_from_root(key, value.clone());
            }
        }
        for (key, value) in &self.overrides {
            keys.set(&key.replace('.', ":"), value.clone());
        }
        Ok(keys)
    }
}

fn read_file(path: &Path) -> Result<Option<(String, String)>, SettingsError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some((path.display().to_string(), text))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(SettingsError::File {
            file: path.to_owned(),
            source,
        }),
    }
}

/// Environment variables and `local.settings.json`, by lower-case name with `:` between parts;
/// with the spelling found.
#[derive(Default)]
pub(in crate::hub) struct AppSettings(BTreeMap<String, (String, String)>);

impl AppSettings {
    fn add(&mut self, name: &str, value: &str) {
        let spelling = name.replace("__", ":");
        self.0
            .insert(spelling.to_lowercase(), (spelling, value.to_owned()));
    }

    fn add_local(&mut self, file: &str, text: &str) -> Result<(), SettingsError> {
        for (section, content) in parse_lenient(file, text)? {
            if section.eq_ignore_ascii_case("IsEncrypted") && content == Value::Bool(true) {
                let file = file.to_owned();
                return Err(SettingsError::Encrypted { file });
            }
            let prefix = if section.eq_ignore_ascii_case("Values") {
                ""
            } else if section.eq_ignore_ascii_case("ConnectionStrings") {
                "ConnectionStrings"
            } else {
                continue;
            };
            flatten(prefix, &content, &mut |path, value| {
                // The longer form of a connection string is an object.
                let path = path.strip_suffix(":ConnectionString").unwrap_or(path);
                self.add(path, &value);
            });
        }
        Ok(())
    }

    /// A setting by its name, parts joined by `:`; `None` if absent or empty.
    pub(in crate::hub) fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.get(&name.replace("__", ":").to_lowercase())?;
        (!value.is_empty()).then_some(value)
    }

    /// Whether a setting has a value or settings below it.
    pub(in crate::hub) fn has(&self, name: &str) -> bool {
        self.get(name).is_some() || self.has_children(name)
    }

    /// The settings below a section: names relative to it, and values.
    pub(in crate::hub) fn children(&self, section: &str) -> impl Iterator<Item = (&str, &str)> {
        let prefix = format!("{}:", section.to_lowercase());
        let below = self.0.range(prefix.clone()..);
        below.map_while(move |(name, (_, value))| Some((name.strip_prefix(&prefix)?, &**value)))
    }

    /// Whether there is anything below a section.
    pub(in crate::hub) fn has_children(&self, section: &str) -> bool {
        self.children(section).next().is_some()
    }
}

/// One key below `extensions.durableTask`.
pub(super) struct Entry {
    /// Path as written, with dots.
    pub(super) spelling: String,
    pub(super) value: String,
    /// Which of two keys came later.
    pub(super) order: usize,
}

/// Keys below `extensions.durableTask`, by lower-case path with `:`.
#[derive(Default)]
pub(super) struct Keys {
    pub(super) entries: BTreeMap<String, Entry>,
    count: usize,
}

impl Keys {
    fn set_from_root(&mut self, path: &str, value: String) {
        let prefix = "extensions:durabletask:";
        if path.len() > prefix.len() && path.is_char_boundary(prefix.len()) {
            let (start, key) = path.split_at(prefix.len());
            if start.eq_ignore_ascii_case(prefix) {
                self.set(key, value);
            }
        }
    }

    fn set(&mut self, key: &str, value: String) {
        self.count += 1;
        let entry = Entry {
            spelling: key.replace(':', "."),
            value,
            order: self.count,
        };
        self.entries.insert(key.to_lowercase(), entry);
    }
}

/// Calls `leaf` for every scalar with its path; nulls count as absent.
fn flatten(path: &str, value: &Value, leaf: &mut impl FnMut(&str, String)) {
    let join = |name: &str| match path {
        "" => name.to_owned(),
        _ => format!("{path}:{name}"),
    };
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                flatten(&join(name), member, leaf);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                flatten(&join(&index.to_string()), item, leaf);
            }
        }
        Value::Null => {}
        Value::String(text) => leaf(path, text.clone()),
        scalar => leaf(path, scalar.to_string()),
    }
}
