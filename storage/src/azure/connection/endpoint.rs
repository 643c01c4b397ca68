//! Service endpoints: checked, and without their trailing slash.

use url::{Host, Url};

use super::ConnectionError;

/// Reads an endpoint given by `name`.
pub(super) fn read(name: &'static str, text: &str) -> Result<String, ConnectionError> {
    let malformed = |expected| ConnectionError::Malformed { name, expected };
    let url = Url::parse(text.trim())
        .map_err(|_| malformed("an http or https address such as https://host/"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(malformed("an http or https address such as https://host/"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(malformed(
            "an address without a query; a signature belongs into SharedAccessSignature",
        ));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(malformed("an address without user name and password"));
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

/// The account's name as the endpoint shows it: the first path segment where the host is an
/// address or `localhost`, the first label of the host otherwise.
pub(super) fn account_of(endpoint: &str) -> Option<String> {
    let url = Url::parse(endpoint).ok()?;
    match url.host()? {
        Host::Domain(domain) if domain != "localhost" && domain.contains('.') => {
            domain.split('.').next().map(str::to_owned)
        }
        _ => url
            .path_segments()?
            .find(|segment| !segment.is_empty())
            .map(str::to_owned),
    }
}

/// Whether the endpoint is on this machine.
pub(crate) fn is_loopback(endpoint: &str) -> bool {
    let Ok(url) = Url::parse(endpoint) else {
        return false;
    };
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(domain)) => domain == "localhost" || domain.ends_with(".localhost"),
        None => false,
    }
}
