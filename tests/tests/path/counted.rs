//! The numbers that the functions write (docs/METRICS.md): each exactly what happened, whoever it happened in.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use redial_domain::delivery::DeliveryState;
use redial_platform::metrics::Metric;
use serde_json::{Value, json};

use crate::world::{Behaviour, World, ms_of};

fn event(id: &str) -> Value {
    json!({"type": "call.ended", "tenant": "acme", "id": id, "data": {"id": id, "call_id": "c1"}})
}

fn numbers<const N: usize>(numbers: [(&'static str, Vec<u64>); N]) -> BTreeMap<&'static str, Vec<u64>> {
    BTreeMap::from(numbers)
}

#[tokio::test]
async fn successes_failures_dead_and_held_deliveries_are_counted_exactly() {
    let world = World::new().await;
    world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    world.endpoint("acme", Behaviour::FailFirst(1), json!({})).await;
    let dead = world
        .endpoint(
            "acme",
            Behaviour::Always(500),
            json!({"retry": {"attempts": 2, "delays": [5]}}),
        )
        .await;
    let paused = world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    let path = format!("/v1/tenants/acme/endpoints/{}", paused.id);
    world.call("POST", &format!("{path}/pause"), json!({}), 200).await;
    assert_eq!(world.numbers(), numbers([]));

    let other = json!({"type": "call.ended", "tenant": "acme", "id": "e1", "data": {"id": "other", "call_id": "c1"}});
    let batch = json!([event("e1"), event("e2"), event("e1"), other, json!({"type": 7})]);
    world.call("POST", "/v1/events", batch, 202).await;
    assert_eq!(
        world.numbers(),
        numbers([
            ("Accepted", vec![2]),
            ("Refused", vec![2]),
            ("Matched", vec![6]),
            ("Held", vec![2])
        ])
    );
    world.call("POST", "/v1/events", event("e1"), 202).await;
    assert_eq!(world.numbers(), numbers([]), "a repeat is nothing new");

    // Nobody works for a second and a half: that is how long the first attempts took.
    world.stand_still_ms(1_500);
    world.run_to_the_end().await;
    assert_eq!(
        world.numbers(),
        numbers([
            ("Delivered", vec![4]),
            ("Failed", vec![6]),
            ("Dead", vec![2]),
            ("FirstAttemptLatency", vec![1_500; 6]),
        ])
    );

    // Released deliveries and replays are delivered; what they waited for was not us.
    world.call("POST", &format!("{path}/resume"), json!({}), 200).await;
    world.run_to_the_end().await;
    assert_eq!(
        world.numbers(),
        numbers([("Replayed", vec![2]), ("Delivered", vec![2])])
    );
    world.behave(&dead, Behaviour::Always(200));
    let again = json!({"delivery": format!("e1.{}", dead.id)});
    world.call("POST", "/v1/tenants/acme/replays", again, 202).await;
    world.run_to_the_end().await;
    assert_eq!(
        world.numbers(),
        numbers([("Replayed", vec![1]), ("Delivered", vec![1])])
    );
    world.nothing_is_left().await;
}

#[tokio::test]
async fn a_request_that_is_refused_whole_is_counted_once() {
    let world = World::new().await;
    world.call("POST", "/v1/events", json!("no event"), 400).await;
    assert_eq!(world.numbers(), numbers([("Refused", vec![1])]));
    let (status, _) = world.request("POST", "/v1/events", None, &event("e1")).await;
    assert_eq!((status, world.numbers()), (401, numbers([("Refused", vec![1])])));
}

#[tokio::test]
async fn a_410_counts_the_dead_delivery_and_what_is_held_after_it() {
    let world = World::new().await;
    world.endpoint("acme", Behaviour::Always(410), json!({})).await;
    world.post(event("e1")).await;
    world.run_to_the_end().await;
    let first = world.numbers();
    assert_eq!((&first["Failed"], &first["Dead"]), (&vec![1], &vec![1]));
    world.post(event("e2")).await;
    world.run_to_the_end().await;
    assert_eq!(world.numbers(), numbers([("Accepted", vec![1]), ("Held", vec![1])]));
}

#[tokio::test]
async fn every_pass_of_the_sweeper_is_counted_with_its_lag_also_if_there_was_nothing_to_do() {
    let world = World::new().await;
    world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    let idle = numbers([("Sweeps", vec![1]), ("DueLag", vec![0]), ("LedgerDifference", vec![0])]);
    world.sweep().await;
    assert_eq!(world.numbers(), idle);

    // A crash lost the message.
    world.post(event("lost")).await;
    world.purge("DeliveryQueue").await;
    world.pass_ms(301_000).await;
    world.numbers();
    world.sweep().await;
    let repaired = [("Repaired", vec![1])].into_iter().chain(idle.clone()).collect();
    assert_eq!(world.numbers(), repaired);
    world.run_to_the_end().await;
    let late = world.numbers();
    assert_eq!(
        (&late["Delivered"], &late["FirstAttemptLatency"]),
        (&vec![1], &vec![301_000])
    );

    // Throttled functions burnt the receives: the intake sets the delivery aside, and it is due a minute later.
    world.post(event("burnt")).await;
    world.burn_receives().await;
    world.numbers();
    world.settle().await;
    assert_eq!(world.numbers(), numbers([("Held", vec![1])]));
    world.pass_ms(67_000).await;
    world.sweep().await;
    let sent = [("Sent", vec![1]), ("DueLag", vec![7_000])].into_iter();
    let expected: BTreeMap<_, _> = idle.clone().into_iter().chain(sent).collect();
    assert_eq!(world.numbers(), expected);
    world.run_to_the_end().await;
    let delivered = world.numbers();
    assert_eq!(delivered["FirstAttemptLatency"].len(), 1, "that wait was ours");
    world.nothing_is_left().await;
}

#[tokio::test]
async fn a_dead_letter_that_nobody_can_read_is_counted_each_time_the_intake_meets_it() {
    let world = World::new().await;
    world.send_raw("DeadLetterQueue", "{\"t\":\"acme\",\"e\":").await;
    world.settle().await;
    assert_eq!(world.numbers(), numbers([("Unreadable", vec![1])]));
    world.pass_ms(721_000).await;
    assert_eq!(world.numbers(), numbers([("Unreadable", vec![1])]));
}

#[tokio::test]
async fn a_record_that_comes_back_for_a_fault_of_ours_is_counted_and_is_no_attempt() {
    let world = World::new().await;
    let endpoint = world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    // A content that cannot be unpacked.
    let broken =
        json!({"t": "acme", "e": "e1", "a": ms_of(&world.now()), "s": 4, "p": endpoint.id, "v": 0, "b": "AAAA"});
    world.send_raw("DeliveryQueue", &broken.to_string()).await;
    world.settle().await;
    assert_eq!(world.numbers(), numbers([("FunctionFaults", vec![1])]));
    assert!(world.requests(&endpoint).is_empty());
}

#[tokio::test]
async fn a_ledger_that_does_not_balance_is_told_by_every_pass_until_its_hour_is_too_old_to_count() {
    const HOUR_MS: i64 = 3_600_000;
    let world = World::new().await;
    world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    world.post(event("e1")).await;
    world.run_to_the_end().await;
    // A second endpoint, which e1 did not match, has a record of it all the same.
    let second = world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    world.post(event("e2")).await;
    world.run_to_the_end().await;
    world.hold("acme", "e1", &second).await;
    world.numbers();

    let mut told = Vec::new();
    for _ in 0..51 {
        // Two passes for each hour: one that counts, one that does not.
        for ms in [HOUR_MS - 60_000, 60_000] {
            world.pass_ms(ms).await;
            world.sweep().await;
            let numbers = world.numbers();
            assert_eq!(numbers["Sweeps"], [1]);
            told.extend(numbers["LedgerDifference"].clone());
        }
    }
    let first = told.iter().position(|difference| *difference > 0).unwrap();
    let last = told.iter().rposition(|difference| *difference > 0).unwrap();
    assert!(told[first..=last].iter().all(|difference| *difference == 1), "{told:?}");
    // The hour is counted when it is over and its last events are settled, and then for two days.
    assert!(first <= 2 && (94..=98).contains(&(last - first)), "{told:?}");
    assert_eq!(told.last(), Some(&0));
}

#[tokio::test]
async fn a_delivery_that_is_lost_for_good_is_told_and_sent_when_no_queue_can_hold_it_any_more() {
    const HOUR_MS: i64 = 3_600_000;
    let world = World::new().await;
    let endpoint = world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    // Its message is lost, and that of the repair too; after that the tenant is quiet.
    world.post(event("lost")).await;
    world.purge("DeliveryQueue").await;
    world.pass_ms(301_000).await;
    assert_eq!(world.sweep().await.repaired, 1);
    world.purge("DeliveryQueue").await;
    world.numbers();

    let mut told = Vec::new();
    for _ in 0..12 {
        world.pass_ms(HOUR_MS).await;
        let repaired = world.sweep().await.repaired;
        told.push((world.numbers()["LedgerDifference"][0], repaired));
    }
    world.run_to_the_end().await;
    // Its hour is over at 6:00 and is counted at 6:05 past, and from then on every hour; after 12:00 it waits nowhere.
    let lost = told.iter().position(|seen| *seen != (0, 0)).unwrap();
    assert_eq!((lost, told[lost]), (6, (1, 1)), "{told:?}");
    assert!(told[lost + 1..].iter().all(|seen| *seen == (0, 0)), "{told:?}");
    assert_eq!(world.requests(&endpoint).len(), 1);
    world.nothing_is_left().await;
}

#[tokio::test]
async fn an_hour_with_more_events_than_a_step_balances() {
    /// More than a step in one millisecond, and a step that ends within another.
    const BATCHES: [usize; 3] = [1_300, 700, 600];
    let world = World::new().await;
    let paused = world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    let path = format!("/v1/tenants/acme/endpoints/{}", paused.id);
    world.call("POST", &format!("{path}/pause"), json!({}), 200).await;
    // Of one call, so of one shard.
    let one = json!({"type": "call.ended", "tenant": "acme", "data": {}, "related": {"call_id": "c1"}});
    for events in BATCHES {
        for part in vec![one.clone(); events].chunks(500) {
            world.call("POST", "/v1/events", json!(part), 202).await;
        }
        world.stand_still_ms(1);
    }
    world.pass_ms(2 * 3_600_000).await;
    assert!(world.sweep().await.hours > 0);
    assert_eq!(world.numbers()["LedgerDifference"], [0]);
    let counts = world.hours("acme").await;
    let all = BATCHES.iter().sum::<usize>() as u64;
    assert_eq!((counts.matched, counts.of(DeliveryState::Held)), (all, all));
}

fn read(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    std::fs::read_to_string(root.join(path)).unwrap()
}

#[test]
fn the_page_tells_every_metric_with_its_unit() {
    let page = read("docs/METRICS.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `"));
    let told: BTreeSet<(String, String)> = rows
        .map(|row| {
            let mut cells = row.split('|').map(|cell| cell.trim().trim_matches('`').to_owned());
            (cells.next().unwrap(), cells.next().unwrap())
        })
        .collect();
    let written = Metric::ALL.map(|metric| (metric.name().to_owned(), metric.unit().to_owned()));
    assert_eq!(told, BTreeSet::from(written));
    for metric in Metric::ALL {
        assert!(
            page.contains(&format!("**`{}`**: ", metric.name())),
            "{metric:?} is not explained"
        );
    }
}

#[test]
fn alarms_and_dashboard_ask_for_metrics_that_are_written() {
    let names: BTreeSet<&str> = Metric::ALL.into_iter().map(Metric::name).collect();
    let watched = read("infra/operations.yaml");
    let mut asked = BTreeSet::new();
    // In alarms `Namespace: Redial` and `MetricName: X` are neighbours.
    let lines: Vec<&str> = watched.lines().map(str::trim).collect();
    for pair in lines.windows(2).filter(|pair| pair[0] == "Namespace: Redial") {
        asked.insert(pair[1].strip_prefix("MetricName: ").unwrap());
    }
    assert!(asked.contains("Sweeps"), "{asked:?}");
    // In the dashboard's JSON, `"Redial", "X", "Stack"`.
    let drawn = watched.split("\"Redial\"").skip(1);
    asked.extend(drawn.filter_map(|rest| rest.split('"').nth(1)));
    assert!(asked.contains("FirstAttemptLatency"), "{asked:?}");
    let unknown: Vec<&&str> = asked.difference(&names).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}
