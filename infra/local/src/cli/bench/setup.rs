//! Tenants and endpoints of a bench, made and deleted by the documented API.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use reqwest::Method;
use serde_json::{Value, json};

use super::arguments::Plan;
use crate::cli::client::Client;
use crate::cli::error::CliError;

/// Requests to the API at once.
const CONCURRENCY: usize = 16;
/// Endpoints that a tenant may have without being told so (docs/LIMITS.md).
const DEFAULT_MAX_ENDPOINTS: u32 = 50;
/// How long to wait when the API asks for patience: a key may make 2,000 requests in 4 seconds (docs/LIMITS.md).
const AGAIN: Duration = Duration::from_millis(500);
/// How often it is asked again.
const MAX_TRIES: u32 = 120;

/// An endpoint that was made.
#[derive(Debug, Clone)]
pub(super) struct Registered {
    pub(super) tenant: String,
    pub(super) id: String,
}

/// The names of a bench's tenants.
pub(super) fn tenants(mark: u32, count: u32) -> Arc<[String]> {
    (0..count).map(|nth| format!("bench-{mark:08x}-{nth}")).collect()
}

/// Makes the tenants, each with as many endpoints at the receiver as the plan says. `made` hears of each endpoint at once, so
/// that it can be deleted whatever comes after.
///
/// # Errors
/// Those of the API.
pub(super) async fn register(
    client: &Client,
    plan: &Plan,
    tenants: &[String],
    receiver: &str,
    secret: &str,
    made: impl Fn(Registered),
) -> Result<(), CliError> {
    let made = &made;
    let each = tenants.iter().map(|tenant| async move {
        let fields = if plan.fan_out() > DEFAULT_MAX_ENDPOINTS {
            json!({ "max_endpoints": plan.fan_out() })
        } else {
            json!({})
        };
        patiently(client, Method::PUT, &["v1", "tenants", tenant], Some(&fields)).await?;
        for place in 0..plan.fan_out() {
            let fields = json!({
                "url": format!("{receiver}/e/{place}"),
                "secret": secret,
                "description": "redial bench",
            });
            let path = ["v1", "tenants", tenant, "endpoints"];
            let endpoint = patiently(client, Method::POST, &path, Some(&fields)).await?;
            let Some(id) = endpoint["id"].as_str() else {
                return Err(client.not_understood("the new endpoint has no id"));
            };
            made(Registered {
                tenant: tenant.clone(),
                id: id.to_owned(),
            });
        }
        Ok(())
    });
    stream::iter(each).buffer_unordered(CONCURRENCY).try_collect().await
}

/// Deletes the endpoints; what waits for them is canceled.
///
/// # Errors
/// Those of the API: the others are left then.
pub(super) async fn unregister(client: &Client, endpoints: &[Registered]) -> Result<(), CliError> {
    let each = endpoints.iter().map(|Registered { tenant, id }| async move {
        let path = ["v1", "tenants", tenant, "endpoints", id];
        patiently(client, Method::DELETE, &path, None).await.map(drop)
    });
    stream::iter(each).buffer_unordered(CONCURRENCY).try_collect().await
}

/// Asks until the API does not ask for patience.
async fn patiently(client: &Client, method: Method, path: &[&str], body: Option<&Value>) -> Result<Value, CliError> {
    let mut tries = 0;
    loop {
        match client.send(method.clone(), path, body).await {
            Err(CliError::Refused(problem)) if problem.is_transient() && tries < MAX_TRIES => {
                tries += 1;
                tokio::time::sleep(AGAIN).await;
            }
            settled => return settled,
        }
    }
}
