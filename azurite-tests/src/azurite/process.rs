//! A running Azurite.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use super::{AzuriteError, install};

/// Its well-known account.
const ACCOUNT: &str = "devstoreaccount1";
const KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";
const WRAPPER: &str = include_str!("wrapper.js");
const FLAGS: [&str; 4] = [
    "--inMemoryPersistence",
    "--skipApiVersionCheck",
    "--disableTelemetry",
    "--silent",
];
/// What each service says when it is up.
const READY: &str = " successfully ";
const SERVICES: [&str; 3] = ["blob", "queue", "table"];
/// Where `UseDevelopmentStorage=true` looks for the services.
const WELL_KNOWN_PORTS: [u16; 3] = [10_000, 10_001, 10_002];
const START_LIMIT: Duration = Duration::from_secs(60);
/// Somebody else may take a port between our looking and Azurite's binding.
const START_ATTEMPTS: u32 = 3;

/// An Azurite of our own, in memory, on free loopback ports. It ends when this is dropped or this
/// process dies, however that comes about.
#[derive(Debug)]
pub struct Azurite {
    connection: String,
    processes: Vec<Child>,
}

/// What the output readers report.
enum Report {
    Ready,
    Ended(String),
}

impl Azurite {
    /// Starts it, and installs it before if need be. Blocks until all services listen.
    pub fn start() -> Result<Self, AzuriteError> {
        let package = install::package()?;
        let mut failure = String::new();
        for _ in 0..START_ATTEMPTS {
            match Self::start_once(&package, free_ports()?)? {
                Ok(azurite) => return Ok(azurite),
                Err(words) => failure = words,
            }
        }
        Err(AzuriteError::Start(failure))
    }

    /// Starts it where `UseDevelopmentStorage=true` looks for it; fails if something listens
    /// there already.
    pub fn start_on_well_known_ports() -> Result<Self, AzuriteError> {
        let package = install::package()?;
        Self::start_once(&package, WELL_KNOWN_PORTS)?.map_err(AzuriteError::Start)
    }

    /// The connection string.
    pub fn connection(&self) -> &str {
        &self.connection
    }

    fn start_once(package: &Path, ports: [u16; 3]) -> Result<Result<Self, String>, AzuriteError> {
        let (sender, reports) = channel();
        let mut azurite = Self {
            connection: connection_string(ports),
            processes: Vec::new(),
        };
        for (service, port) in SERVICES.into_iter().zip(ports) {
            let script = package.join(format!("dist/src/{service}/main.js"));
            let process = spawn(&script, &[(service, port)], &sender)?;
            azurite.processes.push(process);
        }
        drop(sender);
        Ok(wait_until_ready(&reports, SERVICES.len()).map(|()| azurite))
    }
}

impl Drop for Azurite {
    fn drop(&mut self) {
        for process in &mut self.processes {
            drop(process.stdin.take());
        }
        for process in &mut self.processes {
            let _ = process.wait();
        }
    }
}

fn spawn(
    script: &Path,
    services: &[(&str, u16)],
    reports: &Sender<Report>,
) -> Result<Child, AzuriteError> {
    let mut command = Command::new("node");
    command.arg("-e").arg(WRAPPER).arg(script).args(FLAGS);
    for (service, port) in services {
        command
            .arg(format!("--{service}Port"))
            .arg(port.to_string());
    }
    let mut process = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|source| AzuriteError::NoProgram {
            program: "node",
            source,
        })?;
    let output = process.stdout.take();
    let errors = process.stderr.take();
    let reports = reports.clone();
    thread::spawn(move || watch(output, errors, &reports));
    Ok(process)
}

/// Reads the output to its end, so that Azurite never waits for a full pipe.
fn watch(
    output: Option<impl Read>,
    errors: Option<impl Read + Send + 'static>,
    reports: &Sender<Report>,
) {
    let errors = thread::spawn(move || {
        let mut words = String::new();
        if let Some(mut errors) = errors {
            let _ = errors.read_to_string(&mut words);
        }
        words
    });
    let mut last = String::new();
    if let Some(output) = output {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if line.contains(READY) {
                let _ = reports.send(Report::Ready);
            }
            last = line;
        }
    }
    let words = errors.join().unwrap_or_default();
    let words = if words.trim().is_empty() { last } else { words };
    let _ = reports.send(Report::Ended(words.trim().to_owned()));
}

fn wait_until_ready(reports: &Receiver<Report>, services: usize) -> Result<(), String> {
    for _ in 0..services {
        match reports.recv_timeout(START_LIMIT) {
            Ok(Report::Ready) => {}
            Ok(Report::Ended(words)) => return Err(words),
            Err(RecvTimeoutError::Timeout) => {
                return Err(format!("it was not up within {START_LIMIT:?}"));
            }
            Err(RecvTimeoutError::Disconnected) => return Err("it ended at once".to_owned()),
        }
    }
    Ok(())
}

/// Three ports that were free a moment ago.
fn free_ports() -> Result<[u16; 3], AzuriteError> {
    let mut listeners = Vec::new();
    let mut ports = [0; 3];
    for port in &mut ports {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        *port = listener.local_addr()?.port();
        listeners.push(listener);
    }
    Ok(ports)
}

fn connection_string([blob, queue, table]: [u16; 3]) -> String {
    let endpoint = |port: u16| format!("http://127.0.0.1:{port}/{ACCOUNT}");
    format!(
        "DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};\
         BlobEndpoint={};QueueEndpoint={};TableEndpoint={};",
        endpoint(blob),
        endpoint(queue),
        endpoint(table)
    )
}
