//! Bodies, literally, as each profile sends them.

use super::*;
use crate::event::PostedEvent;

const CALL: &str = r#"{"type":"call.ended","tenant":"acme","agent":"agt_7","occurred_at":"2026-11-20T05:03:46Z","data":{"z" :1, "a":9007199254740993},"related":{"call_id":"c1"},"links":{"call":"https://p.example/c1"}}"#;

fn built(profile: Profile, posted: &str, payload: Payload, analysis_url: Option<&str>) -> String {
    let event = PostedEvent::parse(posted).unwrap();
    let id = EventId::parse("src_1").unwrap();
    let parts = BodyParts {
        tenant: &event.tenant,
        event: &id,
        accepted_at: Timestamp::from_millis(1_795_000_000_000),
        content: &event.content,
        api_origin: "https://redial.example",
        payload,
        analysis_url,
    };
    String::from_utf8(profile.body(&parts).unwrap()).unwrap()
}

fn body(profile: Profile, posted: &str) -> String {
    built(profile, posted, Payload::Full, None)
}

#[test]
fn the_standard_body_is_the_one_of_the_design() {
    assert_eq!(
        body(Profile::Standard, CALL),
        r#"{"type":"call.ended","timestamp":"2026-11-20T05:03:46Z","id":"src_1","tenant":"acme","agent":"agt_7","data":{"z" :1, "a":9007199254740993},"related":{"call_id":"c1"},"links":{"call":"https://p.example/c1","event":"https://redial.example/v1/tenants/acme/events/src_1"}}"#
    );
}

#[test]
fn what_an_event_does_not_say_is_left_out() {
    assert_eq!(
        body(Profile::Standard, r#"{"type":"a","tenant":"acme","data":7}"#),
        r#"{"type":"a","timestamp":"2026-11-18T11:06:40.000Z","id":"src_1","tenant":"acme","data":7,"links":{"event":"https://redial.example/v1/tenants/acme/events/src_1"}}"#
    );
}

#[test]
fn a_thin_body_has_ids_and_links_and_no_data() {
    assert_eq!(
        built(Profile::Standard, CALL, Payload::Thin, None),
        r#"{"type":"call.ended","timestamp":"2026-11-20T05:03:46Z","id":"src_1","tenant":"acme","agent":"agt_7","related":{"call_id":"c1"},"links":{"call":"https://p.example/c1","event":"https://redial.example/v1/tenants/acme/events/src_1"}}"#
    );
    assert_eq!(
        built(Profile::Utel, CALL, Payload::Thin, None),
        r#"{"time":"2026-11-20T05:03:46Z","data":{"event":"call_ended","call_id":"c1"}}"#
    );
}

#[test]
fn voicehub_is_flat_and_takes_the_status_that_it_knows() {
    let posted = |event_type: &str, data: &str| {
        format!(
            r#"{{"type":"{event_type}","tenant":"acme","occurred_at":"2026-11-20T05:03:46Z","data":{data},"related":{{"call_id":"c1"}}}}"#
        )
    };
    let sent = |event_type: &str, data: &str| body(Profile::Voicehub, &posted(event_type, data));
    assert_eq!(
        sent("call.failed", r#"{"status":"busy"}"#),
        r#"{"eventType":"CallStatusChanged","timestamp":"2026-11-20T05:03:46Z","eventId":"src_1","status":"busy","callId":"c1"}"#
    );
    for (event_type, data, status) in [
        ("call.started", "{}", "started"),
        ("call.queued", r#"{"status":"waiting"}"#, "queued"),
        ("call.ended", r#"{"status":7}"#, "completed"),
        ("call.failed", "[]", "failed"),
        ("call.status_changed", r#"{"status":"voicemail"}"#, "voicemail"),
    ] {
        assert!(
            sent(event_type, data).contains(&format!(r#""status":"{status}""#)),
            "{event_type}"
        );
    }
    assert_eq!(
        sent("recording.ready", r#"{"status":"failed"}"#),
        r#"{"eventType":"RecordingsAvailable","timestamp":"2026-11-20T05:03:46Z","eventId":"src_1","callId":"c1"}"#
    );
}

#[test]
fn an_analysis_links_to_its_record_or_to_the_tenants_template() {
    let posted = |links: &str| {
        format!(
            r#"{{"type":"analysis.ready","tenant":"acme","occurred_at":"2026-11-20T05:03:46Z","data":{{"call_id":"c/1","analysis_id":"an 1"}}{links}}}"#
        )
    };
    let template = Some("https://p.example/{call_id}/{analysis_id}?e={event_id}");
    assert_eq!(
        built(
            Profile::Voicehub,
            &posted(r#","links":{"analysis":"https://p.example/an1"}"#),
            Payload::Full,
            template
        ),
        r#"{"eventType":"AnalysisResultReady","analysisId":"an 1","timestamp":"2026-11-20T05:03:46Z","eventId":"src_1","callId":"c/1","analysisResultUrl":"https://p.example/an1"}"#
    );
    assert!(
        built(Profile::Voicehub, &posted(""), Payload::Full, template)
            .ends_with(r#""callId":"c/1","analysisResultUrl":"https://p.example/c%2F1/an%201?e=src_1"}"#)
    );
    assert!(!body(Profile::Voicehub, &posted("")).contains("analysisResultUrl"));
}

#[test]
fn utel_names_the_event_in_its_data_and_keeps_the_rest_as_posted() {
    assert_eq!(
        body(Profile::Utel, CALL),
        r#"{"time":"2026-11-20T05:03:46Z","data":{"event":"call_ended","z":1,"a":9007199254740993}}"#
    );
    let transferred = |data: &str| {
        body(
            Profile::Utel,
            &format!(r#"{{"type":"transfer.completed","tenant":"t","data":{data}}}"#),
        )
    };
    assert!(transferred(r#"{"kind":"attended"}"#).contains(r#""event":"call_attended_transferred","kind":"attended""#));
    for blind in [r#"{"kind":"blind"}"#, r#"{"kind":7}"#, "{}", "7"] {
        assert!(
            transferred(blind).contains(r#""event":"call_blind_transferred""#),
            "{blind}"
        );
    }
    let own = body(
        Profile::Utel,
        r#"{"type":"call.started","tenant":"t","data":{"event":"mine","n":1}}"#,
    );
    assert!(own.ends_with(r#""data":{"event":"call_started","n":1}}"#), "{own}");
}

#[test]
fn a_profile_carries_only_what_it_has_a_name_for() {
    let carries = |profile: Profile, name: &str| profile.carries(&EventTypeName::parse(name).unwrap());
    for (name, expected) in [
        ("call.started", [true, true, true]),
        ("dial.answered", [true, false, true]),
        ("analysis.ready", [true, true, false]),
        ("qa.scored", [true, false, false]),
        ("their.own", [true, false, false]),
    ] {
        let all = [Profile::Standard, Profile::Voicehub, Profile::Utel];
        assert_eq!(all.map(|profile| carries(profile, name)), expected, "{name}");
    }
}

#[test]
fn only_utel_has_another_user_agent() {
    assert!(Profile::Standard.user_agent().starts_with("Redial/"));
    assert!(Profile::Voicehub.user_agent().starts_with("Redial/"));
    assert_eq!(Profile::Utel.user_agent(), "UtelHttpAgent/1.0");
}
