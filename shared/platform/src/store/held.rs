//! What is held for an endpoint without a time of its own, as the sweeper asks: which delivery is the next probe, and is
//! anything left to be let go. Every question reads a bounded number of rows. Writes nothing but the health of an endpoint
//! whose hold is over.

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use redial_domain::delivery::DeliveryState;
use redial_domain::id::encode_time;
use redial_domain::{EndpointId, TenantId, Timestamp};

use super::deliveries::{DeliveryRecord, read_delivery};
use super::{Store, StoreError, dynamo, n};
use crate::item::{Attributes, Item};
use crate::keys;

/// Rows that one query looks at.
const STEP: i32 = 200;
/// Queries of one question: 4,000 rows. Those before the first that may go have been probes, or failed just before the
/// endpoint was put on hold: at most a few hundred a day.
const STEPS: usize = 20;

/// What is held for an endpoint and waits for somebody to let it go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Held {
    /// Nothing.
    Nothing,
    /// Something, whose own time has not come; the earliest such moment that was seen.
    Later(Timestamp),
    /// The oldest whose time has come.
    Ready(Box<DeliveryRecord>),
}

impl Store {
    /// The oldest delivery that is held for an endpoint, accepted at `since` or after, whose own time has come. What has a
    /// `due_at` goes by itself and is not looked at.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails. Rows that cannot be read are passed by.
    pub async fn oldest_held(
        &self,
        tenant: &TenantId,
        endpoint: &EndpointId,
        since: Timestamp,
        now: Timestamp,
    ) -> Result<Held, StoreError> {
        let mut earliest: Option<Timestamp> = None;
        let mut start = None;
        for _ in 0..STEPS {
            let query = self.held_without_time(tenant, endpoint, since, now);
            let page = query.set_exclusive_start_key(start).send().await;
            let page = page.map_err(dynamo("Query"))?;
            for record in read_all(page.items.unwrap_or_default()) {
                match record.next_at.filter(|next_at| *next_at > now) {
                    None => return Ok(Held::Ready(Box::new(record))),
                    Some(next_at) => earliest = Some(earliest.map_or(next_at, |earliest| earliest.min(next_at))),
                }
            }
            start = page.last_evaluated_key;
            if start.is_none() {
                break;
            }
        }
        Ok(earliest.map_or(Held::Nothing, Held::Later))
    }

    /// True if anything is held for an endpoint that was accepted at `since` or after and does not go by itself; also if
    /// there are too many rows to be sure.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails.
    pub async fn is_any_held(
        &self,
        tenant: &TenantId,
        endpoint: &EndpointId,
        since: Timestamp,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut start = None;
        for _ in 0..STEPS {
            let query = self.held_without_time(tenant, endpoint, since, now);
            let page = query.set_exclusive_start_key(start).send().await;
            let page = page.map_err(dynamo("Query"))?;
            if page.count > 0 {
                return Ok(true);
            }
            start = page.last_evaluated_key;
            if start.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn held_without_time(
        &self,
        tenant: &TenantId,
        endpoint: &EndpointId,
        since: Timestamp,
        now: Timestamp,
    ) -> QueryFluentBuilder {
        let pk = keys::state_partition(tenant, endpoint, DeliveryState::Held);
        self.partition(&self.tables.events, &pk, &encode_time(since), "~")
            .index_name(keys::BY_STATE)
            .key_condition_expression("w = :pk AND sk BETWEEN :from AND :to")
            .filter_expression("attribute_not_exists(qt) AND #ttl > :now")
            .expression_attribute_names("#ttl", "ttl")
            .expression_attribute_values(":now", n(now.as_secs()))
            .limit(STEP)
    }

    /// Forgets how an endpoint answered, and takes it out of the list of what is due, if nobody has said since `due_at` was
    /// read when to look at it: what another one has begun anew meanwhile stays.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails.
    pub async fn rest_health(
        &self,
        tenant: &TenantId,
        endpoint: &EndpointId,
        due_at: Timestamp,
    ) -> Result<bool, StoreError> {
        let update = self
            .client
            .update_item()
            .table_name(&self.tables.events)
            .set_key(Some(Item::from(&keys::health(tenant, endpoint)).0))
            .update_expression("REMOVE f, fs, wb, wf, ws, op, #or, pb, dr, q, qt")
            .condition_expression("qt = :due")
            .expression_attribute_names("#or", "or")
            .expression_attribute_values(":due", n(due_at.as_millis()));
        match update.send().await {
            Ok(_) => Ok(true),
            Err(error) if is_refused(&error) => Ok(false),
            Err(error) => Err(dynamo("UpdateItem")(error)),
        }
    }
}

fn read_all(rows: Vec<Attributes>) -> impl Iterator<Item = DeliveryRecord> {
    rows.into_iter().filter_map(|row| {
        let item = Item::stored(row).ok()?;
        match read_delivery(&item) {
            Ok(record) => Some(record),
            Err(error) => {
                let key = item.key();
                tracing::error!(pk = key.pk, sk = key.sk, %error, "store.held_unreadable");
                None
            }
        }
    })
}

fn is_refused<R>(error: &SdkError<UpdateItemError, R>) -> bool {
    let error = error.as_service_error();
    error.is_some_and(UpdateItemError::is_conditional_check_failed_exception)
}
