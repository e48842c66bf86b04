//! Where this service is reached, as a request tells: the API cannot be told its own URL, which is made after it. What a caller
//! writes into a header can at most refuse the caller's own targets; what a browser writes says whether a page of ours asks.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use lambda_http::request::RequestContext;
use redial_domain::url::OwnHost;
use redial_platform::problem::Problem;

use crate::Api;

/// Says in every request of a browser which page asks; no script can write it. <https://www.w3.org/TR/fetch-metadata/>
const SEC_FETCH_SITE: &str = "sec-fetch-site";
/// How an origin with TLS begins.
const HTTPS: &str = "https://";
/// How one without begins.
const HTTP: &str = "http://";

/// The hosts of this service: those that it was told, and those that the request came to.
#[derive(Debug)]
pub(crate) struct OwnHosts(pub(crate) Vec<OwnHost>);

impl FromRequestParts<Arc<Api>> for OwnHosts {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, Infallible> {
        let mut hosts = api.own_hosts.clone();
        // What is no host is no target either.
        hosts.extend(reached_at(parts).filter_map(|text| OwnHost::parse(text).ok()));
        Ok(Self(hosts))
    }
}

/// The function URL's domain, as Lambda says; the name that the caller used, which may be that of a proxy before it.
fn reached_at(parts: &Parts) -> impl Iterator<Item = &str> {
    domain(parts).into_iter().chain(text(parts, header::HOST.as_str()))
}

/// The function URL's domain, as Lambda says.
fn domain(parts: &Parts) -> Option<&str> {
    match parts.extensions.get::<RequestContext>() {
        Some(RequestContext::ApiGatewayV2(context)) => context.domain_name.as_deref(),
        _ => None,
    }
}

fn text<'a>(parts: &'a Parts, name: &str) -> Option<&'a str> {
    parts.headers.get(name).and_then(|value| value.to_str().ok())
}

/// Whose page asks, as far as browsers say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asking {
    /// A page of this origin.
    Ours,
    /// A page of another one.
    Others,
    /// No page, or a browser that says nothing.
    None,
}

/// A request's way here: which page asks, and at which origin.
#[derive(Debug)]
pub(crate) struct Way {
    /// Which page asks.
    pub(crate) asking: Asking,
    /// True if the page that asks was loaded with TLS, or no page says.
    pub(crate) is_secure: bool,
    /// Scheme, host and port at which browsers reach this service, if anybody knows.
    pub(crate) origin: Option<String>,
}

impl Way {
    /// That of this request.
    pub(crate) fn of(api: &Api, parts: &Parts) -> Self {
        let given = text(parts, header::ORIGIN.as_str());
        let told = domain(parts).map(|domain| format!("{HTTPS}{domain}"));
        let is_plain = api.is_plain_http();
        Self {
            asking: asking(api, parts, told.as_deref()),
            is_secure: given.map_or(!is_plain, |origin| !is_plain || origin.starts_with(HTTPS)),
            origin: told.or_else(|| api.origin.clone()),
        }
    }
}

impl FromRequestParts<Arc<Api>> for Way {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, Infallible> {
        Ok(Self::of(api, parts))
    }
}

/// What a browser says of the page: where it says it in the newer way, that counts, because a proxy before us may have another
/// name. Otherwise the origin is held against every name that is known of this service.
fn asking(api: &Api, parts: &Parts, told: Option<&str>) -> Asking {
    let is_ours = if parts.headers.contains_key(SEC_FETCH_SITE) {
        text(parts, SEC_FETCH_SITE) == Some("same-origin")
    } else if parts.headers.contains_key(header::ORIGIN) {
        let given = text(parts, header::ORIGIN.as_str()).unwrap_or_default();
        let host = text(parts, header::HOST.as_str()).unwrap_or_default();
        let at_host = |scheme: &str| {
            let at = given.strip_prefix(scheme).filter(|at| !at.is_empty());
            at.is_some_and(|at| at.eq_ignore_ascii_case(host))
        };
        let mut known = [told, api.origin.as_deref()].into_iter().flatten();
        at_host(HTTPS) || (api.is_plain_http() && at_host(HTTP)) || known.any(|ours| given.eq_ignore_ascii_case(ours))
    } else {
        return Asking::None;
    };
    if is_ours { Asking::Ours } else { Asking::Others }
}

/// 403: the page that asks is none of ours.
pub(crate) fn not_allowed() -> Problem {
    let detail = "a session may change something for a page of this origin only: send an Origin that is ours, or use a key \
                  as Authorization: Bearer rd_...";
    Problem::new(StatusCode::FORBIDDEN, "origin_not_allowed", detail)
}

impl Api {
    /// True if this service is reached without TLS: on one machine alone.
    pub(crate) fn is_plain_http(&self) -> bool {
        self.origin.as_deref().is_some_and(|origin| origin.starts_with(HTTP))
    }
}
