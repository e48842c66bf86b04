//! Events and request bodies as strangers write them.

use super::*;

const WHOLE: &str = r#"{"type":"call.ended","tenant":"acme","agent":"agt_7","id":"src_1","occurred_at":"2026-11-20T05:03:46.258Z","data":{ "a" : 9007199254740993 },"related":{"call_id":"c1"},"links":{"call":"https://x.example/c1"}}"#;

fn refused(text: &str) -> (&'static str, String) {
    let invalid = PostedEvent::parse(text).unwrap_err();
    (invalid.code, invalid.field.into_owned())
}

#[test]
fn data_keeps_its_bytes() {
    let event = PostedEvent::parse(WHOLE).unwrap();
    assert_eq!(event.content.data.get(), r#"{ "a" : 9007199254740993 }"#);
    assert_eq!(event.content.call_id(), Some("c1"));
    assert_eq!(event.content.occurred_at.as_deref(), Some("2026-11-20T05:03:46.258Z"));
}

#[test]
fn a_refusal_names_its_field() {
    assert_eq!(
        refused(r#"{"tenant":"acme","data":{}}"#),
        ("field_missing", "type".into())
    );
    assert_eq!(
        refused(r#"{"type":"a","tenant":"acme"}"#),
        ("field_missing", "data".into())
    );
    assert_eq!(
        refused(r#"{"type":"a..b","tenant":"acme","data":{}}"#),
        ("event_type_invalid", "type".into())
    );
    assert_eq!(
        refused(r#"{"type":"a","tenant":"a b","data":{}}"#),
        ("id_invalid", "tenant".into())
    );
    assert_eq!(
        refused(r#"{"type":"a","tenant":"acme","id":"null","data":{}}"#),
        ("id_invalid", "id".into())
    );
    assert_eq!(
        refused(r#"{"type":"a","tenant":"acme","id":7,"data":{}}"#),
        ("field_invalid", "id".into())
    );
    assert_eq!(
        refused(r#"{"type":"a","tenant":"acme","data":{"x":1,"x":2}}"#),
        ("json_invalid", "data".into())
    );
    let date = r#"{"type":"a","tenant":"acme","occurred_at":"2026-13-45","data":{}}"#;
    assert_eq!(refused(date), ("timestamp_invalid", "occurred_at".into()));
    let related = r#"{"type":"a","tenant":"acme","related":{"call_id":7},"data":{}}"#;
    assert_eq!(refused(related), ("references_invalid", "related".into()));
}

#[test]
fn an_event_that_is_no_object_is_refused() {
    for text in [r#"["call.ended","acme",null,"x1",null,{"a":1}]"#, "1", "null", "\"x\""] {
        assert_eq!(refused(text).0, "field_invalid", "{text}");
    }
}

#[test]
fn an_envelope_key_given_twice_or_unknown_is_refused() {
    assert_eq!(
        refused(r#"{"type":"a","type":"b","tenant":"acme","data":{}}"#).0,
        "field_unknown"
    );
    assert_eq!(
        refused(r#"{"type":"a","tenant":"acme","data":{},"payload":1}"#).0,
        "field_unknown"
    );
}

#[test]
fn the_digest_tells_any_difference() {
    let first = PostedEvent::parse(WHOLE).unwrap().content.digest();
    assert_eq!(PostedEvent::parse(WHOLE).unwrap().content.digest(), first);
    for (from, to) in [
        ("call.ended", "call.failed"),
        ("agt_7", "agt_8"),
        ("\"c1\"}", "\"c2\"}"),
        (" : 9", ": 9"),
    ] {
        assert_ne!(
            PostedEvent::parse(&WHOLE.replacen(from, to, 1))
                .unwrap()
                .content
                .digest(),
            first,
            "{from}"
        );
    }
}

#[test]
fn content_is_stored_without_loss() {
    let content = PostedEvent::parse(WHOLE).unwrap().content;
    let stored = serde_json::to_vec(&content).unwrap();
    let back: Content = serde_json::from_slice(&stored).unwrap();
    assert_eq!(back.digest(), content.digest());
    assert_eq!(back.data.get(), content.data.get());
}

#[test]
fn a_body_is_one_event_or_a_batch() {
    assert!(matches!(Posted::parse(WHOLE.as_bytes()).unwrap(), Posted::Single(_)));
    for body in [
        format!("[{WHOLE},{WHOLE}]"),
        format!("{{\"events\":[{WHOLE},{WHOLE}]}}"),
    ] {
        assert!(matches!(Posted::parse(body.as_bytes()).unwrap(), Posted::Batch(events) if events == [WHOLE, WHOLE]));
    }
    let code = |body: &[u8]| Posted::parse(body).unwrap_err().code;
    assert_eq!(code(b"[]"), "batch_empty");
    assert_eq!(code(b"{\"events\":7}"), "field_invalid");
    assert_eq!(code(b"{\"events\":[],\"tenant\":\"acme\"}"), "field_unknown");
    assert_eq!(code(b"\xef\xbb\xbf{}"), "json_invalid");
    assert_eq!(code(b"\xff"), "json_invalid");
    assert_eq!(code(b""), "json_invalid");
    assert_eq!(code(b"{\"a\":1}}"), "json_invalid");
    assert_eq!(
        code(format!("[{}]", vec!["{}"; 501].join(",")).as_bytes()),
        "batch_too_long"
    );
    assert_eq!(code(&vec![b' '; MAX_BODY_BYTES + 1]), "body_too_large");
}
