//! The driver: posts the events of a run, as fast as they are answered or at a pace, and notes for each when it was sent and
//! answered, and how. Each event is posted once: what became of one without an answer is seen at the receiver.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use reqwest::Url;
use serde::Deserialize;

use super::arguments::{Length, Plan};
use super::error::BenchError;
use super::moment::{NS_PER_S, now_ns};
use super::payload::{Which, write_event};
use super::post::{PostError, Poster};
use super::single::on_one_thread;
use crate::cli::error::CliError;

/// How long a connection is tried before the run is given up, in seconds.
const CONNECT_PATIENCE_S: u64 = 15;
/// How long to wait before a connection is tried again.
const CONNECT_AGAIN: Duration = Duration::from_millis(20);
/// Kinds of refusals that are told apart; the rest is counted together.
const MAX_REFUSALS: usize = 20;
/// What refusals are called that are told apart no more.
const OTHERS: &str = "others";
/// The least that an event has around its `data` in a body, for which room is made beforehand.
const ENVELOPE_BYTES: usize = 160;

/// What became of an event at ingest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Outcome {
    /// It was not posted.
    #[default]
    Unsent,
    /// It was accepted for all endpoints of its tenant.
    Accepted,
    /// It was accepted, for another number of endpoints.
    MatchedOtherwise,
    /// It was refused.
    Refused,
    /// It was sent, and no answer came.
    Unanswered,
}

/// What is known of one event. Times are by the clock of the bench.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Slot {
    /// When it should have been sent; 0 without a pace.
    pub(super) due_ns: u64,
    /// Just before its POST was written.
    pub(super) sent_ns: u64,
    /// When the answer was there as a whole.
    pub(super) answered_ns: u64,
    pub(super) outcome: Outcome,
}

/// A run that is over at ingest.
#[derive(Debug, Default)]
pub(super) struct Posted {
    /// Event by event, by their numbers.
    pub(super) slots: Vec<Slot>,
    /// How many events were refused for what.
    pub(super) refusals: BTreeMap<String, u64>,
}

/// How far a run is, for others to see; and its end, for others to order.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Events that were answered.
    pub(super) answered: AtomicU64,
    stop: AtomicBool,
}

impl Progress {
    /// What is under way is answered, nothing more is posted.
    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// A run to be driven.
pub(super) struct Load {
    pub(super) plan: Plan,
    /// The mark of its events.
    pub(super) mark: u32,
    /// The tenants that they go to in turn.
    pub(super) tenants: Arc<[String]>,
    /// Where they are posted.
    pub(super) ingest: Url,
    pub(super) key: String,
    pub(super) progress: Arc<Progress>,
}

/// What all connections share, on their one thread.
struct Shared {
    load: Load,
    slots: RefCell<Vec<Slot>>,
    refusals: RefCell<BTreeMap<String, u64>>,
    next_post: Cell<u32>,
    began_ns: u64,
}

/// Posts everything.
///
/// # Errors
/// [`BenchError`] if ingest cannot be connected to.
pub(super) async fn drive(load: Load) -> Result<Posted, CliError> {
    let posters: Result<Vec<Poster>, CliError> = (0..load.plan.connections)
        .map(|_| Poster::new(&load.ingest, &load.key))
        .collect();
    let posters = posters?;
    Ok(on_one_thread("driver", move || post_all(load, posters)).await?)
}

async fn post_all(load: Load, posters: Vec<Poster>) -> Result<Posted, BenchError> {
    let events = match load.plan.length {
        Length::Events(events) => usize::try_from(events).unwrap_or(usize::MAX),
        Length::Seconds(_) => 0,
    };
    let shared = Rc::new(Shared {
        load,
        slots: RefCell::new(vec![Slot::default(); events]),
        refusals: RefCell::default(),
        next_post: Cell::new(0),
        began_ns: now_ns(),
    });
    let tasks: Vec<_> = posters
        .into_iter()
        .map(|poster| tokio::task::spawn_local(work(Rc::clone(&shared), poster)))
        .collect();
    for task in tasks {
        task.await.map_err(|_| BenchError::DriverGone)??;
    }
    Ok(Posted {
        slots: shared.slots.take(),
        refusals: shared.refusals.take(),
    })
}

async fn work(shared: Rc<Shared>, mut poster: Poster) -> Result<(), BenchError> {
    while let Some(turn) = shared.take_turn() {
        if let Some(due_ns) = turn.due_ns {
            let wait_ns = due_ns.saturating_sub(now_ns());
            if wait_ns > 0 {
                tokio::time::sleep(Duration::from_nanos(wait_ns)).await;
            }
        }
        let body = shared.body(&turn);
        shared.connect(&mut poster).await?;
        let sent_ns = now_ns();
        let answer = poster.post(body).await;
        let answered_ns = now_ns();
        if let Err(PostError::Request(_)) = &answer {
            return Err(BenchError::DriverGone);
        }
        shared.note(&turn, sent_ns, answered_ns, answer.ok());
    }
    Ok(())
}

/// The events of one POST.
struct Turn {
    first: u32,
    count: u32,
    due_ns: Option<u64>,
}

impl Shared {
    /// The next POST; none if there are no more.
    fn take_turn(&self) -> Option<Turn> {
        let plan = &self.load.plan;
        let post = self.next_post.get();
        let first = post.checked_mul(plan.batch)?;
        let due_ns = plan.rate.map(|rate| self.began_ns + due_after_ns(rate, first));
        let is_over = match plan.length {
            Length::Events(events) => first >= events,
            Length::Seconds(seconds) => {
                due_ns.unwrap_or_else(now_ns).saturating_sub(self.began_ns) >= u64::from(seconds) * NS_PER_S
            }
        };
        if is_over || self.load.progress.is_stopped() {
            return None;
        }
        self.next_post.set(post + 1);
        let count = match plan.length {
            Length::Events(events) => plan.batch.min(events - first),
            Length::Seconds(_) => plan.batch,
        };
        Some(Turn { first, count, due_ns })
    }

    fn body(&self, turn: &Turn) -> Bytes {
        let Load {
            plan, mark, tenants, ..
        } = &self.load;
        let size = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        let mut text = String::with_capacity(size(turn.count) * (size(plan.payload_bytes) + ENVELOPE_BYTES));
        let is_array = plan.batch > 1;
        for number in turn.first..turn.first + turn.count {
            if is_array {
                text.push(if number == turn.first { '[' } else { ',' });
            }
            let tenant = &tenants[size(number) % tenants.len()];
            let which = Which { mark: *mark, number };
            write_event(&mut text, which, tenant, plan.own_ids, plan.payload_bytes);
        }
        if is_array {
            text.push(']');
        }
        Bytes::from(text)
    }

    async fn connect(&self, poster: &mut Poster) -> Result<(), BenchError> {
        let since_ns = now_ns();
        while poster.open().await.is_err() {
            if self.load.progress.is_stopped() || now_ns() - since_ns > CONNECT_PATIENCE_S * NS_PER_S {
                return Err(BenchError::NoConnection {
                    authority: self.load.ingest.origin().ascii_serialization(),
                    waited_s: CONNECT_PATIENCE_S,
                });
            }
            tokio::time::sleep(CONNECT_AGAIN).await;
        }
        Ok(())
    }

    fn note(&self, turn: &Turn, sent_ns: u64, answered_ns: u64, answer: Option<(u16, Bytes)>) {
        let fan_out = u64::from(self.load.plan.fan_out());
        let verdicts = answer.map(|(status, body)| verdicts(status, &body, self.load.plan.batch > 1));
        let mut slots = self.slots.borrow_mut();
        let begin = usize::try_from(turn.first).unwrap_or(usize::MAX);
        let end = begin.saturating_add(usize::try_from(turn.count).unwrap_or(usize::MAX));
        if slots.len() < end {
            slots.resize(end, Slot::default());
        }
        for (nth, slot) in slots[begin..end].iter_mut().enumerate() {
            let outcome = match &verdicts {
                None => Outcome::Unanswered,
                Some(verdicts) => match verdicts.of(nth) {
                    Ok(deliveries) if deliveries == fan_out => Outcome::Accepted,
                    Ok(_) => Outcome::MatchedOtherwise,
                    Err(code) => {
                        self.count_refusal(code);
                        Outcome::Refused
                    }
                },
            };
            *slot = Slot {
                due_ns: turn.due_ns.unwrap_or(0),
                sent_ns,
                answered_ns,
                outcome,
            };
        }
        self.load
            .progress
            .answered
            .fetch_add(u64::from(turn.count), Ordering::Relaxed);
    }

    fn count_refusal(&self, code: &str) {
        let mut refusals = self.refusals.borrow_mut();
        let is_known = refusals.contains_key(code) || refusals.len() < MAX_REFUSALS;
        *refusals
            .entry(if is_known { code } else { OTHERS }.to_owned())
            .or_default() += 1;
    }
}

/// When an event is due after the first one, in nanoseconds.
fn due_after_ns(rate: f64, number: u32) -> u64 {
    let after = Duration::try_from_secs_f64(f64::from(number) / rate).unwrap_or(Duration::MAX);
    u64::try_from(after.as_nanos()).unwrap_or(u64::MAX / 2)
}

/// What an answer says about an event: to how many endpoints it goes, or why it was refused.
#[derive(Deserialize)]
struct Verdict {
    deliveries: Option<u64>,
    error: Option<Problem>,
    /// Of an answer that is a problem itself.
    code: Option<String>,
}

#[derive(Deserialize)]
struct Problem {
    code: String,
}

#[derive(Deserialize)]
struct Batch {
    events: Vec<Verdict>,
}

/// What an answer says about the events of a POST.
struct Verdicts {
    /// Of the whole, if it was refused as a whole, or is not understood.
    refused: Option<String>,
    each: Vec<Verdict>,
}

impl Verdicts {
    fn of(&self, nth: usize) -> Result<u64, &str> {
        if let Some(code) = &self.refused {
            return Err(code);
        }
        let Some(verdict) = self.each.get(nth) else {
            return Err("no answer for this event");
        };
        match (&verdict.error, verdict.deliveries) {
            (Some(problem), _) => Err(&problem.code),
            (None, Some(deliveries)) => Ok(deliveries),
            (None, None) => Err("an answer without a number of deliveries"),
        }
    }
}

fn verdicts(status: u16, body: &[u8], is_batch: bool) -> Verdicts {
    let refused = |text: String| Verdicts {
        refused: Some(text),
        each: Vec::new(),
    };
    if !(200..300).contains(&status) {
        let code = serde_json::from_slice::<Verdict>(body)
            .ok()
            .and_then(|verdict| verdict.code);
        return refused(format!("{status} {}", code.unwrap_or_default()).trim_end().to_owned());
    }
    let each = if is_batch {
        serde_json::from_slice::<Batch>(body).map(|batch| batch.events)
    } else {
        serde_json::from_slice(body).map(|one| vec![one])
    };
    match each {
        Ok(each) => Verdicts { refused: None, each },
        Err(_) => refused(format!("{status} with an answer that is not understood")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(status: u16, body: &str, is_batch: bool, count: usize) -> Vec<String> {
        let verdicts = verdicts(status, body.as_bytes(), is_batch);
        let text = |nth| match verdicts.of(nth) {
            Ok(deliveries) => deliveries.to_string(),
            Err(code) => code.to_owned(),
        };
        (0..count).map(text).collect()
    }

    #[test]
    fn each_event_of_an_answer_is_told_apart() {
        assert_eq!(said(202, r#"{"id":"evt_1","deliveries":3}"#, false, 1), ["3"]);
        let batch = r#"{"events":[{"id":"a","deliveries":1},{"id":"b","error":{"code":"type_unknown","status":422}}]}"#;
        let expected = ["1", "type_unknown", "no answer for this event"];
        assert_eq!(said(202, batch, true, 3), expected);
    }

    #[test]
    fn a_refusal_of_the_whole_is_one_of_each_event() {
        let problem = r#"{"status":429,"code":"too_many_requests","title":"x"}"#;
        assert_eq!(said(429, problem, true, 2), ["429 too_many_requests"; 2]);
        assert_eq!(said(502, "<html>", false, 1), ["502"]);
        assert_eq!(
            said(202, "accepted", false, 1),
            ["202 with an answer that is not understood"]
        );
    }

    #[test]
    fn a_pace_is_kept_from_the_beginning() {
        assert_eq!(due_after_ns(200.0, 0), 0);
        assert_eq!(due_after_ns(200.0, 1), 5_000_000);
        assert_eq!(due_after_ns(0.5, 3), 6 * NS_PER_S);
    }
}
