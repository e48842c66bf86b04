//! The ledger of a tenant, page by page: what became of its deliveries in sum, and each difference with its explanation.

use indicatif::{ProgressBar, ProgressStyle};
use redial_domain::Timestamp;
use redial_domain::count::counted;
use serde_json::{Value, json};

use super::findings::{Finding, Standing};
use super::{Doctor, stretch};
use crate::cli::error::CliError;
use crate::cli::output::member;

/// Differences of a tenant that are written for people; scripts get all.
const SHOWN: u64 = 50;
/// Where deliveries may stand.
const STATES: [&str; 6] = ["succeeded", "queued", "retrying", "held", "dead", "canceled"];
const MS_PER_S: u64 = 1_000;

/// What all pages of a tenant come to.
#[derive(Debug, Default)]
struct Sum {
    matched: u64,
    states: [u64; STATES.len()],
    expired: u64,
    differences: u64,
    unreadable: u64,
}

impl Sum {
    fn add(&mut self, page: &Value) {
        let of = |value: &Value| value.as_u64().unwrap_or_default();
        self.matched += of(&page["matched"]);
        self.expired += of(&page["expired"]);
        self.unreadable += of(&page["unreadable"]);
        for (sum, name) in self.states.iter_mut().zip(STATES) {
            *sum += of(&page["states"][name]);
        }
    }

    fn of(&self, state: &str) -> u64 {
        let states = STATES.iter().zip(self.states);
        states
            .filter(|(name, _)| **name == state)
            .map(|(_, number)| number)
            .sum()
    }

    fn document(&self) -> Value {
        let states: serde_json::Map<String, Value> = STATES
            .iter()
            .zip(self.states)
            .map(|(name, number)| ((*name).to_owned(), json!(number)))
            .collect();
        json!({
            "matched": self.matched,
            "states": states,
            "expired": self.expired,
            "differences": self.differences,
            "unreadable": self.unreadable,
        })
    }

    /// The line that sums the ledger up.
    fn finding(&self, since: Timestamp, until: Timestamp) -> Finding {
        let states = STATES.iter().zip(self.states).filter(|(_, number)| *number > 0);
        let states: Vec<String> = states.map(|(name, number)| format!("{number} {name}")).collect();
        let states = if states.is_empty() {
            "none".to_owned()
        } else {
            states.join(", ")
        };
        let text = format!(
            "{} of events accepted from {since} to {until}: {states}.",
            counted(self.matched, "delivery", "deliveries")
        );
        let finding = if self.differences > 0 {
            let text = format!("{text} {}.", counted(self.differences, "difference", "differences"));
            let advice = "Each is explained above. docs/RELIABILITY.md, Ledger, has all kinds.";
            Finding::new(Standing::Warn, "ledger", &text, advice)
        } else if self.unreadable > 0 {
            let text = format!("{text} {} cannot be read.", counted(self.unreadable, "item", "items"));
            let advice = "They are damaged or of a newer release: the API's log names each (`store.item_unreadable`).";
            Finding::unchecked("ledger", &text, advice)
        } else {
            Finding::ok("ledger", &format!("{text} All are accounted for."))
        };
        finding
            .with("ledger", self.document())
            .with("range", stretch(since, until))
    }
}

impl Doctor {
    /// Goes through a tenant's ledger.
    pub(super) async fn ledger(&mut self, tenant: &str) -> Result<(), CliError> {
        let mut sum = Sum::default();
        match self.pages(tenant, None, &mut sum).await {
            Err(CliError::Refused(problem)) if problem.code == "endpoint_needed" => {
                let path = ["v1", "tenants", tenant, "endpoints"];
                let listing = self.session.client.list(&path, &[], usize::MAX).await?;
                for endpoint in &listing.items {
                    self.pages(tenant, Some(member(endpoint, "id")), &mut sum).await?;
                }
            }
            answered => answered?,
        }
        let finding = sum.finding(self.since, self.until);
        self.tell(finding.of_tenant(tenant))?;
        let dead = sum.of("dead").saturating_sub(sum.expired);
        if dead > 0 {
            let text = match dead {
                1 => "1 delivery of that time is dead: its receiver did not take it.".to_owned(),
                _ => format!("{dead} deliveries of that time are dead: their receivers did not take them."),
            };
            let advice = format!(
                "`redial deliveries list --state dead --tenant {tenant}` says why of each; a replay sends them again."
            );
            let finding = Finding::new(Standing::Warn, "dead letters", &text, &advice);
            self.tell(finding.of_tenant(tenant).with("dead", json!(dead)))?;
        }
        Ok(())
    }

    async fn pages(&mut self, tenant: &str, endpoint: Option<String>, sum: &mut Sum) -> Result<(), CliError> {
        let mut query = vec![("since", self.since.to_string()), ("until", self.until.to_string())];
        query.extend(endpoint.map(|endpoint| ("endpoint", endpoint)));
        let bar = self.progress_bar(tenant);
        let mut cursor: Option<String> = None;
        loop {
            let mut query = query.clone();
            query.extend(cursor.map(|cursor| ("cursor", cursor)));
            let page = match self.get(&["v1", "tenants", tenant, "ledger"], &query).await {
                Ok(page) => page,
                Err(error) => {
                    bar.finish_and_clear();
                    return Err(error);
                }
            };
            sum.add(&page);
            for difference in page["differences"].as_array().into_iter().flatten() {
                sum.differences += 1;
                let tell = |doctor: &mut Self| doctor.difference(tenant, difference, sum.differences);
                bar.suspend(|| tell(self))?;
            }
            let omitted = page["omitted"].as_u64().unwrap_or_default();
            sum.differences += omitted;
            self.findings.count_more(omitted);
            if let Some(reached) = page["reached"].as_str().and_then(|at| Timestamp::parse(at).ok()) {
                bar.set_position(seconds(reached.millis_since(self.since)));
            }
            cursor = page["next"].as_str().map(str::to_owned);
            if cursor.is_none() {
                bar.finish_and_clear();
                return Ok(());
            }
        }
    }

    fn difference(&mut self, tenant: &str, difference: &Value, nth: u64) -> Result<(), CliError> {
        if nth > SHOWN && !self.session.output.is_json() {
            self.findings.count_more(1);
            if nth == SHOWN + 1 {
                self.session.output.text("      ... and more: --json shows all")?;
            }
            return Ok(());
        }
        let thing = ["delivery", "replay"].map(|name| member(difference, name));
        let thing = thing.into_iter().find(|id| !id.is_empty()).unwrap_or_default();
        let kind = member(difference, "kind");
        let text = format!("{kind} {thing}: {}", member(difference, "explanation"));
        let finding = Finding::fail("ledger", &text, &member(difference, "repair"));
        self.tell(finding.of_tenant(tenant).with("difference", difference.clone()))
    }

    /// How much of the time is gone through; hidden unless stderr is a terminal.
    fn progress_bar(&self, tenant: &str) -> ProgressBar {
        let bar = ProgressBar::new(seconds(self.until.millis_since(self.since)));
        let style = ProgressStyle::with_template("ledger of {msg} {bar:30} {percent} %, {eta} left");
        let tenant = crate::cli::output::escaped(tenant);
        style
            .map_or(bar.clone(), |style| bar.with_style(style))
            .with_message(tenant)
    }
}

fn seconds(ms: i64) -> u64 {
    u64::try_from(ms).unwrap_or_default() / MS_PER_S
}
