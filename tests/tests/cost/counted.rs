//! A workload, run: its events posted and delivered while nothing is cold, and what that was billed as.

use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex};

use redial_local::billable::Usage;
use redial_local::cost::{Counts, Scenario, Workload};
use redial_platform::store::counting::Round;
use redial_platform::{blob, keys};
use serde_json::{Value, json};

use crate::world::{Behaviour, Endpoint, World};

/// Failures in a row that put an endpoint on hold, and some more.
const UNTIL_ON_HOLD: usize = 12;
/// The request that fails where one in a hundred does: after the one that warms everything.
const FAILS: usize = 5;
/// Longer than until the first retry.
const RETRIED_MS: i64 = 7_000;
/// Letters of a text that deflate can do little with.
const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// How much of an event of so many bytes is such a text; the rest is one letter, which deflate makes nothing of.
static DENSE: LazyLock<Mutex<BTreeMap<u64, usize>>> = LazyLock::new(Mutex::default);

/// A tenant's endpoints.
async fn endpoints(world: &World, workload: &Workload) -> Vec<Endpoint> {
    let behaviour = if workload.held {
        Behaviour::Always(500)
    } else if workload.retried_percent > 0.0 {
        Behaviour::FailAt(FAILS)
    } else {
        Behaviour::Always(200)
    };
    let mut endpoints = Vec::new();
    for _ in 0..workload.fan_out {
        endpoints.push(world.endpoint("acme", behaviour, json!({})).await);
    }
    endpoints
}

/// An event of so many bytes that is packed as calls are.
pub fn event(workload: &Workload, number: u64) -> Value {
    let known = DENSE.lock().unwrap().get(&workload.payload_bytes).copied();
    let dense = known.unwrap_or_else(|| {
        let dense = dense(workload);
        DENSE.lock().unwrap().insert(workload.payload_bytes, dense);
        dense
    });
    event_of(workload, number, dense)
}

fn dense(workload: &Workload) -> usize {
    let packed = Counts::built_in().unwrap().packed_bytes(workload.payload_bytes);
    let (mut least, mut most) = (0, usize::try_from(workload.payload_bytes).unwrap());
    while most - least > 1 {
        let dense = usize::midpoint(least, most);
        let event = event_of(workload, 0, dense).to_string();
        if (blob::pack(event.as_bytes()).unwrap().len() as u64) < packed {
            least = dense;
        } else {
            most = dense;
        }
    }
    least
}

fn event_of(workload: &Workload, number: u64, dense: usize) -> Value {
    let mut event =
        json!({"type": "call.ended", "tenant": "acme", "data": {"call_id": format!("call_{number:06}"), "said": ""}});
    if workload.own_ids {
        event["id"] = json!(format!("src_{number:06}"));
    }
    let missing = usize::try_from(workload.payload_bytes)
        .unwrap()
        .saturating_sub(event.to_string().len());
    // Any sequence would do that does not repeat: the multiplier is Knuth's.
    let mut state = number.wrapping_add(1);
    let text = std::iter::repeat_with(|| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        char::from(LETTERS[(state >> 33) as usize % LETTERS.len()])
    });
    let dense = dense.min(missing);
    let filled = text.take(dense).chain(std::iter::repeat_n('.', missing - dense));
    event["data"]["said"] = json!(filled.collect::<String>());
    event
}

/// Posts events `from` on as the workload does.
pub async fn post(world: &World, workload: &Workload, from: u64, events: u64) {
    let batch = workload.batch.min(events);
    for first in (from..from + events).step_by(usize::try_from(batch).unwrap()) {
        let body = match batch {
            1 => event(workload, first),
            _ => (first..first + batch).map(|number| event(workload, number)).collect(),
        };
        world.call("POST", "/v1/events", body, 202).await;
        if workload.at_once == 1 {
            world.settle().await;
        }
    }
}

/// A world in which everything is warm that an execution environment keeps: keys, configurations, secrets, connections.
pub async fn warm(workload: &Workload) -> (World, Vec<Endpoint>) {
    let world = World::billed().await;
    // A table that was never swept is swept for two days back; this one was, until now.
    let round = Round {
        progress: keys::hour_of(world.services().2.now()),
        after: None,
        whole: None,
    };
    world.store().put_sweep_round(&round).await.unwrap();
    let endpoints = endpoints(&world, workload).await;
    let warming = Workload { batch: 1, ..*workload };
    let events = if workload.held { UNTIL_ON_HOLD as u64 } else { 1 };
    post(&world, &warming, 900_000, events).await;
    world.settle().await;
    if workload.held {
        // Only this one finds the endpoint on hold.
        post(&world, &warming, 910_000, 1).await;
        world.settle().await;
    }
    (world, endpoints)
}

/// Runs a scenario.
pub async fn run(scenario: &Scenario) -> Usage {
    let workload = &scenario.workload;
    let (world, _) = warm(workload).await;
    let before = world.used();
    post(&world, workload, 0, scenario.events).await;
    world.settle().await;
    if workload.retried_percent > 0.0 {
        world.pass_ms(RETRIED_MS).await;
    }
    world.used().since(&before)
}
