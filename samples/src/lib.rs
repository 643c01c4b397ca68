//! What all samples share: settings, logging, and telling where the task hub is.

use std::path::Path;

use durabletask_worker::TaskHub;
use durabletask_worker::hub::{SettingsSources, StoreChoice};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Whatever can go wrong in a sample.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// Opens the task hub that `host.json`, `local.settings.json` and the environment name, and says
/// where it is. `--task-hub NAME` on the command line wins over them.
///
/// Logging goes to standard error; `RUST_LOG=info` shows more of it.
pub async fn open_hub() -> Result<TaskHub, Error> {
    tracing_subscriber::registry()
        .with(EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn")))
        .with(tracing_subscriber::fmt::layer().with_writer(std::io::stderr))
        .init();
    let mut sources = SettingsSources::from_folder(Path::new("."))?;
    if let Some(name) = flag("--task-hub") {
        sources = sources.with_override("hubName", name);
    }
    let (settings, warnings) = sources.read()?;
    for warning in warnings {
        eprintln!("warning: {warning}");
    }
    let place = match (&settings.store, settings.embedded_file()) {
        (_, Some(file)) => format!("the embedded store {}", file.display()),
        (StoreChoice::Memory, None) => "memory".to_owned(),
        _ => "Azure Storage".to_owned(),
    };
    println!("Task hub {} in {place}.", settings.hub_name);
    let env = durabletask_storage::Env::system();
    Ok(TaskHub::open(settings, &env).await?)
}

/// The value after a flag of the command line.
pub fn flag(name: &str) -> Option<String> {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    arguments.nth(1)
}
