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

/// Of an answer's total: the latencies that half and 99 of 100 had at most.
fn latencies(answer: &Value) -> (Option<u64>, Option<u64>) {
    let total = &answer["total"];
    (total["latency_p50_ms"].as_u64(), total["latency_p99_ms"].as_u64())
}

#[tokio::test]
async fn how_long_deliveries_took_is_shown_at_once_and_stays_when_the_hour_is_counted() {
    let world = World::new().await;
    world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    let one = json!({"retry": {"attempts": 1}, "event_types": ["call.failed"]});
    let dead = world.endpoint("acme", Behaviour::Always(500), one).await;
    let path = "/v1/tenants/acme/statistics";
    for n in 0..20 {
        world.post(event(&format!("quick-{n}"))).await;
    }
    let failed = json!({"type": "call.failed", "tenant": "acme", "id": "failed", "data": {"call_id": "c1"}});
    world.post(failed).await;
    world.run_to_the_end().await;
    world.post(event("slow")).await;
    // Nobody works for nine seconds.
    world.stand_still_ms(9_000);
    world.run_to_the_end().await;
    let live = world.get(path).await;
    let (half, most) = latencies(&live);
    assert_eq!(half, Some(0));
    assert!((8_000..11_250).contains(&most.unwrap()), "{most:?}");
    let of_dead = world.get(&format!("{path}?endpoint={}", dead.id)).await;
    assert_eq!(latencies(&of_dead), (None, None), "what never succeeded took no time");

    for _ in 0..3 {
        world.pass_ms(HOUR_MS).await;
        world.sweep().await;
    }
    let counted = world.get(path).await;
    assert_eq!((lives(&counted), latencies(&counted)), (vec![false], (half, most)));
    world.nothing_is_left().await;
}

#[tokio::test]
async fn the_last_hours_are_told_in_smaller_steps_from_the_records() {
    let world = World::new().await;
    world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    let path = "/v1/tenants/acme/statistics";
    // At 5:00:30, and ten minutes later twice.
    world.post(event("e1")).await;
    world.pass_ms(600_000).await;
    for id in ["e2", "e3"] {
        world.post(event(id)).await;
    }
    world.run_to_the_end().await;
    let stepped = world.get(&format!("{path}?step_s=300")).await;
    let steps = stepped["hours"].as_array().unwrap();
    let told: Vec<(&Value, &Value, &Value)> = steps
        .iter()
        .map(|step| (&step["hour"], &step["matched"], &step["complete"]))
        .collect();
    assert_eq!(
        told,
        [
            (&json!("2026-11-20T05:00:00.000Z"), &json!(1), &json!(true)),
            (&json!("2026-11-20T05:10:00.000Z"), &json!(2), &json!(true)),
        ]
    );
    assert_eq!((&stepped["step_s"], lives(&stepped)), (&json!(300), vec![true, true]));
    let whole = world.get(path).await;
    assert_eq!((&whole["step_s"], &whole["total"]), (&json!(3_600), &stepped["total"]));

    for (query, code, field) in [
        ("step_s=7", "parameter_invalid", "step_s"),
        ("step_s=0300", "parameter_invalid", "step_s"),
        ("step_s=60&since=2026-11-19T20:00:00Z", "range_too_long", "since"),
    ] {
        let (status, refused) = world
            .request("GET", &format!("{path}?{query}"), Some(world.key()), &Value::Null)
            .await;
        assert_eq!(
            (status, &refused["code"], &refused["field"]),
            (400, &json!(code), &json!(field)),
            "{query}"
        );
    }
}
