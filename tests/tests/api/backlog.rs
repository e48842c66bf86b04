//! What is held for an endpoint: counted first, then drained, kept or discarded as whoever resumes it chooses; and how an
//! endpoint is.

use redial_domain::delivery::DeliveryState;
use redial_domain::hold::{FORGIVEN_MS, Hold, HoldReason};
use redial_domain::{EndpointId, TenantId};
use redial_platform::store::config::Change;
use redial_platform::store::health::LastFailure;
use redial_platform::store::observed::Observation;
use serde_json::{Value, json};

use super::stand::Stand;

const HOUR_MS: i64 = 3_600_000;

fn path(endpoint: &str, rest: &str) -> String {
    format!("/v1/tenants/acme/endpoints/{endpoint}{rest}")
}

async fn post(stand: &Stand, id: &str, event_type: &str, agent: Option<&str>) {
    let event = json!({"type": event_type, "tenant": "acme", "id": id, "agent": agent, "data": {}});
    stand.ok("POST", "/v1/events", event).await;
}

/// A paused endpoint for which four deliveries are held: an old one, then one of another type, two of an agent.
async fn paused(stand: &Stand) -> String {
    let endpoint = stand.endpoint("acme").await;
    stand.ok("POST", &path(&endpoint, "/pause"), Value::Null).await;
    post(stand, "old", "call.ended", None).await;
    stand.pass_ms(2 * HOUR_MS);
    post(stand, "failed", "call.failed", None).await;
    for id in ["a1", "a2"] {
        post(stand, id, "call.ended", Some("agt_7")).await;
    }
    endpoint
}

async fn job(stand: &Stand, backlog: &Value) -> Value {
    let replay = backlog["replay"].as_str().unwrap();
    let path = format!("/v1/tenants/acme/replays/{replay}");
    stand.ok("GET", &path, Value::Null).await
}

#[tokio::test]
async fn a_backlog_is_counted_before_anything_is_done_with_it() {
    let stand = Stand::with_acme().await;
    let endpoint = paused(&stand).await;
    let backlog = stand.ok("GET", &path(&endpoint, "/backlog"), Value::Null).await;
    assert_eq!(backlog["held"], json!({"count": 4, "at_least": false}));
    assert_eq!(backlog["matching"], backlog["held"]);
    assert_eq!(backlog["by_reason"][0]["reason"], "endpoint_paused");
    assert_eq!(backlog["by_reason"][0]["count"], 4);
    let types = json!([{"event_type": "call.ended", "count": 3}, {"event_type": "call.failed", "count": 1}]);
    assert_eq!(backlog["by_type"], types);
    assert_eq!(backlog["by_age"][0], json!({"from_s": 0, "to_s": 3600, "count": 3}));
    assert_eq!(backlog["by_age"][1], json!({"from_s": 3600, "to_s": 86400, "count": 1}));
    assert!(backlog["oldest_accepted_at"].as_str() < backlog["newest_accepted_at"].as_str());
    let since = stand.clock.now().plus_millis(-HOUR_MS);
    for (narrowed, count) in [
        ("event_types=call.failed".to_owned(), 1),
        ("event_types=call.*".to_owned(), 4),
        ("agents=agt_7,agt_8".to_owned(), 2),
        (format!("since={since}"), 3),
        (format!("until={since}"), 1),
        ("agents=agt_8".to_owned(), 0),
    ] {
        let asked = path(&endpoint, &format!("/backlog?{narrowed}"));
        let part = stand.ok("GET", &asked, Value::Null).await;
        assert_eq!(part["matching"]["count"], count, "{narrowed}");
        assert_eq!(part["held"]["count"], 4, "{narrowed}");
    }
    for (wrong, code, field) in [
        ("since=yesterday", "parameter_invalid", "since"),
        ("event_types=a..b", "parameter_invalid", "event_types"),
        ("limit=1", "parameter_unknown", "limit"),
    ] {
        let asked = path(&endpoint, &format!("/backlog?{wrong}"));
        let said = stand.refusal("GET", &asked, Value::Null).await;
        assert_eq!(said, (400, code.to_owned(), Some(field.to_owned())));
    }
}

#[tokio::test]
async fn resuming_drains_everything_unless_told_otherwise() {
    let stand = Stand::with_acme().await;
    let endpoint = paused(&stand).await;
    let resumed = stand.ok("POST", &path(&endpoint, "/resume"), Value::Null).await;
    assert_eq!(
        (&resumed["id"], &resumed["state"]),
        (&json!(endpoint), &json!("active"))
    );
    assert_eq!(resumed["backlog"]["held"], json!({"count": 4, "at_least": false}));
    assert_eq!(resumed["kept_until"], Value::Null);
    let job = job(&stand, &resumed["backlog"]).await;
    assert_eq!((&job["total"], &job["rate"]), (&json!(4), &json!(100)));
    let health = stand.ok("GET", &path(&endpoint, "/health"), Value::Null).await;
    assert_eq!(health["drain"]["id"], resumed["backlog"]["replay"]);
    // Nothing is held for one that never was on hold: there is nothing to do.
    let other = stand.endpoint("acme").await;
    let resumed = stand.ok("POST", &path(&other, "/activate"), json!({})).await;
    assert_eq!(
        resumed["backlog"],
        json!({"held": {"count": 0, "at_least": false}, "replay": null})
    );
}

#[tokio::test]
async fn a_part_is_drained_and_the_rest_is_kept_until_somebody_asks() {
    let stand = Stand::with_acme().await;
    let endpoint = paused(&stand).await;
    let wish = json!({"agents": ["agt_7"], "rate": 20});
    let resumed = stand.ok("POST", &path(&endpoint, "/resume"), wish).await;
    let drained = job(&stand, &resumed["backlog"]).await;
    assert_eq!((&drained["total"], &drained["rate"]), (&json!(2), &json!(20)));
    assert_eq!(resumed["kept_until"], json!(stand.clock.now()));
    // What it would be, then what is done.
    let backlog = path(&endpoint, "/backlog");
    let since = stand.clock.now().plus_millis(-HOUR_MS);
    let asked = json!({"action": "discard", "until": since, "dry_run": true});
    let counted = stand.ok("POST", &backlog, asked).await;
    assert_eq!((&counted["state"], &counted["total"]), (&json!("done"), &json!(1)));
    assert_eq!(counted["dry_run"], true);
    let asked = json!({"action": "drain", "event_types": ["call.failed"]});
    let drained = stand.ok("POST", &backlog, asked).await;
    assert_eq!(drained["total"], 1);
    // Whoever resumes it once more without a word asks for everything.
    let again = stand.ok("POST", &path(&endpoint, "/resume"), Value::Null).await;
    assert_eq!(again["kept_until"], Value::Null);
    assert!(again["backlog"]["replay"].is_string());
}

#[tokio::test]
async fn a_time_alone_says_exactly_what_is_kept() {
    let stand = Stand::with_acme().await;
    let endpoint = paused(&stand).await;
    let since = stand.clock.now().plus_millis(-HOUR_MS);
    let resumed = stand
        .ok("POST", &path(&endpoint, "/activate"), json!({"since": since}))
        .await;
    assert_eq!(resumed["kept_until"], json!(since));
    assert_eq!(job(&stand, &resumed["backlog"]).await["total"], 3);
}

#[tokio::test]
async fn a_backlog_is_kept_or_discarded_on_request() {
    let stand = Stand::with_acme().await;
    let kept = paused(&stand).await;
    let resumed = stand
        .ok("POST", &path(&kept, "/resume"), json!({"backlog": "keep"}))
        .await;
    assert_eq!(resumed["backlog"]["replay"], Value::Null);
    assert_eq!(resumed["backlog"]["held"]["count"], 4);
    assert_eq!(resumed["kept_until"], json!(stand.clock.now()));
    // Saying that it is active, which it is, changes nothing of that.
    let patched = stand.ok("PATCH", &path(&kept, ""), json!({"active": true})).await;
    assert_eq!(patched["kept_until"], resumed["kept_until"]);
    let replays = stand.ok("GET", "/v1/tenants/acme/replays?limit=1", Value::Null).await;
    assert_ne!(replays["items"][0]["total"], 4, "nothing of it is delivered");

    stand.ok("POST", &path(&kept, "/pause"), Value::Null).await;
    let wish = json!({"backlog": "discard", "event_types": ["call.ended"]});
    let resumed = stand.ok("POST", &path(&kept, "/resume"), wish).await;
    assert_eq!(job(&stand, &resumed["backlog"]).await["total"], 3);
}

#[tokio::test]
async fn only_what_is_delivered_to_can_be_drained() {
    let stand = Stand::with_acme().await;
    let endpoint = paused(&stand).await;
    let backlog = path(&endpoint, "/backlog");
    let drain = json!({"action": "drain"});
    let on_hold = (409, "endpoint_on_hold".to_owned(), None);
    assert_eq!(stand.refusal("POST", &backlog, drain.clone()).await, on_hold);
    let counted = stand
        .ok("POST", &backlog, json!({"action": "drain", "dry_run": true}))
        .await;
    assert_eq!(counted["total"], 4);
    let discarded = stand.ok("POST", &backlog, json!({"action": "discard"})).await;
    assert_eq!(discarded["total"], 4);
    stand.ok("PATCH", &path(&endpoint, ""), json!({"active": false})).await;
    assert_eq!(stand.refusal("POST", &backlog, drain).await, on_hold);
    for (body, code, field) in [
        (json!({}), "field_missing", "action"),
        (json!({"action": "keep"}), "field_invalid", "action"),
        (json!({"action": "discard", "since": null}), "field_invalid", "since"),
        (
            json!({"action": "discard", "event_types": []}),
            "field_invalid",
            "event_types",
        ),
        (json!({"action": "discard", "rate": 501}), "rate_invalid", "rate"),
        (json!({"action": "discard", "all": true}), "field_unknown", "all"),
    ] {
        let said = stand.refusal("POST", &backlog, body).await;
        assert_eq!(said, (422, code.to_owned(), Some(field.to_owned())));
    }
    let said = stand
        .refusal("POST", &path(&endpoint, "/activate"), json!({"backlog": "drop"}))
        .await;
    assert_eq!(said, (422, "field_invalid".to_owned(), Some("backlog".to_owned())));
}

/// Tells of failures as dispatchers do, and puts the endpoint on hold after ten.
pub async fn fail(stand: &Stand, endpoint: &str, failures: u32) {
    let (tenant, id) = (TenantId::parse("acme").unwrap(), EndpointId::parse(endpoint).unwrap());
    let now = stand.clock.now();
    let seen = Observation {
        failed_in_row: failures,
        succeeded_at: None,
        failed: failures,
        succeeded: 0,
        first_failed_at: now,
        last_failure: LastFailure {
            at: now,
            status: Some(503),
            code: "http_error".to_owned(),
        },
    };
    stand.store.observe(&tenant, &id, &seen, now).await.unwrap();
    if failures < 10 {
        return;
    }
    let reason = HoldReason::FailuresInRow;
    assert!(stand.store.open(&tenant, &id, reason, now).await.unwrap());
    let hold = Hold {
        since: now,
        reason,
        failing_since: now,
    };
    let version = stand.store.version(&tenant, 0).await.unwrap().unwrap();
    let change = Change::Hold(&id, Some(&hold));
    stand.store.change(&tenant, version, change).await.unwrap();
}

#[tokio::test]
async fn health_says_how_an_endpoint_is_and_why() {
    let stand = Stand::with_acme().await;
    let endpoint = stand.endpoint("acme").await;
    let health = async || stand.ok("GET", &path(&endpoint, "/health"), Value::Null).await;
    let healthy = health().await;
    assert_eq!(
        (&healthy["state"], &healthy["last_failure"]),
        (&json!("healthy"), &Value::Null)
    );
    for count in ["held", "retrying", "dead"] {
        assert_eq!(healthy[count], json!({"count": 0, "at_least": false}));
    }

    fail(&stand, &endpoint, 6).await;
    let failing = health().await;
    assert_eq!(
        (&failing["state"], &failing["failures_in_row"]),
        (&json!("failing"), &json!(6))
    );
    assert_eq!(failing["since"], json!(stand.clock.now()));
    let last = json!({"at": stand.clock.now(), "status": 503, "code": "http_error"});
    assert_eq!(failing["last_failure"], last);

    for (change, state) in [("/pause", "paused"), ("/resume", "healthy")] {
        stand.ok("POST", &path(&endpoint, change), Value::Null).await;
        let health = health().await;
        assert_eq!(
            health["state"], state,
            "what was known is forgotten when it is resumed: {health}"
        );
    }
    stand
        .ok("PATCH", &path(&endpoint, ""), json!({"state": "inactive"}))
        .await;
    assert_eq!(health().await["state"], "inactive");
    for (id, state) in [("e1", DeliveryState::Dead), ("e2", DeliveryState::Retrying)] {
        let other = stand.endpoint("acme").await;
        stand.event("acme", id).await;
        stand.conclude("acme", &format!("{id}.{other}"), state, 2).await;
        let health = stand.ok("GET", &path(&other, "/health"), Value::Null).await;
        assert_eq!(health[state.as_str()]["count"], 1);
    }
}

#[tokio::test]
async fn an_endpoint_on_hold_is_shown_so_and_let_go_by_whoever_resumes_it() {
    let stand = Stand::with_acme().await;
    let endpoint = stand.endpoint("acme").await;
    let before = stand.ok("GET", &path(&endpoint, ""), Value::Null).await;
    assert_eq!(before["hold"], Value::Null);
    fail(&stand, &endpoint, 10).await;
    let hold = json!({"since": stand.clock.now(), "reason": "failures_in_row"});
    let held = stand.ok("GET", &path(&endpoint, ""), Value::Null).await;
    assert_eq!((&held["hold"], &held["state"]), (&hold, &json!("active")));
    assert_eq!(held["version"], before["version"], "nobody has changed it");
    let listed = stand.ok("GET", "/v1/tenants/acme/endpoints", Value::Null).await;
    assert_eq!(listed["items"][0]["hold"], hold);
    let health = stand.ok("GET", &path(&endpoint, "/health"), Value::Null).await;
    assert_eq!((&health["state"], &health["since"]), (&json!("held"), &hold["since"]));
    assert_eq!(health["next_probe_at"], json!(stand.clock.now().plus_millis(15_000)));
    let said = stand
        .refusal("POST", &path(&endpoint, "/backlog"), json!({"action": "drain"}))
        .await;
    assert_eq!(said, (409, "endpoint_on_hold".to_owned(), None));

    // A pause comes first; it hides the hold.
    stand.ok("POST", &path(&endpoint, "/pause"), Value::Null).await;
    let health = stand.ok("GET", &path(&endpoint, "/health"), Value::Null).await;
    assert_eq!(health["state"], "paused");
    let resumed = stand.ok("POST", &path(&endpoint, "/resume"), Value::Null).await;
    assert_eq!((&resumed["hold"], &resumed["state"]), (&Value::Null, &json!("active")));
    let health = stand.ok("GET", &path(&endpoint, "/health"), Value::Null).await;
    assert_eq!(
        (&health["state"], &health["failures_in_row"]),
        (&json!("healthy"), &json!(0))
    );

    // Failures are forgiven every two minutes.
    stand.pass_ms(FORGIVEN_MS);
    fail(&stand, &endpoint, 10).await;
    let activated = stand.ok("POST", &path(&endpoint, "/activate"), Value::Null).await;
    assert_eq!(
        activated["hold"],
        Value::Null,
        "an active one that is on hold is let go too"
    );
}

#[tokio::test]
async fn another_url_or_secret_has_an_endpoint_on_hold_probed_at_once() {
    let stand = Stand::with_acme().await;
    for (method, rest, body) in [
        ("PATCH", "", json!({"url": "http://127.0.0.1:9001/hook"})),
        ("PATCH", "", json!({"auth": {"type": "bearer", "token": "t"}})),
        ("PATCH", "", json!({"headers": {"x-source": "redial"}})),
        ("POST", "/rotate", json!({})),
    ] {
        let endpoint = stand.endpoint("acme").await;
        fail(&stand, &endpoint, 10).await;
        let probe_at = async || {
            let health = stand.ok("GET", &path(&endpoint, "/health"), Value::Null).await;
            assert_eq!(health["state"], "held");
            health["next_probe_at"].clone()
        };
        stand
            .ok(
                "PATCH",
                &path(&endpoint, ""),
                json!({"description": "d", "active": true}),
            )
            .await;
        assert_eq!(probe_at().await, json!(stand.clock.now().plus_millis(15_000)));
        stand.ok(method, &path(&endpoint, rest), body).await;
        assert_eq!(probe_at().await, json!(stand.clock.now()), "{method} {rest}");
    }
}
