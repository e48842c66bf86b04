//! The ledger of a tenant, on demand: events beside the records of their deliveries, read strongly, page by page, and each
//! difference explained. Reads only; the sweeper repairs.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use redial_domain::delivery::DeliveryState;
use redial_domain::id::encode_time;
use redial_domain::{DeliveryId, EndpointId, EventId, TenantId, Timestamp};
use redial_platform::keys::{self, HOUR_MS, Key};
use redial_platform::problem::Problem;
use redial_platform::routes;
use redial_platform::routes::Routes;
use redial_platform::store::StoreError;
use redial_platform::store::deliveries::DeliveryRecord;
use redial_platform::store::events::StoredEvent;
use redial_platform::store::ledger::{LedgerQuestion, Stretch};
use redial_platform::store::lists::{After, MAX_STREAMS, Range};
use redial_platform::store::sweep::HourCounts;
use serde::Serialize;
use utoipa::ToSchema;

use crate::Api;
use crate::access::InTenant;
use crate::cursor::Place;
use crate::ledger_kinds::{Difference, Judge, Unrecorded};
use crate::query::{Query, refuse};
use crate::waiting::{first_delivery, moment_of};

/// Longest stretch of time of one question, in days. docs/LIMITS.md.
const MAX_DAYS: i64 = 31;
/// Milliseconds of the stretch that is gone through if none is asked for.
const DEFAULT_MS: i64 = 24 * HOUR_MS;
/// Differences that one answer explains; the rest of a millisecond that has more is counted. docs/LIMITS.md.
const MAX_DIFFERENCES: usize = 1_000;
/// Latest replay jobs that are looked at for one that stands still. docs/LIMITS.md.
const MAX_JOBS: usize = 100;

pub(crate) fn routes<R: Routes<Arc<Api>>>(to: R) -> R {
    to.with(routes!(read))
}

/// How many deliveries stand where.
#[derive(Debug, Default, Serialize, ToSchema)]
struct StatesView {
    queued: u64,
    retrying: u64,
    held: u64,
    succeeded: u64,
    dead: u64,
    canceled: u64,
}

impl From<&HourCounts> for StatesView {
    fn from(counts: &HourCounts) -> Self {
        Self {
            queued: counts.of(DeliveryState::Queued),
            retrying: counts.of(DeliveryState::Retrying),
            held: counts.of(DeliveryState::Held),
            succeeded: counts.of(DeliveryState::Succeeded),
            dead: counts.of(DeliveryState::Dead),
            canceled: counts.of(DeliveryState::Canceled),
        }
    }
}

/// A page of the ledger.
#[derive(Debug, Serialize, ToSchema)]
struct LedgerView {
    /// First moment that the whole question is about.
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
    /// First moment after it.
    #[schema(value_type = String, format = DateTime)]
    until: Timestamp,
    /// This page is about everything before this moment that the pages before were not about.
    #[schema(value_type = String, format = DateTime)]
    reached: Timestamp,
    /// Deliveries that the page's events promise: one for each event and endpoint that it matched.
    matched: u64,
    /// Where they stand. Their sum is `matched`, less what is lost, more what is recorded and was not promised.
    states: StatesView,
    /// How many of the dead ones are so old that their endpoint does not keep their record any more.
    expired: u64,
    /// Where the deliveries stand that replays made in that time. They are no part of the sum.
    replays: StatesView,
    /// What does not fit, or stands still, oldest first; of replay jobs in the first page.
    differences: Vec<Difference>,
    /// How many more differences there are than `differences` explains.
    omitted: u64,
    /// How many items of the page cannot be read; they are left out.
    unreadable: u64,
    /// Where the next page begins: send it as `cursor` with the same parameters. `null`: this was the last page.
    #[schema(required)]
    next: Option<String>,
}

/// What a page comes to.
#[derive(Default)]
struct Balance {
    matched: u64,
    states: HourCounts,
    expired: u64,
    replays: HourCounts,
    differences: Vec<(Key, Difference)>,
}

/// Check the ledger
///
/// Goes through the events that were accepted in some time and compares what they promise with what is recorded, read
/// strongly: `matched` is the sum of `states` if nothing is wrong. Each difference is explained, with what is being done about
/// it. The last 24 hours by default, at most 31 days. Pages are of time: each is about the stretch up to `reached`, and
/// `next` goes on from there.
#[utoipa::path(
    get,
    path = "/v1/tenants/{tenant}/ledger",
    operation_id = "check_ledger",
    tag = "statistics",
    params(
        ("tenant" = String, Path, description = "The tenant's id"),
        ("endpoint" = Option<String>, Query, description = "Only of this endpoint, which may be deleted"),
        ("since" = Option<String>, Query, description = "First moment of acceptance (of a replay: of asking), RFC 3339"),
        ("until" = Option<String>, Query, description = "First moment after it, RFC 3339"),
        ("cursor" = Option<String>, Query, description = "`next` of the page before"),
    ),
    responses(
        (status = 200, description = "A page of the ledger", body = LedgerView),
        (status = 400, description = "A parameter is wrong, the stretch is longer than 31 days (`range_too_long`), or without \
            `endpoint` there is too much to look through (`endpoint_needed`)", body = Problem),
        (status = 401, description = "No valid key", body = Problem),
        (status = 403, description = "The key may not", body = Problem),
        (status = 404, description = "No such tenant, or another's", body = Problem),
        (status = 429, description = "The key makes more requests than it may", body = Problem),
    )
)]
async fn read(
    State(api): State<Arc<Api>>,
    scope: InTenant,
    RawQuery(raw): RawQuery,
) -> Result<Json<LedgerView>, Problem> {
    let query = Query::parse(raw.as_deref(), &["endpoint", "since", "until"])?;
    let endpoint = query.read("endpoint", "an endpoint's id", |text| EndpointId::parse(text).ok())?;
    let wanted = api.wanted("ledger", Some(scope.id()), &query).await?;
    let range = api.range(&wanted, &query, DEFAULT_MS)?;
    if range.until.millis_since(range.since) > MAX_DAYS * 24 * HOUR_MS {
        let detail = "must be at most 31 days before until";
        return Err(refuse("range_too_long", "since", detail));
    }
    let begin = wanted.place.as_ref().and_then(|place| moment_of(&place.after));
    let judge = api.judge(&scope).await?;
    let rest = Range {
        since: begin.unwrap_or(range.since),
        until: range.until,
    };
    let (balance, stretch) = api.balance(&judge, endpoint.as_ref(), rest).await?;
    let mut differences = balance.differences;
    if wanted.place.is_none() && endpoint.is_none() {
        differences.extend(judge.stuck_jobs());
    }
    differences.sort_by(|(a, _), (b, _)| (&a.sk, &a.pk).cmp(&(&b.sk, &b.pk)));
    let omitted = differences.len().saturating_sub(MAX_DIFFERENCES);
    differences.truncate(MAX_DIFFERENCES);
    let next =
        (stretch.reached < range.until).then(|| Place::within(range, After::event(encode_time(stretch.reached))));
    let page = api.listing(&wanted, differences, next).await?;
    Ok(Json(LedgerView {
        since: range.since,
        until: range.until,
        reached: stretch.reached,
        matched: balance.matched,
        states: (&balance.states).into(),
        expired: balance.expired,
        replays: (&balance.replays).into(),
        differences: page.items.into_iter().map(|(_, difference)| difference).collect(),
        omitted: omitted as u64,
        unreadable: stretch.unreadable.len() as u64,
        next: page.next,
    }))
}

impl Api {
    async fn judge<'a>(&self, scope: &'a InTenant) -> Result<Judge<'a>, StoreError> {
        Ok(Judge {
            config: &scope.config,
            mark: self.store.sweep_mark(scope.id()).await?,
            jobs: self.store.jobs(scope.id(), None, MAX_JOBS).await?.items,
            now: self.clock.now(),
        })
    }

    /// What the ledger says from the beginning of `range` on, as far as one page goes.
    async fn balance(
        &self,
        judge: &Judge<'_>,
        only: Option<&EndpointId>,
        range: Range,
    ) -> Result<(Balance, Stretch), Problem> {
        let tenant = &judge.config.tenant;
        let existing = judge.config.endpoints.iter().map(|stored| stored.endpoint.id.clone());
        let existing: Vec<EndpointId> = existing.collect();
        let streams = if only.is_some() { 1 } else { existing.len().max(1) } * usize::from(tenant.shards);
        if streams > MAX_STREAMS {
            let detail = "must name an endpoint: all of this tenant's are too many to look through at once";
            return Err(refuse("endpoint_needed", "endpoint", detail));
        }
        let question = LedgerQuestion {
            tenant: &tenant.id,
            shards: tenant.shards,
            range,
            endpoints: &existing,
            only,
            now: judge.now,
        };
        let stretch = self.store.ledger(&question).await?;
        Ok((self.compare(judge, only, &stretch).await?, stretch))
    }

    /// Compares what the events of a stretch promise with its records.
    async fn compare(
        &self,
        judge: &Judge<'_>,
        only: Option<&EndpointId>,
        stretch: &Stretch,
    ) -> Result<Balance, StoreError> {
        let tenant = &judge.config.tenant.id;
        let mut balance = Balance::default();
        let mut promised: BTreeMap<Key, (&StoredEvent, DeliveryId)> = BTreeMap::new();
        for event in &stretch.events {
            let matched = event.matched.iter();
            for endpoint in matched.filter(|matched| only.is_none_or(|only| only == *matched)) {
                let id = first_delivery(event, endpoint);
                let key = keys::delivery(tenant, &id, event.accepted_at, event.shards);
                promised.insert(key, (event, id));
            }
        }
        let mut surplus = Vec::new();
        for record in &stretch.records {
            let key = record.key();
            if record.id.replay.is_some() {
                balance.replays.count(record.state, record.attempts);
            } else if promised.remove(&key).is_some() {
                balance.matched += 1;
                balance.states.count(record.state, record.attempts);
            } else {
                surplus.push(record);
                continue;
            }
            balance
                .differences
                .extend(judge.recorded(record).map(|found| (key, found)));
        }
        for key in &stretch.unreadable {
            promised.remove(key);
        }
        let of_missing = promised
            .values()
            .filter(|(event, _)| event.own_id)
            .map(|(event, _)| &event.id);
        let of_surplus = surplus.iter().map(|record| &record.id.event);
        let stored = self.events_as_stored(tenant, of_missing.chain(of_surplus)).await?;
        for (key, (event, id)) in promised {
            balance.missing(judge, &stored, key, event, &id);
        }
        for record in surplus {
            balance.surplus(judge, &stored, record);
        }
        Ok(balance)
    }

    /// Events by their ids, as they are stored.
    async fn events_as_stored<'a>(
        &self,
        tenant: &TenantId,
        ids: impl Iterator<Item = &'a EventId>,
    ) -> Result<HashMap<EventId, StoredEvent>, StoreError> {
        let mut ids: Vec<EventId> = ids.cloned().collect();
        ids.sort();
        ids.dedup();
        let (mut events, _) = self.store.readable_events(tenant, &ids).await?;
        let now = self.clock.now();
        events.retain(|_, event| event.expires_at > now);
        Ok(events)
    }
}

impl Balance {
    /// A delivery that an event promises and that has no record.
    fn missing(
        &mut self,
        judge: &Judge<'_>,
        stored: &HashMap<EventId, StoredEvent>,
        key: Key,
        event: &StoredEvent,
        id: &DeliveryId,
    ) {
        let is_promised =
            |kept: &StoredEvent| kept.accepted_at == event.accepted_at && kept.matched.contains(&id.endpoint);
        if event.own_id && !stored.get(&event.id).is_some_and(is_promised) {
            self.differences
                .extend(judge.unaccepted(event, id).map(|found| (key, found)));
            return;
        }
        self.matched += 1;
        match judge.unrecorded(event, id) {
            Unrecorded::Queued => self.states.count(DeliveryState::Queued, 0),
            Unrecorded::Expired => {
                self.states.count(DeliveryState::Dead, 0);
                self.expired += 1;
            }
            Unrecorded::Wrong(found) => {
                if found.is_queued() {
                    self.states.count(DeliveryState::Queued, 0);
                }
                self.differences.push((key, found));
            }
        }
    }

    /// A record that no listed event promises.
    fn surplus(&mut self, judge: &Judge<'_>, stored: &HashMap<EventId, StoredEvent>, record: &DeliveryRecord) {
        let found = judge.surplus(record, stored.get(&record.id.event));
        self.states.count(record.state, record.attempts);
        self.matched += u64::from(found.as_ref().is_none_or(Difference::is_promised));
        self.differences.extend(found.map(|found| (record.key(), found)));
    }
}
