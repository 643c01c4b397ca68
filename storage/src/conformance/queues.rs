//! Expectations on queues.

use futures::future::join_all;

use super::{Bench, Broken, Outcome, ensure, ensure_equal, ensure_refused};
use crate::{ErrorKind, MAX_MESSAGE_BYTES, MAX_VISIBILITY_SECONDS, MessageHandle, ReceivedMessage};

/// Long enough that nothing comes back by itself within a check.
const LONG_SECONDS: u32 = 600;

pub(super) async fn come_and_go(bench: Bench) -> Outcome {
    let queues = &bench.account.queues;
    let names = ["a", "b", "c"].map(|end| format!("{}-{end}", bench.prefix));
    for name in &names {
        ensure(queues.create_queue(name).await?, "made")?;
        ensure(!queues.create_queue(name).await?, "made only once")?;
    }
    let prefix = format!("{}-", bench.prefix);
    ensure_equal(&queues.list_queues(&prefix).await?, &names.to_vec(), "list")?;
    ensure(queues.delete_queue(&names[1]).await?, "deleted")?;
    ensure(!queues.delete_queue(&names[1]).await?, "deleted only once")?;
    let rest = vec![names[0].clone(), names[2].clone()];
    ensure_equal(&queues.list_queues(&prefix).await?, &rest, "rest")?;
    for name in ["A", "Upper", "a--b", "-ab", "ab-", "a_b"] {
        ensure_refused(queues.create_queue(name).await, ErrorKind::Invalid, name)?;
    }
    Ok(())
}

pub(super) async fn missing_ones_are_not_found(bench: Bench) -> Outcome {
    let queues = &bench.account.queues;
    let name = format!("{}-missing", bench.prefix);
    let handle = MessageHandle {
        id: "5f0b1a52-3c61-4b1f-9a2e-0c8d7e6f5a4b".to_owned(),
        pop_receipt: "AgAAAAMAAAAAAAAAAAAAAAAAAAA=".to_owned(),
    };
    let kind = ErrorKind::NotFound;
    ensure_refused(queues.put_message(&name, "x", None).await, kind, "put")?;
    ensure_refused(queues.get_messages(&name, 1, 30).await, kind, "get")?;
    ensure_refused(queues.peek_messages(&name, 1).await, kind, "peek")?;
    ensure_refused(queues.count_messages(&name).await, kind, "count")?;
    let updated = queues.update_message(&name, &handle, None, 0).await;
    ensure_refused(updated, kind, "update")?;
    ensure_refused(queues.delete_message(&name, &handle).await, kind, "delete")?;
    Ok(())
}

pub(super) async fn keep_texts_exactly(bench: Bench) -> Outcome {
    let (queues, queue) = (&bench.account.queues, bench.queue().await?);
    let longest = "x".repeat(MAX_MESSAGE_BYTES);
    let texts = [
        "{\"$type\":\"DurableTask.AzureStorage.MessageData\"}",
        "<a b=\"c\">&amp;'</a>]]>",
        "  spaces and\ttabs and lines\n",
        "carriage\rreturns\r\nand &#13; entities",
        "世界 🦀 \u{e000}\u{fffd}",
        longest.as_str(),
    ];
    for text in texts {
        queues.put_message(&queue, text, None).await?;
        let message = receive_one(&bench, &queue, LONG_SECONDS).await?;
        let short: String = text.chars().take(60).collect();
        ensure(message.text == text, &format!("text kept: {short:?}"))?;
        queues.delete_message(&queue, &message.handle).await?;
    }
    let longer = format!("{longest}x");
    let refused = queues.put_message(&queue, &longer, None).await;
    ensure_refused(refused, ErrorKind::PayloadTooLarge, "64 KiB and one byte")?;
    Ok(())
}

pub(super) async fn refuse_what_xml_forbids(bench: Bench) -> Outcome {
    let (queues, queue) = (&bench.account.queues, bench.queue().await?);
    let sent = queues.put_message(&queue, "legal", Some(0)).await?;
    for text in ["a\u{1}", "\0", "\u{1f}", "\u{fffe}", "\u{ffff}"] {
        let refused = queues.put_message(&queue, text, None).await;
        ensure_refused(refused, ErrorKind::Invalid, &format!("put {text:?}"))?;
        let refused = queues.update_message(&queue, &sent.handle, Some(text), 0);
        ensure_refused(
            refused.await,
            ErrorKind::Invalid,
            &format!("update {text:?}"),
        )?;
    }
    Ok(())
}

pub(super) async fn refuse_numbers_out_of_range(bench: Bench) -> Outcome {
    let (queues, queue) = (&bench.account.queues, bench.queue().await?);
    let kind = ErrorKind::Invalid;
    let too_long = MAX_VISIBILITY_SECONDS + 1;
    for (count, seconds) in [(0, 30), (33, 30), (1, 0), (1, too_long)] {
        let what = format!("get {count} for {seconds} s");
        ensure_refused(
            queues.get_messages(&queue, count, seconds).await,
            kind,
            &what,
        )?;
    }
    ensure_refused(queues.peek_messages(&queue, 33).await, kind, "peek 33")?;
    let put = queues.put_message(&queue, "x", Some(too_long)).await;
    ensure_refused(put, kind, "put for too long")?;
    let sent = queues
        .put_message(&queue, "x", Some(MAX_VISIBILITY_SECONDS))
        .await?;
    let updated = queues.update_message(&queue, &sent.handle, None, too_long);
    ensure_refused(updated.await, kind, "update for too long")?;
    Ok(())
}

pub(super) async fn hide_what_was_received(bench: Bench) -> Outcome {
    let (queues, queue) = (&bench.account.queues, bench.queue().await?);
    let sent = queues.put_message(&queue, "m", None).await?;
    let first = receive_one(&bench, &queue, 2).await?;
    ensure_equal(&first.handle.id, &sent.handle.id, "id")?;
    ensure_equal(&first.dequeue_count, &1, "first dequeue count")?;
    ensure_equal(
        &first.inserted,
        &sent.inserted,
        "insertion time of the receive",
    )?;
    ensure_equal(&(first.inserted.ticks() % 10_000_000), &0, "whole seconds")?;
    let gone = queues.delete_message(&queue, &sent.handle).await;
    ensure_refused(
        gone,
        ErrorKind::PopReceiptMismatch,
        "the put's receipt after a receive",
    )?;
    let hidden = queues.get_messages(&queue, 32, 30).await?;
    ensure(hidden.is_empty(), "hidden from a second receive")?;
    ensure_equal(
        &queues.count_messages(&queue).await?,
        &1,
        "counted while hidden",
    )?;

    let second = receive_one(&bench, &queue, LONG_SECONDS).await?;
    ensure_equal(&second.dequeue_count, &2, "second dequeue count")?;
    for late in [
        queues.delete_message(&queue, &first.handle).await,
        queues
            .update_message(&queue, &first.handle, None, 0)
            .await
            .map(drop),
    ] {
        ensure_refused(
            late,
            ErrorKind::PopReceiptMismatch,
            "the first receiver's receipt",
        )?;
    }
    queues.delete_message(&queue, &second.handle).await?;
    for late in [
        queues.delete_message(&queue, &second.handle).await,
        queues
            .update_message(&queue, &second.handle, None, 0)
            .await
            .map(drop),
    ] {
        ensure_refused(late, ErrorKind::NotFound, "a deleted message")?;
    }
    ensure_equal(
        &queues.count_messages(&queue).await?,
        &0,
        "counted at the end",
    )
}

pub(super) async fn honour_a_receipt_until_the_next_receive(bench: Bench) -> Outcome {
    let (queues, queue) = (&bench.account.queues, bench.queue().await?);
    queues.put_message(&queue, "m", None).await?;
    let message = receive_one(&bench, &queue, 1).await?;
    bench
        .eventually("visible again", async || {
            let seen = queues.peek_messages(&queue, 1).await?;
            Ok((!seen.is_empty()).then_some(()))
        })
        .await?;
    queues.delete_message(&queue, &message.handle).await?;
    ensure_equal(&queues.count_messages(&queue).await?, &0, "deleted late")
}

pub(super) async fn hide_what_was_put_invisible(bench: Bench) -> Outcome {
    let (queues, queue) = (&bench.account.queues, bench.queue().await?);
    let before = bench.env.monotonic();
    let sent = queues.put_message(&queue, "m", Some(2)).await?;
    let distance = sent.next_visible.saturating_since(sent.inserted);
    ensure_equal(&distance.as_secs(), &2, "seconds between the two times")?;
    ensure(
        queues.get_messages(&queue, 1, 30).await?.is_empty(),
        "hidden",
    )?;
    ensure(queues.peek_messages(&queue, 1).await?.is_empty(), "unseen")?;
    ensure_equal(
        &queues.count_messages(&queue).await?,
        &1,
        "counted while hidden",
    )?;
    let message = receive_one(&bench, &queue, LONG_SECONDS).await?;
    ensure_equal(&message.dequeue_count, &1, "dequeue count")?;
    // The service may cut its own clock to a second.
    let waited = bench.env.monotonic().saturating_sub(before);
    ensure(waited.as_millis() > 1_000, "not visible early")
}

pub(super) async fn accept_the_receipt_of_a_put(bench: Bench) -> Outcome {
    let (queues, queue) = (&bench.account.queues, bench.queue().await?);
    let sent = queues
        .put_message(&queue, "one", Some(LONG_SECONDS))
        .await?;
    let shown = queues
        .update_message(&queue, &sent.handle, None, 0)
        .await?
        .handle;
    ensure_equal(&shown.id, &sent.handle.id, "the id stays")?;
    let seen = queues.peek_messages(&queue, 32).await?;
    ensure_equal(&seen.len(), &1, "handed back")?;
    ensure_equal(&seen[0].dequeue_count, &0, "dequeue count")?;
    queues.delete_message(&queue, &shown).await?;
    let sent = queues
        .put_message(&queue, "two", Some(LONG_SECONDS))
        .await?;
    let other = format!("{}-other", bench.prefix);
    queues.create_queue(&other).await?;
    let refused = queues.delete_message(&other, &sent.handle).await;
    ensure_refused(refused, ErrorKind::NotFound, "a message of another queue")?;
    queues.delete_message(&queue, &sent.handle).await?;
    ensure_equal(&queues.count_messages(&queue).await?, &0, "both deleted")
}

pub(super) async fn replace_text_and_receipt_on_update(bench: Bench) -> Outcome {
    let (queues, queue) = (&bench.account.queues, bench.queue().await?);
    queues.put_message(&queue, "old", None).await?;
    let received = receive_one(&bench, &queue, LONG_SECONDS).await?.handle;
    let renewed = queues
        .update_message(&queue, &received, None, LONG_SECONDS)
        .await?;
    let stale = queues.delete_message(&queue, &received).await;
    ensure_refused(
        stale,
        ErrorKind::PopReceiptMismatch,
        "the receipt before the update",
    )?;
    let kept = queues
        .update_message(&queue, &renewed.handle, None, 0)
        .await?;
    ensure_equal(
        &text_of(&bench, &queue).await?.as_str(),
        &"old",
        "text kept",
    )?;
    let new = "new <&> \u{e9}";
    let handle = queues
        .update_message(&queue, &kept.handle, Some(new), 0)
        .await?
        .handle;
    ensure_equal(
        &text_of(&bench, &queue).await?.as_str(),
        &new,
        "text replaced",
    )?;
    queues.delete_message(&queue, &handle).await?;
    Ok(())
}

pub(super) async fn hand_out_in_order_of_visibility(bench: Bench) -> Outcome {
    let (queues, queue) = (&bench.account.queues, bench.queue().await?);
    for text in ["m0", "m1", "m2", "m3", "m4", "m5"] {
        queues.put_message(&queue, text, None).await?;
    }
    let first = queues.get_messages(&queue, 3, 1).await?;
    ensure_equal(&texts(&first), &vec!["m0", "m1", "m2"], "first receive")?;
    bench
        .eventually("all visible again", async || {
            let seen = queues.peek_messages(&queue, 32).await?;
            Ok((seen.len() == 6).then_some(()))
        })
        .await?;
    let second = queues.get_messages(&queue, 32, LONG_SECONDS).await?;
    let expected = vec!["m3", "m4", "m5", "m0", "m1", "m2"];
    ensure_equal(&texts(&second), &expected, "those that timed out come last")
}

pub(super) async fn change_nothing_on_peek(bench: Bench) -> Outcome {
    let (queues, queue) = (&bench.account.queues, bench.queue().await?);
    let sent = queues.put_message(&queue, "m", None).await?;
    for _ in 0..2 {
        let seen = queues.peek_messages(&queue, 32).await?;
        ensure_equal(&seen.len(), &1, "seen")?;
        ensure_equal(&seen[0].id, &sent.handle.id, "id")?;
        ensure_equal(&seen[0].dequeue_count, &0, "dequeue count")?;
    }
    queues.delete_message(&queue, &sent.handle).await?;
    Ok(())
}

pub(super) async fn give_each_message_to_one_receiver(bench: Bench) -> Outcome {
    let (queues, queue) = (&bench.account.queues, bench.queue().await?);
    let sent = (0..40).map(|_| queues.put_message(&queue, "m", None));
    for put in join_all(sent).await {
        put?;
    }
    let mut ids = Vec::new();
    while ids.len() < 40 {
        let receives = (0..4).map(|_| queues.get_messages(&queue, 7, LONG_SECONDS));
        let before = ids.len();
        for received in join_all(receives).await {
            ids.extend(received?.into_iter().map(|message| message.handle.id));
        }
        ensure(ids.len() > before, "messages that nobody got")?;
    }
    ids.sort_unstable();
    ids.dedup();
    ensure_equal(&ids.len(), &40, "distinct messages")
}

async fn receive_one(bench: &Bench, queue: &str, seconds: u32) -> Result<ReceivedMessage, Broken> {
    let queues = &bench.account.queues;
    bench
        .eventually("a message", async || {
            Ok(queues.get_messages(queue, 1, seconds).await?.pop())
        })
        .await
}

async fn text_of(bench: &Bench, queue: &str) -> Result<String, Broken> {
    let seen = bench.account.queues.peek_messages(queue, 1).await?.pop();
    Ok(seen.map(|message| message.text).unwrap_or_default())
}

fn texts(messages: &[ReceivedMessage]) -> Vec<&str> {
    messages
        .iter()
        .map(|message| message.text.as_str())
        .collect()
}
