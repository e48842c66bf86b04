//! When a delivery without a record waits, is late, is lost or has expired: the boundaries, to the millisecond.

use std::sync::Arc;

use redial_domain::{EndpointId, EventId, EventTypeName, TenantId};
use redial_platform::store::config::Tenant;

use super::*;

const ACCEPTED: &str = "2026-11-20T05:10:00Z";

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn config() -> TenantConfig {
    let tenant = Tenant::new(TenantId::parse("acme").unwrap(), at("2026-01-01T00:00:00Z"));
    TenantConfig {
        version: 1,
        tenant,
        endpoints: Vec::<Arc<_>>::new(),
    }
}

fn event() -> StoredEvent {
    StoredEvent {
        tenant: TenantId::parse("acme").unwrap(),
        id: EventId::parse("e1").unwrap(),
        own_id: true,
        accepted_at: at(ACCEPTED),
        shards: 4,
        digest: Vec::new(),
        matched: vec![EndpointId::parse("ep_1").unwrap()],
        event_type: EventTypeName::parse("call.ended").unwrap(),
        agent: None,
        call_id: None,
        packed: Vec::new(),
        expires_at: at("2026-12-20T05:10:00Z"),
        erased: None,
    }
}

fn id() -> DeliveryId {
    DeliveryId::parse("e1.ep_1").unwrap()
}

/// What a delivery without a record is so long after it was accepted, and what is done about it.
fn unrecorded(age_ms: i64, repaired: Option<Timestamp>) -> (&'static str, String) {
    let (config, event) = (config(), event());
    let judge = Judge {
        config: &config,
        mark: repaired.map(|repaired| SweepMark {
            repaired,
            rolled: repaired,
        }),
        jobs: Vec::new(),
        now: event.accepted_at.plus_millis(age_ms),
    };
    match judge.unrecorded(&event, &id()) {
        Unrecorded::Queued => ("queued", String::new()),
        Unrecorded::Expired => ("expired", String::new()),
        Unrecorded::Wrong(found) if found.kind == Kind::Unsent => ("unsent", found.repair),
        Unrecorded::Wrong(found) => {
            assert_eq!((found.kind, found.delivery.as_deref()), (Kind::Lost, Some("e1.ep_1")));
            ("lost", found.repair)
        }
    }
}

#[test]
fn what_has_no_record_waits_for_five_minutes_and_is_lost_six_hours_after_its_hour() {
    let counted_ms = 50 * 60_000 + UNRECORDED_MS;
    for (age_ms, expected) in [
        (-1, "queued"),
        (SETTLE_MS, "queued"),
        (SETTLE_MS + 1, "unsent"),
        (counted_ms - 1, "unsent"),
        (counted_ms, "lost"),
        (3 * DAY_MS - 1, "lost"),
        (3 * DAY_MS, "expired"),
    ] {
        assert_eq!(unrecorded(age_ms, None).0, expected, "{age_ms}");
    }
}

#[test]
fn what_is_being_done_is_computed_from_how_far_the_sweeper_is() {
    let behind = unrecorded(SETTLE_MS + 1, Some(at(ACCEPTED))).1;
    assert!(behind.contains("at its next pass"), "{behind}");
    let past = unrecorded(SETTLE_MS + 1, Some(at(ACCEPTED).plus_millis(1))).1;
    assert!(past.contains("2026-11-20T12:00:00.000Z"), "{past}");
    let within = unrecorded(LOOK_BACK_HOURS * HOUR_MS - 1, None).1;
    assert!(within.contains("The sweeper sends it again"), "{within}");
    let beyond = unrecorded(LOOK_BACK_HOURS * HOUR_MS, None).1;
    assert!(beyond.contains("replay the delivery e1.ep_1"), "{beyond}");
}

#[test]
fn kinds_are_called_as_the_documentation_says() {
    let page = include_str!("../../../docs/RELIABILITY.md");
    for kind in [
        Kind::Unsent,
        Kind::Lost,
        Kind::Extra,
        Kind::Orphan,
        Kind::Unlisted,
        Kind::Unaccepted,
        Kind::Stuck,
        Kind::Forgotten,
        Kind::JobStuck,
    ] {
        let name = serde_json::to_value(kind).unwrap();
        let row = format!("| `{}` |", name.as_str().unwrap());
        assert!(page.contains(&row), "{row}");
    }
}
