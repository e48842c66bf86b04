//! An egress for tests: the local policy, a table in place of DNS, a wall clock that a test can move.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use redial_domain::Timestamp;
use redial_domain::address::{AddressPolicy, AllowedNetworks};
use redial_domain::outcome::{Answer, FailureCode, Outcome};
use redial_domain::url::EndpointUrl;
use redial_egress::{
    Egress, EgressSettings, Exchange, Lookup, LookupError, OurFault, Post, Probed, Resolver, WallClock,
};
use rustls::pki_types::CertificateDer;

/// For requests that are expected to end by themselves.
pub(crate) const AMPLE: Duration = Duration::from_secs(20);

/// For requests whose timeout is the subject.
pub(crate) const SHORT: Duration = Duration::from_millis(300);

/// The name that the table answers with 127.0.0.1.
pub(crate) const RECEIVER_NAME: &str = "hooks.example.com";

/// Answers from a table. Each lookup of a name takes its next answer; the last one stays.
#[derive(Default)]
pub(crate) struct Table {
    answers: Mutex<HashMap<String, Vec<TableAnswer>>>,
}

#[derive(Clone)]
pub(crate) enum TableAnswer {
    Addresses(Vec<IpAddr>),
    NotResolved,
    Never,
}

impl Table {
    pub(crate) fn set(&self, name: &str, answers: Vec<TableAnswer>) {
        self.answers.lock().unwrap().insert(name.to_owned(), answers);
    }

    fn next(&self, name: &str) -> TableAnswer {
        let mut answers = self.answers.lock().unwrap();
        let Some(of_name) = answers.get_mut(name) else {
            return TableAnswer::NotResolved;
        };
        if of_name.len() > 1 {
            of_name.remove(0)
        } else {
            of_name[0].clone()
        }
    }
}

impl Resolver for Table {
    fn lookup<'a>(&'a self, name: &'a str) -> Lookup<'a> {
        let answer = self.next(name);
        Box::pin(async move {
            match answer {
                TableAnswer::Addresses(addresses) => Ok(addresses),
                TableAnswer::NotResolved => Err(LookupError::NotResolved(io::ErrorKind::NotFound.into())),
                TableAnswer::Never => std::future::pending().await,
            }
        })
    }
}

/// An egress with what a test needs to steer it.
pub(crate) struct Setup {
    pub(crate) egress: Egress,
    pub(crate) table: Arc<Table>,
    wall_ms: Arc<AtomicI64>,
}

impl Setup {
    pub(crate) fn with(policy: AddressPolicy, extra_roots: Vec<CertificateDer<'static>>) -> Self {
        let table = Arc::new(Table::default());
        table.set(
            RECEIVER_NAME,
            vec![TableAnswer::Addresses(vec!["127.0.0.1".parse().unwrap()])],
        );
        let wall_ms = Arc::new(AtomicI64::new(1_795_151_026_258));
        let wall = Arc::clone(&wall_ms);
        let wall_clock: WallClock = Arc::new(move || Timestamp::from_millis(wall.load(Ordering::SeqCst)));
        let settings = EgressSettings {
            resolver: Arc::<Table>::clone(&table),
            extra_roots,
            ..EgressSettings::new(policy, Vec::new(), wall_clock)
        };
        Self {
            egress: Egress::new(settings).unwrap(),
            table,
            wall_ms,
        }
    }

    /// What `redial serve` allows.
    pub(crate) fn local() -> Self {
        Self::with(policy(&["127.0.0.1/32"]), Vec::new())
    }

    /// Lets the process appear frozen: the wall's clock moves and nobody ticked.
    pub(crate) fn freeze(&self, ms: i64) {
        self.wall_ms.fetch_add(ms, Ordering::SeqCst);
    }

    pub(crate) async fn post(&self, url: &str, timeout: Duration) -> Exchange {
        self.try_post(url, timeout).await.unwrap()
    }

    pub(crate) async fn try_post(&self, url: &str, timeout: Duration) -> Result<Exchange, OurFault> {
        self.post_of("acme", url, timeout).await
    }

    /// A request for another tenant.
    pub(crate) async fn post_of(&self, whose: &str, url: &str, timeout: Duration) -> Result<Exchange, OurFault> {
        let url = self.admitted(url);
        self.egress.post(post(whose, url.as_str(), timeout)).await
    }

    /// One request with everything that can be seen of it.
    pub(crate) async fn probe(&self, url: &str, timeout: Duration) -> Probed {
        let url = self.admitted(url);
        self.egress.probe(post("acme", url.as_str(), timeout)).await.unwrap()
    }

    fn admitted(&self, url: &str) -> EndpointUrl {
        let admitted = self.egress.admit(url);
        admitted.unwrap_or_else(|refusal| panic!("{url}: {refusal}"))
    }
}

fn post<'a>(whose: &'a str, url: &'a str, timeout: Duration) -> Post<'a> {
    Post {
        whose,
        url,
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        body: Bytes::from_static(b"{\"n\":1}"),
        timeout,
    }
}

pub(crate) fn policy(networks: &[&str]) -> AddressPolicy {
    AddressPolicy::with_local(AllowedNetworks::parse(networks.iter().copied()).unwrap(), true)
}

#[track_caller]
pub(crate) fn answered(exchange: Exchange) -> Answer {
    match exchange.outcome {
        Outcome::Answered(answer) => answer,
        Outcome::Failed(code) => panic!("no answer: {code:?}"),
    }
}

#[track_caller]
pub(crate) fn failed(exchange: Exchange) -> FailureCode {
    match exchange.outcome {
        Outcome::Failed(code) => code,
        Outcome::Answered(answer) => panic!("answered: {answer:?}"),
    }
}
