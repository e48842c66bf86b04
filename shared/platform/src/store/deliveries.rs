//! Deliveries and their attempts in the table `events`. The record of a delivery decides what has happened to it; the
//! queue is only its clock.

use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::FutureExt as _;
use redial_domain::delivery::DeliveryState;
use redial_domain::{AgentId, DeliveryId, EventTypeName, ReplayId, TenantId, Timestamp};

use super::attempts::read_attempt;
use super::{Store, StoreError, dynamo, is_refused, n, s};
use crate::item::Item;
use crate::keys::{self, Key};
use crate::message::DeliveryMessage;

/// Bytes of a response that the delivery's own row keeps; a failed attempt's row keeps them all.
pub const EXCERPT_BYTES: usize = 256;

/// One attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptRecord {
    /// Which one, from 1.
    pub n: u32,
    /// When it ended.
    pub at: Timestamp,
    /// The status of the answer, if one came.
    pub status: Option<u16>,
    /// `ok`, or what went wrong (`delivery::attempt_code`).
    pub code: String,
    /// Milliseconds from the request to the end of the answer.
    pub duration_ms: u32,
    /// The sentence that says what follows, and why.
    pub next: String,
    /// What of the response was kept. Hostile text.
    pub response: Vec<u8>,
}

/// Where a delivery stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryRecord {
    /// Whose it is.
    pub tenant: TenantId,
    /// Which one.
    pub id: DeliveryId,
    /// When its event was accepted.
    pub accepted_at: Timestamp,
    /// Shards of the event.
    pub shards: u16,
    /// The type of the event.
    pub event_type: EventTypeName,
    /// The agent of the event, if it has one. Records of earlier releases do not say.
    pub agent: Option<AgentId>,
    /// Its state.
    pub state: DeliveryState,
    /// Attempts made.
    pub attempts: u32,
    /// The last of them.
    pub last: Option<AttemptRecord>,
    /// Why it is dead, canceled or held: a stable code.
    pub reason: Option<String>,
    /// When the next attempt may be made.
    pub next_at: Option<Timestamp>,
    /// When the sweeper must look at it: a held delivery is sent then, one that was sent from the table sent again.
    pub due_at: Option<Timestamp>,
    /// Of a held one: since when. Records of earlier releases do not say.
    pub held_at: Option<Timestamp>,
    /// When it may be forgotten.
    pub expires_at: Timestamp,
    /// True for a dead one that its endpoint does not keep: it is counted, and in no list of dead letters.
    pub dropped: bool,
    /// The replay that delivered a dead one again: it is in no list of dead letters any more.
    pub redriven: Option<ReplayId>,
    /// W3C trace context of the request that brought the event. Stored while the delivery waits for the sweeper; otherwise
    /// it rides in the message.
    pub traceparent: Option<String>,
}

/// What became of a conditional write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded {
    /// It is written.
    Written,
    /// The record knows better: it is final, or counts as many attempts already.
    Superseded,
}

impl DeliveryRecord {
    /// A record for the delivery of a message, nothing having happened yet.
    #[must_use]
    pub fn new(
        message: &DeliveryMessage,
        event_type: EventTypeName,
        state: DeliveryState,
        expires_at: Timestamp,
    ) -> Self {
        Self {
            tenant: message.tenant.clone(),
            id: message.delivery(),
            accepted_at: message.accepted_at(),
            shards: message.shards,
            event_type,
            agent: None,
            state,
            attempts: 0,
            last: None,
            reason: None,
            next_at: None,
            due_at: None,
            held_at: None,
            expires_at,
            dropped: false,
            redriven: None,
            traceparent: message.traceparent.clone(),
        }
    }

    /// Makes it one that is held, since now.
    pub fn hold(&mut self, reason: &str, now: Timestamp) {
        self.state = DeliveryState::Held;
        self.reason = Some(reason.to_owned());
        self.held_at = Some(now);
    }

    /// The moment that lists have it at: when its event was accepted; of a replay, when that was asked for.
    #[must_use]
    pub fn begun_at(&self) -> Timestamp {
        let asked_at = self.id.replay.as_ref().and_then(ReplayId::asked_at);
        asked_at.unwrap_or(self.accepted_at)
    }

    /// Milliseconds from the acceptance of its event until it succeeded, if it did.
    #[must_use]
    pub fn took_ms(&self) -> Option<u64> {
        let last = self.last.as_ref().filter(|_| self.state == DeliveryState::Succeeded)?;
        // Clocks of two environments differ: nothing arrives before it was accepted.
        Some(u64::try_from(last.at.millis_since(self.accepted_at)).unwrap_or_default())
    }

    /// Its key.
    #[must_use]
    pub fn key(&self) -> Key {
        keys::delivery(&self.tenant, &self.id, self.accepted_at, self.shards)
    }

    pub(super) fn to_item(&self) -> Item {
        let listed = match self.state {
            DeliveryState::Retrying | DeliveryState::Held => true,
            DeliveryState::Dead => !self.dropped && self.redriven.is_none(),
            DeliveryState::Queued | DeliveryState::Succeeded | DeliveryState::Canceled => false,
        };
        let state_list = listed.then(|| keys::state_partition(&self.tenant, &self.id.endpoint, self.state));
        // Only what was set aside is written in these states, and 57 bytes rarely make it another write unit.
        let waits = matches!(self.state, DeliveryState::Queued | DeliveryState::Held);
        let is_held = self.state == DeliveryState::Held;
        let due_list = self.due_at.map(|_| keys::due_partition(self.id.event.as_str()));
        let mut item = Item::from(&self.key())
            .text("st", self.state.as_str())
            .moment("ac", self.accepted_at)
            .number("sh", self.shards.into())
            .text("ty", self.event_type.as_str())
            .maybe_text("ag", self.agent.as_ref().map(AgentId::as_str))
            .maybe_text("rd", self.redriven.as_ref().map(ReplayId::as_str))
            .number("n", self.attempts.into())
            .maybe_text("rs", self.reason.as_deref())
            .maybe_number("nx", self.next_at.map(Timestamp::as_millis))
            .maybe_text("w", state_list)
            .maybe_text("q", due_list)
            .maybe_number("qt", self.due_at.map(Timestamp::as_millis))
            .maybe_number("ha", self.held_at.filter(|_| is_held).map(Timestamp::as_millis))
            .maybe_text("tp", self.traceparent.as_deref().filter(|_| waits))
            .number("ttl", self.expires_at.as_secs());
        if let Some(last) = &self.last {
            item = item
                .moment("la", last.at)
                .maybe_number("hs", last.status.map(i64::from))
                .text("cd", last.code.as_str())
                .number("ms", last.duration_ms.into())
                .text("why", last.next.as_str());
            let excerpt = &last.response[..last.response.len().min(EXCERPT_BYTES)];
            if !excerpt.is_empty() {
                item = item.bytes("rb", excerpt.to_vec());
            }
        }
        item
    }
}

/// Reads a delivery's item.
pub(super) fn read_delivery(item: &Item) -> Result<DeliveryRecord, StoreError> {
    let (tenant, id) = item.need("pk", keys::delivery_of(&item.key()))?;
    let attempts = item.get_number("n").and_then(|n| u32::try_from(n).ok());
    let attempts = item.need("n", attempts)?;
    let ttl_ms = item.get_number("ttl").map(|seconds| seconds.saturating_mul(1000));
    let shards = item.get_number("sh").and_then(|n| u16::try_from(n).ok());
    let state = item.need("st", item.get_text("st").and_then(DeliveryState::parse))?;
    Ok(DeliveryRecord {
        tenant,
        id,
        accepted_at: item.need("ac", item.get_moment("ac"))?,
        shards: item.need("sh", shards)?,
        event_type: item.need(
            "ty",
            item.get_text("ty").and_then(|text| EventTypeName::parse(text).ok()),
        )?,
        agent: item.get_text("ag").and_then(|text| AgentId::parse(text).ok()),
        state,
        attempts,
        last: read_attempt(item, attempts, item.get_bytes("rb").unwrap_or_default().to_vec()),
        reason: item.get_text("rs").map(str::to_owned),
        next_at: item.get_moment("nx"),
        due_at: item.get_moment("qt"),
        held_at: item.get_moment("ha"),
        expires_at: Timestamp::from_millis(item.need("ttl", ttl_ms)?),
        // Every other dead one is in its list.
        dropped: state == DeliveryState::Dead && item.get_text("w").is_none() && item.get_text("rd").is_none(),
        redriven: item.get_text("rd").and_then(|text| ReplayId::parse(text).ok()),
        traceparent: item.get_text("tp").map(str::to_owned),
    })
}

impl Store {
    /// The record of a delivery, strongly read.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails or the item cannot be read.
    pub async fn delivery(
        &self,
        tenant: &TenantId,
        id: &DeliveryId,
        accepted_at: Timestamp,
        shards: u16,
    ) -> Result<Option<DeliveryRecord>, StoreError> {
        let key = keys::delivery(tenant, id, accepted_at, shards);
        let item = self.get(&self.tables.events, &key, true).await?;
        item.as_ref().map(read_delivery).transpose()
    }

    /// The records of deliveries that exist, in no order.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails or an item cannot be read.
    pub async fn deliveries(&self, keys: &[Key], consistent: bool) -> Result<Vec<DeliveryRecord>, StoreError> {
        let items = self.get_all(&self.tables.events, keys, consistent).await?;
        items.iter().map(read_delivery).collect()
    }

    /// Records what a receiver took: whatever the record said before, this is true.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails.
    pub async fn record_success(&self, record: &DeliveryRecord) -> Result<(), StoreError> {
        self.put_together(record.to_item()).await
    }

    /// Records a failed attempt: a row of its own, then the delivery's, unless that is final or counts it already.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails.
    pub async fn record_failure(&self, record: &DeliveryRecord) -> Result<Recorded, StoreError> {
        self.put_attempt(record).await?;
        self.record_unless_final(record, "n < :n", &[(":n", n(record.attempts.into()))])
            .await
    }

    /// Records a state that no attempt led to (held, queued again, canceled, dead without an attempt), unless the record
    /// is final.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails.
    pub async fn record_state(&self, record: &DeliveryRecord) -> Result<Recorded, StoreError> {
        self.record_unless_final(record, "n <= :n", &[(":n", n(record.attempts.into()))])
            .await
    }

    /// Claims the next attempt of a delivery until `until`, for one of several messages that may be about it: false if the
    /// record is final, has counted more attempts, or somebody else's claim has not run out at `now`. Whatever is recorded
    /// next lifts the claim.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails.
    pub async fn claim(&self, record: &DeliveryRecord, now: Timestamp, until: Timestamp) -> Result<bool, StoreError> {
        let free = "attribute_not_exists(cl) OR cl < :now";
        let condition = format!("attribute_not_exists(pk) OR (st IN (:queued, :retrying) AND n = :n AND ({free}))");
        let values = [
            (":queued", s(DeliveryState::Queued.as_str())),
            (":retrying", s(DeliveryState::Retrying.as_str())),
            (":n", n(record.attempts.into())),
            (":now", n(now.as_millis())),
        ];
        let claimed = self
            .put_if(record.to_item().moment("cl", until), &condition, &values)
            .await?;
        Ok(claimed == Recorded::Written)
    }

    /// Records a state only if the record is still what `before` was: same state and due time.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails.
    pub async fn record_if_unchanged(
        &self,
        before: &DeliveryRecord,
        record: &DeliveryRecord,
    ) -> Result<Recorded, StoreError> {
        let mut condition = "st = :before AND n = :n".to_owned();
        let mut values = vec![(":before", s(before.state.as_str())), (":n", n(before.attempts.into()))];
        if let Some(due_at) = before.due_at {
            condition.push_str(" AND qt = :due");
            values.push((":due", n(due_at.as_millis())));
        }
        self.put_if(record.to_item(), &condition, &values).await
    }

    pub(super) async fn record_unless_final(
        &self,
        record: &DeliveryRecord,
        counts: &str,
        values: &[(&str, AttributeValue)],
    ) -> Result<Recorded, StoreError> {
        let condition = format!("attribute_not_exists(pk) OR (st IN (:queued, :retrying, :held) AND {counts})");
        let states = [
            (":queued", s(DeliveryState::Queued.as_str())),
            (":retrying", s(DeliveryState::Retrying.as_str())),
            (":held", s(DeliveryState::Held.as_str())),
        ];
        self.put_if(record.to_item(), &condition, &[states.as_slice(), values].concat())
            .await
    }

    pub(super) async fn put_if(
        &self,
        item: Item,
        condition: &str,
        values: &[(&str, AttributeValue)],
    ) -> Result<Recorded, StoreError> {
        let mut put = self
            .client
            .put_item()
            .table_name(&self.tables.events)
            .set_item(Some(item.0))
            .condition_expression(condition);
        for (name, value) in values {
            put = put.expression_attribute_values(*name, value.clone());
        }
        if condition.contains("#at") {
            // A reserved word.
            put = put.expression_attribute_names("#at", "at");
        }
        match put.send().boxed().await {
            Ok(_) => Ok(Recorded::Written),
            Err(error) if is_refused(&error) => Ok(Recorded::Superseded),
            Err(error) => Err(dynamo("PutItem")(error)),
        }
    }
}
