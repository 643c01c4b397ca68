//! Connection strings: `name=value` pairs between semicolons.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{
    Connection, ConnectionError, Credential, EMULATOR_ACCOUNT, EMULATOR_KEY, Secret, Service,
    endpoint,
};

/// Ports of the emulator: blob, queue, table.
const EMULATOR_PORTS: [u16; 3] = [10000, 10001, 10002];
const DEFAULT_SUFFIX: &str = "core.windows.net";
const ENDPOINT_NAMES: [&str; 3] = ["BlobEndpoint", "QueueEndpoint", "TableEndpoint"];

const USE_DEVELOPMENT_STORAGE: &str = "UseDevelopmentStorage";
const PROXY_URI: &str = "DevelopmentStorageProxyUri";
const ACCOUNT_NAME: &str = "AccountName";
const ACCOUNT_KEY: &str = "AccountKey";
const PROTOCOL: &str = "DefaultEndpointsProtocol";
const SUFFIX: &str = "EndpointSuffix";
const SIGNATURE: &str = "SharedAccessSignature";

/// Every name that means something here.
const KNOWN: [&str; 10] = [
    USE_DEVELOPMENT_STORAGE,
    PROXY_URI,
    ACCOUNT_NAME,
    ACCOUNT_KEY,
    PROTOCOL,
    SUFFIX,
    SIGNATURE,
    ENDPOINT_NAMES[0],
    ENDPOINT_NAMES[1],
    ENDPOINT_NAMES[2],
];

/// The values by their place in [`KNOWN`].
struct Parts<'a>([Option<&'a str>; KNOWN.len()]);

impl<'a> Parts<'a> {
    fn read(text: &'a str) -> Result<Self, ConnectionError> {
        let mut parts = Self([None; KNOWN.len()]);
        let mut any = false;
        for (index, part) in text.split(';').enumerate() {
            let part = part.trim();
            if part.is_empty() {
                continue;
            }
            any = true;
            let (name, value) = part
                .split_once('=')
                .ok_or(ConnectionError::NotAPair(index + 1))?;
            let name = name.trim();
            let Some(place) = KNOWN
                .iter()
                .position(|known| known.eq_ignore_ascii_case(name))
            else {
                continue;
            };
            let value = value.trim();
            if value.is_empty() {
                continue;
            }
            if parts.0[place].replace(value).is_some() {
                return Err(ConnectionError::Duplicate(KNOWN[place]));
            }
        }
        if any {
            Ok(parts)
        } else {
            Err(ConnectionError::Empty)
        }
    }

    fn get(&self, name: &str) -> Option<&'a str> {
        KNOWN
            .iter()
            .position(|known| *known == name)
            .and_then(|place| self.0[place])
    }
}

pub(super) fn parse(text: &str) -> Result<Connection, ConnectionError> {
    let parts = Parts::read(text)?;
    if let Some(flag) = parts.get(USE_DEVELOPMENT_STORAGE) {
        if !flag.eq_ignore_ascii_case("true") {
            return Err(ConnectionError::Malformed {
                name: USE_DEVELOPMENT_STORAGE,
                expected: "true, or left out",
            });
        }
        return emulator(parts.get(PROXY_URI));
    }
    let credential = credential(&parts)?;
    let mut endpoints: [String; 3] = Default::default();
    for service in Service::ALL {
        let name = ENDPOINT_NAMES[service as usize];
        endpoints[service as usize] = match parts.get(name) {
            Some(given) => endpoint::read(name, given)?,
            None => derive(&parts, service)?,
        };
    }
    let account = match parts.get(ACCOUNT_NAME) {
        Some(account) => checked_account(account)?.to_owned(),
        None if matches!(credential, Credential::SharedKey(_)) => {
            return Err(ConnectionError::Missing(ACCOUNT_NAME));
        }
        None => endpoint::account_of(&endpoints[Service::Blob as usize])
            .ok_or(ConnectionError::Missing(ACCOUNT_NAME))?,
    };
    Ok(Connection {
        account,
        endpoints,
        credential,
    })
}

/// The emulator on this machine, or on the host of `proxy`.
fn emulator(proxy: Option<&str>) -> Result<Connection, ConnectionError> {
    let base = match proxy {
        None => "http://127.0.0.1".to_owned(),
        Some(text) => {
            let mut url = url::Url::parse(&endpoint::read(PROXY_URI, text)?).map_err(|_| {
                ConnectionError::Malformed {
                    name: PROXY_URI,
                    expected: "an address such as http://host",
                }
            })?;
            // The ports are the emulator's own, whatever the address says.
            let _ = url.set_port(None);
            url.set_path("");
            url.as_str().trim_end_matches('/').to_owned()
        }
    };
    Ok(Connection {
        account: EMULATOR_ACCOUNT.to_owned(),
        endpoints: EMULATOR_PORTS.map(|port| format!("{base}:{port}/{EMULATOR_ACCOUNT}")),
        credential: Credential::SharedKey(Secret::new(EMULATOR_KEY)),
    })
}

fn credential(parts: &Parts<'_>) -> Result<Credential, ConnectionError> {
    match (parts.get(ACCOUNT_KEY), parts.get(SIGNATURE)) {
        (Some(_), Some(_)) => Err(ConnectionError::Conflict(ACCOUNT_KEY, SIGNATURE)),
        (Some(key), None) => match STANDARD.decode(key) {
            Ok(_) => Ok(Credential::SharedKey(Secret::new(key))),
            Err(_) => Err(ConnectionError::Malformed {
                name: ACCOUNT_KEY,
                expected: "base64 text as shown in the portal",
            }),
        },
        (None, Some(signature)) => {
            let signature = signature.trim_start_matches('?');
            if signature.split('&').any(|pair| pair.starts_with("sig=")) {
                Ok(Credential::Sas(Secret::new(signature)))
            } else {
                Err(ConnectionError::Malformed {
                    name: SIGNATURE,
                    expected: "a query string with a sig parameter",
                })
            }
        }
        (None, None) => Err(ConnectionError::Missing(
            "AccountKey or SharedAccessSignature",
        )),
    }
}

/// The endpoint that the account's name implies.
fn derive(parts: &Parts<'_>, service: Service) -> Result<String, ConnectionError> {
    let name = ENDPOINT_NAMES[service as usize];
    let account = parts
        .get(ACCOUNT_NAME)
        .ok_or(ConnectionError::Missing(name))?;
    let account = checked_account(account)?;
    let protocol = match parts.get(PROTOCOL) {
        None => "https",
        Some(text) if text.eq_ignore_ascii_case("https") => "https",
        Some(text) if text.eq_ignore_ascii_case("http") => "http",
        Some(_) => {
            return Err(ConnectionError::Malformed {
                name: PROTOCOL,
                expected: "http or https",
            });
        }
    };
    let suffix = parts.get(SUFFIX).unwrap_or(DEFAULT_SUFFIX);
    endpoint::read(
        SUFFIX,
        &format!("{protocol}://{account}.{}.{suffix}", service.label()),
    )
    .map_err(|_| ConnectionError::Malformed {
        name: SUFFIX,
        expected: "a host name such as core.windows.net",
    })
}

fn checked_account(name: &str) -> Result<&str, ConnectionError> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if name.len() <= 63 && name.bytes().all(legal) {
        Ok(name)
    } else {
        Err(ConnectionError::Malformed {
            name: ACCOUNT_NAME,
            expected: "letters and digits only",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "c2VjcmV0LWtleS1vZi10aGUtYWNjb3VudA==";

    #[test]
    fn the_emulator_has_its_well_known_endpoints() {
        // covers: R4-07
        let connection = parse("usedevelopmentstorage=TRUE").unwrap();
        assert_eq!(connection.account_name(), "devstoreaccount1");
        assert_eq!(
            connection.queue_endpoint(),
            "http://127.0.0.1:10001/devstoreaccount1"
        );
        let proxied =
            parse("UseDevelopmentStorage=true;DevelopmentStorageProxyUri=http://azurite:8080/")
                .unwrap();
        assert_eq!(
            proxied.table_endpoint(),
            "http://azurite:10002/devstoreaccount1"
        );
    }

    #[test]
    fn names_imply_endpoints() {
        // covers: R4-07
        let connection = parse(&format!(
            "DefaultEndpointsProtocol=HTTPS;accountname=shop;AccountKey={KEY};EndpointSuffix=core.usgovcloudapi.net;"
        ))
        .unwrap();
        assert_eq!(
            connection.blob_endpoint(),
            "https://shop.blob.core.usgovcloudapi.net"
        );
        let Credential::SharedKey(key) = connection.credential() else {
            panic!("a key was given");
        };
        assert_eq!(key.expose(), KEY);
        assert!(!format!("{connection:?}").contains(KEY));
    }

    #[test]
    fn endpoints_win_over_names() {
        let connection = parse(&format!(
            "AccountName=devstoreaccount1;AccountKey={KEY};BLOBENDPOINT=http://localhost:1/devstoreaccount1/;\
             QueueEndpoint=http://localhost:2/devstoreaccount1;TableEndpoint=http://localhost:3/devstoreaccount1"
        ))
        .unwrap();
        assert_eq!(
            connection.blob_endpoint(),
            "http://localhost:1/devstoreaccount1"
        );
    }

    #[test]
    fn signatures_come_with_or_without_a_name() {
        let all = "BlobEndpoint=https://shop.blob.core.windows.net/;QueueEndpoint=https://shop.queue.core.windows.net/;\
                   TableEndpoint=https://shop.table.core.windows.net/;SharedAccessSignature=?sv=2022&sig=abc%3D";
        let connection = parse(all).unwrap();
        assert_eq!(connection.account_name(), "shop");
        let Credential::Sas(signature) = connection.credential() else {
            panic!("a signature was given");
        };
        assert_eq!(signature.expose(), "sv=2022&sig=abc%3D");
        assert!(!format!("{connection:?}").contains("abc"));
        let named = parse("AccountName=shop;SharedAccessSignature=sv=2022&sig=abc%3D").unwrap();
        assert_eq!(
            named.table_endpoint(),
            "https://shop.table.core.windows.net"
        );
    }

    #[test]
    fn mistakes_are_named_and_values_are_not() {
        let cases = [
            ("  ", ConnectionError::Empty),
            ("AccountName=a;s3cret", ConnectionError::NotAPair(2)),
            (
                "AccountName=a;accountname=b",
                ConnectionError::Duplicate("AccountName"),
            ),
            (
                "AccountName=a",
                ConnectionError::Missing("AccountKey or SharedAccessSignature"),
            ),
            (
                "AccountName=s3cret;AccountKey=s3cret!",
                ConnectionError::Malformed {
                    name: "AccountKey",
                    expected: "base64 text as shown in the portal",
                },
            ),
            (
                "BlobEndpoint=https://a.b/;SharedAccessSignature=sig=s3cret",
                ConnectionError::Missing("QueueEndpoint"),
            ),
            (
                "AccountName=a;SharedAccessSignature=sv=s3cret",
                ConnectionError::Malformed {
                    name: "SharedAccessSignature",
                    expected: "a query string with a sig parameter",
                },
            ),
            (
                "AccountName=a;AccountKey=czNjcmV0;SharedAccessSignature=sig=s3cret",
                ConnectionError::Conflict("AccountKey", "SharedAccessSignature"),
            ),
            (
                "AccountName=a;AccountKey=czNjcmV0;BlobEndpoint=https://a/?sig=s3cret",
                ConnectionError::Malformed {
                    name: "BlobEndpoint",
                    expected: "an address without a query; a signature belongs into SharedAccessSignature",
                },
            ),
        ];
        for (text, expected) in cases {
            let error = parse(text).unwrap_err();
            assert_eq!(error, expected);
            let shown = format!("{error} {error:?}");
            assert!(
                !shown.contains("s3cret") && !shown.contains("czNjcmV0"),
                "{shown}"
            );
        }
    }
}
