//! Every row of `hostile-resolutions.tsv`: refused sets through a whole request, accepted ones through the vetting
//! alone (they are public addresses, and no test connects to those).

use std::net::IpAddr;

use redial_domain::address::AddressPolicy;
use redial_domain::outcome::FailureCode;
use redial_egress::vet;

use crate::canary::Canary;
use crate::fixtures::{AMPLE, Setup, TableAnswer, failed};

const CORPUS: &str = include_str!("../../../../tests/data/hostile-resolutions.tsv");

fn answer(set: &str) -> TableAnswer {
    match set {
        "NXDOMAIN" | "SERVFAIL" | "REFUSED" => TableAnswer::NotResolved,
        "TIMEOUT" => TableAnswer::Never,
        "EMPTY" => TableAnswer::Addresses(Vec::new()),
        addresses => TableAnswer::Addresses(addresses.split(',').map(|ip| ip.parse().unwrap()).collect()),
    }
}

#[tokio::test]
async fn every_row_gets_its_verdict_by_the_last_answer() {
    let canary = Canary::perch().await;
    let policy = AddressPolicy::strict();
    let setup = Setup::with(policy.clone(), Vec::new());
    let (mut accepted, mut refused) = (0, 0);
    for (number, line) in CORPUS.lines().enumerate() {
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
        let addresses: Vec<IpAddr> = match &last {
            TableAnswer::Addresses(addresses) => addresses.clone(),
            TableAnswer::NotResolved | TableAnswer::Never => Vec::new(),
        };
        // What was vetted at registration or before is over: only the answer of this connection counts.
        setup.table.set(&host, vec![last]);
        let code = failed(setup.post(&format!("https://{host}:{}/", canary.port()), AMPLE).await);
        let expected = if addresses.is_empty() {
            FailureCode::DnsFailed
        } else {
            FailureCode::Blocked
        };
        assert_eq!(code, expected, "{name}: {why}");
        refused += 1;
    }
    assert!(accepted > 15 && refused > 35, "{accepted} accepted, {refused} refused");
    canary.assert_never_reached().await;
}
