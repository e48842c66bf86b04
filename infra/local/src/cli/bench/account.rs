//! The account of a run: what the driver posted against what the receiver got, in figures. Pure: it measures nothing itself.

use std::collections::BTreeMap;

use serde::Serialize;

use super::arguments::Plan;
use super::billed::UsedPerEvent;
use super::distribution::{Distribution, rounded};
use super::load::{Outcome, Posted};
use super::moment::seconds_between;
use super::usage::{Machine, Usage};
use super::words::{Cell, Counts};

/// What a process and the machine had cost before, and after.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Costs {
    /// The server, where its process is known.
    pub(super) serve: Option<Usage>,
    pub(super) receiver: Option<Usage>,
    pub(super) driver: Option<Usage>,
    pub(super) machine: Option<Machine>,
}

/// What a process cost in a run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Cpu {
    /// User and system time, in seconds.
    pub(super) cpu_s: f64,
    /// Microseconds for each event that was accepted.
    pub(super) us_per_event: f64,
    /// Microseconds for each delivery that arrived.
    pub(super) us_per_delivery: f64,
}

/// Who used the CPU. What is not known is not told: elsewhere than on Linux nothing is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub(super) struct CpuOf {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) serve: Option<Cpu>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) receiver: Option<Cpu>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) driver: Option<Cpu>,
    /// Seconds that anything else ran on this machine meanwhile: the noise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) others_s: Option<f64>,
    /// Seconds that the host gave to other virtual machines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) stolen_s: Option<f64>,
}

/// What came of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Run {
    /// Events that were posted.
    pub(super) posted: u64,
    pub(super) accepted: u64,
    pub(super) refused: u64,
    /// Why, and how many.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) refusals: BTreeMap<String, u64>,
    /// Sent, and no answer came.
    pub(super) unanswered: u64,
    /// Accepted, but for another number of endpoints than the tenant has.
    pub(super) matched_otherwise: u64,
    /// Accepted events by the time from the first POST to the last answer.
    pub(super) events_per_s: f64,
    /// Deliveries to healthy endpoints by the time from the first POST to the last of them.
    pub(super) deliveries_per_s: f64,
    pub(super) posting_s: f64,
    pub(super) until_last_delivery_s: f64,
    /// Pairs of event and healthy endpoint that arrived.
    pub(super) delivered: u64,
    /// Those of accepted events that did not.
    pub(super) lost: u64,
    /// Requests to healthy endpoints beyond the first that succeeded.
    pub(super) duplicates: u64,
    /// Arrived though the event was not accepted.
    pub(super) unexpected: u64,
    pub(super) requests_received: u64,
    pub(super) requests_failed_on_purpose: u64,
    /// Of what came before the run: retries to endpoints that fail.
    pub(super) requests_late: u64,
    pub(super) requests_unknown: u64,
    pub(super) connections_received: u64,
    pub(super) signatures_checked: u64,
    pub(super) signatures_wrong: u64,
    /// From just before the POST until the receiver held the request, first success.
    pub(super) latency_ms: Option<Distribution>,
    /// From just before the POST until its answer was there.
    pub(super) acknowledged_ms: Option<Distribution>,
    /// How late events were sent by their pace: how well the driver kept it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sent_late_ms: Option<Distribution>,
    pub(super) cpu: CpuOf,
    /// Most memory of the server at once, since it began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) serve_peak_mib: Option<f64>,
    /// What the server wrote to storage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) serve_written_mib: Option<f64>,
    /// Requests and units that AWS would bill, for each accepted event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) billable_per_event: Option<UsedPerEvent>,
}

impl Run {
    /// True if nothing was refused, lost, doubled or wrongly signed.
    pub(super) fn is_sound(&self) -> bool {
        let faults = [
            self.refused,
            self.unanswered,
            self.matched_otherwise,
            self.lost,
            self.duplicates,
            self.unexpected,
            self.signatures_wrong,
        ];
        faults.iter().all(|count| *count == 0) && self.accepted > 0
    }
}

/// What is added up of the events.
#[derive(Default)]
struct Sums {
    first_sent_ns: Option<u64>,
    last_answered_ns: u64,
    last_delivered_ns: u64,
    latencies: Vec<u64>,
    acknowledged: Vec<u64>,
    late: Vec<u64>,
    by_outcome: [u64; 5],
    delivered: u64,
    lost: u64,
    duplicates: u64,
    unexpected: u64,
}

impl Sums {
    fn of(&self, outcome: Outcome) -> u64 {
        self.by_outcome[place(outcome)]
    }
}

const fn place(outcome: Outcome) -> usize {
    match outcome {
        Outcome::Unsent => 0,
        Outcome::Accepted => 1,
        Outcome::MatchedOtherwise => 2,
        Outcome::Refused => 3,
        Outcome::Unanswered => 4,
    }
}

/// Settles the account of a run. `cells` are event by event, the healthy endpoints first.
pub(super) fn settle(plan: &Plan, posted: Posted, cells: &[Cell], counts: Counts, costs: [Costs; 2]) -> Run {
    let sums = add_up(plan, &posted, cells);
    let accepted = sums.of(Outcome::Accepted) + sums.of(Outcome::MatchedOtherwise);
    let first_ns = sums.first_sent_ns.unwrap_or(0);
    let posting_s = seconds_between(first_ns, sums.last_answered_ns);
    let until_last_s = seconds_between(first_ns, sums.last_delivered_ns);
    let [before, after] = costs;
    Run {
        posted: sums.by_outcome[1..].iter().sum(),
        accepted,
        refused: sums.of(Outcome::Refused),
        refusals: posted.refusals,
        unanswered: sums.of(Outcome::Unanswered),
        matched_otherwise: sums.of(Outcome::MatchedOtherwise),
        events_per_s: per(accepted as f64, posting_s, 1),
        deliveries_per_s: per(sums.delivered as f64, until_last_s, 1),
        posting_s: rounded(posting_s, 3),
        until_last_delivery_s: rounded(until_last_s, 3),
        delivered: sums.delivered,
        lost: sums.lost,
        duplicates: sums.duplicates,
        unexpected: sums.unexpected,
        requests_received: counts.requests,
        requests_failed_on_purpose: counts.failed,
        requests_late: counts.late,
        requests_unknown: counts.unknown,
        connections_received: counts.connections,
        signatures_checked: counts.checked,
        signatures_wrong: counts.wrong,
        latency_ms: Distribution::of_ns(sums.latencies),
        acknowledged_ms: Distribution::of_ns(sums.acknowledged),
        sent_late_ms: plan.rate.and_then(|_| Distribution::of_ns(sums.late)),
        cpu: cpu(&before, &after, accepted, sums.delivered),
        serve_peak_mib: after.serve.map(|usage| usage.peak_mib),
        serve_written_mib: before
            .serve
            .zip(after.serve)
            .map(|(before, after)| rounded(after.written_mib - before.written_mib, 1)),
        billable_per_event: None,
    }
}

fn add_up(plan: &Plan, posted: &Posted, cells: &[Cell]) -> Sums {
    let size = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    let (healthy, places) = (size(plan.endpoints), size(plan.fan_out()));
    let mut sums = Sums::default();
    for (number, slot) in posted.slots.iter().enumerate() {
        sums.by_outcome[place(slot.outcome)] += 1;
        if slot.outcome == Outcome::Unsent {
            continue;
        }
        sums.first_sent_ns = Some(sums.first_sent_ns.unwrap_or(u64::MAX).min(slot.sent_ns));
        let is_accepted = matches!(slot.outcome, Outcome::Accepted | Outcome::MatchedOtherwise);
        if is_accepted {
            sums.last_answered_ns = sums.last_answered_ns.max(slot.answered_ns);
            sums.acknowledged.push(slot.answered_ns.saturating_sub(slot.sent_ns));
        }
        sums.late.push(slot.sent_ns.saturating_sub(slot.due_ns));
        for endpoint in 0..healthy {
            // The receiver tells no more cells than up to the last that it got.
            let cell = cells.get(number * places + endpoint).copied().unwrap_or_default();
            sums.duplicates += u64::from(cell.succeeded.saturating_sub(1));
            if cell.succeeded == 0 {
                sums.lost += u64::from(is_accepted);
                continue;
            }
            sums.delivered += 1;
            sums.last_delivered_ns = sums.last_delivered_ns.max(cell.first_ns);
            if is_accepted {
                sums.latencies.push(cell.first_ns.saturating_sub(slot.sent_ns));
            } else {
                sums.unexpected += 1;
            }
        }
    }
    sums
}

fn cpu(before: &Costs, after: &Costs, events: u64, deliveries: u64) -> CpuOf {
    let spent = |before: Option<Usage>, after: Option<Usage>| {
        let cpu_s = after?.cpu_s - before?.cpu_s;
        Some(Cpu {
            cpu_s: rounded(cpu_s, 2),
            us_per_event: per(cpu_s * 1e6, events as f64, 1),
            us_per_delivery: per(cpu_s * 1e6, deliveries as f64, 1),
        })
    };
    let serve = spent(before.serve, after.serve);
    let receiver = spent(before.receiver, after.receiver);
    let driver = spent(before.driver, after.driver);
    let machine = before.machine.zip(after.machine);
    let others_s = (|| {
        let known = serve?.cpu_s + receiver?.cpu_s + driver?.cpu_s;
        let (before, after) = machine?;
        Some(rounded((after.busy_s - before.busy_s - known).max(0.0), 2))
    })();
    CpuOf {
        serve,
        receiver,
        driver,
        others_s,
        stolen_s: machine.map(|(before, after)| rounded(after.stolen_s - before.stolen_s, 2)),
    }
}

/// A quotient; 0 of nothing.
fn per(sum: f64, parts: f64, digits: i32) -> f64 {
    if parts > 0.0 { rounded(sum / parts, digits) } else { 0.0 }
}
