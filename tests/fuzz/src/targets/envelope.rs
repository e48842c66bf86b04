//! What platforms post: an event, an array of them, or an object with `events`. What is accepted is delivered with the bytes of
//! `data` as they came, in every profile a body that every parser reads, and a signature that the receiver's check takes.

use redial_domain::event::{Content, MAX_BATCH_EVENTS, MAX_REFERENCES, Posted, PostedEvent};
use redial_domain::invalid::Invalid;
use redial_domain::profile::{BodyParts, Payload, Profile};
use redial_domain::{EventId, Timestamp, json};
use redial_platform::blob;
use serde_json::Value;

use super::{column, inputs};
use crate::Target;

pub(crate) const TARGET: Target = Target {
    name: "envelope",
    max_len: 64 * 1_024,
    run,
    seeds,
};

/// Longest sentence about what is wrong: a stranger's bytes are not sent back by the megabyte.
const MAX_DETAIL_LEN: usize = 1_500;
/// How many events of the sample file are seeds: one of each type, more or less.
const SAMPLES: usize = 40;

fn seeds() -> Vec<Vec<u8>> {
    let calls = crate::data("calls.jsonl");
    let mut texts: Vec<String> = calls.lines().step_by(77).take(SAMPLES).map(str::to_owned).collect();
    let hostile = column("hostile-inputs.tsv", 1, |_| true);
    texts.extend(
        hostile
            .iter()
            .map(|data| format!(r#"{{"type":"a.b","tenant":"acme","data":{data}}}"#)),
    );
    texts.extend(hostile.iter().map(|id| {
        let quoted = Value::from(id.as_str());
        format!(r#"{{"type":{quoted},"tenant":{quoted},"id":{quoted},"data":1}}"#)
    }));
    texts.push(format!("[{},{}]", texts[0], texts[1]));
    texts.push(format!(r#"{{"events":[{}]}}"#, texts[2]));
    texts.push(r#"{"type":"a","tenant":"t","agent":null,"data":{ "n":9007199254740993 },"related":{"call_id":"c"},"links":{"event":"x"}}"#.to_owned());
    inputs(texts)
}

fn run(input: &[u8]) {
    let events = match Posted::parse(input) {
        Ok(Posted::Single(text)) => vec![text],
        Ok(Posted::Batch(texts)) => {
            assert!((1..=MAX_BATCH_EVENTS).contains(&texts.len()));
            texts
        }
        Err(refusal) => return is_told(&refusal),
    };
    for text in events {
        match PostedEvent::parse(text) {
            Ok(event) => holds(text, &event),
            Err(refusal) => is_told(&refusal),
        }
    }
}

fn is_told(refusal: &Invalid) {
    assert!(!refusal.code.is_empty());
    assert!(
        refusal.to_string().len() <= MAX_DETAIL_LEN,
        "{} characters",
        refusal.to_string().len()
    );
}

fn holds(text: &str, event: &PostedEvent) {
    let (content, data) = (&event.content, event.content.data.get());
    assert!(text.contains(data));
    assert!(json::check(data, json::MAX_DEPTH).is_ok());
    assert!(content.related.len() <= MAX_REFERENCES && content.links.len() <= MAX_REFERENCES);
    // Stored and read again, it is the same.
    let (packed, riding) = blob::stored_and_riding(content).expect("a content can be packed");
    let stored = blob::to_content(&packed).expect("what is packed is read");
    assert_eq!((stored.data.get(), stored.digest()), (data, content.digest()));
    if let Some(riding) = riding {
        let rode = blob::from_riding(&riding).expect("what rides is read");
        assert_eq!(rode.digest(), content.digest());
    }
    for profile in [Profile::Standard, Profile::Voicehub, Profile::Utel] {
        if profile.carries(&content.event_type) {
            for payload in [Payload::Full, Payload::Thin] {
                body_holds(profile, payload, event, content);
            }
        }
    }
}

fn body_holds(profile: Profile, payload: Payload, event: &PostedEvent, content: &Content) {
    let at = Timestamp::from_millis(1_795_151_026_258);
    let minted = EventId::mint(at, 0, 0);
    let id = event.id.as_ref().unwrap_or(&minted);
    let parts = BodyParts {
        tenant: &event.tenant,
        event: id,
        accepted_at: at,
        content,
        api_origin: "https://api.example.com",
        payload,
        analysis_url: Some("https://example.com/{call_id}/{analysis_id}/{event_id}"),
    };
    let body = profile.body(&parts).expect("every part is JSON");
    let text = std::str::from_utf8(&body).expect("JSON is UTF-8");
    let read: Value = serde_json::from_str(text).expect("what is sent is JSON");
    assert!(read.is_object());
    if profile == Profile::Standard {
        let full = payload == Payload::Full;
        assert_eq!(read.get("data").is_some(), full);
        assert!(!full || text.contains(&format!(r#""data":{}"#, content.data.get())));
        assert_eq!(read["id"], id.as_str());
        assert_eq!(read["tenant"], event.tenant.as_str());
        assert_eq!(
            read["links"]["event"],
            format!("https://api.example.com/v1/tenants/{}/events/{id}", event.tenant)
        );
    }
}
