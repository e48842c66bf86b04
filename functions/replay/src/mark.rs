//! Dead letters that a job has sent again are marked: they leave the list of dead letters, and stay dead. Marks nothing that
//! was not sent, or it would be in no list and with no receiver.

use std::cmp::Ordering;
use std::collections::HashSet;

use futures_util::stream::StreamExt as _;
use redial_domain::DeliveryId;
use redial_platform::store::StoreError;
use redial_platform::store::deliveries::DeliveryRecord;
use redial_platform::store::lists::After;
use redial_platform::store::replays::{ReplayJob, Unmarked};

use crate::find::Candidate;
use crate::send::{CONCURRENT_WRITES, PAGE, Turn, is_own, outgoing};
use crate::work::Replay;

impl Replay {
    /// Marks letters whose messages are sent.
    pub(crate) async fn mark(&self, job: &ReplayJob, letters: Vec<DeliveryRecord>) -> Result<(), StoreError> {
        let marks = letters.into_iter().map(|before| async move {
            let after = DeliveryRecord {
                redriven: Some(job.id.clone()),
                ..before.clone()
            };
            self.store.record_if_unchanged(&before, &after).await
        });
        let mut marks = futures_util::stream::iter(marks).buffer_unordered(CONCURRENT_WRITES);
        while let Some(marked) = marks.next().await {
            marked?;
        }
        Ok(())
    }

    /// Marks what a worker that died has sent and may not have marked. What died since stands in the same stretch, and so does
    /// what could not be sent: only what was noted before it was sent is marked.
    pub(crate) async fn mark_rest(&self, job: &ReplayJob, turn: Turn<'_>) -> Result<(), StoreError> {
        let Some(Unmarked { after, to }) = job.unmarked.clone() else {
            return Ok(());
        };
        let finder = turn.finder(&self.store);
        let mut at = after;
        loop {
            let found = finder.page(at.as_ref(), PAGE).await?;
            let is_sent = |place: &After| to.as_ref().is_none_or(|to| in_order(place, to).is_le());
            let mut candidates = found.candidates;
            candidates.retain(|candidate| is_sent(&candidate.place) && !is_own(candidate, job));
            let id_of = |candidate: &Candidate| outgoing(candidate, job, turn.filter);
            let ids: HashSet<DeliveryId> = candidates.iter().map(id_of).collect();
            let noted = self.store.noted_as_replayed(&job.tenant, ids).await?;
            candidates.retain(|candidate| noted.contains(&id_of(candidate)));
            let letters = candidates.into_iter().filter_map(|candidate| candidate.record);
            self.mark(job, letters.collect()).await?;
            at = found.next;
            if !at.as_ref().is_some_and(is_sent) {
                return Ok(());
            }
        }
    }
}

/// Which of two places a job comes to first: it goes endpoint by endpoint.
fn in_order(a: &After, b: &After) -> Ordering {
    (&a.endpoint, &a.sort_key).cmp(&(&b.endpoint, &b.sort_key))
}
