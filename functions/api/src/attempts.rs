//! The attempts of deliveries: the failed ones have rows of their own, the last one is in the delivery's row. Reads only
//! what it must: most deliveries succeed at once and have no further row.

use futures_util::{StreamExt as _, TryStreamExt as _};
use redial_domain::TenantId;
use redial_platform::store::StoreError;
use redial_platform::store::deliveries::{AttemptRecord, DeliveryRecord};
use redial_platform::store::lookups::AttemptsQuestion;

use crate::Api;
use crate::views::{DeliveryView, Responses};

/// Failed attempts of a delivery that are shown: more than any policy makes.
const MAX_ROWS: usize = 100;
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
    /// Deliveries as they are shown, each with all its attempts, and how many of those cannot be read.
    ///
    /// # Errors
    /// [`StoreError`] if the store fails.
    pub(crate) async fn with_attempts(
        &self,
        tenant: &TenantId,
        records: Vec<DeliveryRecord>,
        mut responses: Responses,
    ) -> Result<(Vec<DeliveryView>, usize), StoreError> {
        let mut reads = Vec::with_capacity(records.len());
        for record in records {
            reads.push(self.read_attempts(tenant, record, responses));
        }
        let read: Vec<(DeliveryRecord, Vec<AttemptRecord>, usize)> = futures_util::stream::iter(reads)
            .buffered(CONCURRENT_QUERIES)
            .try_collect()
            .await?;
        let view = |(record, attempts, _): &(_, Vec<_>, _)| DeliveryView::new(record, attempts, &mut responses);
        let unreadable = read.iter().map(|(_, _, unreadable)| unreadable).sum();
        Ok((read.iter().map(view).collect(), unreadable))
    }

    async fn read_attempts(
        &self,
        tenant: &TenantId,
        record: DeliveryRecord,
        responses: Responses,
    ) -> Result<(DeliveryRecord, Vec<AttemptRecord>, usize), StoreError> {
        let (rows, unreadable) = if has_rows(&record, responses) {
            let question = AttemptsQuestion {
                event: &record.id.event,
                delivery: Some(&record.id),
                responses: responses != Responses::Hidden,
                limit: MAX_ROWS,
            };
            self.store.readable_attempts(tenant, question).await?
        } else {
            (Vec::new(), 0)
        };
        let attempts = complete(&record, rows.into_iter().map(|(_, attempt)| attempt).collect());
        Ok((record, attempts, unreadable))
    }
}
