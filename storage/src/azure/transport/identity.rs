//! Credentials of `azure_identity`, over our own HTTP client.

use std::env::var;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use azure_core_1::cloud::CloudConfiguration;
use azure_core_1::credentials::{AccessToken, Secret, TokenCredential, TokenRequestOptions};
use azure_core_1::error::{Error, ErrorKind as IdentityErrorKind};
use azure_core_1::http::headers::Headers;
use azure_core_1::http::{
    AsyncRawResponse, Body, ClientOptions, HttpClient, Request as IdentityRequest, StatusCode,
    Transport,
};
use azure_identity::{
    ClientAssertionCredentialOptions, ClientSecretCredential, ClientSecretCredentialOptions,
    DeveloperToolsCredential, ManagedIdentityCredential, ManagedIdentityCredentialOptions,
    UserAssignedId, WorkloadIdentityCredential, WorkloadIdentityCredentialOptions,
};

use crate::azure::connection::{Identity, ManagedId};
use crate::env::Env;
use crate::error::{ErrorKind, StorageError};

/// Outside of Azure nothing answers at the address of managed identities.
const MANAGED_PROBE_LIMIT_SECONDS: u64 = 3;
/// The developer tools start a Python program.
const SOURCE_LIMIT_SECONDS: u64 = 20;

/// The credential that an identity stands for. Nothing is contacted.
pub(crate) fn credential(
    identity: &Identity,
    client: &reqwest::Client,
    env: &Env,
) -> Result<Arc<dyn TokenCredential>, StorageError> {
    let face = Face::new(client, CloudConfiguration::AzurePublic);
    let made: azure_core_1::Result<Arc<dyn TokenCredential>> = match identity {
        Identity::Managed(id) => managed(id.as_ref(), &face),
        Identity::Workload {
            client,
            tenant,
            token_file,
        } => workload(client.clone(), tenant.clone(), token_file.as_deref(), &face),
        Identity::ClientSecret {
            tenant,
            client,
            secret,
        } => client_secret(tenant, client, secret.expose(), &face),
        Identity::Automatic { client, tenant } => {
            Ok(automatic(client.as_deref(), tenant.as_deref(), &face, env))
        }
    };
    made.map_err(|error| {
        StorageError::new(ErrorKind::Invalid, "connect", "Entra ID")
            .with_detail("the identity settings are incomplete or malformed")
            .with_source(error)
    })
}

/// What the Azure SDK's default chain finds on this machine, for services in that cloud. Nothing
/// is contacted.
pub(super) fn default_chain(
    tenant: Option<&str>,
    cloud: CloudConfiguration,
    client: &reqwest::Client,
    env: &Env,
) -> Arc<dyn TokenCredential> {
    automatic(None, tenant, &Face::new(client, cloud), env)
}

fn managed(id: Option<&ManagedId>, face: &Face) -> azure_core_1::Result<Arc<dyn TokenCredential>> {
    let credential = ManagedIdentityCredential::new(Some(ManagedIdentityCredentialOptions {
        user_assigned_id: id.map(|id| match id {
            ManagedId::Client(id) => UserAssignedId::ClientId(id.clone()),
            ManagedId::Object(id) => UserAssignedId::ObjectId(id.clone()),
            ManagedId::Resource(id) => UserAssignedId::ResourceId(id.clone()),
        }),
        client_options: face.options(),
    }))?;
    Ok(credential)
}

fn workload(
    client: Option<String>,
    tenant: Option<String>,
    token_file: Option<&str>,
    face: &Face,
) -> azure_core_1::Result<Arc<dyn TokenCredential>> {
    let credential = WorkloadIdentityCredential::new(Some(WorkloadIdentityCredentialOptions {
        credential_options: ClientAssertionCredentialOptions {
            client_options: face.options(),
        },
        client_id: client,
        tenant_id: tenant,
        token_file_path: token_file.map(PathBuf::from),
    }))?;
    Ok(credential)
}

fn client_secret(
    tenant: &str,
    client: &str,
    secret: &str,
    face: &Face,
) -> azure_core_1::Result<Arc<dyn TokenCredential>> {
    let credential = ClientSecretCredential::new(
        tenant,
        client.to_owned(),
        Secret::new(secret.to_owned()),
        Some(ClientSecretCredentialOptions {
            client_options: face.options(),
        }),
    )?;
    Ok(credential)
}

/// What the Azure SDK's default chain tries: environment, workload identity, managed identity,
/// developer tools. Sources that are not configured here are left out.
fn automatic(
    client: Option<&str>,
    tenant: Option<&str>,
    face: &Face,
    env: &Env,
) -> Arc<dyn TokenCredential> {
    let limit = Duration::from_secs(SOURCE_LIMIT_SECONDS);
    let probe_limit = Duration::from_secs(MANAGED_PROBE_LIMIT_SECONDS);
    let mut sources: Vec<(Duration, Arc<dyn TokenCredential>)> = Vec::new();
    if let (Ok(tenant), Ok(client), Ok(secret)) = (
        var("AZURE_TENANT_ID"),
        var("AZURE_CLIENT_ID"),
        var("AZURE_CLIENT_SECRET"),
    ) {
        let made = client_secret(&tenant, &client, &secret, face);
        sources.extend(made.map(|source| (limit, source)));
    }
    let client = client.map(str::to_owned);
    let made = workload(client.clone(), tenant.map(str::to_owned), None, face);
    sources.extend(made.map(|source| (limit, source)));
    let made = managed(client.map(ManagedId::Client).as_ref(), face);
    sources.extend(made.map(|source| (probe_limit, source)));
    if let Ok(tools) = DeveloperToolsCredential::new(None) {
        sources.push((limit, tools));
    }
    Arc::new(Chain {
        sources,
        env: env.clone(),
    })
}

/// The first source that gives a token. Asked once an hour, so it does not remember which.
#[derive(Debug)]
struct Chain {
    /// With the time each may take.
    sources: Vec<(Duration, Arc<dyn TokenCredential>)>,
    env: Env,
}

#[async_trait]
impl TokenCredential for Chain {
    async fn get_token(
        &self,
        scopes: &[&str],
        options: Option<TokenRequestOptions<'_>>,
    ) -> azure_core_1::Result<AccessToken> {
        let mut reasons = Vec::new();
        for (limit, source) in &self.sources {
            let asked = self
                .env
                .timeout(*limit, source.get_token(scopes, options.clone()));
            match asked.await {
                Ok(Ok(token)) => return Ok(token),
                Ok(Err(error)) => reasons.push(error.to_string()),
                Err(elapsed) => reasons.push(elapsed.to_string()),
            }
        }
        Err(Error::with_message(
            IdentityErrorKind::Credential,
            format!("no source gave a token: {}", reasons.join("; ")),
        ))
    }
}

/// Our HTTP client as `azure_identity` wants it, and the cloud whose Entra ID it talks to.
#[derive(Debug, Clone)]
struct Face {
    client: reqwest::Client,
    cloud: Arc<CloudConfiguration>,
}

impl Face {
    fn new(client: &reqwest::Client, cloud: CloudConfiguration) -> Self {
        Self {
            client: client.clone(),
            cloud: Arc::new(cloud),
        }
    }

    fn options(&self) -> ClientOptions {
        ClientOptions {
            transport: Some(Transport::new(Arc::new(self.clone()))),
            cloud: Some(Arc::clone(&self.cloud)),
            ..ClientOptions::default()
        }
    }
}

#[async_trait]
impl HttpClient for Face {
    async fn execute_request(
        &self,
        request: &IdentityRequest,
    ) -> azure_core_1::Result<AsyncRawResponse> {
        let other = |error: &dyn std::fmt::Display| {
            Error::with_message(IdentityErrorKind::Other, error.to_string())
        };
        let method = reqwest::Method::from_bytes(request.method().as_str().as_bytes())
            .map_err(|error| other(&error))?;
        let Body::Bytes(body) = request.body() else {
            return Err(other(&"token requests have a body of known size"));
        };
        let mut builder = self
            .client
            .request(method, request.url().as_str())
            .body(body.clone());
        for (name, value) in request.headers().iter() {
            builder = builder.header(name.as_str(), value.as_str());
        }
        let failed = |error: reqwest::Error| {
            let kind = if error.is_connect() {
                IdentityErrorKind::Connection
            } else {
                IdentityErrorKind::Io
            };
            Error::with_error(kind, error.without_url(), "token request failed")
        };
        let response = builder.send().await.map_err(failed)?;
        let status = StatusCode::from(response.status().as_u16());
        let mut headers = Headers::new();
        for (name, value) in response.headers() {
            if let Ok(value) = value.to_str() {
                headers.insert(name.as_str().to_owned(), value.to_owned());
            }
        }
        let body = response.bytes().await.map_err(failed)?;
        Ok(AsyncRawResponse::from_bytes(status, headers, body))
    }
}

#[cfg(test)]
mod tests {
    use azure_core_1::http::{Method, Url};

    use super::*;
    use crate::azure::testing::{Server, Step};

    #[tokio::test]
    async fn token_requests_go_over_our_client() {
        let answer = Step::answer(400, &[("x-kind", "odd")], "{\"error\":\"invalid_client\"}");
        let server = Server::start([answer]).await;
        let address = format!("{}/tenant/oauth2/v2.0/token", server.address());
        let mut request = IdentityRequest::new(Url::parse(&address).unwrap(), Method::Post);
        request.insert_header("content-type", "application/x-www-form-urlencoded");
        request.set_body("grant_type=client_credentials");
        let face = Face::new(
            &crate::azure::transport::plain_client(),
            CloudConfiguration::AzurePublic,
        );
        let answer = face.execute_request(&request).await.unwrap();
        assert_eq!(answer.status(), StatusCode::BadRequest);
        let kind = answer
            .headers()
            .iter()
            .find(|(name, _)| name.as_str() == "x-kind");
        assert_eq!(kind.map(|(_, value)| value.as_str()), Some("odd"));
        let received = &server.received()[0];
        assert_eq!(received.line(), "POST /tenant/oauth2/v2.0/token HTTP/1.1");
        assert_eq!(received.body, b"grant_type=client_credentials");
    }

    #[tokio::test]
    async fn every_kind_of_identity_makes_a_credential() {
        // covers: R4-08
        let client = crate::azure::transport::plain_client();
        let env = Env::system();
        let identities = [
            Identity::Managed(None),
            Identity::Managed(Some(ManagedId::Client("c".into()))),
            Identity::Workload {
                client: Some("c".into()),
                tenant: Some("t".into()),
                // Read when the credential is made; any file will do.
                token_file: Some(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml").into()),
            },
            Identity::ClientSecret {
                tenant: "t".into(),
                client: "c".into(),
                secret: crate::azure::Secret::new("s"),
            },
            Identity::Automatic {
                client: None,
                tenant: None,
            },
        ];
        for identity in identities {
            credential(&identity, &client, &env).unwrap();
        }
        let odd = Identity::ClientSecret {
            tenant: "not a tenant!".into(),
            client: "c".into(),
            secret: crate::azure::Secret::new("s3cret"),
        };
        let error = credential(&odd, &client, &env).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(!format!("{error} {error:?}").contains("s3cret"));
    }
}
