//! Keys of the API: made and revoked by operators. The text of a key is in one answer, once; only its hash is stored.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use redial_domain::Timestamp;
use redial_platform::auth::{self, Scope};
use redial_platform::problem::Problem;
use redial_platform::routes;
use redial_platform::routes::Routes;
use redial_platform::store::config::ApiKey;
use serde::Serialize;
use utoipa::ToSchema;

use crate::Api;
use crate::access::Operator;
use crate::body::{Body, refuse};
use crate::listing::Listing;
use crate::query::Query;

/// Longest name of a key, in bytes.
const MAX_NAME_BYTES: usize = 200;
/// Longest id of a key that is looked up.
const MAX_KEY_ID_LEN: usize = 64;

pub(crate) fn routes<R: Routes<Arc<Api>>>(to: R) -> R {
    to.with(routes!(create, list)).with(routes!(delete))
}

/// What a new key is to be.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "describes the body; `create` reads its fields one by one")]
struct NewKey {
    /// `ingest`, `operator` or `tenant:<id>`.
    #[schema(example = "tenant:acme")]
    scope: String,
    /// For people, at most 200 bytes.
    name: Option<String>,
}

/// A key, without its text.
#[derive(Debug, Serialize, ToSchema)]
struct KeyView {
    #[schema(example = "3f9a01c2d4e5")]
    id: String,
    #[schema(example = "tenant:acme")]
    scope: String,
    name: String,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// To the hour; `null`: never.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    last_used_at: Option<Timestamp>,
}

impl From<ApiKey> for KeyView {
    fn from(key: ApiKey) -> Self {
        Self {
            id: key.id,
            scope: key.scope,
            name: key.name,
            created_at: key.created_at,
            last_used_at: key.last_used_at,
        }
    }
}

/// A new key, with its text.
#[derive(Serialize, ToSchema)]
struct MadeKey {
    id: String,
    /// The key's text: shown now and never again.
    #[schema(example = "rd_3f9a01c2d4e5_...")]
    key: String,
    scope: String,
    name: String,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

/// Make a key
///
/// The answer is the only place where its text is ever shown.
#[utoipa::path(
    post,
    path = "/v1/keys",
    tag = "keys",
    request_body = NewKey,
    responses(
        (status = 201, description = "Made", body = MadeKey),
        (status = 400, description = "Not JSON", body = Problem),
        (status = 401, description = "No valid key", body = Problem),
        (status = 403, description = "Only operators may", body = Problem),
        (status = 413, description = "Too large", body = Problem),
        (status = 422, description = "A field is wrong, or there is no such tenant", body = Problem),
    )
)]
async fn create(
    State(api): State<Arc<Api>>,
    _: Operator,
    Body(mut fields): Body,
) -> Result<(StatusCode, Json<MadeKey>), Problem> {
    let scope = Scope::parse(&fields.required_text("scope")?)?;
    let name = fields.short_text("name", MAX_NAME_BYTES)?.unwrap_or_default();
    fields.finish()?;
    if let Scope::Tenant(tenant) = &scope
        && api.cache.current(tenant).await?.is_none()
    {
        return Err(refuse(
            "tenant_unknown",
            "scope",
            format!("there is no tenant {tenant}"),
        ));
    }
    let (text, key) = auth::mint(&api.random, &scope, &name, api.clock.now());
    api.store.put_api_key(&key).await?;
    tracing::info!(key_id = key.id, scope = key.scope, "api.key_made");
    let ApiKey {
        id,
        scope,
        name,
        created_at,
        ..
    } = key;
    let key = text.reveal().to_owned();
    let made = MadeKey {
        id,
        key,
        scope,
        name,
        created_at,
    };
    Ok((StatusCode::CREATED, Json(made)))
}

/// List keys
#[utoipa::path(
    get,
    path = "/v1/keys",
    tag = "keys",
    params(
        ("limit" = Option<u8>, Query, description = "Most items, 1 to 100, 50 by default"),
        ("cursor" = Option<String>, Query, description = "`next` of the page before"),
    ),
    responses(
        (status = 200, description = "A page of keys, by id", body = Listing<KeyView>),
        (status = 400, description = "A parameter is wrong", body = Problem),
        (status = 401, description = "No valid key", body = Problem),
        (status = 403, description = "Only operators may", body = Problem),
    )
)]
async fn list(
    State(api): State<Arc<Api>>,
    _: Operator,
    RawQuery(raw): RawQuery,
) -> Result<Json<Listing<KeyView>>, Problem> {
    let wanted = api.wanted("keys", None, &Query::parse(raw.as_deref(), &[])?).await?;
    let found = api.store.api_keys(wanted.after_key(), wanted.limit + 1).await?;
    let page = api.keyed(&wanted, found, |key| key.id.clone(), KeyView::from);
    Ok(Json(page.await?))
}

/// Revoke a key
///
/// It stops working at once here, and within 30 seconds everywhere.
#[utoipa::path(
    delete,
    path = "/v1/keys/{key}",
    tag = "keys",
    params(("key" = String, Path, description = "The key's id, not its text")),
    responses(
        (status = 204, description = "Revoked"),
        (status = 401, description = "No valid key", body = Problem),
        (status = 403, description = "Only operators may", body = Problem),
        (status = 404, description = "No such key", body = Problem),
    )
)]
async fn delete(
    State(api): State<Arc<Api>>,
    _: Operator,
    id: Result<Path<String>, axum::extract::rejection::PathRejection>,
) -> Result<StatusCode, Problem> {
    let missing = || Problem::not_found("key");
    let Path(id) = id.map_err(|_| missing())?;
    let readable = id.len() <= MAX_KEY_ID_LEN && id.bytes().all(|c| c.is_ascii_alphanumeric());
    if !readable || id.is_empty() || !api.store.delete_api_key(&id).await? {
        return Err(missing());
    }
    api.authenticator.forget(&id);
    tracing::info!(key_id = id, "api.key_revoked");
    Ok(StatusCode::NO_CONTENT)
}
