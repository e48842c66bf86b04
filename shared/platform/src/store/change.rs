//! Changes of a tenant's configuration: each raises the tenant's version in the same transaction, so that ingest can tell
//! whether its copy is current. All of a change is stored, or nothing of it.

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::builders::UpdateBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, Delete, Put, TransactWriteItem, Update};
use futures_util::FutureExt as _;
use redial_domain::endpoint::Endpoint;
use redial_domain::hold::Hold;
use redial_domain::slow::Slow;
use redial_domain::{EndpointId, TenantId};

use super::config::{StoredEndpoint, Tenant, json};
use super::event_types::OwnEventType;
use super::{Store, StoreError, dynamo, n, s};
use crate::item::Item;
use crate::keys::{self, Key};
use crate::seal::SealedSecrets;

/// Most items of one transaction.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html>
const MAX_TRANSACTION_ITEMS: usize = 100;
/// Most endpoints that one change makes, sets and deletes: what the copies of the version leave of a transaction.
pub const MAX_CHANGED_ENDPOINTS: usize = MAX_TRANSACTION_ITEMS - keys::VERSION_COPIES as usize;
/// Most bytes of the endpoints that one change makes and sets: a transaction has at most 4 MB, names and keys included.
pub const MAX_CHANGED_BYTES: usize = 3_500_000;

/// One change of a tenant's configuration.
#[derive(Debug)]
pub enum Change<'a> {
    /// A tenant is made or its settings are set.
    PutTenant(&'a Tenant),
    /// An endpoint is made or set; its `version` is filled in. A hold that it is on stays.
    PutEndpoint(&'a mut Endpoint, &'a SealedSecrets),
    /// An endpoint is set and no longer on hold; its `version` is filled in.
    Release(&'a mut Endpoint, &'a SealedSecrets),
    /// An endpoint is put on hold because it fails, or let go. Its own `version` stays: nobody has changed it.
    Hold(&'a EndpointId, Option<&'a Hold>),
    /// An endpoint was seen to be slow. Its own `version` stays.
    Slow(&'a EndpointId, &'a Slow),
    /// The secrets of endpoints are sealed under another data key, at most [`MAX_CHANGED_ENDPOINTS`] with at most
    /// [`MAX_CHANGED_BYTES`]: the same secrets, so each one's own `version` stays.
    Reseal(&'a [(EndpointId, SealedSecrets)]),
    /// An endpoint is deleted.
    DeleteEndpoint(&'a EndpointId),
    /// One of the tenant's own event types is made or set.
    PutEventType(&'a OwnEventType),
    /// Several endpoints are made or set, and others deleted, all at once: at most [`MAX_CHANGED_ENDPOINTS`], with at most
    /// [`MAX_CHANGED_BYTES`]. Their `version` is filled in.
    Endpoints {
        /// Made or set.
        put: &'a mut [StoredEndpoint],
        /// Deleted.
        delete: &'a [EndpointId],
    },
}

impl Store {
    /// Applies `change` if the tenant's version is still `expected` (0: there is no tenant yet). Answers the new version: one
    /// more, or where a new tenant starts.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if somebody else changed the tenant's configuration since `expected` was read.
    pub async fn change(&self, tenant: &TenantId, expected: u64, change: Change<'_>) -> Result<u64, StoreError> {
        let version = match &change {
            Change::PutTenant(made) if expected == 0 => first_version(made),
            _ => expected + 1,
        };
        let table = &self.tables.config;
        let put = |item: Item| Put::builder().table_name(table).set_item(Some(item.0)).build().ok();
        let mut writes = Vec::new();
        match change {
            Change::PutTenant(settings) => {
                let item = Item::from(&keys::tenant(tenant)).text("j", json(settings));
                writes.push(TransactWriteItem::builder().set_put(put(item)).build());
                let entry = Item::from(&keys::directory(tenant)).text("j", json(settings));
                writes.push(TransactWriteItem::builder().set_put(put(entry)).build());
            }
            Change::PutEndpoint(endpoint, sealed) => {
                writes.push(self.put_endpoint(tenant, version, endpoint, sealed, ""));
            }
            Change::Release(endpoint, sealed) => {
                writes.push(self.put_endpoint(tenant, version, endpoint, sealed, " REMOVE ho"));
            }
            Change::Hold(endpoint, hold) => writes.push(self.put_hold(tenant, endpoint, hold)),
            Change::Slow(endpoint, slow) => writes.push(self.put_slow(tenant, endpoint, slow)),
            Change::Reseal(resealed) => {
                let resealed = resealed.iter();
                writes.extend(resealed.map(|(endpoint, sealed)| self.put_sealed(tenant, endpoint, sealed)));
            }
            Change::DeleteEndpoint(endpoint) => writes.push(self.delete_endpoint(tenant, endpoint)),
            Change::PutEventType(own) => {
                let item = Item::from(&keys::event_type(tenant, &own.name)).text("j", json(own));
                writes.push(TransactWriteItem::builder().set_put(put(item)).build());
            }
            Change::Endpoints { put, delete } => {
                let put = put.iter_mut();
                writes.extend(put.map(|stored| {
                    let StoredEndpoint { endpoint, sealed, .. } = stored;
                    self.put_endpoint(tenant, version, endpoint, sealed, "")
                }));
                writes.extend(delete.iter().map(|endpoint| self.delete_endpoint(tenant, endpoint)));
            }
        }
        for copy in 0..keys::VERSION_COPIES {
            writes.push(self.raise_version(&keys::version(tenant, copy), expected, version));
        }
        let answer = self
            .client
            .transact_write_items()
            .set_transact_items(Some(writes))
            .send()
            .boxed()
            .await;
        match answer {
            Ok(_) => Ok(version),
            Err(error) if is_conflict(&error) => Err(StoreError::Conflict("the tenant's configuration")),
            Err(error) => Err(dynamo("TransactWriteItems")(error)),
        }
    }

    /// The write of an endpoint, as of `version`: all of it but its hold, which `rest` may remove.
    fn put_endpoint(
        &self,
        tenant: &TenantId,
        version: u64,
        endpoint: &mut Endpoint,
        sealed: &SealedSecrets,
        rest: &str,
    ) -> TransactWriteItem {
        endpoint.version = version;
        let update = self
            .update_endpoint(tenant, &endpoint.id)
            .update_expression(format!("SET j = :j, x = :x{rest}"))
            .expression_attribute_values(":j", s(json(endpoint)))
            .expression_attribute_values(":x", AttributeValue::B(Blob::new(sealed.as_bytes())));
        TransactWriteItem::builder().set_update(update.build().ok()).build()
    }

    /// The write of an endpoint's hold; refused if there is no such endpoint.
    fn put_hold(&self, tenant: &TenantId, endpoint: &EndpointId, hold: Option<&Hold>) -> TransactWriteItem {
        let update = self
            .update_endpoint(tenant, endpoint)
            .condition_expression("attribute_exists(pk)");
        let update = match hold {
            Some(hold) => update
                .update_expression("SET ho = :ho")
                .expression_attribute_values(":ho", s(json(hold))),
            None => update.update_expression("REMOVE ho"),
        };
        TransactWriteItem::builder().set_update(update.build().ok()).build()
    }

    /// The write of an endpoint's being slow; refused if there is no such endpoint.
    fn put_slow(&self, tenant: &TenantId, endpoint: &EndpointId, slow: &Slow) -> TransactWriteItem {
        let update = self
            .update_endpoint(tenant, endpoint)
            .condition_expression("attribute_exists(pk)")
            .update_expression("SET sl = :sl")
            .expression_attribute_values(":sl", s(json(slow)));
        TransactWriteItem::builder().set_update(update.build().ok()).build()
    }

    /// The write of an endpoint's sealed secrets alone; refused if there is no such endpoint.
    fn put_sealed(&self, tenant: &TenantId, endpoint: &EndpointId, sealed: &SealedSecrets) -> TransactWriteItem {
        let update = self
            .update_endpoint(tenant, endpoint)
            .condition_expression("attribute_exists(pk)")
            .update_expression("SET x = :x")
            .expression_attribute_values(":x", AttributeValue::B(Blob::new(sealed.as_bytes())));
        TransactWriteItem::builder().set_update(update.build().ok()).build()
    }

    fn update_endpoint(&self, tenant: &TenantId, endpoint: &EndpointId) -> UpdateBuilder {
        Update::builder()
            .table_name(&self.tables.config)
            .set_key(Some(Item::from(&keys::endpoint(tenant, endpoint)).0))
    }

    fn delete_endpoint(&self, tenant: &TenantId, endpoint: &EndpointId) -> TransactWriteItem {
        let key = Item::from(&keys::endpoint(tenant, endpoint)).0;
        let delete = Delete::builder().table_name(&self.tables.config).set_key(Some(key));
        TransactWriteItem::builder().set_delete(delete.build().ok()).build()
    }

    fn raise_version(&self, copy: &Key, expected: u64, version: u64) -> TransactWriteItem {
        let number = |version: u64| n(i64::try_from(version).unwrap_or(i64::MAX));
        let condition = if expected == 0 {
            "attribute_not_exists(pk)"
        } else {
            "v = :expected"
        };
        let update = Update::builder()
            .table_name(&self.tables.config)
            .set_key(Some(Item::from(copy).0))
            .update_expression("SET v = :v")
            .condition_expression(condition)
            .expression_attribute_values(":v", number(version));
        let update = if expected == 0 {
            update
        } else {
            update.expression_attribute_values(":expected", number(expected))
        };
        TransactWriteItem::builder().set_update(update.build().ok()).build()
    }
}

/// The version that a new tenant starts at: the millisecond it was made in. Later than any version of a tenant that had the
/// name before, because changes are slower than one a millisecond and an erasure takes minutes: whoever still keeps that
/// one's configuration never takes it for this one's. Tenants of older releases started at 1, and just go on.
fn first_version(made: &Tenant) -> u64 {
    u64::try_from(made.created_at.as_millis()).unwrap_or_default().max(1)
}

pub(super) fn is_conflict<R>(error: &SdkError<TransactWriteItemsError, R>) -> bool {
    let Some(TransactWriteItemsError::TransactionCanceledException(canceled)) = error.as_service_error() else {
        return false;
    };
    let code = |reason: &aws_sdk_dynamodb::types::CancellationReason| reason.code.clone().unwrap_or_default();
    canceled
        .cancellation_reasons()
        .iter()
        .any(|reason| matches!(code(reason).as_str(), "ConditionalCheckFailed" | "TransactionConflict"))
}
