//! Portal links: a tenant's own console for a while, for a customer who has no key, embeddable in the platform's page. A token
//! is signed and never stored; it has the rights of a tenant's key, or only those of looking, and ends with the key that made
//! it. It never makes another one, and is told apart from a key by how it begins.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use redial_domain::{TenantId, Timestamp};
use redial_platform::auth::{Caller, Scope};
use redial_platform::problem::Problem;
use redial_platform::routes;
use redial_platform::routes::Routes;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Api;
use crate::access::InTenant;
use crate::body::{OptionalBody, refuse};
use crate::console;
use crate::door::Door;
use crate::own_origin::Way;

/// What the key that signs portal tokens is derived for.
pub(crate) const PURPOSE: &str = "portal";
/// How a portal token begins. No key does.
const PREFIX: &str = "rdp_";
/// Life of a token in seconds, unless somebody says.
const DEFAULT_TTL_S: u32 = 3_600;
/// Shortest life of a token, in seconds.
const MIN_TTL_S: u32 = 60;
/// Longest life of a token, in seconds: a day.
const MAX_TTL_S: u32 = 86_400;
/// The languages that the console speaks.
const LANGUAGES: [&str; 3] = ["en", "ar", "uz"];

pub(crate) fn routes<R: Routes<Arc<Api>>>(to: R) -> R {
    to.with(routes!(create))
}

/// What a token says.
#[derive(Serialize, Deserialize)]
struct Claims {
    /// The tenant.
    t: TenantId,
    /// When that was made, in milliseconds: the name may be another's some day.
    c: i64,
    /// Id of the key that made it.
    k: String,
    /// When it ends, in milliseconds.
    x: i64,
    /// True if nothing may be changed.
    #[serde(default, skip_serializing_if = "is_false")]
    r: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

/// What a portal link is to be; an empty body, or none, is one for an hour that may do what a tenant's key may.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "describes the body; `create` reads its fields")]
struct NewPortal {
    /// Seconds for which it is good: 60 to 86400, 3600 by default.
    #[schema(minimum = 60, maximum = 86_400, example = 3_600)]
    ttl_s: Option<u32>,
    /// True: nothing can be changed with it, and no secret seen. False by default.
    read_only: Option<bool>,
    /// Which language the page begins with: `en`, `ar` or `uz`; absent: the browser's.
    #[schema(pattern = "^(en|ar|uz)$", example = "ar")]
    language: Option<String>,
}

/// A portal link.
#[derive(Serialize, ToSchema)]
struct PortalView {
    /// The page, with the token behind `#`: browsers send that part to no server.
    #[schema(example = "https://redial.example.com/console/portal?lang=ar#rdp_...")]
    url: String,
    /// The token alone, to be sent as `Authorization: Bearer`.
    #[schema(example = "rdp_...")]
    token: String,
    /// From when on it is none.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
}

/// Make a portal link
///
/// A link that shows one customer the console of their own tenant, without a key: in a window of its own, or in a frame of your
/// page, if your origin is among the allowed ancestors (`ConsoleAncestors`). Whoever has it may do what a key of the tenant may,
/// or only look (`read_only`), until it expires or the key that made it is revoked; it never reaches another tenant, and makes no
/// further links. Make it when the page is opened, and hand it to nobody else.
#[utoipa::path(
    post,
    path = "/v1/tenants/{tenant}/portal",
    operation_id = "create_portal_link",
    tag = "session",
    params(("tenant" = String, Path, description = "The tenant's id")),
    request_body = Option<NewPortal>,
    responses(
        (status = 201, description = "Made; shown now and never again", body = PortalView),
        (status = 400, description = "Not JSON", body = Problem),
        (status = 401, description = "No valid key", body = Problem),
        (status = 403, description = "The key may not, or it is a portal token", body = Problem),
        (status = 404, description = "No such tenant, or another's", body = Problem),
        (status = 413, description = "Too large", body = Problem),
        (status = 422, description = "A field is wrong", body = Problem),
    )
)]
async fn create(
    State(api): State<Arc<Api>>,
    scope: InTenant,
    way: Way,
    OptionalBody(mut fields): OptionalBody,
) -> Result<(StatusCode, Json<PortalView>), Problem> {
    if scope.door.is_portal() {
        return Err(Problem::forbidden());
    }
    let ttl_s: Option<u32> = fields.take("ttl_s", "a number of seconds, 60 to 86400")?;
    let read_only: Option<bool> = fields.take("read_only", "true or false")?;
    let language = fields.text("language")?;
    fields.finish()?;
    let ttl_s = ttl_s.unwrap_or(DEFAULT_TTL_S);
    if !(MIN_TTL_S..=MAX_TTL_S).contains(&ttl_s) {
        return Err(refuse(
            "ttl_invalid",
            "ttl_s",
            format!("must be {MIN_TTL_S} to {MAX_TTL_S}"),
        ));
    }
    if language
        .as_deref()
        .is_some_and(|language| !LANGUAGES.contains(&language))
    {
        let detail = format!("must be one of {}", LANGUAGES.join(", "));
        return Err(refuse("language_unknown", "language", detail));
    }
    let expires_at = api.clock.now().plus_millis(i64::from(ttl_s) * 1000);
    let claims = Claims {
        t: scope.id().clone(),
        c: scope.tenant().created_at.as_millis(),
        k: scope.key_id.clone(),
        x: expires_at.as_millis(),
        r: read_only.unwrap_or_default(),
    };
    let token = format!("{PREFIX}{}", api.portals.write(&claims).await?);
    tracing::info!(tenant = %scope.id(), key_id = claims.k, read_only = claims.r, "api.portal_link_made");
    let (origin, page) = (way.origin.unwrap_or_default(), console::PATH);
    let language = language.map(|language| format!("?lang={language}")).unwrap_or_default();
    let url = format!("{origin}{page}/portal{language}#{token}");
    let made = PortalView { url, token, expires_at };
    Ok((StatusCode::CREATED, Json(made)))
}

/// What follows the beginning of a portal token, if it is one.
pub(crate) fn token(text: &str) -> Option<&str> {
    text.strip_prefix(PREFIX)
}

/// Who has this token: somebody of its tenant, as long as the key that made it may manage that.
///
/// # Errors
/// 401 if it is none any more; 500 if the store fails.
pub(crate) async fn enter(api: &Api, token: &str) -> Result<(Caller, Door), Problem> {
    let claims: Claims = api.portals.read(token).await?.ok_or_else(over)?;
    let expires_at = Timestamp::from_millis(claims.x);
    if expires_at <= api.clock.now() {
        return Err(over());
    }
    let maker = api.authenticator.scope_of(&claims.k).await?;
    if !maker.is_some_and(|scope| scope.may_manage(&claims.t)) {
        return Err(over());
    }
    let caller = Caller {
        key_id: claims.k,
        scope: Scope::Tenant(claims.t),
    };
    let door = Door::Portal {
        read_only: claims.r,
        expires_at,
        tenant_since: Timestamp::from_millis(claims.c),
    };
    Ok((caller, door))
}

/// 401: it may have been a portal token.
pub(crate) fn over() -> Problem {
    let detail = "this link is over: open the page again from where you got it";
    Problem::new(StatusCode::UNAUTHORIZED, "portal_link_over", detail)
}
