//! Shared-key signatures.

use std::borrow::Cow;
use std::fmt::{self, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::request::Request;
use crate::azure::connection::{ConnectionError, Secret, Service};

/// An account key, ready to sign. `Debug` shows the account only.
pub(super) struct SharedKey {
    account: String,
    /// Already keyed; each signature starts from a copy.
    mac: Hmac<Sha256>,
}

impl SharedKey {
    pub(super) fn new(account: &str, key: &Secret) -> Result<Self, ConnectionError> {
        let malformed = ConnectionError::Malformed {
            name: "AccountKey",
            expected: "base64 text as shown in the portal",
        };
        let key = STANDARD
            .decode(key.expose())
            .map_err(|_| malformed.clone())?;
        let mac = Hmac::new_from_slice(&key).map_err(|_| malformed)?;
        Ok(Self {
            account: account.to_owned(),
            mac,
        })
    }

    /// The `Authorization` header of `request`, to be sent to the encoded path `path` (endpoint's
    /// path included) with `headers`, among which `x-ms-date` is `date`.
    pub(super) fn authorization(
        &self,
        request: &Request,
        path: &str,
        date: &str,
        headers: &[(Cow<'static, str>, String)],
    ) -> String {
        let (scheme, text) = match request.service {
            Service::Table => ("SharedKeyLite", self.table_text(request, path, date)),
            Service::Blob | Service::Queue => ("SharedKey", self.text(request, path, headers)),
        };
        let mut mac = self.mac.clone();
        mac.update(text.as_bytes());
        let signature = STANDARD.encode(mac.finalize().into_bytes());
        format!("{scheme} {}:{signature}", self.account)
    }

    /// Tables sign date and resource only (the Lite scheme, as the .NET table clients do).
    fn table_text(&self, request: &Request, path: &str, date: &str) -> String {
        let mut text = format!("{date}\n/{}{path}", self.account);
        for (name, value) in &request.query {
            if name == "comp" {
                // Writing to a String cannot fail.
                let _ = write!(text, "?comp={value}");
            }
        }
        text
    }

    fn text(
        &self,
        request: &Request,
        path: &str,
        headers: &[(Cow<'static, str>, String)],
    ) -> String {
        let find = |name: &str| {
            headers
                .iter()
                .find(|(given, _)| given == name)
                .map_or("", |(_, value)| value.as_str())
        };
        let length = match request.body.len() {
            0 => String::new(),
            length => length.to_string(),
        };
        // The date goes by x-ms-date, so its own line stays empty.
        let mut text = format!(
            "{}\n{}\n{}\n{length}\n{}\n{}\n\n{}\n{}\n{}\n{}\n{}\n",
            request.method,
            find("content-encoding"),
            find("content-language"),
            find("content-md5"),
            find("content-type"),
            find("if-modified-since"),
            find("if-match"),
            find("if-none-match"),
            find("if-unmodified-since"),
            find("range"),
        );
        let mut own: Vec<_> = headers
            .iter()
            .filter(|(name, _)| name.starts_with("x-ms-"))
            .collect();
        own.sort();
        for (name, value) in own {
            let _ = writeln!(text, "{name}:{value}");
        }
        let _ = write!(text, "/{}{path}", self.account);
        let mut query: Vec<_> = request
            .query
            .iter()
            .map(|(name, value)| (name.to_ascii_lowercase(), value))
            .collect();
        query.sort();
        for (name, value) in query {
            let _ = write!(text, "\n{name}:{value}");
        }
        text
    }
}

impl fmt::Debug for SharedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedKey")
            .field("account", &self.account)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::azure::transport::request::Repeat;
    use reqwest::Method;

    #[test]
    fn text_to_sign_is_what_the_service_builds() {
        let key = SharedKey::new("shop", &Secret::new("a2V5")).unwrap();
        let request = Request::new(
            Service::Queue,
            Method::POST,
            "/q/messages".into(),
            Repeat::PutMessage,
            "put_message",
            "q",
        )
        .query("visibilitytimeout", "0")
        .query("messagettl", "-1")
        .body("application/xml", "x".repeat(12));
        let mut headers = request.headers.clone();
        headers.push(("x-ms-version".into(), "2020-12-06".into()));
        headers.push(("x-ms-date".into(), "D".into()));
        assert_eq!(
            key.text(&request, "/q/messages", &headers),
            "POST\n\n\n12\n\napplication/xml\n\n\n\n\n\n\nx-ms-date:D\nx-ms-version:2020-12-06\n\
             /shop/q/messages\nmessagettl:-1\nvisibilitytimeout:0"
        );
        assert_eq!(key.table_text(&request, "/t()", "D"), "D\n/shop/t()");
        assert_eq!(format!("{key:?}"), "SharedKey { account: \"shop\", .. }");
    }
}
