//! What became of a tenant's deliveries, by hour: the counts that the sweeper keeps, and the hours that it has not counted
//! yet, read from the records. Reads only.

use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use redial_domain::delivery::DeliveryState;
use redial_domain::{EndpointId, Timestamp};
use redial_platform::keys::{HOUR_MS, hour_of};
use redial_platform::problem::Problem;
use redial_platform::routes;
use redial_platform::routes::Routes;
use redial_platform::store::lists::{DeliveryFilter, MAX_STREAMS, Order, Question, Range};
use redial_platform::store::sweep::HourCounts;
use serde::Serialize;
use utoipa::ToSchema;

use crate::Api;
use crate::access::InTenant;
use crate::query::{Query, refuse};

/// Longest stretch of time of one answer, in days. docs/LIMITS.md.
const MAX_DAYS: i64 = 31;
/// Milliseconds of the stretch that is answered if none is asked for.
const DEFAULT_MS: i64 = 24 * HOUR_MS;
/// Hours that are read from the records: the sweeper counts an hour a few minutes after its end.
const LIVE_HOURS: i64 = 2;
/// Deliveries that are read of such an hour. docs/LIMITS.md.
const MAX_LIVE: usize = 2_000;

pub(crate) fn routes<R: Routes<Arc<Api>>>(to: R) -> R {
    to.with(routes!(read))
}

/// The deliveries of the events accepted in some time, by where they stand. Replays are not counted.
#[derive(Debug, Default, Serialize, ToSchema)]
struct CountsView {
    /// Deliveries in all: one for each event and endpoint that it matched.
    matched: u64,
    succeeded: u64,
    dead: u64,
    canceled: u64,
    queued: u64,
    retrying: u64,
    held: u64,
    /// Attempts made for them.
    attempts: u64,
    /// Succeeded of those that succeeded or are dead, 0 to 1; `null`: there are none.
    #[schema(required, minimum = 0, maximum = 1)]
    success_rate: Option<f64>,
    /// Dead of those that succeeded or are dead, 0 to 1; `null`: there are none.
    #[schema(required, minimum = 0, maximum = 1)]
    failure_rate: Option<f64>,
}

impl From<&HourCounts> for CountsView {
    fn from(counts: &HourCounts) -> Self {
        let of = |state| counts.of(state);
        let (succeeded, dead) = (of(DeliveryState::Succeeded), of(DeliveryState::Dead));
        let concluded = succeeded + dead;
        #[expect(clippy::cast_precision_loss, reason = "a share of counts far below 2^52")]
        let share = |part: u64| (concluded > 0).then(|| part as f64 / concluded as f64);
        Self {
            matched: counts.matched,
            succeeded,
            dead,
            canceled: of(DeliveryState::Canceled),
            queued: of(DeliveryState::Queued),
            retrying: of(DeliveryState::Retrying),
            held: of(DeliveryState::Held),
            attempts: counts.attempts,
            success_rate: share(succeeded),
            failure_rate: share(dead),
        }
    }
}

/// An hour's.
#[derive(Debug, Serialize, ToSchema)]
struct HourView {
    /// Its first moment.
    #[schema(value_type = String, format = DateTime)]
    hour: Timestamp,
    /// True if it was read from the records just now: deliveries without a record yet are missing in it.
    live: bool,
    /// False if it has more deliveries than one request reads: then these are the latest of them.
    complete: bool,
    #[serde(flatten)]
    counts: CountsView,
}

/// What became of deliveries, by the hour in which their events were accepted.
#[derive(Debug, Serialize, ToSchema)]
struct StatisticsView {
    /// The hours with anything in them, oldest first.
    hours: Vec<HourView>,
    /// Their sum.
    total: CountsView,
}

/// Read statistics
///
/// Success and failure by the hour in which events were accepted: of the tenant, or of one endpoint. Whole hours, of at most
/// 31 days; the last 24 hours by default. An hour is counted a few minutes after its end, and again while anything of it is
/// unfinished; the latest hours are read from the records.
#[utoipa::path(
    get,
    path = "/v1/tenants/{tenant}/statistics",
    operation_id = "read_statistics",
    tag = "statistics",
    params(
        ("tenant" = String, Path, description = "The tenant's id"),
        ("endpoint" = Option<String>, Query, description = "Only of this endpoint, which may be deleted"),
        ("since" = Option<String>, Query, description = "A moment of the first hour, RFC 3339"),
        ("until" = Option<String>, Query, description = "First moment after the last hour, RFC 3339"),
    ),
    responses(
        (status = 200, description = "The hours, and their sum", body = StatisticsView),
        (status = 400, description = "A parameter is wrong, or the stretch is longer than 31 days (`range_too_long`)", body = Problem),
        (status = 401, description = "No valid key", body = Problem),
        (status = 403, description = "The key may not", body = Problem),
        (status = 404, description = "No such tenant, or another's", body = Problem),
    )
)]
async fn read(
    State(api): State<Arc<Api>>,
    scope: InTenant,
    RawQuery(raw): RawQuery,
) -> Result<Json<StatisticsView>, Problem> {
    let query = Query::parse(raw.as_deref(), &["endpoint", "since", "until"])?;
    let endpoint = query.read("endpoint", "an endpoint's id", |text| EndpointId::parse(text).ok())?;
    let wanted = api.wanted("statistics", Some(scope.id()), &query).await?;
    let Range { since, until } = api.range(&wanted, &query, DEFAULT_MS)?;
    let since = hour_of(since);
    if until.millis_since(since) > MAX_DAYS * 24 * HOUR_MS {
        return Err(refuse(
            "range_too_long",
            "since",
            "must be at most 31 days before until",
        ));
    }
    let now = api.clock.now();
    let oldest_live = hour_of(now).plus_millis((1 - LIVE_HOURS) * HOUR_MS);
    let rolled = api.store.sweep_mark(scope.id()).await?.map(|mark| mark.rolled);
    let counted_until = rolled.map_or(oldest_live, |rolled| rolled.max(oldest_live));
    let last_counted = until.min(counted_until).plus_millis(-1);
    let mut hours = Vec::new();
    let mut total = HourCounts::default();
    let mut add = |hour: Timestamp, counts: &HourCounts, live: bool, complete: bool| {
        total.add(counts);
        hours.push(HourView {
            hour,
            live,
            complete,
            counts: counts.into(),
        });
    };
    if last_counted >= since {
        let counted = api
            .store
            .hours(scope.id(), endpoint.as_ref(), since, last_counted)
            .await?;
        counted
            .iter()
            .for_each(|(hour, counts)| add(*hour, counts, false, true));
    }
    let mut hour = counted_until.max(since);
    while hour < until && hour <= now {
        let end = hour.plus_millis(HOUR_MS);
        let (counts, complete) = api.live_hour(&scope, endpoint.as_ref(), hour, end).await?;
        if counts.matched > 0 || !complete {
            add(hour, &counts, true, complete);
        }
        hour = end;
    }
    let total = CountsView::from(&total);
    Ok(Json(StatisticsView { hours, total }))
}

impl Api {
    /// Counts the recorded deliveries of an hour; false if there are more than are read.
    async fn live_hour(
        &self,
        scope: &InTenant,
        endpoint: Option<&EndpointId>,
        since: Timestamp,
        until: Timestamp,
    ) -> Result<(HourCounts, bool), Problem> {
        let existing = || scope.config.endpoints.iter().map(|stored| stored.endpoint.id.clone());
        let filter = DeliveryFilter {
            endpoints: endpoint.map_or_else(|| existing().collect(), |id| vec![id.clone()]),
            ..DeliveryFilter::default()
        };
        let (tenant, mut counts) = (scope.tenant(), HourCounts::default());
        if filter.streams(tenant.shards) > MAX_STREAMS {
            return Ok((counts, false));
        }
        let question = Question {
            tenant: &tenant.id,
            shards: tenant.shards,
            range: Range { since, until },
            order: Order::NewestFirst,
            after: None,
            limit: MAX_LIVE,
            now: self.clock.now(),
        };
        let page = self.store.list_deliveries(&question, &filter).await?;
        for record in page.items.iter().filter(|record| record.id.replay.is_none()) {
            counts.matched += 1;
            counts.count(record.state, record.attempts);
        }
        Ok((counts, page.next.is_none()))
    }
}
