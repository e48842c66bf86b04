//! A repeat of an event that was erased: it is refused, and nothing of it stays.

use axum::http::StatusCode;
use redial_domain::EventId;
use redial_platform::problem::Problem;
use redial_platform::store::StoreError;
use redial_platform::store::events::StoredEvent;

use crate::accept::Ingest;

/// 410: what the platform sends again was erased.
pub(crate) fn erased(id: &EventId) -> Problem {
    let detail =
        format!("event {id} was erased; its id is taken until its retention is over. Send a new event with a new id");
    Problem::new(StatusCode::GONE, "event_erased", detail).at("id")
}

impl Ingest {
    /// Takes back the time row of a repeat, which names its agent and its call. Accepted in the very millisecond of the
    /// first, it has overwritten that one's row.
    pub(crate) async fn take_back(&self, repeat: &StoredEvent, tombstone: &StoredEvent) -> Result<(), StoreError> {
        if !repeat.own_id {
            return Ok(());
        }
        if (repeat.accepted_at, repeat.shard()) == (tombstone.accepted_at, tombstone.shard()) {
            self.store.put_time_rows(&[tombstone]).await
        } else {
            self.store.delete_time_row(repeat).await
        }
    }
}
