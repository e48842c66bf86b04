//! `redial statistics`: what became of a tenant's deliveries, by hour.

use clap::Args;
use serde_json::Value;

use super::connection::ConnectionArgs;
use super::error::{CliError, Finish};
use super::moment::Moment;
use super::output::member;
use super::{Session, TenantArg};

const EXAMPLES: &str = "\
Examples:
  redial statistics --tenant acme
  redial statistics --tenant acme --since 7d --endpoint ep_0123456789ABCDEF
  redial statistics --tenant acme --since 2026-11-01T00:00:00Z --until 2026-11-08T00:00:00Z --json";

const COLUMNS: [&str; 8] = [
    "hour",
    "matched",
    "succeeded",
    "dead",
    "retrying",
    "held",
    "success_rate",
    "failure_rate",
];

/// Show success and failure by the hour in which events were accepted
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct StatisticsArgs {
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    tenant: TenantArg,
    /// Only of this endpoint, which may be deleted
    #[arg(long, value_name = "ID")]
    endpoint: Option<String>,
    /// From when on: RFC 3339, or how long ago (30m, 2h, 7d); 24 hours by default, at most 31 days before the end
    #[arg(long, value_name = "TIME")]
    since: Option<Moment>,
    /// Until when: RFC 3339, or how long ago
    #[arg(long, value_name = "TIME")]
    until: Option<Moment>,
}

pub(super) async fn run(args: StatisticsArgs) -> Result<Finish, CliError> {
    let mut session = Session::open(&args.connection)?;
    let now = session.clock.now();
    let mut query: Vec<(&str, String)> = Vec::new();
    query.extend(args.since.map(|since| ("since", since.resolve(now).to_string())));
    query.extend(args.until.map(|until| ("until", until.resolve(now).to_string())));
    query.extend(args.endpoint.map(|endpoint| ("endpoint", endpoint)));
    let path = ["v1", "tenants", &args.tenant.tenant, "statistics"];
    let found = session.client.get(&path, &query).await?;
    if session.output.is_json() {
        session.output.document(&found)?;
        return Ok(Finish::Complete);
    }
    let row = |counts: &Value| -> Vec<String> { COLUMNS.iter().map(|name| member(counts, name)).collect() };
    let mut rows: Vec<Vec<String>> = found["hours"].as_array().into_iter().flatten().map(row).collect();
    if !rows.is_empty() {
        let mut total = row(&found["total"]);
        "total".clone_into(&mut total[0]);
        rows.push(total);
    }
    session.output.table(&COLUMNS, &rows, "no deliveries in that time")?;
    Ok(Finish::Complete)
}
