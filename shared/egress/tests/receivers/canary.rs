//! A listener on 127.0.0.2 that nobody may ever reach.

use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpStream};

/// Where a redirect, a rebinding name or a hidden address would lead.
pub(crate) struct Canary {
    listener: TcpListener,
    address: SocketAddr,
}

impl Canary {
    pub(crate) async fn perch() -> Self {
        Self::perch_at(0).await
    }

    /// At a port that the way out is going to be asked for.
    pub(crate) async fn perch_at(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.2", port)).await.unwrap();
        let address = listener.local_addr().unwrap();
        Self { listener, address }
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections queue in order: if the first in the queue is ours, nobody came before us.
    pub(crate) async fn assert_never_reached(self) {
        let ours = TcpStream::connect(self.address).await.unwrap();
        let (_first, peer) = self.listener.accept().await.unwrap();
        assert_eq!(peer, ours.local_addr().unwrap(), "somebody reached the canary");
    }
}
