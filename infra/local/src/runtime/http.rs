//! The one HTTP server of a local run: ingest, API and console under one origin, HTTP/1.1, on loopback only.

use std::io;
use std::net::SocketAddr;

use axum::Router;
use axum::extract::{ConnectInfo, Request};
use axum::middleware::Next;
use axum::response::Response;
use axum::serve::ListenerExt as _;
use redial_platform::source::Peer;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// Serves until `stop` becomes true; requests under way are answered, connections without one are closed.
pub(crate) async fn serve(listener: TcpListener, router: Router, mut stop: watch::Receiver<bool>) -> io::Result<()> {
    let listener = listener.tap_io(|stream| {
        // Small answers on a connection that stays must not wait for the other side's acknowledgement.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "http.delayed");
        }
    });
    let stopped = async move {
        // Fails only if whoever could stop it is gone.
        drop(stop.wait_for(|stop| *stop).await);
    };
    let router = router.layer(axum::middleware::from_fn(with_peer));
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service).with_graceful_shutdown(stopped).await
}

/// Says in each request who is at the other end of its connection: keys may be for some networks only.
async fn with_peer(ConnectInfo(peer): ConnectInfo<SocketAddr>, mut request: Request, next: Next) -> Response {
    request.extensions_mut().insert(Peer(peer));
    next.run(request).await
}
