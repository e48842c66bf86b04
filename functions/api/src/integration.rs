//! `/integration/webhook`: the endpoints of profile `utel`, managed as the customers of that system do, by `GET` and by `PUT`
//! of the whole list. Every answer on this path wears that system's envelope, refusals too. Touches no endpoint of another
//! profile. What a list means for what is stored is `plan`; this file asks, stores and answers.

mod envelope;
mod plan;

use std::sync::Arc;

use axum::Json;
use axum::body::to_bytes;
use axum::extract::{FromRequest, Request, State};
use axum::http::StatusCode;
use redial_domain::EndpointId;
use redial_domain::count::counted;
use redial_domain::endpoint::{Endpoint, EndpointState};
use redial_domain::json;
use redial_domain::profile::webhook_resource::WebhookResource;
use redial_domain::signature::Secret;
use redial_platform::fields::{self, MAX_BODY_BYTES};
use redial_platform::problem::Problem;
use redial_platform::routes;
use redial_platform::routes::Routes;
use redial_platform::seal::Credentials;
use redial_platform::store::change::{MAX_CHANGED_BYTES, MAX_CHANGED_ENDPOINTS};
use redial_platform::store::config::{Change, StoredEndpoint, TenantConfig};
use serde_json::{Value, json};
use utoipa::ToSchema;

pub(crate) use self::envelope::enveloped;

use self::envelope::{Refusal, Webhooks};
use self::plan::Plan;
use crate::Api;
use crate::access::{InTenant, OwnTenant};
use crate::backlog::Wish;
use crate::body::{Fields, refuse};
use crate::change::{Changed, TRIES, outrun};
use crate::endpoint_fields::{UrlRules, settings};
use crate::own_origin::OwnHosts;

/// Where that system has its webhooks.
const PATH: &str = "/integration/webhook";
/// What JSON and a transaction add to an endpoint's settings and secrets, in bytes, at most.
const OVERHEAD_BYTES: usize = 1_000;

pub(crate) fn routes<R: Routes<Arc<Api>>>(to: R) -> R {
    to.with(routes!(list, replace))
}

/// One webhook of system C: a URL and what it wants.
#[derive(ToSchema)]
#[schema(as = WebhookResource)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "describes the body; `webhook` reads its fields one by one")]
#[expect(clippy::struct_excessive_bools, reason = "the form is another system's")]
struct WebhookFields {
    /// Where to POST: https, a public host.
    #[schema(
        max_length = 2048,
        example = "https://myapp.com/webhook/calls",
        pattern = r"^https://(([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)+[A-Za-z]{2,63})(:(443|[1-9][0-9]{3}|[1-5][0-9]{4}))?([/?]([A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*)?$"
    )]
    url: String,
    /// A call, inbound or outbound, began.
    #[schema(example = true)]
    call_started: bool,
    /// A call ended.
    #[schema(example = true)]
    call_ended: bool,
    /// A stage of a call rings.
    #[schema(example = false)]
    dial_started: bool,
    /// A stage was answered.
    #[schema(example = false)]
    dial_answered: bool,
    /// A stage ended: a group, a queue or a user.
    #[schema(example = false)]
    dial_ended: bool,
    /// A call was transferred; arrives as `call_blind_transferred` or `call_attended_transferred`.
    #[schema(example = false)]
    call_transferred: bool,
    /// A recording was saved.
    #[schema(example = true)]
    call_saved: bool,
}

/// The list that a `PUT` sends.
#[derive(Debug)]
struct Wanted(Vec<WebhookResource>);

impl FromRequest<Arc<Api>> for Wanted {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &Arc<Api>) -> Result<Self, Problem> {
        let body = to_bytes(request.into_body(), MAX_BODY_BYTES).await;
        read(&body.map_err(|_| fields::too_large())?).map(Self)
    }
}

/// Reads a list: nothing is ignored, and each URL is there once.
fn read(body: &[u8]) -> Result<Vec<WebhookResource>, Problem> {
    let malformed = |detail: &str| Problem::new(StatusCode::BAD_REQUEST, "json_invalid", detail);
    let text = std::str::from_utf8(body).map_err(|_| malformed("the body is not UTF-8"))?;
    json::check(text, json::MAX_DEPTH).map_err(|fault| malformed(&fault.to_string()))?;
    let Ok(Value::Array(items)) = serde_json::from_str(text) else {
        return Err(malformed("the body must be an array of webhooks; [] removes all"));
    };
    let read = items.into_iter().enumerate();
    let read: Result<Vec<WebhookResource>, Problem> = read.map(|(n, item)| webhook(item).map_err(in_item(n))).collect();
    let read = read?;
    for (n, resource) in read.iter().enumerate() {
        let same = |other: &WebhookResource| plan::is_same_url(&other.url, &resource.url);
        if let Some(first) = read[..n].iter().position(same) {
            let detail = format!("is listed twice, at [{first}] too: list each URL once, with all its events");
            return Err(in_item(n)(refuse("url_repeated", "url", detail)));
        }
    }
    Ok(read)
}

fn webhook(item: Value) -> Result<WebhookResource, Problem> {
    let Value::Object(members) = item else {
        return Err(refuse(
            "field_invalid",
            "",
            "must be an object with url and the seven booleans",
        ));
    };
    let mut fields = Fields(members);
    let mut switch = |name: &'static str| {
        let value = fields.take(name, "true or false")?;
        value.ok_or_else(|| refuse("field_missing", name, "is required: true or false"))
    };
    let resource = WebhookResource {
        url: String::new(),
        call_started: switch("call_started")?,
        call_ended: switch("call_ended")?,
        dial_started: switch("dial_started")?,
        dial_answered: switch("dial_answered")?,
        dial_ended: switch("dial_ended")?,
        call_transferred: switch("call_transferred")?,
        call_saved: switch("call_saved")?,
    };
    let url = fields.required_text("url")?;
    fields.finish()?;
    Ok(WebhookResource { url, ..resource })
}

/// Names the item that a refusal is about.
fn in_item(n: usize) -> impl Fn(Problem) -> Problem {
    move |problem| {
        let field = match problem.field.as_deref() {
            None | Some("") => format!("[{n}]"),
            Some(field) => format!("[{n}].{field}"),
        };
        problem.at(field)
    }
}

impl Api {
    /// What to store to make `wanted` of `config`.
    async fn plan(
        &self,
        config: &TenantConfig,
        wanted: &[WebhookResource],
        rules: UrlRules<'_>,
    ) -> Result<Plan, Problem> {
        let now = self.clock.now();
        let (mut plan, new) = plan::compare(&config.endpoints, wanted, now);
        // Of one list the ids ascend, and the list keeps its order.
        let mut ids: Vec<EndpointId> = new.iter().map(|_| EndpointId::mint(self.random.number())).collect();
        ids.sort_unstable();
        for (n, id) in new.into_iter().zip(ids) {
            let resource = &wanted[n];
            let mut chosen = Fields(plan::chosen(resource));
            let settings = settings(&mut chosen, rules, None).map_err(in_item(n))?;
            let tenant = config.tenant.id.clone();
            let credentials = Credentials::new(Secret::from_random(self.random.bytes()));
            let sealed = self.secrets.seal(&tenant, &id, &credentials).await?;
            let endpoint = Endpoint {
                id,
                tenant,
                state: plan::state_of_new(resource),
                settings,
                version: 0,
                created_at: now,
                updated_at: now,
                kept_until: None,
                kept_at: None,
            };
            plan.put.push(StoredEndpoint {
                endpoint,
                sealed,
                hold: None,
                slow: None,
            });
        }
        Ok(plan)
    }

    /// Has what was held delivered or canceled, as a change of each endpoint alone does.
    async fn settle(&self, scope: &InTenant, before: TenantConfig, plan: &Plan) -> Result<(), Problem> {
        for after in &plan.put {
            let Some(before) = before.endpoint(&after.endpoint.id) else {
                continue;
            };
            let was_active = before.endpoint.state == EndpointState::Active;
            if !was_active && after.endpoint.state == EndpointState::Active {
                let (before, after) = (Arc::clone(before), after.clone());
                self.release(scope, &Changed { before, after }, &Wish::default())
                    .await?;
            }
        }
        let before = Arc::new(before);
        for deleted in &plan.delete {
            self.cancel_held(&before, deleted).await;
        }
        Ok(())
    }
}

/// Refuses what a tenant may not have, and what does not fit one change that is made whole or not at all.
fn check_size(config: &TenantConfig, plan: &Plan) -> Result<(), Problem> {
    let before = config.endpoints.len();
    let after = plan.count_after(before);
    let conflict = |code, detail| Err(Problem::new(StatusCode::CONFLICT, code, detail));
    let most = usize::from(config.tenant.max_endpoints);
    if after > most && after > before {
        let most = counted(most as u64, "endpoint", "endpoints");
        let detail = format!("this tenant may have at most {most}, and this makes {after}");
        return conflict("endpoints_limit", detail);
    }
    let changes = plan.put.len() + plan.delete.len();
    let size = |stored: &StoredEndpoint| {
        let settings = json!(stored.endpoint).to_string().len();
        settings + stored.sealed.as_bytes().len() + OVERHEAD_BYTES
    };
    if changes > MAX_CHANGED_ENDPOINTS || plan.put.iter().map(size).sum::<usize>() > MAX_CHANGED_BYTES {
        let detail = format!(
            "a list is replaced whole or not at all, which at most {MAX_CHANGED_ENDPOINTS} new, changed and removed \
             webhooks can be, and this has {changes}: remove some first"
        );
        return conflict("change_too_large", detail);
    }
    Ok(())
}

/// List webhooks (system C)
///
/// The endpoints of profile `utel`, in the form of that system. A key with scope `tenant:<id>` names the tenant; an
/// operator's key needs `?tenant=`. Each URL is listed once, whatever endpoints have it.
#[utoipa::path(
    get,
    path = "/integration/webhook",
    operation_id = "list_webhooks",
    tag = "integration",
    params(("tenant" = Option<String>, Query, description = "The tenant's id, for an operator's key")),
    responses(
        (status = 200, description = "The webhooks", body = Webhooks),
        (status = 400, description = "A parameter is wrong or missing", body = Refusal),
        (status = 401, description = "No valid key", body = Refusal),
        (status = 403, description = "The key may not", body = Refusal),
        (status = 404, description = "No such tenant, or another's", body = Refusal),
        (status = 429, description = "Too many requests", body = Refusal),
    )
)]
async fn list(OwnTenant(scope): OwnTenant) -> Json<Webhooks> {
    let endpoints = scope.config.endpoints.iter().map(|stored| &stored.endpoint);
    Json(Webhooks::of(plan::listing(endpoints)))
}

/// Replace the webhooks (system C)
///
/// The whole list of profile `utel`, at once or not at all; `[]` removes all, other profiles stay. A URL that stays keeps its
/// endpoint: id, secret, settings, state and history; other booleans change which events it gets. A new one is active
/// at once; one with no event is kept and gets none.
#[utoipa::path(
    put,
    path = "/integration/webhook",
    operation_id = "replace_webhooks",
    tag = "integration",
    params(("tenant" = Option<String>, Query, description = "The tenant's id, for an operator's key")),
    request_body = Vec<WebhookFields>,
    responses(
        (status = 200, description = "The new list", body = Webhooks),
        (status = 400, description = "Not a JSON array, or a parameter is wrong or missing", body = Refusal),
        (status = 401, description = "No valid key", body = Refusal),
        (status = 403, description = "The key may not", body = Refusal),
        (status = 404, description = "No such tenant, or another's", body = Refusal),
        (
            status = 409,
            description = "More endpoints than the tenant may have, too much for one change, or changed by others meanwhile",
            body = Refusal
        ),
        (status = 413, description = "Too large", body = Refusal),
        (status = 422, description = "A webhook is wrong, or listed twice", body = Refusal),
        (status = 429, description = "Too many requests", body = Refusal),
    )
)]
async fn replace(
    State(api): State<Arc<Api>>,
    OwnTenant(scope): OwnTenant,
    own_hosts: OwnHosts,
    Wanted(wanted): Wanted,
) -> Result<Json<Webhooks>, Problem> {
    let rules = api.url_rules(&own_hosts);
    for tries in 0..TRIES {
        let config = api.stored(scope.id()).await?;
        let mut plan = api.plan(&config, &wanted, rules).await?;
        for (n, url) in plan.respelled(&wanted) {
            rules.check(url).map_err(in_item(n))?;
        }
        check_size(&config, &plan)?;
        let is_stored = plan.is_empty() || {
            for deleted in &plan.delete {
                api.look_when_gone(scope.id(), deleted).await?;
            }
            let Plan { put, delete, .. } = &mut plan;
            let change = Change::Endpoints { put, delete };
            api.try_change(scope.id(), config.version, change, tries)
                .await?
                .is_some()
        };
        if is_stored {
            let after = Webhooks::of(plan::listing(plan.after(&config.endpoints)));
            api.settle(&scope, config, &plan).await?;
            return Ok(Json(after));
        }
    }
    Err(outrun())
}

#[cfg(test)]
mod tests;
