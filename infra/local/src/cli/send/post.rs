//! Posts one batch and tries again while that can help: connection errors, 429 and 5xx, of the whole request or of
//! single events in it. Never tries an event again that was accepted or refused for good.

use std::time::Duration;

use indicatif::ProgressBar;
use redial_platform::Random;
use reqwest::Url;
use serde::Serialize;
use serde_json::Value;
use tokio::time::Instant;

use super::batch::{Batch, body};
use super::source::Outgoing;
use crate::cli::client::{Client, Refusal};
use crate::cli::error::{CliError, Problem, with_cause};
use crate::cli::output::note;

const FIRST_BACKOFF: Duration = Duration::from_millis(250);
const MAX_BACKOFF: Duration = Duration::from_secs(5);
/// Doublings after which the backoff is at its largest anyway.
const MAX_DOUBLINGS: u32 = 8;

/// An accepted event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Accepted {
    pub(super) id: String,
    /// To how many endpoints it goes.
    pub(super) deliveries: u64,
    /// What Redial warns of, as it says it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) warnings: Vec<Value>,
}

/// An event that was refused for good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Refused {
    pub(super) id: Option<String>,
    pub(super) error: Problem,
}

/// What came of one batch: every event is in exactly one of the three lists.
#[derive(Debug, Default)]
pub(super) struct Posted {
    pub(super) accepted: Vec<Accepted>,
    pub(super) refused: Vec<Refused>,
    pub(super) unsent: Vec<Outgoing>,
    /// Why events were left unsent, and why the next batch would fare no better.
    pub(super) stopped_by: Option<CliError>,
}

impl Posted {
    /// How many events the batch had.
    pub(super) fn len(&self) -> usize {
        self.accepted.len() + self.refused.len() + self.unsent.len()
    }
}

/// How long one request is tried again.
#[derive(Debug, Clone, Copy)]
pub(in crate::cli) struct Patience {
    pub(in crate::cli) retry_for: Duration,
    /// The first wait; the others double it.
    pub(in crate::cli) first_backoff: Duration,
}

impl Patience {
    pub(in crate::cli) fn new(retry_for: Duration) -> Self {
        Self {
            retry_for,
            first_backoff: FIRST_BACKOFF,
        }
    }
}

/// One request that is being tried, possibly more than once.
pub(in crate::cli) struct Trying<'a> {
    patience: Patience,
    bar: &'a ProgressBar,
    started: Instant,
    tries: u32,
}

impl<'a> Trying<'a> {
    pub(in crate::cli) fn new(patience: Patience, bar: &'a ProgressBar) -> Self {
        Self {
            patience,
            bar,
            started: Instant::now(),
            tries: 0,
        }
    }

    /// Says what went wrong and waits before the next try; false if that would be after the time is up.
    pub(in crate::cli) async fn again(&mut self, error: &CliError, asked: Option<Duration>) -> bool {
        self.tries += 1;
        // Half fixed, half random: many commands that were refused together do not come back together.
        let backoff = backoff(
            self.patience.first_backoff,
            self.tries,
            Random::System.below(1_000).into(),
        );
        let wait = backoff.max(asked.unwrap_or_default());
        if self.started.elapsed() + wait > self.patience.retry_for {
            return false;
        }
        if !self.bar.is_hidden() {
            self.bar.set_message(format!("trying again: {}", with_cause(error)));
        } else if self.tries == 1 {
            let seconds = self.patience.retry_for.as_secs();
            note(&format!("{}; trying again for {seconds} s", with_cause(error)));
        }
        tokio::time::sleep(wait).await;
        self.bar.set_message("");
        true
    }
}

/// Asks until there is an answer that another try would not change, or the time is up.
pub(super) async fn patiently<T>(
    patience: Patience,
    bar: &ProgressBar,
    mut ask: impl AsyncFnMut() -> Result<T, CliError>,
) -> Result<T, CliError> {
    let mut trying = Trying::new(patience, bar);
    loop {
        match ask().await {
            Err(error) if is_transient(&error) && trying.again(&error, None).await => {}
            settled => return settled,
        }
    }
}

/// The wait after `tries` failed tries: doubling from `first` to 5 s, between half of it and all of it as
/// `random_permille` says.
fn backoff(first: Duration, tries: u32, random_permille: u32) -> Duration {
    let doubled = first * 2u32.pow(tries.saturating_sub(1).min(MAX_DOUBLINGS));
    let full = doubled.min(MAX_BACKOFF);
    full / 2 + full * random_permille.min(1_000) / 2_000
}

/// Posts a batch until every event is accepted or refused for good, or the time is up.
pub(super) async fn post(client: &Client, ingest: &Url, batch: Batch, patience: Patience, bar: &ProgressBar) -> Posted {
    let mut trying = Trying::new(patience, bar);
    let mut posted = Posted {
        unsent: batch.events,
        ..Posted::default()
    };
    loop {
        let failure = match client.post_events(ingest, body(&posted.unsent)).await {
            Ok(answer) => take_answers(client, &answer, &mut posted),
            Err(refusal) => Some(refusal),
        };
        let Some(refusal) = failure else { return posted };
        match refusal.error {
            error if is_transient(&error) => {
                if !trying.again(&error, refusal.retry_after).await {
                    posted.stopped_by = Some(error);
                    return posted;
                }
            }
            CliError::Refused(problem) if !problem.is_about_the_key() => {
                // The request as a whole is refused for good: so is each of its events.
                let events = std::mem::take(&mut posted.unsent);
                posted.refused.extend(events.into_iter().map(|e| Refused {
                    id: e.id,
                    error: problem.clone(),
                }));
                return posted;
            }
            error => {
                posted.stopped_by = Some(error);
                return posted;
            }
        }
    }
}

pub(in crate::cli) fn is_transient(error: &CliError) -> bool {
    match error {
        CliError::Unreachable { .. } => true,
        CliError::Refused(problem) => problem.is_transient(),
        _ => false,
    }
}

/// Sorts the events by their answers. What may be tried again stays in `unsent`, and one reason for it is returned.
fn take_answers(client: &Client, answer: &Value, posted: &mut Posted) -> Option<Refusal> {
    let events = std::mem::take(&mut posted.unsent);
    let answers = answer["events"]
        .as_array()
        .filter(|answers| answers.len() == events.len());
    let Some(answers) = answers else {
        posted.unsent = events;
        return Some(client.not_understood("it does not answer for each event").into());
    };
    let mut again = None;
    for (event, answer) in events.into_iter().zip(answers) {
        if let Some(deliveries) = answer["deliveries"].as_u64() {
            let id = answer["id"]
                .as_str()
                .map(str::to_owned)
                .or(event.id)
                .unwrap_or_default();
            posted.accepted.push(Accepted {
                id,
                deliveries,
                warnings: answer["warnings"].as_array().cloned().unwrap_or_default(),
            });
            continue;
        }
        match serde_json::from_value::<Problem>(answer["error"].clone()) {
            Ok(problem) if problem.is_transient() => {
                again = Some(CliError::Refused(problem).into());
                posted.unsent.push(event);
            }
            Ok(error) => posted.refused.push(Refused { id: event.id, error }),
            Err(_) => {
                again = Some(client.not_understood("an event is neither accepted nor refused").into());
                posted.unsent.push(event);
            }
        }
    }
    again
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_backoff_doubles_up_to_its_limit_and_is_spread() {
        let ms = |tries, random| backoff(FIRST_BACKOFF, tries, random).as_millis();
        assert_eq!((ms(1, 0), ms(1, 1_000)), (125, 250));
        assert_eq!((ms(2, 1_000), ms(3, 1_000)), (500, 1_000));
        assert_eq!((ms(6, 0), ms(6, 1_000)), (2_500, 5_000));
        assert_eq!(ms(u32::MAX, u32::MAX), 5_000);
    }
}
