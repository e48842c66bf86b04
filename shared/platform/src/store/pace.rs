//! What is remembered of an endpoint's rate limit, in the table `events`: the end of its line and its pace, an item each in a
//! partition of its own, written only for endpoints that have a limit (docs/DATA.md). Every write is conditional and reads
//! nothing before; whoever loses a race tries the other way.

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::ReturnValue;
use futures_util::FutureExt as _;
use redial_domain::{EndpointId, TenantId, Timestamp};

use super::deliveries::{DeliveryRecord, Recorded};
use super::{Store, StoreError, dynamo, n};
use crate::item::Item;
use crate::keys::{self, Key};
use crate::pace::{PATIENCE_MS, Pace, SKEW_MS, Slots};

/// Times that a write is tried against others.
const TRIES: usize = 8;
/// Seconds after its last write for which an item is kept. It says nothing once the moment in it has passed.
const KEPT_S: i64 = 7 * 86_400;
/// The end of the line, in microseconds.
const LINE_END: &str = "le";
/// The last moment that was granted, in microseconds.
const GRANTED: &str = "g";

impl Store {
    /// Reserves `count` slots at the end of an endpoint's line. One write, two if the line is not empty. A line that was begun
    /// at another rate, for an older version of the endpoint, begins anew: its old slots stay with whoever has
    /// them, and the pace keeps both apart.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails, or others were faster again and again.
    pub async fn reserve(
        &self,
        tenant: &TenantId,
        endpoint: &EndpointId,
        pace: Pace,
        count: usize,
        now: Timestamp,
    ) -> Result<Slots, StoreError> {
        let key = keys::line(tenant, endpoint);
        let (now_us, slots_us) = (now.as_millis() * 1000, pace.slots_us(count));
        let rate = n(pace.per_second().into());
        let version = n(i64::try_from(pace.version()).unwrap_or(i64::MAX));
        for _ in 0..TRIES {
            let begin = self
                .timed(&key, "SET le = :end, r = :r, v = :v, #ttl = :ttl", now)
                .condition_expression("attribute_not_exists(le) OR le < :now OR (r <> :r AND v < :v)")
                .expression_attribute_values(":end", n(now_us + slots_us))
                .expression_attribute_values(":now", n(now_us))
                .expression_attribute_values(":r", rate.clone())
                .expression_attribute_values(":v", version.clone());
            if written(begin).await?.is_some() {
                return Ok(Slots::new(now_us, pace));
            }
            let extend = self
                .timed(&key, "SET le = le + :slots, #ttl = :ttl", now)
                .condition_expression("le >= :now AND (r = :r OR v >= :v)")
                .expression_attribute_values(":slots", n(slots_us))
                .expression_attribute_values(":now", n(now_us))
                .expression_attribute_values(":r", rate.clone())
                .expression_attribute_values(":v", version.clone());
            if let Some(item) = written(extend).await? {
                let end_us = item.need(LINE_END, item.get_number(LINE_END))?;
                return Ok(Slots::new(end_us - slots_us, pace));
            }
        }
        Err(StoreError::Conflict("the line of an endpoint"))
    }

    /// The slot that the next reservation would get: the end of the line, or now.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails.
    pub async fn next_slot(
        &self,
        tenant: &TenantId,
        endpoint: &EndpointId,
        pace: Pace,
        now: Timestamp,
    ) -> Result<Timestamp, StoreError> {
        let item = self
            .get(&self.tables.events, &keys::line(tenant, endpoint), true)
            .await?;
        let line = item.filter(|item| !is_of_an_older_rate(item, pace));
        let end_us = line.and_then(|item| item.get_number(LINE_END));
        Ok(end_us.map_or(now, |end_us| Timestamp::from_millis(end_us / 1000).max(now)))
    }

    /// The moment at which one request to the endpoint may leave, at least the limit's interval after the one before, and no
    /// later than [`PATIENCE_MS`] from `now`; `None` if that would be too early. `busy` says whether others are likely to
    /// wait: then one write is enough, otherwise it is one for an endpoint at rest. What was granted and is not used is lost.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails.
    pub async fn grant(
        &self,
        tenant: &TenantId,
        endpoint: &EndpointId,
        pace: Pace,
        now: Timestamp,
        busy: bool,
    ) -> Result<Option<Timestamp>, StoreError> {
        let key = keys::pace(tenant, endpoint);
        let (now_us, interval_us) = (now.as_millis() * 1000, pace.interval_us());
        let rested_us = now_us - interval_us;
        let last_us = now_us + PATIENCE_MS * 1000 - interval_us;
        let wrong_us = now_us + SKEW_MS * 1000;
        // In this order the last one to be refused tells that the moment would be too late: moments only grow.
        let follows: &[bool] = if busy { &[true, false, true] } else { &[false, true] };
        for follow in follows {
            let update = if *follow {
                self.timed(&key, "SET g = g + :interval, #ttl = :ttl", now)
                    .condition_expression("g > :rested AND g <= :last")
                    .expression_attribute_values(":interval", n(interval_us))
                    .expression_attribute_values(":rested", n(rested_us))
                    .expression_attribute_values(":last", n(last_us))
            } else {
                self.timed(&key, "SET g = :now, #ttl = :ttl", now)
                    .condition_expression("attribute_not_exists(g) OR g <= :rested OR g > :wrong")
                    .expression_attribute_values(":now", n(now_us))
                    .expression_attribute_values(":rested", n(rested_us))
                    .expression_attribute_values(":wrong", n(wrong_us))
            };
            if let Some(item) = written(update).await? {
                let granted_us = item.need(GRANTED, item.get_number(GRANTED))?;
                // Never a moment too early.
                return Ok(Some(Timestamp::from_millis((granted_us + 999) / 1000)));
            }
        }
        Ok(None)
    }

    /// Records that a delivery waits for its endpoint's limit, unless the record is final, has counted more attempts, or is
    /// claimed for one at `now` by somebody else. `own` is until when the caller has claimed it, if it has
    /// ([`Store::claim`]): that claim is lifted.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails.
    pub async fn record_wait(
        &self,
        record: &DeliveryRecord,
        now: Timestamp,
        own: Option<Timestamp>,
    ) -> Result<Recorded, StoreError> {
        let condition = "n <= :n AND (attribute_not_exists(cl) OR cl < :now OR cl = :own)";
        let values = [
            (":n", n(record.attempts.into())),
            (":now", n(now.as_millis())),
            // No claim ends at the beginning of time.
            (":own", n(own.unwrap_or_default().as_millis())),
        ];
        self.record_unless_final(record, condition, &values).await
    }

    fn timed(&self, key: &Key, expression: &str, now: Timestamp) -> UpdateItemFluentBuilder {
        self.client
            .update_item()
            .table_name(&self.tables.events)
            .set_key(Some(Item::from(key).0))
            .update_expression(expression)
            .expression_attribute_names("#ttl", "ttl")
            .expression_attribute_values(":ttl", n(now.as_secs() + KEPT_S))
            .return_values(ReturnValue::UpdatedNew)
    }
}

/// True if the line was begun at another rate, for an older version of the endpoint.
fn is_of_an_older_rate(line: &Item, pace: Pace) -> bool {
    let version = line.get_number("v").map_or(0, i64::unsigned_abs);
    line.get_number("r") != Some(pace.per_second().into()) && version < pace.version()
}

/// The attributes that an update set; `None` if its condition was not met.
async fn written(update: UpdateItemFluentBuilder) -> Result<Option<Item>, StoreError> {
    match update.send().boxed().await {
        Ok(done) => Ok(Some(Item(done.attributes.unwrap_or_default()))),
        Err(error) if is_refused(&error) => Ok(None),
        Err(error) => Err(dynamo("UpdateItem")(error)),
    }
}

fn is_refused<R>(error: &SdkError<UpdateItemError, R>) -> bool {
    let error = error.as_service_error();
    error.is_some_and(UpdateItemError::is_conditional_check_failed_exception)
}
