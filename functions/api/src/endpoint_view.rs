//! How an endpoint is shown: what its tenant chose of it, and never a secret part.

use std::collections::BTreeMap;

use redial_domain::auth::ShownAuth;
use redial_domain::endpoint::dead_letter::DeadLetter;
use redial_domain::endpoint::{Endpoint, EndpointState};
use redial_domain::filter::TypePattern;
use redial_domain::hold::{Hold, HoldReason};
use redial_domain::profile::{Payload, Profile};
use redial_domain::retry::RetryPolicy;
use redial_domain::{AgentId, EndpointId, Timestamp};
use redial_platform::store::config::StoredEndpoint;
use serde::Serialize;
use utoipa::ToSchema;

use crate::Api;
use crate::condition::Condition;
use crate::endpoint_schema::{DeadLetterFields, PayloadName, ProfileName, RetryFields};
use crate::precondition::Tagged;

/// An endpoint, without its secrets.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EndpointView {
    #[schema(value_type = String, example = "ep_0123456789ABCDEF")]
    id: EndpointId,
    url: String,
    /// `inactive`: matches nothing; `active`; `paused` and `disabled`: match, and their deliveries are held.
    #[schema(value_type = StateName, example = "active")]
    state: EndpointState,
    /// That it is on hold because it fails: its deliveries are held, and it is probed; `null`: it is not.
    #[schema(required)]
    hold: Option<HoldView>,
    /// How it is, in one word: only in a list that was asked with `include=condition`, and in its health.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    condition: Option<Condition>,
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
    #[schema(value_type = ProfileName, example = "standard")]
    profile: Profile,
    /// `full`, or `thin`: ids and links only.
    #[schema(value_type = PayloadName, example = "full")]
    payload: Payload,
    /// How requests authenticate besides the signature, without the secret part; `null`: they do not.
    #[schema(value_type = Option<ShownAuthView>, required)]
    auth: Option<ShownAuth>,
    /// Names of the headers that they carry besides ours.
    header_names: Vec<String>,
    /// Milliseconds the receiver has to answer.
    timeout_ms: u32,
    /// When it retries: its own policy as given, or this deployment's default.
    #[schema(value_type = RetryFields)]
    retry: RetryPolicy,
    /// Most deliveries a second; `null`: as many as come.
    #[schema(required)]
    rate_limit: Option<u32>,
    /// What becomes of deliveries that died.
    #[schema(value_type = DeadLetterFields)]
    dead_letter: DeadLetter,
    /// What is held of events accepted before this moment stays held until it is drained or discarded (`POST .../backlog`);
    /// `null`: nothing is kept back.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    kept_until: Option<Timestamp>,
    /// Raised by each change; the `ETag`, in quotes.
    version: u64,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

impl EndpointView {
    /// With how it is, where that was asked for.
    pub(crate) fn with(self, condition: Option<Condition>) -> Self {
        Self { condition, ..self }
    }
}

/// That an active endpoint is on hold because it fails.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HoldView {
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
    /// `failures_in_row`: ten attempts in a row failed; `failure_share`: at least half of at least 20 within a minute did.
    #[schema(value_type = HoldReasonName, example = "failures_in_row")]
    reason: HoldReason,
}

/// Why an endpoint is on hold.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "describes a value; the domain writes it")]
pub(crate) enum HoldReasonName {
    FailuresInRow,
    FailureShare,
}

/// The hold that an endpoint is on because it fails. Pause and the like come first: then it does not count.
pub(crate) fn held(stored: &StoredEndpoint) -> Option<&Hold> {
    stored
        .hold
        .as_ref()
        .filter(|_| stored.endpoint.state == EndpointState::Active)
}

/// A new endpoint, with its secret.
#[derive(Serialize, ToSchema)]
pub(crate) struct MadeEndpoint {
    #[serde(flatten)]
    pub(crate) endpoint: EndpointView,
    /// Signs its requests; `GET .../secret` shows it again.
    #[schema(example = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")]
    pub(crate) secret: String,
}

/// A state of an endpoint.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "describes a value; the domain writes it")]
pub(crate) enum StateName {
    Inactive,
    Active,
    Paused,
    Disabled,
}

/// Authentication without its secret part.
#[derive(Debug, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[expect(dead_code, reason = "describes a value; the domain writes it")]
pub(crate) enum ShownAuthView {
    /// A value in this header.
    ApiKey {
        /// The header's name.
        header: String,
    },
    /// `authorization: Basic`.
    Basic {
        /// Who it says it is; `[hidden]` where it stands alone, without a password: then it is the secret.
        username: String,
    },
    /// `authorization: Bearer`.
    Bearer,
}

impl Api {
    /// An endpoint as it is shown.
    pub(crate) fn endpoint_view(&self, stored: &StoredEndpoint) -> EndpointView {
        let endpoint: &Endpoint = &stored.endpoint;
        let hold = held(stored).map(|hold| HoldView {
            since: hold.since,
            reason: hold.reason,
        });
        let settings = endpoint.settings.clone();
        EndpointView {
            id: endpoint.id.clone(),
            url: settings.url,
            state: endpoint.state,
            hold,
            condition: None,
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
            rate_limit: settings.rate_limit,
            dead_letter: settings.dead_letter,
            kept_until: endpoint.kept_until,
            version: endpoint.version,
            created_at: endpoint.created_at,
            updated_at: endpoint.updated_at,
        }
    }

    /// The answer that shows one endpoint.
    pub(crate) fn shown(&self, stored: &StoredEndpoint) -> Tagged<EndpointView> {
        Tagged::ok(stored.endpoint.version, self.endpoint_view(stored))
    }
}
