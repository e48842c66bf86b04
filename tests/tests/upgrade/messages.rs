//! Messages: of the first release, of a later one, and of one whose form this release does not know.

use std::collections::BTreeMap;

use redial_domain::event::PostedEvent;
use redial_domain::{EndpointId, EventId, ReplayId, TenantId};
use redial_platform::message::{DeliveryMessage, Message, ReplayMessage};
use redial_platform::{blob, format};
use serde_json::{Value, json};

use super::golden::{assert_says_still, path, read};
use crate::world::{Behaviour, World};

const FILE: &str = "v1/messages.json";
/// Milliseconds of a day: longer than the whole ladder of a message that nobody takes.
const DAY_MS: i64 = 86_400_000;
const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const POSTED: &str = r#"{"type":"call.ended","tenant":"noor-pharmacy","data":{"name":"صيدلية","n":9007199254740993}}"#;

fn delivery() -> DeliveryMessage {
    DeliveryMessage {
        tenant: TenantId::parse("noor-pharmacy").unwrap(),
        event: EventId::parse("src_001613").unwrap(),
        accepted_at_ms: 1_795_000_000_000,
        shards: 4,
        endpoint: EndpointId::parse("ep_0123456789ABCDEF").unwrap(),
        endpoint_version: 7,
        replay: None,
        check: false,
        probe: false,
        content: None,
        traceparent: None,
        slot_ms: None,
    }
}

fn replay() -> ReplayId {
    ReplayId::parse("rpl_01JD3ZK8Q000000001").unwrap()
}

/// One of each message, by name.
fn samples() -> BTreeMap<String, Message> {
    let posted = PostedEvent::parse(POSTED).unwrap();
    let riding = DeliveryMessage {
        content: blob::stored_and_riding(&posted.content).unwrap().1,
        traceparent: Some(TRACEPARENT.to_owned()),
        ..delivery()
    };
    let replayed = DeliveryMessage {
        replay: Some(replay()),
        check: true,
        probe: false,
        ..delivery()
    };
    let job = ReplayMessage {
        tenant: delivery().tenant,
        replay: replay(),
    };
    let delivery = |message| Message::Delivery(Box::new(message));
    let samples = [
        ("delivery with its content", delivery(riding)),
        ("delivery of a long event", delivery(self::delivery())),
        ("replayed delivery", delivery(replayed)),
        ("replay job", Message::Replay(job)),
    ];
    samples.map(|(name, message)| (name.to_owned(), message)).into()
}

fn written(message: &Message) -> Value {
    let body = match message {
        Message::Delivery(message) => serde_json::to_string(message),
        Message::Replay(message) => serde_json::to_string(message),
    };
    serde_json::from_str(&body.unwrap()).unwrap()
}

#[test]
#[ignore = "writes the file; to be run once, when a form gets a new number"]
fn the_files_of_a_form_are_written() {
    let all: BTreeMap<String, Value> = samples()
        .iter()
        .map(|(name, message)| (name.clone(), written(message)))
        .collect();
    let text = serde_json::to_string_pretty(&all).unwrap();
    std::fs::write(path(&format!("v{}/messages.json", format::NEWEST)), format!("{text}\n")).unwrap();
}

#[test]
fn messages_of_the_first_release_are_read() {
    let samples = samples();
    let then = read(FILE);
    assert!(then.keys().eq(samples.keys()), "{:?}", then.keys());
    for (name, body) in then {
        let mut message = Message::read(&body.to_string()).unwrap();
        if let Message::Delivery(delivery) = &mut message
            && let Some(riding) = delivery.content.take()
        {
            // It may ride in another form of deflate: what counts is what it says.
            let content = blob::from_riding(&riding).unwrap();
            assert_eq!(
                content.data.get(),
                PostedEvent::parse(POSTED).unwrap().content.data.get()
            );
            delivery.content = blob::stored_and_riding(&content).unwrap().1;
        }
        assert_eq!(message, samples[&name], "{name}");
    }
}

#[test]
fn the_first_release_could_read_todays_messages() {
    let samples = samples();
    for (name, mut then) in read(FILE) {
        let mut now = written(&samples[&name]);
        for body in [&mut then, &mut now] {
            if let Some(riding) = body.get_mut("b") {
                let content = blob::from_riding(riding.as_str().unwrap()).unwrap();
                *riding = serde_json::to_value(&content).unwrap();
            }
        }
        assert_says_still(&name, &then, &now);
    }
}

#[tokio::test]
async fn a_message_from_the_future_waits_for_a_reader_that_knows_it() {
    let world = World::new().await;
    let endpoint = world.endpoint("acme", Behaviour::Always(204), json!({})).await;
    let found = u64::from(format::NEWEST) + 1;
    for (queue, kind) in [("DeliveryQueue", "delivery"), ("ReplayQueue", "replay")] {
        let body = json!({ "fv": found, "kind": kind, "for": endpoint.id }).to_string();
        world.send_raw(queue, &body).await;
    }
    world.pass_ms(format::NEWER_WAIT_MS / 2).await;
    assert_eq!(world.waiting_in("DeliveryQueue") + world.waiting_in("ReplayQueue"), 2);
    // An upgrade may be a day away: each comes back, and in the end waits where an operator is told of it.
    world.pass_ms(DAY_MS).await;
    assert_eq!(world.waiting_in("DeadLetterQueue"), 2);
    assert!(world.requests(&endpoint).is_empty());
}
