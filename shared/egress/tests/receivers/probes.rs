//! A request with everything that can be seen of it: each step that fails is named, and what was refused is not measured.

use std::net::IpAddr;

use redial_domain::diagnosis::{Cause, Step, diagnose};
use redial_domain::outcome::{FailureCode, Outcome};
use redial_egress::{MAX_SHOWN_HEADERS, MAX_SHOWN_VALUE_BYTES, Probed, Timings};
use time::Duration;
use tokio::net::TcpListener;

use crate::canary::Canary;
use crate::fixtures::{AMPLE, RECEIVER_NAME, SHORT, Setup, TableAnswer};
use crate::receiver::Receiver;
use crate::slow::{full_listener, silent};
use crate::tls::{Authority, Identity, tls_receiver, trusting, url};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx-request: a7\r\n\r\nhi";
/// For the sentence about a timeout; not the subject here.
const TIMEOUT_MS: u32 = 1_000;

fn named(receiver: &Receiver) -> String {
    format!("http://{RECEIVER_NAME}:{}/hook", receiver.address.port())
}

fn failed_at(probed: &Probed) -> Option<Step> {
    diagnose(&probed.outcome, probed.step, probed.cause, TIMEOUT_MS).failed_at
}

fn code(probed: &Probed) -> FailureCode {
    match probed.outcome {
        Outcome::Failed(code) => code,
        Outcome::Answered(ref answer) => panic!("answered: {answer:?}"),
    }
}

/// Which of the steps have a time: name, TCP, TLS, first byte.
fn timed(timings: Timings) -> [bool; 4] {
    [
        timings.dns_ms,
        timings.connect_ms,
        timings.tls_ms,
        timings.first_byte_ms,
    ]
    .map(|ms| ms.is_some())
}

#[tokio::test]
async fn an_answer_is_shown_whole_with_the_request_as_it_was_sent() {
    let receiver = Receiver::answering(OK).await;
    let probed = Setup::local().probe(&named(&receiver), AMPLE).await;
    assert_eq!((probed.step, failed_at(&probed)), (Step::Response, None));
    let Outcome::Answered(answer) = &probed.outcome else {
        panic!("{:?}", probed.outcome);
    };
    assert_eq!((answer.status, answer.body.as_slice()), (200, b"hi".as_slice()));
    let head = probed.head.as_ref().unwrap();
    assert_eq!((head.version, head.cut), ("HTTP/1.1", false));
    assert!(head.headers.contains(&("x-request".to_owned(), "a7".to_owned())));
    assert_eq!(timed(probed.timings), [true, true, false, true]);
    assert_eq!(probed.addresses, ["127.0.0.1".parse::<IpAddr>().unwrap()]);
    assert_eq!(probed.connected_to, Some(receiver.address));
    // What is shown as sent is what came, header by header.
    let request = receiver.requests().remove(0);
    let mut came: Vec<(String, String)> = request
        .head
        .lines()
        .skip(1)
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let mut sent = probed.sent;
    came.sort();
    sent.sort();
    assert_eq!(sent, came);
}

#[tokio::test]
async fn each_probe_makes_a_connection_of_its_own() {
    let receiver = Receiver::answering(OK).await;
    let setup = Setup::local();
    setup.post(&named(&receiver), AMPLE).await;
    for connections in [2, 3] {
        let probed = setup.probe(&named(&receiver), AMPLE).await;
        assert_eq!(timed(probed.timings), [true, true, false, true]);
        assert_eq!(receiver.connections(), connections);
    }
}

#[tokio::test]
async fn a_tls_handshake_has_a_time_of_its_own_and_is_whole_every_time() {
    let authority = Authority::found();
    let receiver = tls_receiver(authority.issue(RECEIVER_NAME)).await;
    let setup = trusting(&authority);
    for _ in 0..2 {
        let probed = setup.probe(&url(&receiver), AMPLE).await;
        assert_eq!(timed(probed.timings), [true, true, true, true]);
        assert_eq!(failed_at(&probed), None);
    }
    // A session of deliveries is not resumed either: a certificate that went bad meanwhile is noticed.
    setup.post(&url(&receiver), AMPLE).await;
    let expired = authority.issue_for(RECEIVER_NAME, Duration::days(-3), Duration::days(-2));
    let bad = tls_receiver(expired).await;
    assert_eq!(
        setup.probe(&url(&bad), AMPLE).await.cause,
        Some(Cause::CertificateExpired)
    );
}

#[tokio::test]
async fn a_certificate_that_is_not_right_is_told_apart() {
    let (authority, stranger) = (Authority::found(), Authority::found());
    let setup = trusting(&authority);
    let for_days = |from, until| authority.issue_for(RECEIVER_NAME, Duration::days(from), Duration::days(until));
    for (identity, cause) in [
        (for_days(-3, -2), Cause::CertificateExpired),
        (for_days(2, 3), Cause::CertificateNotYetValid),
        (authority.issue("other.example.com"), Cause::CertificateForAnotherName),
        (stranger.issue(RECEIVER_NAME), Cause::CertificateUntrusted),
        (Identity::self_signed(RECEIVER_NAME), Cause::CertificateUntrusted),
        (
            Identity::self_signed_authority(RECEIVER_NAME),
            Cause::CertificateSelfSigned,
        ),
    ] {
        let receiver = tls_receiver(identity).await;
        let probed = setup.probe(&url(&receiver), AMPLE).await;
        assert_eq!((code(&probed), probed.cause), (FailureCode::TlsFailed, Some(cause)));
        assert_eq!(failed_at(&probed), Some(Step::Tls));
        assert_eq!(timed(probed.timings), [true, true, true, false], "{cause:?}");
        assert_eq!(probed.addresses.len(), 1);
    }
}

#[tokio::test]
async fn what_speaks_no_tls_that_we_speak_is_told() {
    let authority = Authority::found();
    let setup = trusting(&authority);
    let greets = Receiver::start(|mut connection| async move {
        connection.send("220 mail.example.com ESMTP\r\n").await;
        connection.wait_for_the_end().await;
    })
    .await;
    let probed = setup.probe(&url(&greets), AMPLE).await;
    assert_eq!(
        (probed.cause, failed_at(&probed)),
        (Some(Cause::NotTls), Some(Step::Tls))
    );
    let closes = Receiver::start(|connection| async move { drop(connection) }).await;
    let probed = setup.probe(&url(&closes), AMPLE).await;
    assert_eq!((probed.cause, failed_at(&probed)), (None, Some(Step::Tls)));
    // Somebody who speaks TLS, but no version that we speak: a fatal alert `protocol_version` (RFC 8446 section 6).
    let old = Receiver::start(|mut connection| async move {
        let mut hello = [0];
        let _waited = connection.stream.peek(&mut hello).await;
        connection.send([21, 3, 1, 0, 2, 2, 70]).await;
        connection.wait_for_the_end().await;
    })
    .await;
    let probed = setup.probe(&url(&old), AMPLE).await;
    assert_eq!(
        (probed.cause, failed_at(&probed)),
        (Some(Cause::TlsTooOld), Some(Step::Tls))
    );
}

#[tokio::test]
async fn a_name_that_does_not_resolve_ends_at_the_lookup() {
    let setup = Setup::local();
    setup
        .table
        .set("empty.example.com", vec![TableAnswer::Addresses(Vec::new())]);
    setup.table.set("slow.example.com", vec![TableAnswer::Never]);
    for (name, timeout, cause) in [
        ("nobody.example.com", AMPLE, Cause::NameUnknown),
        ("empty.example.com", AMPLE, Cause::NameWithoutAddress),
        ("slow.example.com", SHORT, Cause::LookupTooSlow),
    ] {
        let probed = setup.probe(&format!("https://{name}/"), timeout).await;
        assert_eq!((code(&probed), probed.cause), (FailureCode::DnsFailed, Some(cause)));
        assert_eq!((probed.step, failed_at(&probed)), (Step::Dns, Some(Step::Dns)));
        assert_eq!(timed(probed.timings), [true, false, false, false], "{name}");
        assert!(probed.timings.total_ms.is_some() && probed.addresses.is_empty());
    }
}

#[tokio::test]
async fn a_refused_connection_and_one_that_is_never_made_end_there() {
    let setup = Setup::local();
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = closed.local_addr().unwrap();
    drop(closed);
    let probed = setup
        .probe(&format!("http://{RECEIVER_NAME}:{}/", address.port()), AMPLE)
        .await;
    assert_eq!(
        (code(&probed), probed.cause),
        (FailureCode::ConnectFailed, Some(Cause::Refused))
    );
    assert_eq!((probed.step, failed_at(&probed)), (Step::Connect, Some(Step::Connect)));
    assert_eq!(timed(probed.timings), [true, true, false, false]);
    let (full, _queued, _listener) = full_listener().await;
    let probed = setup.probe(&format!("http://{full}/"), SHORT).await;
    assert_eq!(code(&probed), FailureCode::ConnectTimeout);
    assert_eq!(failed_at(&probed), Some(Step::Connect));
    assert_eq!(timed(probed.timings), [false, true, false, false]);
    assert_eq!(probed.addresses, [full.ip()], "an address is its own answer");
}

#[tokio::test]
async fn a_handshake_that_never_ends_is_told_from_a_connection_that_is_never_made() {
    let probed = Setup::local()
        .probe(&format!("https://{}/", silent().await.address), SHORT)
        .await;
    assert_eq!(code(&probed), FailureCode::ConnectTimeout);
    assert_eq!((probed.step, failed_at(&probed)), (Step::Tls, Some(Step::Tls)));
    assert_eq!(timed(probed.timings), [false, true, true, false]);
}

#[tokio::test]
async fn an_answer_that_never_comes_is_told_from_a_connection_that_ends() {
    let setup = Setup::local();
    let closes = Receiver::start(|mut connection| async move {
        connection.request().await;
    })
    .await;
    let babbles = Receiver::answering("220 mail.example.com ESMTP\r\n\r\n").await;
    for (receiver, code_of, step) in [
        (silent().await, FailureCode::Timeout, Step::Response),
        (closes, FailureCode::ConnectionClosed, Step::Request),
        (babbles, FailureCode::ProtocolError, Step::Response),
    ] {
        let probed = setup.probe(&named(&receiver), SHORT).await;
        assert_eq!((code(&probed), failed_at(&probed)), (code_of, Some(step)));
        assert_eq!(timed(probed.timings), [true, true, false, false]);
    }
}

#[tokio::test]
async fn what_is_refused_is_not_measured_and_never_reached() {
    let setup = Setup::local();
    let canary = Canary::perch().await;
    setup.table.set(
        "inside.example.com",
        vec![TableAnswer::Addresses(vec!["127.0.0.2".parse().unwrap()])],
    );
    // One bad address spoils the set, and the good one is not told either.
    let both = ["127.0.0.1", "10.0.0.7"].map(|ip| ip.parse().unwrap()).to_vec();
    setup.table.set("both.example.com", vec![TableAnswer::Addresses(both)]);
    // Somebody listens at the one port, nobody at the other.
    let mut seen = Vec::new();
    for (name, port) in [("inside", canary.port()), ("inside", 1026), ("both", 1026)] {
        let probed = setup.probe(&format!("http://{name}.example.com:{port}/"), AMPLE).await;
        assert_eq!((code(&probed), probed.step), (FailureCode::Blocked, Step::Policy));
        seen.push(format!("{probed:?}"));
    }
    seen.dedup();
    assert_eq!(seen.len(), 1, "open, closed and half bad look alike: {seen:?}");
    assert!(seen[0].contains("total_ms: None"), "{}", seen[0]);
    canary.assert_never_reached().await;
}

#[tokio::test]
async fn many_and_long_headers_are_cut() {
    let many: String = (0..200).map(|n| format!("x-{n}: {n}\r\n")).collect();
    let long = format!("x-long: {}\r\n", "é".repeat(MAX_SHOWN_VALUE_BYTES));
    for (headers, shown) in [(many, MAX_SHOWN_HEADERS), (long, 2)] {
        let receiver = Receiver::answering(format!("HTTP/1.1 500 No\r\n{headers}content-length: 0\r\n\r\n")).await;
        let head = Setup::local().probe(&named(&receiver), AMPLE).await.head.unwrap();
        assert_eq!((head.headers.len(), head.cut), (shown, true));
        let longest = head.headers.iter().map(|(_, value)| value.len()).max().unwrap();
        assert!(longest <= MAX_SHOWN_VALUE_BYTES, "{longest}");
    }
}

#[tokio::test]
async fn a_redirect_is_shown_and_not_followed() {
    let canary = Canary::perch().await;
    let location = format!("http://{}/elsewhere", canary.address());
    let receiver = Receiver::answering(format!(
        "HTTP/1.1 307 Elsewhere\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n"
    ))
    .await;
    let probed = Setup::local().probe(&named(&receiver), AMPLE).await;
    assert_eq!(failed_at(&probed), Some(Step::Response));
    assert!(
        probed
            .head
            .unwrap()
            .headers
            .contains(&("location".to_owned(), location))
    );
    canary.assert_never_reached().await;
}
