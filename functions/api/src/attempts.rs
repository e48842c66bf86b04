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

/// All attempts of a delivery, by number: `rows` are the failed ones that were read. After a crash between an attempt's row and
/// the delivery's own, the next attempt has the same number: what the delivery says of its last one counts.
pub(crate) fn complete(record: &DeliveryRecord, mut rows: Vec<AttemptRecord>) -> Vec<AttemptRecord> {
    let overtaken = |row: &AttemptRecord| {
        record
            .last
            .as_ref()
            .is_some_and(|last| row.n == last.n && row.at != last.at)
    };
    rows.retain(|row| !overtaken(row));
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

#[cfg(test)]
mod tests {
    use redial_domain::delivery::DeliveryState;
    use redial_domain::{EndpointId, EventId, EventTypeName, Timestamp};
    use redial_platform::message::DeliveryMessage;

    use super::*;

    fn attempt(n: u32, at_ms: i64, code: &str) -> AttemptRecord {
        AttemptRecord {
            n,
            at: Timestamp::from_millis(at_ms),
            status: None,
            code: code.to_owned(),
            duration_ms: 1,
            next: String::new(),
            response: Vec::new(),
        }
    }

    #[test]
    fn what_a_delivery_says_of_its_last_attempt_counts_more_than_a_row_that_a_crash_left_under_its_number() {
        let message = DeliveryMessage {
            tenant: TenantId::parse("acme").unwrap(),
            event: EventId::parse("evt_1").unwrap(),
            accepted_at_ms: 0,
            shards: 1,
            endpoint: EndpointId::parse("ep_1").unwrap(),
            endpoint_version: 0,
            replay: None,
            check: false,
            content: None,
            traceparent: None,
            slot_ms: None,
            probe: false,
        };
        let event_type = EventTypeName::parse("call.ended").unwrap();
        let mut record = DeliveryRecord::new(&message, event_type, DeliveryState::Succeeded, Timestamp::default());
        record.attempts = 2;
        record.last = Some(attempt(2, 30, "ok"));
        let rows = || vec![attempt(1, 10, "http_error"), attempt(2, 20, "http_error")];
        let told = |attempts: Vec<AttemptRecord>| attempts.into_iter().map(|a| (a.n, a.code)).collect::<Vec<_>>();
        let both = [(1, "http_error".to_owned()), (2, "ok".to_owned())];
        assert_eq!(told(complete(&record, rows())), both);
        // The same attempt: its row, which has all of the answer.
        let mut whole = attempt(2, 30, "ok");
        whole.response = b"all of it".to_vec();
        let attempts = complete(&record, vec![attempt(1, 10, "http_error"), whole]);
        assert_eq!(attempts[1].response, b"all of it");
    }
}
