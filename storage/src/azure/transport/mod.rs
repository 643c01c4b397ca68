//! The way to one account: signing, pooling, time limits, retries, and what an answer that never
//! came means. Nothing above this module holds a secret, and nothing in it logs headers, bodies or
//! query strings.

mod attempt;
mod client;
mod failure;
mod identity;
mod request;
mod retry;
mod services;
mod sign;
mod token;

use std::time::Duration;

use tokio::sync::Semaphore;
use tracing::Instrument;

use super::connection::{Connection, Credential, Secret, Service, is_loopback};
use super::options::AzureOptions;
use crate::clock::ServiceClock;
use crate::env::Env;
use crate::error::{ErrorKind, Result, StorageError};
use attempt::Outcome;
use client::ClientNeeds;
pub use client::web_client;
pub(crate) use request::{Answer, Repeat, Request, encode};
use retry::Tries;
pub use services::{Authority, ServiceTokens};
use sign::SharedKey;
use token::{STORAGE_SCOPE, TokenCache};

/// The REST version of every request. Entra ID on tables needs this one or later.
const API_VERSION: &str = "2020-12-06";

/// One account's client, shared by all that is done there.
pub(crate) struct Transport {
    http: reqwest::Client,
    /// Blob, queue, table.
    endpoints: [String; 3],
    account: String,
    authorization: Authorization,
    limit: Semaphore,
    options: AzureOptions,
    env: Env,
    clock: ServiceClock,
}

/// Everything secret.
enum Authorization {
    SharedKey(SharedKey),
    Sas(Secret),
    Token(TokenCache),
}

impl Transport {
    /// Sets the client up; contacts nobody.
    pub(crate) fn new(connection: &Connection, options: AzureOptions, env: Env) -> Result<Self> {
        let endpoints = Service::ALL.map(|service| connection.endpoint(service).to_owned());
        let https = |endpoint: &String| endpoint.starts_with("https://");
        let needs = ClientNeeds {
            tls: endpoints.iter().any(https),
            live: endpoints.iter().all(https),
            direct: endpoints.iter().any(|endpoint| is_loopback(endpoint)),
            connect_limit: options.connect_limit,
            max_idle_connections: options.max_concurrency,
        };
        let http = client::build(&needs)?;
        let authorization = match connection.credential() {
            Credential::SharedKey(key) => {
                Authorization::SharedKey(SharedKey::new(connection.account_name(), key)?)
            }
            Credential::Sas(signature) => Authorization::Sas(signature.clone()),
            Credential::Identity(wanted) => {
                let credential = identity::credential(wanted, &identity_client(&options)?, &env)?;
                let limit = options.attempt_limit;
                Authorization::Token(TokenCache::new(
                    credential,
                    STORAGE_SCOPE,
                    env.clone(),
                    limit,
                ))
            }
        };
        Ok(Self {
            http,
            endpoints,
            account: connection.account_name().to_owned(),
            authorization,
            limit: Semaphore::new(options.max_concurrency.clamp(1, Semaphore::MAX_PERMITS)),
            options,
            clock: ServiceClock::learning(env.clone()),
            env,
        })
    }

    /// The same with another source of tokens.
    #[cfg(test)]
    pub(crate) fn with_token_source(
        mut self,
        source: std::sync::Arc<dyn azure_core_1::credentials::TokenCredential>,
    ) -> Self {
        let limit = self.options.attempt_limit;
        self.authorization = Authorization::Token(TokenCache::new(
            source,
            STORAGE_SCOPE,
            self.env.clone(),
            limit,
        ));
        self
    }

    /// The service's address, without trailing slash and without signature.
    pub(crate) fn endpoint(&self, service: Service) -> &str {
        &self.endpoints[service as usize]
    }

    pub(crate) fn account(&self) -> &str {
        &self.account
    }

    pub(crate) fn env(&self) -> &Env {
        &self.env
    }

    /// The account's time, learned from its answers.
    pub(crate) fn clock(&self) -> &ServiceClock {
        &self.clock
    }

    /// Sends the request until it is answered for good or the retry limits end. Answers other
    /// than 2xx are errors.
    pub(crate) async fn send(&self, request: Request) -> Result<Answer> {
        let span = tracing::debug_span!(
            "storage",
            operation = request.operation,
            resource = request.resource
        );
        self.send_in_turn(&request).instrument(span).await
    }

    async fn send_in_turn(&self, request: &Request) -> Result<Answer> {
        let _turn = if request.lease {
            None
        } else {
            let turn = self.limit.acquire().await;
            Some(turn.map_err(|closed| {
                StorageError::new(
                    ErrorKind::Other,
                    request.operation,
                    request.resource.clone(),
                )
                .with_source(closed)
            })?)
        };
        let mut tries = Tries::new(request, &self.options.retry, &self.env);
        loop {
            let limit = tries.attempt_limit(&self.options);
            let failure = match self.attempt(request, limit, tries.number()).await {
                Outcome::Done(answer) => return Ok(answer),
                Outcome::Refused(error) => return Err(tries.refused(error)),
                Outcome::Failed(failure) => failure,
            };
            match tries.next(failure) {
                Ok(pause) => self.env.sleep(pause).await,
                Err(error) => return Err(error),
            }
        }
    }
}

/// A client for Entra ID and for the addresses that give out managed identities' tokens.
fn identity_client(options: &AzureOptions) -> Result<reqwest::Client> {
    const IDLE_CONNECTIONS: usize = 1;
    client::build(&ClientNeeds {
        tls: true,
        live: true,
        direct: false,
        connect_limit: options.connect_limit.min(Duration::from_secs(5)),
        max_idle_connections: IDLE_CONNECTIONS,
    })
}

impl std::fmt::Debug for Transport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transport")
            .field("account", &self.account)
            .finish_non_exhaustive()
    }
}

/// A client for servers on this machine.
#[cfg(test)]
fn plain_client() -> reqwest::Client {
    let needs = ClientNeeds {
        tls: false,
        live: false,
        direct: true,
        connect_limit: Duration::from_secs(5),
        max_idle_connections: 1,
    };
    client::build(&needs).unwrap()
}

#[cfg(test)]
mod tests;
