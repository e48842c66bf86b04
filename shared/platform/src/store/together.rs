//! Writes and reads that several callers of one process want at the same moment, in one call each: rows that nobody else
//! writes at the same time, and the versions of tenants' configurations. Costs the same units as one by one (of versions that
//! many ask for at once, fewer) in a fraction of the calls.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{PutRequest, WriteRequest};
use futures_util::FutureExt as _;
use futures_util::future::join_all;
use redial_domain::TenantId;

use super::{BATCH_WRITE, Store, StoreError, UNPROCESSED_TRIES, back_off, dynamo, get_from, put_to, told};
use crate::gather::{Gather, Limits};
use crate::item::Item;
use crate::keys::{self, Key};

/// Batches of rows under way at once.
const BATCHES_AT_ONCE: usize = 8;
/// Versions read in one go: one request for each tenant among them.
const VERSIONS: usize = 100;

/// What became of a row in a batch.
pub(super) enum Written {
    /// It is stored.
    Stored,
    /// DynamoDB has not taken it, others yes: it is to be sent again in a while.
    Left(Item),
    /// The call failed.
    Failed(Arc<StoreError>),
}

/// Rows to put.
pub(super) type Rows = Gather<Item, Written>;
/// Tenants whose version is asked for, and which copy of it to read.
pub(super) type Versions = Gather<(TenantId, u16), Result<Option<u64>, Arc<StoreError>>>;

/// Puts rows into a table.
pub(super) fn rows(client: Client, table: String) -> Rows {
    let limits = Limits {
        most: BATCH_WRITE,
        at_once: BATCHES_AT_ONCE,
        // DynamoDB refuses a batch that names a key twice.
        goes_with: |rows: &[Item], row: &Item| !rows.iter().any(|other| is_same(other, row)),
    };
    Gather::new(limits, move |rows| put(client.clone(), table.clone(), rows).boxed())
}

/// Reads versions from a table.
pub(super) fn versions(client: Client, table: String) -> Versions {
    let limits = Limits {
        most: VERSIONS,
        at_once: BATCHES_AT_ONCE,
        goes_with: |_: &[(TenantId, u16)], _: &(TenantId, u16)| true,
    };
    Gather::new(limits, move |tenants| {
        read_versions(client.clone(), table.clone(), tenants).boxed()
    })
}

fn is_same(one: &Item, other: &Item) -> bool {
    ["sk", "pk"].iter().all(|name| one.0.get(*name) == other.0.get(*name))
}

async fn put(client: Client, table: String, mut rows: Vec<Item>) -> Vec<Written> {
    if rows.len() == 1
        && let Some(row) = rows.pop()
    {
        let put = put_to(&client, &table, row).await;
        return vec![put.map_or_else(|error| Written::Failed(Arc::new(error)), |()| Written::Stored)];
    }
    let asked: Vec<Key> = rows.iter().map(Item::key).collect();
    let requests = rows.into_iter().filter_map(|row| {
        let put = PutRequest::builder().set_item(Some(row.0)).build().ok()?;
        Some(WriteRequest::builder().put_request(put).build())
    });
    let call = client.batch_write_item().request_items(&table, requests.collect());
    let answer = match call.send().boxed().await.map_err(dynamo("BatchWriteItem")) {
        Ok(answer) => answer,
        Err(error) => {
            let error = Arc::new(error);
            return asked.iter().map(|_| Written::Failed(Arc::clone(&error))).collect();
        }
    };
    let mut left: HashMap<Key, Item> = answer
        .unprocessed_items
        .unwrap_or_default()
        .into_values()
        .flatten()
        .filter_map(|request| request.put_request)
        .map(|put| Item(put.item))
        .map(|row| (row.key(), row))
        .collect();
    let written = |key| left.remove(key).map_or(Written::Stored, Written::Left);
    asked.iter().map(written).collect()
}

async fn read_versions(
    client: Client,
    table: String,
    tenants: Vec<(TenantId, u16)>,
) -> Vec<Result<Option<u64>, Arc<StoreError>>> {
    let mut seen = HashSet::new();
    let distinct: Vec<&(TenantId, u16)> = tenants.iter().filter(|(tenant, _)| seen.insert(tenant)).collect();
    let read = distinct.iter().map(|(tenant, copy)| {
        let key = keys::version(tenant, copy % keys::VERSION_COPIES);
        let (client, table) = (&client, &table);
        async move {
            let item = get_from(client, table, &key, true).await.map_err(Arc::new)?;
            Ok(item.and_then(|item| item.get_number("v")).map(i64::unsigned_abs))
        }
    });
    let read: Vec<Result<Option<u64>, Arc<StoreError>>> = join_all(read).await;
    let of = |tenant: &TenantId| distinct.iter().position(|(other, _)| other == tenant);
    let lost = || Err(Arc::new(StoreError::Lost));
    tenants
        .iter()
        .map(|(tenant, _)| {
            of(tenant)
                .and_then(|place| read.get(place).cloned())
                .unwrap_or_else(lost)
        })
        .collect()
}

impl Store {
    /// Puts a row of the events table that nobody else writes at the same time, together with others that are being put.
    pub(super) async fn put_together(&self, mut row: Item) -> Result<(), StoreError> {
        for tries in 1..=UNPROCESSED_TRIES {
            match self.rows.ask(row).await {
                Some(Written::Stored) => return Ok(()),
                Some(Written::Left(left)) => {
                    row = left;
                    back_off(tries).await;
                }
                Some(Written::Failed(error)) => return Err(told(error)),
                None => return Err(StoreError::Lost),
            }
        }
        Err(StoreError::Unprocessed {
            operation: "BatchWriteItem",
        })
    }

    /// The version of a tenant's configuration, as of now; `None` if there is no such tenant. `copy` spreads the reads.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails.
    pub async fn version(&self, tenant: &TenantId, copy: u16) -> Result<Option<u64>, StoreError> {
        let read = self.versions.ask((tenant.clone(), copy)).await;
        read.ok_or(StoreError::Lost)?.map_err(told)
    }
}
