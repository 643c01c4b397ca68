//! No payload and no secret in what is logged.

use std::io::Write;
use std::sync::{Arc, Mutex};

use durabletask_storage::ErrorKind;
use durabletask_storage::wrappers::Trouble;

use crate::support::script::{Do, Scripts, call};
use crate::support::world::{on_hub, with_id};

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

const MARK: &str = "PAYLOAD-MARK";

/// What is logged while a test runs, trace level included.
fn logged(test: impl FnOnce()) -> String {
    let captured = Captured::default();
    let writer = captured.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::with_default(subscriber, test);
    let bytes = captured.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn unknown_names_are_told_once_and_unreadable_messages_by_id() {
    let log = logged(|| {
        on_hub(1, |world| async move {
            let steps = vec![call("Nope", "1")];
            let alpha = world.start("alpha", Scripts::default().with("Odd", steps));
            for id in ["a", "b"] {
                world.begin(id, "Nobody", None).await;
            }
            world.begin("c", "Odd", None).await;
            world.put(&world.control_queue(), "no message").await;
            world.pass(20.0).await;
            alpha.worker.stop().await.unwrap();
        });
    });
    let lines = |text: &str| {
        log.lines()
            .filter(|line| line.contains(text))
            .collect::<Vec<_>>()
    };
    let names = lines("this worker does not run that");
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(names[0].contains("name=\"Nobody\"") && names[0].contains("registered=\"Odd\""));
    assert!(names[1].contains("name=\"Nope\"") && names[1].contains("Hello, Large, Sleep"));
    let unreadable = lines("a message cannot be read");
    assert!(unreadable.len() >= 4);
    assert!(unreadable.iter().all(|line| line.contains("message_id=0")));
}

#[test]
fn payloads_are_never_logged() {
    let log = logged(|| {
        on_hub(1, |world| async move {
            let marked = |text: &str| format!("{MARK} {text}");
            let steps = vec![
                Do::Input,
                Do::Event("Go"),
                call("Hello", MARK),
                Do::Status(MARK),
                call("Fail", MARK),
                Do::Repeat(MARK, 100_000),
            ];
            let alpha = world.start("alpha", Scripts::default().with("It", steps));
            let mut calls = 0;
            alpha.faults.set(move |_| {
                calls += 1;
                let kinds = [
                    ErrorKind::Unreachable,
                    ErrorKind::UnknownOutcome,
                    ErrorKind::Invalid,
                ];
                (calls % 7 == 0).then_some(Trouble::Before(kinds[calls % 3]))
            });
            let client = world.client();
            let input = Some(marked("input"));
            client.start("It", input, with_id("one")).await.unwrap();
            client
                .start("Nobody", Some(marked("x")), with_id("two"))
                .await
                .unwrap();
            let queue = world.control_queue();
            for text in [
                MARK.to_owned(),
                format!("{{\"{MARK}"),
                format!(
                    r#"{{"TaskMessage":{{"Event":{{"$type":"DurableTask.Core.History.Odd","Input":"{MARK}"}}}}}}"#
                ),
                format!(r#"{{"TaskMessage":null,"CompressedBlobName":null,"x":"{MARK}"}}"#),
            ] {
                world.put(&queue, &text).await;
            }
            client
                .raise_event("one", "Go", Some(marked("event")))
                .await
                .unwrap();
            client
                .raise_event("none", "Go", Some(marked("event")))
                .await
                .unwrap();
            client.suspend("one", Some(marked("reason"))).await.unwrap();
            client.resume("one", Some(marked("reason"))).await.unwrap();
            let output = world.output("one").await;
            assert!(output.contains(MARK));
            world.pass(20.0).await;
            alpha.worker.stop().await.unwrap();
        });
    });
    assert!(log.lines().count() > 20, "{log}");
    assert!(log.contains("cannot be read"));
    if let Some(line) = log.lines().find(|line| line.contains(MARK)) {
        panic!("{line}");
    }
}
