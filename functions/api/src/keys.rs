//! Keys of the API: made and revoked by operators. The text of a key is in one answer, once; only its hash is stored.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use redial_domain::Timestamp;
use redial_domain::source::SourceNetworks;
use redial_platform::auth::{self, Scope};
use redial_platform::problem::Problem;
use redial_platform::routes;
use redial_platform::routes::Routes;
use redial_platform::store::config::ApiKey;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::Api;
use crate::access::Operator;
use crate::body::{Body, refuse};
use crate::key_fields::{expiry, networks, within_maker};
use crate::listing::Listing;
use crate::query::Query;

/// Longest name of a key, in characters.
const MAX_NAME_CHARS: usize = 200;
/// Longest id of a key that is looked up.
const MAX_KEY_ID_LEN: usize = 64;

pub(crate) fn routes<R: Routes<Arc<Api>>>(to: R) -> R {
    to.with(routes!(create, list)).with(routes!(read, change, delete))
}

/// What a new key is to be.
#[derive(Debug, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "describes the body; `create` reads its fields one by one")]
struct NewKey {
    /// `ingest`, `operator` or `tenant:<id>`.
    #[schema(
        example = "tenant:acme",
        pattern = "^(ingest|operator|tenant:[A-Za-z0-9_:-]{1,128})$"
    )]
    scope: String,
    /// For people, at most 200 characters.
    #[schema(max_length = 200)]
    name: Option<String>,
    /// From when on it is none any more: in the future, within ten years. Neither this nor `expires_in_s`: never.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    /// The same, in seconds from now. Not both.
    #[schema(minimum = 1, maximum = 315_360_000, example = 7_776_000)]
    expires_in_s: Option<i64>,
    /// From where alone it may be used: addresses and networks, IPv4 and IPv6. Absent or `null`: from anywhere.
    #[schema(min_items = 1, max_items = 50, example = json!(["203.0.113.0/24", "2001:db8::7"]))]
    allowed_networks: Option<Vec<String>>,
}

/// What a key is to be from now on; what is absent stays.
#[derive(Debug, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "describes the body; `change` reads its fields one by one")]
struct ChangedKey {
    /// For people, at most 200 characters; `null`: none.
    #[schema(max_length = 200)]
    name: Option<String>,
    /// From where alone it may be used; `null`: from anywhere.
    #[schema(min_items = 1, max_items = 50, example = json!(["203.0.113.0/24", "2001:db8::7"]))]
    allowed_networks: Option<Vec<String>>,
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
    /// From when on it is none any more; `null`: never.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    expires_at: Option<Timestamp>,
    /// From where alone it may be used; `null`: from anywhere.
    #[schema(value_type = Option<Vec<String>>, required)]
    allowed_networks: Option<SourceNetworks>,
    /// Id of the key that made it; `null`: the deployer did, or a release that did not keep it.
    #[schema(required, example = "81b2c4d6e8f0")]
    made_by: Option<String>,
    /// True once it has expired: it is refused like an unknown one, and listed until it is deleted.
    expired: bool,
}

impl KeyView {
    fn new(key: ApiKey, now: Timestamp) -> Self {
        Self {
            expired: key.is_expired(now),
            expires_at: key.expires_at,
            allowed_networks: key.allowed_networks,
            made_by: key.made_by,
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
    /// From when on it is none any more; `null`: never.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    expires_at: Option<Timestamp>,
    /// From where alone it may be used; `null`: from anywhere.
    #[schema(value_type = Option<Vec<String>>, required)]
    allowed_networks: Option<SourceNetworks>,
    /// Id of the key of this request.
    #[schema(required, example = "81b2c4d6e8f0")]
    made_by: Option<String>,
}

impl Api {
    /// The key of a request as it is now: what it makes is no more than that.
    async fn maker(&self, key_id: &str) -> Result<ApiKey, Problem> {
        self.store.api_key(key_id).await?.ok_or_else(Problem::unauthorized)
    }
}

/// Make a key
///
/// The answer is the only place where its text is ever shown. A key is good for no longer than the one that makes it, and from
/// no other networks.
#[utoipa::path(
    post,
    path = "/v1/keys",
    operation_id = "create_key",
    tag = "keys",
    request_body = NewKey,
    responses(
        (status = 201, description = "Made", body = MadeKey),
        (status = 400, description = "Not JSON", body = Problem),
        (status = 401, description = "No valid key", body = Problem),
        (status = 403, description = "Only operators may", body = Problem),
        (status = 413, description = "Too large", body = Problem),
        (status = 422, description = "A field is wrong, there is no such tenant, or the key would be good for longer or from more \
            networks than that of the request (`key_exceeds_maker`)", body = Problem),
    )
)]
async fn create(
    State(api): State<Arc<Api>>,
    Operator { key_id, .. }: Operator,
    Body(mut fields): Body,
) -> Result<(StatusCode, Json<MadeKey>), Problem> {
    let scope = Scope::parse(&fields.required_text("scope")?)?;
    let name = fields.short_text("name", MAX_NAME_CHARS)?.unwrap_or_default();
    let now = api.clock.now();
    let maker = api.maker(&key_id).await?;
    let expires_at = expiry(&mut fields, &maker, now)?;
    let allowed_networks = networks(&mut fields)?.flatten();
    fields.finish()?;
    within_maker(allowed_networks.as_ref(), &maker)?;
    if let Scope::Tenant(tenant) = &scope
        && api.cache.current(tenant).await?.is_none()
    {
        return Err(refuse(
            "tenant_unknown",
            "scope",
            format!("there is no tenant {tenant}"),
        ));
    }
    let (text, mut key) = auth::mint(&api.random, &scope, &name, now);
    key.expires_at = expires_at;
    key.allowed_networks = allowed_networks;
    key.made_by = Some(key_id);
    api.store.put_api_key(&key).await?;
    tracing::info!(key_id = key.id, scope = key.scope, by = key.made_by, "api.key_made");
    let ApiKey {
        id,
        scope,
        name,
        created_at,
        expires_at,
        allowed_networks,
        made_by,
        ..
    } = key;
    let key = text.reveal().to_owned();
    let made = MadeKey {
        id,
        key,
        scope,
        name,
        created_at,
        expires_at,
        allowed_networks,
        made_by,
    };
    Ok((StatusCode::CREATED, Json(made)))
}

/// List keys
#[utoipa::path(
    get,
    path = "/v1/keys",
    operation_id = "list_keys",
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
    let page = api.store.api_keys(wanted.after_key(), wanted.limit).await?;
    let now = api.clock.now();
    Ok(Json(api.paged(&wanted, page, |key| KeyView::new(key, now)).await?))
}

/// The id of a key that a path names.
fn named(id: Result<Path<String>, PathRejection>) -> Result<String, Problem> {
    let missing = || Problem::not_found("key");
    let Path(id) = id.map_err(|_| missing())?;
    let readable = (1..=MAX_KEY_ID_LEN).contains(&id.len()) && id.bytes().all(|c| c.is_ascii_alphanumeric());
    if readable { Ok(id) } else { Err(missing()) }
}

/// Read a key
///
/// What it may do, when it was last used, and until when it is valid; never its text.
#[utoipa::path(
    get,
    path = "/v1/keys/{key}",
    operation_id = "read_key",
    tag = "keys",
    params(("key" = String, Path, description = "The key's id, not its text")),
    responses(
        (status = 200, description = "The key", body = KeyView),
        (status = 401, description = "No valid key", body = Problem),
        (status = 403, description = "Only operators may", body = Problem),
        (status = 404, description = "No such key", body = Problem),
    )
)]
async fn read(
    State(api): State<Arc<Api>>,
    _: Operator,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<KeyView>, Problem> {
    let key = api.store.api_key(&named(id)?).await?;
    let key = key.ok_or_else(|| Problem::not_found("key"))?;
    Ok(Json(KeyView::new(key, api.clock.now())))
}

/// Change a key
///
/// Its name, and from where it may be used: at once here, and within 30 seconds everywhere. No key shuts itself out, so that an
/// operator is left who can change it again; and none lets itself or others in from where it may not be used.
#[utoipa::path(
    patch,
    path = "/v1/keys/{key}",
    operation_id = "change_key",
    tag = "keys",
    params(("key" = String, Path, description = "The key's id, not its text")),
    request_body = ChangedKey,
    responses(
        (status = 200, description = "The key as it is now", body = KeyView),
        (status = 400, description = "Not JSON", body = Problem),
        (status = 401, description = "No valid key", body = Problem),
        (status = 403, description = "Only operators may", body = Problem),
        (status = 404, description = "No such key", body = Problem),
        (status = 409, description = "It is the key of this request, whose address would not be allowed any more \
            (`key_in_use`), or it was changed by others at the same time (`conflict`)", body = Problem),
        (status = 413, description = "Too large", body = Problem),
        (status = 422, description = "A field is wrong, or it would be good from more networks than that of the request \
            (`key_exceeds_maker`)", body = Problem),
    )
)]
async fn change(
    State(api): State<Arc<Api>>,
    Operator { key_id, source }: Operator,
    id: Result<Path<String>, PathRejection>,
    Body(mut fields): Body,
) -> Result<Json<KeyView>, Problem> {
    let id = named(id)?;
    let name = match fields.0.get("name") {
        Some(Value::Null) => fields.0.remove("name").map(|_| String::new()),
        _ => fields.short_text("name", MAX_NAME_CHARS)?,
    };
    let networks = networks(&mut fields)?;
    fields.finish()?;
    let shuts_out = networks
        .as_ref()
        .and_then(Option::as_ref)
        .is_some_and(|networks| !networks.allow(source));
    if id == key_id && shuts_out {
        let detail = "this is the key of this request, whose address is in none of these networks: add it, or change the \
                      key with another operator's";
        return Err(Problem::new(StatusCode::CONFLICT, "key_in_use", detail).at("allowed_networks"));
    }
    if let Some(networks) = &networks {
        within_maker(networks.as_ref(), &api.maker(&key_id).await?)?;
    }
    let apply = |key: &mut ApiKey| -> Result<(), Problem> {
        if let Some(name) = name {
            key.name = name;
        }
        if let Some(networks) = networks {
            key.allowed_networks = networks;
        }
        Ok(())
    };
    let changed = api.store.change_api_key(&id, apply).await?;
    let key = changed.ok_or_else(|| Problem::not_found("key"))?;
    api.authenticator.forget(&id);
    tracing::info!(key_id = id, by = key_id, "api.key_changed");
    Ok(Json(KeyView::new(key, api.clock.now())))
}

/// Revoke a key
///
/// It stops working at once here, and within 30 seconds everywhere. No key revokes itself, so that an operator's is left.
#[utoipa::path(
    delete,
    path = "/v1/keys/{key}",
    operation_id = "delete_key",
    tag = "keys",
    params(("key" = String, Path, description = "The key's id, not its text")),
    responses(
        (status = 204, description = "Revoked"),
        (status = 401, description = "No valid key", body = Problem),
        (status = 403, description = "Only operators may", body = Problem),
        (status = 404, description = "No such key", body = Problem),
        (status = 409, description = "It is the key of this request (`key_in_use`)", body = Problem),
    )
)]
async fn delete(
    State(api): State<Arc<Api>>,
    Operator { key_id, .. }: Operator,
    id: Result<Path<String>, PathRejection>,
) -> Result<StatusCode, Problem> {
    let id = named(id)?;
    if id == key_id {
        let detail = "this is the key of this request: revoke it with another operator's key, so that one is left";
        return Err(Problem::new(StatusCode::CONFLICT, "key_in_use", detail).at("key"));
    }
    if !api.store.delete_api_key(&id).await? {
        return Err(Problem::not_found("key"));
    }
    api.authenticator.forget(&id);
    tracing::info!(key_id = id, by = key_id, "api.key_revoked");
    Ok(StatusCode::NO_CONTENT)
}
