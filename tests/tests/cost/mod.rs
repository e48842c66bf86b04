//! What every event and delivery is billed as, counted in the running code and held against tests/data/cost.json, from which
//! `redial cost` and docs/COST.md are reckoned. One request more for an event fails here, with a sentence that says what grew.

mod counted;
mod figures;
mod partitions;
mod sums;
mod told;

use std::collections::{BTreeMap, BTreeSet};

use redial_local::billable::Used;
use redial_local::cost::{ByKind, Counts, Expected, Scenario, billed, expected};

use counted::run;

/// Differences of fractions that are none.
const EPSILON: f64 = 1e-6;

type ByNumber = BTreeMap<(String, &'static str), f64>;

fn numbers_of(used: &ByKind) -> ByNumber {
    let of_kind = |(kind, used): (&String, &Used)| {
        let kind = kind.clone();
        used.numbers().map(move |(name, n)| ((kind.clone(), name), n as f64))
    };
    used.iter().flat_map(of_kind).filter(|(_, n)| *n != 0.0).collect()
}

fn numbers_expected(expected: &Expected) -> ByNumber {
    let of_kind = |(kind, numbers): (&str, Vec<(&'static str, f64)>)| {
        let kind = kind.to_owned();
        numbers.into_iter().map(move |(name, n)| ((kind.clone(), name), n))
    };
    expected.kinds().flat_map(of_kind).filter(|(_, n)| *n != 0.0).collect()
}

/// A sentence for each number that differs.
fn differences(scenario: &Scenario, counted: &ByNumber, committed: &ByNumber) -> Vec<String> {
    let names: BTreeSet<_> = counted.keys().chain(committed.keys()).collect();
    let of = |numbers: &ByNumber, name| numbers.get(name).copied().unwrap_or(0.0);
    let differing = names.into_iter().filter_map(|name| {
        let (is, was) = (of(counted, name), of(committed, name));
        let (kind, number) = name;
        let grew = if is > was { "grew" } else { "shrank" };
        ((is - was).abs() > EPSILON).then(|| {
            let each = (is - was) / scenario.events as f64;
            let name = &scenario.name;
            format!("{name}: `{number}` of {kind} {grew} from {was} to {is}, {each:+} an event")
        })
    });
    differing.collect()
}

#[tokio::test]
async fn every_event_and_delivery_is_billed_as_was_committed() {
    let counts = Counts::built_in().unwrap();
    let mut sentences = Vec::new();
    for scenario in &counts.scenarios {
        let counted = numbers_of(&billed(&run(scenario).await));
        let committed = numbers_expected(&expected(&counts, &scenario.workload, scenario.events));
        sentences.extend(differences(scenario, &counted, &committed));
    }
    assert!(
        sentences.is_empty(),
        "what events cost has changed:\n  {}\nIf that is meant, tests/data/cost.json is where it is committed, and docs/COST.md \
         what follows (`redial cost --table`).",
        sentences.join("\n  ")
    );
}

#[test]
fn a_write_more_is_told_with_what_grew() {
    let counts = Counts::built_in().unwrap();
    let scenario = &counts.scenarios[0];
    let committed = numbers_expected(&expected(&counts, &scenario.workload, scenario.events));
    let mut counted = committed.clone();
    *counted.get_mut(&("Ingest dynamodb".to_owned(), "writes")).unwrap() += scenario.events as f64;
    let told = differences(scenario, &counted, &committed);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].contains("`writes` of Ingest dynamodb grew") && told[0].ends_with("+1 an event"),
        "{told:?}"
    );
    assert!(differences(scenario, &committed, &committed).is_empty());
}
