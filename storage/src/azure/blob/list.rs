//! The XML of a page of blobs.

use durabletask_core::http_date;
use quick_xml::Reader;
use quick_xml::events::Event;

use crate::azure::xml::{XmlError, resolve};
use crate::blob::{BlobInfo, BlobPage};

/// Reads `EnumerationResults`.
pub(super) fn read(body: &[u8]) -> Result<BlobPage, XmlError> {
    let mut reader = Reader::from_str(std::str::from_utf8(body)?);
    let mut page = BlobPage::default();
    let mut blob: Option<BlobInfo> = None;
    let mut value = String::new();
    let mut is_list = false;
    loop {
        match reader.read_event()? {
            Event::Start(start) => {
                match start.name().as_ref() {
                    "EnumerationResults" => is_list = true,
                    "Blob" => blob = Some(empty()),
                    _ => {}
                }
                value.clear();
            }
            Event::Empty(_) => value.clear(),
            Event::Text(part) => value.push_str(&part),
            Event::CData(part) => value.push_str(&part),
            Event::GeneralRef(reference) => value.push_str(&resolve(&reference)?),
            Event::End(end) => {
                match (end.name().as_ref(), &mut blob) {
                    ("Blob", _) => page.blobs.extend(blob.take()),
                    ("NextMarker", None) => {
                        page.marker = Some(std::mem::take(&mut value)).filter(|it| !it.is_empty());
                    }
                    (name, Some(blob)) => set(blob, name, &value)?,
                    _ => {}
                }
                value.clear();
            }
            Event::Eof if is_list => return Ok(page),
            Event::Eof => return Err(XmlError::Unexpected("the root")),
            _ => {}
        }
    }
}

fn empty() -> BlobInfo {
    BlobInfo {
        name: String::new(),
        bytes: 0,
        written: None,
        leased: false,
    }
}

fn set(blob: &mut BlobInfo, name: &str, value: &str) -> Result<(), XmlError> {
    match name {
        "Name" => value.clone_into(&mut blob.name),
        "Content-Length" => {
            blob.bytes = value
                .parse()
                .map_err(|_| XmlError::Unexpected("Content-Length"))?;
        }
        "Last-Modified" => blob.written = http_date::parse(value),
        "LeaseStatus" => blob.leased = value == "locked",
        _ => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_read() {
        let body = "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><EnumerationResults ServiceEndpoint=\"https://a/\" ContainerName=\"c\">\
            <Prefix>x</Prefix><MaxResults>2</MaxResults><Blobs><Blob><Name>x/a &amp; b</Name><Properties>\
            <Last-Modified>Sat, 21 Nov 2026 12:31:02 GMT</Last-Modified><Etag>0x8D</Etag><Content-Length>80</Content-Length>\
            <LeaseStatus>locked</LeaseStatus><LeaseState>leased</LeaseState></Properties></Blob>\
            <Blob><Name>x/b</Name><Properties><Content-Length>0</Content-Length><LeaseStatus>unlocked</LeaseStatus></Properties><OrMetadata /></Blob>\
            </Blobs><NextMarker>2!68!MDAw</NextMarker></EnumerationResults>";
        let page = read(body.as_bytes()).unwrap();
        assert_eq!(page.marker.as_deref(), Some("2!68!MDAw"));
        assert_eq!(page.blobs.len(), 2);
        assert_eq!(page.blobs[0].name, "x/a & b");
        assert_eq!(page.blobs[0].bytes, 80);
        assert!(page.blobs[0].leased && page.blobs[0].written.is_some());
        assert!(!page.blobs[1].leased);
        let end =
            read(b"<EnumerationResults><Blobs /><NextMarker /></EnumerationResults>").unwrap();
        assert!(end.blobs.is_empty() && end.marker.is_none());
        assert!(read(b"<html></html>").is_err());
    }
}
