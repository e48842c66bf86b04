//! Ways to an address that is no target: names, notations, rebinding, proxies. None leads to the canary.

use std::net::IpAddr;
use std::process::Command;

use bytes::Bytes;
use redial_domain::outcome::{FailureCode, Outcome};
use redial_domain::url::EndpointUrl;
use redial_egress::{MAX_DNS_ANSWERS, Post};

use crate::canary::Canary;
use crate::fixtures::{AMPLE, RECEIVER_NAME, Setup, TableAnswer, answered, failed, policy};
use crate::receiver::Receiver;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

fn addresses(texts: &[&str]) -> TableAnswer {
    TableAnswer::Addresses(texts.iter().map(|text| text.parse::<IpAddr>().unwrap()).collect())
}

#[tokio::test]
async fn a_name_leads_to_the_address_that_was_vetted() {
    let receiver = Receiver::answering(OK).await;
    let url = format!("http://{RECEIVER_NAME}:{}/", receiver.address.port());
    assert_eq!(answered(Setup::local().post(&url, AMPLE).await).status, 200);
    let host = format!("{RECEIVER_NAME}:{}", receiver.address.port());
    assert_eq!(receiver.requests()[0].header("host"), [host]);
}

#[tokio::test]
async fn one_bad_address_spoils_the_set() {
    let canary = Canary::perch().await;
    let setup = Setup::local();
    for set in [
        &["127.0.0.2"][..],
        &["127.0.0.1", "127.0.0.2"],
        &["127.0.0.2", "127.0.0.1"],
        &["127.0.0.1", "::1"],
        &["127.0.0.1", "::ffff:127.0.0.1"],
        &["127.0.0.1", "127.0.0.1", "169.254.169.254"],
    ] {
        setup.table.set("mixed.example.com", vec![addresses(set)]);
        let url = format!("http://mixed.example.com:{}/", canary.port());
        assert_eq!(failed(setup.post(&url, AMPLE).await), FailureCode::Blocked, "{set:?}");
    }
    canary.assert_never_reached().await;
}

#[tokio::test]
async fn a_name_with_too_many_addresses_is_a_dns_failure() {
    let receiver = Receiver::answering(OK).await;
    let setup = Setup::local();
    let url = format!("http://many.example.com:{}/", receiver.address.port());
    setup
        .table
        .set("many.example.com", vec![addresses(&["127.0.0.1"; MAX_DNS_ANSWERS + 1])]);
    assert_eq!(failed(setup.post(&url, AMPLE).await), FailureCode::DnsFailed);
    setup
        .table
        .set("many.example.com", vec![addresses(&["127.0.0.1"; MAX_DNS_ANSWERS])]);
    assert_eq!(answered(setup.post(&url, AMPLE).await).status, 200);
}

#[tokio::test]
async fn a_name_that_rebinds_is_vetted_at_every_connection() {
    let receiver = Receiver::answering("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n").await;
    let canary = Canary::perch_at(receiver.address.port()).await;
    let setup = Setup::local();
    let answers = ["127.0.0.1", "127.0.0.2", "127.0.0.1"]
        .map(|ip| addresses(&[ip]))
        .to_vec();
    setup.table.set("rebind.example.com", answers);
    let url = format!("http://rebind.example.com:{}/", receiver.address.port());
    assert_eq!(answered(setup.post(&url, AMPLE).await).status, 200);
    assert_eq!(failed(setup.post(&url, AMPLE).await), FailureCode::Blocked);
    assert_eq!(answered(setup.post(&url, AMPLE).await).status, 200);
    canary.assert_never_reached().await;
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_a_dns_failure() {
    let setup = Setup::local();
    assert_eq!(
        failed(setup.post("https://nowhere.example.com/", AMPLE).await),
        FailureCode::DnsFailed
    );
    setup.table.set("empty.example.com", vec![addresses(&[])]);
    assert_eq!(
        failed(setup.post("https://empty.example.com/", AMPLE).await),
        FailureCode::DnsFailed
    );
}

#[tokio::test]
async fn localhost_is_what_the_policy_opens_of_loopback_whatever_a_resolver_says() {
    let receiver = Receiver::answering(OK).await;
    let setup = Setup::local();
    setup.table.set("localhost", vec![addresses(&["127.0.0.2"])]);
    let url = format!("http://localhost:{}/", receiver.address.port());
    assert_eq!(answered(setup.post(&url, AMPLE).await).status, 200);
}

#[tokio::test]
async fn no_notation_of_an_address_leads_to_the_canary() {
    let canary = Canary::perch().await;
    let port = canary.port();
    let (strict, local) = (Setup::with(Default::default(), Vec::new()), Setup::local());
    for host in [
        "127.0.0.2",
        "2130706434",
        "0x7f000002",
        "0x7f.0.0.2",
        "0177.0.0.2",
        "017700000002",
        "127.2",
        "127.0.2",
        "127.0.0.02",
        "127.0.0.2.",
        "１２７.０.０.２",
        "①②⑦.⓪.⓪.②",
        "127。0。0。2",
        "%31%32%37.0.0.2",
        "[::ffff:127.0.0.2]",
        "[::ffff:7f00:2]",
        "[::127.0.0.2]",
        "[64:ff9b::7f00:2]",
        "example.com@127.0.0.2",
        "127.0.0.2#@example.com",
    ] {
        for scheme in ["http", "https"] {
            let url = format!("{scheme}://{host}:{port}/");
            assert!(strict.egress.admit(&url).is_err(), "{url}");
            assert!(local.egress.admit(&url).is_err(), "{url}");
        }
    }
    canary.assert_never_reached().await;
}

#[tokio::test]
async fn a_url_that_an_older_rule_accepted_is_checked_again_at_delivery() {
    let canary = Canary::perch().await;
    let wider = policy(&["127.0.0.0/8"]);
    let (strict, local) = (Setup::with(Default::default(), Vec::new()), Setup::local());
    for scheme in ["http", "https"] {
        let url = EndpointUrl::parse(&format!("{scheme}://{}/", canary.address()), &wider, &[]).unwrap();
        for setup in [&strict, &local] {
            let post = Post {
                whose: "acme",
                url: url.as_str(),
                headers: Vec::new(),
                body: Bytes::new(),
                timeout: AMPLE,
            };
            let exchange = setup.egress.post(post).await.unwrap();
            assert_eq!(exchange.outcome, Outcome::Failed(FailureCode::Blocked));
        }
    }
    canary.assert_never_reached().await;
}

#[tokio::test]
async fn plain_http_is_refused_by_the_deployed_rules_even_for_a_url_that_was_accepted_once() {
    let receiver = Receiver::answering(OK).await;
    let strict = Setup::with(Default::default(), Vec::new());
    let url = format!("http://{RECEIVER_NAME}:{}/", receiver.address.port());
    let url = EndpointUrl::parse(&url, &policy(&[]), &[]).unwrap();
    let post = Post {
        whose: "acme",
        url: url.as_str(),
        headers: Vec::new(),
        body: Bytes::new(),
        timeout: AMPLE,
    };
    assert_eq!(
        strict.egress.post(post).await.unwrap().outcome,
        Outcome::Failed(FailureCode::Blocked)
    );
    assert_eq!(receiver.connections(), 0);
}

/// Run by itself, and in a process of its own with proxies in its environment.
#[tokio::test]
async fn a_post_reaches_its_receiver_directly() {
    let receiver = Receiver::answering(OK).await;
    let setup = Setup::local();
    for host in ["127.0.0.1", RECEIVER_NAME] {
        let url = format!("http://{host}:{}/", receiver.address.port());
        assert_eq!(answered(setup.post(&url, AMPLE).await).status, 200);
    }
    assert_eq!(receiver.requests().len(), 2);
    assert!(
        receiver
            .requests()
            .iter()
            .all(|request| request.head.starts_with("POST / HTTP/1.1"))
    );
}

#[tokio::test]
async fn proxies_of_the_environment_are_ignored() {
    let canary = Canary::perch().await;
    let proxy = format!("http://{}", canary.address());
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "addresses::a_post_reaches_its_receiver_directly"]);
    for name in [
        "HTTP_PROXY",
        "http_proxy",
        "HTTPS_PROXY",
        "https_proxy",
        "ALL_PROXY",
        "all_proxy",
    ] {
        child.env(name, &proxy);
    }
    child.env_remove("NO_PROXY").env_remove("no_proxy");
    let output = tokio::task::spawn_blocking(move || child.output())
        .await
        .unwrap()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    canary.assert_never_reached().await;
}
