//! What has no simple rule: the sweeper, which looks at every event and delivery of an hour in pages, and what a hold costs
//! when it ends. Counted in sum; `UPDATE_COST=1 cargo test -p redial-tests --test main cost::` writes what is counted.

use std::path::PathBuf;

use redial_local::cost::table::{IDLE_PASS, SWEPT};
use redial_local::cost::{ByKind, Counts, Workload, billed};
use serde_json::{Value, json};

use super::counted::{post, warm};
use crate::world::{Behaviour, World};

/// Events of the hour that is swept.
const EVENTS: u64 = 100;
/// Passes until an hour that has begun is counted: it ends, its last events settle, and then it is.
const PASSES: usize = 8;
/// From one of these to the next.
const PASS_MS: i64 = 10 * MINUTE_MS;
/// Passes in which everything that was held is let go, at most.
const DRAIN_PASSES: usize = 20;
/// Deliveries that are held and let go, besides those that put the endpoint on hold.
const HELD: u64 = 30;
/// The sum of what lets them go.
const DRAINED: &str = "drained";
const MINUTE_MS: i64 = 60_000;
/// What to do about a sum that is meant to be another.
const HOW: &str = "UPDATE_COST=1 cargo test -p redial-tests --test main cost::";
/// How far the sum of a drain may be from what is committed, in percent: which deliveries share a batch depends on the order in
/// which receivers answer.
const DRAIN_TOLERANCE_PERCENT: u64 = 10;

fn of_sweeper(used: ByKind) -> ByKind {
    used.into_iter()
        .filter(|(kind, _)| kind.starts_with("Sweeper "))
        .collect()
}

/// A sum as it is committed.
fn sum(what: &str, of: u64, used: ByKind) -> Value {
    json!({"what": what, "of": of, "used": used})
}

/// What the sweeper uses in an hour and some, with so many events of it.
async fn swept(fan_out: u64, events: u64) -> ByKind {
    let workload = Workload {
        fan_out,
        batch: 100,
        ..Workload::default()
    };
    let (world, _) = warm(&workload).await;
    if events > 0 {
        post(&world, &workload, 0, events).await;
        world.settle().await;
    }
    let before = world.used();
    for _ in 0..PASSES {
        world.pass_ms(PASS_MS).await;
        world.sweep().await;
    }
    world.nothing_is_left().await;
    of_sweeper(billed(&world.used().since(&before)))
}

async fn idle_pass() -> ByKind {
    let world = World::billed().await;
    world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    // The first pass begins the round.
    world.sweep().await;
    world.pass_ms(MINUTE_MS).await;
    let before = world.used();
    world.sweep().await;
    of_sweeper(billed(&world.used().since(&before)))
}

/// Deliveries to an endpoint that is down are held; it answers again, and somebody lets them go.
async fn drained() -> (u64, ByKind) {
    let workload = Workload {
        held: true,
        batch: 10,
        ..Workload::default()
    };
    let (world, endpoints) = warm(&workload).await;
    post(&world, &workload, 0, HELD).await;
    world.behave(&endpoints[0], Behaviour::Always(200));
    let before = world.used();
    let path = format!("/v1/tenants/acme/endpoints/{}/resume", endpoints[0].id);
    world.call("POST", &path, json!({}), 200).await;
    let refused = world.requests(&endpoints[0]).len() as u64;
    let delivered = || world.requests(&endpoints[0]).len() as u64 - refused;
    for _ in 0..DRAIN_PASSES {
        if delivered() >= HELD {
            break;
        }
        world.pass_ms(MINUTE_MS).await;
        world.sweep().await;
    }
    assert!(delivered() >= HELD, "{}", delivered());
    let used = billed(&world.used().since(&before));
    // What it is called for every minute is no matter of these.
    let minutely = |kind: &str| kind.starts_with("Sweeper ") || kind.starts_with("Api ");
    (
        delivered(),
        used.into_iter().filter(|(kind, _)| !minutely(kind)).collect(),
    )
}

fn file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("data/cost.json")
}

#[expect(clippy::disallowed_methods, reason = "a test asks whether to write the file")]
fn is_to_be_written() -> bool {
    std::env::var("UPDATE_COST").is_ok()
}

#[tokio::test]
async fn the_sweeper_and_the_end_of_a_hold_are_billed_as_was_committed() {
    let [quiet, busy, quiet_3, busy_3] = SWEPT;
    let after = "eight passes of the sweeper in 80 minutes,";
    let (delivered, drained) = drained().await;
    let counted = json!({
        (IDLE_PASS): sum("a pass of the sweeper where nothing happened", 1, idle_pass().await),
        (quiet): sum(&format!("{after} one event"), 1, swept(1, 0).await),
        (busy): sum(&format!("{after} {EVENTS} events more"), EVENTS, swept(1, EVENTS).await),
        (quiet_3): sum(&format!("{after} three endpoints, one event"), 1, swept(3, 0).await),
        (busy_3): sum(&format!("{after} three endpoints, {EVENTS} events more"), EVENTS, swept(3, EVENTS).await),
        (DRAINED): sum("what was held for an endpoint that was down, let go and delivered", delivered, drained),
    });
    let mut document: Value = serde_json::from_slice(&std::fs::read(file()).unwrap()).unwrap();
    if is_to_be_written() {
        document["sums"] = counted;
        std::fs::write(file(), format!("{document:#}\n")).unwrap();
        return;
    }
    let mut committed = document["sums"].take();
    let mut counted = counted;
    let drains = [committed[DRAINED].take(), counted[DRAINED].take()].map(writes);
    let off = drains[0].abs_diff(drains[1]) * 100;
    assert!(
        off <= drains[0] * DRAIN_TOLERANCE_PERCENT,
        "{DRAINED}: {drains:?}; {HOW}"
    );
    assert_eq!(
        committed, counted,
        "what is counted (right) is not what was committed: {HOW}"
    );
    Counts::built_in().unwrap();
}

/// Write units of a sum.
fn writes(sum: Value) -> u64 {
    let used: ByKind = serde_json::from_value(sum["used"].clone()).unwrap();
    used.values().map(|used| used.writes).sum()
}
