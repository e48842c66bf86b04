//! The table `config`: tenants, endpoints and keys, as they are stored and read. `change` writes tenants and endpoints.

use std::sync::Arc;

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use futures_util::FutureExt as _;
use redial_domain::endpoint::{DEFAULT_MAX_ENDPOINTS, Endpoint};
use redial_domain::hold::Hold;
use redial_domain::slow::Slow;
use redial_domain::source::SourceNetworks;
use redial_domain::{EndpointId, TenantId, Timestamp};
use serde::{Deserialize, Serialize};

use super::lists::Page;
use super::walk::page_of;
use super::{Store, StoreError, dynamo, is_refused, n, s};
use crate::item::Item;
use crate::keys;
use crate::seal::SealedSecrets;

pub use super::change::Change;
pub use super::event_types::Validation;

/// Days that a tenant's events are kept, unless its settings say otherwise.
pub const DEFAULT_RETENTION_DAYS: u16 = 30;
/// Fewest days of retention.
pub const MIN_RETENTION_DAYS: u16 = 3;
/// Most days of retention.
pub const MAX_RETENTION_DAYS: u16 = 365;

/// A tenant's settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tenant {
    /// Its id.
    pub id: TenantId,
    /// For people.
    #[serde(default)]
    pub name: String,
    /// Days that its events are kept, from the setting on.
    pub retention_days: u16,
    /// True if it may post events of types that no catalogue has.
    #[serde(default)]
    pub allow_unknown_types: bool,
    /// What is done with an event whose `data` does not fit the schema of its type.
    #[serde(default)]
    pub validation: Validation,
    /// Where receivers of profile `voicehub` fetch an analysis: a URL with places, `profile::voicehub::check_template`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub analysis_url: Option<String>,
    /// Most endpoints that it may have.
    #[serde(default = "default_max_endpoints")]
    pub max_endpoints: u16,
    /// Shards of its time-ordered lists; only ever raised.
    pub shards: u16,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// How much earlier than its tenant an event may seem to be accepted, in milliseconds: two clocks said so. Far less than the
/// ten minutes that an erasure keeps a name from being used again.
const CLOCK_SKEW_MS: i64 = 60_000;

const fn default_max_endpoints() -> u16 {
    DEFAULT_MAX_ENDPOINTS
}

impl Tenant {
    /// A tenant with the default settings.
    #[must_use]
    pub const fn new(id: TenantId, now: Timestamp) -> Self {
        Self {
            id,
            name: String::new(),
            retention_days: DEFAULT_RETENTION_DAYS,
            allow_unknown_types: false,
            validation: Validation::Warn,
            analysis_url: None,
            max_endpoints: DEFAULT_MAX_ENDPOINTS,
            shards: keys::DEFAULT_SHARDS,
            created_at: now,
            updated_at: now,
        }
    }

    /// True if an event that was accepted then is of a tenant that was erased, and this is a new one of its name: what is
    /// still under way of the former must not be written down here.
    #[must_use]
    pub const fn is_younger_than(&self, accepted_at: Timestamp) -> bool {
        self.created_at.millis_since(accepted_at) > CLOCK_SKEW_MS
    }
}

/// An endpoint with its secrets, sealed: whoever reads configurations cannot read them.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredEndpoint {
    /// What everybody may know.
    pub endpoint: Endpoint,
    /// What only the dispatcher and the tenant may; `Secrets` opens it.
    pub sealed: SealedSecrets,
    /// That it is on hold because it fails. Kept beside the endpoint, whose own settings and version it does not touch.
    pub hold: Option<Hold>,
    /// That it is, or was lately, slow. Kept beside the endpoint as well.
    pub slow: Option<Slow>,
}

/// A tenant with all its endpoints, as of one version.
#[derive(Debug, Clone, PartialEq)]
pub struct TenantConfig {
    /// The version it was read at, or an older one: never newer than what it holds.
    pub version: u64,
    /// The settings.
    pub tenant: Tenant,
    /// The endpoints, by id.
    pub endpoints: Vec<Arc<StoredEndpoint>>,
}

impl TenantConfig {
    /// Bytes that it takes in memory, about.
    #[must_use]
    pub fn bytes(&self) -> usize {
        // What is read takes about twice its text.
        let text = |stored: &StoredEndpoint| serde_json::to_vec(&stored.endpoint).map_or(0, |text| text.len());
        let of_endpoints = self.endpoints.iter();
        let of_endpoints = of_endpoints.map(|stored| stored.sealed.as_bytes().len() + 2 * text(stored));
        size_of::<Tenant>() + of_endpoints.sum::<usize>()
    }

    /// The endpoint of that id.
    #[must_use]
    pub fn endpoint(&self, id: &EndpointId) -> Option<&Arc<StoredEndpoint>> {
        self.endpoints.iter().find(|stored| stored.endpoint.id == *id)
    }
}

/// A key of the API, as stored: never the key itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKey {
    /// The part of the key that is no secret.
    pub id: String,
    /// SHA-256 of the whole key's text.
    pub hash: Vec<u8>,
    /// What it may do, as text (`auth::Scope`).
    pub scope: String,
    /// For people.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last used, to the hour. Releases before the attribute `u` noted it here, in the JSON: the later counts.
    #[serde(default)]
    pub last_used_at: Option<Timestamp>,
    /// From when on it is none any more; `None`: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// From where alone it may be used; `None`: from anywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_networks: Option<SourceNetworks>,
    /// Id of the key that made it; `None`: the deployer's credentials did, or a release before this was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_by: Option<String>,
}

impl ApiKey {
    /// True if it is valid no more.
    #[must_use]
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|expires_at| expires_at <= now)
    }
}

pub(super) fn json(value: &impl Serialize) -> String {
    // Plain structures of strings and numbers: serialising them cannot fail.
    serde_json::to_string(value).unwrap_or_default()
}

pub(super) fn parse<'a, T: Deserialize<'a>>(item: &'a Item, attribute: &'static str) -> Result<T, StoreError> {
    let value = item
        .get_text(attribute)
        .and_then(|text| serde_json::from_str(text).ok());
    Ok(item.need(attribute, value)?)
}

impl Store {
    /// A tenant and its endpoints; `None` if there is no such tenant.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails or a stored item cannot be read.
    pub async fn tenant_config(&self, tenant: &TenantId) -> Result<Option<TenantConfig>, StoreError> {
        // The version first: what is read after it is at least as new.
        let Some(version) = self.version(tenant, 0).await? else {
            return Ok(None);
        };
        let query = self
            .partition(&self.tables.config, &keys::tenant_partition(tenant), " ", "~")
            .consistent_read(true);
        let (mut settings, mut endpoints) = (None, Vec::new());
        for item in self.query_all(query, usize::MAX).await? {
            let sk = item.key().sk;
            if sk == "tenant" {
                settings = Some(parse::<Tenant>(&item, "j")?);
            } else if sk.starts_with(keys::ENDPOINT_PREFIX) {
                endpoints.push(Arc::new(read_endpoint(&item)?));
            }
            // What else a later release may keep here is not for this one.
        }
        Ok(settings.map(|tenant| TenantConfig {
            version,
            tenant,
            endpoints,
        }))
    }

    /// A page of tenants after the id `after`, by id. Those that cannot be read are passed by.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails.
    pub async fn tenants(&self, after: Option<&str>, limit: usize) -> Result<Page<Tenant>, StoreError> {
        let rows = self.list_config(keys::TENANTS, after, limit + 1).await?;
        page_of(rows, limit, |item| parse(item, "j"))
    }

    /// A key by its id.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails or the stored item cannot be read.
    pub async fn api_key(&self, id: &str) -> Result<Option<ApiKey>, StoreError> {
        let item = self.get(&self.tables.config, &keys::api_key(id), true).await?;
        item.as_ref().map(read_api_key).transpose()
    }

    /// A page of keys after the id `after`, by id. Those that cannot be read are passed by.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails.
    pub async fn api_keys(&self, after: Option<&str>, limit: usize) -> Result<Page<ApiKey>, StoreError> {
        let rows = self.list_config(keys::API_KEYS, after, limit + 1).await?;
        page_of(rows, limit, read_api_key)
    }

    async fn list_config(&self, pk: &str, after: Option<&str>, limit: usize) -> Result<Vec<Item>, StoreError> {
        let query = self
            .client
            .query()
            .table_name(&self.tables.config)
            .key_condition_expression("pk = :pk AND sk > :after")
            .expression_attribute_values(":pk", s(pk))
            .expression_attribute_values(":after", s(after.unwrap_or(" ")))
            .consistent_read(true)
            .limit(i32::try_from(limit).unwrap_or(i32::MAX));
        self.query_unchecked(query, limit).await
    }

    /// Stores a new key.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if there is one of its id: another key, which stays.
    pub async fn put_api_key(&self, key: &ApiKey) -> Result<(), StoreError> {
        let item = Item::from(&keys::api_key(&key.id)).text("j", json(key));
        let put = self
            .client
            .put_item()
            .table_name(&self.tables.config)
            .set_item(Some(item.0));
        match put
            .condition_expression("attribute_not_exists(pk)")
            .send()
            .boxed()
            .await
        {
            Err(error) if is_refused(&error) => Err(StoreError::Conflict("the key")),
            other => other.map(|_| ()).map_err(dynamo("PutItem")),
        }
    }

    /// Changes a key; `None` if there is none of that id.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if somebody else changed or revoked it meanwhile, and what `apply` refuses.
    pub async fn change_api_key<E: From<StoreError>>(
        &self,
        id: &str,
        apply: impl FnOnce(&mut ApiKey) -> Result<(), E> + Send,
    ) -> Result<Option<ApiKey>, E> {
        let Some(before) = self.get(&self.tables.config, &keys::api_key(id), true).await? else {
            return Ok(None);
        };
        let mut key = read_api_key(&before)?;
        apply(&mut key)?;
        let item = Item::from(&keys::api_key(id)).text("j", json(&key));
        // A use that is noted just now is noted again within the hour.
        let item = match key.last_used_at {
            Some(used_at) => item.number("u", used_at.as_millis()),
            None => item,
        };
        let put = self
            .client
            .put_item()
            .table_name(&self.tables.config)
            .set_item(Some(item.0));
        let put = put
            .condition_expression("j = :before")
            .expression_attribute_values(":before", s(before.get_text("j").unwrap_or_default()));
        match put.send().boxed().await {
            Ok(_) => Ok(Some(key)),
            Err(error) if is_refused(&error) => Err(StoreError::Conflict("the key").into()),
            Err(error) => Err(dynamo("PutItem")(error).into()),
        }
    }

    /// Notes when a key was used, if it still exists. Names no attribute but the key's own and `u`: the roles of those who
    /// note it may touch no other, or ingest could make itself an operator.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails.
    pub async fn touch_api_key(&self, id: &str, used_at: Timestamp) -> Result<(), StoreError> {
        let update = self
            .client
            .update_item()
            .table_name(&self.tables.config)
            .set_key(Some(Item::from(&keys::api_key(id)).0))
            .update_expression("SET u = :u")
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_values(":u", n(used_at.as_millis()));
        let is_gone = |error: &SdkError<UpdateItemError>| {
            let error = error.as_service_error();
            error.is_some_and(UpdateItemError::is_conditional_check_failed_exception)
        };
        match update.send().boxed().await {
            Err(error) if is_gone(&error) => Ok(()),
            other => other.map(|_| ()).map_err(dynamo("UpdateItem")),
        }
    }

    /// Deletes a key; false if there was none.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails.
    pub async fn delete_api_key(&self, id: &str) -> Result<bool, StoreError> {
        let request = self.client.delete_item().table_name(&self.tables.config);
        let request = request.set_key(Some(Item::from(&keys::api_key(id)).0));
        let old = request
            .return_values(aws_sdk_dynamodb::types::ReturnValue::AllOld)
            .send()
            .boxed()
            .await;
        Ok(old.map_err(dynamo("DeleteItem"))?.attributes.is_some())
    }
}

pub(super) fn read_api_key(item: &Item) -> Result<ApiKey, StoreError> {
    let key: ApiKey = parse(item, "j")?;
    Ok(ApiKey {
        last_used_at: key.last_used_at.max(item.get_moment("u")),
        ..key
    })
}

fn read_endpoint(item: &Item) -> Result<StoredEndpoint, StoreError> {
    let sealed = item.need("x", item.get_bytes("x"))?.to_vec();
    Ok(StoredEndpoint {
        endpoint: parse(item, "j")?,
        sealed: SealedSecrets::from_bytes(sealed),
        hold: item.get_text("ho").map(|_| parse(item, "ho")).transpose()?,
        slow: item.get_text("sl").map(|_| parse(item, "sl")).transpose()?,
    })
}
