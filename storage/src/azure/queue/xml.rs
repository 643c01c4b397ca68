//! The XML around message texts.

use quick_xml::Reader;
use quick_xml::events::Event;

use crate::azure::xml::{XmlError, resolve};
use crate::queue::MessageHandle;

/// A message as listed; dates as text.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct RawMessage {
    pub(super) id: String,
    pub(super) inserted: String,
    pub(super) pop_receipt: String,
    pub(super) next_visible: String,
    pub(super) dequeue_count: u32,
    pub(super) text: String,
}

impl RawMessage {
    pub(super) fn into_handle(self) -> MessageHandle {
        MessageHandle {
            id: self.id,
            pop_receipt: self.pop_receipt,
        }
    }
}

/// Whether XML 1.0 can hold the character.
pub(super) fn is_legal(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

/// The body of a put or update, as .NET writes it: byte order mark, no declaration, only what must
/// be escaped escaped (chapter 02 §3.2). A carriage return is written as a character reference,
/// because XML readers turn a literal one into a line feed; JSON texts have none.
pub(super) fn message_body(text: &str) -> Vec<u8> {
    let mut body = Vec::with_capacity(text.len() + text.len() / 8 + 80);
    body.extend_from_slice("\u{feff}<QueueMessage><MessageText>".as_bytes());
    let mut copied = 0;
    for (at, byte) in text.bytes().enumerate() {
        let escape: &[u8] = match byte {
            b'<' => b"&lt;",
            b'>' => b"&gt;",
            b'&' => b"&amp;",
            b'\r' => b"&#xD;",
            _ => continue,
        };
        body.extend_from_slice(&text.as_bytes()[copied..at]);
        body.extend_from_slice(escape);
        copied = at + 1;
    }
    body.extend_from_slice(&text.as_bytes()[copied..]);
    body.extend_from_slice(b"</MessageText></QueueMessage>");
    body
}

/// Reads a `QueueMessagesList`. Texts come out character for character, white space included.
pub(super) fn read_messages(body: &[u8]) -> Result<Vec<RawMessage>, XmlError> {
    let text = std::str::from_utf8(body)?;
    let mut reader = Reader::from_str(text);
    let mut messages = Vec::new();
    let mut message: Option<RawMessage> = None;
    let mut value = String::new();
    loop {
        match reader.read_event()? {
            Event::Start(start) => {
                if start.name().as_ref() == "QueueMessage" {
                    message = Some(RawMessage::default());
                }
                value.clear();
            }
            Event::Empty(_) => value.clear(),
            Event::Text(part) => value.push_str(&part),
            Event::CData(part) => value.push_str(&part),
            Event::GeneralRef(reference) => value.push_str(&resolve(&reference)?),
            Event::End(end) => {
                let name = end.name();
                if name.as_ref() == "QueueMessage" {
                    messages.extend(message.take());
                } else if let Some(message) = &mut message {
                    set(message, name.as_ref(), std::mem::take(&mut value))?;
                }
                value.clear();
            }
            Event::Eof => return Ok(messages),
            _ => {}
        }
    }
}

fn set(message: &mut RawMessage, name: &str, value: String) -> Result<(), XmlError> {
    match name {
        "MessageId" => message.id = value,
        "InsertionTime" => message.inserted = value,
        "PopReceipt" => message.pop_receipt = value,
        "TimeNextVisible" => message.next_visible = value,
        "DequeueCount" => {
            message.dequeue_count = value
                .parse()
                .map_err(|_| XmlError::Unexpected("DequeueCount"))?;
        }
        "MessageText" => message.text = value,
        _ => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> String {
        format!(
            "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><QueueMessagesList><QueueMessage><MessageId>i</MessageId>\
             <InsertionTime>a</InsertionTime><ExpirationTime>b</ExpirationTime><PopReceipt>p+/=</PopReceipt>\
             <TimeNextVisible>c</TimeNextVisible><DequeueCount>3</DequeueCount><MessageText>{text}</MessageText></QueueMessage></QueueMessagesList>"
        )
    }

    fn through_xml(text: &str) -> String {
        let body = String::from_utf8(message_body(text)).unwrap();
        let inner = body
            .strip_prefix("\u{feff}<QueueMessage><MessageText>")
            .and_then(|rest| rest.strip_suffix("</MessageText></QueueMessage>"))
            .unwrap();
        let mut messages = read_messages(list(inner).as_bytes()).unwrap();
        assert_eq!(messages.len(), 1);
        messages.remove(0).text
    }

    #[test]
    fn texts_survive_character_for_character() {
        for text in [
            "",
            " ",
            "  \n\t x \n ",
            "a\r\nb\rc",
            "<a href=\"x\">'&amp;'</a>",
            "&lt;&#38;]]>",
            "é世🎉\u{fffd}\u{85}",
            "{\"a\":\"\\u0001\"}",
        ] {
            assert_eq!(through_xml(text), text);
        }
    }

    #[test]
    fn the_body_is_what_dotnet_sends() {
        assert_eq!(
            String::from_utf8(message_body("\"é\" <&> '")).unwrap(),
            "\u{feff}<QueueMessage><MessageText>\"é\" &lt;&amp;&gt; '</MessageText></QueueMessage>"
        );
    }

    #[test]
    fn lists_are_read_in_every_spelling() {
        let messages = read_messages(list("&#x41;&#66;<![CDATA[<c>]]>&quot;&apos;").as_bytes());
        let message = messages.unwrap().remove(0);
        assert_eq!(message.text, "AB<c>\"'");
        assert_eq!(message.pop_receipt, "p+/=");
        assert_eq!(message.dequeue_count, 3);
        assert_eq!(read_messages(b"<QueueMessagesList/>").unwrap(), vec![]);
        assert!(read_messages(b"<QueueMessagesList><QueueMessage><MessageText>&nope;").is_err());
        assert!(read_messages(b"\xff").is_err());
    }

    #[test]
    fn characters_that_xml_forbids_are_known() {
        assert!("\t\n\r é世🎉".chars().all(is_legal));
        for character in ['\0', '\u{1}', '\u{b}', '\u{1f}', '\u{fffe}', '\u{ffff}'] {
            assert!(!is_legal(character));
        }
    }
}
