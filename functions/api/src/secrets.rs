//! The signing secrets of endpoints: shown to whoever may manage them, and rotated with an overlap in which both sign.
//! Never logged.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use redial_domain::Timestamp;
use redial_domain::auth::EndpointAuth;
use redial_domain::endpoint::{DEFAULT_OVERLAP_S, Endpoint, MAX_OVERLAP_S};
use redial_domain::signature::Secret;
use redial_platform::problem::Problem;
use redial_platform::routes;
use redial_platform::routes::Routes;
use redial_platform::seal::Credentials;
use serde::Serialize;
use utoipa::ToSchema;

use crate::Api;
use crate::access::InTenant;
use crate::body::{OptionalBody, refuse};
use crate::endpoint_schema::AuthFields;
use crate::precondition::{IfMatch, Tagged};

pub(crate) fn routes<R: Routes<Arc<Api>>>(to: R) -> R {
    to.with(routes!(read)).with(routes!(rotate))
}

/// The secrets of an endpoint.
#[derive(Serialize, ToSchema)]
struct SecretsView {
    /// Signs every request.
    #[schema(example = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")]
    secret: String,
    /// Signs too, until it expires; `null`: there is none.
    #[schema(required)]
    previous: Option<PreviousSecret>,
    /// How requests authenticate besides; `null`: they do not.
    #[schema(value_type = Option<AuthFields>, required)]
    auth: Option<EndpointAuth>,
    /// Headers that requests carry besides ours.
    headers: BTreeMap<String, String>,
}

/// A secret that was rotated away.
#[derive(Serialize, ToSchema)]
struct PreviousSecret {
    secret: String,
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
}

/// How to rotate.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "describes the body; `rotate` reads its fields")]
struct Rotation {
    /// The new secret, `whsec_..` (`voicehub`: any printable ASCII of at most 256 characters); absent: Redial mints one.
    #[schema(
        pattern = "^whsec_(([A-Za-z0-9+/]{4}){8,21}([A-Za-z0-9+/][AQgw]==)?|([A-Za-z0-9+/]{4}){8,20}[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)$"
    )]
    secret: Option<String>,
    /// Seconds for which the old one signs too: 0 to 604800, 86400 by default.
    #[schema(minimum = 0, maximum = 604_800)]
    overlap_s: Option<u32>,
}

fn view(credentials: &Credentials, now: Timestamp) -> SecretsView {
    let previous = credentials.previous.as_ref().filter(|(_, until)| now < *until);
    SecretsView {
        secret: credentials.secret.reveal().to_owned(),
        previous: previous.map(|(secret, until)| PreviousSecret {
            secret: secret.reveal().to_owned(),
            expires_at: *until,
        }),
        auth: credentials.auth.clone(),
        headers: credentials
            .headers
            .iter()
            .map(|header| (header.name().to_owned(), header.value().to_owned()))
            .collect(),
    }
}

/// Show an endpoint's secrets
#[utoipa::path(
    get,
    path = "/v1/tenants/{tenant}/endpoints/{endpoint}/secret",
    operation_id = "read_secret",
    tag = "endpoints",
    params(
        ("tenant" = String, Path, description = "The tenant's id"),
        ("endpoint" = String, Path, description = "The endpoint's id"),
    ),
    responses(
        (status = 200, description = "The secrets that sign now", body = SecretsView,
            headers(("ETag" = String, description = "The version, in quotes"))),
        (status = 401, description = "No valid key", body = Problem),
        (status = 403, description = "The key may not, or it is a portal token for looking only (`read_only`)", body = Problem),
        (status = 404, description = "No such endpoint, or another's", body = Problem),
    )
)]
async fn read(State(api): State<Arc<Api>>, scope: InTenant) -> Result<Tagged<SecretsView>, Problem> {
    scope.may_see_secrets()?;
    let id = scope.endpoint()?;
    let stored = scope.config.endpoint(&id);
    let stored = stored.ok_or_else(|| Problem::not_found("endpoint"))?;
    let credentials = api.secrets.open(scope.id(), &id, &stored.sealed).await?;
    Ok(Tagged::ok(stored.endpoint.version, view(&credentials, api.clock.now())))
}

/// Rotate an endpoint's secret
///
/// Requests are signed with both secrets until the overlap ends. An older secret that still overlapped stops signing.
#[utoipa::path(
    post,
    path = "/v1/tenants/{tenant}/endpoints/{endpoint}/rotate",
    operation_id = "rotate_secret",
    tag = "endpoints",
    params(
        ("tenant" = String, Path, description = "The tenant's id"),
        ("endpoint" = String, Path, description = "The endpoint's id"),
        ("If-Match" = Option<String>, Header, description = "Versions, as `ETag` has them: another one answers 412"),
    ),
    request_body = inline(Option<Rotation>),
    responses(
        (status = 200, description = "The secrets that sign now", body = SecretsView,
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
async fn rotate(
    State(api): State<Arc<Api>>,
    scope: InTenant,
    if_match: IfMatch,
    OptionalBody(mut fields): OptionalBody,
) -> Result<Tagged<SecretsView>, Problem> {
    let id = scope.endpoint()?;
    let given = fields.text("secret")?;
    let overlap_s: Option<u32> = fields.take("overlap_s", "a number of seconds, 0 to 604800")?;
    fields.finish()?;
    let overlap_s = overlap_s.unwrap_or(DEFAULT_OVERLAP_S);
    if overlap_s > MAX_OVERLAP_S {
        return Err(refuse("overlap_invalid", "overlap_s", "must be 0 to 604800"));
    }
    let now = api.clock.now();
    let until = now.plus_millis(i64::from(overlap_s) * 1000);
    let minted = Secret::from_random(api.random.bytes());
    let apply = |endpoint: &mut Endpoint, credentials: &mut Credentials| {
        if_match.check(endpoint.version)?;
        let new = match &given {
            Some(text) => endpoint.settings.profile.secret(text)?,
            None => minted.clone(),
        };
        if credentials.secret == new {
            return Err(refuse("secret_invalid", "secret", "is the one that signs already"));
        }
        let old = std::mem::replace(&mut credentials.secret, new);
        credentials.previous = (overlap_s > 0).then_some((old, until));
        Ok(())
    };
    let (changed, credentials) = api.change_with_secrets(scope.id(), &id, apply).await?;
    api.probe_soon(&scope, &changed).await;
    Ok(Tagged::ok(changed.after.endpoint.version, view(&credentials, now)))
}
