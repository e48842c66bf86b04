//! Where this service is reached, as a request tells: the API cannot be told its own URL, which is made after it. Only adds
//! hosts that endpoints may not have; what a caller writes into a header can at most refuse the caller's own targets.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::header;
use axum::http::request::Parts;
use lambda_http::request::RequestContext;
use redial_domain::url::OwnHost;

use crate::Api;

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
    let context = parts.extensions.get::<RequestContext>();
    let domain = match context {
        Some(RequestContext::ApiGatewayV2(context)) => context.domain_name.as_deref(),
        _ => None,
    };
    let named = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    domain.into_iter().chain(named)
}
