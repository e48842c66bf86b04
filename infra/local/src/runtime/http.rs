//! The one HTTP server of a local run: ingest, API and console under one origin, HTTP/1.1, on loopback only.

use std::io;

use axum::Router;
use axum::serve::ListenerExt as _;
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
    axum::serve(listener, router).with_graceful_shutdown(stopped).await
}
