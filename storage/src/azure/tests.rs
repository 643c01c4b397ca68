//! What holds for the whole of this part: no secret in logs, and one module for the 0.21 crates.

use std::fmt::Write as _;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};

use tracing_subscriber::fmt::MakeWriter;

use super::testing::{Server, Step, TestClock, key_forms, options};
use super::{AzureAccount, Connection};
use crate::{Query, Row, Write};

/// Everything that is logged, by `tracing` and by `log`.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl log::Log for Log {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let mut line = String::new();
        let _ = writeln!(
            line,
            "{} {} {}",
            record.level(),
            record.target(),
            record.args()
        );
        self.0.lock().unwrap().extend_from_slice(line.as_bytes());
    }

    fn flush(&self) {}
}

/// One of each kind of operation, a refusal and a lost answer among them.
async fn exercise(connection: &Connection) {
    let clock = TestClock::default();
    let account = AzureAccount::connect(connection, options(), clock.env()).unwrap();
    let _ = account.queues.create_queue("queue-1").await;
    let _ = account.queues.put_message("queue-1", "pay10ad", None).await;
    let _ = account.tables.create_table("Table").await;
    let _ = account.tables.query("Table", &Query::default()).await;
    let mut row = Row::new("p", "r");
    row.set("Text", "pay10ad");
    let _ = account
        .tables
        .transact("Table", vec![Write::Insert(row)])
        .await;
    let _ = account.blobs.get_blob("container", "blob").await;
    let lease = "11111111-1111-1111-1111-111111111111";
    let _ = account
        .blobs
        .renew_lease("container", Some("blob"), lease)
        .await;
}

fn steps() -> Vec<Step> {
    vec![
        Step::answer(201, &[], ""),
        Step::Reset,
        Step::answer(
            403,
            &[("x-ms-error-code", "AuthenticationFailed")],
            "<Error><Code>AuthenticationFailed</Code></Error>",
        ),
    ]
}

#[tokio::test]
async fn no_log_line_has_a_secret() {
    static LOG: OnceLock<Log> = OnceLock::new();
    let log = LOG.get_or_init(Log::default);
    let _ = log::set_logger(log);
    log::set_max_level(log::LevelFilter::Trace);
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_writer(log.clone())
        .finish();
    let guard = tracing::subscriber::set_default(subscriber);
    let keyed = Server::start(steps()).await;
    exercise(&keyed.connection()).await;
    let signed = Server::start(steps()).await;
    let text = signed.endpoints("SharedAccessSignature=sv=2022&sig=s1gnature");
    exercise(&Connection::parse(&text).unwrap()).await;
    drop(guard);

    let text = String::from_utf8_lossy(&log.0.lock().unwrap()).into_owned();
    assert!(
        text.contains("storage answered") && text.contains("queue-1"),
        "the log works"
    );
    assert!(text.contains("azure_core"), "the 0.21 pipeline was heard");
    let authorizations = keyed
        .received()
        .into_iter()
        .filter_map(|request| request.header("authorization").map(str::to_owned));
    let signatures: Vec<_> = authorizations
        .filter_map(|header| header.rsplit(':').next().map(str::to_owned))
        .collect();
    assert!(signatures.len() > 5);
    let [key, plain] = key_forms();
    let mut secrets = vec![
        key,
        plain,
        "sig=".into(),
        "s1gnature".into(),
        "SharedKey".into(),
    ];
    secrets.extend(signatures);
    secrets.push("pay10ad".into());
    for secret in secrets {
        let line = text.lines().find(|line| line.contains(&secret));
        assert_eq!(line, None, "{secret}");
    }
}

#[test]
fn only_the_control_module_names_the_frozen_crates() {
    let names = [
        "azure_storage::",
        "azure_storage_",
        "azure_data_tables",
        "azure_core::",
    ];
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![root.clone()];
    let mut seen = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let place = path.strip_prefix(&root).unwrap();
            if place.starts_with("azure/control") {
                seen += 1;
                continue;
            }
            if place == Path::new("azure/tests.rs") {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let code = text
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"));
            for line in code {
                let named = names.iter().find(|name| line.contains(*name));
                assert_eq!(named, None, "{}: {line}", place.display());
            }
        }
    }
    assert!(seen > 3, "the control module was found");
}
