//! A request's JSON object, as handlers take it. What its members mean, each handler says.

use std::sync::Arc;

use axum::body::to_bytes;
use axum::extract::{FromRequest, Request};
use redial_platform::fields::{self, MAX_BODY_BYTES};
use redial_platform::problem::Problem;

use crate::Api;

pub(crate) use redial_platform::fields::{Fields, refuse};

/// A request's object; an empty body is refused.
#[derive(Debug)]
pub(crate) struct Body(pub(crate) Fields);

impl FromRequest<Arc<Api>> for Body {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &Arc<Api>) -> Result<Self, Problem> {
        read(request).await?.map(Self).ok_or_else(fields::empty)
    }
}

/// A request's object; an empty body is an object without members.
#[derive(Debug)]
pub(crate) struct OptionalBody(pub(crate) Fields);

impl FromRequest<Arc<Api>> for OptionalBody {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &Arc<Api>) -> Result<Self, Problem> {
        Ok(Self(read(request).await?.unwrap_or_default()))
    }
}

async fn read(request: Request) -> Result<Option<Fields>, Problem> {
    let body = to_bytes(request.into_body(), MAX_BODY_BYTES).await;
    let body = body.map_err(|_| fields::too_large())?;
    Fields::parse(&body)
}
