//! An endpoint: where a tenant wants events, and how. Checked when it is made and whenever it is changed.

pub mod dead_letter;
mod reach;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::auth::ShownAuth;
use crate::endpoint::dead_letter::DeadLetter;
use crate::event_type::EventTypeName;
use crate::filter::{Filter, Miss};
use crate::id::{AgentId, EndpointId, TenantId};
use crate::invalid::Invalid;
use crate::profile::{Payload, Profile};
use crate::retry::RetryPolicy;
use crate::timestamp::Timestamp;

pub use reach::Reach;

/// Endpoints a tenant may have unless its settings say more. docs/LIMITS.md.
pub const DEFAULT_MAX_ENDPOINTS: u16 = 50;
/// Endpoints that a tenant's settings may allow: ingest and the dispatcher keep them all in memory, an event names each that
/// it matched, and lists of deliveries are merged from all of them.
pub const MAX_ENDPOINTS: u16 = 200;
/// Milliseconds a receiver has to answer, unless the endpoint says otherwise.
pub const DEFAULT_TIMEOUT_MS: u32 = 10_000;
/// Shortest timeout of an endpoint, in milliseconds.
pub const MIN_TIMEOUT_MS: u32 = 1_000;
/// Longest timeout of an endpoint, in milliseconds.
pub const MAX_TIMEOUT_MS: u32 = 30_000;
/// Longest description, in characters.
pub const MAX_DESCRIPTION_CHARS: usize = 1_000;
/// Most metadata entries.
pub const MAX_METADATA: usize = 20;
/// Longest metadata name and value, in characters.
pub const MAX_METADATA_CHARS: usize = 256;
/// Longest overlap of two secrets, in seconds: a week.
pub const MAX_OVERLAP_S: u32 = 7 * 24 * 3600;
/// How long a rotated secret still signs, in seconds.
pub const DEFAULT_OVERLAP_S: u32 = 24 * 3600;
/// Lowest rate limit of an endpoint, in deliveries a second. docs/LIMITS.md.
pub const MIN_RATE_LIMIT: u32 = 1;
/// Highest rate limit of an endpoint, in deliveries a second: what one token item takes in writes. docs/LIMITS.md.
pub const MAX_RATE_LIMIT: u32 = 500;

/// Whether an endpoint takes part. docs/ARCHITECTURE.md.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndpointState {
    /// Matches nothing.
    Inactive,
    /// Matches and is delivered to.
    Active,
    /// Matches; its deliveries are held, because somebody asked.
    Paused,
    /// Matches; its deliveries are held, because the receiver is gone.
    Disabled,
}

impl EndpointState {
    /// The stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Inactive => "inactive",
            Self::Active => "active",
            Self::Paused => "paused",
            Self::Disabled => "disabled",
        }
    }

    /// True if deliveries wait in the table instead of being sent.
    #[must_use]
    pub const fn is_on_hold(self) -> bool {
        matches!(self, Self::Paused | Self::Disabled)
    }
}

/// What a customer chooses of an endpoint, its secrets aside.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EndpointSettings {
    /// Where to POST; checked by `url::EndpointUrl` when it is set and again before each request.
    pub url: String,
    /// For people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// The customer's own labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// Which events it wants.
    #[serde(flatten)]
    pub filter: Filter,
    /// How requests look.
    #[serde(default)]
    pub profile: Profile,
    /// How much of an event they hold.
    #[serde(default, skip_serializing_if = "is_full")]
    pub payload: Payload,
    /// How requests authenticate besides their signature, all but the secret, which is kept with the signing secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<ShownAuth>,
    /// Names of the custom headers, in lower case; their values are kept with the signing secret.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub header_names: Vec<String>,
    /// Milliseconds the receiver has to answer.
    pub timeout_ms: u32,
    /// When to retry; `None`: as the deployment does by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetryPolicy>,
    /// Most deliveries a second; `None`: as many as come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<u32>,
    /// What becomes of deliveries that died.
    #[serde(default, skip_serializing_if = "DeadLetter::is_default")]
    pub dead_letter: DeadLetter,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it")]
fn is_full(payload: &Payload) -> bool {
    *payload == Payload::Full
}

impl EndpointSettings {
    /// Checks every limit but the URL's.
    ///
    /// # Errors
    /// [`Invalid`] names the field.
    pub fn check(&self) -> Result<(), Invalid> {
        if self.description.chars().count() > MAX_DESCRIPTION_CHARS {
            return Err(Invalid::new(
                "field_too_long",
                "description",
                "may have at most 1000 characters",
            ));
        }
        let too_long = |text: &String| text.chars().count() > MAX_METADATA_CHARS;
        if self.metadata.len() > MAX_METADATA || self.metadata.iter().any(|(k, v)| too_long(k) || too_long(v)) {
            return Err(Invalid::new(
                "field_too_long",
                "metadata",
                "at most 20 entries, names and values of at most 256 characters",
            ));
        }
        if !(MIN_TIMEOUT_MS..=MAX_TIMEOUT_MS).contains(&self.timeout_ms) {
            return Err(Invalid::new("timeout_invalid", "timeout_ms", "must be 1000 to 30000"));
        }
        let rates = MIN_RATE_LIMIT..=MAX_RATE_LIMIT;
        if self.rate_limit.is_some_and(|limit| !rates.contains(&limit)) {
            return Err(Invalid::new(
                "rate_limit_invalid",
                "rate_limit",
                "must be 1 to 500, or null for none",
            ));
        }
        self.filter.check()
    }
}

/// An endpoint of a tenant. Its secrets are kept apart, sealed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Endpoint {
    /// Its id.
    pub id: EndpointId,
    /// Whose it is.
    pub tenant: TenantId,
    /// Whether it takes part.
    pub state: EndpointState,
    /// What the customer chose.
    #[serde(flatten)]
    pub settings: EndpointSettings,
    /// The tenant's configuration version at its last change; a message carries it.
    pub version: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// What is held of events accepted before this moment stays held until somebody asks for it by name: whoever asked for
    /// the endpoint to be delivered to again chose so. Nothing of it is drained, released or made a probe by itself; what
    /// has a `due_at` of its own goes then. `None`: nothing is kept back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept_until: Option<Timestamp>,
    /// When that was chosen: what is held since, a retry of an older event, goes by itself. Earlier releases did not say: then
    /// only `kept_until` counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept_at: Option<Timestamp>,
}

impl Endpoint {
    /// Why an event of this type and agent does not reach it; `None`: it is to be delivered, or held, here.
    #[must_use]
    pub fn miss(&self, event_type: &EventTypeName, agent: Option<&AgentId>) -> Option<Miss> {
        if self.state == EndpointState::Inactive {
            return Some(Miss::Inactive);
        }
        if !self.settings.profile.carries(event_type) {
            return Some(Miss::NotInProfile);
        }
        self.settings.filter.miss(event_type, agent)
    }

    /// The first moment of acceptance from which on what is held goes by itself, once the endpoint is delivered to.
    #[must_use]
    pub fn drained_since(&self) -> Timestamp {
        self.kept_until.unwrap_or_default()
    }

    /// The moment from which on what becomes held goes by itself whenever its event was accepted; `None`: there is no such
    /// moment, and [`Endpoint::drained_since`] says all.
    #[must_use]
    pub fn drains_held_since(&self) -> Option<Timestamp> {
        self.kept_at.filter(|_| self.kept_until.is_some())
    }

    /// Keeps back what is held now: of events accepted before `until`.
    pub fn keep_back(&mut self, until: Option<Timestamp>, now: Timestamp) {
        self.kept_until = until;
        self.kept_at = until.map(|_| now);
    }

    /// True if what is held for an event accepted then, and since then if that is known, stays so until somebody asks for it by
    /// name.
    #[must_use]
    pub fn keeps_back(&self, accepted_at: Timestamp, held_at: Option<Timestamp>) -> bool {
        let held_later = match (held_at, self.drains_held_since()) {
            (Some(held_at), Some(since)) => held_at >= since,
            _ => false,
        };
        accepted_at < self.drained_since() && !held_later
    }

    /// True if an event of this type and agent is to be delivered (or held) here.
    #[must_use]
    pub fn matches(&self, event_type: &EventTypeName, agent: Option<&AgentId>) -> bool {
        self.miss(event_type, agent).is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> EndpointSettings {
        EndpointSettings {
            url: "https://example.com/".to_owned(),
            description: String::new(),
            metadata: BTreeMap::new(),
            filter: Filter::default(),
            profile: Profile::Standard,
            payload: Payload::Full,
            auth: None,
            header_names: Vec::new(),
            timeout_ms: DEFAULT_TIMEOUT_MS,
            retry: None,
            rate_limit: None,
            dead_letter: DeadLetter::default(),
        }
    }

    #[test]
    fn every_limit_names_its_field() {
        assert_eq!(settings().check(), Ok(()));
        let field = |settings: EndpointSettings| settings.check().unwrap_err().field.into_owned();
        assert_eq!(
            field(EndpointSettings {
                timeout_ms: 999,
                ..settings()
            }),
            "timeout_ms"
        );
        assert_eq!(
            field(EndpointSettings {
                timeout_ms: 30_001,
                ..settings()
            }),
            "timeout_ms"
        );
        assert_eq!(
            field(EndpointSettings {
                description: "x".repeat(1001),
                ..settings()
            }),
            "description"
        );
        for limit in [0, 501] {
            let rate_limit = Some(limit);
            assert_eq!(
                field(EndpointSettings {
                    rate_limit,
                    ..settings()
                }),
                "rate_limit"
            );
        }
        let metadata = BTreeMap::from([("k".to_owned(), "v".repeat(257))]);
        assert_eq!(field(EndpointSettings { metadata, ..settings() }), "metadata");
        let agents = (0..101).map(|n| AgentId::parse(&format!("a{n}")).unwrap()).collect();
        assert_eq!(
            field(EndpointSettings {
                filter: Filter {
                    agents,
                    ..Filter::default()
                },
                ..settings()
            }),
            "agents"
        );
    }

    #[test]
    fn an_inactive_endpoint_matches_nothing() {
        let endpoint = |state| Endpoint {
            id: EndpointId::mint(1),
            tenant: TenantId::parse("acme").unwrap(),
            state,
            settings: settings(),
            version: 1,
            created_at: Timestamp::default(),
            updated_at: Timestamp::default(),
            kept_until: None,
            kept_at: None,
        };
        let name = EventTypeName::parse("call.ended").unwrap();
        assert_eq!(
            endpoint(EndpointState::Inactive).miss(&name, None),
            Some(Miss::Inactive)
        );
        for state in [EndpointState::Active, EndpointState::Paused, EndpointState::Disabled] {
            assert!(endpoint(state).matches(&name, None), "{state:?}");
        }
    }

    #[test]
    fn what_is_held_since_the_choice_is_not_kept_back_however_old_its_event() {
        let moment = Timestamp::from_millis;
        let mut endpoint = Endpoint {
            id: EndpointId::mint(1),
            tenant: TenantId::parse("acme").unwrap(),
            state: EndpointState::Active,
            settings: settings(),
            version: 1,
            created_at: moment(0),
            updated_at: moment(0),
            kept_until: None,
            kept_at: None,
        };
        assert!(!endpoint.keeps_back(moment(1), Some(moment(1))));
        endpoint.keep_back(Some(moment(100)), moment(200));
        let kept = |accepted_ms, held_ms: Option<i64>| endpoint.keeps_back(moment(accepted_ms), held_ms.map(moment));
        assert!(kept(99, Some(99)) && kept(99, Some(199)));
        assert!(!kept(99, Some(200)) && !kept(100, Some(150)));
        // A release before did not say since when: its event's acceptance counts, and so it does where it did not say when
        // the choice was made.
        assert!(kept(99, None) && !kept(100, None));
        let earlier = Endpoint {
            kept_at: None,
            ..endpoint.clone()
        };
        assert!(earlier.keeps_back(moment(99), Some(moment(500))));
        assert_eq!(
            (endpoint.drains_held_since(), earlier.drains_held_since()),
            (Some(moment(200)), None)
        );
        endpoint.keep_back(None, moment(300));
        assert_eq!((endpoint.kept_until, endpoint.kept_at), (None, None));
    }

    #[test]
    fn what_a_profile_has_no_name_for_does_not_reach_it() {
        let endpoint = Endpoint {
            id: EndpointId::mint(1),
            tenant: TenantId::parse("acme").unwrap(),
            state: EndpointState::Active,
            settings: EndpointSettings {
                profile: Profile::Utel,
                ..settings()
            },
            version: 1,
            created_at: Timestamp::default(),
            updated_at: Timestamp::default(),
            kept_until: None,
            kept_at: None,
        };
        let miss = |name: &str| endpoint.miss(&EventTypeName::parse(name).unwrap(), None);
        assert_eq!(
            (miss("call.ended"), miss("qa.scored")),
            (None, Some(Miss::NotInProfile))
        );
    }
}
