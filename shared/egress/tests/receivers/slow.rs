//! Slow receivers: each costs one timeout, its own.

use std::net::SocketAddr;
use std::time::Duration;

use redial_domain::outcome::{FailureCode, Outcome};
use redial_egress::{MAX_LOOKUPS_OF_ONE, OurFault};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;

use crate::fixtures::{AMPLE, RECEIVER_NAME, SHORT, Setup, TableAnswer, answered, failed};
use crate::receiver::Receiver;

/// A timeout may take this long in a busy test run.
const LATE: Duration = Duration::from_secs(5);

fn assert_about(took_ms: u32, timeout: Duration) {
    let took = Duration::from_millis(u64::from(took_ms));
    assert!(
        took >= timeout && took < timeout + LATE,
        "{took:?} for a timeout of {timeout:?}"
    );
}

pub(crate) async fn silent() -> Receiver {
    Receiver::start(|mut connection| async move { connection.wait_for_the_end().await }).await
}

#[tokio::test]
async fn an_answer_that_never_comes_is_a_timeout() {
    let exchange = Setup::local().post(&silent().await.url(), SHORT).await;
    assert_about(exchange.duration_ms, SHORT);
    assert_eq!(failed(exchange), FailureCode::Timeout);
}

#[tokio::test]
async fn headers_that_drip_are_a_timeout() {
    let receiver = Receiver::start(|mut connection| async move {
        connection.request().await;
        let mut drip = tokio::time::interval(Duration::from_millis(100));
        for byte in "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".bytes() {
            drip.tick().await;
            if !connection.send([byte]).await {
                break;
            }
        }
    })
    .await;
    let exchange = Setup::local().post(&receiver.url(), SHORT).await;
    assert_about(exchange.duration_ms, SHORT);
    assert_eq!(failed(exchange), FailureCode::Timeout);
}

/// A listener whose queue is full: Linux drops further SYNs, so that a connect hangs.
pub(crate) async fn full_listener() -> (SocketAddr, Vec<TcpStream>, tokio::net::TcpListener) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut queued = Vec::new();
    while let Ok(Ok(stream)) = tokio::time::timeout(SHORT, TcpStream::connect(address)).await {
        queued.push(stream);
        assert!(queued.len() < 100, "the queue never fills");
    }
    (address, queued, listener)
}

#[tokio::test]
async fn a_connection_that_is_never_made_is_a_connect_timeout() {
    let (address, _queued, _listener) = full_listener().await;
    let exchange = Setup::local().post(&format!("http://{address}/"), SHORT).await;
    assert_about(exchange.duration_ms, SHORT);
    assert_eq!(failed(exchange), FailureCode::ConnectTimeout);
}

#[tokio::test]
async fn a_tls_handshake_that_never_ends_is_a_connect_timeout() {
    let receiver = silent().await;
    let exchange = Setup::local()
        .post(&format!("https://{}/", receiver.address), SHORT)
        .await;
    assert_about(exchange.duration_ms, SHORT);
    assert_eq!(failed(exchange), FailureCode::ConnectTimeout);
}

#[tokio::test]
async fn the_connect_timeout_ends_a_handshake_before_a_longer_timeout_does() {
    let receiver = silent().await;
    let exchange = Setup::local()
        .post(&format!("https://{}/", receiver.address), AMPLE)
        .await;
    assert_about(exchange.duration_ms, redial_egress::CONNECT_TIMEOUT);
    assert_eq!(failed(exchange), FailureCode::ConnectTimeout);
}

#[tokio::test]
async fn a_name_that_does_not_resolve_in_time_is_a_dns_failure() {
    let setup = Setup::local();
    setup.table.set("slow.example.com", vec![TableAnswer::Never]);
    let exchange = setup.post("https://slow.example.com/", SHORT).await;
    assert_about(exchange.duration_ms, SHORT);
    assert_eq!(failed(exchange), FailureCode::DnsFailed);
    let exchange = setup.post("https://slow.example.com/", AMPLE).await;
    assert_about(exchange.duration_ms, redial_egress::DNS_TIMEOUT);
    assert_eq!(failed(exchange), FailureCode::DnsFailed);
}

#[tokio::test]
async fn names_of_one_tenant_that_are_slow_stop_no_other() {
    let receiver = Receiver::answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let setup = std::sync::Arc::new(Setup::local());
    let url = format!("http://{RECEIVER_NAME}:{}/", receiver.address.port());
    let mut hanging = JoinSet::new();
    for n in 0..MAX_LOOKUPS_OF_ONE {
        let (name, setup) = (format!("slow-{n}.example.com"), std::sync::Arc::clone(&setup));
        setup.table.set(&name, vec![TableAnswer::Never]);
        hanging.spawn(async move { setup.post_of("slow", &format!("https://{name}/"), SHORT).await });
    }
    // Each costs the attempt of its own request; the lookups go on.
    for exchange in hanging.join_all().await {
        assert_eq!(failed(exchange.unwrap()), FailureCode::DnsFailed);
    }
    assert_eq!(answered(setup.post_of("other", &url, AMPLE).await.unwrap()).status, 200);
    // What is not even begun is nobody's attempt, whichever time is over first. There is no connection to this name yet.
    let url = url.replace(RECEIVER_NAME, "more.example.com");
    for timeout in [SHORT, AMPLE] {
        let crowded = setup.post_of("slow", &url, timeout).await;
        assert!(matches!(crowded, Err(OurFault::Crowded)), "{crowded:?}");
    }
}

#[tokio::test]
async fn ten_slow_receivers_cost_one_timeout_and_a_fast_one_is_not_late() {
    let timeout = Duration::from_secs(2);
    let fast = Receiver::answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let setup = std::sync::Arc::new(Setup::local());
    let mut batch = JoinSet::new();
    let started = tokio::time::Instant::now();
    for _ in 0..10 {
        let (slow, setup) = (silent().await, std::sync::Arc::clone(&setup));
        batch.spawn(async move { setup.post(&slow.url(), timeout).await });
    }
    let exchange = setup.post(&fast.url(), timeout).await;
    assert!(
        Duration::from_millis(u64::from(exchange.duration_ms)) < timeout,
        "{} ms",
        exchange.duration_ms
    );
    assert_eq!(answered(exchange).status, 200);
    for exchange in batch.join_all().await {
        assert_eq!(exchange.outcome, Outcome::Failed(FailureCode::Timeout));
    }
    let took = started.elapsed();
    assert!(
        took >= timeout && took < timeout * 3,
        "{took:?} for ten timeouts of {timeout:?}"
    );
}
