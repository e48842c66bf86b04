//! HTTP/2 receivers that misbehave: each costs one attempt.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use h2::server::{Connection as Http2, SendResponse};
use h2::{Reason, RecvStream};
use http::{Request, Response};
use redial_domain::outcome::{FailureCode, MAX_RESPONSE_BYTES};
use redial_egress::Post;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use crate::fixtures::{AMPLE, RECEIVER_NAME, Setup, answered, failed};
use crate::receiver::Receiver;
use crate::tls::{Authority, trusting};

type Tls = TlsStream<TcpStream>;
type Taken = (Request<RecvStream>, SendResponse<Bytes>);

/// A receiver that speaks TLS and then does as `script` says.
async fn receiver<S, F>(script: S) -> (Setup, Receiver, String)
where
    S: Fn(Tls) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let authority = Authority::found();
    let acceptor = authority.issue(RECEIVER_NAME).acceptor(&["h2"]);
    let receiver = Receiver::start(move |connection| {
        let (acceptor, script) = (acceptor.clone(), script.clone());
        async move {
            let Ok(stream) = acceptor.accept(connection.stream).await else {
                return;
            };
            assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
            script(stream).await;
        }
    })
    .await;
    let url = format!("https://{RECEIVER_NAME}:{}/", receiver.address.port());
    (trusting(&authority), receiver, url)
}

async fn handshake(stream: Tls) -> Option<Http2<Tls, Bytes>> {
    h2::server::handshake(stream).await.ok()
}

async fn take(connection: &mut Http2<Tls, Bytes>) -> Option<Taken> {
    connection.accept().await?.ok()
}

async fn drive(mut connection: Http2<Tls, Bytes>) {
    while take(&mut connection).await.is_some() {}
}

#[tokio::test]
async fn a_receiver_that_speaks_http2_is_spoken_to_in_http2() {
    let (setup, receiver, url) = receiver(|stream| async move {
        let Some(mut connection) = handshake(stream).await else {
            return;
        };
        while let Some((request, mut answer)) = take(&mut connection).await {
            assert_eq!(request.method(), "POST");
            assert_eq!(request.headers()["content-type"], "application/json");
            answer
                .send_response(Response::builder().status(202).body(()).unwrap(), true)
                .unwrap();
        }
    })
    .await;
    for _ in 0..3 {
        assert_eq!(answered(setup.post(&url, AMPLE).await).status, 202);
    }
    assert_eq!(receiver.connections(), 1);
}

#[tokio::test]
async fn a_goaway_instead_of_an_answer_costs_one_attempt() {
    for reason in [Reason::NO_ERROR, Reason::ENHANCE_YOUR_CALM, Reason::INTERNAL_ERROR] {
        let (setup, receiver, url) = receiver(move |stream| async move {
            let Some(mut connection) = handshake(stream).await else {
                return;
            };
            let taken = take(&mut connection).await;
            connection.abrupt_shutdown(reason);
            drive(connection).await;
            drop(taken);
        })
        .await;
        assert_eq!(
            failed(setup.post(&url, AMPLE).await),
            FailureCode::ConnectionClosed,
            "{reason:?}"
        );
        assert_eq!(receiver.connections(), 1, "{reason:?}");
    }
}

#[tokio::test]
async fn a_stream_that_is_reset_costs_one_attempt() {
    for reason in [
        Reason::REFUSED_STREAM,
        Reason::CANCEL,
        Reason::INTERNAL_ERROR,
        Reason::PROTOCOL_ERROR,
    ] {
        let requests = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&requests);
        let (setup, receiver, url) = receiver(move |stream| {
            let counted = Arc::clone(&counted);
            async move {
                let Some(mut connection) = handshake(stream).await else {
                    return;
                };
                while let Some((_, mut answer)) = take(&mut connection).await {
                    counted.fetch_add(1, Ordering::SeqCst);
                    answer.send_reset(reason);
                }
            }
        })
        .await;
        assert_eq!(
            failed(setup.post(&url, AMPLE).await),
            FailureCode::ConnectionClosed,
            "{reason:?}"
        );
        assert_eq!(
            (receiver.connections(), requests.load(Ordering::SeqCst)),
            (1, 1),
            "{reason:?}"
        );
    }
}

/// An HTTP/2 frame.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

#[tokio::test]
async fn a_flood_of_control_frames_costs_one_attempt() {
    let settings = frame(4, 0, 0, &[]);
    for (what, flooding) in [
        (
            "resets of a stream that is not there",
            frame(3, 0, 7, &8_u32.to_be_bytes()),
        ),
        ("resets of the server's streams", frame(3, 0, 2, &8_u32.to_be_bytes())),
        ("goaways", frame(7, 0, 0, &[0, 0, 0, 0, 0, 0, 0, 11])),
        ("continuations of nothing", frame(9, 0, 1, &[0; 64])),
        ("unknown frames of a closed size", frame(0xee, 0, 0, &[0; 64])),
        ("frames that are too large", frame(0, 0, 1, &[0; 64_000])),
        ("settings", settings.clone()),
        ("pings", frame(6, 0, 0, &[0; 8])),
    ] {
        let (settings, burst) = (settings.clone(), flooding.repeat(100));
        let (setup, receiver, url) = receiver(move |mut stream| {
            let (settings, burst) = (settings.clone(), burst.clone());
            async move {
                let _sent = stream.write_all(&settings).await;
                while stream.write_all(&burst).await.is_ok() {}
            }
        })
        .await;
        let code = failed(setup.post(&url, Duration::from_secs(4)).await);
        let one_of = [
            FailureCode::ProtocolError,
            FailureCode::ConnectionClosed,
            FailureCode::Timeout,
        ];
        assert!(one_of.contains(&code), "{what}: {code:?}");
        assert_eq!(receiver.connections(), 1, "{what}");
    }
}

#[tokio::test]
async fn too_many_headers_in_http2_fail() {
    let (setup, receiver, url) = receiver(|stream| async move {
        let Some(mut connection) = handshake(stream).await else {
            return;
        };
        let Some((_, mut answer)) = take(&mut connection).await else {
            return;
        };
        let mut response = Response::builder().status(200);
        for n in 0..10_000 {
            response = response.header(format!("x-{n}"), "v");
        }
        let _refused = answer.send_response(response.body(()).unwrap(), true);
        drive(connection).await;
    })
    .await;
    let exchange = setup.post(&url, AMPLE).await;
    assert!(
        u128::from(exchange.duration_ms) < AMPLE.as_millis() / 2,
        "{} ms",
        exchange.duration_ms
    );
    assert_eq!(failed(exchange), FailureCode::ProtocolError);
    assert_eq!(receiver.connections(), 1);
}

#[tokio::test]
async fn an_endless_body_in_http2_is_cut() {
    let (setup, _receiver, url) = receiver(|stream| async move {
        let Some(mut connection) = handshake(stream).await else {
            return;
        };
        let Some((_, mut answer)) = take(&mut connection).await else {
            return;
        };
        let mut body = answer.send_response(Response::new(()), false).unwrap();
        tokio::spawn(drive(connection));
        loop {
            body.reserve_capacity(16_384);
            let capacity = std::future::poll_fn(|cx| body.poll_capacity(cx)).await;
            let Some(Ok(room)) = capacity else { return };
            if body.send_data(Bytes::from(vec![b'h'; room]), false).is_err() {
                return;
            }
        }
    })
    .await;
    let answer = answered(setup.post(&url, AMPLE).await);
    assert_eq!(
        (answer.status, answer.body.len(), answer.truncated),
        (200, MAX_RESPONSE_BYTES, true)
    );
}

#[tokio::test]
async fn a_connection_on_which_no_answer_came_in_time_is_not_used_again() {
    let connections = Arc::new(AtomicUsize::new(0));
    let (setup, receiver, url) = receiver(move |stream| {
        let number = connections.fetch_add(1, Ordering::SeqCst);
        async move {
            let Some(mut connection) = handshake(stream).await else {
                return;
            };
            let mut unanswered = Vec::new();
            while let Some((_, mut answer)) = take(&mut connection).await {
                if number == 0 {
                    unanswered.push(answer);
                    continue;
                }
                answer.send_response(Response::new(()), true).unwrap();
            }
        }
    })
    .await;
    assert_eq!(
        failed(setup.post(&url, crate::fixtures::SHORT).await),
        FailureCode::Timeout
    );
    for _ in 0..2 {
        assert_eq!(answered(setup.post(&url, AMPLE).await).status, 200);
    }
    assert_eq!(receiver.connections(), 2);
}

#[tokio::test]
async fn a_connection_on_which_a_body_did_not_come_in_time_is_not_used_again() {
    let (setup, receiver, url) = receiver(|stream| async move {
        let Some(mut connection) = handshake(stream).await else {
            return;
        };
        let mut unended = Vec::new();
        while let Some((_, mut answer)) = take(&mut connection).await {
            unended.push(answer.send_response(Response::new(()), false).unwrap());
        }
    })
    .await;
    for connections in 1..3 {
        // Ample for a handshake.
        let answer = answered(setup.post(&url, Duration::from_secs(2)).await);
        assert_eq!((answer.status, answer.truncated), (200, true));
        assert_eq!(receiver.connections(), connections);
    }
}

/// It takes all that it can be sent and reads nothing of it, so that nothing more can be said to it, not even that this is the
/// end; and it says that it is there.
#[tokio::test]
async fn a_connection_whose_receiver_never_reads_is_let_go() {
    let (said, mut ended) = tokio::sync::mpsc::channel(1);
    let (setup, _receiver, url) = receiver(move |mut stream| {
        let said = said.clone();
        async move {
            let most_window = [&4_u16.to_be_bytes()[..], &(u32::MAX >> 1).to_be_bytes()].concat();
            let more = (u32::MAX >> 2).to_be_bytes();
            let hello = [frame(4, 0, 0, &most_window), frame(8, 0, 0, &more)].concat();
            let ping = frame(6, 1, 0, &[7; 8]);
            let mut sent = stream.write_all(&hello).await;
            let mut each_second = tokio::time::interval(Duration::from_secs(1));
            while sent.is_ok() {
                each_second.tick().await;
                sent = stream.write_all(&ping).await;
            }
            said.send(()).await.unwrap();
        }
    })
    .await;
    let target = setup.egress.admit(&url).unwrap();
    let post = Post {
        whose: "acme",
        url: target.as_str(),
        headers: Vec::new(),
        body: Bytes::from(vec![b' '; 64 << 20]),
        timeout: Duration::from_secs(2),
    };
    assert_eq!(failed(setup.egress.post(post).await.unwrap()), FailureCode::Timeout);
    // The rest is waiting.
    tokio::time::pause();
    let end = tokio::time::timeout(Duration::from_secs(90), ended.recv()).await;
    assert_eq!(end, Ok(Some(())));
}
