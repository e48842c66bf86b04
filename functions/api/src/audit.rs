//! One line in the log for each change that somebody asked for, and for each look at a secret: who, by which way, what,
//! whose, and what came of it. Written however the request ends. Never has a secret, a payload, an id that a customer chose
//! but the tenant's, or a part of the path that is none of the route's.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::{FromRequestParts, MatchedPath, Request};
use axum::http::Method;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::Response;
use redial_domain::TenantId;
use redial_platform::auth::Caller;

use crate::door::Door;

/// What is found out about a request while it is answered. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trail(Arc<Mutex<Found>>);

#[derive(Debug, Default)]
struct Found {
    /// Id of the key, and by which way it came in.
    who: Option<(String, &'static str)>,
    route: Option<MatchedPath>,
    tenant: Option<TenantId>,
    shows_secret: bool,
}

impl Trail {
    /// That of a request whose route is found. One that is not audited has one that nobody reads.
    pub(crate) fn of(parts: &Parts) -> Self {
        let trail: Self = parts.extensions.get().cloned().unwrap_or_default();
        trail.found().route = parts.extensions.get().cloned();
        trail
    }

    fn found(&self) -> MutexGuard<'_, Found> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody came in.
    pub(crate) fn came_in(&self, caller: &Caller, door: Door) {
        self.found().who = Some((caller.key_id.clone(), door.name()));
    }

    /// The request is about that tenant, whether the caller may or not.
    pub(crate) fn about(&self, tenant: &TenantId) {
        self.found().tenant = Some(tenant.clone());
    }

    /// The answer is to have a secret in it.
    pub(crate) fn shows_secret(&self) {
        self.found().shows_secret = true;
    }
}

impl<S: Sync> FromRequestParts<S> for Trail {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(parts))
    }
}

/// The line, written when it is dropped: also if the caller goes away, when there is no status but perhaps a change.
struct Line {
    trail: Trail,
    method: Method,
    status: Option<u16>,
}

impl Drop for Line {
    fn drop(&mut self) {
        let found = self.trail.found();
        let Some((key_id, way)) = found
            .who
            .as_ref()
            .filter(|_| found.shows_secret || !self.method.is_safe())
        else {
            return;
        };
        tracing::info!(
            key_id,
            way,
            method = self.method.as_str(),
            route = found.route.as_ref().map(MatchedPath::as_str),
            tenant = found.tenant.as_ref().map(TenantId::as_str),
            status = self.status,
            "api.audit"
        );
    }
}

/// Writes the line of a request. To be laid around everything that answers or refuses.
pub(crate) async fn audited(mut request: Request, next: Next) -> Response {
    let trail = Trail::default();
    let mut line = Line {
        trail: trail.clone(),
        method: request.method().clone(),
        status: None,
    };
    request.extensions_mut().insert(trail);
    let response = next.run(request).await;
    line.status = Some(response.status().as_u16());
    response
}
