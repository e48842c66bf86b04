//! What a run prints: a table, and one line of JSON. Decides nothing.

use std::io::Write as _;

use serde_json::json;

use crate::events::BATCH;
use crate::measured::{Sender, Sent};
use crate::{Arguments, Failure};

/// How the senders are called.
const NAMES: [(Sender, &str); 4] = [
    (Sender::Dispatcher, "dispatcher"),
    (Sender::Invoked, "dispatcher, from JSON"),
    (Sender::Reqwest, "bare reqwest"),
    (Sender::Hyper, "bare hyper"),
];

/// Microseconds of CPU for a delivery, over the rounds of one sender.
struct Figures {
    least: f64,
    median: f64,
    most: f64,
}

fn figures(sent: &[Sent], sender: Sender, deliveries: u32) -> Option<Figures> {
    // The first round made the connections.
    let counted = sent.iter().filter(|one| one.sender == sender && one.round > 0);
    let mut all: Vec<f64> = counted
        .map(|one| one.cpu_ns as f64 / 1_000.0 / f64::from(deliveries))
        .collect();
    all.sort_by(f64::total_cmp);
    let middle = all.len() / 2;
    let median = match all.len() % 2 {
        0 => f64::midpoint(*all.get(middle.checked_sub(1)?)?, *all.get(middle)?),
        _ => *all.get(middle)?,
    };
    Some(Figures {
        least: *all.first()?,
        median,
        most: *all.last()?,
    })
}

/// Prints what was measured. `calls` are those of DynamoDB, in all rounds together.
pub(crate) fn print(arguments: &Arguments, sent: &[Sent], calls: usize) -> Result<(), Failure> {
    let Arguments {
        rounds,
        deliveries,
        build,
        ..
    } = arguments;
    let requests = u64::from(*deliveries) * sent.len() as u64;
    let body_bytes = sent.iter().map(|one| one.received.bytes).sum::<u64>() / requests.max(1);
    let batches = sent.iter().filter(|one| one.sender.records()).count() * (*deliveries as usize).div_ceil(BATCH);
    let calls_of_batch = rounded(calls as f64 / batches.max(1) as f64);
    let bare = figures(sent, Sender::Reqwest, *deliveries).map(|bare| bare.median);
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "CPU of the sending thread for a delivery, in us: {rounds} rounds of {deliveries} deliveries each, \
         bodies of {body_bytes} bytes, build: {build}\n"
    )?;
    writeln!(
        out,
        "{:24}{:>9}{:>9}{:>9}{:>16}",
        "", "min", "median", "max", "x bare reqwest"
    )?;
    let mut rows = Vec::new();
    for (sender, name) in NAMES {
        let Some(Figures { least, median, most }) = figures(sent, sender, *deliveries) else {
            continue;
        };
        let ratio = bare.map(|bare| rounded(median / bare));
        let shown = ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}"));
        writeln!(out, "{name:24}{least:>9.1}{median:>9.1}{most:>9.1}{shown:>16}")?;
        rows.push(json!({
            "name": name, "min_us": rounded(least), "median_us": rounded(median), "max_us": rounded(most), "ratio": ratio,
        }));
    }
    let line = json!({
        "rounds": rounds, "deliveries": deliveries, "body_bytes": body_bytes, "build": build,
        "dynamodb_calls_per_batch": calls_of_batch, "rows": rows,
    });
    writeln!(
        out,
        "\ncalls of DynamoDB for a batch of {BATCH}: {calls_of_batch}\n\n{line}"
    )?;
    Ok(())
}

/// To hundredths.
fn rounded(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}
