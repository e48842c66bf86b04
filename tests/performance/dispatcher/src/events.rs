//! The events of a round: what each says, the batches in which SQS would hand them to the function, and the body that each
//! has to arrive with. Sends nothing.

use aws_lambda_events::event::sqs::SqsEvent;
use bytes::Bytes;
use redial_domain::event::PostedEvent;
use redial_domain::profile::{BodyParts, Payload, Profile};
use redial_domain::{EndpointId, EventId, TenantId, Timestamp};
use redial_platform::blob;
use redial_platform::message::DeliveryMessage;
use serde_json::json;

use crate::Failure;
use crate::receiver::digest;

/// Records of a batch: what the mapping of the delivery queue hands over at most.
pub(crate) const BATCH: usize = 10;
/// Whose events they are.
pub(crate) const TENANT: &str = "noor-pharmacy";
/// The origin of the API, which bodies name.
pub(crate) const API_ORIGIN: &str = "https://redial.example";
/// The queue that the records come from.
pub(crate) const DELIVERY_QUEUE: &str = "redial-delivery";
/// What a call's `data` has besides its transcript, in bytes, about.
const FIELDS_BYTES: usize = 210;
/// What is said on the phone.
const WORDS: [&str; 16] = [
    "hello",
    "yes",
    "the",
    "appointment",
    "on",
    "Tuesday",
    "would",
    "be",
    "fine",
    "could",
    "you",
    "bring",
    "my",
    "insurance",
    "card",
    "please",
];

/// One event and its delivery.
pub(crate) struct Event {
    pub(crate) id: EventId,
    pub(crate) accepted_at: Timestamp,
    /// What has to arrive.
    pub(crate) body: Bytes,
    /// What rides in the queue.
    message: String,
}

/// Where the deliveries go.
pub(crate) struct Target {
    pub(crate) tenant: TenantId,
    pub(crate) endpoint: EndpointId,
    pub(crate) shards: u16,
}

/// Numbers that follow from where they begin, so that no two events are alike.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        // <https://en.wikipedia.org/wiki/Xorshift#xorshift*>
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }
}

/// The events of a round, each accepted now.
pub(crate) fn made(
    target: &Target,
    count: u32,
    payload_bytes: u32,
    seed: u64,
    now: Timestamp,
) -> Result<Vec<Event>, Failure> {
    let mut numbers = Numbers(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    (0..count)
        .map(|_| made_one(target, payload_bytes as usize, &mut numbers, now))
        .collect()
}

fn made_one(target: &Target, payload_bytes: usize, numbers: &mut Numbers, now: Timestamp) -> Result<Event, Failure> {
    let random = u128::from(numbers.next()) << 64 | u128::from(numbers.next());
    let call_id = format!("call_{:012x}", numbers.next() >> 16);
    let mut transcript = String::new();
    while transcript.len() + FIELDS_BYTES < payload_bytes {
        let word = WORDS[(numbers.next() >> 32) as usize % WORDS.len()];
        transcript.push_str(word);
        transcript.push(' ');
    }
    let posted = json!({
        "type": "call.ended",
        "tenant": target.tenant.as_str(),
        "agent": "agt_noor_refill",
        "data": {
            "call_id": call_id, "direction": "inbound", "from": format!("+9665{:08}", numbers.next() % 100_000_000),
            "to": "+966541328424", "status": "completed", "duration_s": numbers.next() % 3_600,
            "ended_by": "caller", "sentiment": "neutral", "transcript": transcript,
        },
        "related": { "call_id": call_id },
        "links": { "call": format!("https://api.platform.example/v1/calls/{call_id}") },
    });
    let content = PostedEvent::parse(&posted.to_string())?.content;
    let id = EventId::mint(now, 0, random);
    let body = Profile::Standard.body(&BodyParts {
        tenant: &target.tenant,
        event: &id,
        accepted_at: now,
        content: &content,
        api_origin: API_ORIGIN,
        payload: Payload::Full,
        analysis_url: None,
    })?;
    let message = DeliveryMessage {
        tenant: target.tenant.clone(),
        event: id.clone(),
        accepted_at_ms: now.as_millis(),
        shards: target.shards,
        endpoint: target.endpoint.clone(),
        endpoint_version: 1,
        replay: None,
        check: false,
        content: blob::stored_and_riding(&content)?.1,
        traceparent: None,
        slot_ms: None,
        probe: false,
    };
    Ok(Event {
        id,
        accepted_at: now,
        body: body.into(),
        message: serde_json::to_string(&message)?,
    })
}

/// The batches of a round, as Lambda writes them.
/// <https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html>
pub(crate) fn payloads(events: &[Event]) -> Vec<String> {
    let batch = |events: &[Event]| {
        let records: Vec<_> = events.iter().map(record).collect();
        json!({ "Records": records }).to_string()
    };
    events.chunks(BATCH).map(batch).collect()
}

fn record(event: &Event) -> serde_json::Value {
    let (id, moment) = (event.id.as_str(), event.accepted_at.as_millis().to_string());
    json!({
        "messageId": format!("{:08x}-43e2-4c1b-9d4f-{:012x}", crc32fast::hash(id.as_bytes()), event.accepted_at.as_millis()),
        "receiptHandle": format!("AQEB{}", "wJnKyrHigUMZj6rYigCgxlaS3SLy0a".repeat(10)),
        "body": event.message,
        "attributes": {
            "ApproximateReceiveCount": "1", "SentTimestamp": moment, "ApproximateFirstReceiveTimestamp": moment,
            "SenderId": "AROAEXAMPLEEXAMPLEEXA:redial-ingest", "MessageGroupId": TENANT,
        },
        "messageAttributes": {},
        "md5OfBody": "e4e68fb7bd0e697a0ae8f1bb342846b3",
        "eventSource": "aws:sqs",
        "eventSourceARN": format!("arn:aws:sqs:us-east-1:000000000000:{DELIVERY_QUEUE}"),
        "awsRegion": "us-east-1",
    })
}

/// The batches as `lambda_runtime` hands them over.
pub(crate) fn read(payloads: &[String]) -> Result<Vec<SqsEvent>, Failure> {
    let read = payloads.iter().map(|payload| Ok(serde_json::from_str(payload)?));
    read.collect()
}

/// What the receiver must have counted when all of them have arrived once.
pub(crate) fn digest_of(events: &[Event]) -> u64 {
    let digests = events.iter().map(|event| digest(event.id.as_str(), &event.body));
    digests.fold(0, u64::wrapping_add)
}
