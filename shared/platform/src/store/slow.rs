//! What execution environments tell of attempts that took long: counted in the item that `health` reads, within a window of
//! its own. Written only where some were slow. Decides nothing: the rules are `redial_domain::slow`'s.

use redial_domain::hold::WINDOW_MS;
use redial_domain::slow::Attempts;
use redial_domain::{EndpointId, TenantId, Timestamp};

use super::health::written;
use super::{Store, StoreError, n};
use crate::item::Item;

/// Times that it is told against others.
const TRIES: usize = 5;

impl Store {
    /// Adds the attempts that an environment saw, slow ones among them; answers those of all within the window. `None`: the
    /// endpoint is on hold, which keeps its requests away already. One write, two if a window begins anew.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails, or others were faster again and again.
    pub async fn observe_slow(
        &self,
        tenant: &TenantId,
        endpoint: &EndpointId,
        seen: Attempts,
        now: Timestamp,
    ) -> Result<Option<Attempts>, StoreError> {
        for _ in 0..TRIES {
            for goes_on in [true, false] {
                let (update, condition) = if goes_on {
                    ("SET #ttl = :ttl ADD sa :sa, sn :sn", "sb > :begin")
                } else {
                    (
                        "SET #ttl = :ttl, sb = :now, sa = :sa, sn = :sn",
                        "attribute_not_exists(sb) OR sb <= :begin",
                    )
                };
                let mut update = self
                    .health_update(tenant, endpoint, update, now)
                    .condition_expression(condition)
                    .expression_attribute_values(":begin", n(now.as_millis() - WINDOW_MS))
                    .expression_attribute_values(":sa", n(seen.all.into()))
                    .expression_attribute_values(":sn", n(seen.slow.into()));
                if !goes_on {
                    update = update.expression_attribute_values(":now", n(now.as_millis()));
                }
                if let Some(item) = written(update).await? {
                    return Ok(item.get_moment("op").is_none().then(|| counted(&item)));
                }
            }
        }
        Err(StoreError::Conflict("the health of an endpoint"))
    }
}

fn counted(item: &Item) -> Attempts {
    let count = |name: &str| item.get_number(name).and_then(|n| u32::try_from(n).ok()).unwrap_or(0);
    Attempts {
        all: count("sa"),
        slow: count("sn"),
    }
}
