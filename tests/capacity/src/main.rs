//! What an outage costs: a million deliveries to ten thousand endpoints of which some are down for hours, with the rules that
//! the functions decide by, once with holds and once without. Prints both beside the arithmetic of docs/RELIABILITY.md and
//! fails if they do not agree. Opens no socket, reads no clock: the same seed gives the same numbers.

mod arithmetic;
mod bill;
mod dispatcher;
mod environment;
mod scene;
mod simulation;
mod sweeper;

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser;

use arithmetic::Expected;
use scene::{Plan, Scene};
use simulation::{Report, Simulation};

/// Messages in flight at which a standard queue stops giving any, by default.
const IN_FLIGHT_LIMIT: f64 = 120_000.0;
/// How far simulation and arithmetic may be apart.
const TOLERANCE: f64 = 0.05;
/// Milliseconds of an hour.
const HOUR_MS: f64 = 3_600_000.0;

/// Simulate an outage with and without holds, and compare with the arithmetic.
#[derive(Debug, Parser)]
struct Arguments {
    /// Deliveries in all
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1_000..=20_000_000))]
    deliveries: u32,
    /// Endpoints; the busiest get a hundred times what the quietest get
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(10..=1_000_000))]
    endpoints: u32,
    /// Share of the endpoints that are down, half of them answering 500 and half not answering
    #[arg(long, default_value_t = 0.05)]
    down_share: f64,
    /// Hours for which they are down, less than five days
    #[arg(long, default_value_t = 6.0)]
    down_hours: f64,
    /// Hours in which the events are posted, evenly; the outage begins an hour after the first
    #[arg(long, default_value_t = 8.0)]
    hours: f64,
    /// Share of the attempts at a healthy endpoint that fail
    #[arg(long, default_value_t = 0.01)]
    flaky: f64,
    /// Execution environments of the dispatcher
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    environments: u32,
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

impl Arguments {
    fn plan(&self) -> Result<Plan, &'static str> {
        let shares = [self.down_share, self.flaky]
            .iter()
            .all(|share| (0.0..=0.5).contains(share));
        if !shares {
            return Err("--down-share and --flaky must be 0 to 0.5");
        }
        if !(0.5..=100.0).contains(&self.down_hours) || !(1.0..=240.0).contains(&self.hours) {
            return Err("--down-hours must be 0.5 to 100, --hours 1 to 240");
        }
        Ok(Plan {
            deliveries: self.deliveries as usize,
            endpoints: self.endpoints as usize,
            down_share: self.down_share,
            down_ms: (self.down_hours * HOUR_MS) as i64,
            down_after_ms: HOUR_MS as i64,
            posting_ms: (self.hours * HOUR_MS) as i64,
            flaky: self.flaky,
            environments: self.environments as usize,
            seed: self.seed,
        })
    }
}

/// One line of the table: a name, the arithmetic, and both simulations.
struct Line {
    name: &'static str,
    expected: Option<f64>,
    with: f64,
    without: f64,
    decimals: usize,
}

fn lines(expected: &Expected, with: &Report, without: &Report) -> Vec<Line> {
    let line = |name, expected, pick: fn(&Report) -> f64, decimals| Line {
        name,
        expected,
        with: pick(with),
        without: pick(without),
        decimals,
    };
    vec![
        line("most messages in flight at once", None, |r| r.most_in_flight.into(), 0),
        line(
            "of these at one endpoint that is down",
            None,
            |r| r.most_at_one.into(),
            0,
        ),
        line("attempts", Some(expected.attempts), |r| r.attempts as f64, 0),
        line("of these failed", Some(expected.failed), |r| r.failed as f64, 0),
        line(
            "of these at endpoints that are down, as probes",
            None,
            |r| r.probes as f64,
            0,
        ),
        line("endpoints put on hold", Some(expected.opened), |r| r.opened as f64, 0),
        line("of these not down", None, |r| r.opened_wrongly as f64, 0),
        line(
            "times that a delivery was held",
            Some(expected.held),
            |r| r.held as f64,
            0,
        ),
        line("of these because 100 waited", None, |r| r.queue_was_full as f64, 0),
        line("write units", Some(expected.bill.writes), |r| r.bill.writes, 0),
        line("read units", None, |r| r.bill.reads, 0),
        line("SQS requests", Some(expected.bill.sqs), |r| r.bill.sqs, 0),
        line("seconds of the dispatcher", None, |r| r.bill.seconds, 0),
        line("cost, $", Some(expected.dollars(&with.bill)), |r| r.bill.dollars(), 2),
        line("delivered", None, |r| r.succeeded as f64, 0),
        line("dead", Some(0.0), |r| r.dead as f64, 0),
        line(
            "endpoints let go within 6 minutes of their repair",
            None,
            |r| r.recovered_soon as f64,
            0,
        ),
        line(
            "minutes until the last endpoint is let go",
            None,
            |r| minutes(r.recovered_ms),
            1,
        ),
        line(
            "minutes until all is delivered that was never tried before",
            None,
            |r| minutes(r.drained_ms),
            1,
        ),
        line("minutes until all is delivered", None, |r| minutes(r.all_drained_ms), 1),
    ]
}

fn minutes(ms: i64) -> f64 {
    ms as f64 / 60_000.0
}

/// What is not as it must be.
fn broken(lines: &[Line], with: &Report) -> Vec<String> {
    let mut found = Vec::new();
    for line in lines {
        let Some(expected) = line.expected else { continue };
        if (line.with - expected).abs() > TOLERANCE * expected.abs() {
            found.push(format!(
                "{}: {:.0} simulated, {expected:.0} computed",
                line.name, line.with
            ));
        }
    }
    if f64::from(with.most_in_flight) > IN_FLIGHT_LIMIT / 10.0 {
        found.push(format!(
            "{} messages in flight: not far below {IN_FLIGHT_LIMIT}",
            with.most_in_flight
        ));
    }
    if with.opened_wrongly > 0 {
        found.push(format!(
            "{} endpoints were put on hold that were not down",
            with.opened_wrongly
        ));
    }
    found
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut out = std::io::stdout().lock();
    let plan = match arguments.plan() {
        Ok(plan) => plan,
        Err(problem) => {
            let _ = writeln!(std::io::stderr(), "{problem}");
            return ExitCode::from(2);
        }
    };
    let scene = Scene::new(plan);
    let with = Simulation::new(&scene, true).run();
    let without = Simulation::new(&scene, false).run();
    let lines = lines(&Expected::of(&scene), &with, &without);
    // Nobody reads a broken pipe.
    let _ = writeln!(out, "| | computed | with holds | without |\n|---|---|---|---|");
    for line in &lines {
        let number = |number: f64| format!("{number:.*}", line.decimals);
        let expected = line.expected.map_or_else(String::new, number);
        let (with, without) = (number(line.with), number(line.without));
        let _ = writeln!(out, "| {} | {expected} | {with} | {without} |", line.name);
    }
    let broken = broken(&lines, &with);
    for problem in &broken {
        let _ = writeln!(out, "FAIL {problem}");
    }
    if broken.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
