//! Packs events into request bodies: in order, never more events or bytes than Redial takes. Sends nothing.

use super::post::Refused;
use super::source::Outgoing;
use crate::cli::error::Problem;

/// Most events in a request. docs/LIMITS.md.
pub(super) const MAX_BATCH_EVENTS: usize = 500;
/// Most bytes in a request body. docs/LIMITS.md.
pub(super) const MAX_BATCH_BYTES: usize = 4 * 1024 * 1024;

const HEAD: &str = r#"{"events":["#;
const TAIL: &str = "]}";

/// Events that go out in one request.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) events: Vec<Outgoing>,
    bytes: usize,
}

impl Batch {
    fn bytes_with(&self, event: &Outgoing) -> usize {
        let separator = usize::from(!self.events.is_empty());
        HEAD.len() + self.bytes + separator + event.json.get().len() + TAIL.len()
    }

    fn push(&mut self, event: Outgoing) {
        self.bytes += usize::from(!self.events.is_empty()) + event.json.get().len();
        self.events.push(event);
    }
}

/// The request body for some events.
pub(super) fn body(events: &[Outgoing]) -> String {
    let texts: Vec<&str> = events.iter().map(|event| event.json.get()).collect();
    format!("{HEAD}{}{TAIL}", texts.join(","))
}

/// Events packed into batches, and those that fit into none.
pub(super) struct Packed {
    pub(super) batches: Vec<Batch>,
    pub(super) refused: Vec<Refused>,
}

/// Packs events, in order, into batches of at most `max_events` (never over 500) and less than 4 MiB.
pub(super) fn pack(events: Vec<Outgoing>, max_events: usize) -> Packed {
    let max_events = max_events.clamp(1, MAX_BATCH_EVENTS);
    let mut packed = Packed {
        batches: Vec::new(),
        refused: Vec::new(),
    };
    let mut open = Batch::default();
    for event in events {
        if Batch::default().bytes_with(&event) >= MAX_BATCH_BYTES {
            packed.refused.push(Refused {
                id: event.id,
                error: too_large(),
            });
            continue;
        }
        if open.events.len() >= max_events || open.bytes_with(&event) >= MAX_BATCH_BYTES {
            packed.batches.push(std::mem::take(&mut open));
        }
        open.push(event);
    }
    if !open.events.is_empty() {
        packed.batches.push(open);
    }
    packed
}

fn too_large() -> Problem {
    Problem {
        status: 413,
        title: "Event too large".to_owned(),
        detail: "the event alone is larger than a request may be; it was not sent".to_owned(),
        code: "event_too_large".to_owned(),
        field: None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::value::RawValue;

    use super::*;

    fn outgoing(bytes: usize, n: usize) -> Outgoing {
        let json = format!("\"{}\"", "x".repeat(bytes.max(3) - 2));
        Outgoing {
            id: Some(n.to_string()),
            json: RawValue::from_string(json).unwrap(),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn a_batch_never_exceeds_what_redial_takes_and_the_order_is_kept(
            sizes in proptest::collection::vec(prop_oneof![20 => 10usize..2_000, 1 => 200_000usize..MAX_BATCH_BYTES + 10], 0..1_200),
            max_events in 1usize..600,
        ) {
            let events: Vec<Outgoing> = sizes.iter().enumerate().map(|(n, bytes)| outgoing(*bytes, n)).collect();
            let packed = pack(events, max_events);
            let mut order = Vec::new();
            for (n, batch) in packed.batches.iter().enumerate() {
                prop_assert!((1..=max_events.min(MAX_BATCH_EVENTS)).contains(&batch.events.len()));
                let bytes = body(&batch.events).len();
                prop_assert!(bytes < MAX_BATCH_BYTES);
                order.extend(batch.events.iter().filter_map(|event| event.id.clone()));
                // No batch is cut short for nothing.
                if let Some(next) = packed.batches.get(n + 1) {
                    let full = batch.events.len() == max_events.min(MAX_BATCH_EVENTS);
                    prop_assert!(full || bytes + 1 + next.events[0].json.get().len() >= MAX_BATCH_BYTES);
                }
            }
            let refused: Vec<&str> = packed.refused.iter().filter_map(|refused| refused.id.as_deref()).collect();
            let expected: Vec<String> = (0..sizes.len()).map(|n| n.to_string()).filter(|id| !refused.contains(&id.as_str())).collect();
            prop_assert_eq!(order, expected);
            for id in refused {
                prop_assert!(sizes[id.parse::<usize>().unwrap()] + 13 >= MAX_BATCH_BYTES);
            }
        }
    }
}
