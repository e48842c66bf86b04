//! Every row of `hostile-resolutions.tsv` and of our own additions to it: refused sets through whole requests, a delivery
//! and a test send; accepted ones through the vetting alone (they are public addresses, and no test connects to those).

use std::net::IpAddr;
use std::sync::Arc;

use redial_domain::address::AddressPolicy;
use redial_domain::outcome::{FailureCode, Outcome};
use redial_egress::vet;
use tokio::task::JoinSet;

use crate::canary::Canary;
use crate::fixtures::{AMPLE, Setup, TableAnswer, failed};

const CORPUS: [&str; 2] = [
    include_str!("../../../../tests/data/hostile-resolutions.tsv"),
    include_str!("../../../../tests/data/hostile-resolutions-more.tsv"),
];

fn answer(set: &str) -> TableAnswer {
    match set {
        "NXDOMAIN" | "SERVFAIL" | "REFUSED" => TableAnswer::NotResolved,
        "TIMEOUT" => TableAnswer::Never,
        "EMPTY" => TableAnswer::Addresses(Vec::new()),
        addresses => TableAnswer::Addresses(addresses.split(',').map(|ip| ip.parse().unwrap()).collect()),
    }
}

/// What a request to a name that is refused ends with.
fn refusal_of(last: &TableAnswer, policy: &AddressPolicy) -> FailureCode {
    let spoiled = |addresses: &[IpAddr]| addresses.iter().any(|ip| !policy.permits(*ip));
    match last {
        TableAnswer::Addresses(addresses) if spoiled(addresses) => FailureCode::Blocked,
        TableAnswer::Addresses(_) | TableAnswer::NotResolved | TableAnswer::Never => FailureCode::DnsFailed,
    }
}

#[tokio::test]
async fn every_row_gets_its_verdict_by_the_last_answer() {
    let canary = Canary::perch().await;
    let policy = AddressPolicy::strict();
    let setup = Arc::new(Setup::with(policy.clone(), Vec::new()));
    let (mut accepted, mut requests) = (0, JoinSet::new());
    for (number, line) in CORPUS.iter().flat_map(|corpus| corpus.lines()).enumerate() {
        let columns: Vec<&str> = line.split('\t').collect();
        let [name, sets, verdict, why] = columns[..] else {
            panic!("four columns: {line}")
        };
        let sets: Vec<TableAnswer> = sets.split(';').map(answer).collect();
        let last = sets.last().unwrap().clone();
        if verdict == "accept" {
            let TableAnswer::Addresses(addresses) = last else {
                panic!("{name}: nothing to accept")
            };
            assert!(vet(&addresses, &policy).is_ok(), "{name}: {why}");
            accepted += 1;
            continue;
        }
        // The corpus's own names end in .test, which is no target at all: the verdict is about the addresses.
        let host = format!("row{number}.example.com");
        let url = format!("https://{host}:{}/", canary.port());
        let expected = refusal_of(&last, &policy);
        // What was vetted at registration or before is over: only the answer of this connection counts.
        setup.table.set(&host, vec![last]);
        let (setup, about) = (Arc::clone(&setup), format!("{name}: {why}"));
        requests.spawn(async move {
            assert_eq!(failed(setup.post(&url, AMPLE).await), expected, "{about}");
            let probed = setup.probe(&url, AMPLE).await;
            assert_eq!(probed.outcome, Outcome::Failed(expected), "{about}");
            assert!(probed.connected_to.is_none() && probed.addresses.is_empty(), "{about}");
        });
    }
    let refused = requests.len();
    while let Some(ended) = requests.join_next().await {
        ended.unwrap();
    }
    assert!(accepted > 60 && refused > 180, "{accepted} accepted, {refused} refused");
    canary.assert_never_reached().await;
}
