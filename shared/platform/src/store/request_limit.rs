//! How many requests of the API a key has made, in the table `events`: one item for each key that asks for much and each few
//! seconds, in which execution environments count beforehand what they are about to admit. Written once for many requests, never
//! read. Must never hold what was asked, nor the name of a tenant.

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use futures_util::FutureExt as _;
use redial_domain::Timestamp;

use super::{Store, StoreError, dynamo, n};
use crate::item::Item;
use crate::keys;

/// How long requests are counted together, in milliseconds.
pub const WINDOW_MS: i64 = 4_000;
/// Requests of a key in that time: 500 a second. docs/LIMITS.md.
pub const MAX_IN_WINDOW: u32 = 2_000;
/// Seconds for which an item is kept. It says nothing once its time is over.
const KEPT_S: i64 = 3_600;

/// When the requests that are counted now begin to count anew.
#[must_use]
pub const fn window_ends(now: Timestamp) -> Timestamp {
    Timestamp::from_millis((window(now) + 1) * WINDOW_MS)
}

const fn window(now: Timestamp) -> i64 {
    now.as_millis().div_euclid(WINDOW_MS)
}

impl Store {
    /// Counts `count` requests of `asker`, whoever that is, if there may be so many more; false if not. One write.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails.
    pub async fn count_requests(&self, asker: &str, count: u32, now: Timestamp) -> Result<bool, StoreError> {
        let Some(most) = MAX_IN_WINDOW.checked_sub(count) else {
            return Ok(false);
        };
        let update = self
            .client
            .update_item()
            .table_name(&self.tables.events)
            .set_key(Some(Item::from(&keys::asked(asker, window(now))).0))
            .update_expression("SET #ttl = :ttl ADD rq :count")
            .condition_expression("attribute_not_exists(rq) OR rq <= :most")
            .expression_attribute_names("#ttl", "ttl")
            .expression_attribute_values(":ttl", n(now.as_secs() + KEPT_S))
            .expression_attribute_values(":count", n(count.into()))
            .expression_attribute_values(":most", n(most.into()));
        match update.send().boxed().await {
            Ok(_) => Ok(true),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(UpdateItemError::is_conditional_check_failed_exception) =>
            {
                Ok(false)
            }
            Err(error) => Err(dynamo("UpdateItem")(error)),
        }
    }
}
