//! The arithmetic, where it can be told by hand. What it is about is counted by `tests/tests/cost`.

use super::expected::{expected, to_f64};
use super::prices::Prices;
use super::table::{MILLION, Reckoner};
use super::{Counts, Workload};

fn any(_: &str) -> bool {
    true
}

#[test]
fn messages_are_sent_ten_at_a_time_by_request() {
    let counts = Counts::built_in().unwrap();
    for (batch, fan_out, sends) in [
        (1, 1, 100.0),
        (1, 3, 100.0),
        (10, 1, 10.0),
        (10, 3, 30.0),
        (1, 12, 200.0),
        (100, 1, 10.0),
    ] {
        let workload = Workload {
            batch,
            fan_out,
            ..Workload::default()
        };
        let used = expected(&counts, &workload, 100);
        let sent = used.sum("requests", |kind| kind.ends_with("SendMessageBatch"));
        assert!((sent - sends).abs() < 1e-9, "{batch} {fan_out}: {sent}");
    }
}

#[test]
fn a_larger_payload_costs_more_writes_and_more_of_sqs_until_it_no_longer_rides() {
    let counts = Counts::built_in().unwrap();
    let of = |payload_bytes| {
        let workload = Workload {
            payload_bytes,
            batch: 10,
            ..Workload::default()
        };
        let used = expected(&counts, &workload, 10);
        (used.sum("writes", any), used.sum("units", any))
    };
    assert_eq!(of(1000), (20.0, 3.0));
    let (writes, units) = of(40_000);
    assert!(writes >= 200.0 && units > 6.0, "{writes} {units}");
    assert_eq!(of(200_000).1, 3.0, "a content of 98 KB does not ride");
}

#[test]
fn dollars_are_the_sum_of_the_parts_and_grow_with_the_events() {
    let reckoner = Reckoner::built_in().unwrap();
    let workload = Workload::default();
    let cost = reckoner.cost(&workload, MILLION);
    let twice = reckoner.cost(&workload, 2 * MILLION);
    assert!((twice.usd() - 2.0 * cost.usd()).abs() < 1e-6);
    assert!((cost.invocations - 1.1 * to_f64(MILLION)).abs() < 1.0, "{cost:?}");
    assert!(cost.requests_usd > 0.625 * 2.0, "{cost:?}");
    let held = reckoner.cost(&Workload { held: true, ..workload }, MILLION);
    assert!(
        held.sent_usd == 0.0 && held.requests_usd > cost.requests_usd,
        "{held:?}"
    );
}

#[test]
fn what_is_reckoned_with_has_a_price() {
    let prices = Prices::built_in().unwrap();
    for name in [
        "write_units",
        "read_units",
        "sqs_requests",
        "sqs_groups",
        "lambda_requests",
        "lambda_gb_s",
        "log_gb",
        "stored_gb_months",
        "sent_gb",
        "kms_key_months",
    ] {
        assert!(prices.of(name, 1.0) > 0.0, "{name}");
    }
}
