//! What came of a bench, for people and for scripts. Adds nothing up but the least, the middle and the greatest of several
//! runs.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

use super::account::{Cpu, Run};
use super::arguments::Plan;
use super::distribution::{Distribution, Spread, rounded};
use super::moment;
use crate::cli::error::CliError;
use crate::cli::output::Output;

/// On what it was measured.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Circumstances {
    /// The version of this command.
    pub(super) redial: &'static str,
    /// `release` or `debug`: of this command, not of a program given by `--program` or a server at `--url`.
    pub(super) build: &'static str,
    /// The program that was measured; none of a server at `--url`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) program: Option<String>,
    pub(super) cores: usize,
    pub(super) system: &'static str,
    pub(super) architecture: &'static str,
    /// The clock of driver and receiver.
    pub(super) clock: &'static str,
    /// The file system of the data; `tmpfs` is no disk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) data_on: Option<String>,
}

impl Circumstances {
    pub(super) fn new(program: Option<String>) -> Self {
        Self {
            redial: env!("CARGO_PKG_VERSION"),
            build: if cfg!(debug_assertions) { "debug" } else { "release" },
            program,
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            system: std::env::consts::OS,
            architecture: std::env::consts::ARCH,
            clock: moment::NAME,
            data_on: None,
        }
    }
}

/// Runs of one plan.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Series {
    #[serde(rename = "settings")]
    pub(super) plan: Plan,
    pub(super) runs: Vec<Run>,
}

impl Series {
    /// Least, middle and greatest of each figure, by its name; what no run tells is not there.
    fn over_runs(&self) -> BTreeMap<&'static str, Spread> {
        FIGURES
            .iter()
            .filter_map(|figure| Some((figure.name, self.spread(figure)?)))
            .collect()
    }

    fn spread(&self, figure: &Figure) -> Option<Spread> {
        Spread::of(self.runs.iter().filter_map(figure.of).collect())
    }

    fn document(&self) -> Value {
        json!({ "settings": self.plan, "runs": self.runs, "over_runs": self.over_runs() })
    }

    pub(super) fn is_sound(&self) -> bool {
        self.runs.iter().all(Run::is_sound)
    }
}

/// A number that a run has.
struct Figure {
    /// In the JSON.
    name: &'static str,
    /// In the table.
    label: &'static str,
    digits: usize,
    of: fn(&Run) -> Option<f64>,
}

const fn figure(name: &'static str, label: &'static str, digits: usize, of: fn(&Run) -> Option<f64>) -> Figure {
    Figure {
        name,
        label,
        digits,
        of,
    }
}

fn count(number: u64) -> Option<f64> {
    Some(number as f64)
}

fn part(of: Option<Distribution>, part: fn(&Distribution) -> f64) -> Option<f64> {
    of.as_ref().map(part)
}

fn cost(of: Option<Cpu>, part: fn(&Cpu) -> f64) -> Option<f64> {
    of.as_ref().map(part)
}

/// All figures, in the order of the table.
static FIGURES: [Figure; 24] = [
    figure("events_per_s", "events/s", 0, |run| Some(run.events_per_s)),
    figure("deliveries_per_s", "deliveries/s", 0, |run| Some(run.deliveries_per_s)),
    figure("latency_p50_ms", "latency p50, ms", 2, |run| {
        part(run.latency_ms, |of| of.p50)
    }),
    figure("latency_p90_ms", "latency p90, ms", 2, |run| {
        part(run.latency_ms, |of| of.p90)
    }),
    figure("latency_p99_ms", "latency p99, ms", 2, |run| {
        part(run.latency_ms, |of| of.p99)
    }),
    figure("latency_max_ms", "latency max, ms", 2, |run| {
        part(run.latency_ms, |of| of.max)
    }),
    figure("acknowledged_p50_ms", "acknowledged p50, ms", 2, |run| {
        part(run.acknowledged_ms, |of| of.p50)
    }),
    figure("acknowledged_p99_ms", "acknowledged p99, ms", 2, |run| {
        part(run.acknowledged_ms, |of| of.p99)
    }),
    figure("sent_late_p99_ms", "sent late p99, ms", 2, |run| {
        part(run.sent_late_ms, |of| of.p99)
    }),
    figure("serve_us_per_event", "CPU of serve, us/event", 0, |run| {
        cost(run.cpu.serve, |of| of.us_per_event)
    }),
    figure("serve_us_per_delivery", "CPU of serve, us/delivery", 0, |run| {
        cost(run.cpu.serve, |of| of.us_per_delivery)
    }),
    figure("receiver_us_per_delivery", "CPU of receiver, us/delivery", 0, |run| {
        cost(run.cpu.receiver, |of| of.us_per_delivery)
    }),
    figure("driver_us_per_event", "CPU of driver, us/event", 0, |run| {
        cost(run.cpu.driver, |of| of.us_per_event)
    }),
    figure("others_cpu_s", "CPU of all else, s", 2, |run| run.cpu.others_s),
    figure("stolen_cpu_s", "CPU stolen by the host, s", 2, |run| run.cpu.stolen_s),
    figure("serve_peak_mib", "peak memory of serve, MiB", 1, |run| {
        run.serve_peak_mib
    }),
    figure("serve_written_mib", "written by serve, MiB", 1, |run| {
        run.serve_written_mib
    }),
    figure("accepted", "events accepted", 0, |run| count(run.accepted)),
    figure("refused", "events refused", 0, |run| {
        count(run.refused + run.unanswered)
    }),
    figure("delivered", "deliveries", 0, |run| count(run.delivered)),
    figure("lost", "lost", 0, |run| count(run.lost)),
    figure("duplicates", "duplicates", 0, |run| count(run.duplicates)),
    figure("requests_received", "requests received", 0, |run| {
        count(run.requests_received)
    }),
    figure("signatures_wrong", "signatures wrong", 0, |run| {
        count(run.signatures_wrong)
    }),
];

/// What a line of `--growth` shows, of the figures.
const GROWTH_COLUMNS: [&str; 8] = [
    "events_per_s",
    "deliveries_per_s",
    "serve_us_per_event",
    "serve_us_per_delivery",
    "latency_p50_ms",
    "latency_p99_ms",
    "serve_peak_mib",
    "lost",
];

/// Writes a bench of one plan.
pub(super) fn write_series(output: &mut Output, on: &Circumstances, series: &Series) -> Result<(), CliError> {
    if output.is_json() {
        return output.document(&merged(on, series.document())?);
    }
    let several = series.runs.len() > 1;
    let rows: Vec<Vec<String>> = FIGURES
        .iter()
        .filter_map(|figure| Some((figure, series.spread(figure)?)))
        .map(|(figure, spread)| {
            let mut row = vec![figure.label.to_owned()];
            if several {
                row.push(shown(spread.min, figure.digits));
            }
            row.push(shown(spread.median, figure.digits));
            if several {
                row.push(shown(spread.max, figure.digits));
            }
            row
        })
        .collect();
    let heading: &[&str] = if several {
        &["figure", "min", "median", "max"]
    } else {
        &["figure", "value"]
    };
    output.table(heading, &rows, "nothing was measured")?;
    for run in &series.runs {
        let kinds = run.billable_per_event.iter().flatten();
        let rows: Vec<Vec<String>> = kinds
            .flat_map(|(kind, counts)| counts.iter().map(move |(name, count)| (kind, name, count)))
            .map(|(kind, name, count)| vec![kind.clone(), name.clone(), shown(*count, 4)])
            .collect();
        if run.billable_per_event.is_some() {
            let heading = ["billed, for each event", "unit", "count"];
            output.table(&heading, &rows, "nothing would be billed")?;
        }
    }
    for (code, times) in series.runs.iter().flat_map(|run| &run.refusals) {
        output.text(&format!("refused: {times} × {code}"))?;
    }
    Ok(())
}

/// Writes a bench of several numbers of endpoints.
pub(super) fn write_growth(output: &mut Output, on: &Circumstances, growth: &[Series]) -> Result<(), CliError> {
    if output.is_json() {
        let lines: Vec<Value> = growth.iter().map(Series::document).collect();
        return output.document(&merged(on, json!({ "growth": lines }))?);
    }
    let columns: Vec<&Figure> = GROWTH_COLUMNS
        .iter()
        .filter_map(|name| FIGURES.iter().find(|figure| figure.name == *name))
        .collect();
    let heading: Vec<&str> = std::iter::once("endpoints")
        .chain(columns.iter().map(|figure| figure.label))
        .collect();
    let rows: Vec<Vec<String>> = growth
        .iter()
        .map(|series| {
            let cell = |figure: &&Figure| {
                let spread = series.spread(figure);
                spread.map_or_else(String::new, |spread| shown(spread.median, figure.digits))
            };
            std::iter::once(series.plan.tenants.to_string())
                .chain(columns.iter().map(cell))
                .collect()
        })
        .collect();
    output.table(&heading, &rows, "nothing was measured")
}

/// What an idle server costs.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Idle {
    pub(super) seconds: f64,
    /// Of one core.
    pub(super) cpu_percent: f64,
    pub(super) resident_mib: f64,
    pub(super) written_mib: f64,
}

/// Writes what an idle server costs, run by run.
pub(super) fn write_idle(output: &mut Output, on: &Circumstances, runs: &[Idle]) -> Result<(), CliError> {
    let percent = Spread::of(runs.iter().map(|run| run.cpu_percent).collect());
    if output.is_json() {
        let document = json!({ "idle": runs, "over_runs": { "cpu_percent": percent } });
        return output.document(&merged(on, document)?);
    }
    let heading = ["seconds", "CPU, % of a core", "resident, MiB", "written, MiB"];
    let row = |run: &Idle| {
        vec![
            shown(run.seconds, 1),
            shown(run.cpu_percent, 3),
            shown(run.resident_mib, 1),
            shown(run.written_mib, 2),
        ]
    };
    let rows: Vec<Vec<String>> = runs.iter().map(row).collect();
    output.table(&heading, &rows, "nothing was measured")
}

/// One JSON object of the circumstances and what was measured under them.
fn merged(on: &Circumstances, measured: Value) -> Result<Value, CliError> {
    let mut document = serde_json::to_value(on).map_err(|error| CliError::Output(error.into()))?;
    if let (Some(document), Value::Object(measured)) = (document.as_object_mut(), measured) {
        document.extend(measured);
    }
    Ok(document)
}

fn shown(number: f64, digits: usize) -> String {
    let number = rounded(number, i32::try_from(digits).unwrap_or(0));
    format!("{number:.digits$}")
}
