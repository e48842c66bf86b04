//! What may be asked for, and what is refused with which field.

use super::*;

fn read(body: &str) -> Result<Asked, Problem> {
    asked(Fields::parse(body.as_bytes()).unwrap().unwrap())
}

#[test]
fn a_replay_is_of_an_event_a_delivery_or_a_range() {
    let range = r#"{"endpoint":"ep_1","since":"2026-11-01T00:00:00Z","state":"dead"}"#;
    let spec = |body: &str| read(body).unwrap().spec;
    assert!(matches!(spec(r#"{"event":"src_1"}"#), ReplaySpec::Event(_)));
    assert!(matches!(spec(r#"{"delivery":"src_1.ep_1"}"#), ReplaySpec::Delivery(_)));
    let ReplaySpec::Range { until, state, .. } = spec(range) else {
        panic!("a range");
    };
    assert_eq!((until, state), (OPEN_END, Some(DeliveryState::Dead)));
}

#[test]
fn whatever_narrows_further_is_a_filter() {
    let filter = |body: &str| match read(body).unwrap().spec {
        ReplaySpec::Filter(filter) => *filter,
        other => panic!("a filter, not {other:?}"),
    };
    let since = r#""since":"2026-11-01T00:00:00Z""#;
    let all = filter(&format!("{{{since}}}"));
    assert!(all.endpoints.is_empty() && all.since > Timestamp::default());
    let narrow = r#""event_types":["call.*","qa.scored"],"agents":["agt_1"],"state":"dead","reason":"gone""#;
    let narrow = filter(&format!(r#"{{"endpoints":["ep_1","ep_2"],{since},{narrow}}}"#));
    assert_eq!(
        (narrow.endpoints.len(), narrow.event_types.len(), narrow.agents.len()),
        (2, 2, 1)
    );
    assert_eq!(
        (narrow.state, narrow.reason.as_deref()),
        (Some(DeliveryState::Dead), Some("gone"))
    );
    let missing = filter(&format!(r#"{{"endpoint":"ep_1",{since},"missing":true}}"#));
    assert!(missing.missing);
    let call = filter(r#"{"call_id":"c 1","endpoint":"ep_1"}"#);
    assert_eq!((call.call_id.as_deref(), call.endpoints.len()), (Some("c 1"), 1));
    let elsewhere = filter(r#"{"event":"src_1","to":"ep_2"}"#);
    assert!(elsewhere.event.is_some() && elsewhere.to.is_some());
    assert_eq!(filter(r#"{"delivery":"a.b","to":"ep_2"}"#).deliveries.len(), 1);
}

#[test]
fn a_replay_says_how_it_is_to_be_made() {
    let asked = read(r#"{"event":"a","rate":500.0,"dry_run":true}"#).unwrap();
    let expected = Options {
        rate: Some(500),
        slow_start: false,
        dry_run: true,
    };
    assert_eq!(
        (asked.options, read(r#"{"event":"a"}"#).unwrap().options),
        (expected, Options::default())
    );
}

#[test]
fn what_cannot_be_meant_is_refused_with_its_field() {
    for (body, code, field) in [
        ("{}", "field_missing", "event"),
        (r#"{"event":"a b"}"#, "id_invalid", "event"),
        (r#"{"event":7}"#, "field_invalid", "event"),
        (r#"{"delivery":"src_1"}"#, "id_invalid", "delivery"),
        (r#"{"event":"a","delivery":"a.b"}"#, "replay_ambiguous", "delivery"),
        (
            r#"{"event":"a","since":"2026-11-01T00:00:00Z"}"#,
            "field_unknown",
            "since",
        ),
        (r#"{"endpoint":"ep_1"}"#, "field_missing", "since"),
        (r#"{"endpoint":"ep_1","since":"now"}"#, "timestamp_invalid", "since"),
        (
            r#"{"endpoint":"ep_1","since":"2026-11-01T00:00:00Z","state":"gone"}"#,
            "field_invalid",
            "state",
        ),
        (
            r#"{"endpoint":"ep_1","event":"a","since":"2026-11-01T00:00:00Z"}"#,
            "replay_ambiguous",
            "endpoint",
        ),
        (r#"{"event":"a","all":true}"#, "field_unknown", "all"),
        (r#"{"event":"a","call_id":"c"}"#, "replay_ambiguous", "call_id"),
        (r#"{"call_id":""}"#, "call_id_invalid", "call_id"),
        (r#"{"event":"a","rate":0}"#, "rate_invalid", "rate"),
        (r#"{"event":"a","rate":501}"#, "rate_invalid", "rate"),
        (r#"{"event":"a","dry_run":1}"#, "field_invalid", "dry_run"),
        (r#"{"event":"a","missing":true}"#, "field_unknown", "missing"),
        (r#"{"endpoints":["ep_1"]}"#, "field_missing", "since"),
        (
            r#"{"endpoint":"ep_1","endpoints":["ep_2"],"since":"2026-11-01T00:00:00Z"}"#,
            "field_unknown",
            "endpoints",
        ),
        (
            r#"{"since":"2026-11-01T00:00:00Z","event_types":["*"]}"#,
            "field_invalid",
            "event_types",
        ),
        (
            r#"{"since":"2026-11-01T00:00:00Z","reason":"Because it was"}"#,
            "reason_invalid",
            "reason",
        ),
    ] {
        let problem = read(body).unwrap_err();
        assert_eq!(
            (problem.code.as_str(), problem.field.as_deref()),
            (code, Some(field)),
            "{body}"
        );
        assert_eq!(problem.status, 422);
    }
}
#[test]
fn an_invocation_names_its_tenant_and_nothing_unknown() {
    for (payload, status, code, field) in [
        ("", 400, "json_invalid", None),
        ("null", 400, "json_invalid", None),
        (r#"[{"tenant":"acme","event":"src_1"}]"#, 400, "json_invalid", None),
        (r#"{"event":"src_1"}"#, 422, "field_missing", Some("tenant")),
        (r#"{"tenant":"a b","event":"src_1"}"#, 422, "id_invalid", Some("tenant")),
        (r#"{"tenant":"acme"}"#, 422, "field_missing", Some("event")),
        (
            r#"{"tenant":"acme","replay":"rpl_1","event":"src_1"}"#,
            422,
            "field_unknown",
            Some("event"),
        ),
        // What the AWS console suggests as a test event.
        (r#"{"key1":"value1"}"#, 422, "field_missing", Some("tenant")),
        (
            r#"{"tenant":"acme","Records":[]}"#,
            422,
            "field_unknown",
            Some("Records"),
        ),
    ] {
        let problem = Invoked::parse(payload).unwrap_err();
        let said = (problem.status, problem.code.as_str(), problem.field.as_deref());
        assert_eq!(said, (status, code, field), "{payload}");
    }
    let long = format!(r#"{{"tenant":"{}"}}"#, "a".repeat(MAX_BODY_BYTES));
    assert_eq!(Invoked::parse(&long).unwrap_err().status, 413);
}

#[test]
fn an_invocation_asks_as_the_api_does_or_looks_at_a_replay() {
    let begun = Invoked::parse(r#"{"tenant":"acme","event":"src_1"}"#).unwrap();
    assert_eq!(begun.wish, Wish::Begin(read(r#"{"event":"src_1"}"#).unwrap()));
    let looked = Invoked::parse(r#"{"tenant":"acme","replay":"rpl_1"}"#).unwrap();
    assert_eq!(looked.wish, Wish::Look(ReplayId::parse("rpl_1").unwrap()));
}
