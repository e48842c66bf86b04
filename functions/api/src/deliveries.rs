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
use redial_platform::store::lists::{After, Range};

use crate::Api;
use crate::access::InTenant;
use crate::cursor::Place;
use crate::events::ALL_MS;
use crate::listing::{Listing, Wanted};
use crate::query::Query;
use crate::views::{DeliveryView, Responses};
use crate::waiting::{before_end_of, is_after, moment_of, place, unrecorded};

/// How far back the list of queued deliveries goes unless `since` says otherwise, in milliseconds: what waits longer for
/// its first attempt is a backlog that has been seen.
const QUEUED_MS: i64 = 24 * keys::HOUR_MS;

pub(crate) fn routes<R: Routes<Arc<Api>>>(to: R) -> R {
    to.with(routes!(list)).with(routes!(read))
}

/// Which deliveries.
#[derive(Debug)]
struct Asked {
    endpoints: Vec<EndpointId>,
    state: Option<DeliveryState>,
    range: Range,
}

/// Deliveries of a page, newest first, and where the next begins.
type Page = (Vec<DeliveryRecord>, Option<After>);

/// List deliveries
///
/// Newest first, each with all its attempts. `queued` is a delivery without a first attempt; those of the latest events
/// are in the list of all states, `state=queued` lists all of the last 24 hours (or since `since`). Replays that are queued
/// are among the deliveries of their event.
#[utoipa::path(
    get,
    path = "/v1/tenants/{tenant}/deliveries",
    tag = "deliveries",
    params(
        ("tenant" = String, Path, description = "The tenant's id"),
        ("state" = Option<String>, Query, description = "Only `queued`, `retrying`, `held`, `succeeded`, `dead` or `canceled`"),
        ("endpoint" = Option<String>, Query, description = "Only of this endpoint, which may be deleted"),
        ("since" = Option<String>, Query, description = "First moment of acceptance (of a replay: of asking), RFC 3339"),
        ("until" = Option<String>, Query, description = "First moment after it, RFC 3339"),
        ("limit" = Option<u8>, Query, description = "Most items, 1 to 100, 50 by default"),
        ("cursor" = Option<String>, Query, description = "`next` of the page before"),
    ),
    responses(
        (status = 200, description = "A page of deliveries", body = Listing<DeliveryView>),
        (status = 400, description = "A parameter is wrong", body = Problem),
        (status = 401, description = "No valid key", body = Problem),
        (status = 403, description = "The key may not", body = Problem),
        (status = 404, description = "No such tenant, or another's", body = Problem),
    )
)]
async fn list(
    State(api): State<Arc<Api>>,
    scope: InTenant,
    RawQuery(raw): RawQuery,
) -> Result<Json<Listing<DeliveryView>>, Problem> {
    let query = Query::parse(raw.as_deref(), &["state", "endpoint", "since", "until"])?;
    let wanted = api.wanted("deliveries", Some(scope.id()), &query).await?;
    let expected = "queued, retrying, held, succeeded, dead or canceled";
    let state = query.read("state", expected, DeliveryState::parse)?;
    let endpoint = query.read("endpoint", "an endpoint's id", |text| EndpointId::parse(text).ok())?;
    let default_ms = if state == Some(DeliveryState::Queued) {
        QUEUED_MS
    } else {
        ALL_MS
    };
    let all = || {
        scope
            .config
            .endpoints
            .iter()
            .map(|stored| stored.endpoint.id.clone())
            .collect()
    };
    let asked = Asked {
        endpoints: endpoint.map_or_else(all, |endpoint| vec![endpoint]),
        state,
        range: api.range(&wanted, &query, default_ms)?,
    };
    let (records, next) = api.deliveries_page(&scope, &asked, &wanted).await?;
    let items = api.with_attempts(scope.id(), records, Responses::Hidden).await?;
    let next = next.map(|after| Place::within(asked.range, after));
    Ok(Json(api.listing(&wanted, items, next).await?))
}

impl Api {
    async fn deliveries_page(&self, scope: &InTenant, asked: &Asked, wanted: &Wanted) -> Result<Page, StoreError> {
        if asked.range.since >= asked.range.until {
            return Ok((Vec::new(), None));
        }
        let after = wanted.place.as_ref().map(|place| &place.after);
        match asked.state {
            Some(DeliveryState::Queued) => self.queued_page(scope, asked, after, wanted.limit).await,
            Some(_) => self.recorded_page(scope, asked, after, wanted.limit).await,
            None => self.mixed_page(scope, asked, after, wanted.limit).await,
        }
    }

    async fn recorded_page(
        &self,
        scope: &InTenant,
        asked: &Asked,
        after: Option<&After>,
        limit: usize,
    ) -> Result<Page, StoreError> {
        let (tenant, now) = (scope.tenant(), self.clock.now());
        let Asked {
            endpoints,
            state,
            range,
        } = asked;
        let page = self
            .store
            .list_deliveries(&tenant.id, endpoints, tenant.shards, *state, *range, after, limit, now)
            .await?;
        Ok((page.items, page.next))
    }

    async fn queued_page(
        &self,
        scope: &InTenant,
        asked: &Asked,
        after: Option<&After>,
        limit: usize,
    ) -> Result<Page, StoreError> {
        let window = up_to(asked.range, after);
        let found = self.first_deliveries(scope.tenant(), &asked.endpoints, window).await?;
        let queued = found
            .records
            .into_iter()
            .filter(|record| record.state == DeliveryState::Queued);
        Ok(cut(queued.collect(), after, limit, found.rest.map(before_end_of)))
    }

    /// Recorded deliveries, and among them those of the latest events that nobody has recorded yet.
    async fn mixed_page(
        &self,
        scope: &InTenant,
        asked: &Asked,
        after: Option<&After>,
        limit: usize,
    ) -> Result<Page, StoreError> {
        let (recorded, mut next) = self.recorded_page(scope, asked, after, limit).await?;
        let latest = self.clock.now().plus_millis(-QUEUED_MS);
        let mut window = up_to(asked.range, after);
        window.since = window.since.max(latest);
        if let Some(last) = next.as_ref().and_then(moment_of) {
            window.since = window.since.max(last);
        }
        let found = self.first_deliveries(scope.tenant(), &asked.endpoints, window).await?;
        let has_queued = found.records.iter().any(|record| record.state == DeliveryState::Queued);
        let by_place = |record: DeliveryRecord| ((record.key().sk, record.id.endpoint.clone()), record);
        // A record that came between the two reads is in one of them: it counts once, and more than what was derived.
        let mut merged: BTreeMap<_, DeliveryRecord> = recorded.into_iter().map(by_place).collect();
        for (place, record) in found.records.into_iter().map(by_place) {
            merged.entry(place).or_insert(record);
        }
        let mut records: Vec<DeliveryRecord> = merged.into_values().collect();
        // A backlog is gone through to its end; elsewhere the latest events are enough.
        if let Some(rest) = found.rest.filter(|_| has_queued) {
            let end = before_end_of(rest);
            records.retain(|record| !is_after(&place(record), &end));
            next = Some(end);
        }
        Ok(cut(records, after, limit, next))
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
    (records, next)
}

/// Read a delivery
///
/// With all its attempts, and what was kept of the receiver's answers.
#[utoipa::path(
    get,
    path = "/v1/tenants/{tenant}/deliveries/{delivery}",
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
    let mut views = api.with_attempts(scope.id(), vec![record], Responses::shown()).await?;
    views.pop().map(Json).ok_or_else(Problem::internal)
}

impl Api {
    /// A delivery: recorded, or derived from its event and replays.
    async fn delivery(&self, scope: &InTenant, id: DeliveryId) -> Result<Option<DeliveryRecord>, StoreError> {
        let (tenant, now) = (scope.id(), self.clock.now());
        let Some(event) = self.store.event(tenant, &id.event, now).await? else {
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
            Some(_) => self.store.replayed(tenant, &id.event).await?.contains(&id),
        };
        Ok(exists.then(|| unrecorded(&event, id)))
    }
}
