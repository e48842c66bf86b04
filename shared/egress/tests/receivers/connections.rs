//! Connections that are refused, close early or reset; and those that a freeze lies over.

use std::sync::Arc;

use redial_domain::outcome::FailureCode;
use redial_egress::OurFault;
use tokio::net::TcpListener;

use crate::fixtures::{AMPLE, Setup, answered, failed};
use crate::receiver::{Connection, Receiver};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

#[tokio::test]
async fn a_refused_connection_is_a_connect_failure() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let exchange = Setup::local().post(&format!("http://{address}/"), AMPLE).await;
    assert_eq!(failed(exchange), FailureCode::ConnectFailed);
}

#[tokio::test]
async fn a_connection_that_closes_before_the_answer_costs_one_request() {
    let setup = Setup::local();
    for part in [
        "",
        "HTTP/1.1",
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n",
    ] {
        let receiver = Receiver::start(move |mut connection| async move {
            connection.answer(part).await;
        })
        .await;
        let exchange = setup.post(&receiver.url(), AMPLE).await;
        assert_eq!(failed(exchange), FailureCode::ConnectionClosed, "{part:?}");
        assert_eq!((receiver.connections(), receiver.requests().len()), (1, 1), "{part:?}");
    }
}

#[tokio::test]
async fn a_connection_that_resets_costs_one_connection() {
    let receiver = Receiver::start(|connection| async move {
        // Closing a socket with unread bytes sends RST.
        let mut first = [0];
        let _waited = connection.stream.peek(&mut first).await;
        drop(connection);
    })
    .await;
    assert_eq!(
        failed(Setup::local().post(&receiver.url(), AMPLE).await),
        FailureCode::ConnectionClosed
    );
    assert_eq!(receiver.connections(), 1);
}

#[tokio::test]
async fn a_connection_that_closes_at_once_costs_one_connection() {
    let receiver = Receiver::start(|connection| async move { drop(connection) }).await;
    assert_eq!(
        failed(Setup::local().post(&receiver.url(), AMPLE).await),
        FailureCode::ConnectionClosed
    );
    assert_eq!(receiver.connections(), 1);
}

#[tokio::test]
async fn connections_are_used_again() {
    let receiver = Receiver::answering(OK).await;
    let setup = Setup::local();
    for _ in 0..5 {
        assert_eq!(answered(setup.post(&receiver.url(), AMPLE).await).status, 200);
    }
    assert_eq!((receiver.connections(), receiver.requests().len()), (1, 5));
}

/// Answers the first request of the first connection and swallows the next one: what a receiver looks like that
/// closed an idle connection, when the request was faster than the news of it.
async fn closes_its_first_connection(mut connection: Connection) {
    if connection.number == 0 {
        connection.answer(OK).await;
        connection.request().await;
    } else {
        while connection.answer(OK).await {}
    }
}

/// As above, but nobody says that the connection is gone: a router forgot it.
async fn forgets_its_first_connection(mut connection: Connection) {
    if connection.number == 0 {
        connection.answer(OK).await;
        connection.wait_for_the_end().await;
    } else {
        while connection.answer(OK).await {}
    }
}

#[tokio::test]
async fn a_connection_from_before_a_freeze_is_not_used_after_it() {
    let receivers = [
        Receiver::start(closes_its_first_connection).await,
        Receiver::start(forgets_its_first_connection).await,
    ];
    for receiver in receivers {
        let setup = Setup::local();
        answered(setup.post(&receiver.url(), AMPLE).await);
        setup.freeze(15_000);
        for _ in 0..3 {
            assert_eq!(answered(setup.post(&receiver.url(), AMPLE).await).status, 200);
        }
        assert_eq!((receiver.connections(), receiver.requests().len()), (2, 4));
    }
}

#[tokio::test]
async fn a_connection_that_dies_while_the_function_runs_is_an_attempt_of_the_customers() {
    let receiver = Receiver::start(closes_its_first_connection).await;
    let setup = Setup::local();
    answered(setup.post(&receiver.url(), AMPLE).await);
    assert_eq!(
        failed(setup.post(&receiver.url(), AMPLE).await),
        FailureCode::ConnectionClosed
    );
    assert_eq!((receiver.connections(), receiver.requests().len()), (1, 2));
}

#[tokio::test]
async fn a_request_that_a_freeze_fell_into_is_our_fault_unless_it_was_answered() {
    let setup = Arc::new(Setup::local());
    for (answer, is_fault) in [("", true), (OK, false)] {
        let frozen = Arc::clone(&setup);
        let receiver = Receiver::start(move |mut connection| {
            let frozen = Arc::clone(&frozen);
            async move {
                connection.request().await;
                frozen.freeze(15_000);
                connection.send(answer).await;
            }
        })
        .await;
        match setup.try_post(&receiver.url(), AMPLE).await {
            Ok(exchange) => assert_eq!((answered(exchange).status, is_fault), (200, false)),
            Err(fault) => assert!(is_fault && matches!(fault, OurFault::Frozen), "{fault:?}"),
        }
        assert_eq!(receiver.requests().len(), 1);
    }
}
