//! Bodies of answers: 16 KiB are kept, whatever comes, and a status once received counts.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use redial_domain::outcome::MAX_RESPONSE_BYTES;
use tokio::sync::Notify;

use crate::fixtures::{AMPLE, SHORT, Setup, answered};
use crate::receiver::Receiver;

#[tokio::test]
async fn a_huge_body_is_cut_and_the_connection_dropped() {
    let dropped = Arc::new(Notify::new());
    let noted = Arc::clone(&dropped);
    let receiver = Receiver::start(move |mut connection| {
        let noted = Arc::clone(&noted);
        async move {
            connection
                .answer("HTTP/1.1 200 OK\r\ncontent-length: 1000000000000\r\n\r\n")
                .await;
            while connection.send([b'a'; 8192]).await {}
            noted.notify_one();
        }
    })
    .await;
    let answer = answered(Setup::local().post(&receiver.url(), AMPLE).await);
    assert_eq!((answer.status, answer.truncated), (200, true));
    assert_eq!(answer.body, [b'a'; MAX_RESPONSE_BYTES]);
    // The receiver could not go on writing: nobody reads the rest.
    dropped.notified().await;
}

#[tokio::test]
async fn an_endless_chunked_body_is_cut() {
    let receiver = Receiver::start(|mut connection| async move {
        connection
            .answer("HTTP/1.1 202 Accepted\r\ntransfer-encoding: chunked\r\n\r\n")
            .await;
        while connection.send("5\r\nhello\r\n").await {}
    })
    .await;
    let answer = answered(Setup::local().post(&receiver.url(), AMPLE).await);
    assert_eq!(
        (answer.status, answer.body.len(), answer.truncated),
        (202, MAX_RESPONSE_BYTES, true)
    );
}

#[tokio::test]
async fn a_body_of_exactly_the_limit_is_whole() {
    let setup = Setup::local();
    for (length, truncated) in [
        (MAX_RESPONSE_BYTES - 1, false),
        (MAX_RESPONSE_BYTES, false),
        (MAX_RESPONSE_BYTES + 1, true),
    ] {
        let body = "b".repeat(length);
        let receiver = Receiver::answering(format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}")).await;
        let answer = answered(setup.post(&receiver.url(), AMPLE).await);
        assert_eq!(
            (answer.body.len(), answer.truncated),
            (length.min(MAX_RESPONSE_BYTES), truncated)
        );
    }
}

#[tokio::test]
async fn a_gzip_bomb_is_kept_as_it_came() {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&vec![0; 8 * 1024 * 1024]).unwrap();
    let bomb = encoder.finish().unwrap();
    assert!(bomb.len() < MAX_RESPONSE_BYTES);
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n",
        bomb.len()
    );
    let receiver = Receiver::answering([head.as_bytes(), &bomb].concat()).await;
    let answer = answered(Setup::local().post(&receiver.url(), AMPLE).await);
    assert_eq!((answer.body, answer.truncated), (bomb, false));
}

#[tokio::test]
async fn a_body_that_breaks_off_does_not_unsay_the_status() {
    let setup = Setup::local();
    for broken in [
        "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\nZZ\r\n",
    ] {
        let receiver = Receiver::start(move |mut connection| async move {
            connection.answer(broken).await;
        })
        .await;
        let answer = answered(setup.post(&receiver.url(), AMPLE).await);
        assert_eq!(
            (answer.status, answer.body.as_slice(), answer.truncated),
            (200, &b"half"[..], true),
            "{broken:?}"
        );
        assert_eq!(receiver.requests().len(), 1);
    }
}

#[tokio::test]
async fn a_body_that_is_slower_than_the_timeout_does_not_unsay_the_status() {
    let receiver = Receiver::start(|mut connection| async move {
        connection
            .answer("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
            .await;
        let mut drip = tokio::time::interval(Duration::from_millis(100));
        while connection.send("x").await {
            drip.tick().await;
        }
    })
    .await;
    let answer = answered(Setup::local().post(&receiver.url(), SHORT).await);
    assert_eq!((answer.status, answer.truncated), (200, true));
    assert!(!answer.body.is_empty() && answer.body.len() < 1000);
}

#[tokio::test]
async fn a_body_where_none_belongs_is_not_read() {
    let setup = Setup::local();
    for status in [204, 304] {
        let head = format!("HTTP/1.1 {status} X\r\ncontent-length: 4\r\n\r\nevil");
        let receiver = Receiver::answering(head).await;
        for _ in 0..2 {
            let answer = answered(setup.post(&receiver.url(), AMPLE).await);
            assert_eq!((answer.status, answer.body.len(), answer.truncated), (status, 0, false));
        }
        assert_eq!(receiver.requests().len(), 2);
    }
}

#[tokio::test]
async fn a_content_type_is_passed_on_and_a_longer_body_than_announced_is_not() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 500 Evil\r\n\r\n";
    let receiver = Receiver::answering(head).await;
    let setup = Setup::local();
    for _ in 0..3 {
        let answer = answered(setup.post(&receiver.url(), AMPLE).await);
        assert_eq!((answer.status, answer.body.as_slice()), (200, &b"ok"[..]));
        assert_eq!(answer.content_type.as_deref(), Some("text/html"));
    }
}
