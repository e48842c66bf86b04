//! What `redial bench` takes and refuses, and what its account says of runs that are known. Whole runs: infra/local/tests/bench.rs.

use clap::Parser as _;

use super::account::{Costs, Run, settle};
use super::arguments::{FailingKind, Length, Plan};
use super::load::{Outcome, Posted, Slot};
use super::report::{Circumstances, Series, write_growth, write_series};
use super::usage::{Machine, Usage};
use super::words::{Cell, Counts};
use crate::cli::output::Output;
use crate::cli::tests::Page;
use crate::cli::{Cli, Command};

const MS: u64 = 1_000_000;

fn plan_of(line: &str) -> Result<Plan, String> {
    let words = std::iter::once("redial").chain(line.split(' '));
    let cli = Cli::try_parse_from(words).map_err(|error| error.to_string())?;
    let Some(Command::Bench(args)) = cli.command else {
        panic!("not bench")
    };
    Plan::of(&args.load).map_err(|error| error.to_string())
}

fn plan(line: &str) -> Plan {
    plan_of(line).unwrap()
}

/// An event that was sent at `sent_ms` and answered 5 ms later.
fn slot(sent_ms: u64, outcome: Outcome) -> Slot {
    Slot {
        due_ns: (sent_ms - 1) * MS,
        sent_ns: sent_ms * MS,
        answered_ns: (sent_ms + 5) * MS,
        outcome,
    }
}

fn cell(first_ms: u64, succeeded: u32) -> Cell {
    Cell {
        first_ns: first_ms * MS,
        succeeded,
        requests: succeeded,
    }
}

fn costs(cpu_s: f64, busy_s: f64) -> Costs {
    let usage = |cpu_s| {
        Some(Usage {
            cpu_s,
            peak_mib: 48.0,
            ..Usage::default()
        })
    };
    Costs {
        serve: usage(cpu_s),
        receiver: usage(cpu_s / 10.0),
        driver: usage(cpu_s / 10.0),
        machine: Some(Machine { busy_s, stolen_s: 0.5 }),
    }
}

fn settled(plan: &Plan, slots: Vec<Slot>, cells: &[Cell]) -> Run {
    let posted = Posted {
        slots,
        ..Posted::default()
    };
    settle(
        plan,
        posted,
        cells,
        Counts::default(),
        [costs(1.0, 10.0), costs(1.5, 10.9)],
    )
}

#[test]
fn without_arguments_it_posts_20_000_single_events_of_1_kib_to_one_endpoint() {
    let plan = plan("bench");
    assert_eq!(plan.length, Length::Events(20_000));
    assert_eq!((plan.tenants, plan.endpoints, plan.failing), (1, 1, 0));
    assert_eq!((plan.connections, plan.batch, plan.payload_bytes), (64, 1, 1024));
    assert_eq!((plan.rate, plan.warm_up, plan.verify), (None, 500, 100));
    assert_eq!(plan.failing_kind, FailingKind::Status500);
}

#[test]
fn every_tenant_has_had_an_event_before_the_run_begins() {
    assert_eq!(plan("bench --tenants 10000").warm_up, 10_000);
    assert_eq!(plan("bench --growth").with_tenants(1_000).warm_up, 1_000);
    assert_eq!(plan("bench --tenants 10000 --warm-up 0").warm_up, 0);
    assert_eq!(plan("bench --rate 5").for_warming_up().rate, None);
}

#[test]
fn what_cannot_be_measured_is_refused_in_a_sentence() {
    for (line, said) in [
        ("bench --rate 0", "--rate is a number of events a second, above 0"),
        ("bench --rate=-1", "--rate is a number of events a second, above 0"),
        ("bench --rate nan", "--rate is a number of events a second, above 0"),
        (
            "bench --batch 500 --payload-bytes 10000",
            "Redial takes at most 4194304",
        ),
        (
            "bench --endpoints 150 --failing 51",
            "a tenant has at most 200 endpoints",
        ),
        (
            "bench --events 10000000 --endpoints 100",
            "more than 50000000 deliveries",
        ),
        ("bench --events 10 --seconds 5", "cannot be used with"),
        ("bench --growth 1,2 --endpoints 3", "cannot be used with"),
        ("bench --idle 5 --events 3", "cannot be used with"),
        ("bench --url http://127.0.0.1:1 --program x", "cannot be used with"),
        ("bench --url http://127.0.0.1:1 --billable", "cannot be used with"),
        ("bench --server-pid 3", "required arguments"),
        (
            "bench --public-url https://a.example --url https://b.example",
            "required arguments",
        ),
        ("bench --payload-bytes 100", "is not in 320..=260096"),
        ("bench --batch 501", "is not in 1..=500"),
        ("bench --failing-kind slow", "possible values: status-500, hang"),
    ] {
        let refused = plan_of(line).unwrap_err();
        assert!(refused.contains(said), "{line}: {refused}");
    }
}

#[test]
fn a_key_shows_nowhere() {
    let words = ["redial", "bench", "--url", "http://127.0.0.1:1", "--key", "rd_canary"];
    assert!(!format!("{:?}", Cli::try_parse_from(words).unwrap()).contains("canary"));
}

#[test]
fn the_account_of_a_sound_run_divides_by_the_time_until_the_last_answer_and_delivery() {
    let plan = plan("bench --events 2 --endpoints 2 --rate 100");
    let slots = vec![slot(100, Outcome::Accepted), slot(110, Outcome::Accepted)];
    let cells = [cell(110, 1), cell(120, 1), cell(115, 1), cell(300, 1)];
    let run = settled(&plan, slots, &cells);
    assert!(run.is_sound());
    assert_eq!((run.posted, run.accepted, run.delivered, run.lost), (2, 2, 4, 0));
    assert_eq!((run.posting_s, run.until_last_delivery_s), (0.015, 0.2));
    assert_eq!((run.events_per_s, run.deliveries_per_s), (133.3, 20.0));
    let latency = run.latency_ms.unwrap();
    assert_eq!((latency.count, latency.p50, latency.max), (4, 10.0, 190.0));
    assert_eq!(run.acknowledged_ms.unwrap().max, 5.0);
    assert_eq!(run.sent_late_ms.unwrap().max, 1.0);
}

#[test]
fn cpu_is_told_by_process_and_what_is_left_of_the_machine_is_noise() {
    let plan = plan("bench --events 2 --endpoints 2");
    let slots = vec![slot(100, Outcome::Accepted), slot(110, Outcome::Accepted)];
    let run = settled(&plan, slots, &[cell(110, 1), cell(120, 1), cell(115, 1), cell(300, 1)]);
    let serve = run.cpu.serve.unwrap();
    assert_eq!(
        (serve.cpu_s, serve.us_per_event, serve.us_per_delivery),
        (0.5, 250_000.0, 125_000.0)
    );
    assert_eq!(run.cpu.others_s, Some(0.3));
    assert_eq!((run.serve_peak_mib, run.sent_late_ms), (Some(48.0), None));
}

#[test]
fn what_was_accepted_and_did_not_come_is_lost_and_what_came_twice_a_duplicate() {
    let plan = plan("bench --events 5");
    let outcomes = [
        Outcome::Accepted,
        Outcome::Accepted,
        Outcome::Unanswered,
        Outcome::Refused,
        Outcome::MatchedOtherwise,
    ];
    let slots: Vec<Slot> = outcomes.into_iter().map(|outcome| slot(100, outcome)).collect();
    // The last two cells were never told: nothing came of these events.
    let run = settled(&plan, slots, &[cell(101, 3), cell(0, 0), cell(102, 1)]);
    assert!(!run.is_sound());
    assert_eq!(
        (run.accepted, run.refused, run.unanswered, run.matched_otherwise),
        (3, 1, 1, 1)
    );
    assert_eq!((run.delivered, run.lost, run.duplicates, run.unexpected), (2, 2, 2, 1));
    assert_eq!(run.latency_ms.unwrap().count, 1);
}

#[test]
fn failing_endpoints_are_no_loss_and_a_run_of_nothing_is_not_sound() {
    let plan = plan("bench --events 2 --failing 1");
    let slots = vec![slot(100, Outcome::Accepted), slot(100, Outcome::Accepted)];
    let run = settled(&plan, slots, &[cell(101, 1), cell(0, 0), cell(102, 1), cell(0, 0)]);
    assert!(run.is_sound());
    assert_eq!((run.delivered, run.lost), (2, 0));
    let nothing = settled(&plan, Vec::new(), &[]);
    assert!(!nothing.is_sound());
    assert_eq!((nothing.events_per_s, nothing.latency_ms), (0.0, None));
}

fn written(json: bool, runs: usize, growth: bool) -> String {
    let plan = plan("bench --events 1");
    let run = |ms| settled(&plan, vec![slot(100, Outcome::Accepted)], &[cell(100 + ms, 1)]);
    let series = Series {
        runs: (1..=runs as u64).map(run).collect(),
        plan: plan.with_tenants(10),
    };
    let page = Page::default();
    let mut output = Output::to(Box::new(page.clone()), json);
    let on = Circumstances::new(Some("redial".to_owned()));
    if growth {
        write_growth(&mut output, &on, &[series.clone(), series]).unwrap();
    } else {
        write_series(&mut output, &on, &series).unwrap();
    }
    page.text()
}

#[test]
fn several_runs_are_told_by_the_least_the_middle_and_the_greatest() {
    let text = written(false, 3, false);
    let line = text.lines().find(|line| line.starts_with("latency p50")).unwrap();
    assert_eq!(
        line.split_whitespace().collect::<Vec<_>>()[3..],
        ["1.00", "2.00", "3.00"]
    );
    assert!(text.starts_with("FIGURE"), "{text}");
    let one = written(false, 1, false);
    assert!(one.lines().next().unwrap().ends_with("VALUE"), "{one}");
}

#[test]
fn a_script_gets_one_object_with_every_run() {
    let read: serde_json::Value = serde_json::from_str(&written(true, 3, false)).unwrap();
    assert_eq!(read["runs"].as_array().unwrap().len(), 3);
    assert_eq!(read["over_runs"]["latency_p50_ms"]["median"], 2.0);
    assert_eq!(read["settings"]["length"]["events"], 1);
    assert_eq!(read["runs"][0]["lost"], 0);
    let read: serde_json::Value = serde_json::from_str(&written(true, 1, true)).unwrap();
    assert_eq!(read["growth"][1]["settings"]["tenants"], 10);
    assert!(read["cores"].as_u64().unwrap() > 0);
}

#[test]
fn growth_has_a_line_for_each_number_of_endpoints() {
    let text = written(false, 1, true);
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("ENDPOINTS  EVENTS/S  DELIVERIES/S"), "{text}");
    assert!(lines.len() == 3 && lines[1].starts_with("10 "), "{text}");
}
