//! What is held for an endpoint without a time of its own, as the sweeper asks: which delivery is the next probe, and is
//! anything left to be let go. Every question reads a bounded number of rows. Writes nothing but the health of an endpoint
//! whose hold is over.

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use futures_util::FutureExt as _;
use redial_domain::delivery::DeliveryState;
use redial_domain::endpoint::Endpoint;
use redial_domain::id::encode_time;
use redial_domain::{EndpointId, TenantId, Timestamp};

use super::deliveries::{DeliveryRecord, read_delivery};
use super::lists::Order;
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
    /// The first of those whose time has come.
    Ready(Box<DeliveryRecord>),
}

/// Whether anything waits to be let go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// Nothing.
    Nothing,
    /// Something, or so many rows of such an age that it is not known.
    Something,
    /// Nothing but what may be among more kept back than a question looks at.
    Unknown,
}

/// What a question is about of all that is held for an endpoint and has no time of its own.
#[derive(Debug, Clone, Copy)]
pub struct Backlog<'a> {
    tenant: &'a TenantId,
    endpoint: &'a EndpointId,
    /// First moment of acceptance.
    since: Timestamp,
    /// Of what was accepted before, that which is held since this moment.
    held_since: Option<Timestamp>,
}

impl<'a> From<&'a Endpoint> for Backlog<'a> {
    /// All but what somebody chose to keep back.
    fn from(endpoint: &'a Endpoint) -> Self {
        Self {
            tenant: &endpoint.tenant,
            endpoint: &endpoint.id,
            since: endpoint.drained_since(),
            held_since: endpoint.drains_held_since(),
        }
    }
}

impl<'a> Backlog<'a> {
    /// All of it.
    #[must_use]
    pub const fn whole(tenant: &'a TenantId, endpoint: &'a EndpointId) -> Self {
        Self {
            tenant,
            endpoint,
            since: Timestamp::from_millis(0),
            held_since: None,
        }
    }
}

impl Store {
    /// The oldest or the newest delivery of a backlog whose own time has come. One that was accepted before what is kept back
    /// comes last, of these the newest.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails. Rows that cannot be read are passed by.
    pub async fn first_held(&self, backlog: Backlog<'_>, now: Timestamp, order: Order) -> Result<Held, StoreError> {
        let mut earliest: Option<Timestamp> = None;
        let young = self.held_without_time(&backlog, now);
        let young = young.scan_index_forward(order == Order::OldestFirst);
        for query in [Some(young), self.held_again(&backlog, now)].into_iter().flatten() {
            let mut start = None;
            for _ in 0..STEPS {
                let page = query.clone().set_exclusive_start_key(start).send().boxed().await;
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
        }
        Ok(earliest.map_or(Held::Nothing, Held::Later))
    }

    /// Whether a backlog has anything.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails.
    pub async fn is_any_held(&self, backlog: Backlog<'_>, now: Timestamp) -> Result<Left, StoreError> {
        let young = has_any(self.held_without_time(&backlog, now)).await?;
        let Some(again) = self.held_again(&backlog, now).filter(|_| young == Some(false)) else {
            return Ok(if young == Some(false) {
                Left::Nothing
            } else {
                Left::Something
            });
        };
        Ok(match has_any(again).await? {
            Some(true) => Left::Something,
            Some(false) => Left::Nothing,
            None => Left::Unknown,
        })
    }

    fn held_without_time(&self, backlog: &Backlog<'_>, now: Timestamp) -> QueryFluentBuilder {
        self.held_within(backlog, [&encode_time(backlog.since), "~"], now)
            .filter_expression("attribute_not_exists(qt) AND #ttl > :now")
    }

    /// What was accepted before, newest first: what is held since the rest of it was chosen to be kept back is a retry, and
    /// few of these are old.
    fn held_again(&self, backlog: &Backlog<'_>, now: Timestamp) -> Option<QueryFluentBuilder> {
        let held_since = backlog.held_since?;
        let query = self.held_within(backlog, [" ", &encode_time(backlog.since)], now);
        let query = query.filter_expression("attribute_not_exists(qt) AND #ttl > :now AND ha >= :held");
        let query = query.expression_attribute_values(":held", n(held_since.as_millis()));
        Some(query.scan_index_forward(false))
    }

    fn held_within(&self, backlog: &Backlog<'_>, [from, to]: [&str; 2], now: Timestamp) -> QueryFluentBuilder {
        let pk = keys::state_partition(backlog.tenant, backlog.endpoint, DeliveryState::Held);
        self.partition(&self.tables.events, &pk, from, to)
            .index_name(keys::BY_STATE)
            .key_condition_expression("w = :pk AND sk BETWEEN :from AND :to")
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
        match update.send().boxed().await {
            Ok(_) => Ok(true),
            Err(error) if is_refused(&error) => Ok(false),
            Err(error) => Err(dynamo("UpdateItem")(error)),
        }
    }
}

/// Whether a query finds anything; `None` if it is not through after so many rows.
async fn has_any(query: QueryFluentBuilder) -> Result<Option<bool>, StoreError> {
    let mut start = None;
    for _ in 0..STEPS {
        let page = query.clone().set_exclusive_start_key(start).send().boxed().await;
        let page = page.map_err(dynamo("Query"))?;
        if page.count > 0 {
            return Ok(Some(true));
        }
        start = page.last_evaluated_key;
        if start.is_none() {
            return Ok(Some(false));
        }
    }
    Ok(None)
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
