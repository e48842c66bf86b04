//! What Redial remembers: both tables, behind typed operations. The only code that calls DynamoDB. Decides nothing about
//! deliveries; writes what it is told and answers questions. docs/DATA.md draws the items.
//!
//! Every call of the SDK is boxed: its future has 5 to 7 kB, which each function on the way to it would otherwise carry in its
//! own and copy from one to the next.

mod attempts;
pub mod backlog;
pub mod calls;
pub mod change;
pub mod config;
pub mod counting;
pub mod data_keys;
pub mod deliveries;
mod died;
pub mod due;
pub mod erase;
pub mod erase_tenant;
pub mod erasures;
pub mod event_types;
pub mod events;
pub mod health;
pub mod held;
pub mod ledger;
pub mod lists;
pub mod lookups;
pub mod observed;
pub mod pace;
mod replay_job;
pub mod replayable;
pub mod replays;
pub mod request_limit;
pub mod slow;
pub mod sweep;
pub mod test_limit;
mod together;
pub mod unfinished;
mod walk;

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, DeleteRequest, KeysAndAttributes, PutRequest, WriteRequest};

use crate::format::Newer;
use crate::item::{Attributes, Corrupt, Item};
use crate::keys::Key;
use futures_util::FutureExt as _;
use together::{Rows, Versions};

/// Items in one `BatchWriteItem`, by AWS's limit.
const BATCH_WRITE: usize = 25;
/// Keys in one `BatchGetItem`, by AWS's limit.
const BATCH_GET: usize = 100;
/// Times a batch is sent again for what DynamoDB left unprocessed.
const UNPROCESSED_TRIES: u32 = 6;

/// The store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// DynamoDB refused or did not answer.
    #[error("DynamoDB {operation} failed: {source}")]
    Dynamo {
        /// The operation.
        operation: &'static str,
        /// The code of AWS's refusal, if it answered.
        code: Option<String>,
        /// What the SDK said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// DynamoDB kept leaving items unprocessed.
    #[error("DynamoDB {operation} left items unprocessed {UNPROCESSED_TRIES} times")]
    Unprocessed {
        /// The operation.
        operation: &'static str,
    },
    /// A stored item cannot be read.
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
    /// A newer version of Redial wrote the item.
    #[error(transparent)]
    Newer(#[from] Newer),
    /// A stored content cannot be read.
    #[error(transparent)]
    Blob(#[from] crate::blob::BlobError),
    /// Somebody else changed the same thing meanwhile; asking again helps.
    #[error("{0} was changed by somebody else at the same time")]
    Conflict(&'static str),
    /// A call that was made for several callers failed.
    #[error(transparent)]
    Together(std::sync::Arc<StoreError>),
    /// A call that was made for several callers broke off: it may have been done or not.
    #[error("a call for several callers broke off")]
    Lost,
}

impl StoreError {
    /// True if what is stored cannot be read, whoever asks and how often: it waits for a person or a newer version.
    #[must_use]
    pub fn is_unreadable(&self) -> bool {
        match self {
            Self::Corrupt(_) | Self::Newer(_) | Self::Blob(_) => true,
            Self::Together(error) => error.is_unreadable(),
            Self::Dynamo { .. } | Self::Unprocessed { .. } | Self::Conflict(_) | Self::Lost => false,
        }
    }
}

/// What one of several callers is told of a call that failed: what cannot be read as if he had asked alone.
fn told(error: std::sync::Arc<StoreError>) -> StoreError {
    match &*error {
        StoreError::Corrupt(corrupt) => StoreError::Corrupt(corrupt.clone()),
        StoreError::Newer(newer) => StoreError::Newer(*newer),
        _ => StoreError::Together(error),
    }
}

/// Keeps an SDK error with its operation's name.
fn dynamo<E, R>(operation: &'static str) -> impl FnOnce(SdkError<E, R>) -> StoreError
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
    R: std::fmt::Debug + Send + Sync + 'static,
{
    move |error| StoreError::Dynamo {
        operation,
        code: error.code().map(str::to_owned),
        source: aws_sdk_dynamodb::error::DisplayErrorContext(error).to_string().into(),
    }
}

/// True if a put was refused by its condition.
fn is_refused<R>(error: &SdkError<PutItemError, R>) -> bool {
    error
        .as_service_error()
        .is_some_and(PutItemError::is_conditional_check_failed_exception)
}

/// Names of the two tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tables {
    /// Tenants, endpoints, keys.
    pub config: String,
    /// Events, deliveries, attempts, replays.
    pub events: String,
}

/// Both tables. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    client: Client,
    tables: Tables,
    rows: Rows,
    versions: Versions,
}

impl Store {
    /// A store on two existing tables.
    #[must_use]
    pub fn new(client: Client, tables: Tables) -> Self {
        Self {
            rows: together::rows(client.clone(), tables.events.clone()),
            versions: together::versions(client.clone(), tables.config.clone()),
            client,
            tables,
        }
    }

    async fn get(&self, table: &str, key: &Key, consistent: bool) -> Result<Option<Item>, StoreError> {
        get_from(&self.client, table, key, consistent).await
    }

    async fn put(&self, table: &str, item: Item) -> Result<(), StoreError> {
        put_to(&self.client, table, item).await
    }

    /// All items of a query, page by page, until `limit` items are there.
    async fn query_all(&self, query: QueryFluentBuilder, limit: usize) -> Result<Vec<Item>, StoreError> {
        let items = self.query_unchecked(query, limit).await?;
        Ok(items
            .into_iter()
            .map(|item| Item::stored(item.0))
            .collect::<Result<_, _>>()?)
    }

    /// As [`Store::query_all`], of whatever form the items are.
    async fn query_unchecked(&self, query: QueryFluentBuilder, limit: usize) -> Result<Vec<Item>, StoreError> {
        let mut items = Vec::new();
        let mut start: Option<Attributes> = None;
        loop {
            let page = query
                .clone()
                .set_exclusive_start_key(start)
                .send()
                .boxed()
                .await
                .map_err(dynamo("Query"))?;
            items.extend(page.items.unwrap_or_default().into_iter().map(Item));
            start = page.last_evaluated_key;
            if start.is_none() || items.len() >= limit {
                items.truncate(limit);
                return Ok(items);
            }
        }
    }

    /// A query of one partition, with a range of sort keys: from `from` (inclusive) to `to` (inclusive).
    fn partition(&self, table: &str, pk: &str, from: &str, to: &str) -> QueryFluentBuilder {
        self.client
            .query()
            .table_name(table)
            .key_condition_expression("pk = :pk AND sk BETWEEN :from AND :to")
            .expression_attribute_values(":pk", AttributeValue::S(pk.to_owned()))
            .expression_attribute_values(":from", AttributeValue::S(from.to_owned()))
            .expression_attribute_values(":to", AttributeValue::S(to.to_owned()))
    }

    async fn write_batches(&self, table: &str, mut requests: Vec<WriteRequest>) -> Result<(), StoreError> {
        let mut tries = 0;
        while !requests.is_empty() {
            let rest = requests.split_off(requests.len().min(BATCH_WRITE));
            let sent = requests.len();
            let call = self
                .client
                .batch_write_item()
                .request_items(table, std::mem::take(&mut requests));
            let answer = call.send().boxed().await.map_err(dynamo("BatchWriteItem"))?;
            let left: Vec<WriteRequest> = answer
                .unprocessed_items
                .unwrap_or_default()
                .into_values()
                .flatten()
                .collect();
            tries = if left.len() < sent { 0 } else { tries + 1 };
            if tries == UNPROCESSED_TRIES {
                return Err(StoreError::Unprocessed {
                    operation: "BatchWriteItem",
                });
            }
            back_off(tries + u32::from(!left.is_empty())).await;
            requests = left;
            requests.extend(rest);
        }
        Ok(())
    }

    /// Puts items that nobody else writes at the same time, in batches.
    async fn put_all(&self, table: &str, items: impl IntoIterator<Item = Item>) -> Result<(), StoreError> {
        let put = |item: Item| PutRequest::builder().set_item(Some(item.0)).build().ok();
        let requests = items
            .into_iter()
            .filter_map(put)
            .map(|put| WriteRequest::builder().put_request(put).build());
        self.write_batches(table, requests.collect()).await
    }

    /// Deletes items, in batches.
    async fn delete_all(&self, table: &str, keys: &[Key]) -> Result<(), StoreError> {
        let delete = |key: &Key| DeleteRequest::builder().set_key(Some(Item::from(key).0)).build().ok();
        let requests = keys
            .iter()
            .filter_map(delete)
            .map(|del| WriteRequest::builder().delete_request(del).build());
        self.write_batches(table, requests.collect()).await
    }

    /// The items of `keys` that exist, in no order. The keys must be distinct.
    async fn get_all(&self, table: &str, keys: &[Key], consistent: bool) -> Result<Vec<Item>, StoreError> {
        let items = self.get_all_unchecked(table, keys, consistent).await?;
        Ok(items
            .into_iter()
            .map(|item| Item::stored(item.0))
            .collect::<Result<_, _>>()?)
    }

    /// As [`Store::get_all`], of whatever form the items are.
    async fn get_all_unchecked(&self, table: &str, keys: &[Key], consistent: bool) -> Result<Vec<Item>, StoreError> {
        let mut found = Vec::new();
        let mut wanted: Vec<Attributes> = keys.iter().map(|key| Item::from(key).0).collect();
        let mut tries = 0;
        while !wanted.is_empty() {
            let rest = wanted.split_off(wanted.len().min(BATCH_GET));
            let keys = KeysAndAttributes::builder()
                .set_keys(Some(wanted))
                .consistent_read(consistent)
                .build();
            let Ok(keys) = keys else { return Ok(found) };
            let call = self.client.batch_get_item().request_items(table, keys);
            let answer = call.send().boxed().await.map_err(dynamo("BatchGetItem"))?;
            for item in answer.responses.unwrap_or_default().into_values().flatten() {
                found.push(Item(item));
            }
            wanted = answer
                .unprocessed_keys
                .unwrap_or_default()
                .into_values()
                .flat_map(|left| left.keys)
                .collect();
            tries = if wanted.is_empty() { 0 } else { tries + 1 };
            if tries == UNPROCESSED_TRIES {
                return Err(StoreError::Unprocessed {
                    operation: "BatchGetItem",
                });
            }
            back_off(tries).await;
            wanted.extend(rest);
        }
        Ok(found)
    }
}

async fn get_from(client: &Client, table: &str, key: &Key, consistent: bool) -> Result<Option<Item>, StoreError> {
    let request = client.get_item().table_name(table).consistent_read(consistent);
    let answer = request
        .set_key(Some(Item::from(key).0))
        .send()
        .boxed()
        .await
        .map_err(dynamo("GetItem"))?;
    Ok(answer.item.map(Item::stored).transpose()?)
}

async fn put_to(client: &Client, table: &str, item: Item) -> Result<(), StoreError> {
    let request = client.put_item().table_name(table).set_item(Some(item.0));
    request.send().boxed().await.map_err(dynamo("PutItem"))?;
    Ok(())
}

/// Waits before a batch is sent again, longer each time: what AWS asks of whoever gets unprocessed items back.
async fn back_off(tries: u32) {
    if tries > 0 {
        tokio::time::sleep(Duration::from_millis(25 << tries)).await;
    }
}

/// A string attribute value.
fn s(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

/// A number attribute value.
fn n(number: i64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}
