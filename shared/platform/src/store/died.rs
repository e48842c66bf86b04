//! What the record of a delivery says once it is given up. Knows no table: `deliveries` writes it.

use redial_domain::Timestamp;
use redial_domain::delivery::{DeadReason, DeliveryState};
use redial_domain::endpoint::dead_letter::DeadLetter;

use super::deliveries::DeliveryRecord;

impl DeliveryRecord {
    /// Gives it up at `now`. It is kept as its endpoint's settings say, and no longer than its event.
    pub fn die(&mut self, reason: DeadReason, kept: DeadLetter, now: Timestamp) {
        self.state = DeliveryState::Dead;
        self.reason = Some(reason.as_str().to_owned());
        self.next_at = None;
        self.due_at = None;
        self.dropped = !kept.keep;
        self.expires_at = kept.kept_until(now, self.expires_at);
    }
}
