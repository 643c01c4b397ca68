//! Entra tokens for services other than storage, by whatever identity this machine has.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use azure_core_1::cloud::CloudConfiguration;

use super::token::TokenCache;
use super::{AzureOptions, identity, identity_client};
use crate::env::Env;
use crate::error::Result;

/// Services and tenants whose tokens are kept at once; beyond, all are fetched anew.
const MAX_CACHES: usize = 100;

/// An Entra ID that tokens may be asked from. Only these: whoever could name another would be sent
/// this machine's secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Authority {
    /// `login.microsoftonline.com`
    #[default]
    Public,
    /// `login.microsoftonline.us`
    Government,
    /// `login.chinacloudapi.cn`
    China,
}

impl Authority {
    /// The authority of that address; `None` if it is none of these.
    pub fn of_address(address: &str) -> Option<Self> {
        let host = address.strip_prefix("https://")?;
        match host.strip_suffix('/').unwrap_or(host) {
            "login.microsoftonline.com" => Some(Self::Public),
            "login.microsoftonline.us" => Some(Self::Government),
            "login.chinacloudapi.cn" => Some(Self::China),
            _ => None,
        }
    }

    const fn cloud(self) -> CloudConfiguration {
        match self {
            Self::Public => CloudConfiguration::AzurePublic,
            Self::Government => CloudConfiguration::AzureGovernment,
            Self::China => CloudConfiguration::AzureChina,
        }
    }
}

/// Scope, tenant, authority.
type Key = (String, Option<String>, Authority);

/// Tokens of this machine's identity, as the Azure SDK's default chain finds it (environment,
/// workload identity, managed identity, developer tools), for any service. Kept until shortly
/// before they end.
pub struct ServiceTokens {
    client: reqwest::Client,
    options: AzureOptions,
    env: Env,
    caches: Mutex<BTreeMap<Key, Arc<TokenCache>>>,
}

impl ServiceTokens {
    /// Contacts nobody.
    pub fn new(env: Env) -> Result<Self> {
        let options = AzureOptions::default();
        Ok(Self {
            client: identity_client(&options)?,
            options,
            env,
            caches: Mutex::default(),
        })
    }

    /// The value of an `Authorization` header for that scope, such as
    /// `https://graph.microsoft.com/.default`.
    pub async fn authorization(
        &self,
        scope: &str,
        tenant: Option<&str>,
        authority: Authority,
    ) -> Result<Arc<str>> {
        let key = (scope.to_owned(), tenant.map(str::to_owned), authority);
        self.cache(key).authorization().await
    }

    fn cache(&self, key: Key) -> Arc<TokenCache> {
        let mut caches = self.caches.lock().unwrap_or_else(PoisonError::into_inner);
        if caches.len() >= MAX_CACHES && !caches.contains_key(&key) {
            caches.clear();
        }
        let (scope, tenant, authority) = key.clone();
        let cache = caches.entry(key).or_insert_with(|| {
            let cloud = authority.cloud();
            let chain = identity::default_chain(tenant.as_deref(), cloud, &self.client, &self.env);
            let limit = self.options.attempt_limit;
            Arc::new(TokenCache::new(chain, &scope, self.env.clone(), limit))
        });
        Arc::clone(cache)
    }
}

impl fmt::Debug for ServiceTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceTokens").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_authorities_are_asked() {
        let public = Authority::of_address("https://login.microsoftonline.com/");
        assert_eq!(public, Some(Authority::Public));
        for other in [
            "http://login.microsoftonline.com/",
            "https://login.microsoftonline.com.evil.example/",
            "https://evil.example",
            "",
        ] {
            assert_eq!(Authority::of_address(other), None, "{other}");
        }
    }

    #[test]
    fn a_token_is_kept_per_service_and_tenant() {
        let tokens = ServiceTokens::new(Env::system()).unwrap();
        let key = |tenant: Option<&str>| -> Key {
            ("s".into(), tenant.map(str::to_owned), Authority::Public)
        };
        let first = tokens.cache(key(None));
        assert!(Arc::ptr_eq(&first, &tokens.cache(key(None))));
        assert!(!Arc::ptr_eq(&first, &tokens.cache(key(Some("t")))));
        for number in 0..2 * MAX_CACHES {
            tokens.cache(key(Some(&number.to_string())));
        }
        assert!(tokens.caches.lock().unwrap().len() <= MAX_CACHES);
    }
}
