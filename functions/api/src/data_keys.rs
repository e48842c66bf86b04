//! The data keys that the endpoints' secrets are sealed under: rotated by operators, and the older ones retired when nothing
//! is sealed under them any more. Shows versions and numbers, never a key, wrapped or not.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use redial_domain::Timestamp;
use redial_platform::problem::Problem;
use redial_platform::routes;
use redial_platform::routes::Routes;
use redial_platform::store::data_keys::{DataKeys, Pass, Retired};
use serde::Serialize;
use utoipa::ToSchema;

use crate::Api;
use crate::access::Operator;
use crate::body::{OptionalBody, refuse};
use crate::reseal::{MAX_RESEALED, Stage};

/// Most older data keys that are kept readable beside the newest.
const MAX_READABLE: usize = 10;

pub(crate) fn routes<R: Routes<Arc<Api>>>(to: R) -> R {
    to.with(routes!(read))
        .with(routes!(rotate))
        .with(routes!(reseal))
        .with(routes!(retire))
}

/// What can be done next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = DataKeysState)]
enum Next {
    /// Nothing: there is no older key.
    Settled,
    /// Seal the secrets anew, or go on with it: `POST /v1/data-keys/reseal`.
    Resealing,
    /// Wait until `next_at`, then the same once more: what requests of before the rotation may have written late. After that,
    /// wait for those who may still open what they had read.
    Waiting,
    /// Mend or delete what is `named_unreadable`, then seal anew once more.
    Blocked,
    /// Retire the older keys: `POST /v1/data-keys/retire`.
    Retirable,
}

/// The data keys.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DataKeys)]
struct DataKeysView {
    /// The version that everything new is sealed under.
    #[schema(minimum = 1)]
    current: u32,
    /// When it became the newest; `null`: it is the first.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    rotated_at: Option<Timestamp>,
    /// What can be done next.
    state: Next,
    /// From when on, while `state` is `waiting`.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    next_at: Option<Timestamp>,
    /// Older versions that still open what they sealed.
    readable: Vec<u32>,
    /// Older versions that are gone.
    retired: Vec<RetiredView>,
    /// The latest walk over all endpoints since the rotation; `null`: there was none.
    #[schema(required)]
    progress: Option<ProgressView>,
}

/// A data key that is gone.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RetiredDataKey)]
struct RetiredView {
    version: u32,
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
}

/// A walk over all endpoints, by tenant.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ResealProgress)]
struct ProgressView {
    #[schema(value_type = String, format = DateTime)]
    began_at: Timestamp,
    /// `null`: it is not at its end.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    ended_at: Option<Timestamp>,
    /// Tenants that it is done with.
    tenants: u64,
    /// Endpoints of these.
    endpoints: u64,
    /// Endpoints whose secrets it sealed anew.
    resealed: u64,
    /// Tenants and endpoints that could not be read or opened. They are as they were.
    unreadable: u64,
    /// The first ten of them: `tenant` or `tenant/endpoint`.
    named_unreadable: Vec<String>,
}

impl DataKeysView {
    fn new(keys: DataKeys, now: Timestamp) -> Self {
        let (state, next_at) = match Stage::of(&keys, now) {
            Stage::Settled => (Next::Settled, None),
            Stage::Resealing => (Next::Resealing, None),
            Stage::Waiting(until) => (Next::Waiting, Some(until)),
            Stage::Blocked => (Next::Blocked, None),
            Stage::Retirable => (Next::Retirable, None),
        };
        let retired = keys.retired.into_iter();
        Self {
            current: keys.current,
            rotated_at: keys.rotated_at,
            state,
            next_at,
            readable: keys.readable,
            retired: retired
                .map(|Retired { version, at }| RetiredView { version, at })
                .collect(),
            progress: keys.pass.map(ProgressView::new),
        }
    }
}

impl ProgressView {
    fn new(pass: Pass) -> Self {
        Self {
            began_at: pass.began_at,
            ended_at: pass.ended_at,
            tenants: pass.tenants,
            endpoints: pass.endpoints,
            resealed: pass.resealed,
            unreadable: pass.unreadable,
            named_unreadable: pass.named_unreadable,
        }
    }
}

/// Show the data keys
///
/// Which version seals, which older ones are still read, and how far the secrets of endpoints are sealed anew.
#[utoipa::path(
    get,
    path = "/v1/data-keys",
    operation_id = "read_data_keys",
    tag = "data keys",
    responses(
        (status = 200, description = "The data keys", body = DataKeysView),
        (status = 401, description = "No valid key", body = Problem),
        (status = 403, description = "Only operators may", body = Problem),
    )
)]
async fn read(State(api): State<Arc<Api>>, _: Operator) -> Result<Json<DataKeysView>, Problem> {
    let keys = api.store.data_keys().await?.keys;
    Ok(Json(DataKeysView::new(keys, api.clock.now())))
}

/// How to rotate.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "describes the body; `rotate` reads its field")]
struct DataKeyRotation {
    /// The version that is rotated away: refused if it is not the newest, so that a request that is repeated rotates once.
    #[schema(minimum = 1)]
    from: Option<u32>,
}

/// Rotate the data key
///
/// From the answer on everything is sealed under a new data key. What was sealed before stays readable; have it sealed anew
/// with `POST /v1/data-keys/reseal`. A rotation before that was not at its end is taken over by this one.
#[utoipa::path(
    post,
    path = "/v1/data-keys/rotate",
    operation_id = "rotate_data_key",
    tag = "data keys",
    request_body = inline(Option<DataKeyRotation>),
    responses(
        (status = 200, description = "Rotated", body = DataKeysView),
        (status = 400, description = "Not JSON", body = Problem),
        (status = 401, description = "No valid key", body = Problem),
        (status = 403, description = "Only operators may", body = Problem),
        (status = 409, description = "`from` is not the newest (`data_key_rotated`), too many older keys are kept \
            (`data_keys_limit`), or somebody else did something to the data keys just now (`conflict`)", body = Problem),
        (status = 413, description = "Too large", body = Problem),
        (status = 422, description = "A field is wrong", body = Problem),
    )
)]
async fn rotate(
    State(api): State<Arc<Api>>,
    Operator { key_id, .. }: Operator,
    OptionalBody(mut fields): OptionalBody,
) -> Result<Json<DataKeysView>, Problem> {
    let from: Option<u32> = fields.take("from", "the version of a data key, a number of at least 1")?;
    fields.finish()?;
    let stored = api.store.data_keys().await?;
    let now = api.clock.now();
    let before = stored.keys;
    if from.is_some_and(|from| from != before.current) {
        let detail = format!("the newest data key is version {}: nothing was done", before.current);
        return Err(Problem::new(StatusCode::CONFLICT, "data_key_rotated", detail).at("from"));
    }
    if before.readable.len() >= MAX_READABLE {
        let detail = format!("{MAX_READABLE} older data keys are kept: retire one that nothing is sealed under first");
        return Err(Problem::new(StatusCode::CONFLICT, "data_keys_limit", detail));
    }
    // The one that is rotated away is there too, also where nothing was ever sealed: each version has a key.
    api.secrets.prepare(before.current).await?;
    let current = before.current + 1;
    // Made, stored and opened once, before anything says that it is the one.
    api.secrets.prepare(current).await?;
    let mut readable = before.readable;
    readable.push(before.current);
    let keys = DataKeys {
        current,
        rotated_at: Some(now),
        readable,
        retired: before.retired,
        pass: None,
    };
    api.store.put_data_keys(&keys, stored.revision).await?;
    api.secrets.refresh().await?;
    tracing::info!(version = current, by = key_id, "api.data_key_rotated");
    Ok(Json(DataKeysView::new(keys, now)))
}

/// How much is sealed anew.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "describes the body; `reseal` reads its field")]
struct Resealing {
    /// Most endpoints, 1 to 1000; 1000 by default.
    #[schema(minimum = 1, maximum = 1000)]
    limit: Option<u16>,
}

/// Seal secrets anew
///
/// Works for five seconds at most and answers how far it is. Ask again while `state` is `resealing`; whoever asks goes on
/// where it was, also after a crash.
#[utoipa::path(
    post,
    path = "/v1/data-keys/reseal",
    operation_id = "reseal_secrets",
    tag = "data keys",
    request_body = inline(Option<Resealing>),
    responses(
        (status = 200, description = "How far it is", body = DataKeysView),
        (status = 400, description = "Not JSON", body = Problem),
        (status = 401, description = "No valid key", body = Problem),
        (status = 403, description = "Only operators may", body = Problem),
        (status = 409, description = "A tenant was changed by others all the time: ask again", body = Problem),
        (status = 413, description = "Too large", body = Problem),
        (status = 422, description = "A field is wrong", body = Problem),
    )
)]
async fn reseal(
    State(api): State<Arc<Api>>,
    _: Operator,
    OptionalBody(mut fields): OptionalBody,
) -> Result<Json<DataKeysView>, Problem> {
    let limit: Option<usize> = fields.take("limit", "a number, 1 to 1000")?;
    fields.finish()?;
    let limit = limit.unwrap_or(MAX_RESEALED);
    if !(1..=MAX_RESEALED).contains(&limit) {
        return Err(refuse("limit_invalid", "limit", format!("must be 1 to {MAX_RESEALED}")));
    }
    let keys = api.reseal(limit).await?;
    Ok(Json(DataKeysView::new(keys, api.clock.now())))
}

/// Retire older data keys
///
/// All but the newest are gone for good, once no secret is sealed under them any more, which is made sure first. Cursors of
/// lists that began before the rotation are refused from then on (`cursor_invalid`). Where there are no older ones nothing
/// happens.
#[utoipa::path(
    post,
    path = "/v1/data-keys/retire",
    operation_id = "retire_data_keys",
    tag = "data keys",
    responses(
        (status = 200, description = "Retired", body = DataKeysView),
        (status = 401, description = "No valid key", body = Problem),
        (status = 403, description = "Only operators may", body = Problem),
        (status = 409, description = "Something may still be sealed under them (`data_key_in_use`), or somebody else did \
            something to the data keys just now (`conflict`)", body = Problem),
    )
)]
async fn retire(State(api): State<Arc<Api>>, Operator { key_id, .. }: Operator) -> Result<Json<DataKeysView>, Problem> {
    let stored = api.store.data_keys().await?;
    let (mut keys, now) = (stored.keys, api.clock.now());
    if !keys.readable.is_empty() {
        may_go(&keys, now)?;
        let older = std::mem::take(&mut keys.readable).into_iter();
        keys.retired.extend(older.map(|version| Retired { version, at: now }));
        api.store.put_data_keys(&keys, stored.revision).await?;
    }
    // Said to be retired first, so that nobody is told to open by what is gone. What a crash then left goes now.
    for Retired { version, at } in keys.retired.iter().rev().take(MAX_READABLE) {
        if api.store.wrapped_data_key(*version).await?.is_some() {
            api.store.retire_data_key(*version, *at).await?;
            tracing::info!(version, by = key_id, "api.data_key_retired");
        }
    }
    api.secrets.refresh().await?;
    Ok(Json(DataKeysView::new(keys, now)))
}

/// Refuses to retire what something may be sealed under.
fn may_go(keys: &DataKeys, now: Timestamp) -> Result<(), Problem> {
    let detail = match Stage::of(keys, now) {
        Stage::Retirable | Stage::Settled => return Ok(()),
        Stage::Waiting(until) => {
            format!("something may still be sealed under them: see GET /v1/data-keys from {until} on")
        }
        Stage::Blocked => "some secrets could not be read: mend or delete what GET /v1/data-keys names, then \
                           POST /v1/data-keys/reseal"
            .to_owned(),
        Stage::Resealing => {
            "secrets are sealed under them: POST /v1/data-keys/reseal until `state` is `retirable`".to_owned()
        }
    };
    Err(Problem::new(StatusCode::CONFLICT, "data_key_in_use", detail))
}
