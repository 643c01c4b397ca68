//! The HTTP client: one connection pool, rustls, time limits.

use std::sync::Arc;
use std::time::Duration;

use reqwest::redirect;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;

use crate::error::{ErrorKind, Result, StorageError};

/// Azurite closes idle connections after 5 s; reusing one it is about to close looks like a lost
/// answer.
const POOL_IDLE_EMULATOR_SECONDS: u64 = 4;
const POOL_IDLE_LIVE_SECONDS: u64 = 60;

const USER_AGENT: &str = concat!("durabletask-rust/", env!("CARGO_PKG_VERSION"));

/// What a client is built for.
pub(crate) struct ClientNeeds {
    /// Some address is https.
    pub(crate) tls: bool,
    /// All addresses are https.
    pub(crate) live: bool,
    /// Some address is on this machine or link-local: no proxy can reach it.
    pub(crate) direct: bool,
    pub(crate) connect_limit: Duration,
    pub(crate) max_idle_connections: usize,
}

/// Builds the client.
pub(crate) fn build(needs: &ClientNeeds) -> Result<reqwest::Client> {
    let idle_seconds = if needs.live {
        POOL_IDLE_LIVE_SECONDS
    } else {
        POOL_IDLE_EMULATOR_SECONDS
    };
    let mut builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls_config(needs.tls)?)
        .http1_only()
        .user_agent(USER_AGENT)
        .tcp_nodelay(true)
        .connect_timeout(needs.connect_limit)
        .pool_idle_timeout(Duration::from_secs(idle_seconds))
        .pool_max_idle_per_host(needs.max_idle_connections)
        // A redirect would carry a signature to another host.
        .redirect(redirect::Policy::none())
        // Retrying is decided above, by what the request does.
        .retry(reqwest::retry::never());
    if needs.direct {
        builder = builder.no_proxy();
    }
    built(builder)
}

fn built(builder: reqwest::ClientBuilder) -> Result<reqwest::Client> {
    builder.build().map_err(|error| {
        setup_error("the HTTP client cannot be set up").with_source(error.without_url())
    })
}

/// Redirects that a web request follows at most, as .NET's client.
const MAX_REDIRECTS: usize = 50;

/// A client for any web server: follows redirects, but not from https to http; leaves retrying to
/// its caller, and time limits too. Needs this machine's trusted certificates. Contacts nobody.
pub fn web_client() -> Result<reqwest::Client> {
    let policy = redirect::Policy::custom(|attempt| {
        let unsafe_step = attempt.url().scheme() != "https"
            && attempt
                .previous()
                .last()
                .is_some_and(|from| from.scheme() == "https");
        if attempt.previous().len() > MAX_REDIRECTS {
            attempt.error("too many redirects")
        } else if unsafe_step {
            attempt.stop()
        } else {
            attempt.follow()
        }
    });
    let builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls_config(true)?)
        .http1_only()
        .user_agent(USER_AGENT)
        .tcp_nodelay(true)
        .pool_idle_timeout(Duration::from_secs(POOL_IDLE_LIVE_SECONDS))
        .redirect(policy)
        .retry(reqwest::retry::never());
    built(builder)
}

/// rustls with ring and the certificates that this machine trusts. Without https, no certificate
/// is looked for, so that a bare container can talk to an emulator.
fn tls_config(needed: bool) -> Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| setup_error("TLS cannot be set up").with_source(error))?;
    if !needed {
        return Ok(builder
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth());
    }
    let builder = builder.with_platform_verifier().map_err(|error| {
        setup_error("no trusted root certificates were found; install the ca-certificates package")
            .with_source(error)
    })?;
    Ok(builder.with_no_client_auth())
}

fn setup_error(detail: &str) -> StorageError {
    StorageError::new(ErrorKind::Other, "connect", "storage account").with_detail(detail)
}
