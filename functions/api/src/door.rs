//! The three ways in: a key, the cookie of a session, a portal token. Says who came, and by which of them; what they may,
//! `access` decides.

use axum::http::header;
use axum::http::request::Parts;
use redial_domain::Timestamp;
use redial_platform::auth::{self, Caller};
use redial_platform::problem::Problem;
use redial_platform::store::config::Tenant;

use crate::access::source;
use crate::{Api, portal, session};

/// How a caller came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    /// With a key.
    Key,
    /// With a session, which ends then.
    Session { expires_at: Timestamp },
    /// With a portal token.
    Portal {
        /// True if nothing may be changed and no secret seen.
        read_only: bool,
        /// From when on it is none.
        expires_at: Timestamp,
        /// When the tenant was made that it is for: one that has the name of an erased one is another.
        tenant_since: Timestamp,
    },
}

impl Door {
    /// True if nothing may be changed and no secret seen.
    pub(crate) const fn is_read_only(self) -> bool {
        matches!(self, Self::Portal { read_only: true, .. })
    }

    /// What it is called in the log.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Session { .. } => "session",
            Self::Portal { .. } => "portal",
        }
    }

    /// True for a portal token.
    pub(crate) const fn is_portal(self) -> bool {
        matches!(self, Self::Portal { .. })
    }

    /// True unless it is for a tenant that has another's name.
    pub(crate) fn leads_to(self, tenant: &Tenant) -> bool {
        match self {
            Self::Portal { tenant_since, .. } => tenant_since == tenant.created_at,
            Self::Key | Self::Session { .. } => true,
        }
    }

    /// When it closes; `None`: not before the key does.
    pub(crate) const fn expires_at(self) -> Option<Timestamp> {
        match self {
            Self::Key => None,
            Self::Session { expires_at } | Self::Portal { expires_at, .. } => Some(expires_at),
        }
    }

    /// Whose requests are counted together: those of a key with its sessions, those of a tenant's portal tokens apart, so that
    /// customers do not use up what the platform may ask.
    pub(crate) fn counted_as(self, caller: &Caller) -> String {
        if self.is_portal() {
            format!("portal/{}", caller.scope)
        } else {
            caller.key_id.clone()
        }
    }
}

/// Who comes in. An `Authorization` header counts even if it is wrong: then no cookie is looked at.
///
/// # Errors
/// 401 for nobody Redial knows, 403 for a key that may not be used from there, and for a page of another origin that has a
/// session change something; 500 if the store fails.
pub(crate) async fn enter(api: &Api, parts: &Parts) -> Result<(Caller, Door), Problem> {
    let Some(header) = parts.headers.get(header::AUTHORIZATION) else {
        return session::enter(api, parts).await;
    };
    let text = header.to_str().ok();
    match auth::bearer(text).and_then(portal::token) {
        Some(token) => portal::enter(api, token).await,
        None => Ok((api.authenticator.admit(text, source(parts)).await?, Door::Key)),
    }
}
