//! Endpoints: made, read, changed and deleted. Their secrets are in the answer that makes one and in `secrets`, nowhere else.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use redial_domain::auth::ShownAuth;
use redial_domain::endpoint::{DEFAULT_MAX_ENDPOINTS, Endpoint, EndpointState};
use redial_domain::filter::TypePattern;
use redial_domain::profile::{Payload, Profile};
use redial_domain::retry::RetryPolicy;
use redial_domain::signature::Secret;
use redial_domain::{AgentId, EndpointId, TenantId, Timestamp};
use redial_platform::problem::Problem;
use redial_platform::routes;
use redial_platform::routes::Routes;
use redial_platform::seal::Credentials;
use redial_platform::store::config::{Change, StoredEndpoint};
use serde::Serialize;
use utoipa::ToSchema;

use crate::Api;
use crate::access::InTenant;
use crate::authentication::{AuthFields, Authentication};
use crate::body::Body;
use crate::change::{TRIES, outrun};
use crate::endpoint_fields::{EndpointFields, UrlRules, patched, settings, wanted_state};
use crate::listing::Listing;
use crate::own_origin::OwnHosts;
use crate::query::Query;

pub(crate) fn routes<R: Routes<Arc<Api>>>(to: R) -> R {
    to.with(routes!(create, list)).with(routes!(read, patch, delete))
}

/// An endpoint, without its secrets.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EndpointView {
    #[schema(value_type = String, example = "ep_0123456789ABCDEF")]
    id: EndpointId,
    url: String,
    /// `inactive`: matches nothing; `active`; `paused` and `disabled`: match, and their deliveries are held.
    #[schema(value_type = String, example = "active")]
    state: EndpointState,
    /// Types wanted; empty: all.
    #[schema(value_type = Vec<String>)]
    event_types: Vec<TypePattern>,
    /// Agents wanted; empty: all.
    #[schema(value_type = Vec<String>)]
    agents: Vec<AgentId>,
    /// Agents never wanted.
    #[schema(value_type = Vec<String>)]
    exclude_agents: Vec<AgentId>,
    description: String,
    metadata: BTreeMap<String, String>,
    #[schema(value_type = String, example = "standard")]
    profile: Profile,
    /// `full`, or `thin`: ids and links only.
    #[schema(value_type = String, example = "full")]
    payload: Payload,
    /// How requests authenticate besides the signature, without the secret part; `null`: they do not.
    #[schema(value_type = Option<AuthFields>, required)]
    auth: Option<ShownAuth>,
    /// Names of the headers that they carry besides ours.
    header_names: Vec<String>,
    /// Milliseconds the receiver has to answer.
    timeout_ms: u32,
    /// When it retries: its own policy as given, or this deployment's default.
    #[schema(value_type = Object)]
    retry: RetryPolicy,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

/// A new endpoint, with its secret.
#[derive(Serialize, ToSchema)]
struct MadeEndpoint {
    #[serde(flatten)]
    endpoint: EndpointView,
    /// Signs its requests; `GET .../secret` shows it again.
    #[schema(example = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")]
    secret: String,
}

/// What a new endpoint is to be.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body; `create` reads its fields")]
struct NewEndpoint {
    #[schema(inline)]
    #[serde(flatten)]
    fields: EndpointFields,
    /// `whsec_` and the padded base64 of 24 to 64 bytes (`voicehub`: any text); absent: Redial mints one.
    secret: Option<String>,
}

/// A merge patch (RFC 7396): what is absent stays, `null` restores the default.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body; `patch` reads its fields")]
#[schema(value_type = Object)]
struct EndpointPatch(serde_json::Value);

impl Api {
    /// An endpoint as it is shown.
    pub(crate) fn endpoint_view(&self, endpoint: &Endpoint) -> EndpointView {
        let settings = endpoint.settings.clone();
        EndpointView {
            id: endpoint.id.clone(),
            url: settings.url,
            state: endpoint.state,
            event_types: settings.filter.event_types,
            agents: settings.filter.agents,
            exclude_agents: settings.filter.exclude_agents,
            description: settings.description,
            metadata: settings.metadata,
            profile: settings.profile,
            payload: settings.payload,
            auth: settings.auth,
            header_names: settings.header_names,
            timeout_ms: settings.timeout_ms,
            retry: settings.retry.unwrap_or_else(|| self.default_retry.clone()),
            created_at: endpoint.created_at,
            updated_at: endpoint.updated_at,
        }
    }

    fn url_rules<'a>(&'a self, own_hosts: &'a OwnHosts) -> UrlRules<'a> {
        UrlRules {
            policy: &self.policy,
            own_hosts: &own_hosts.0,
        }
    }

    /// Stores a new endpoint, unless its tenant has as many as it may.
    async fn add_endpoint(&self, tenant: &TenantId, new: &mut StoredEndpoint) -> Result<(), Problem> {
        for tries in 0..TRIES {
            let config = self.stored(tenant).await?;
            if config.endpoints.len() >= DEFAULT_MAX_ENDPOINTS {
                let detail = format!("a tenant may have at most {DEFAULT_MAX_ENDPOINTS} endpoints");
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
    tag = "endpoints",
    params(("tenant" = String, Path, description = "The tenant's id")),
    request_body = NewEndpoint,
    responses(
        (status = 201, description = "Made", body = MadeEndpoint),
        (status = 400, description = "Not JSON", body = Problem),
        (status = 401, description = "No valid key", body = Problem),
        (status = 403, description = "The key may not", body = Problem),
        (status = 404, description = "No such tenant, or another's", body = Problem),
        (status = 409, description = "The tenant has as many as it may (`endpoints_limit`)", body = Problem),
        (status = 413, description = "Too large", body = Problem),
        (status = 422, description = "A field is wrong", body = Problem),
    )
)]
async fn create(
    State(api): State<Arc<Api>>,
    scope: InTenant,
    own_hosts: OwnHosts,
    Body(mut fields): Body,
) -> Result<(StatusCode, Json<MadeEndpoint>), Problem> {
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
        sealed: api.secrets.seal(scope.id(), &id, &credentials).await?,
        endpoint: Endpoint {
            id,
            tenant: scope.id().clone(),
            state,
            settings,
            version: 0,
            created_at: now,
            updated_at: now,
        },
    };
    api.add_endpoint(scope.id(), &mut new).await?;
    let made = MadeEndpoint {
        endpoint: api.endpoint_view(&new.endpoint),
        secret: credentials.secret.reveal().to_owned(),
    };
    Ok((StatusCode::CREATED, Json(made)))
}

/// List endpoints
#[utoipa::path(
    get,
    path = "/v1/tenants/{tenant}/endpoints",
    tag = "endpoints",
    params(
        ("tenant" = String, Path, description = "The tenant's id"),
        ("limit" = Option<u8>, Query, description = "Most items, 1 to 100, 50 by default"),
        ("cursor" = Option<String>, Query, description = "`next` of the page before"),
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
    let query = Query::parse(raw.as_deref(), &[])?;
    let wanted = api.wanted("endpoints", Some(scope.id()), &query).await?;
    let after = wanted.after_key().unwrap_or_default();
    let stored = scope.config.endpoints.iter();
    let rest = stored.filter(|stored| stored.endpoint.id.as_str() > after);
    let found: Vec<&Arc<StoredEndpoint>> = rest.take(wanted.limit + 1).collect();
    let key = |stored: &&Arc<StoredEndpoint>| stored.endpoint.id.to_string();
    let page = api.keyed(&wanted, found, key, |stored| api.endpoint_view(&stored.endpoint));
    Ok(Json(page.await?))
}

/// Read an endpoint
#[utoipa::path(
    get,
    path = "/v1/tenants/{tenant}/endpoints/{endpoint}",
    tag = "endpoints",
    params(
        ("tenant" = String, Path, description = "The tenant's id"),
        ("endpoint" = String, Path, description = "The endpoint's id"),
    ),
    responses(
        (status = 200, description = "The endpoint", body = EndpointView),
        (status = 401, description = "No valid key", body = Problem),
        (status = 403, description = "The key may not", body = Problem),
        (status = 404, description = "No such endpoint, or another's", body = Problem),
    )
)]
async fn read(State(api): State<Arc<Api>>, scope: InTenant) -> Result<Json<EndpointView>, Problem> {
    let stored = scope.config.endpoint(&scope.endpoint()?);
    let stored = stored.ok_or_else(|| Problem::not_found("endpoint"))?;
    Ok(Json(api.endpoint_view(&stored.endpoint)))
}

/// Change an endpoint
///
/// A JSON merge patch (RFC 7396): what is absent stays, `null` restores the default, `metadata`, `headers` and `retry` are
/// merged member by member. The fields are those of a new endpoint but `secret`, which `POST .../rotate` changes.
#[utoipa::path(
    patch,
    path = "/v1/tenants/{tenant}/endpoints/{endpoint}",
    tag = "endpoints",
    params(
        ("tenant" = String, Path, description = "The tenant's id"),
        ("endpoint" = String, Path, description = "The endpoint's id"),
    ),
    request_body = EndpointPatch,
    responses(
        (status = 200, description = "The changed endpoint", body = EndpointView),
        (status = 400, description = "Not JSON", body = Problem),
        (status = 401, description = "No valid key", body = Problem),
        (status = 403, description = "The key may not", body = Problem),
        (status = 404, description = "No such endpoint, or another's", body = Problem),
        (status = 409, description = "Changed by others at the same time", body = Problem),
        (status = 413, description = "Too large", body = Problem),
        (status = 422, description = "A field is wrong", body = Problem),
    )
)]
async fn patch(
    State(api): State<Arc<Api>>,
    scope: InTenant,
    own_hosts: OwnHosts,
    Body(mut patch): Body,
) -> Result<Json<EndpointView>, Problem> {
    let id = scope.endpoint()?;
    let state = wanted_state(&mut patch)?;
    let authentication = Authentication::take(&mut patch)?;
    let rules = api.url_rules(&own_hosts);
    let apply = |endpoint: &mut Endpoint| {
        endpoint.settings = patched(&endpoint.settings, &patch, rules)?;
        endpoint.state = state.unwrap_or(endpoint.state);
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
    if state == Some(EndpointState::Active) {
        api.release(&scope, &changed).await?;
    }
    Ok(Json(api.endpoint_view(&changed.after.endpoint)))
}

/// Delete an endpoint
///
/// Events accepted after the answer do not match it; what waits for it is canceled when its turn comes.
#[utoipa::path(
    delete,
    path = "/v1/tenants/{tenant}/endpoints/{endpoint}",
    tag = "endpoints",
    params(
        ("tenant" = String, Path, description = "The tenant's id"),
        ("endpoint" = String, Path, description = "The endpoint's id"),
    ),
    responses(
        (status = 204, description = "Deleted"),
        (status = 401, description = "No valid key", body = Problem),
        (status = 403, description = "The key may not", body = Problem),
        (status = 404, description = "No such endpoint, or another's", body = Problem),
        (status = 409, description = "Changed by others at the same time", body = Problem),
    )
)]
async fn delete(State(api): State<Arc<Api>>, scope: InTenant) -> Result<StatusCode, Problem> {
    let id = scope.endpoint()?;
    for tries in 0..TRIES {
        let config = api.stored(scope.id()).await?;
        if config.endpoint(&id).is_none() {
            return Err(Problem::not_found("endpoint"));
        }
        let change = Change::DeleteEndpoint(&id);
        if api
            .try_change(scope.id(), config.version, change, tries)
            .await?
            .is_some()
        {
            if api.has_held(&scope, &id).await? {
                api.ask_for_held(&Arc::new(config), &id).await?;
            }
            return Ok(StatusCode::NO_CONTENT);
        }
    }
    Err(outrun())
}
