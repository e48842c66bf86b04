//! Sessions of the console: a cookie in place of a key, so that no script ever holds one. Nothing is stored: the cookie is
//! signed, names the key, and ends by itself; and since the key is looked at with each request, revoking it, its expiry and
//! its networks end the session too. Never logs a key or a cookie.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use redial_domain::{TenantId, Timestamp};
use redial_platform::auth::{Caller, Scope};
use redial_platform::problem::Problem;
use redial_platform::routes;
use redial_platform::routes::Routes;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Api;
use crate::access::{Known, source};
use crate::audit::Trail;
use crate::body::Body;
use crate::door::Door;
use crate::limiter::Rate;
use crate::own_origin::{self, Asking, Way};

/// What the key that signs sessions is derived for.
pub(crate) const PURPOSE: &str = "sessions";
/// How long a session lasts, in seconds.
const LIFE_S: i64 = 12 * 3_600;
/// The cookie's name. Browsers take one of that prefix only with TLS, for the whole host and from nowhere else.
/// <https://www.rfc-editor.org/rfc/rfc6265#section-4.1>
const COOKIE: &str = "__Host-redial";
/// Its name where there is no TLS: on one machine, where some browsers refuse the prefix.
const PLAIN_COOKIE: &str = "redial";
/// Attempts to sign in that fail, by address: 20 at once, then one in 3 seconds. No key can be guessed; looking one up is work.
pub(crate) const SIGN_INS: Rate = Rate {
    burst: 20.0,
    per_s: 1.0 / 3.0,
};
/// Seconds after which a caller who failed too often may try again.
const RETRY_AFTER_S: u32 = 3;

pub(crate) fn routes<R: Routes<Arc<Api>>>(to: R) -> R {
    to.with(routes!(begin, read, end))
}

/// What the cookie says.
#[derive(Serialize, Deserialize)]
struct Claims {
    /// The key's id.
    k: String,
    /// When it ends, in milliseconds.
    x: i64,
}

/// What a session begins with.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "describes the body; `begin` reads its field")]
struct SignIn {
    /// A key with scope `operator` or `tenant:<id>`.
    #[schema(example = "rd_3f9a01c2d4e5_...", max_length = 200)]
    key: String,
}

/// Which side of the console somebody is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum SessionKind {
    /// All tenants.
    Operator,
    /// One tenant.
    Customer,
}

/// Who is signed in.
#[derive(Debug, Serialize, ToSchema)]
struct SessionView {
    kind: SessionKind,
    /// The only tenant that may be seen; `null`: all may.
    #[schema(value_type = Option<String>, required)]
    tenant: Option<TenantId>,
    /// True if nothing may be changed, and no secret seen: a portal link may say so.
    read_only: bool,
    /// When the session or the portal token ends; `null`: it was asked with a key.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    expires_at: Option<Timestamp>,
}

/// The address of a request, as attempts are counted: of IPv6 the network that one customer has (64 bits).
struct Address(Option<IpAddr>);

impl FromRequestParts<Arc<Api>> for Address {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Api>) -> Result<Self, Self::Rejection> {
        Ok(Self(source(parts)))
    }
}

impl Address {
    fn counted_as(&self) -> String {
        match self.0.map(|address| address.to_canonical()) {
            Some(IpAddr::V6(address)) => {
                let [a, b, c, d, ..] = address.segments();
                format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
            }
            Some(IpAddr::V4(address)) => address.to_string(),
            None => String::new(),
        }
    }
}

/// Begin a session
///
/// For the console: the answer sets a cookie that stands for the key for 12 hours, which no script can read and no page of
/// another origin can use. The session ends sooner if the key is revoked or expires. Programs send the key itself as
/// `Authorization: Bearer` and need none. Attempts that fail are limited.
#[utoipa::path(
    post,
    path = "/v1/session",
    operation_id = "begin_session",
    tag = "session",
    security(()),
    request_body = SignIn,
    responses(
        (status = 204, description = "Signed in",
            headers(("Set-Cookie" = String, description = "The session: `HttpOnly`, `Secure`, `SameSite=Strict`"))),
        (status = 400, description = "Not JSON", body = Problem),
        (status = 401, description = "No valid key (`key_invalid`)", body = Problem),
        (status = 403, description = "The key is for ingest (`scope_insufficient`), may not be used from where the request comes \
            from (`source_not_allowed`), or a page of another origin asks (`origin_not_allowed`)", body = Problem),
        (status = 413, description = "Too large", body = Problem),
        (status = 422, description = "A field is wrong", body = Problem),
        (status = 429, description = "Too many attempts failed; Retry-After says when to try again (`sign_in_limited`)", body = Problem),
    )
)]
async fn begin(
    State(api): State<Arc<Api>>,
    way: Way,
    (from, trail): (Address, Trail),
    Body(mut fields): Body,
) -> Result<Response, Problem> {
    let key = fields.required_text("key")?;
    fields.finish()?;
    // Otherwise another page could sign its readers in to its own account.
    if way.asking == Asking::Others {
        return Err(own_origin::not_allowed());
    }
    let (now, attempts) = (api.clock.now(), from.counted_as());
    if !api.sign_ins.take(&attempts, now) {
        return Ok(too_many());
    }
    let caller = admitted(&api, &key, from.0).await?;
    api.sign_ins.give_back(&attempts);
    trail.came_in(&caller, Door::Key);
    let claims = Claims {
        k: caller.key_id,
        x: now.plus_millis(LIFE_S * 1000).as_millis(),
    };
    let text = api.sessions.write(&claims).await?;
    tracing::info!(key_id = claims.k, "api.session_begun");
    Ok(with_cookie(way.is_secure, &text, LIFE_S))
}

/// The caller that a key makes, if it may use the console.
async fn admitted(api: &Api, key: &str, source: Option<IpAddr>) -> Result<Caller, Problem> {
    let header = format!("Bearer {key}");
    let caller = api
        .authenticator
        .admit(Some(&header), source)
        .await
        .map_err(|problem| {
            if problem.status == StatusCode::UNAUTHORIZED.as_u16() {
                let detail = "is no key that is valid here: it may be revoked, expired or mistyped";
                return Problem::new(StatusCode::UNAUTHORIZED, "key_invalid", detail).at("key");
            }
            problem
        })?;
    if caller.scope == Scope::Ingest {
        return Err(Problem::forbidden());
    }
    Ok(caller)
}

fn too_many() -> Response {
    let detail = "too many attempts to sign in have failed; wait and try again";
    let mut answer = Problem::new(StatusCode::TOO_MANY_REQUESTS, "sign_in_limited", detail).into_response();
    let headers = answer.headers_mut();
    headers.insert(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER_S));
    answer
}

/// 204 that sets the cookie for so many seconds; 0 removes it.
fn with_cookie(is_secure: bool, text: &str, life_s: i64) -> Response {
    let (name, secure) = if is_secure {
        (COOKIE, "; Secure")
    } else {
        (PLAIN_COOKIE, "")
    };
    let cookie = format!("{name}={text}; Path=/; Max-Age={life_s}; HttpOnly{secure}; SameSite=Strict");
    let mut answer = StatusCode::NO_CONTENT.into_response();
    // Letters, digits, - and _ in between: always a header's value.
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        answer.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    answer
}

/// Tell who is signed in
///
/// By a session, a portal token or a key: which tenants may be seen, and until when.
#[utoipa::path(
    get,
    path = "/v1/session",
    operation_id = "read_session",
    tag = "session",
    responses(
        (status = 200, description = "Who it is", body = SessionView),
        (status = 401, description = "No valid key, and no session", body = Problem),
        (status = 403, description = "The key is for ingest", body = Problem),
    )
)]
async fn read(Known { caller, door }: Known) -> Result<Json<SessionView>, Problem> {
    let (kind, tenant) = match caller.scope {
        Scope::Ingest => return Err(Problem::forbidden()),
        Scope::Operator => (SessionKind::Operator, None),
        Scope::Tenant(tenant) => (SessionKind::Customer, Some(tenant)),
    };
    Ok(Json(SessionView {
        kind,
        tenant,
        read_only: door.is_read_only(),
        expires_at: door.expires_at(),
    }))
}

/// End a session
///
/// The answer takes the cookie away. Nothing is stored of a session: to end one whose cookie somebody else may have, revoke its
/// key.
#[utoipa::path(
    delete,
    path = "/v1/session",
    operation_id = "end_session",
    tag = "session",
    responses(
        (status = 204, description = "Signed out",
            headers(("Set-Cookie" = String, description = "Takes the session away"))),
        (status = 401, description = "No valid key, and no session", body = Problem),
        (status = 403, description = "The key is for ingest, or a page of another origin asks (`origin_not_allowed`)", body = Problem),
    )
)]
async fn end(Known { caller, .. }: Known, way: Way) -> Result<Response, Problem> {
    if caller.scope == Scope::Ingest {
        return Err(Problem::forbidden());
    }
    Ok(with_cookie(way.is_secure, "", 0))
}

/// Who has the session whose cookie a request carries.
///
/// # Errors
/// 401 without one that is good, 403 for what changes something and does not come from a page of ours, or for a key that may
/// not be used from there; 500 if the store fails.
pub(crate) async fn enter(api: &Api, parts: &Parts) -> Result<(Caller, Door), Problem> {
    let plain = api.is_plain_http().then(|| cookie(&parts.headers, PLAIN_COOKIE));
    let found = cookie(&parts.headers, COOKIE).or_else(|| plain.flatten());
    let text = found.ok_or_else(Problem::unauthorized)?;
    if !parts.method.is_safe() && Way::of(api, parts).asking != Asking::Ours {
        return Err(own_origin::not_allowed());
    }
    let claims: Claims = api.sessions.read(text).await?.ok_or_else(over)?;
    let expires_at = Timestamp::from_millis(claims.x);
    if expires_at <= api.clock.now() {
        return Err(over());
    }
    let admitted = api.authenticator.admit_session(&claims.k, source(parts)).await;
    let caller = admitted.map_err(|problem| {
        let is_nobody = problem.status == StatusCode::UNAUTHORIZED.as_u16();
        if is_nobody { over() } else { problem }
    })?;
    Ok((caller, Door::Session { expires_at }))
}

/// 401: there was a session.
fn over() -> Problem {
    let detail = "the session is over, or its key was revoked: sign in again";
    Problem::new(StatusCode::UNAUTHORIZED, "session_over", detail)
}

/// The value of a cookie.
fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let values = headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let mut pairs = values
        .flat_map(|text| text.split(';'))
        .filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(own, _)| *own == name).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_found_among_others_by_its_whole_name() {
        let mut headers = HeaderMap::new();
        headers.append(
            header::COOKIE,
            HeaderValue::from_static("a=1; xredial=2;redial=3; redial=4"),
        );
        headers.append(header::COOKIE, HeaderValue::from_static("__Host-redial=5=6"));
        assert_eq!(cookie(&headers, PLAIN_COOKIE), Some("3"));
        assert_eq!(cookie(&headers, COOKIE), Some("5=6"));
        assert_eq!(cookie(&headers, "edial"), None);
    }

    #[test]
    fn the_cookie_is_for_no_script_and_no_other_page() {
        let answer = with_cookie(true, "abc", LIFE_S);
        let set = "__Host-redial=abc; Path=/; Max-Age=43200; HttpOnly; Secure; SameSite=Strict";
        assert_eq!(answer.headers()[header::SET_COOKIE], set);
        let answer = with_cookie(false, "", 0);
        let set = "redial=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict";
        assert_eq!(answer.headers()[header::SET_COOKIE], set);
    }

    #[test]
    fn attempts_are_counted_by_network() {
        let counted = |text: &str| Address(text.parse().ok()).counted_as();
        assert_eq!(counted("2001:db8:1:2::7"), counted("2001:db8:1:2:ffff::1"));
        assert_ne!(counted("2001:db8:1:2::7"), counted("2001:db8:1:3::7"));
        assert_eq!(counted("::ffff:192.0.2.1"), "192.0.2.1");
        assert_ne!(counted("192.0.2.1"), counted("192.0.2.2"));
    }
}
