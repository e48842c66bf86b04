//! The engine held against the rules of SQS; time is stepped by hand.

mod properties;
mod redrive;

use super::*;
use crate::message::{Outgoing, Received};

const MAIN: &str = "delivery";
const NEXT: &str = "retry";
const DEAD: &str = "dead";
/// Any time will do; this one is not zero.
const T0: i64 = 1_800_000_000_000;
const HOUR_MS: i64 = 3_600_000;

fn attributes(pairs: &[(&str, String)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.clone()))
        .collect()
}

fn policy(engine: &Engine, target: &str, max: u32) -> String {
    format!(
        r#"{{"deadLetterTargetArn":"{}","maxReceiveCount":{max}}}"#,
        engine.settings.arn(target)
    )
}

/// Three queues in a chain: `delivery` (`max` receives) to `retry` (`next_max`) to `dead`.
fn chain(settings: Settings, max: u32, next_max: u32) -> Engine {
    let mut engine = Engine::new(Arc::new(settings));
    engine.begin();
    engine.open();
    engine.create_queue(T0, DEAD, &attributes(&[])).unwrap();
    let redrive = policy(&engine, DEAD, next_max);
    engine
        .create_queue(T0, NEXT, &attributes(&[("RedrivePolicy", redrive)]))
        .unwrap();
    let redrive = policy(&engine, NEXT, max);
    engine
        .create_queue(T0, MAIN, &attributes(&[("RedrivePolicy", redrive)]))
        .unwrap();
    engine
}

fn body(text: &str) -> Outgoing {
    Outgoing {
        body: text.to_owned(),
        ..Outgoing::default()
    }
}

impl Engine {
    fn put(&mut self, now_ms: i64, queue: &str, outgoing: Outgoing) {
        let number = self.queue_number(queue).unwrap();
        self.send(now_ms, number, outgoing).unwrap();
    }

    fn get(&mut self, now_ms: i64, queue: &str, visibility_s: u32) -> Vec<Received> {
        let number = self.queue_number(queue).unwrap();
        self.receive(now_ms, number, 10, Some(visibility_s)).unwrap().messages
    }

    fn get_one(&mut self, now_ms: i64, queue: &str) -> Received {
        let mut got = self.get(now_ms, queue, 30);
        assert_eq!(got.len(), 1, "{queue}");
        got.remove(0)
    }

    fn remove(&mut self, queue: &str, handle: &str) -> Result<(), SqsError> {
        let number = self.queue_number(queue).unwrap();
        self.delete(number, handle)
    }

    fn hide(&mut self, now_ms: i64, queue: &str, handle: &str, seconds: i64) -> Result<(), SqsError> {
        let number = self.queue_number(queue).unwrap();
        self.change_visibility(now_ms, number, handle, seconds)
    }

    fn count(&mut self, now_ms: i64, queue: &str) -> (usize, usize, usize) {
        let number = self.queue_number(queue).unwrap();
        let counts = self.counts(now_ms, number).unwrap();
        (counts.visible, counts.in_flight, counts.delayed)
    }
}

#[test]
fn a_message_is_received_hidden_visible_again_and_gone_when_deleted() {
    let mut engine = chain(Settings::default(), 10, 20);
    engine.put(T0, MAIN, body("a"));
    assert_eq!(engine.count(T0, MAIN), (1, 0, 0));
    let first = engine.get_one(T0, MAIN);
    assert_eq!(
        (&*first.body, first.receive_count, first.first_received_at_ms),
        ("a", 1, T0)
    );
    assert_eq!(engine.count(T0, MAIN), (0, 1, 0));
    assert!(engine.get(T0 + 29_999, MAIN, 30).is_empty());
    assert_eq!(engine.next_visible_ms(), Some(T0 + 30_000));
    let second = engine.get_one(T0 + 30_000, MAIN);
    assert_eq!(
        (second.receive_count, second.sent_at_ms, second.first_received_at_ms),
        (2, T0, T0)
    );
    assert_eq!(second.message_id, first.message_id);
    engine.remove(MAIN, &second.receipt_handle).unwrap();
    assert_eq!(engine.count(T0 + HOUR_MS, MAIN), (0, 0, 0));
}

#[test]
fn a_stale_handle_deletes_nothing_and_is_no_error() {
    let mut engine = chain(Settings::default(), 10, 20);
    engine.put(T0, MAIN, body("a"));
    let first = engine.get_one(T0, MAIN);
    let second = engine.get_one(T0 + 30_000, MAIN);
    engine.remove(MAIN, &first.receipt_handle).unwrap();
    assert_eq!(engine.count(T0 + 30_000, MAIN), (0, 1, 0));
    assert!(matches!(
        engine.hide(T0 + 30_000, MAIN, &first.receipt_handle, 60),
        Err(SqsError::InvalidParameterValue(_))
    ));
    engine.remove(MAIN, &second.receipt_handle).unwrap();
    engine.remove(MAIN, &second.receipt_handle).unwrap();
    assert_eq!(engine.count(T0 + 30_000, MAIN), (0, 0, 0));
}

#[test]
fn the_last_handle_still_deletes_after_its_visibility_timeout() {
    let mut engine = chain(Settings::default(), 10, 20);
    engine.put(T0, MAIN, body("a"));
    let received = engine.get_one(T0, MAIN);
    assert_eq!(engine.count(T0 + HOUR_MS, MAIN), (1, 0, 0));
    engine.remove(MAIN, &received.receipt_handle).unwrap();
    assert_eq!(engine.count(T0 + HOUR_MS, MAIN), (0, 0, 0));
}

#[test]
fn a_handle_of_another_queue_and_garbage_are_invalid() {
    let mut engine = chain(Settings::default(), 10, 20);
    engine.put(T0, MAIN, body("a"));
    let received = engine.get_one(T0, MAIN);
    for (queue, handle) in [(NEXT, received.receipt_handle.as_str()), (MAIN, "garbage"), (MAIN, "")] {
        assert!(matches!(
            engine.remove(queue, handle),
            Err(SqsError::ReceiptHandleIsInvalid)
        ));
        assert!(matches!(
            engine.hide(T0, queue, handle, 1),
            Err(SqsError::ReceiptHandleIsInvalid)
        ));
    }
}

#[test]
fn visibility_counts_twelve_hours_from_the_receive_and_not_a_second_more() {
    let mut engine = chain(Settings::default(), 10, 20);
    engine.put(T0, MAIN, body("a"));
    let received = engine.get_one(T0, MAIN);
    let handle = received.receipt_handle.as_str();
    assert!(engine.hide(T0, MAIN, handle, 43_201).is_err());
    engine.hide(T0 + 1_000, MAIN, handle, 43_199).unwrap();
    let late = engine.hide(T0 + 1_001, MAIN, handle, 43_199);
    assert!(matches!(late, Err(SqsError::InvalidParameterValue(_))), "{late:?}");
    assert_eq!(engine.next_visible_ms(), Some(T0 + 12 * HOUR_MS));
    engine.hide(T0 + HOUR_MS, MAIN, handle, 0).unwrap();
    assert_eq!(engine.count(T0 + HOUR_MS, MAIN), (1, 0, 0));
    let visible = engine.hide(T0 + HOUR_MS, MAIN, handle, 10);
    assert!(matches!(visible, Err(SqsError::MessageNotInflight)), "{visible:?}");
}

#[test]
fn a_delayed_message_comes_when_it_is_due_by_its_own_delay_or_its_queues() {
    let mut engine = chain(Settings::default(), 10, 20);
    let number = engine.queue_number(MAIN).unwrap();
    engine
        .set_attributes(T0, number, &attributes(&[("DelaySeconds", "5".to_owned())]))
        .unwrap();
    engine.put(T0, MAIN, body("queue's"));
    engine.put(
        T0,
        MAIN,
        Outgoing {
            delay_s: Some(900),
            ..body("own")
        },
    );
    engine.put(
        T0,
        MAIN,
        Outgoing {
            delay_s: Some(0),
            ..body("none")
        },
    );
    assert_eq!(engine.count(T0, MAIN), (1, 0, 2));
    assert!(
        engine
            .send(
                T0,
                number,
                Outgoing {
                    delay_s: Some(901),
                    ..body("x")
                }
            )
            .is_err()
    );
    let bodies = |got: Vec<Received>| got.iter().map(|r| r.body.to_string()).collect::<Vec<_>>();
    assert_eq!(bodies(engine.get(T0 + 4_999, MAIN, 43_200)), ["none"]);
    assert_eq!(bodies(engine.get(T0 + 5_000, MAIN, 43_200)), ["queue's"]);
    assert_eq!(bodies(engine.get(T0 + 900_000, MAIN, 43_200)), ["own"]);
}

#[test]
fn at_the_in_flight_limit_a_receive_finds_nothing_until_one_is_deleted() {
    let mut engine = chain(
        Settings {
            in_flight: 3,
            ..Settings::default()
        },
        10,
        20,
    );
    (0..5).for_each(|n| engine.put(T0, MAIN, body(&n.to_string())));
    let number = engine.queue_number(MAIN).unwrap();
    let first = engine.receive(T0, number, 10, None).unwrap();
    assert_eq!((first.messages.len(), first.over_limit), (3, true));
    let refused = engine.receive(T0, number, 10, None).unwrap();
    assert_eq!((refused.messages.len(), refused.over_limit), (0, true));
    assert!(engine.take_woken().count() > 0);
    engine.remove(MAIN, &first.messages[0].receipt_handle).unwrap();
    assert!(
        engine.take_woken().any(|n| n == number as usize),
        "a receive that waits is told of the free place"
    );
    assert_eq!(engine.get(T0, MAIN, 30).len(), 1);
}

#[test]
fn a_quiet_group_is_second_behind_two_hundred_of_a_noisy_one() {
    let mut engine = chain(Settings::default(), 10, 20);
    let of = |group: &str, text: &str| Outgoing {
        group: Some(group.to_owned()),
        ..body(text)
    };
    (0..200).for_each(|n| engine.put(T0, MAIN, of("noisy", &n.to_string())));
    engine.put(T0, MAIN, of("quiet", "q"));
    let got = engine.get(T0, MAIN, 30);
    assert_eq!(&*got[1].body, "q");
}

#[test]
fn a_purge_removes_everything_and_not_twice_a_minute() {
    let mut engine = chain(Settings::default(), 10, 20);
    (0..3).for_each(|n| {
        engine.put(
            T0,
            MAIN,
            Outgoing {
                delay_s: Some(n),
                ..body("a")
            },
        );
    });
    let handle = engine.get_one(T0, MAIN).receipt_handle;
    let number = engine.queue_number(MAIN).unwrap();
    engine.purge(T0, number).unwrap();
    assert_eq!(engine.count(T0 + HOUR_MS, MAIN), (0, 0, 0));
    engine.remove(MAIN, &handle).unwrap();
    assert!(matches!(
        engine.purge(T0 + 59_999, number),
        Err(SqsError::PurgeQueueInProgress)
    ));
    engine.purge(T0 + 60_000, number).unwrap();
}

#[test]
fn a_queue_is_made_once_and_only_with_attributes_that_sqs_takes() {
    let mut engine = chain(Settings::default(), 10, 20);
    let given = attributes(&[("VisibilityTimeout", "60".to_owned())]);
    let number = engine.create_queue(T0, "q", &given).unwrap();
    assert_eq!(engine.create_queue(T0, "q", &given).unwrap(), number);
    assert_eq!(engine.create_queue(T0, "q", &attributes(&[])).unwrap(), number);
    let other = attributes(&[("VisibilityTimeout", "61".to_owned())]);
    assert!(matches!(
        engine.create_queue(T0, "q", &other),
        Err(SqsError::QueueNameExists(_))
    ));
    for name in ["", "a b", "a.fifo", &"x".repeat(81)] {
        assert!(engine.create_queue(T0, name, &attributes(&[])).is_err(), "{name}");
    }
    let arn = engine.settings.arn("absent");
    let refused = [
        ("VisibilityTimeout", "43201".to_owned()),
        ("VisibilityTimeout", "-1".to_owned()),
        ("DelaySeconds", "901".to_owned()),
        ("MessageRetentionPeriod", "59".to_owned()),
        ("MessageRetentionPeriod", "1209601".to_owned()),
        ("ReceiveMessageWaitTimeSeconds", "21".to_owned()),
        ("MaximumMessageSize", "1048577".to_owned()),
        ("MaximumMessageSize", "1023".to_owned()),
        ("FifoQueue", "true".to_owned()),
        ("Policy", "{}".to_owned()),
        ("Nonsense", "1".to_owned()),
        ("RedrivePolicy", "{}".to_owned()),
        (
            "RedrivePolicy",
            format!(r#"{{"deadLetterTargetArn":"{arn}","maxReceiveCount":3}}"#),
        ),
        ("RedrivePolicy", policy(&engine, DEAD, 0)),
        ("RedrivePolicy", policy(&engine, DEAD, 1001)),
        ("RedrivePolicy", policy(&engine, "r", 3)),
        ("RedriveAllowPolicy", r#"{"redrivePermission":"byQueue"}"#.to_owned()),
    ];
    for pair in refused {
        let refused = engine.create_queue(T0, "r", &attributes(std::slice::from_ref(&pair)));
        assert!(refused.is_err(), "{pair:?}");
    }
    assert!(engine.queue_number("r").is_err());
}
