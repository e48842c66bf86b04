//! Time to live: deletes items whose TTL attribute has passed, as DynamoDB does in the background. Never reads a
//! clock: the caller says what time it is, and calls again.
//!
//! The engine has a sweep of its own; it reads the system's clock for any database on disk, and its deletes pass by the
//! threads that make writes durable. This one uses the API, so it is fair to other callers and its deletes are on disk.

use std::collections::HashMap;
use std::sync::PoisonError;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::future::try_join_all;
use redial_domain::Timestamp;

use super::Dynamo;

/// Items read at a time, so that other callers wait for one page, not for a whole table.
const PAGE_ITEMS: i32 = 200;

/// Items deleted at once; they share a sync.
const DELETES_AT_ONCE: usize = 25;

/// DynamoDB leaves items alone whose TTL lies further back: a mistake in the data, not an age.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/howitworks-ttl.html>
const OLDEST_TTL_S: i64 = 5 * 365 * 24 * 60 * 60;

/// True for an item whose TTL attribute is a number of seconds in the past.
const EXPIRED: &str = "#ttl > :oldest AND #ttl < :now";

/// A call that the sweep makes failed. What it had deleted before stays deleted.
#[derive(Debug, thiserror::Error)]
#[error("expired items cannot be deleted")]
pub struct SweepError(#[source] Box<aws_sdk_dynamodb::Error>);

impl<E: Into<aws_sdk_dynamodb::Error>> From<E> for SweepError {
    fn from(error: E) -> Self {
        Self(Box::new(error.into()))
    }
}

/// A table whose items expire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Expiring {
    pub(super) table: String,
    pub(super) ttl_attribute: String,
    pub(super) key_attributes: Vec<String>,
}

impl Dynamo {
    /// Deletes every item that had expired at `now`, in all tables that [`Dynamo::ensure`] was given with a TTL
    /// attribute, and says how many. An item whose TTL is moved while the sweep runs stays.
    ///
    /// # Errors
    /// [`SweepError`] if the storage fails.
    pub async fn sweep_ttl(&self, now: Timestamp) -> Result<u64, SweepError> {
        let client = self.client();
        // Remembered, because DescribeTable counts every row of the table.
        let tables = self.0.expiring.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut deleted = 0;
        for expiring in &tables {
            deleted += sweep_table(&client, expiring, now).await?;
        }
        Ok(deleted)
    }

    /// Adds a table to those that [`Dynamo::sweep_ttl`] goes through.
    pub(super) fn expires(&self, expiring: Expiring) {
        let mut tables = self.0.expiring.lock().unwrap_or_else(PoisonError::into_inner);
        if !tables.contains(&expiring) {
            tables.push(expiring);
        }
    }
}

async fn sweep_table(client: &Client, expiring: &Expiring, now: Timestamp) -> Result<u64, SweepError> {
    let names = (0..)
        .map(|i| format!("#k{i}"))
        .zip(expiring.key_attributes.iter().cloned());
    let names: Vec<(String, String)> = names.collect();
    let keys = names
        .iter()
        .map(|(placeholder, _)| placeholder.as_str())
        .collect::<Vec<_>>()
        .join(",");
    let mut names: HashMap<String, String> = names.into_iter().collect();
    names.insert("#ttl".to_owned(), expiring.ttl_attribute.clone());
    let mut pages = client
        .scan()
        .table_name(&expiring.table)
        .limit(PAGE_ITEMS)
        .filter_expression(EXPIRED)
        .projection_expression(keys)
        .set_expression_attribute_names(Some(names))
        .set_expression_attribute_values(Some(bounds(now)))
        .into_paginator()
        .send();
    let mut deleted = 0;
    while let Some(page) = pages.next().await {
        let items = page?.items.unwrap_or_default();
        for chunk in items.chunks(DELETES_AT_ONCE) {
            let results = try_join_all(chunk.iter().map(|key| delete(client, expiring, key.clone(), now))).await?;
            deleted += results.into_iter().map(u64::from).sum::<u64>();
        }
    }
    Ok(deleted)
}

/// Deletes the item if it is still expired; says whether it did.
async fn delete(
    client: &Client,
    expiring: &Expiring,
    key: HashMap<String, AttributeValue>,
    now: Timestamp,
) -> Result<bool, SweepError> {
    let outcome = client
        .delete_item()
        .table_name(&expiring.table)
        .set_key(Some(key))
        .condition_expression(EXPIRED)
        .expression_attribute_names("#ttl", &expiring.ttl_attribute)
        .set_expression_attribute_values(Some(bounds(now)))
        .send()
        .await;
    match outcome {
        Ok(_) => Ok(true),
        Err(error)
            if error
                .as_service_error()
                .is_some_and(DeleteItemError::is_conditional_check_failed_exception) =>
        {
            Ok(false)
        }
        Err(error) => Err(error.into()),
    }
}

fn bounds(now: Timestamp) -> HashMap<String, AttributeValue> {
    let seconds = |at: i64| AttributeValue::N(at.to_string());
    HashMap::from([
        (":now".to_owned(), seconds(now.as_secs())),
        (":oldest".to_owned(), seconds(now.as_secs() - OLDEST_TTL_S)),
    ])
}
