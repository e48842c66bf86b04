//! The receiver: a process with one thread that answers every POST with an empty 200, and every GET with what it was sent
//! since the last one.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::rc::Rc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::HeaderMap;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::task::LocalSet;

use crate::Failure;

/// What was sent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Received {
    pub(crate) requests: u64,
    /// Of all bodies together.
    pub(crate) bytes: u64,
    /// The sum of [`digest`] over all requests.
    pub(crate) digest: u64,
    /// The names of all headers that any request had.
    pub(crate) headers: BTreeSet<String>,
}

/// One request: sums of these are alike only if the same events came with the same bytes, in whatever order.
pub(crate) fn digest(id: &str, body: &[u8]) -> u64 {
    u64::from(crc32fast::hash(id.as_bytes())) << 32 | u64::from(crc32fast::hash(body))
}

impl Received {
    fn note(&mut self, headers: &HeaderMap, body: &[u8]) {
        let id = headers.get("webhook-id").and_then(|id| id.to_str().ok());
        self.requests += 1;
        self.bytes += body.len() as u64;
        self.digest = self.digest.wrapping_add(digest(id.unwrap_or_default(), body));
        for name in headers.keys() {
            if !self.headers.contains(name.as_str()) {
                self.headers.insert(name.to_string());
            }
        }
    }
}

/// Receives until its process is ended. Says its port first.
pub(crate) async fn run() -> Result<(), Failure> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{}", listener.local_addr()?.port())?;
    stdout.flush()?;
    let received = Rc::<RefCell<Received>>::default();
    LocalSet::new().run_until(listen(listener, received)).await
}

async fn listen(listener: TcpListener, received: Rc<RefCell<Received>>) -> Result<(), Failure> {
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let received = Rc::clone(&received);
        let answer = service_fn(move |request| answer(Rc::clone(&received), request));
        tokio::task::spawn_local(async move {
            // A connection that breaks is missed by whoever counts.
            drop(
                http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), answer)
                    .await,
            );
        });
    }
}

async fn answer(
    received: Rc<RefCell<Received>>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    if request.method() == Method::GET {
        let taken = received.take();
        let said = serde_json::to_vec(&taken).unwrap_or_default();
        return Ok(Response::new(Full::from(said)));
    }
    let (head, body) = request.into_parts();
    if let Ok(body) = body.collect().await {
        received.borrow_mut().note(&head.headers, &body.to_bytes());
    }
    Ok(Response::new(Full::default()))
}
