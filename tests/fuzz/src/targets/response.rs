//! What a receiver answers: the bytes come from a socket on loopback, to the client that sends to customers. Whatever comes, the
//! attempt ends with an answer or a code of the closed list, and no more is kept than may be.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use redial_domain::Timestamp;
use redial_domain::address::{AddressPolicy, AllowedNetworks};
use redial_domain::outcome::{FailureCode, MAX_RESPONSE_BYTES, Outcome};
use redial_domain::retry::{self, MAX_DELAY_S, RetryPolicy};
use redial_egress::{Egress, EgressSettings, MAX_SHOWN_HEADERS, Post};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use super::inputs;
use crate::Target;

pub(crate) const TARGET: Target = Target {
    name: "response",
    max_len: 32 * 1_024,
    run,
    seeds,
};

/// Far more than loopback needs.
const TIMEOUT: Duration = Duration::from_secs(15);
/// Requests that are made to one port: the connections of a minute must not use up the ports of the other side.
const MAX_REQUESTS: usize = 10_000;

fn seeds() -> Vec<Vec<u8>> {
    inputs([
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 429 Too Many\r\nretry-after: 120\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 503 x\r\nRetry-After: Fri, 20 Nov 2026 05:13:46 GMT\r\ncontent-type: text/html\r\n\r\n<html>",
        "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.2:9/\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\na: b\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.0 200 OK\r\n\r\nbody",
        "HTTP/1.1 101 Switching\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok",
        "HTTP/1.1 200 OK\r\n folded: x\r\nbad header\r\n\r\n",
        "HTTP/1.1 999 \u{ff}\r\na:\u{1}\r\n\r\n",
        "HTTP/2.0 200\r\n\r\n",
        "\0\0\0\u{4}\0\0\0\0\0",
        "",
    ])
}

struct Stand {
    runtime: Runtime,
    egress: Egress,
    listener: TcpListener,
    url: String,
    requests: usize,
}

thread_local! {
    static STAND: RefCell<Option<Stand>> = const { RefCell::new(None) };
}

impl Stand {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
        let networks = AllowedNetworks::parse(["127.0.0.1/32"]).expect("a network");
        let wall = Arc::new(|| Timestamp::from_millis(1_795_151_026_258));
        let settings = EgressSettings::new(AddressPolicy::with_local(networks, true), Vec::new(), wall);
        let egress = Egress::new(settings).expect("a way out");
        let port = listener.local_addr().expect("an address").port();
        let url = format!("http://127.0.0.1:{port}/");
        Self {
            runtime,
            egress,
            listener,
            url,
            requests: 0,
        }
    }

    /// One request that is answered with these bytes; every second one as the tests of endpoints make it.
    fn answered_with(&mut self, bytes: &[u8]) -> Outcome {
        self.requests += 1;
        let post = Post {
            whose: "acme",
            url: &self.url,
            headers: vec![("content-type".to_owned(), "application/json".to_owned())],
            body: Bytes::from_static(b"{}"),
            timeout: TIMEOUT,
        };
        let shows = bytes.len() % 2 == 1;
        let (egress, listener) = (&self.egress, &self.listener);
        self.runtime.block_on(async {
            let request = async {
                if shows {
                    let probed = egress.probe(post).await.expect("not our fault");
                    let headers = probed.head.map(|head| head.headers.len()).unwrap_or_default();
                    assert!(headers <= MAX_SHOWN_HEADERS);
                    probed.outcome
                } else {
                    egress.post(post).await.expect("not our fault").outcome
                }
            };
            let receiver = async {
                // Whether the client reads on is its own matter.
                let (mut socket, _) = listener.accept().await.expect("a connection");
                let mut head = [0; 1_024];
                let _ = socket.read(&mut head).await;
                let _ = socket.write_all(bytes).await;
                let _ = socket.shutdown().await;
                while socket.read(&mut head).await.is_ok_and(|read| read > 0) {}
            };
            tokio::join!(request, receiver).0
        })
    }
}

fn run(input: &[u8]) {
    let outcome = STAND.with_borrow_mut(|stand| {
        if stand.as_ref().is_some_and(|stand| stand.requests >= MAX_REQUESTS) {
            *stand = None;
        }
        stand.get_or_insert_with(Stand::new).answered_with(input)
    });
    match outcome {
        Outcome::Answered(answer) => {
            assert!((200..=999).contains(&answer.status), "{answer:?}");
            assert!(answer.body.len() <= MAX_RESPONSE_BYTES);
            let now = Timestamp::from_millis(1_795_151_026_258);
            let asked = answer
                .retry_after
                .as_deref()
                .and_then(|text| retry::retry_after_s(text, now));
            let wait = retry::wait(&RetryPolicy::default(), 1, false, asked, 0.5);
            assert!((1..=MAX_DELAY_S).contains(&wait.total_s));
        }
        Outcome::Failed(code) => {
            let possible = [FailureCode::ConnectionClosed, FailureCode::ProtocolError];
            assert!(possible.contains(&code), "{code:?}");
        }
    }
}
