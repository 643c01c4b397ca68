//! What the XML readers of queues and blobs share.

use quick_xml::events::BytesRef;

/// An answer that is not the XML that was expected.
#[derive(Debug, thiserror::Error)]
pub(crate) enum XmlError {
    #[error("not well-formed XML")]
    Syntax(#[from] quick_xml::Error),
    #[error("not UTF-8")]
    Encoding(#[from] std::str::Utf8Error),
    #[error("an unknown entity")]
    Entity,
    #[error("unexpected content in {0}")]
    Unexpected(&'static str),
}

/// The text that a reference (`&lt;`, `&#xD;`) stands for.
pub(crate) fn resolve(reference: &BytesRef<'_>) -> Result<String, XmlError> {
    if let Some(character) = reference.resolve_char_ref()? {
        return Ok(character.to_string());
    }
    let text = match reference.as_ref() {
        "lt" => "<",
        "gt" => ">",
        "amp" => "&",
        "quot" => "\"",
        "apos" => "'",
        _ => return Err(XmlError::Entity),
    };
    Ok(text.to_owned())
}
