//! One message of a dead-letter queue, as a person must see it: what it is, how long it has been there, why nobody reads
//! it. Reads what SQS says of a message; the body is hostile text.

use aws_sdk_sqs::types::{Message as Received, MessageSystemAttributeName as Attribute};
use redial_domain::Timestamp;
use redial_platform::message::{Message, Unread};
use serde_json::{Value, json};

/// Milliseconds of a second, minute, hour and day.
const UNITS: [(i64, &str); 4] = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")];

/// Why a message is in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// It can be read: the intake takes it in by itself.
    Readable,
    /// A newer Redial sent it: an upgrade reads it.
    Newer,
    /// Nobody can read it.
    Unreadable,
}

/// A message of a dead-letter queue, received just now.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Letter {
    /// SQS's id of it: the same at every receive.
    pub(super) id: String,
    /// What this receive is answered with: deleting it, letting it go.
    pub(super) receipt: String,
    /// Why it is here.
    pub(super) reading: Reading,
    /// The same, as a sentence.
    why: String,
    /// When it was first sent, to whichever queue.
    sent_at: Option<Timestamp>,
    receives: Option<u32>,
    /// The name of the queue that it came from.
    source: Option<String>,
    body: String,
}

impl Letter {
    /// What was received; `None` if SQS gave neither id nor receipt, which it always does.
    pub(super) fn from_received(received: Received) -> Option<Self> {
        let attribute = |name: &Attribute| received.attributes.as_ref()?.get(name);
        let body = received.body.unwrap_or_default();
        let (reading, why) = read(&body);
        Some(Self {
            id: received.message_id?,
            receipt: received.receipt_handle?,
            reading,
            why,
            sent_at: attribute(&Attribute::SentTimestamp)
                .and_then(|ms| ms.parse().ok())
                .map(Timestamp::from_millis),
            receives: attribute(&Attribute::ApproximateReceiveCount).and_then(|count| count.parse().ok()),
            source: attribute(&Attribute::DeadLetterQueueSourceArn)
                .and_then(|arn| arn.rsplit(':').next())
                .map(str::to_owned),
            body,
        })
    }

    /// Its row in a table, at `now`.
    pub(super) fn row(&self, now: Timestamp) -> Vec<String> {
        vec![
            self.id.clone(),
            self.sent_at.map(|at| age(now.millis_since(at))).unwrap_or_default(),
            self.receives.map(|count| count.to_string()).unwrap_or_default(),
            self.source.clone().unwrap_or_default(),
            self.why.clone(),
        ]
    }

    /// It as JSON, with its body: as JSON if it is, as text if not.
    pub(super) fn document(&self) -> Value {
        json!({
            "id": self.id,
            "reading": match self.reading {
                Reading::Readable => "readable",
                Reading::Newer => "newer",
                Reading::Unreadable => "unreadable",
            },
            "why": self.why,
            "sent_at": self.sent_at,
            "receives": self.receives,
            "source": self.source,
            "body": serde_json::from_str(&self.body).unwrap_or_else(|_| Value::String(self.body.clone())),
        })
    }
}

fn read(body: &str) -> (Reading, String) {
    match Message::read(body) {
        Ok(Message::Delivery(delivery)) => {
            let why = format!(
                "readable: the intake takes in delivery {} of {}",
                delivery.delivery(),
                delivery.tenant
            );
            (Reading::Readable, why)
        }
        Ok(Message::Replay(replay)) => {
            let why = format!(
                "readable: the intake takes in replay {} of {}",
                replay.replay, replay.tenant
            );
            (Reading::Readable, why)
        }
        Err(Unread::Newer(newer)) => (Reading::Newer, newer.to_string()),
        Err(unreadable) => (Reading::Unreadable, unreadable.to_string()),
    }
}

/// A length of time as its two largest units.
fn age(ms: i64) -> String {
    let mut rest = ms.max(0);
    let mut parts = Vec::new();
    for (unit_ms, unit) in UNITS {
        let count = rest / unit_ms;
        rest %= unit_ms;
        if count > 0 || !parts.is_empty() {
            parts.push(format!("{count}{unit}"));
        }
    }
    parts.truncate(2);
    if parts.is_empty() {
        "0s".to_owned()
    } else {
        parts.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(body: &str) -> Received {
        Received::builder()
            .message_id("m-1")
            .receipt_handle("r-1")
            .body(body)
            .attributes(Attribute::SentTimestamp, "1795000000000")
            .attributes(Attribute::ApproximateReceiveCount, "7")
            .attributes(
                Attribute::DeadLetterQueueSourceArn,
                "arn:aws:sqs:eu-central-1:1:redial-RetryQueue-X",
            )
            .build()
    }

    fn letter(body: &str) -> Letter {
        Letter::from_received(received(body)).unwrap()
    }

    #[test]
    fn a_row_says_what_it_is_since_when_from_where_and_why() {
        let row = letter("{").row(Timestamp::from_millis(1_795_000_000_000 + 93_784_000));
        assert_eq!(row[..4], ["m-1", "1d 2h", "7", "redial-RetryQueue-X"]);
        assert!(row[4].starts_with("not what a queue of Redial carries: EOF"), "{row:?}");
    }

    #[test]
    fn what_can_be_read_is_told_from_what_cannot() {
        let delivery = r#"{"t":"acme","e":"src_1","a":1,"s":4,"p":"ep_1","v":7}"#;
        for (body, reading) in [
            (delivery, Reading::Readable),
            (
                r#"{"tenant":"acme","replay":"rpl_01JD3ZK8Q000000001"}"#,
                Reading::Readable,
            ),
            (r#"{"fv":99,"t":"acme"}"#, Reading::Newer),
            ("\u{1b}[2J", Reading::Unreadable),
            ("", Reading::Unreadable),
        ] {
            assert_eq!(letter(body).reading, reading, "{body}");
        }
        assert!(letter(delivery).why.ends_with("delivery src_1.ep_1 of acme"));
    }

    #[test]
    fn a_document_has_the_body_as_it_is() {
        assert_eq!(letter(r#"{"a":1}"#).document()["body"], json!({ "a": 1 }));
        assert_eq!(letter("half a { message").document()["body"], "half a { message");
        assert_eq!(letter("").document()["sent_at"], "2026-11-18T11:06:40.000Z");
    }

    #[test]
    fn ages_have_two_units() {
        for (ms, text) in [
            (-5, "0s"),
            (999, "0s"),
            (59_999, "59s"),
            (61_000, "1m 1s"),
            (3_600_000, "1h 0m"),
            (14 * 86_400_000, "14d 0h"),
        ] {
            assert_eq!(age(ms), text);
        }
    }
}
