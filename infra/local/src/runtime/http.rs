//! The one HTTP server of a local run: ingest, API and console under one origin, HTTP/1.1, on loopback only. Half a request
//! must never stay for longer than its time, nor a connection that says nothing.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use redial_platform::source::Peer;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Sleep, sleep};
use tower::ServiceExt as _;

#[cfg(test)]
mod tests;

/// What those who connect are given. docs/LIMITS.md, "On one machine".
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// For the head of a request, from the connection or the answer before it.
    pub(crate) head: Duration,
    /// For its body, from its head.
    pub(crate) body: Duration,
    /// Connections at once; more wait.
    pub(crate) connections: usize,
}

impl Bounds {
    /// Those of `redial serve`.
    pub(crate) const SERVED: Self = Self {
        head: Duration::from_secs(60),
        body: Duration::from_secs(60),
        connections: 512,
    };
}

/// How long to wait when no connection can be taken: no file handles.
const ACCEPT_AGAIN: Duration = Duration::from_millis(500);

/// Why a request's body was not read to its end.
#[derive(Debug, thiserror::Error)]
enum BodyError {
    #[error("the body did not come in time")]
    TooSlow,
    #[error("the body broke off")]
    Broken(#[from] hyper::Error),
}

/// Serves until `stop` becomes true; requests under way are answered, connections without one are closed.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    bounds: Bounds,
    mut stop: watch::Receiver<bool>,
) -> io::Result<()> {
    let places = Arc::new(Semaphore::new(bounds.connections));
    let under_way = GracefulShutdown::new();
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(bounds.head);
    let mut stopped = pin!(async move {
        // Fails only if whoever could stop it is gone.
        drop(stop.wait_for(|stop| *stop).await);
    });
    loop {
        let (stream, peer, place) = tokio::select! {
            biased;
            () = &mut stopped => break,
            taken = take(&listener, &places) => taken?,
        };
        let router = router.clone();
        let service = service_fn(move |request| {
            let request = request_of(request, peer, bounds.body);
            router.clone().oneshot(request)
        });
        let connection = under_way.watch(http.serve_connection(TokioIo::new(stream), service));
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "http.connection_ended");
            }
            drop(place);
        });
    }
    drop(listener);
    under_way.shutdown().await;
    Ok(())
}

/// The next connection, once there is a place for it.
async fn take(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.map_err(io::Error::other)?;
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                // Small answers on a connection that stays must not wait for the other side's acknowledgement.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "http.delayed");
                }
                return Ok((stream, peer, place));
            }
            Err(error) => {
                tracing::warn!(%error, "http.not_accepted");
                sleep(ACCEPT_AGAIN).await;
            }
        }
    }
}

/// The request as the router gets it: it says who is at the other end of its connection (keys may be for some networks only),
/// and its body ends in time.
fn request_of(request: axum::http::Request<Incoming>, peer: SocketAddr, time: Duration) -> axum::http::Request<Body> {
    let mut request = request.map(|body| {
        let end = Box::pin(sleep(time));
        Body::new(Timed { body, end })
    });
    request.extensions_mut().insert(Peer(peer));
    request
}

/// A body that comes until a moment, or not.
struct Timed {
    body: Incoming,
    end: Pin<Box<Sleep>>,
}

impl hyper::body::Body for Timed {
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            return Poll::Ready(frame.map(|frame| frame.map_err(|error| BodyError::from(error).into())));
        }
        ready!(self.end.as_mut().poll(cx));
        Poll::Ready(Some(Err(BodyError::TooSlow.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
