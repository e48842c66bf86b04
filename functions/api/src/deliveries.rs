//! Deliveries by state, endpoint and time, and one by its id. Reads only.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use redial_domain::delivery::DeliveryState;
use redial_domain::{DeliveryId, EndpointId};
use redial_platform::keys;
use redial_platform::problem::Problem;
use redial_platform::routes;
use redial_platform::routes::Routes;
use redial_platform::store::StoreError;
use redial_platform::store::deliveries::DeliveryRecord;
use redial_platform::store::lists::{After, DeliveryFilter, MAX_STREAMS, Order, Range};

use crate::Api;
use crate::access::InTenant;
use crate::cursor::Place;
use crate::events::ALL_MS;
use crate::export::{Exported, Format};
use crate::listing::{Listing, Wanted};
use crate::query::{Query, refuse};
use crate::views::{DeliveryView, Responses};
use crate::waiting::{before_end_of, is_after, moment_of, place, unrecorded};

/// How far back the list of queued deliveries goes unless `since` says otherwise, in milliseconds: what waits longer for
/// its first attempt is a backlog that has been seen.
const QUEUED_MS: i64 = 24 * keys::HOUR_MS;

/// Longest reason that can be asked for.
const MAX_REASON_BYTES: usize = 64;

pub(crate) fn routes<R: Routes<Arc<Api>>>(to: R) -> R {
    to.with(routes!(list)).with(routes!(read))
}

/// Which deliveries.
#[derive(Debug)]
struct Asked {
    filter: DeliveryFilter,
    range: Range,
}

/// Deliveries of a page, newest first, and where the next begins.
type Page = redial_platform::store::lists::Page<DeliveryRecord>;

/// List deliveries
///
/// Newest first, each with all its attempts. `queued` is a delivery without a first attempt; those of the latest events
/// are in the list of all states, `state=queued` lists all of the last 24 hours (or since `since`). Replays that are queued
/// are among the deliveries of their event. Every filter goes with every other. Without `endpoint`: of the endpoints that
/// there are; those of a deleted one are listed by its id, and among the deliveries of their event. A page may have fewer
/// deliveries than `limit`, or none, and a `next` all the same: what one request looks through is bounded. With
/// `Accept: application/x-ndjson` the page is one delivery a line, the cursor in header `redial-next-cursor`.
#[utoipa::path(
    get,
    path = "/v1/tenants/{tenant}/deliveries",
    operation_id = "list_deliveries",
    tag = "deliveries",
    params(
        ("tenant" = String, Path, description = "The tenant's id"),
        ("state" = Option<String>, Query, description = "Only in this state",
            pattern = "^(queued|retrying|held|succeeded|dead|canceled)$"),
        ("endpoint" = Option<String>, Query, description = "Only of this endpoint, which may be deleted"),
        ("type" = Option<String>, Query, description = "Only of this event type, or of all below a name as `call.*`",
            max_length = 128, pattern = r"^[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*(\.\*)?$"),
        ("reason" = Option<String>, Query, description = "Only with this reason: why it is held, dead or canceled",
            max_length = 64, pattern = "^[a-z0-9_]+$"),
        ("since" = Option<String>, Query, description = "First moment of acceptance (of a replay: of asking), RFC 3339"),
        ("until" = Option<String>, Query, description = "First moment after it, RFC 3339"),
        ("limit" = Option<u8>, Query, description = "Most items, 1 to 100, 50 by default"),
        ("cursor" = Option<String>, Query, description = "`next` of the page before"),
    ),
    responses(
        (status = 200, description = "A page of deliveries", content(
            (Listing<DeliveryView> = "application/json"),
            (String = "application/x-ndjson"),
        ), headers(
            ("redial-next-cursor" = String, description = "Of NDJSON: where the next page begins; absent: this was the last"),
            ("redial-unreadable" = u32, description = "Of NDJSON: how many items cannot be read; absent: none"),
        )),
        (status = 400, description = "A parameter is wrong, or without `endpoint` there is too much to look through \
            (`endpoint_needed`)", body = Problem),
        (status = 401, description = "No valid key", body = Problem),
        (status = 403, description = "The key may not", body = Problem),
        (status = 404, description = "No such tenant, or another's", body = Problem),
    )
)]
async fn list(
    State(api): State<Arc<Api>>,
    scope: InTenant,
    format: Format,
    RawQuery(raw): RawQuery,
) -> Result<Exported<DeliveryView>, Problem> {
    let filters = ["state", "endpoint", "type", "reason", "since", "until"];
    let query = Query::parse(raw.as_deref(), &filters)?;
    let wanted = api.wanted("deliveries", Some(scope.id()), &query).await?;
    let asked = Asked::read(&api, &scope, &wanted, &query)?;
    let page = api.deliveries_page(&scope, &asked, &wanted).await?;
    let (items, unreadable) = api.with_attempts(scope.id(), page.items, Responses::Hidden).await?;
    let next = page.next.map(|after| Place::within(asked.range, after));
    let listing = api.listing(&wanted, items, next).await?;
    Ok(Exported(format, listing.without(page.unreadable + unreadable)))
}

impl Asked {
    fn read(api: &Api, scope: &InTenant, wanted: &Wanted, query: &Query) -> Result<Self, Problem> {
        let expected = "queued, retrying, held, succeeded, dead or canceled";
        let state = query.read("state", expected, DeliveryState::parse)?;
        let endpoint = query.read("endpoint", "an endpoint's id", |text| EndpointId::parse(text).ok())?;
        let reason = query.read("reason", "a reason such as attempts_exhausted", |text| {
            let known = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_';
            (text.len() <= MAX_REASON_BYTES && text.bytes().all(known)).then(|| text.to_owned())
        })?;
        let existing = || scope.config.endpoints.iter().map(|stored| stored.endpoint.id.clone());
        let default_ms = if state == Some(DeliveryState::Queued) {
            QUEUED_MS
        } else {
            ALL_MS
        };
        let asked = Self {
            filter: DeliveryFilter {
                endpoints: endpoint.map_or_else(|| existing().collect(), |endpoint| vec![endpoint]),
                state,
                event_type: query.type_pattern()?,
                reason,
                ..DeliveryFilter::default()
            },
            range: api.range(wanted, query, default_ms)?,
        };
        if state != Some(DeliveryState::Queued) && asked.filter.streams(scope.tenant().shards) > MAX_STREAMS {
            let detail = "must name an endpoint: all of this tenant's are too many to look through in this state; \
                          retrying, held, dead and queued deliveries are listed without one";
            return Err(refuse("endpoint_needed", "endpoint", detail));
        }
        Ok(asked)
    }
}

impl Api {
    async fn deliveries_page(&self, scope: &InTenant, asked: &Asked, wanted: &Wanted) -> Result<Page, StoreError> {
        if asked.range.is_empty() {
            return Ok(Page::empty());
        }
        match asked.filter.state {
            Some(DeliveryState::Queued) => self.queued_page(scope, asked, wanted).await,
            Some(_) => self.recorded_page(scope, asked, wanted).await,
            None => self.mixed_page(scope, asked, wanted).await,
        }
    }

    async fn recorded_page(&self, scope: &InTenant, asked: &Asked, wanted: &Wanted) -> Result<Page, StoreError> {
        let question = wanted.question(scope, asked.range, Order::NewestFirst, self.clock.now());
        self.store.list_deliveries(&question, &asked.filter).await
    }

    async fn queued_page(&self, scope: &InTenant, asked: &Asked, wanted: &Wanted) -> Result<Page, StoreError> {
        let after = wanted.place.as_ref().map(|place| &place.after);
        let window = up_to(asked.range, after);
        let found = self.first_deliveries(scope.tenant(), &asked.filter, window).await?;
        let queued = found
            .records
            .into_iter()
            .filter(|record| record.state == DeliveryState::Queued && asked.is_for(record));
        let page = cut(queued.collect(), after, wanted.limit, found.rest.map(before_end_of));
        Ok(Page {
            unreadable: found.unreadable,
            ..page
        })
    }

    /// Recorded deliveries, and among them those of the latest events that nobody has recorded yet.
    async fn mixed_page(&self, scope: &InTenant, asked: &Asked, wanted: &Wanted) -> Result<Page, StoreError> {
        let after = wanted.place.as_ref().map(|place| &place.after);
        let recorded = self.recorded_page(scope, asked, wanted).await?;
        let mut next = recorded.next;
        let latest = self.clock.now().plus_millis(-QUEUED_MS);
        let mut window = up_to(asked.range, after);
        window.since = window.since.max(latest);
        if let Some(last) = next.as_ref().and_then(moment_of) {
            window.since = window.since.max(last);
        }
        let found = self.first_deliveries(scope.tenant(), &asked.filter, window).await?;
        let has_queued = found.records.iter().any(|record| record.state == DeliveryState::Queued);
        let by_place = |record: DeliveryRecord| ((record.key().sk, record.id.endpoint.clone()), record);
        // A record that came between the two reads is in one of them: it counts once, and more than what was derived.
        let mut merged: BTreeMap<_, DeliveryRecord> = recorded.items.into_iter().map(by_place).collect();
        for (place, record) in found
            .records
            .into_iter()
            .filter(|record| asked.is_for(record))
            .map(by_place)
        {
            merged.entry(place).or_insert(record);
        }
        let mut records: Vec<DeliveryRecord> = merged.into_values().collect();
        // A backlog is gone through to its end; elsewhere the latest events are enough.
        if let Some(rest) = found.rest.filter(|_| has_queued) {
            next = Some(before_end_of(rest));
        }
        if let Some(end) = &next {
            records.retain(|record| !is_after(&place(record), end));
        }
        let page = cut(records, after, wanted.limit, next);
        Ok(Page {
            unreadable: recorded.unreadable + found.unreadable,
            ..page
        })
    }
}

impl Asked {
    /// True if a delivery that was found through its event has the reason that is asked for.
    fn is_for(&self, record: &DeliveryRecord) -> bool {
        self.filter.reason.is_none() || self.filter.reason == record.reason
    }
}

/// The part of `range` that a page after `after` may have items of.
fn up_to(range: Range, after: Option<&After>) -> Range {
    let end = after.and_then(moment_of).map(|at| at.plus_millis(1));
    Range {
        since: range.since,
        until: end.map_or(range.until, |end| end.min(range.until)),
    }
}

/// One page of `records`, newest first; `next` is where the next begins if all of them fit.
fn cut(mut records: Vec<DeliveryRecord>, after: Option<&After>, limit: usize, next: Option<After>) -> Page {
    records.retain(|record| after.is_none_or(|after| is_after(&place(record), after)));
    records.sort_by_cached_key(|record| {
        let After { sort_key, endpoint } = place(record);
        std::cmp::Reverse((sort_key, endpoint))
    });
    let next = if records.len() > limit {
        Some(place(&records[limit - 1]))
    } else {
        next
    };
    records.truncate(limit);
    Page {
        items: records,
        next,
        unreadable: 0,
    }
}

/// Read a delivery
///
/// With all its attempts, and what was kept of the receiver's answers.
#[utoipa::path(
    get,
    path = "/v1/tenants/{tenant}/deliveries/{delivery}",
    operation_id = "read_delivery",
    tag = "deliveries",
    params(
        ("tenant" = String, Path, description = "The tenant's id"),
        ("delivery" = String, Path, description = "`<event>.<endpoint>` or `<event>.<endpoint>.<replay>`"),
    ),
    responses(
        (status = 200, description = "The delivery", body = DeliveryView),
        (status = 401, description = "No valid key", body = Problem),
        (status = 403, description = "The key may not", body = Problem),
        (status = 404, description = "No such delivery, or another's", body = Problem),
    )
)]
async fn read(State(api): State<Arc<Api>>, scope: InTenant) -> Result<Json<DeliveryView>, Problem> {
    let id = scope.delivery()?;
    let record = api.delivery(&scope, id).await?;
    let record = record.ok_or_else(|| Problem::not_found("delivery"))?;
    let (mut views, _) = api.with_attempts(scope.id(), vec![record], Responses::shown()).await?;
    views.pop().map(Json).ok_or_else(Problem::internal)
}

impl Api {
    /// A delivery: recorded, or derived from its event and replays.
    async fn delivery(&self, scope: &InTenant, id: DeliveryId) -> Result<Option<DeliveryRecord>, StoreError> {
        let (tenant, now) = (scope.id(), self.clock.now());
        let Some(event) = self.store.event_or_tombstone(tenant, &id.event, now).await? else {
            return Ok(None);
        };
        let recorded = self
            .store
            .delivery(tenant, &id, event.accepted_at, event.shards)
            .await?;
        if recorded.is_some() {
            return Ok(recorded);
        }
        let exists = match &id.replay {
            None => event.matched.contains(&id.endpoint),
            Some(_) => self.store.was_replayed(tenant, &id).await?,
        };
        Ok(exists.then(|| unrecorded(Some(&scope.config), &event, id, now)))
    }
}
