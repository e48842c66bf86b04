//! `redial endpoints dry-run`, and why a sample that `redial send` posted went to nobody: what Redial says of an event and each
//! endpoint. Sends no event.

use std::collections::BTreeMap;

use clap::Args;
use reqwest::Method;
use serde_json::{Value, json};

use super::client::Listing;
use super::error::CliError;
use super::output::{escaped, member, note};
use super::{Session, TenantArg};

/// Endpoints of which a sample's sender is told why they did not want it.
const MAX_TOLD: usize = 5;
/// Endpoints whose URLs are asked for.
const MAX_LISTED: usize = 100;

#[derive(Debug, Args)]
pub(super) struct DryRunArgs {
    #[command(flatten)]
    tenant: TenantArg,
    /// The endpoint's id [default: all of the tenant]
    id: Option<String>,
    /// The event's type
    #[arg(long = "type", value_name = "TYPE", required_unless_present = "event")]
    event_type: Option<String>,
    /// The event's agent [default: none]
    #[arg(long)]
    agent: Option<String>,
    /// The id of an event that is stored, in place of --type and --agent
    #[arg(long, conflicts_with_all = ["event_type", "agent"])]
    event: Option<String>,
}

/// Says whether an event would reach an endpoint, or each of them.
pub(super) async fn run(session: &mut Session, args: &DryRunArgs) -> Result<(), CliError> {
    let mut event = json!({});
    for (name, value) in [
        ("type", &args.event_type),
        ("agent", &args.agent),
        ("event", &args.event),
    ] {
        if let Some(value) = value {
            event[name] = json!(value);
        }
    }
    let tenant = &args.tenant.tenant;
    let Some(id) = &args.id else {
        let listing = of_all(session, tenant, &event).await?;
        let columns = ["endpoint", "reaches", "code", "reason"];
        let row = |item: &Value| columns.iter().map(|name| member(item, name)).collect();
        session.show_list(&listing, &columns, row, "no endpoints")?;
        // A table has no room for them.
        for item in &listing.items {
            show_replay(session, tenant, item)?;
        }
        return Ok(());
    };
    let path = ["v1", "tenants", tenant, "endpoints", id, "dry-run"];
    let answer = session.client.send(Method::POST, &path, Some(&event)).await?;
    session.show(&answer, &["reaches", "code", "reason"])
}

async fn of_all(session: &Session, tenant: &str, event: &Value) -> Result<Listing, CliError> {
    let path = ["v1", "tenants", tenant, "dry-run"];
    let mut answer = session.client.send(Method::POST, &path, Some(event)).await?;
    let Value::Array(items) = answer["items"].take() else {
        return Err(session.client.not_understood("it has no items"));
    };
    Ok(Listing { items, next: None })
}

/// Shows a person the command that delivers an event that an endpoint has missed, if it has.
fn show_replay(session: &mut Session, tenant: &str, item: &Value) -> Result<(), CliError> {
    match replay_command(tenant, item) {
        Some(command) if !session.output.is_json() => {
            let endpoint = escaped(&member(item, "endpoint"));
            session
                .output
                .text(&format!("to deliver it to {endpoint} after all:\n  {command}"))
        }
        _ => Ok(()),
    }
}

/// The command that delivers an event that an endpoint has missed, if it has.
fn replay_command(tenant: &str, item: &Value) -> Option<String> {
    let replay = item.get("replay").filter(|replay| replay.is_object())?;
    let [endpoint, since, until] = ["endpoint", "since", "until"].map(|name| escaped(&member(replay, name)));
    let types = replay["event_types"].as_array().into_iter().flatten();
    let types: String = types
        .filter_map(Value::as_str)
        .map(|name| format!(" --type {}", escaped(name)))
        .collect();
    Some(format!(
        "redial replay --tenant {tenant} --endpoint {endpoint} --missing --since {since} --until {until}{types}"
    ))
}

/// Tells a person why an event that was accepted went to nobody: which endpoints there are, why each did not want it, and what
/// to do. An answer that does not come is no failure: the event was accepted.
///
/// # Errors
/// [`CliError`] if the output cannot be written.
pub(super) async fn tell_why_nobody(session: &mut Session, tenant: &str, event: &str) -> Result<(), CliError> {
    let items = match of_all(session, tenant, &json!({ "event": event })).await {
        Ok(listing) => listing.items,
        Err(error) => {
            note(&format!("no endpoint wanted it; why could not be asked: {error}"));
            return Ok(());
        }
    };
    if items.is_empty() {
        return session.output.text(&format!(
            "  {tenant} has no endpoint: make one, or receive on this machine, and send again:\n    \
             redial endpoints create https://example.com/hook --tenant {tenant}\n    redial listen --tenant {tenant}"
        ));
    }
    let urls = urls(session, tenant).await;
    session.output.text("  no endpoint got it:")?;
    for item in items.iter().take(MAX_TOLD) {
        let id = member(item, "endpoint");
        let url = urls
            .get(&id)
            .map(|url| format!("  {}", escaped(url)))
            .unwrap_or_default();
        let (code, reason) = (escaped(&member(item, "code")), escaped(&member(item, "reason")));
        let text = format!("    {}{url}\n      {code}: {reason}", escaped(&id));
        session.output.text(&text)?;
    }
    let more = items.len().saturating_sub(MAX_TOLD);
    if more > 0 {
        let all = format!("redial endpoints dry-run --tenant {tenant} --event {}", escaped(event));
        session.output.text(&format!("    ... and {more} more: {all}"))?;
    }
    // Where a replay is all that is needed, the reason has its command.
    if items.iter().all(|item| item["replay"].is_object()) {
        return Ok(());
    }
    session.output.text(&format!(
        "  change one with `redial endpoints update`, then send again, or deliver what it has missed:\n    \
         redial replay --tenant {tenant} --endpoint ID --since 10m --missing"
    ))
}

/// The URLs of a tenant's endpoints, by id, as far as they can be had.
async fn urls(session: &Session, tenant: &str) -> BTreeMap<String, String> {
    let path = ["v1", "tenants", tenant, "endpoints"];
    let listing = session.client.list(&path, &[], MAX_LISTED).await;
    let endpoints = listing.map(|listing| listing.items).unwrap_or_default();
    let endpoints = endpoints.iter();
    endpoints
        .map(|item| (member(item, "id"), member(item, "url")))
        .collect()
}

#[cfg(test)]
mod tests;
