//! Identity-based connections (chapter 01 §4.7).

use super::{Connection, ConnectionError, Credential, Secret, Service, endpoint, is_loopback};

/// The settings below an identity-based connection's name (`AzureWebJobsStorage__accountName`
/// and so on). The settings reader fills it with [`IdentitySettings::set`] and turns it into a
/// [`Connection`]. `Debug` hides the secret.
#[derive(Debug, Clone, Default)]
pub struct IdentitySettings {
    /// `accountName`: implies `https://{account}.{service}.core.windows.net`.
    pub account_name: Option<String>,
    /// `blobServiceUri`
    pub blob_service_uri: Option<String>,
    /// `queueServiceUri`
    pub queue_service_uri: Option<String>,
    /// `tableServiceUri`
    pub table_service_uri: Option<String>,
    /// `credential`: `managedidentity`, `workloadidentity`, or absent for automatic.
    pub credential: Option<String>,
    /// `clientId`
    pub client_id: Option<String>,
    /// `tenantId`
    pub tenant_id: Option<String>,
    /// `clientSecret`
    pub client_secret: Option<Secret>,
    /// `clientCertificate`; recognised so that it can be refused with a reason.
    pub client_certificate: Option<String>,
    /// `managedIdentityClientId`
    pub managed_identity_client_id: Option<String>,
    /// `managedIdentityObjectId`
    pub managed_identity_object_id: Option<String>,
    /// `managedIdentityResourceId`
    pub managed_identity_resource_id: Option<String>,
    /// `tokenFilePath`
    pub token_file_path: Option<String>,
}

/// Which identity proves itself, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Identity {
    /// The managed identity of the machine or app; `None` means the system-assigned one.
    Managed(Option<ManagedId>),
    /// A Kubernetes service account; absent values come from the environment.
    Workload {
        client: Option<String>,
        tenant: Option<String>,
        token_file: Option<String>,
    },
    /// An application with a password.
    ClientSecret {
        tenant: String,
        client: String,
        secret: Secret,
    },
    /// Whatever works here: environment, workload, managed identity, developer tools.
    Automatic {
        client: Option<String>,
        tenant: Option<String>,
    },
}

/// Names a user-assigned managed identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ManagedId {
    Client(String),
    Object(String),
    Resource(String),
}

impl IdentitySettings {
    /// Sets the value of the setting `name`, compared without regard to case; false if there is
    /// no such setting. Empty values count as absent.
    pub fn set(&mut self, name: &str, value: &str) -> bool {
        let value = Some(value.trim().to_owned()).filter(|value| !value.is_empty());
        let place = match name.to_ascii_lowercase().as_str() {
            "accountname" => &mut self.account_name,
            "blobserviceuri" => &mut self.blob_service_uri,
            "queueserviceuri" => &mut self.queue_service_uri,
            "tableserviceuri" => &mut self.table_service_uri,
            "credential" => &mut self.credential,
            "clientid" => &mut self.client_id,
            "tenantid" => &mut self.tenant_id,
            "clientcertificate" => &mut self.client_certificate,
            "managedidentityclientid" => &mut self.managed_identity_client_id,
            "managedidentityobjectid" => &mut self.managed_identity_object_id,
            "managedidentityresourceid" => &mut self.managed_identity_resource_id,
            "tokenfilepath" => &mut self.token_file_path,
            "clientsecret" => {
                self.client_secret = value.map(Secret::new);
                return true;
            }
            _ => return false,
        };
        *place = value;
        true
    }

    /// Checks the settings and makes a connection of them. Nothing is contacted.
    pub fn connection(&self) -> Result<Connection, ConnectionError> {
        let mut endpoints: [String; 3] = Default::default();
        for service in Service::ALL {
            endpoints[service as usize] = self.endpoint(service)?;
        }
        let account = match &self.account_name {
            Some(account) => account.clone(),
            None => endpoint::account_of(&endpoints[Service::Blob as usize])
                .ok_or(ConnectionError::Missing("accountName"))?,
        };
        Ok(Connection {
            account,
            endpoints,
            credential: Credential::Identity(self.identity()?),
        })
    }

    fn endpoint(&self, service: Service) -> Result<String, ConnectionError> {
        let (name, given) = match service {
            Service::Blob => ("blobServiceUri", &self.blob_service_uri),
            Service::Queue => ("queueServiceUri", &self.queue_service_uri),
            Service::Table => ("tableServiceUri", &self.table_service_uri),
        };
        let endpoint = match (given, &self.account_name) {
            (Some(given), _) => endpoint::read(name, given)?,
            (None, Some(account)) => endpoint::read(
                "accountName",
                &format!("https://{account}.{}.core.windows.net", service.label()),
            )?,
            (None, None) => return Err(ConnectionError::Missing(name)),
        };
        // A token sent in clear text is a token given away.
        if endpoint.starts_with("http://") && !is_loopback(&endpoint) {
            return Err(ConnectionError::Malformed {
                name,
                expected: "an https address, because a token is sent to it",
            });
        }
        Ok(endpoint)
    }

    fn identity(&self) -> Result<Identity, ConnectionError> {
        if self.client_certificate.is_some() {
            return Err(ConnectionError::Unsupported {
                name: "clientCertificate",
                instead: "use clientSecret, a workload identity or a managed identity",
            });
        }
        let kind = self.credential.as_deref().map(str::to_ascii_lowercase);
        match kind.as_deref() {
            None => self.implied_identity(),
            Some("managedidentity") => Ok(Identity::Managed(self.managed_id()?)),
            Some("workloadidentity") => Ok(Identity::Workload {
                client: self.client_id.clone(),
                tenant: self.tenant_id.clone(),
                token_file: self.token_file_path.clone(),
            }),
            Some("managedidentityasfederatedidentity" | "azurepipelines") => {
                Err(ConnectionError::Unsupported {
                    name: "credential",
                    instead: "use managedidentity or workloadidentity",
                })
            }
            Some(_) => Err(ConnectionError::Malformed {
                name: "credential",
                expected: "managedidentity or workloadidentity, or left out",
            }),
        }
    }

    fn implied_identity(&self) -> Result<Identity, ConnectionError> {
        match (&self.tenant_id, &self.client_id, &self.client_secret) {
            (Some(tenant), Some(client), Some(secret)) => Ok(Identity::ClientSecret {
                tenant: tenant.clone(),
                client: client.clone(),
                secret: secret.clone(),
            }),
            (_, None, Some(_)) => Err(ConnectionError::Missing("clientId")),
            (None, _, Some(_)) => Err(ConnectionError::Missing("tenantId")),
            (tenant, client, None) => match self.managed_id()? {
                Some(ManagedId::Client(_)) | None => Ok(Identity::Automatic {
                    client: client
                        .clone()
                        .or_else(|| self.managed_identity_client_id.clone()),
                    tenant: tenant.clone(),
                }),
                selected => Ok(Identity::Managed(selected)),
            },
        }
    }

    /// The one selector that is given, if any.
    fn managed_id(&self) -> Result<Option<ManagedId>, ConnectionError> {
        let client = self
            .managed_identity_client_id
            .as_ref()
            .or(self.client_id.as_ref());
        let object = self.managed_identity_object_id.as_ref();
        let resource = self.managed_identity_resource_id.as_ref();
        match (client, object, resource) {
            (None, None, None) => Ok(None),
            (Some(id), None, None) => Ok(Some(ManagedId::Client(id.clone()))),
            (None, Some(id), None) => Ok(Some(ManagedId::Object(id.clone()))),
            (None, None, Some(id)) => Ok(Some(ManagedId::Resource(id.clone()))),
            (Some(_), Some(_), _) => Err(ConnectionError::Conflict(
                "clientId",
                "managedIdentityObjectId",
            )),
            (Some(_), _, Some(_)) => Err(ConnectionError::Conflict(
                "clientId",
                "managedIdentityResourceId",
            )),
            (None, Some(_), Some(_)) => Err(ConnectionError::Conflict(
                "managedIdentityObjectId",
                "managedIdentityResourceId",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> IdentitySettings {
        let mut settings = IdentitySettings::default();
        for (name, value) in pairs {
            assert!(settings.set(name, value), "{name}");
        }
        settings
    }

    fn identity(pairs: &[(&str, &str)]) -> Result<Identity, ConnectionError> {
        let connection = settings(pairs).connection()?;
        match connection.credential() {
            Credential::Identity(identity) => Ok(identity.clone()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_account_name_is_enough() {
        // covers: R4-07 R4-08
        let connection = settings(&[("AccountName", "shop")]).connection().unwrap();
        assert_eq!(
            connection.table_endpoint(),
            "https://shop.table.core.windows.net"
        );
        assert_eq!(
            identity(&[("accountName", "shop")]),
            Ok(Identity::Automatic {
                client: None,
                tenant: None
            })
        );
    }

    #[test]
    fn service_addresses_win_and_all_three_are_needed() {
        // covers: R4-07
        let mut settings = settings(&[
            ("blobServiceUri", "https://shop.blob.core.chinacloudapi.cn/"),
            (
                "queueServiceUri",
                "https://shop.queue.core.chinacloudapi.cn/",
            ),
        ]);
        assert_eq!(
            settings.connection().unwrap_err(),
            ConnectionError::Missing("tableServiceUri")
        );
        settings.set(
            "tableServiceUri",
            "https://shop.table.core.chinacloudapi.cn/",
        );
        let connection = settings.connection().unwrap();
        assert_eq!(connection.account_name(), "shop");
        settings.set(
            "tableServiceUri",
            "http://shop.table.core.chinacloudapi.cn/",
        );
        assert!(settings.connection().is_err(), "tokens need https");
    }

    #[test]
    fn the_kind_of_credential_follows_from_the_settings() {
        // covers: R4-07 R4-08
        assert_eq!(
            identity(&[
                ("accountName", "a"),
                ("credential", "ManagedIdentity"),
                ("clientId", "c")
            ]),
            Ok(Identity::Managed(Some(ManagedId::Client("c".into()))))
        );
        assert_eq!(
            identity(&[("accountName", "a"), ("credential", "managedidentity")]),
            Ok(Identity::Managed(None))
        );
        let secret = identity(&[
            ("accountName", "a"),
            ("tenantId", "t"),
            ("clientId", "c"),
            ("clientSecret", "s3cret"),
        ])
        .unwrap();
        assert!(!format!("{secret:?}").contains("s3cret"));
        assert!(matches!(secret, Identity::ClientSecret { .. }));
        assert_eq!(
            identity(&[
                ("accountName", "a"),
                ("credential", "managedidentity"),
                ("clientId", "c"),
                ("managedIdentityObjectId", "o")
            ]),
            Err(ConnectionError::Conflict(
                "clientId",
                "managedIdentityObjectId"
            ))
        );
        assert!(identity(&[("accountName", "a"), ("credential", "magic")]).is_err());
        assert!(!IdentitySettings::default().set("nonsense", "x"));
    }
}
