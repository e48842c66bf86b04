//! Endpoints: made, read, changed and deleted. Their secrets are in the answer that makes one and in `secrets`, nowhere else.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use redial_domain::count::counted;
use redial_domain::endpoint::{Endpoint, EndpointState};
use redial_domain::signature::Secret;
use redial_domain::{EndpointId, TenantId};
use redial_platform::problem::Problem;
use redial_platform::routes;
use redial_platform::routes::Routes;
use redial_platform::seal::Credentials;
use redial_platform::store::config::{Change, StoredEndpoint};

use crate::Api;
use crate::access::InTenant;
use crate::authentication::Authentication;
use crate::backlog::Wish;
use crate::body::Body;
use crate::change::{CREATE_TRIES, TRIES, outrun};
use crate::endpoint_fields::{UrlRules, patched, settings, wanted_state};
use crate::endpoint_schema::{EndpointPatch, NewEndpoint};
use crate::endpoint_view::{EndpointView, MadeEndpoint};
use crate::listing::Listing;
use crate::own_origin::OwnHosts;
use crate::precondition::{IfMatch, Tagged};
use crate::query::Query;

pub(crate) fn routes<R: Routes<Arc<Api>>>(to: R) -> R {
    to.with(routes!(create, list)).with(routes!(read, patch, delete))
}

impl Api {
    pub(crate) fn url_rules<'a>(&'a self, own_hosts: &'a OwnHosts) -> UrlRules<'a> {
        UrlRules {
            policy: &self.policy,
            own_hosts: &own_hosts.0,
        }
    }

    /// Stores a new endpoint, unless its tenant has as many as it may.
    async fn add_endpoint(&self, tenant: &TenantId, new: &mut StoredEndpoint) -> Result<(), Problem> {
        for tries in 0..CREATE_TRIES {
            let config = self.stored(tenant).await?;
            let most = config.tenant.max_endpoints;
            if config.endpoints.len() >= usize::from(most) {
                let most = counted(most.into(), "endpoint", "endpoints");
                let detail = format!("this tenant may have at most {most}: delete one, or have `max_endpoints` raised");
                return Err(Problem::new(StatusCode::CONFLICT, "endpoints_limit", detail));
            }
            let change = Change::PutEndpoint(&mut new.endpoint, &new.sealed);
            if self.try_change(tenant, config.version, change, tries).await?.is_some() {
                return Ok(());
            }
        }
        Err(outrun())
    }
}

/// Make an endpoint
///
/// Events accepted after the answer reach it. The answer has its signing secret.
#[utoipa::path(
    post,
    path = "/v1/tenants/{tenant}/endpoints",
    operation_id = "create_endpoint",
    tag = "endpoints",
    params(("tenant" = String, Path, description = "The tenant's id")),
    request_body = NewEndpoint,
    responses(
        (status = 201, description = "Made", body = MadeEndpoint,
            headers(("ETag" = String, description = "The version, in quotes"))),
        (status = 400, description = "Not JSON", body = Problem),
        (status = 401, description = "No valid key", body = Problem),
        (status = 403, description = "The key may not", body = Problem),
        (status = 404, description = "No such tenant, or another's", body = Problem),
        (status = 409, description = "The tenant has as many as it may (`endpoints_limit`), or very many changes at the same time (`conflict`)", body = Problem),
        (status = 413, description = "Too large", body = Problem),
        (status = 422, description = "A field is wrong", body = Problem),
    )
)]
async fn create(
    State(api): State<Arc<Api>>,
    scope: InTenant,
    own_hosts: OwnHosts,
    Body(mut fields): Body,
) -> Result<Tagged<MadeEndpoint>, Problem> {
    let given = fields.text("secret")?;
    let state = wanted_state(&mut fields)?.unwrap_or(EndpointState::Active);
    let authentication = Authentication::take(&mut fields)?;
    let mut settings = settings(&mut fields, api.url_rules(&own_hosts), None)?;
    fields.finish()?;
    let now = api.clock.now();
    let id = EndpointId::mint(api.random.number());
    let given = given.map(|text| settings.profile.secret(&text)).transpose()?;
    let secret = given.unwrap_or_else(|| Secret::from_random(api.random.bytes()));
    let mut credentials = Credentials::new(secret);
    authentication.apply(&mut settings, &mut credentials)?;
    let mut new = StoredEndpoint {
        hold: None,
        slow: None,
        sealed: api.secrets.seal(scope.id(), &id, &credentials).await?,
        endpoint: Endpoint {
            id,
            tenant: scope.id().clone(),
            state,
            settings,
            version: 0,
            created_at: now,
            updated_at: now,
            kept_until: None,
            kept_at: None,
        },
    };
    api.add_endpoint(scope.id(), &mut new).await?;
    let made = MadeEndpoint {
        endpoint: api.endpoint_view(&new),
        secret: credentials.secret.reveal().to_owned(),
    };
    Ok(Tagged {
        status: StatusCode::CREATED,
        version: new.endpoint.version,
        body: made,
    })
}

/// List endpoints
///
/// With `include=condition` each says how it is, in one word. That reads what is known of them: once or twice for all, and
/// some more for each that has failed in the last 30 days.
#[utoipa::path(
    get,
    path = "/v1/tenants/{tenant}/endpoints",
    operation_id = "list_endpoints",
    tag = "endpoints",
    params(
        ("tenant" = String, Path, description = "The tenant's id"),
        ("limit" = Option<u8>, Query, description = "Most items, 1 to 100, 50 by default"),
        ("cursor" = Option<String>, Query, description = "`next` of the page before"),
        ("include" = Option<String>, Query, description = "`condition`: with how each is", pattern = "^condition$"),
    ),
    responses(
        (status = 200, description = "A page of endpoints, by id", body = Listing<EndpointView>),
        (status = 400, description = "A parameter is wrong", body = Problem),
        (status = 401, description = "No valid key", body = Problem),
        (status = 403, description = "The key may not", body = Problem),
        (status = 404, description = "No such tenant, or another's", body = Problem),
    )
)]
async fn list(
    State(api): State<Arc<Api>>,
    scope: InTenant,
    RawQuery(raw): RawQuery,
) -> Result<Json<Listing<EndpointView>>, Problem> {
    let query = Query::parse(raw.as_deref(), &["include"])?;
    let with_condition = query.read("include", "condition", |text| (text == "condition").then_some(()))?;
    let wanted = api.wanted("endpoints", Some(scope.id()), &query).await?;
    let after = wanted.after_key().unwrap_or_default();
    let stored = scope.config.endpoints.iter();
    let rest = stored.filter(|stored| stored.endpoint.id.as_str() > after);
    let found: Vec<Arc<StoredEndpoint>> = rest.take(wanted.limit + 1).cloned().collect();
    let conditions = match with_condition {
        None => BTreeMap::new(),
        Some(()) => {
            api.conditions(scope.id(), &found[..found.len().min(wanted.limit)])
                .await?
        }
    };
    let key = |stored: &Arc<StoredEndpoint>| stored.endpoint.id.to_string();
    let page = api.keyed(&wanted, found, key, |stored| {
        let condition = conditions.get(&stored.endpoint.id).copied();
        api.endpoint_view(&stored).with(condition)
    });
    Ok(Json(page.await?))
}

/// Read an endpoint
#[utoipa::path(
    get,
    path = "/v1/tenants/{tenant}/endpoints/{endpoint}",
    operation_id = "read_endpoint",
    tag = "endpoints",
    params(
        ("tenant" = String, Path, description = "The tenant's id"),
        ("endpoint" = String, Path, description = "The endpoint's id"),
    ),
    responses(
        (status = 200, description = "The endpoint", body = EndpointView,
            headers(("ETag" = String, description = "The version, in quotes"))),
        (status = 401, description = "No valid key", body = Problem),
        (status = 403, description = "The key may not", body = Problem),
        (status = 404, description = "No such endpoint, or another's", body = Problem),
    )
)]
async fn read(State(api): State<Arc<Api>>, scope: InTenant) -> Result<Tagged<EndpointView>, Problem> {
    let stored = scope.config.endpoint(&scope.endpoint()?);
    let stored = stored.ok_or_else(|| Problem::not_found("endpoint"))?;
    Ok(api.shown(stored))
}

/// Change an endpoint
///
/// A JSON merge patch (RFC 7396): what is absent stays, `null` restores the default, but is ignored for `state` and `active`.
/// `metadata`, `headers`, `retry` and `dead_letter` are merged member by member, `auth` is replaced whole. The fields are
/// those of a new endpoint but `secret`, which `POST .../rotate` changes.
#[utoipa::path(
    patch,
    path = "/v1/tenants/{tenant}/endpoints/{endpoint}",
    operation_id = "patch_endpoint",
    tag = "endpoints",
    params(
        ("tenant" = String, Path, description = "The tenant's id"),
        ("endpoint" = String, Path, description = "The endpoint's id"),
        ("If-Match" = Option<String>, Header, description = "Versions, as `ETag` has them: another one answers 412"),
    ),
    request_body = EndpointPatch,
    responses(
        (status = 200, description = "The changed endpoint", body = EndpointView,
            headers(("ETag" = String, description = "The version, in quotes"))),
        (status = 400, description = "Not JSON, or `If-Match` is not of its form (`if_match_invalid`)", body = Problem),
        (status = 401, description = "No valid key", body = Problem),
        (status = 403, description = "The key may not", body = Problem),
        (status = 404, description = "No such endpoint, or another's", body = Problem),
        (status = 409, description = "Changed by others at the same time", body = Problem),
        (status = 412, description = "It is not of that version (`version_mismatch`)", body = Problem),
        (status = 413, description = "Too large", body = Problem),
        (status = 422, description = "A field is wrong", body = Problem),
    )
)]
async fn patch(
    State(api): State<Arc<Api>>,
    scope: InTenant,
    if_match: IfMatch,
    own_hosts: OwnHosts,
    Body(mut patch): Body,
) -> Result<Tagged<EndpointView>, Problem> {
    let id = scope.endpoint()?;
    let state = wanted_state(&mut patch)?;
    let authentication = Authentication::take(&mut patch)?;
    let rules = api.url_rules(&own_hosts);
    let apply = |endpoint: &mut Endpoint| {
        if_match.check(endpoint.version)?;
        endpoint.settings = patched(&endpoint.settings, &patch, rules)?;
        let before = endpoint.state;
        endpoint.state = state.unwrap_or(before);
        if before != EndpointState::Active && endpoint.state == EndpointState::Active {
            endpoint.keep_back(None, api.clock.now());
        }
        Ok(())
    };
    // Secrets are opened only for a change that needs them: another profile may not take the one that is there.
    let changed = if authentication.is_empty() && !patch.0.contains_key("profile") {
        api.change_endpoint(scope.id(), &id, apply).await?
    } else {
        let with_secrets = |endpoint: &mut Endpoint, credentials: &mut Credentials| {
            apply(endpoint)?;
            authentication.apply(&mut endpoint.settings, credentials)
        };
        api.change_with_secrets(scope.id(), &id, with_secrets).await?.0
    };
    if changed.becomes_active() {
        api.release(&scope, &changed, &Wish::default()).await?;
    } else if state == Some(EndpointState::Active) || changed.lets_go_faster() {
        api.let_go(&scope, &changed).await?;
    }
    api.probe_soon(&scope, &changed).await;
    Ok(api.shown(&changed.after))
}

/// Delete an endpoint
///
/// Events accepted after the answer do not match it; what waits for it is canceled when its turn comes.
#[utoipa::path(
    delete,
    path = "/v1/tenants/{tenant}/endpoints/{endpoint}",
    operation_id = "delete_endpoint",
    tag = "endpoints",
    params(
        ("tenant" = String, Path, description = "The tenant's id"),
        ("endpoint" = String, Path, description = "The endpoint's id"),
        ("If-Match" = Option<String>, Header, description = "Versions, as `ETag` has them: another one answers 412"),
    ),
    responses(
        (status = 204, description = "Deleted"),
        (status = 400, description = "`If-Match` is not of its form (`if_match_invalid`)", body = Problem),
        (status = 401, description = "No valid key", body = Problem),
        (status = 403, description = "The key may not", body = Problem),
        (status = 404, description = "No such endpoint, or another's", body = Problem),
        (status = 409, description = "Changed by others at the same time", body = Problem),
        (status = 412, description = "It is not of that version (`version_mismatch`)", body = Problem),
    )
)]
async fn delete(State(api): State<Arc<Api>>, scope: InTenant, if_match: IfMatch) -> Result<StatusCode, Problem> {
    let id = scope.endpoint()?;
    for tries in 0..TRIES {
        let config = api.stored(scope.id()).await?;
        let stored = config.endpoint(&id).ok_or_else(|| Problem::not_found("endpoint"))?;
        if_match.check(stored.endpoint.version)?;
        api.look_when_gone(scope.id(), &id).await?;
        let change = Change::DeleteEndpoint(&id);
        if api
            .try_change(scope.id(), config.version, change, tries)
            .await?
            .is_some()
        {
            api.cancel_held(&Arc::new(config), &id).await;
            return Ok(StatusCode::NO_CONTENT);
        }
    }
    Err(outrun())
}
