//! The embedded metric format against its specification, and when an invocation's numbers are handed over.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde_json::{Value, json};

use super::emf::{DIMENSION, MAX_VALUES, NAMESPACE, documents};
use super::*;

/// Units that the published schema knows.
const UNITS: [&str; 27] = [
    "Seconds",
    "Microseconds",
    "Milliseconds",
    "Bytes",
    "Kilobytes",
    "Megabytes",
    "Gigabytes",
    "Terabytes",
    "Bits",
    "Kilobits",
    "Megabits",
    "Gigabits",
    "Terabits",
    "Percent",
    "Count",
    "Bytes/Second",
    "Kilobytes/Second",
    "Megabytes/Second",
    "Gigabytes/Second",
    "Terabytes/Second",
    "Bits/Second",
    "Kilobits/Second",
    "Megabits/Second",
    "Gigabits/Second",
    "Terabits/Second",
    "Count/Second",
    "None",
];
/// Longest document, by the specification, in bytes: that of a log event. It was 256 KB, and is 1 MB since 2025.
const MAX_DOCUMENT_BYTES: usize = 256 * 1024;

/// A rule of the specification or of the schema published with it, if `document` breaks one.
fn broken_rule(document: &Value) -> Result<(), String> {
    let rule = |holds: bool, rule: &str| if holds { Ok(()) } else { Err(rule.to_owned()) };
    let text_of = |value: &Value, most: usize| value.as_str().is_some_and(|s| (1..=most).contains(&s.len()));
    let root = document.as_object().ok_or("the root is an object")?;
    let metadata = root.get("_aws").and_then(Value::as_object).ok_or("_aws is an object")?;
    let known: BTreeSet<&str> = metadata.keys().map(String::as_str).collect();
    rule(
        known == ["CloudWatchMetrics", "Timestamp"].into(),
        "_aws has its members",
    )?;
    rule(metadata["Timestamp"].is_u64(), "Timestamp is an integer")?;
    let directives = metadata["CloudWatchMetrics"]
        .as_array()
        .ok_or("an array of directives")?;
    rule(!directives.is_empty(), "there is a directive")?;
    for directive in directives {
        let members: BTreeSet<&str> = directive
            .as_object()
            .ok_or("an object")?
            .keys()
            .map(String::as_str)
            .collect();
        rule(
            members == ["Dimensions", "Metrics", "Namespace"].into(),
            "a directive has its members",
        )?;
        rule(
            text_of(&directive["Namespace"], 1024),
            "Namespace is a text of 1 to 1024",
        )?;
        let sets = directive["Dimensions"].as_array().ok_or("Dimensions is an array")?;
        rule(!sets.is_empty(), "there is a dimension set")?;
        for set in sets {
            let set = set.as_array().ok_or("a dimension set is an array")?;
            rule(set.len() <= 30, "at most 30 dimensions")?;
            for dimension in set {
                rule(text_of(dimension, 250), "a dimension is a text of 1 to 250")?;
                let target = root
                    .get(dimension.as_str().unwrap_or_default())
                    .ok_or("a dimension has its target")?;
                rule(
                    text_of(target, 1024),
                    "the target of a dimension is a text of 1 to 1024",
                )?;
            }
        }
        let metrics = directive["Metrics"].as_array().ok_or("Metrics is an array")?;
        rule((1..=100).contains(&metrics.len()), "at most 100 metrics")?;
        for metric in metrics {
            rule(text_of(&metric["Name"], 1024), "Name is a text of 1 to 1024")?;
            rule(
                UNITS.contains(&metric["Unit"].as_str().unwrap_or("None")),
                "Unit is one of CloudWatch's",
            )?;
            let target = root
                .get(metric["Name"].as_str().unwrap_or_default())
                .ok_or("a metric has its target")?;
            let numeric = match target.as_array() {
                Some(numbers) => (1..=100).contains(&numbers.len()) && numbers.iter().all(Value::is_number),
                None => target.is_number(),
            };
            rule(numeric, "the target of a metric is a number or at most 100")?;
        }
    }
    Ok(())
}

fn at() -> Timestamp {
    Timestamp::from_millis(1_574_109_732_004)
}

/// The documents of what `count` counts.
fn written(count: impl FnOnce(&Recorder)) -> Vec<Value> {
    let kept = Kept::default();
    let recorder = kept.metrics().begin(at());
    count(&recorder);
    drop(recorder);
    let taken = kept.taken();
    let lines = taken.iter().flat_map(|numbers| documents("redial-prod", numbers));
    let lines: Vec<String> = lines.collect();
    for line in &lines {
        assert!(!line.contains('\n') && line.len() <= MAX_DOCUMENT_BYTES, "{line}");
        assert_eq!(broken_rule(&serde_json::from_str(line).unwrap()), Ok(()), "{line}");
    }
    lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_document_is_exactly_what_the_specification_asks_for() {
    let documents = written(|recorder| {
        recorder.count(Metric::Delivered, 2);
        recorder.count(Metric::Delivered, 1);
        recorder.measure(Metric::FirstAttemptLatency, 120);
        recorder.measure(Metric::FirstAttemptLatency, 0);
    });
    let expected = json!({
        "_aws": {
            "Timestamp": 1_574_109_732_004_i64,
            "CloudWatchMetrics": [{
                "Namespace": "Redial",
                "Dimensions": [["Stack"]],
                "Metrics": [
                    { "Name": "Delivered", "Unit": "Count" },
                    { "Name": "FirstAttemptLatency", "Unit": "Milliseconds" },
                ],
            }],
        },
        "Stack": "redial-prod",
        "Delivered": 3,
        "FirstAttemptLatency": [120, 0],
    });
    assert_eq!(documents, [expected]);
    assert_eq!((NAMESPACE, DIMENSION), ("Redial", "Stack"));
}

#[test]
fn the_rules_are_those_of_the_published_example_and_catch_what_breaks_them() {
    // The example of the specification.
    let good = json!({
        "_aws": {
            "Timestamp": 1_574_109_732_004_i64,
            "CloudWatchMetrics": [{
                "Namespace": "lambda-function-metrics",
                "Dimensions": [["functionVersion"]],
                "Metrics": [{ "Name": "time", "Unit": "Milliseconds", "StorageResolution": 60 }],
            }],
        },
        "functionVersion": "$LATEST",
        "time": 100,
        "requestId": "989ffbf8-9ace-4817-a57c-e4dd734019ee",
    });
    assert_eq!(broken_rule(&good), Ok(()));
    let breaks = [
        ("/_aws/Timestamp", json!("now")),
        ("/_aws/CloudWatchMetrics", json!([])),
        ("/_aws/CloudWatchMetrics/0/Namespace", json!("")),
        ("/_aws/CloudWatchMetrics/0/Dimensions", json!([])),
        ("/_aws/CloudWatchMetrics/0/Dimensions/0", json!(["absent"])),
        ("/_aws/CloudWatchMetrics/0/Metrics/0/Unit", json!("Millis")),
        ("/_aws/CloudWatchMetrics/0/Metrics/0/Name", json!("absent")),
        ("/functionVersion", json!(7)),
        ("/time", json!("100")),
        ("/time", json!(vec![1; 101])),
    ];
    for (place, value) in breaks {
        let mut bad = good.clone();
        *bad.pointer_mut(place).unwrap() = value;
        assert!(broken_rule(&bad).is_err(), "{place}");
    }
}

#[test]
fn every_metric_fits_into_one_document() {
    let documents = written(|recorder| Metric::ALL.into_iter().for_each(|metric| recorder.measure(metric, 1)));
    assert_eq!(documents.len(), 1);
    let names: BTreeSet<&str> = Metric::ALL.into_iter().map(Metric::name).collect();
    assert_eq!(names.len(), Metric::ALL.len());
    assert!(names.iter().all(|name| documents[0][name] == 1));
}

#[test]
fn more_values_than_a_document_may_hold_go_into_more_documents_and_counts_only_into_the_first() {
    let documents = written(|recorder| {
        recorder.count(Metric::Delivered, 250);
        (0..250).for_each(|ms| recorder.measure(Metric::FirstAttemptLatency, ms));
    });
    let values: Vec<u64> = documents
        .iter()
        .flat_map(|document| document["FirstAttemptLatency"].as_array().unwrap())
        .map(|value| value.as_u64().unwrap())
        .collect();
    assert_eq!(values, (0..250).collect::<Vec<_>>());
    assert_eq!(documents.len(), 250_usize.div_ceil(MAX_VALUES));
    let delivered: Vec<&Value> = documents.iter().map(|document| &document["Delivered"]).collect();
    assert_eq!(delivered, [&json!(250), &Value::Null, &Value::Null]);
}

#[test]
fn what_is_counted_as_zero_is_left_out_and_what_is_measured_as_zero_is_not() {
    let documents = written(|recorder| {
        recorder.count(Metric::Sent, 0);
        recorder.measure(Metric::DueLag, 0);
    });
    assert_eq!(
        (&documents[0]["Sent"], &documents[0]["DueLag"]),
        (&Value::Null, &json!(0))
    );
    assert!(written(|recorder| recorder.count(Metric::Sent, 0)).is_empty());
}

#[test]
fn numbers_are_handed_over_once_also_by_an_invocation_that_panics() {
    let kept = Kept::default();
    let metrics = kept.metrics();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let recorder = metrics.begin(at());
        recorder.count(Metric::Delivered, 1);
        panic!("as a bug of ours does");
    }));
    assert!(panicked.is_err());
    let taken = kept.taken();
    assert_eq!(taken.len(), 1);
    assert_eq!(
        taken[0].values,
        BTreeMap::from([(Metric::Delivered, vec![1]), (Metric::FunctionFaults, vec![1])])
    );
    assert!(kept.taken().is_empty());
}

#[test]
fn silent_metrics_count_for_those_who_ask_and_keep_nothing() {
    let recorder = Metrics::silent().begin(at());
    recorder.count(Metric::Accepted, 3);
    assert_eq!((recorder.sum(Metric::Accepted), recorder.sum(Metric::Dead)), (3, 0));
}
