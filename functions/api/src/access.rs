//! Who is calling, and whether they may: the only place that decides it. Extractors, so that a handler cannot forget.
//! A tenant's key that names another tenant gets the answer that a missing tenant gets, before anything is looked up.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path};
use axum::http::StatusCode;
use axum::http::request::Parts;
use lambda_http::request::RequestContext;
use redial_domain::event::MAX_CALL_ID_BYTES;
use redial_domain::{DeliveryId, EndpointId, ErasureId, EventId, EventTypeName, Invalid, ReplayId, TenantId};
use redial_platform::auth::{Caller, Scope};
use redial_platform::problem::Problem;
use redial_platform::store::config::{Tenant, TenantConfig};

use crate::audit::Trail;
use crate::door::{self, Door};
use crate::{Api, portal, query};

/// The segments of a path, decoded, by name.
type Segments = HashMap<String, String>;

/// Anybody with a valid key, session or portal token.
#[derive(Debug)]
pub(crate) struct Known {
    /// Who it is.
    pub(crate) caller: Caller,
    /// By which way they came in.
    pub(crate) door: Door,
}

impl FromRequestParts<Arc<Api>> for Known {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, Problem> {
        let (caller, door) = door::enter(api, parts).await?;
        let asker = door.counted_as(&caller);
        if !api.key_limit.admit(&api.store, &asker, api.clock.now()).await {
            let detail = "this key makes more requests than it may; wait and try again";
            return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", detail));
        }
        Trail::of(parts).came_in(&caller, door);
        if door.is_read_only() && !parts.method.is_safe() {
            return Err(read_only());
        }
        Ok(Self { caller, door })
    }
}

/// 403: this way in is for looking.
fn read_only() -> Problem {
    let detail = "this link is for looking only: nothing can be changed with it, and no secret seen";
    Problem::new(StatusCode::FORBIDDEN, "read_only", detail)
}

/// The address that a request comes from, if anybody says.
pub(crate) fn source(parts: &Parts) -> Option<IpAddr> {
    let told = match parts.extensions.get::<RequestContext>() {
        Some(RequestContext::ApiGatewayV2(context)) => Some(context.http.source_ip.as_deref()),
        Some(_) => Some(None),
        None => None,
    };
    redial_platform::source::address(told, &parts.extensions)
}

/// A caller with scope `operator`.
#[derive(Debug)]
pub(crate) struct Operator {
    /// Id of the key.
    pub(crate) key_id: String,
    /// Where the request comes from, if anybody says.
    pub(crate) source: Option<IpAddr>,
}

impl FromRequestParts<Arc<Api>> for Operator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, Problem> {
        let Known { caller, .. } = Known::from_request_parts(parts, api).await?;
        if caller.scope.is_operator() {
            let (key_id, source) = (caller.key_id, source(parts));
            Ok(Self { key_id, source })
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
        let Known { caller, .. } = Known::from_request_parts(parts, api).await?;
        let segments = Path::<Segments>::from_request_parts(parts, api).await;
        let named = segment(segments.as_ref(), "tenant").map(TenantId::parse);
        if let Some(Ok(tenant)) = &named {
            Trail::of(parts).about(tenant);
        }
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
    /// Id of the caller's key.
    pub(crate) key_id: String,
    /// By which way the caller came in.
    pub(crate) door: Door,
    segments: Segments,
    trail: Trail,
}

impl FromRequestParts<Arc<Api>> for InTenant {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, Problem> {
        let of_tenant = OfTenant::from_request_parts(parts, api).await?;
        let OfTenant {
            id,
            caller,
            door,
            segments,
            trail,
        } = of_tenant;
        let config = api.cache.current(&id).await?;
        let config = config.ok_or_else(|| Problem::not_found("tenant"))?;
        Self::of(config, caller.key_id, door, (segments, trail))
    }
}

/// A caller who may manage the tenant that the path names, whether it is there or not: what is told of one that was erased.
#[derive(Debug)]
pub(crate) struct OfTenant {
    pub(crate) id: TenantId,
    caller: Caller,
    door: Door,
    segments: Segments,
    trail: Trail,
}

impl FromRequestParts<Arc<Api>> for OfTenant {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, Problem> {
        let Known { caller, door } = Known::from_request_parts(parts, api).await?;
        if caller.scope == Scope::Ingest {
            return Err(Problem::forbidden());
        }
        let missing = || Problem::not_found("tenant");
        let segments = Path::<Segments>::from_request_parts(parts, api).await;
        let named = segment(segments.as_ref(), "tenant").ok_or_else(missing)?;
        let id = TenantId::parse(named).map_err(|_| missing())?;
        let trail = Trail::of(parts);
        trail.about(&id);
        if !caller.scope.may_manage(&id) {
            return Err(missing());
        }
        let segments = segments.map(|Path(segments)| segments).unwrap_or_default();
        Ok(Self {
            id,
            caller,
            door,
            segments,
            trail,
        })
    }
}

impl OfTenant {
    /// The id of the caller's key, which must be an operator's.
    pub(crate) fn operators_key(&self) -> Result<&str, Problem> {
        if self.caller.scope.is_operator() {
            Ok(&self.caller.key_id)
        } else {
            Err(Problem::forbidden())
        }
    }

    /// The erasure that the path names.
    pub(crate) fn erasure(&self) -> Result<ErasureId, Problem> {
        let text = self.segments.get("erasure").map(String::as_str).unwrap_or_default();
        ErasureId::parse(text).map_err(|_| Problem::not_found("erasure"))
    }
}

impl InTenant {
    fn of(
        config: Arc<TenantConfig>,
        key_id: String,
        door: Door,
        (segments, trail): (Segments, Trail),
    ) -> Result<Self, Problem> {
        if !door.leads_to(&config.tenant) {
            return Err(portal::over());
        }
        Ok(Self {
            config,
            key_id,
            door,
            segments,
            trail,
        })
    }

    /// The tenant's settings.
    pub(crate) fn tenant(&self) -> &Tenant {
        &self.config.tenant
    }

    /// The tenant's id.
    pub(crate) fn id(&self) -> &TenantId {
        &self.config.tenant.id
    }

    /// Refuses whoever came in to look only: a secret is more than that. Who asks for one is written down.
    pub(crate) fn may_see_secrets(&self) -> Result<(), Problem> {
        self.trail.shows_secret();
        if self.door.is_read_only() {
            Err(read_only())
        } else {
            Ok(())
        }
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

    /// The call that the path names. No call is stored as a thing of its own: any id may be one that events name.
    pub(crate) fn call_id(&self) -> Result<&str, Problem> {
        let named = self.segments.get("call_id").map(String::as_str);
        let possible = |id: &&str| (1..=MAX_CALL_ID_BYTES).contains(&id.len());
        named.filter(possible).ok_or_else(|| Problem::not_found("call"))
    }

    /// The event type that the path names.
    pub(crate) fn event_type(&self) -> Result<EventTypeName, Problem> {
        EventTypeName::parse(self.event_type_text()).map_err(|_| Problem::not_found("event type"))
    }

    /// What the path has in the place of an event type.
    pub(crate) fn event_type_text(&self) -> &str {
        self.segments.get("type").map(String::as_str).unwrap_or_default()
    }

    fn named<T>(&self, what: &str, parse: fn(&str) -> Result<T, Invalid>) -> Result<T, Problem> {
        let text = self.segments.get(what).map(String::as_str).unwrap_or_default();
        parse(text).map_err(|_| Problem::not_found(what))
    }
}

/// A caller who manages the tenant that the key names, or an operator who names one in `?tenant=`: for paths that have no
/// place for it, because another system made them.
#[derive(Debug)]
pub(crate) struct OwnTenant(pub(crate) InTenant);

impl FromRequestParts<Arc<Api>> for OwnTenant {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, Problem> {
        let Known { caller, door } = Known::from_request_parts(parts, api).await?;
        let named = tenant_parameter(parts.uri.query())?;
        let missing = || Problem::not_found("tenant");
        let tenant = match (caller.scope, named) {
            (Scope::Ingest, _) => return Err(Problem::forbidden()),
            (Scope::Tenant(own), None) => own,
            (Scope::Tenant(own), Some(named)) if own.as_str() == named => own,
            (Scope::Tenant(_), Some(_)) => return Err(missing()),
            (Scope::Operator, Some(named)) => TenantId::parse(&named).map_err(|_| missing())?,
            (Scope::Operator, None) => {
                let detail = "an operator's key names no tenant: add ?tenant=<id>, or use a key with scope tenant:<id>";
                return Err(query::refuse("parameter_missing", "tenant", detail));
            }
        };
        let trail = Trail::of(parts);
        trail.about(&tenant);
        let config = api.cache.current(&tenant).await?.ok_or_else(missing)?;
        InTenant::of(config, caller.key_id, door, (Segments::default(), trail)).map(Self)
    }
}

/// The only parameter there is; empty counts as absent.
fn tenant_parameter(raw: Option<&str>) -> Result<Option<String>, Problem> {
    let mut named = None;
    for (name, value) in url::form_urlencoded::parse(raw.unwrap_or_default().as_bytes()) {
        if name != "tenant" {
            let detail = "is not a parameter of this path, which takes tenant";
            return Err(query::refuse("parameter_unknown", &name, detail));
        }
        if named.replace(value.into_owned()).is_some() {
            return Err(query::refuse("parameter_repeated", &name, "is given more than once"));
        }
    }
    Ok(named.filter(|value| !value.is_empty()))
}

/// The segment of that name; `None` if the path does not decode to UTF-8.
fn segment<'a>(segments: Result<&'a Path<Segments>, &PathRejection>, name: &str) -> Option<&'a str> {
    segments.ok()?.0.get(name).map(String::as_str)
}
