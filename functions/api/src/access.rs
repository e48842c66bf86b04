//! Who is calling, and whether they may: the only place that decides it. Extractors, so that a handler cannot forget.
//! A tenant's key that names another tenant gets the answer that a missing tenant gets, before anything is looked up.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use redial_domain::{DeliveryId, EndpointId, EventId, Invalid, ReplayId, TenantId};
use redial_platform::auth::{Caller, Scope};
use redial_platform::problem::Problem;
use redial_platform::store::config::{Tenant, TenantConfig};

use crate::Api;

/// The segments of a path, decoded, by name.
type Segments = HashMap<String, String>;

/// Anybody with a valid key.
#[derive(Debug)]
pub(crate) struct Known(pub(crate) Caller);

impl FromRequestParts<Arc<Api>> for Known {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, Problem> {
        let header = parts.headers.get(header::AUTHORIZATION);
        let text = header.and_then(|value| value.to_str().ok());
        let caller = api.authenticator.caller(text).await?;
        let caller = caller.ok_or_else(Problem::unauthorized)?;
        if api.limiter.take(&caller.key_id, api.clock.now()) {
            Ok(Self(caller))
        } else {
            let detail = "this key makes more requests than it may; wait and try again";
            Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", detail))
        }
    }
}

/// A caller with scope `operator`.
#[derive(Debug)]
pub(crate) struct Operator;

impl FromRequestParts<Arc<Api>> for Operator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, Problem> {
        let Known(caller) = Known::from_request_parts(parts, api).await?;
        if caller.scope.is_operator() {
            Ok(Self)
        } else {
            Err(Problem::forbidden())
        }
    }
}

/// An operator who names a tenant that need not exist yet.
#[derive(Debug)]
pub(crate) struct NamedTenant(pub(crate) TenantId);

impl FromRequestParts<Arc<Api>> for NamedTenant {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, Problem> {
        let Known(caller) = Known::from_request_parts(parts, api).await?;
        let segments = Path::<Segments>::from_request_parts(parts, api).await;
        let named = segment(segments.as_ref(), "tenant").map(TenantId::parse);
        match (caller.scope, named) {
            (Scope::Ingest, _) => Err(Problem::forbidden()),
            (Scope::Operator, Some(named)) => Ok(Self(named?)),
            (Scope::Tenant(own), Some(Ok(named))) if own == named => Err(Problem::forbidden()),
            (Scope::Operator, None) | (Scope::Tenant(_), _) => Err(Problem::not_found("tenant")),
        }
    }
}

/// A caller who may manage the tenant that the path names, and that tenant as of now.
#[derive(Debug)]
pub(crate) struct InTenant {
    /// The tenant and its endpoints.
    pub(crate) config: Arc<TenantConfig>,
    segments: Segments,
}

impl FromRequestParts<Arc<Api>> for InTenant {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, Problem> {
        let Known(caller) = Known::from_request_parts(parts, api).await?;
        if caller.scope == Scope::Ingest {
            return Err(Problem::forbidden());
        }
        let missing = || Problem::not_found("tenant");
        let segments = Path::<Segments>::from_request_parts(parts, api).await;
        let named = segment(segments.as_ref(), "tenant").ok_or_else(missing)?;
        let tenant = TenantId::parse(named).map_err(|_| missing())?;
        if !caller.scope.may_manage(&tenant) {
            return Err(missing());
        }
        let config = api.cache.current(&tenant).await?.ok_or_else(missing)?;
        let segments = segments.map(|Path(segments)| segments).unwrap_or_default();
        Ok(Self { config, segments })
    }
}

impl InTenant {
    /// The tenant's settings.
    pub(crate) fn tenant(&self) -> &Tenant {
        &self.config.tenant
    }

    /// The tenant's id.
    pub(crate) fn id(&self) -> &TenantId {
        &self.config.tenant.id
    }

    /// The endpoint that the path names. A malformed id is a missing thing.
    pub(crate) fn endpoint(&self) -> Result<EndpointId, Problem> {
        self.named("endpoint", EndpointId::parse)
    }

    /// The event that the path names.
    pub(crate) fn event(&self) -> Result<EventId, Problem> {
        self.named("event", EventId::parse)
    }

    /// The delivery that the path names.
    pub(crate) fn delivery(&self) -> Result<DeliveryId, Problem> {
        self.named("delivery", DeliveryId::parse)
    }

    /// The replay that the path names.
    pub(crate) fn replay(&self) -> Result<ReplayId, Problem> {
        self.named("replay", ReplayId::parse)
    }

    fn named<T>(&self, what: &str, parse: fn(&str) -> Result<T, Invalid>) -> Result<T, Problem> {
        let text = self.segments.get(what).map(String::as_str).unwrap_or_default();
        parse(text).map_err(|_| Problem::not_found(what))
    }
}

/// The segment of that name; `None` if the path does not decode to UTF-8.
fn segment<'a>(segments: Result<&'a Path<Segments>, &PathRejection>, name: &str) -> Option<&'a str> {
    segments.ok()?.0.get(name).map(String::as_str)
}
