//! CloudWatch's embedded metric format: JSON documents, one a line, each naming the metrics that CloudWatch Logs reads out
//! of it. Writes no line itself.
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use super::{Metric, Numbers};

/// The namespace of every metric of ours.
pub(super) const NAMESPACE: &str = "Redial";
/// Name of the only dimension: the stack that a function belongs to.
pub(super) const DIMENSION: &str = "Stack";
/// Values of one metric in a document, by the specification ("Target members").
pub(super) const MAX_VALUES: usize = 100;
/// Metrics of a directive, by the specification ("`MetricDirective` object").
const MAX_METRICS: usize = 100;

const _: () = assert!(Metric::ALL.len() <= MAX_METRICS, "one directive names all metrics");

#[derive(Serialize)]
struct Document<'a> {
    #[serde(rename = "_aws")]
    metadata: Metadata,
    #[serde(rename = "Stack")]
    stack: &'a str,
    #[serde(flatten)]
    values: BTreeMap<&'static str, Values<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Metadata {
    /// Milliseconds since 1970.
    timestamp: i64,
    #[serde(rename = "CloudWatchMetrics")]
    directives: [Directive; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Directive {
    namespace: &'static str,
    dimensions: [[&'static str; 1]; 1],
    metrics: Vec<Definition>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Definition {
    name: &'static str,
    unit: &'static str,
}

/// A number, or an array of them.
struct Values<'a>(&'a [u64]);

impl Serialize for Values<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            [one] => serializer.serialize_u64(*one),
            many => many.serialize(serializer),
        }
    }
}

/// The documents of one invocation: one, unless a metric has more values than a document may hold. What has one value is
/// only in the first.
pub(super) fn documents(stack: &str, numbers: &Numbers) -> Vec<String> {
    let most = numbers.values.values().map(Vec::len).max().unwrap_or(0);
    (0..most.div_ceil(MAX_VALUES))
        .filter_map(|part| serde_json::to_string(&document(stack, numbers, part)).ok())
        .collect()
}

fn document<'a>(stack: &'a str, numbers: &'a Numbers, part: usize) -> Document<'a> {
    let values = numbers.values.iter().filter_map(|(metric, values)| {
        let values = values.chunks(MAX_VALUES).nth(part)?;
        Some((*metric, values))
    });
    let values: BTreeMap<Metric, &[u64]> = values.collect();
    let definition = |metric: &Metric| Definition {
        name: metric.name(),
        unit: metric.unit(),
    };
    Document {
        metadata: Metadata {
            timestamp: numbers.at.as_millis(),
            directives: [Directive {
                namespace: NAMESPACE,
                dimensions: [[DIMENSION]],
                metrics: values.keys().map(definition).collect(),
            }],
        },
        stack,
        values: values
            .into_iter()
            .map(|(metric, v)| (metric.name(), Values(v)))
            .collect(),
    }
}
