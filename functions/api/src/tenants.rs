//! Tenants: made and set by operators, read by themselves. `erasures` takes them away.

use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use redial_domain::endpoint::MAX_ENDPOINTS;
use redial_domain::id::MAX_SHARDS;
use redial_domain::profile::voicehub::check_template;
use redial_domain::{TenantId, Timestamp};
use redial_platform::notices::OPERATOR;
use redial_platform::problem::Problem;
use redial_platform::routes;
use redial_platform::routes::Routes;
use redial_platform::store::config::{Change, MAX_RETENTION_DAYS, MIN_RETENTION_DAYS, Tenant, Validation};
use serde::Serialize;
use utoipa::ToSchema;

use crate::Api;
use crate::access::{InTenant, NamedTenant, Operator};
use crate::body::{Fields, OptionalBody, refuse};
use crate::change::{TRIES, outrun};
use crate::listing::Listing;
use crate::precondition::{IfMatch, Tagged};
use crate::query::Query;

/// Longest name of a tenant, in characters.
const MAX_NAME_CHARS: usize = 200;

pub(crate) fn routes<R: Routes<Arc<Api>>>(to: R) -> R {
    to.with(routes!(list)).with(routes!(put, read))
}

/// A tenant.
#[derive(Debug, Serialize, ToSchema)]
struct TenantView {
    #[schema(value_type = String, example = "acme")]
    id: TenantId,
    name: String,
    /// Days that its events are kept.
    retention_days: u16,
    /// True if its events may be of types that no catalogue has.
    allow_unknown_types: bool,
    /// What is done with an event whose `data` does not fit the schema of its type: `off`: nobody looks; `warn`: it is accepted,
    /// and the answer says what does not fit; `reject`: it is refused.
    validation: Validation,
    /// Where receivers of profile `voicehub` fetch an analysis, unless its event says so in `links.analysis`; `null`: nowhere.
    #[schema(required)]
    analysis_url: Option<String>,
    /// Most endpoints that it may have.
    max_endpoints: u16,
    /// Shards of its lists.
    shards: u16,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

impl From<&Tenant> for TenantView {
    fn from(tenant: &Tenant) -> Self {
        Self {
            id: tenant.id.clone(),
            name: tenant.name.clone(),
            retention_days: tenant.retention_days,
            allow_unknown_types: tenant.allow_unknown_types,
            validation: tenant.validation,
            analysis_url: tenant.analysis_url.clone(),
            max_endpoints: tenant.max_endpoints,
            shards: tenant.shards,
            created_at: tenant.created_at,
            updated_at: tenant.updated_at,
        }
    }
}

/// Settings of a tenant; what is absent stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TenantSettings {
    /// For people, at most 200 characters.
    #[schema(max_length = 200)]
    name: Option<String>,
    /// Days that its events are kept, for events from then on: 3 to 365, 30 by default.
    #[schema(minimum = 3, maximum = 365)]
    retention_days: Option<u16>,
    /// True if its events may be of types that no catalogue has.
    allow_unknown_types: Option<bool>,
    /// What is done with an event whose `data` does not fit the schema of its type: `warn` by default.
    validation: Option<Validation>,
    /// Where receivers of profile `voicehub` fetch an analysis, unless its event says so in `links.analysis`: a https URL in
    /// which `{call_id}`, `{analysis_id}` and `{event_id}`, after the host, stand for the ids. An empty text takes it away. Applies
    /// within 30 seconds.
    #[schema(max_length = 2048, example = "https://api.example.com/calls/{call_id}/analysis")]
    analysis_url: Option<String>,
    /// Most endpoints that it may have: 50 by default, at most 200. Lowered below what it has, it makes no more and keeps
    /// those.
    #[schema(maximum = 200)]
    max_endpoints: Option<u16>,
    /// Shards of its lists: 4 by default, at most 1024, only ever raised. 1000 events a second each.
    #[schema(minimum = 1, maximum = 1024)]
    shards: Option<u16>,
    /// Needed to make the tenant `operator`, and of no other: what Redial tells about every tenant goes to its endpoints, so it
    /// must never be a customer's.
    for_operators: Option<bool>,
}

impl TenantSettings {
    fn read(mut fields: Fields) -> Result<Self, Problem> {
        let settings = Self {
            name: fields.short_text("name", MAX_NAME_CHARS)?,
            retention_days: fields.take("retention_days", "a number of days, 3 to 365")?,
            allow_unknown_types: fields.take("allow_unknown_types", "true or false")?,
            validation: fields.take("validation", "off, warn or reject")?,
            analysis_url: fields.text("analysis_url")?,
            max_endpoints: fields.take("max_endpoints", "a number, 0 to 200")?,
            shards: fields.take("shards", "a number, 1 to 1024")?,
            for_operators: fields.take("for_operators", "true or false")?,
        };
        fields.finish()?;
        let kept = MIN_RETENTION_DAYS..=MAX_RETENTION_DAYS;
        if settings.retention_days.is_some_and(|days| !kept.contains(&days)) {
            return Err(refuse("retention_invalid", "retention_days", "must be 3 to 365"));
        }
        if settings.max_endpoints.is_some_and(|most| most > MAX_ENDPOINTS) {
            let detail = format!("must be 0 to {MAX_ENDPOINTS}");
            return Err(refuse("limit_invalid", "max_endpoints", detail));
        }
        if settings
            .shards
            .is_some_and(|shards| !(1..=MAX_SHARDS).contains(&shards))
        {
            return Err(refuse("shards_invalid", "shards", "must be 1 to 1024"));
        }
        Ok(settings)
    }

    /// Refuses to make the tenant that is told about all others for somebody who may not know that it is.
    fn check_id(&self, id: &TenantId, is_new: bool) -> Result<(), Problem> {
        let is_operators = id.as_str() == OPERATOR;
        let is_meant = self.for_operators == Some(true);
        if is_operators && is_new && !is_meant {
            let detail = format!(
                "the tenant {OPERATOR} is told about every other one: if it is to be your own, say true; a customer's \
                 tenant needs another id"
            );
            return Err(refuse("tenant_reserved", "for_operators", detail));
        }
        if !is_operators && is_meant {
            let detail = format!("only the tenant {OPERATOR} is told about all others: leave this out");
            return Err(refuse("tenant_not_reserved", "for_operators", detail));
        }
        Ok(())
    }

    fn apply(&self, tenant: &mut Tenant) -> Result<(), Problem> {
        if let Some(shards) = self.shards {
            if shards < tenant.shards {
                let detail = format!("can only be raised: it is {}", tenant.shards);
                return Err(refuse("shards_invalid", "shards", detail));
            }
            tenant.shards = shards;
        }
        tenant.name = self.name.as_ref().unwrap_or(&tenant.name).clone();
        tenant.retention_days = self.retention_days.unwrap_or(tenant.retention_days);
        tenant.allow_unknown_types = self.allow_unknown_types.unwrap_or(tenant.allow_unknown_types);
        tenant.max_endpoints = self.max_endpoints.unwrap_or(tenant.max_endpoints);
        tenant.validation = self.validation.unwrap_or(tenant.validation);
        if let Some(template) = &self.analysis_url {
            tenant.analysis_url = Some(template.clone()).filter(|template| !template.is_empty());
        }
        Ok(())
    }
}

/// Make or set a tenant
///
/// Repeating it is safe: settings that are absent stay as they are, and have their defaults in a new tenant.
#[utoipa::path(
    put,
    path = "/v1/tenants/{tenant}",
    operation_id = "put_tenant",
    tag = "tenants",
    params(
        ("tenant" = String, Path, description = "1 to 128 characters of A-Z a-z 0-9 _ : -"),
        ("If-Match" = Option<String>, Header, description = "Versions, as `ETag` has them: another one answers 412"),
    ),
    request_body = inline(Option<TenantSettings>),
    responses(
        (status = 200, description = "Set", body = TenantView,
            headers(("ETag" = String, description = "The version of the tenant and its endpoints, in quotes"))),
        (status = 201, description = "Made", body = TenantView,
            headers(("ETag" = String, description = "The version of the tenant and its endpoints, in quotes"))),
        (status = 400, description = "Not JSON, or `If-Match` is not of its form (`if_match_invalid`)", body = Problem),
        (status = 401, description = "No valid key", body = Problem),
        (status = 403, description = "Only operators may", body = Problem),
        (status = 404, description = "Another tenant's", body = Problem),
        (status = 409, description = "Changed by others at the same time (`conflict`), or a tenant of this name is being erased (`tenant_erasing`)", body = Problem),
        (status = 412, description = "It was changed since, or is not there (`version_mismatch`)", body = Problem),
        (status = 413, description = "Too large", body = Problem),
        (status = 422, description = "A field is wrong, or the tenant `operator` would be made without saying so \
            (`tenant_reserved`), or another while saying so (`tenant_not_reserved`)", body = Problem),
    )
)]
async fn put(
    State(api): State<Arc<Api>>,
    NamedTenant(id): NamedTenant,
    if_match: IfMatch,
    OptionalBody(fields): OptionalBody,
) -> Result<Tagged<TenantView>, Problem> {
    let settings = TenantSettings::read(fields)?;
    if let Some(template) = settings.analysis_url.as_deref().filter(|text| !text.is_empty()) {
        check_template(template, &api.policy)?;
    }
    for tries in 0..TRIES {
        let now = api.clock.now();
        let before = api.store.tenant_config(&id).await?;
        if before.is_none() {
            api.refuse_while_erasing(&id).await?;
        }
        settings.check_id(&id, before.is_none())?;
        match &before {
            Some(config) => if_match.check(config.version)?,
            None => if_match.check_absent()?,
        }
        let (status, expected) = match &before {
            Some(config) => (StatusCode::OK, config.version),
            None => (StatusCode::CREATED, 0),
        };
        let before = before.map(|config| config.tenant);
        let mut tenant = before.clone().unwrap_or_else(|| Tenant::new(id.clone(), now));
        settings.apply(&mut tenant)?;
        let answer = |version, tenant: &Tenant| Tagged {
            status,
            version,
            body: TenantView::from(tenant),
        };
        if before.as_ref() == Some(&tenant) {
            return Ok(answer(expected, &tenant));
        }
        tenant.updated_at = now;
        let change = Change::PutTenant(&tenant);
        if let Some(version) = api.try_change(&id, expected, change, tries).await? {
            return Ok(answer(version, &tenant));
        }
    }
    Err(outrun())
}

/// Read a tenant
#[utoipa::path(
    get,
    path = "/v1/tenants/{tenant}",
    operation_id = "read_tenant",
    tag = "tenants",
    params(("tenant" = String, Path, description = "The tenant's id")),
    responses(
        (status = 200, description = "The tenant", body = TenantView,
            headers(("ETag" = String, description = "The version of the tenant and its endpoints, in quotes"))),
        (status = 401, description = "No valid key", body = Problem),
        (status = 403, description = "The key may not", body = Problem),
        (status = 404, description = "No such tenant, or another's", body = Problem),
    )
)]
async fn read(scope: InTenant) -> Tagged<TenantView> {
    Tagged::ok(scope.config.version, TenantView::from(scope.tenant()))
}

/// List tenants
#[utoipa::path(
    get,
    path = "/v1/tenants",
    operation_id = "list_tenants",
    tag = "tenants",
    params(
        ("limit" = Option<u8>, Query, description = "Most items, 1 to 100, 50 by default"),
        ("cursor" = Option<String>, Query, description = "`next` of the page before"),
    ),
    responses(
        (status = 200, description = "A page of tenants, by id", body = Listing<TenantView>),
        (status = 400, description = "A parameter is wrong", body = Problem),
        (status = 401, description = "No valid key", body = Problem),
        (status = 403, description = "Only operators may", body = Problem),
    )
)]
async fn list(
    State(api): State<Arc<Api>>,
    _: Operator,
    RawQuery(raw): RawQuery,
) -> Result<Json<Listing<TenantView>>, Problem> {
    let wanted = api.wanted("tenants", None, &Query::parse(raw.as_deref(), &[])?).await?;
    let page = api.store.tenants(wanted.after_key(), wanted.limit).await?;
    let view = |tenant: Tenant| TenantView::from(&tenant);
    Ok(Json(api.paged(&wanted, page, view).await?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Result<TenantSettings, Problem> {
        TenantSettings::read(Fields::parse(body.as_bytes()).unwrap().unwrap())
    }

    #[test]
    fn every_setting_outside_its_limits_is_named() {
        for (body, code, field) in [
            (r#"{"name":7}"#, "field_invalid", "name"),
            (r#"{"retention_days":2}"#, "retention_invalid", "retention_days"),
            (r#"{"retention_days":366}"#, "retention_invalid", "retention_days"),
            (r#"{"retention_days":-1}"#, "field_invalid", "retention_days"),
            (r#"{"retention_days":"30"}"#, "field_invalid", "retention_days"),
            (
                r#"{"allow_unknown_types":"yes"}"#,
                "field_invalid",
                "allow_unknown_types",
            ),
            (r#"{"validation":"strict"}"#, "field_invalid", "validation"),
            (r#"{"max_endpoints":201}"#, "limit_invalid", "max_endpoints"),
            (r#"{"max_endpoints":-1}"#, "field_invalid", "max_endpoints"),
            (r#"{"shards":0}"#, "shards_invalid", "shards"),
            (r#"{"shards":1025}"#, "shards_invalid", "shards"),
            (r#"{"shards":4.5}"#, "field_invalid", "shards"),
            (r#"{"id":"x"}"#, "field_unknown", "id"),
        ] {
            let problem = read(body).unwrap_err();
            assert_eq!(
                (problem.status, problem.code.as_str(), problem.field.as_deref()),
                (422, code, Some(field)),
                "{body}"
            );
        }
        let long = format!(r#"{{"name":"{}"}}"#, "n".repeat(MAX_NAME_CHARS + 1));
        assert_eq!(read(&long).unwrap_err().code, "field_too_long");
    }

    #[test]
    fn shards_are_only_raised_and_what_is_absent_stays() {
        let mut tenant = Tenant::new(TenantId::parse("acme").unwrap(), Timestamp::from_millis(1));
        read(r#"{"shards":16,"name":"Acme"}"#)
            .unwrap()
            .apply(&mut tenant)
            .unwrap();
        read(r#"{"retention_days":7}"#).unwrap().apply(&mut tenant).unwrap();
        assert_eq!(
            (tenant.shards, tenant.name.as_str(), tenant.retention_days),
            (16, "Acme", 7)
        );
        let before = tenant.clone();
        let lowered = read(r#"{"name":"other","shards":8}"#).unwrap();
        assert_eq!(lowered.apply(&mut tenant).unwrap_err().code, "shards_invalid");
        assert_eq!(tenant, before);
    }
}
