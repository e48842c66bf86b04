//! Success and failure by hour: read from the records at first, counted by the sweeper afterwards, the same numbers.

use serde_json::{Value, json};

use crate::world::{Behaviour, World};

const HOUR_MS: i64 = 3_600_000;

fn event(id: &str) -> Value {
    json!({"type": "call.ended", "tenant": "acme", "id": id, "data": {"call_id": "c1"}})
}

/// Of an answer's total: matched, succeeded, dead, attempts, and the rates.
fn sum(answer: &Value) -> (u64, u64, u64, u64, Value, Value) {
    let total = &answer["total"];
    let n = |name: &str| total[name].as_u64().unwrap();
    let rate = |name: &str| total[name].clone();
    (
        n("matched"),
        n("succeeded"),
        n("dead"),
        n("attempts"),
        rate("success_rate"),
        rate("failure_rate"),
    )
}

fn lives(answer: &Value) -> Vec<bool> {
    let hours = answer["hours"].as_array().unwrap();
    hours.iter().map(|hour| hour["live"].as_bool().unwrap()).collect()
}

#[tokio::test]
async fn an_hours_rates_are_shown_at_once_and_stay_when_it_is_counted() {
    let world = World::new().await;
    let works = world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    let twice = json!({"retry": {"attempts": 2, "delays": [1]}, "event_types": ["call.*"]});
    let fails = world.endpoint("acme", Behaviour::Always(500), twice).await;
    let path = "/v1/tenants/acme/statistics";
    let nothing = world.get(path).await;
    assert_eq!(nothing["hours"], json!([]));
    assert_eq!(sum(&nothing), (0, 0, 0, 0, Value::Null, Value::Null));

    for id in ["e1", "e2", "e3"] {
        world.post(event(id)).await;
    }
    world.run_to_the_end().await;
    let live = world.get(path).await;
    assert_eq!(sum(&live), (6, 3, 3, 9, json!(0.5), json!(0.5)));
    assert_eq!(lives(&live), [true]);
    let of = |id: &str| format!("{path}?endpoint={id}");
    assert_eq!(
        sum(&world.get(&of(&fails.id)).await),
        (3, 0, 3, 6, json!(0.0), json!(1.0))
    );

    // A replay is no event's first delivery: it is not counted.
    let asked = json!({"event": "e1"});
    world.call("POST", "/v1/tenants/acme/replays", asked, 202).await;
    world.run_to_the_end().await;
    assert_eq!(sum(&world.get(path).await), sum(&live));

    for _ in 0..3 {
        world.pass_ms(HOUR_MS).await;
        world.sweep().await;
    }
    let counted = world.get(path).await;
    assert_eq!(lives(&counted), [false]);
    assert_eq!(sum(&counted), sum(&live));
    assert_eq!(
        sum(&world.get(&of(&works.id)).await),
        (3, 3, 0, 3, json!(1.0), json!(0.0))
    );
    world.nothing_is_left().await;
}

#[tokio::test]
async fn a_stretch_that_is_too_long_is_refused_and_one_before_everything_is_empty() {
    let world = World::new().await;
    world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    world.post(event("e1")).await;
    world.run_to_the_end().await;
    let ask = |query: &str| {
        let path = format!("/v1/tenants/acme/statistics?{query}");
        let world = &world;
        async move { world.request("GET", &path, Some(world.key()), &Value::Null).await }
    };
    let (status, refused) = ask("since=2026-01-01T00:00:00Z&until=2026-03-01T00:00:00Z").await;
    assert_eq!(
        (status, &refused["code"], &refused["field"]),
        (400, &json!("range_too_long"), &json!("since"))
    );
    let (status, early) = ask("since=2026-01-01T00:00:00Z&until=2026-01-02T00:00:00Z").await;
    assert_eq!((status, &early["hours"]), (200, &json!([])));
    assert_eq!(ask("endpoint=a%20b").await.0, 400);
}
