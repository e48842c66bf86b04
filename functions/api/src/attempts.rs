//! The attempts of deliveries: the failed ones have rows of their own, the last one is in the delivery's row. Reads only
//! what it must: most deliveries succeed at once and have no further row.

use futures_util::{StreamExt as _, TryStreamExt as _};
use redial_domain::TenantId;
use redial_platform::store::StoreError;
use redial_platform::store::deliveries::{AttemptRecord, DeliveryRecord};

use crate::Api;
use crate::views::{DeliveryView, Responses};

/// Queries for attempts under way at once.
const CONCURRENT_QUERIES: usize = 8;

/// All attempts of a delivery, by number: `rows` are the failed ones that were read.
pub(crate) fn complete(record: &DeliveryRecord, mut rows: Vec<AttemptRecord>) -> Vec<AttemptRecord> {
    let last = record.last.iter();
    let unread: Vec<AttemptRecord> = last
        .filter(|last| rows.iter().all(|row| row.n != last.n))
        .cloned()
        .collect();
    rows.extend(unread);
    rows.sort_by_key(|attempt| attempt.n);
    rows
}

/// True if the delivery's own row does not say all about its attempts.
fn has_rows(record: &DeliveryRecord, responses: Responses) -> bool {
    let failed = |last: &AttemptRecord| last.code != "ok";
    let last_is_cut = record.last.as_ref().is_some_and(failed) && responses != Responses::Hidden;
    record.attempts > 1 || last_is_cut
}

impl Api {
    /// Deliveries as they are shown, each with all its attempts.
    ///
    /// # Errors
    /// [`StoreError`] if the store fails.
    pub(crate) async fn with_attempts(
        &self,
        tenant: &TenantId,
        records: Vec<DeliveryRecord>,
        mut responses: Responses,
    ) -> Result<Vec<DeliveryView>, StoreError> {
        let mut reads = Vec::with_capacity(records.len());
        for record in records {
            reads.push(self.read_attempts(tenant, record, responses));
        }
        let read: Vec<(DeliveryRecord, Vec<AttemptRecord>)> = futures_util::stream::iter(reads)
            .buffered(CONCURRENT_QUERIES)
            .try_collect()
            .await?;
        let view = |(record, attempts): &(_, Vec<_>)| DeliveryView::new(record, attempts, &mut responses);
        Ok(read.iter().map(view).collect())
    }

    async fn read_attempts(
        &self,
        tenant: &TenantId,
        record: DeliveryRecord,
        responses: Responses,
    ) -> Result<(DeliveryRecord, Vec<AttemptRecord>), StoreError> {
        let rows = if has_rows(&record, responses) {
            self.store.failed_attempts_of(tenant, &record.id).await?
        } else {
            Vec::new()
        };
        let attempts = complete(&record, rows);
        Ok((record, attempts))
    }
}
