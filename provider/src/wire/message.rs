//! Queue messages: the envelope around one event (chapter 02 §1 and §2).

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use durabletask_core::{
    EventType, HistoryEvent, NO_EVENT_ID, OrchestrationInstance, OrchestrationStatus, Tags,
    TaskMessage, Timestamp,
};
use uuid::Uuid;

use super::event::{self, ReadObject, Source};
use super::json::{Raw, Reader, Writer};
use super::objects::{self, Object, canonical};
use super::{WireError, names};

type Result<T> = std::result::Result<T, WireError>;

/// UTF-8 bytes of JSON up to which a message stays in the queue (chapter 02 §2.2).
pub const MAX_INLINE_BYTES: usize = 45 * 1024;

/// One message with its envelope (chapter 02 §1.4).
#[derive(Debug, Clone, PartialEq)]
pub struct MessageData {
    /// Fresh per message; part of the blob name of a large one.
    pub activity_id: Uuid,
    /// Event and target.
    pub message: TaskMessage,
    /// Counts the messages of the sending process; an ordering tie-breaker.
    pub sequence_number: i64,
    /// The sender's episode; `None` from clients.
    pub episode: Option<i32>,
    /// Who sent it; [`client_sender`] for clients.
    pub sender: OrchestrationInstance,
}

impl MessageData {
    /// The blob that this message goes to if [`is_large`].
    pub fn blob_name(&self) -> String {
        names::message_blob(
            &self.message.target.instance_id,
            self.activity_id,
            self.message.event.event_type(),
        )
    }
}

/// What a queue message's text holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Decoded {
    /// The message itself.
    Message(Box<MessageData>),
    /// Only the name of the blob that holds the message: gzip of the JSON that [`decode`] reads,
    /// in the large-message container.
    InBlob {
        /// Blob name within the container, not URL-encoded.
        blob_name: String,
    },
}

/// `QueueClientMessageEncoding`: how a message's JSON becomes queue text (chapter 02 §2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TextEncoding {
    /// The JSON itself; .NET's default since 2.0.
    #[default]
    Utf8,
    /// Standard padded Base64 of it; all that workers up to 1.17.3 read.
    Base64,
}

/// The sender that clients write: both ids present and empty.
pub fn client_sender() -> OrchestrationInstance {
    OrchestrationInstance::new("", "")
}

/// The message's JSON, exactly as .NET writes it. `IsPlayed` is written as it is; .NET's messages
/// never have it set.
pub fn encode(data: &MessageData) -> String {
    let mut out = Writer::for_message(1024);
    out.begin("DurableTask.AzureStorage.MessageData");
    out.text(
        "ActivityId",
        Some(hyphenated(data.activity_id, &mut [0; 36])),
    );
    out.key("TaskMessage");
    write_task_message(&data.message, &mut out);
    out.text("CompressedBlobName", None);
    out.int("SequenceNumber", Some(data.sequence_number));
    if data.episode.is_some() {
        out.int("Episode", data.episode);
    }
    out.key("Sender");
    objects::write_sender(&mut out, &data.sender);
    out.text("SerializableTraceContext", None);
    out.end();
    out.finish()
}

fn hyphenated(id: Uuid, buffer: &mut [u8; 36]) -> &str {
    id.hyphenated().encode_lower(buffer)
}

fn write_task_message(message: &TaskMessage, out: &mut Writer) {
    out.begin("DurableTask.Core.TaskMessage");
    out.key("Event");
    event::write_json(&message.event, out);
    out.int("SequenceNumber", Some(0));
    out.key("OrchestrationInstance");
    Object::Instance(&message.target).write(out);
    out.key("OrchestrationExecutionContext");
    if let Some(tags) = &message.orchestration_tags {
        out.begin("DurableTask.Core.OrchestrationExecutionContext");
        out.key("OrchestrationTags");
        objects::write_tags(out, tags);
        out.end();
    } else {
        out.null();
    }
    out.end();
}

/// The JSON that takes a large message's place in the queue (chapter 02 §2.3).
pub fn encode_wrapper(blob_name: &str) -> String {
    let mut out = Writer::for_message(256 + blob_name.len());
    out.begin("DurableTask.AzureStorage.MessageData");
    out.text("ActivityId", Some(hyphenated(Uuid::nil(), &mut [0; 36])));
    out.text("TaskMessage", None);
    out.text("CompressedBlobName", Some(blob_name));
    out.int("SequenceNumber", Some(0));
    out.text("Sender", None);
    out.text("SerializableTraceContext", None);
    out.end();
    out.finish()
}

/// Reads JSON that is either a message or a blob wrapper.
///
/// More is read than .NET reads: `$type` of the event may stand anywhere in it, and if it is
/// missing, `EventType` decides; a missing `EventId` is -1, not 0. Without event, target or blob
/// name there is no message.
pub fn decode(json: &str) -> Result<Decoded> {
    const NAMES: [&str; 6] = [
        "ActivityId",
        "TaskMessage",
        "CompressedBlobName",
        "SequenceNumber",
        "Episode",
        "Sender",
    ];
    let mut activity_id = Uuid::nil();
    let (mut message, mut blob_name, mut sender) = (None, None, None);
    let (mut sequence_number, mut episode) = (0, None);
    let mut reader = Reader::new(json);
    reader.object(|reader, name| {
        match canonical(&name, &NAMES) {
            "ActivityId" => {
                let text = reader.value()?.text("ActivityId")?;
                let parsed = text.map(|text| Uuid::parse_str(&text)).transpose();
                activity_id = parsed
                    .map_err(|_| WireError::Corrupt("ActivityId"))?
                    .unwrap_or_default();
            }
            "TaskMessage" => message = read_task_message(reader)?,
            "CompressedBlobName" => blob_name = reader.value()?.text("CompressedBlobName")?,
            "SequenceNumber" => {
                sequence_number = reader.value()?.int("SequenceNumber")?.unwrap_or(0);
            }
            "Episode" => episode = reader.value()?.int("Episode")?,
            "Sender" => sender = objects::read_instance(reader)?,
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    reader.end()?;
    if let Some(blob_name) = blob_name.filter(|name| !name.is_empty()) {
        return Ok(Decoded::InBlob { blob_name });
    }
    Ok(Decoded::Message(Box::new(MessageData {
        activity_id,
        message: message.ok_or(WireError::MissingMember("TaskMessage"))?,
        sequence_number,
        episode,
        sender: sender.unwrap_or_default(),
    })))
}

fn read_task_message(reader: &mut Reader<'_>) -> Result<Option<TaskMessage>> {
    const NAMES: [&str; 3] = [
        "Event",
        "OrchestrationInstance",
        "OrchestrationExecutionContext",
    ];
    let (mut event, mut target, mut orchestration_tags) = (None, None, None);
    let found = reader.object(|reader, name| {
        match canonical(&name, &NAMES) {
            "Event" => event = read_event(reader)?,
            "OrchestrationInstance" => target = objects::read_instance(reader)?,
            "OrchestrationExecutionContext" => orchestration_tags = read_context(reader)?,
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    if !found {
        return Ok(None);
    }
    Ok(Some(TaskMessage {
        event: event.ok_or(WireError::MissingMember("Event"))?,
        target: target.ok_or(WireError::MissingMember("OrchestrationInstance"))?,
        orchestration_tags,
    }))
}

fn read_context(reader: &mut Reader<'_>) -> Result<Option<Tags>> {
    let mut tags = None;
    reader.object(|reader, name| {
        match canonical(&name, &["OrchestrationTags"]) {
            "" => reader.skip()?,
            _ => tags = objects::read_tags(reader)?,
        }
        Ok(())
    })?;
    Ok(tags)
}

/// The members of an event object, read before its class is known.
struct EventMembers<'a>(Vec<(Cow<'a, str>, Raw<'a>)>);

pub(super) fn read_event(reader: &mut Reader<'_>) -> Result<Option<HistoryEvent>> {
    let mut members = EventMembers(Vec::with_capacity(16));
    let found = reader.object(|reader, name| {
        if name == "__type" {
            return Err(WireError::DataContract);
        }
        members.0.push((name, reader.value()?));
        Ok(())
    })?;
    if !found {
        return Ok(None);
    }
    let event_type = members.event_type()?;
    let event_id = members.int("EventId")?.unwrap_or(NO_EVENT_ID);
    event::read(event_type, event_id, &mut members).map(Some)
}

impl<'a> EventMembers<'a> {
    /// Takes a member out: the last one of exactly that name, else of that name in another case.
    fn take(&mut self, name: &str) -> Raw<'a> {
        let same = |(member, _): &(Cow<'_, str>, _)| *member == name;
        let similar = |(member, _): &(Cow<'_, str>, _)| member.eq_ignore_ascii_case(name);
        let at = self.0.iter().rposition(same);
        match at.or_else(|| self.0.iter().rposition(similar)) {
            Some(at) => std::mem::replace(&mut self.0[at].1, Raw::Null),
            None => Raw::Null,
        }
    }

    /// The class in `$type`, without assembly (chapter 02 §1.3); else the number in `EventType`.
    fn event_type(&mut self) -> Result<EventType> {
        const NAMESPACE: &str = "DurableTask.Core.History.";
        let unknown = |name: &str| WireError::UnknownEventType(name.chars().take(100).collect());
        if let Some(type_name) = self.take("$type").text("$type")? {
            let full_name = without_assembly(&type_name);
            let class = full_name.strip_prefix(NAMESPACE);
            return class
                .and_then(event::from_class_name)
                .ok_or_else(|| unknown(full_name));
        }
        let number = self.take("EventType").int("EventType")?;
        let number = number.ok_or(WireError::MissingMember("$type"))?;
        event::from_number(number).ok_or_else(|| unknown(&number.to_string()))
    }
}

/// A type name up to the first comma outside of brackets.
fn without_assembly(type_name: &str) -> &str {
    let mut brackets = 0_usize;
    for (at, byte) in type_name.bytes().enumerate() {
        match byte {
            b'[' => brackets += 1,
            b']' => brackets = brackets.saturating_sub(1),
            b',' if brackets == 0 => return type_name[..at].trim(),
            _ => {}
        }
    }
    type_name.trim()
}

impl Source for EventMembers<'_> {
    fn text(&mut self, name: &'static str) -> Result<Option<String>> {
        self.take(name).text(name)
    }

    fn int(&mut self, name: &'static str) -> Result<Option<i32>> {
        self.take(name).int(name)
    }

    fn flag(&mut self, name: &'static str) -> Result<bool> {
        self.take(name).flag(name)
    }

    fn date(&mut self, name: &'static str) -> Result<Option<Timestamp>> {
        self.take(name).date(name)
    }

    fn status(&mut self, name: &'static str) -> Result<Option<OrchestrationStatus>> {
        self.take(name).status(name)
    }

    fn object<T>(&mut self, name: &'static str, read: ReadObject<T>) -> Result<Option<T>> {
        match self.take(name) {
            Raw::Nested(json, depth) => read(&mut Reader::nested(json, depth)),
            Raw::Null => Ok(None),
            Raw::Text(_) | Raw::Literal(_) => Err(WireError::Corrupt(name)),
        }
    }
}

/// Whether a message of this JSON goes to a blob.
pub fn is_large(json: &str) -> bool {
    json.len() > MAX_INLINE_BYTES
}

/// The queue text of a message's or wrapper's JSON.
pub fn to_queue_text(json: String, encoding: TextEncoding) -> String {
    match encoding {
        TextEncoding::Utf8 => json,
        TextEncoding::Base64 => STANDARD.encode(json),
    }
}

/// The JSON in a queue text of either encoding.
pub fn from_queue_text(text: &str) -> Result<Cow<'_, str>> {
    if text.starts_with('{') {
        return Ok(Cow::Borrowed(text));
    }
    let bytes = STANDARD.decode(text).map_err(|_| WireError::NotBase64)?;
    let json = String::from_utf8(bytes).map_err(|_| WireError::NotUtf8)?;
    Ok(Cow::Owned(json))
}
