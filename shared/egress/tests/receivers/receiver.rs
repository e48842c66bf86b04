//! A scripted receiver: for each connection a script reads requests and writes whatever bytes it likes.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// All values of a header, name in any case.
    pub(crate) fn header(&self, name: &str) -> Vec<&str> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines
            .filter(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
            .collect()
    }
}

#[derive(Default)]
struct Ledger {
    connections: AtomicUsize,
    requests: Mutex<Vec<Request>>,
}

/// One connection to the receiver.
pub(crate) struct Connection {
    /// 0 for the first connection.
    pub(crate) number: usize,
    pub(crate) stream: TcpStream,
    ledger: Arc<Ledger>,
}

impl Connection {
    /// The next request, or `None` if the sender went away.
    pub(crate) async fn request(&mut self) -> Option<Request> {
        let mut bytes = Vec::new();
        let head_end = loop {
            if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            if self.stream.read_buf(&mut bytes).await.ok()? == 0 {
                return None;
            }
        };
        let head = String::from_utf8(bytes[..head_end].to_vec()).unwrap();
        let mut request = Request {
            head,
            body: bytes[head_end..].to_vec(),
        };
        let length = request
            .header("content-length")
            .first()
            .map_or(0, |length| length.parse().unwrap());
        while request.body.len() < length {
            if self.stream.read_buf(&mut request.body).await.ok()? == 0 {
                return None;
            }
        }
        self.ledger.requests.lock().unwrap().push(request.clone());
        Some(request)
    }

    /// Writes bytes; false if the sender went away.
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).await.is_ok()
    }

    /// Reads a request and answers it.
    pub(crate) async fn answer(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.request().await.is_some() && self.send(bytes).await
    }

    /// Waits until the sender goes away, answering nothing.
    pub(crate) async fn wait_for_the_end(&mut self) {
        let mut bytes = [0; 4096];
        while self.stream.read(&mut bytes).await.is_ok_and(|count| count > 0) {}
    }
}

/// A receiver on a loopback port of its own.
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    ledger: Arc<Ledger>,
}

impl Receiver {
    /// Runs `script` for each connection.
    pub(crate) async fn start<S, F>(script: S) -> Self
    where
        S: Fn(Connection) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let ledger = Arc::new(Ledger::default());
        let kept = Arc::clone(&ledger);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let number = kept.connections.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(script(Connection {
                    number,
                    stream,
                    ledger: Arc::clone(&kept),
                }));
            }
        });
        Self { address, ledger }
    }

    /// Answers every request with the same bytes.
    pub(crate) async fn answering(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes: Arc<[u8]> = bytes.into().into();
        Self::start(move |mut connection| {
            let bytes = Arc::clone(&bytes);
            async move { while connection.answer(&bytes).await {} }
        })
        .await
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    pub(crate) fn connections(&self) -> usize {
        self.ledger.connections.load(Ordering::SeqCst)
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.ledger.requests.lock().unwrap().clone()
    }
}
