//! Operational events: what Redial itself has to tell about endpoints and deliveries, to tenant `operator` and to the tenant
//! whose they are (docs/ARCHITECTURE.md). Stored like any event, with its deliveries `held` and due at once: the sweeper sends
//! them, because those who tell may not. Never told to the endpoint that it is about, and never about the delivery of an
//! operational event: one that dies must not make another.

use redial_domain::delivery::DeliveryState;
use redial_domain::endpoint::Endpoint;
use redial_domain::event::Content;
use redial_domain::hold::{DISABLE_AFTER_MS, Hold};
use redial_domain::{AgentId, DeliveryId, EndpointId, EventId, EventTypeName, TenantId, Timestamp, catalogue};
use serde_json::value::to_raw_value;
use serde_json::{Map, Value, json};

use crate::blob;
use crate::cache::ConfigCache;
use crate::clock::Clock;
use crate::keys::{self, HOUR_MS};
use crate::random::Random;
use crate::store::config::TenantConfig;
use crate::store::deliveries::DeliveryRecord;
use crate::store::events::{PutEvent, StoredEvent};
use crate::store::health::Health;
use crate::store::{Store, StoreError};

/// The tenant that is told about all others; what is about itself is told to nobody. An operator makes it like any tenant.
pub const OPERATOR: &str = "operator";
/// Why a delivery of such an event is held: until the sweeper's next pass.
pub const REASON: &str = "operational_event";
/// Milliseconds of a day.
const DAY_MS: i64 = 24 * HOUR_MS;

/// What happened.
#[derive(Debug, Clone)]
pub enum Notice<'a> {
    /// `endpoint.failing`: attempts at it have begun to fail. What is known of them.
    EndpointFailing(&'a Endpoint, &'a Health),
    /// `endpoint.held`: it fails, and what is for it is held. Why, and what is known of its attempts.
    EndpointHeld(&'a Endpoint, &'a Hold, &'a Health),
    /// `endpoint.recovered`: it answers again. The hold that is over.
    EndpointRecovered(&'a Endpoint, &'a Hold),
    /// `endpoint.disabled`: its receiver answered 410.
    EndpointGone(&'a Endpoint),
    /// `endpoint.disabled`: it has failed for so long that it is asked no more (`hold::DISABLE_AFTER_MS`).
    EndpointGivenUp(&'a Endpoint, &'a Health),
    /// `delivery.dead`: it will not be tried again. Its endpoint, if that exists still.
    DeliveryDead(&'a DeliveryRecord, Option<&'a Endpoint>),
}

impl Notice<'_> {
    const fn event_type(&self) -> &'static str {
        match self {
            Self::EndpointFailing(..) => "endpoint.failing",
            Self::EndpointHeld(..) => "endpoint.held",
            Self::EndpointRecovered(..) => "endpoint.recovered",
            Self::EndpointGone(_) | Self::EndpointGivenUp(..) => "endpoint.disabled",
            Self::DeliveryDead(..) => "delivery.dead",
        }
    }

    /// Whose endpoint, and which, it is about.
    const fn about(&self) -> (&TenantId, &EndpointId) {
        match self {
            Self::EndpointFailing(endpoint, _)
            | Self::EndpointHeld(endpoint, ..)
            | Self::EndpointRecovered(endpoint, _)
            | Self::EndpointGone(endpoint)
            | Self::EndpointGivenUp(endpoint, _) => (&endpoint.tenant, &endpoint.id),
            Self::DeliveryDead(record, _) => (&record.tenant, &record.id.endpoint),
        }
    }

    const fn tenant(&self) -> &TenantId {
        self.about().0
    }

    const fn endpoint(&self) -> &EndpointId {
        self.about().1
    }

    /// True if it is about the delivery of an operational event.
    fn is_about_itself(&self) -> bool {
        match self {
            Self::DeliveryDead(record, _) => is_operational(&record.event_type),
            _ => false,
        }
    }

    /// `data` of the event, as its type's schema in the catalogue says.
    fn data(&self, at: Timestamp) -> Value {
        let mut data = Map::new();
        data.insert("tenant".to_owned(), json!(self.tenant()));
        data.insert("endpoint".to_owned(), json!(self.endpoint()));
        data.insert("at".to_owned(), json!(at));
        let more = match self {
            Self::EndpointFailing(endpoint, health) => {
                let failures = health.numbers.failures_in_row;
                of_health(endpoint, health, &format!("The last {failures} attempts failed."))
            }
            Self::EndpointHeld(endpoint, hold, health) => of_health(endpoint, health, hold.reason.sentence()),
            Self::EndpointGivenUp(endpoint, health) => {
                let days = DISABLE_AFTER_MS / DAY_MS;
                of_health(endpoint, health, &format!("No attempt succeeded for {days} days."))
            }
            Self::EndpointRecovered(endpoint, hold) => json!({
                "url": endpoint.settings.url,
                "reason": "A probe succeeded.",
                "down_s": seconds(at.millis_since(hold.since)),
            }),
            Self::EndpointGone(endpoint) => json!({
                "url": endpoint.settings.url,
                "reason": "The receiver answered 410 Gone.",
                "status": 410,
                "code": null,
            }),
            Self::DeliveryDead(record, endpoint) => of_dead(record, *endpoint),
        };
        if let Value::Object(more) = more {
            data.extend(more);
        }
        Value::Object(data)
    }

    fn related(&self) -> impl Iterator<Item = (String, String)> {
        let event = match self {
            Self::DeliveryDead(record, _) => Some(("event", record.id.event.to_string())),
            _ => None,
        };
        let about = [
            ("tenant", self.tenant().to_string()),
            ("endpoint", self.endpoint().to_string()),
        ];
        about.into_iter().chain(event).map(|(name, id)| (name.to_owned(), id))
    }
}

/// How many deliveries wait is left out: nobody counts them where health changes, and the backlog's own page does.
fn of_health(endpoint: &Endpoint, health: &Health, reason: &str) -> Value {
    let last = health.last_failure.as_ref();
    let status = last.and_then(|last| last.status);
    let code = last.filter(|_| status.is_none()).map(|last| &last.code);
    json!({
        "url": endpoint.settings.url,
        "reason": reason,
        "failures_in_row": health.numbers.failures_in_row,
        "status": status,
        "code": code,
    })
}

fn of_dead(record: &DeliveryRecord, endpoint: Option<&Endpoint>) -> Value {
    let (status, last) = (record.last.as_ref().and_then(|last| last.status), record.last.as_ref());
    let code = last.map_or_else(|| record.reason.clone(), |last| Some(last.code.clone()));
    let mut data = json!({
        "event": record.id.event,
        "event_type": record.event_type,
        "delivery": record.id,
        "attempts": record.attempts,
        "status": status,
        "code": code.filter(|_| status.is_none()),
        "reason": sentence(record),
    });
    if let Some(endpoint) = endpoint {
        data["url"] = json!(endpoint.settings.url);
    }
    data
}

/// Milliseconds as seconds, with tenths.
fn seconds(ms: i64) -> f64 {
    let tenths = i32::try_from(ms.max(0) / 100).unwrap_or(i32::MAX);
    f64::from(tenths) / 10.0
}

fn sentence(record: &DeliveryRecord) -> String {
    match (&record.last, &record.reason) {
        (Some(last), _) => last.next.clone(),
        (None, Some(reason)) => format!("No attempt could be made: {reason}."),
        (None, None) => "No attempt could be made.".to_owned(),
    }
}

/// True for the event types that Redial itself tells of.
#[must_use]
pub fn is_operational(event_type: &EventTypeName) -> bool {
    let found = catalogue::find(event_type.as_str());
    found.is_some_and(|found| found.group == catalogue::Group::Operator)
}

/// Tells. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Notifier {
    store: Store,
    cache: ConfigCache,
    clock: Clock,
    random: Random,
}

impl Notifier {
    /// Tells through this store; `cache` says who wants to know.
    #[must_use]
    pub const fn new(store: Store, cache: ConfigCache, clock: Clock, random: Random) -> Self {
        Self {
            store,
            cache,
            clock,
            random,
        }
    }

    /// Tells tenant `operator` and the tenant itself. A failure is logged and is not the caller's: what happened is
    /// recorded where it happened, and shown in the lists.
    pub async fn tell(&self, notice: &Notice<'_>) {
        let about = notice.tenant();
        if about.as_str() == OPERATOR || notice.is_about_itself() {
            return;
        }
        let recipients = TenantId::parse(OPERATOR).into_iter().chain([about.clone()]);
        for recipient in recipients {
            if let Err(error) = self.tell_one(&recipient, notice).await {
                let event_type = notice.event_type();
                tracing::error!(%error, %recipient, tenant = %about, event_type, "notices.not_told");
            }
        }
    }

    async fn tell_one(&self, recipient: &TenantId, notice: &Notice<'_>) -> Result<(), StoreError> {
        let Some(config) = self.cache.recent(recipient, 0).await? else {
            return Ok(());
        };
        let Ok(event_type) = EventTypeName::parse(notice.event_type()) else {
            return Ok(());
        };
        let matched = wanted_by(&config, &event_type, notice);
        // A dead endpoint makes thousands of dead letters: told only if somebody listens.
        if matched.is_empty() && (config.tenant.id.as_str() != OPERATOR || matches!(notice, Notice::DeliveryDead(..))) {
            return Ok(());
        }
        let event = self.event(&config, event_type, matched, notice)?;
        // Whatever a crash leaves, the sweeper finds: it looks at active tenants.
        self.store.mark_active(recipient, event.accepted_at).await?;
        if self.store.put_event(&event).await? != PutEvent::Stored {
            return Ok(());
        }
        for endpoint in &event.matched {
            self.store.record_state(&held(&event, endpoint)).await?;
        }
        tracing::info!(%recipient, event = %event.id, event_type = %event.event_type, "notices.told");
        Ok(())
    }

    fn event(
        &self,
        config: &TenantConfig,
        event_type: EventTypeName,
        matched: Vec<EndpointId>,
        notice: &Notice<'_>,
    ) -> Result<StoredEvent, StoreError> {
        let (now, tenant) = (self.clock.now(), &config.tenant);
        let content = Content {
            event_type: event_type.clone(),
            occurred_at: None,
            agent: None::<AgentId>,
            data: to_raw_value(&notice.data(now)).map_err(blob::BlobError::from)?,
            related: notice.related().collect(),
            links: std::collections::BTreeMap::new(),
        };
        let random = self.random.number();
        let shard = keys::event_shard(None, &random.to_string(), tenant.shards);
        Ok(StoredEvent {
            tenant: tenant.id.clone(),
            id: EventId::mint(now, shard, random),
            own_id: false,
            accepted_at: now,
            shards: tenant.shards,
            digest: StoredEvent::digest_of(&content),
            matched,
            event_type,
            agent: None,
            call_id: None,
            packed: blob::from_content(&content)?,
            expires_at: now.plus_millis(i64::from(tenant.retention_days) * DAY_MS),
            erased: None,
        })
    }
}

/// The recipient's endpoints that are to be told: never the one it is about. A tenant asks for what is about itself by
/// name or prefix: who wants all events of its platform did not ask for ours.
fn wanted_by(config: &TenantConfig, event_type: &EventTypeName, notice: &Notice<'_>) -> Vec<EndpointId> {
    let is_operator = config.tenant.id.as_str() == OPERATOR;
    let endpoints = config.endpoints.iter().map(|stored| &stored.endpoint);
    let wanting = endpoints.filter(|endpoint| {
        let asked = is_operator || !endpoint.settings.filter.event_types.is_empty();
        asked && endpoint.id != *notice.endpoint() && endpoint.matches(event_type, None)
    });
    wanting.map(|endpoint| endpoint.id.clone()).collect()
}

/// The first record of such a delivery: the sweeper's next pass sends it, or leaves it if its endpoint is on hold.
fn held(event: &StoredEvent, endpoint: &EndpointId) -> DeliveryRecord {
    DeliveryRecord {
        tenant: event.tenant.clone(),
        id: DeliveryId {
            event: event.id.clone(),
            endpoint: endpoint.clone(),
            replay: None,
        },
        accepted_at: event.accepted_at,
        shards: event.shards,
        event_type: event.event_type.clone(),
        state: DeliveryState::Held,
        attempts: 0,
        last: None,
        reason: Some(REASON.to_owned()),
        next_at: None,
        due_at: Some(event.accepted_at),
        held_at: Some(event.accepted_at),
        expires_at: event.expires_at,
        dropped: false,
        redriven: None,
        agent: None,
        traceparent: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operational_types_are_those_of_the_operators_group() {
        let is = |name: &str| is_operational(&EventTypeName::parse(name).unwrap());
        assert!(
            ["endpoint.disabled", "delivery.dead", "endpoint.held"]
                .into_iter()
                .all(is)
        );
        assert!(
            !["call.ended", "endpoint.unheard_of", "system.maintenance"]
                .into_iter()
                .any(is)
        );
    }
}
