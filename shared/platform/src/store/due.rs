//! What is due, page by page. One row that cannot be read must never hide the others, whoever they belong to: it is told and
//! left as it is.

use futures_util::FutureExt as _;
use redial_domain::{EndpointId, ErasureId, ReplayId, TenantId, Timestamp};

use super::deliveries::{DeliveryRecord, read_delivery};
use super::{Store, StoreError, dynamo, n, s};
use crate::item::{Attributes, Item};
use crate::keys::{self, Key};

/// Something the sweeper must look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Due {
    /// A held delivery whose time has come, or one that was sent from the table and never recorded.
    Delivery(Box<DeliveryRecord>),
    /// A replay job whose worker stopped.
    Job(TenantId, ReplayId),
    /// An erasure whose worker stopped, or whose second look is due.
    Erasure(TenantId, ErasureId),
    /// An endpoint that is to be probed, or was just let go.
    Health(TenantId, EndpointId),
}

/// A place in a partition of `by_due`, after the last row that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct DueCursor(Attributes);

/// Some of what is due.
#[derive(Debug, Default, PartialEq)]
pub struct DuePage {
    /// What could be read, earliest first.
    pub items: Vec<Due>,
    /// Rows that were passed by, because they are damaged or of a newer form.
    pub unreadable: u64,
    /// Where the next page begins; `None`: this is the last.
    pub next: Option<DueCursor>,
}

impl Store {
    /// What is due at `now` in one partition of `by_due`, earliest first, from `after` on: at least `limit` items that can
    /// be read, fewer than twice as many, or all that there are. Rows that cannot be read are logged and counted.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails.
    pub async fn due(
        &self,
        partition: &str,
        now: Timestamp,
        limit: usize,
        after: Option<DueCursor>,
    ) -> Result<DuePage, StoreError> {
        let query = self
            .client
            .query()
            .table_name(&self.tables.events)
            .index_name(keys::BY_DUE)
            .key_condition_expression("q = :q AND qt <= :now")
            .expression_attribute_values(":q", s(partition))
            .expression_attribute_values(":now", n(now.as_millis()))
            .limit(i32::try_from(limit).unwrap_or(i32::MAX));
        let mut page = DuePage {
            next: after,
            ..DuePage::default()
        };
        loop {
            let start = page.next.take().map(|DueCursor(start)| start);
            let answer = query.clone().set_exclusive_start_key(start).send().boxed().await;
            let answer = answer.map_err(dynamo("Query"))?;
            for row in answer.items.unwrap_or_default() {
                page.take(row);
            }
            page.next = answer.last_evaluated_key.map(DueCursor);
            if page.next.is_none() || page.items.len() >= limit {
                return Ok(page);
            }
        }
    }
}

impl DuePage {
    fn take(&mut self, row: Attributes) {
        let Key { pk, sk } = Item(row.clone()).key();
        match read(row) {
            Ok(due) => self.items.push(due),
            Err(error) => {
                tracing::error!(pk, sk, %error, "store.due_unreadable");
                self.unreadable += 1;
            }
        }
    }
}

fn read(row: Attributes) -> Result<Due, StoreError> {
    let item = Item::stored(row)?;
    if let Some((tenant, erasure)) = keys::erasure_of(&item.key()) {
        return Ok(Due::Erasure(tenant, erasure));
    }
    if let Some((tenant, endpoint)) = keys::health_of(&item.key()) {
        return Ok(Due::Health(tenant, endpoint));
    }
    match keys::job_of(&item.key()) {
        Some((tenant, replay)) => Ok(Due::Job(tenant, replay)),
        None => Ok(Due::Delivery(Box::new(read_delivery(&item)?))),
    }
}
