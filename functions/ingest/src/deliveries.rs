//! From a stored event to its deliveries: a message for each endpoint that takes deliveries now, a record for one on hold,
//! a place in the line of one that has a rate limit. Decides nothing about the event.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use redial_domain::delivery::DeliveryState;
use redial_domain::{AgentId, EndpointId, EventTypeName, TenantId, Timestamp, hold};
use redial_platform::message::DeliveryMessage;
use redial_platform::metrics::Metric;
use redial_platform::pace::{self, Pace};
use redial_platform::store::config::TenantConfig;
use redial_platform::store::deliveries::{DeliveryRecord, Recorded};
use redial_platform::store::events::StoredEvent;

use crate::accept::Ingest;
use crate::noted::Noted;

/// Records of one request that are written at once.
const CONCURRENT_HOLDS: usize = 32;

/// A delivery that its endpoint takes now, or as soon as its rate limit allows.
#[derive(Debug)]
pub(crate) struct Routed {
    message: DeliveryMessage,
    event_type: EventTypeName,
    agent: Option<AgentId>,
    expires_at: Timestamp,
    pace: Option<Pace>,
}

impl Routed {
    fn held(&self, reason: &str) -> DeliveryRecord {
        let event_type = self.event_type.clone();
        let mut record = DeliveryRecord::new(&self.message, event_type, DeliveryState::Held, self.expires_at);
        // At once.
        record.hold(reason, record.accepted_at);
        record.agent.clone_from(&self.agent);
        record
    }
}

impl Ingest {
    /// The deliveries of an event to the endpoints that take them now; those for endpoints on hold are written down.
    /// What the event says rides in their messages, if it comes with it.
    pub(crate) async fn route(
        &self,
        (event, riding): (&StoredEvent, Option<&str>),
        config: &TenantConfig,
        noted: Noted<'_>,
    ) -> Vec<Routed> {
        let now = self.clock.now();
        let mut routed = Vec::new();
        let matched = event.matched.iter().filter_map(|id| config.endpoint(id));
        for stored in matched {
            let endpoint = &stored.endpoint;
            let delivery = Routed {
                message: DeliveryMessage {
                    tenant: event.tenant.clone(),
                    event: event.id.clone(),
                    accepted_at_ms: event.accepted_at.as_millis(),
                    shards: event.shards,
                    endpoint: endpoint.id.clone(),
                    endpoint_version: endpoint.version,
                    replay: None,
                    check: false,
                    probe: false,
                    content: riding.map(str::to_owned),
                    traceparent: noted.trace().map(str::to_owned),
                    slot_ms: None,
                },
                event_type: event.event_type.clone(),
                agent: event.agent.clone(),
                expires_at: event.expires_at,
                pace: Pace::of(config, stored, now),
            };
            if endpoint.state.is_on_hold() {
                let record = delivery.held(&format!("endpoint_{}", endpoint.state.as_str()));
                self.hold(&record, noted).await;
            } else if stored.hold.is_some() {
                // It fails: nothing of it waits in the queue, and a probe finds out when it answers.
                self.hold(&delivery.held(hold::REASON), noted).await;
            } else {
                routed.push(delivery);
            }
        }
        routed
    }

    /// What is to be sent of a request's deliveries, those for endpoints with a rate limit each with its slot: one
    /// reservation an endpoint, in the order given. What is too far down a line is written down, for the sweeper to send.
    pub(crate) async fn line_up(&self, routed: Vec<Routed>, now: Timestamp, noted: Noted<'_>) -> Vec<DeliveryMessage> {
        let mut messages = Vec::with_capacity(routed.len());
        let mut limited: BTreeMap<(TenantId, EndpointId), (Pace, Vec<Routed>)> = BTreeMap::new();
        for delivery in routed {
            match delivery.pace {
                None => messages.push(delivery.message),
                Some(pace) => {
                    let key = (delivery.message.tenant.clone(), delivery.message.endpoint.clone());
                    limited
                        .entry(key)
                        .or_insert_with(|| (pace, Vec::new()))
                        .1
                        .push(delivery);
                }
            }
        }
        let lines = limited
            .into_iter()
            .map(|((tenant, endpoint), (pace, line))| async move {
                let count = line.len();
                let slots = self.store.reserve(&tenant, &endpoint, pace, count, now).await;
                // The events are stored, and the dispatcher keeps the limit without a line too.
                if let Err(error) = &slots {
                    let traceparent = noted.trace();
                    tracing::error!(%error, %tenant, %endpoint, traceparent, "ingest.not_lined_up");
                }
                let slot = |number| slots.as_ref().ok().map(|slots| slots.at(number));
                let line = line.into_iter().enumerate();
                line.map(|(number, delivery)| (delivery, slot(number)))
                    .collect::<Vec<_>>()
            });
        let (mut held, mut waiting) = (Vec::new(), 0);
        for (mut delivery, slot) in join_all(lines).await.into_iter().flatten() {
            waiting += u64::from(slot.is_some_and(|slot| slot > now));
            match slot.filter(|slot| pace::is_beyond(*slot, now)) {
                Some(slot) => {
                    let mut record = delivery.held(pace::REASON);
                    record.next_at = Some(slot);
                    record.due_at = Some(pace::due_at(slot, now));
                    held.push(record);
                }
                None => {
                    delivery.message.slot_ms = slot.map(Timestamp::as_millis);
                    messages.push(delivery.message);
                }
            }
        }
        noted.recorder.count(Metric::Paced, waiting);
        for records in held.chunks(CONCURRENT_HOLDS) {
            join_all(records.iter().map(|record| self.hold(record, noted))).await;
        }
        messages
    }

    /// Writes down a delivery that waits in the table.
    async fn hold(&self, record: &DeliveryRecord, noted: Noted<'_>) {
        match self.store.record_state(record).await {
            Ok(Recorded::Written) => noted.recorder.count(Metric::Held, 1),
            Ok(Recorded::Superseded) => {}
            // The event is stored: the sweeper holds it.
            Err(error) => {
                let (tenant, traceparent) = (&record.tenant, noted.trace());
                tracing::error!(%error, %tenant, delivery = %record.id, traceparent, "ingest.hold_failed");
            }
        }
    }
}
