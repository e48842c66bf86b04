//! What became of a tenant's deliveries, by hour: the counts that the sweeper keeps, and the hours that it has not counted
//! yet, read from the records. Smaller steps are read from the records alone. Reads only.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use redial_domain::delivery::DeliveryState;
use redial_domain::{EndpointId, Timestamp};
use redial_platform::keys::{HOUR_MS, hour_of};
use redial_platform::problem::Problem;
use redial_platform::routes;
use redial_platform::routes::Routes;
use redial_platform::store::deliveries::DeliveryRecord;
use redial_platform::store::lists::{DeliveryFilter, MAX_STREAMS, Order, Question, Range};
use redial_platform::store::sweep::HourCounts;
use serde::Serialize;
use utoipa::ToSchema;

use crate::Api;
use crate::access::InTenant;
use crate::query::{Query, refuse};

/// Longest stretch of time of one answer, in days. docs/LIMITS.md.
const MAX_DAYS: i64 = 31;
/// Longest stretch of one answer in steps that are smaller than an hour, in hours. docs/LIMITS.md.
const MAX_STEPPED_HOURS: i64 = 6;
/// Milliseconds of the stretch that is answered if none is asked for.
const DEFAULT_MS: i64 = 24 * HOUR_MS;
/// The same, in steps that are smaller than an hour.
const DEFAULT_STEPPED_MS: i64 = HOUR_MS;
/// Hours that are read from the records: the sweeper counts an hour a few minutes after its end.
const LIVE_HOURS: i64 = 2;
/// Deliveries that are read of such an hour. docs/LIMITS.md.
const MAX_LIVE: usize = 2_000;
/// Deliveries that are read of a stretch in smaller steps: as many as one list looks through. docs/LIMITS.md.
const MAX_STEPPED: usize = 5_000;
/// The steps that there are, in seconds.
const STEPS_S: [i64; 4] = [60, 300, 900, HOUR_S];
const HOUR_S: i64 = HOUR_MS / 1000;

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
    /// Milliseconds from the acceptance of an event until its delivery had succeeded, waits for retries and holds included: of
    /// those that succeeded, half took no longer. Told to a quarter of itself at worst; `null`: none has succeeded, or it was
    /// not measured yet when they did.
    #[schema(required)]
    latency_p50_ms: Option<u64>,
    /// The same: 99 of 100 took no longer.
    #[schema(required)]
    latency_p99_ms: Option<u64>,
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
            latency_p50_ms: counts.latency.percentile_ms(50),
            latency_p99_ms: counts.latency.percentile_ms(99),
        }
    }
}

/// An hour's, or those of a smaller step.
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

/// What became of deliveries, by the hour, or a smaller step, in which their events were accepted.
#[derive(Debug, Serialize, ToSchema)]
struct StatisticsView {
    /// Seconds of each of `hours`.
    step_s: i64,
    /// The hours with anything in them, oldest first; the steps, if `step_s` asks for smaller ones.
    hours: Vec<HourView>,
    /// Their sum.
    total: CountsView,
}

/// What an answer is put together from.
#[derive(Default)]
struct Gathered {
    hours: Vec<HourView>,
    total: HourCounts,
}

impl Gathered {
    fn add(&mut self, hour: Timestamp, counts: &HourCounts, live: bool, complete: bool) {
        self.total.add(counts);
        self.hours.push(HourView {
            hour,
            live,
            complete,
            counts: counts.into(),
        });
    }

    fn answer(self, step_s: i64) -> StatisticsView {
        StatisticsView {
            step_s,
            hours: self.hours,
            total: (&self.total).into(),
        }
    }
}

/// Read statistics
///
/// Success, failure and latency by the hour in which events were accepted: of the tenant, or of one endpoint. Whole hours, of at
/// most 31 days; the last 24 hours by default. An hour is counted a few minutes after its end, and again while anything of it is
/// unfinished; the latest hours are read from the records.
///
/// With `step_s` in smaller steps, of at most 6 hours, the last one by default: all of it is read from the records, the latest
/// 5,000 deliveries. Steps before these are left out, and the one in which they begin is not `complete`.
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
        ("step_s" = Option<String>, Query, description = "Seconds of a step: `60`, `300`, `900` or `3600`, an hour, by default"),
    ),
    responses(
        (status = 200, description = "The hours, and their sum", body = StatisticsView),
        (status = 400, description = "A parameter is wrong, or the stretch is longer than 31 days, in smaller steps 6 hours (`range_too_long`)", body = Problem),
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
    let query = Query::parse(raw.as_deref(), &["endpoint", "since", "until", "step_s"])?;
    let endpoint = query.read("endpoint", "an endpoint's id", |text| EndpointId::parse(text).ok())?;
    let parse = |text: &str| STEPS_S.into_iter().find(|step_s| step_s.to_string() == text);
    let step_s = query.read("step_s", "60, 300, 900 or 3600", parse)?.unwrap_or(HOUR_S);
    let is_stepped = step_s < HOUR_S;
    let wanted = api.wanted("statistics", Some(scope.id()), &query).await?;
    let default_ms = if is_stepped { DEFAULT_STEPPED_MS } else { DEFAULT_MS };
    let Range { since, until } = api.range(&wanted, &query, default_ms)?;
    let since = step_of(since, step_s);
    let (longest_hours, detail) = if is_stepped {
        (
            MAX_STEPPED_HOURS,
            "must be at most 6 hours before until, in steps of less than an hour",
        )
    } else {
        (MAX_DAYS * 24, "must be at most 31 days before until")
    };
    // In small steps the default end lies a little ahead of now.
    let slack_ms = if is_stepped { step_s * 1000 } else { 0 };
    if until.millis_since(since) > longest_hours * HOUR_MS + slack_ms {
        return Err(refuse("range_too_long", "since", detail));
    }
    let range = Range { since, until };
    let gathered = if is_stepped {
        api.stepped(&scope, endpoint.as_ref(), range, step_s).await?
    } else {
        api.by_hour(&scope, endpoint.as_ref(), range).await?
    };
    Ok(Json(gathered.answer(step_s)))
}

/// The first moment of the step that a moment lies in.
fn step_of(at: Timestamp, step_s: i64) -> Timestamp {
    let into_ms = at.as_millis().rem_euclid(step_s * 1000);
    at.plus_millis(-into_ms)
}

impl Api {
    /// The hours that the sweeper has counted, and the later ones from the records.
    async fn by_hour(
        &self,
        scope: &InTenant,
        endpoint: Option<&EndpointId>,
        Range { since, until }: Range,
    ) -> Result<Gathered, Problem> {
        let now = self.clock.now();
        let oldest_live = hour_of(now).plus_millis((1 - LIVE_HOURS) * HOUR_MS);
        let rolled = self.store.sweep_mark(scope.id()).await?.map(|mark| mark.rolled);
        let counted_until = rolled.map_or(oldest_live, |rolled| rolled.max(oldest_live));
        let last_counted = until.min(counted_until).plus_millis(-1);
        let mut gathered = Gathered::default();
        if last_counted >= since {
            let counted = self.store.hours(scope.id(), endpoint, since, last_counted).await?;
            for (hour, counts) in &counted {
                gathered.add(*hour, counts, false, true);
            }
        }
        let mut hour = counted_until.max(since);
        while hour < until && hour <= now {
            let end = hour.plus_millis(HOUR_MS);
            let range = Range {
                since: hour,
                until: end,
            };
            let (records, complete) = self.recorded(scope, endpoint, range, MAX_LIVE).await?;
            let mut counts = HourCounts::default();
            records.iter().for_each(|record| count(&mut counts, record));
            if counts.matched > 0 || !complete {
                gathered.add(hour, &counts, true, complete);
            }
            hour = end;
        }
        Ok(gathered)
    }

    /// The latest deliveries of a stretch, by the step that each was accepted in.
    async fn stepped(
        &self,
        scope: &InTenant,
        endpoint: Option<&EndpointId>,
        range: Range,
        step_s: i64,
    ) -> Result<Gathered, Problem> {
        let (records, complete) = self.recorded(scope, endpoint, range, MAX_STEPPED).await?;
        let mut steps: BTreeMap<Timestamp, HourCounts> = BTreeMap::new();
        for record in &records {
            count(steps.entry(step_of(record.accepted_at, step_s)).or_default(), record);
        }
        if !complete && steps.is_empty() {
            // Nothing was read that could be told: that is said of the first step, not left out.
            steps.entry(range.since).or_default();
        }
        let mut gathered = Gathered::default();
        let oldest = steps.keys().next().copied();
        for (at, counts) in &steps {
            gathered.add(*at, counts, true, complete || Some(*at) != oldest);
        }
        Ok(gathered)
    }

    /// The latest recorded first deliveries of a stretch; false if there are more than were read.
    async fn recorded(
        &self,
        scope: &InTenant,
        endpoint: Option<&EndpointId>,
        range: Range,
        limit: usize,
    ) -> Result<(Vec<DeliveryRecord>, bool), Problem> {
        let existing = || scope.config.endpoints.iter().map(|stored| stored.endpoint.id.clone());
        let filter = DeliveryFilter {
            endpoints: endpoint.map_or_else(|| existing().collect(), |id| vec![id.clone()]),
            ..DeliveryFilter::default()
        };
        let tenant = scope.tenant();
        if filter.streams(tenant.shards) > MAX_STREAMS {
            return Ok((Vec::new(), false));
        }
        let question = Question {
            tenant: &tenant.id,
            shards: tenant.shards,
            range,
            order: Order::NewestFirst,
            after: None,
            limit,
            now: self.clock.now(),
        };
        let mut page = self.store.list_deliveries(&question, &filter).await?;
        page.items.retain(|record| record.id.replay.is_none());
        Ok((page.items, page.next.is_none()))
    }
}

/// Counts a recorded delivery as one that its event promised.
fn count(counts: &mut HourCounts, record: &DeliveryRecord) {
    counts.matched += 1;
    counts.count_record(record);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_begins_at_a_round_moment() {
        let at = Timestamp::from_millis(1_795_000_123_456);
        assert_eq!(step_of(at, 60).as_millis(), 1_795_000_080_000);
        assert_eq!(step_of(at, HOUR_S), hour_of(at));
    }
}
