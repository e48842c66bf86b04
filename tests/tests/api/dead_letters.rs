//! Dead letters: listed and counted by endpoint, agent, type, reason and time; and what may be asked of them.

use redial_domain::AgentId;
use redial_domain::delivery::DeliveryState;
use redial_platform::store::deliveries::AttemptRecord;
use serde_json::{Value, json};

use super::stand::Stand;

const LETTERS: &str = "/v1/tenants/acme/dead-letters";

/// A dead letter, as a dispatcher records it.
async fn letter(stand: &Stand, endpoint: &str, id: &str, event_type: &str, agent: Option<&str>, reason: &str) {
    let event = json!({"type": event_type, "tenant": "acme", "id": id, "agent": agent, "data": {}});
    stand.ok("POST", "/v1/events", event).await;
    let mut record = stand
        .record("acme", &format!("{id}.{endpoint}"), DeliveryState::Dead)
        .await;
    record.attempts = 3;
    record.reason = Some(reason.to_owned());
    record.agent = agent.map(|agent| AgentId::parse(agent).unwrap());
    record.last = Some(AttemptRecord {
        n: 3,
        at: stand.clock.now(),
        status: Some(500),
        code: "http_error".to_owned(),
        duration_ms: 12,
        next: "That was the last.".to_owned(),
        response: b"<script>".to_vec(),
    });
    stand.store.record_failure(&record).await.unwrap();
    stand.pass_ms(60_000);
}

/// Three letters of one endpoint and one of another.
async fn letters(stand: &Stand) -> (String, String) {
    let (busy, quiet) = (stand.endpoint("acme").await, stand.endpoint("acme").await);
    letter(stand, &busy, "l1", "call.ended", Some("agt_7"), "attempts_exhausted").await;
    letter(stand, &busy, "l2", "call.failed", Some("agt_7"), "blocked").await;
    letter(stand, &busy, "l3", "qa.scored", None, "attempts_exhausted").await;
    letter(stand, &quiet, "l4", "call.ended", Some("agt_8"), "gone").await;
    (busy, quiet)
}

async fn ids(stand: &Stand, narrowed: &str) -> Vec<String> {
    let (items, _) = stand.pages(&format!("{LETTERS}?{narrowed}"), 2).await;
    let id = |item: &Value| item["event"].as_str().unwrap().to_owned();
    items.iter().map(id).collect()
}

#[tokio::test]
async fn dead_letters_are_listed_newest_first_with_why() {
    let stand = Stand::with_acme().await;
    let began = stand.clock.now();
    let (busy, quiet) = letters(&stand).await;
    assert_eq!(ids(&stand, "").await, ["l4", "l3", "l2", "l1"]);
    let middle = began.plus_millis(90_000);
    for (narrowed, expected) in [
        (format!("endpoint={quiet}"), vec!["l4"]),
        (format!("endpoint={busy}&event_type=call.*"), vec!["l2", "l1"]),
        ("agent=agt_7".to_owned(), vec!["l2", "l1"]),
        ("reason=attempts_exhausted".to_owned(), vec!["l3", "l1"]),
        (format!("since={middle}"), vec!["l4", "l3"]),
        (format!("until={middle}&agent=agt_8"), vec![]),
        ("redriven=true".to_owned(), vec![]),
    ] {
        assert_eq!(ids(&stand, &narrowed).await, expected, "{narrowed}");
    }
    let page = stand.ok("GET", &format!("{LETTERS}?reason=blocked"), Value::Null).await;
    let letter = &page["items"][0];
    assert_eq!(letter["id"], format!("l2.{busy}"));
    assert_eq!((&letter["agent"], &letter["attempts"]), (&json!("agt_7"), &json!(3)));
    assert_eq!(
        (&letter["last_attempt"]["status"], &letter["redriven"]),
        (&json!(500), &Value::Null)
    );
    assert!(letter["sentence"].as_str().unwrap().contains("does not connect to"));
    assert!(letter["expires_at"].as_str() > letter["accepted_at"].as_str());
    assert_eq!(
        letter["last_attempt"]["response"],
        Value::Null,
        "hostile text is not in lists"
    );
    for (wrong, field) in [
        ("reason=bored", "reason"),
        ("agent=a%20b", "agent"),
        ("event_type=a..b", "event_type"),
        ("redriven=maybe", "redriven"),
        ("since=yesterday", "since"),
    ] {
        let said = stand.refusal("GET", &format!("{LETTERS}?{wrong}"), Value::Null).await;
        assert_eq!(said, (400, "parameter_invalid".to_owned(), Some(field.to_owned())));
    }
}

#[tokio::test]
async fn dead_letters_are_counted_by_what_one_asks() {
    let stand = Stand::with_acme().await;
    let (busy, _) = letters(&stand).await;
    let counts = stand.ok("GET", &format!("{LETTERS}/counts"), Value::Null).await;
    assert_eq!((&counts["count"], &counts["at_least"]), (&json!(4), &json!(false)));
    let names: Vec<&str> = counts["counts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|by| by["by"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["endpoint", "agent", "event_type", "reason"]);
    assert_eq!(counts["counts"][0]["values"][0], json!({"value": busy, "count": 3}));
    let agents = &counts["counts"][1]["values"];
    assert_eq!(agents[0], json!({"value": "agt_7", "count": 2}));
    assert!(agents.as_array().unwrap().contains(&json!({"value": null, "count": 1})));
    let narrowed = format!("{LETTERS}/counts?by=reason&agent=agt_7&endpoint={busy}");
    let counts = stand.ok("GET", &narrowed, Value::Null).await;
    let reasons = json!([{"value": "attempts_exhausted", "count": 1}, {"value": "blocked", "count": 1}]);
    assert_eq!(
        counts["counts"],
        json!([{"by": "reason", "values": reasons, "others": 0}])
    );
    for (wrong, code, field) in [
        ("by=colour", "parameter_invalid", "by"),
        ("limit=1", "parameter_unknown", "limit"),
    ] {
        let said = stand
            .refusal("GET", &format!("{LETTERS}/counts?{wrong}"), Value::Null)
            .await;
        assert_eq!(said, (400, code.to_owned(), Some(field.to_owned())));
    }
}

#[tokio::test]
async fn what_would_be_redriven_or_discarded_is_counted_first() {
    let stand = Stand::with_acme().await;
    let (busy, _) = letters(&stand).await;
    let until = stand.clock.now().plus_millis(-150_000);
    for action in ["redrive", "discard"] {
        for (mut asked, total) in [
            (json!({}), 4),
            (json!({"endpoint": busy, "reason": "attempts_exhausted"}), 2),
            (json!({"event_type": "call.*", "agent": "agt_7"}), 2),
            (json!({"until": until}), 2),
            (json!({"delivery": format!("l1.{busy}")}), 1),
            (
                json!({"deliveries": [format!("l1.{busy}"), format!("l2.{busy}"), format!("l1.{busy}")]}),
                2,
            ),
        ] {
            asked["dry_run"] = json!(true);
            let job = stand.ok("POST", &format!("{LETTERS}/{action}"), asked.clone()).await;
            assert_eq!(job["total"], total, "{action} {asked}");
            assert_eq!((&job["state"], &job["dry_run"]), (&json!("done"), &json!(true)));
        }
        assert_eq!(ids(&stand, "").await.len(), 4, "nothing has changed");
    }
    let job = stand
        .ok("POST", &format!("{LETTERS}/redrive"), json!({"agent": "agt_8"}))
        .await;
    assert_eq!((&job["total"], &job["rate"]), (&json!(1), &json!(100)));
}

#[tokio::test]
async fn what_cannot_be_meant_of_dead_letters_is_refused() {
    let stand = Stand::with_acme().await;
    let (busy, _) = letters(&stand).await;
    let one = format!("l1.{busy}");
    let many: Vec<String> = (0..101).map(|n| format!("e{n}.{busy}")).collect();
    for (body, code, field) in [
        (
            json!({"delivery": one, "deliveries": [one]}),
            "replay_ambiguous",
            "deliveries",
        ),
        (json!({"delivery": one, "endpoint": busy}), "field_unknown", "endpoint"),
        (json!({"delivery": "nothing.at_all"}), "not_found", "delivery"),
        (json!({"delivery": null}), "field_invalid", "delivery"),
        (json!({"deliveries": []}), "field_invalid", "deliveries"),
        (json!({"deliveries": many}), "field_invalid", "deliveries"),
        (json!({"deliveries": ["x"]}), "field_invalid", "deliveries"),
        (json!({"endpoint": null}), "field_invalid", "endpoint"),
        (json!({"endpoint": "ep_nobodys"}), "not_found", "endpoint"),
        (json!({"reason": "bored"}), "field_invalid", "reason"),
        (json!({"rate": 0}), "rate_invalid", "rate"),
        (json!({"state": "dead"}), "field_unknown", "state"),
    ] {
        for action in ["redrive", "discard"] {
            let said = stand
                .refusal("POST", &format!("{LETTERS}/{action}"), body.clone())
                .await;
            assert_eq!(said, (422, code.to_owned(), Some(field.to_owned())), "{action} {body}");
        }
    }
    let replays = stand.ok("GET", "/v1/tenants/acme/replays", Value::Null).await;
    assert_eq!(replays["items"], json!([]), "no job was made");
}
