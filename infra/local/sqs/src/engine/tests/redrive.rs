//! Messages that change their queue: when, with what count, and what they keep.

use super::*;

#[test]
fn after_its_receives_a_message_moves_on_with_its_age_its_id_and_its_source() {
    let mut engine = chain(Settings::default(), 3, 20);
    engine.put(
        T0,
        MAIN,
        Outgoing {
            group: Some("ep_1".to_owned()),
            ..body("a")
        },
    );
    let ids: Vec<String> = (0..3)
        .map(|n| engine.get_one(T0 + n * 30_000, MAIN).message_id)
        .collect();
    assert_eq!(
        engine.count(T0 + 90_000, MAIN),
        (1, 0, 0),
        "visible again, not moved before the next receive"
    );
    assert!(engine.get(T0 + 90_000, MAIN, 30).is_empty());
    assert_eq!(engine.count(T0 + 90_000, MAIN), (0, 0, 0));
    let moved = engine.get_one(T0 + 90_000, NEXT);
    assert_eq!(moved.message_id, ids[0]);
    assert_eq!((moved.sent_at_ms, moved.group.as_deref()), (T0, Some("ep_1")));
    assert_eq!(
        moved.dead_letter_source_arn.as_deref(),
        Some("arn:aws:sqs:us-east-1:000000000000:delivery")
    );
}

#[test]
fn a_move_carries_the_receive_count_or_restarts_it() {
    for (setting, expected) in [(ReceiveCountOnMove::Carries, 3), (ReceiveCountOnMove::Restarts, 1)] {
        let settings = Settings {
            receive_count_on_move: setting,
            ..Settings::default()
        };
        let mut engine = chain(settings, 2, 20);
        engine.put(T0, MAIN, body("a"));
        engine.get_one(T0, MAIN);
        engine.get_one(T0 + 30_000, MAIN);
        engine.tick(T0 + 60_000);
        assert_eq!(engine.get_one(T0 + 60_000, NEXT).receive_count, expected, "{setting:?}");
    }
}

#[test]
fn a_carried_count_that_the_next_queue_does_not_allow_moves_on_without_a_delivery() {
    let mut engine = chain(Settings::default(), 3, 3);
    engine.put(T0, MAIN, body("a"));
    (0..3).for_each(|n| drop(engine.get_one(T0 + n * 30_000, MAIN)));
    engine.tick(T0 + 90_000);
    assert_eq!(engine.count(T0 + 90_000, NEXT), (0, 0, 0));
    let dead = engine.get_one(T0 + 90_000, DEAD);
    assert_eq!(
        dead.dead_letter_source_arn.as_deref(),
        Some("arn:aws:sqs:us-east-1:000000000000:retry")
    );
    assert_eq!(dead.receive_count, 4);
}

#[test]
fn a_restarted_count_gives_the_next_queue_all_its_receives() {
    let settings = Settings {
        receive_count_on_move: ReceiveCountOnMove::Restarts,
        ..Settings::default()
    };
    let mut engine = chain(settings, 2, 2);
    engine.put(T0, MAIN, body("a"));
    let receives = |engine: &mut Engine, queue: &str, at: i64| {
        (0..2).for_each(|n| assert_eq!(engine.get_one(at + n * 30_000, queue).receive_count, n as u32 + 1));
        engine.tick(at + 60_000);
    };
    receives(&mut engine, MAIN, T0);
    receives(&mut engine, NEXT, T0 + 60_000);
    assert_eq!(engine.count(T0 + 120_000, DEAD), (1, 0, 0));
}

#[test]
fn redrive_policies_in_a_circle_end_and_keep_the_message() {
    let mut engine = chain(Settings::default(), 1, 1);
    let dead = engine.queue_number(DEAD).unwrap();
    let back = policy(&engine, MAIN, 1);
    engine
        .set_attributes(T0, dead, &attributes(&[("RedrivePolicy", back)]))
        .unwrap();
    engine.put(T0, MAIN, body("a"));
    engine.get_one(T0, MAIN);
    assert!(!engine.tick(T0 + HOUR_MS));
    let all: usize = [MAIN, NEXT, DEAD]
        .iter()
        .map(|queue| engine.count(T0 + HOUR_MS, queue).0)
        .sum();
    assert_eq!(all, 1);
}

#[test]
fn a_policy_that_allows_more_receives_gives_a_spent_message_back() {
    let mut engine = chain(Settings::default(), 1, 20);
    engine.put(T0, MAIN, body("a"));
    engine.get_one(T0, MAIN);
    let number = engine.queue_number(MAIN).unwrap();
    assert_eq!(engine.count(T0 + 30_000, MAIN), (1, 0, 0));
    let more = policy(&engine, NEXT, 5);
    engine
        .set_attributes(T0, number, &attributes(&[("RedrivePolicy", more)]))
        .unwrap();
    engine.tick(T0 + 30_000);
    assert_eq!(engine.get_one(T0 + 30_000, MAIN).receive_count, 2);
    let fewer = policy(&engine, NEXT, 2);
    engine
        .set_attributes(T0, number, &attributes(&[("RedrivePolicy", fewer)]))
        .unwrap();
    engine.tick(T0 + 60_000);
    assert_eq!(engine.count(T0 + 60_000, NEXT), (1, 0, 0));
}

#[test]
fn retention_counts_from_the_first_enqueue_across_a_redrive() {
    let mut engine = chain(Settings::default(), 1, 20);
    for queue in [MAIN, NEXT] {
        let number = engine.queue_number(queue).unwrap();
        engine
            .set_attributes(
                T0,
                number,
                &attributes(&[("MessageRetentionPeriod", "3600".to_owned())]),
            )
            .unwrap();
    }
    engine.put(T0, MAIN, body("a"));
    engine.get_one(T0, MAIN);
    engine.tick(T0 + HOUR_MS - 1);
    assert_eq!(engine.count(T0 + HOUR_MS - 1, NEXT), (1, 0, 0));
    assert_eq!(engine.next_timer_ms(), Some(T0 + HOUR_MS));
    engine.tick(T0 + HOUR_MS);
    assert_eq!(engine.count(T0 + HOUR_MS, NEXT), (0, 0, 0));
}

#[test]
fn a_move_task_brings_messages_back_as_new_ones() {
    let mut engine = chain(Settings::default(), 1, 1);
    (0..3).for_each(|n| engine.put(T0, MAIN, body(&n.to_string())));
    let old: Vec<String> = engine.get(T0, MAIN, 30).into_iter().map(|r| r.message_id).collect();
    engine.tick(T0 + 30_000);
    assert_eq!(engine.count(T0 + 30_000, DEAD), (3, 0, 0));
    let (main, dead) = (engine.queue_number(MAIN).unwrap(), engine.queue_number(DEAD).unwrap());
    assert!(engine.check_move_task(main, None).is_err(), "not a dead-letter queue");
    assert!(engine.check_move_task(dead, Some(dead)).is_err());
    engine.check_move_task(dead, None).unwrap();
    let horizon = engine.move_horizon();
    assert_eq!(engine.move_some(T0 + HOUR_MS, dead, None, horizon).unwrap(), (3, false));
    let back = engine.get(T0 + HOUR_MS, NEXT, 30);
    assert_eq!(back.len(), 3, "each went back to the queue it came from");
    for received in back {
        assert!(!old.contains(&received.message_id));
        assert_eq!((received.receive_count, received.sent_at_ms), (1, T0 + HOUR_MS));
        assert_eq!(received.dead_letter_source_arn, None);
    }
}

#[test]
fn a_dead_letter_queue_takes_messages_only_from_queues_that_it_allows() {
    let mut engine = chain(Settings::default(), 10, 20);
    let allow = format!(
        r#"{{"redrivePermission":"byQueue","sourceQueueArns":["{}"]}}"#,
        engine.settings.arn("good")
    );
    engine
        .create_queue(T0, "picky", &attributes(&[("RedriveAllowPolicy", allow)]))
        .unwrap();
    // The count as text, as templates write it.
    let arn = engine.settings.arn("picky");
    let redrive = attributes(&[(
        "RedrivePolicy",
        format!(r#"{{"deadLetterTargetArn":"{arn}","maxReceiveCount":"4"}}"#),
    )]);
    engine.create_queue(T0, "good", &redrive).unwrap();
    assert!(engine.create_queue(T0, "bad", &redrive).is_err());
}
