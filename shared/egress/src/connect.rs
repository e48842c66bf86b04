//! Makes a connection to a customer: name, TCP, TLS. It must never connect to an address that was not vetted, nor without TLS
//! where the policy wants it; that a caller has looked before changes nothing.

use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use http::uri::Scheme;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::TokioIo;
use redial_domain::address::AddressPolicy;
use rustls::ClientConfig;
use rustls::pki_types::{InvalidDnsNameError, ServerName};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tower::{Service, ServiceExt as _};

use crate::meter::Metered;
use crate::progress;
use crate::resolver::{VettingError, VettingResolver};

/// How long name lookup, TCP and TLS may take together.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// When an unused or silent connection is asked whether it is still there, how often, and how long what was sent may stay
/// unacknowledged.
const KEEPALIVE: Duration = Duration::from_secs(15);
const KEEPALIVE_PROBES: u32 = 3;
const UNACKNOWLEDGED: Duration = Duration::from_secs(30);

/// The protocol that was agreed on in the TLS handshake is HTTP/2.
const HTTP2: &[u8] = b"h2";

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectFailure {
    #[error("the policy wants TLS")]
    WithoutTls,
    #[error("the address is no target")]
    Address(#[source] VettingError),
    #[error("no TCP connection")]
    Tcp(#[source] <HttpConnector<VettingResolver> as Service<Uri>>::Error),
    #[error("the host is no name that TLS knows")]
    Name(#[from] InvalidDnsNameError),
    #[error("no TLS")]
    Tls(#[source] io::Error),
    #[error("not within the time for a connection")]
    TooSlow,
}

/// Connects. Cheap to clone: the client does it for each request.
#[derive(Clone)]
pub(crate) struct Connector(Arc<Parts>);

struct Parts {
    tcp: HttpConnector<VettingResolver>,
    tls: TlsConnector,
    policy: Arc<AddressPolicy>,
}

impl Connector {
    pub(crate) fn new(resolver: VettingResolver, tls: ClientConfig) -> Self {
        let policy = Arc::clone(&resolver.policy);
        let mut tcp = HttpConnector::new_with_resolver(resolver);
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
        tcp.set_keepalive(Some(KEEPALIVE));
        tcp.set_keepalive_interval(Some(KEEPALIVE));
        tcp.set_keepalive_retries(Some(KEEPALIVE_PROBES));
        #[cfg(target_os = "linux")]
        tcp.set_tcp_user_timeout(Some(UNACKNOWLEDGED));
        Self(Arc::new(Parts {
            tcp,
            tls: TlsConnector::from(Arc::new(tls)),
            policy,
        }))
    }

    async fn connect(self, target: Uri) -> Result<TokioIo<Stream>, ConnectFailure> {
        let Parts { tcp, tls, policy } = &*self.0;
        let with_tls = target.scheme() == Some(&Scheme::HTTPS);
        if !with_tls && !policy.allows_http() {
            return Err(ConnectFailure::WithoutTls);
        }
        let host = target.host().unwrap_or_default();
        let host = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host);
        // An address is not looked up: the resolver never sees it.
        if let Ok(address) = host.parse::<IpAddr>() {
            crate::resolver::vet(&[address], policy).map_err(ConnectFailure::Address)?;
        }
        let name = if with_tls {
            Some(ServerName::try_from(host.to_owned())?)
        } else {
            None
        };
        let tcp = tcp.clone().oneshot(target).await.map_err(ConnectFailure::Tcp)?;
        let tcp = Metered::new(tcp.into_inner());
        let Some(name) = name else {
            return Ok(TokioIo::new(Stream::Plain(tcp)));
        };
        progress::handshaking();
        let tls = tls.connect(name, tcp).await.map_err(ConnectFailure::Tls)?;
        Ok(TokioIo::new(Stream::Tls(Box::new(tls))))
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Stream>;
    type Error = ConnectFailure;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, ConnectFailure>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectFailure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, target: Uri) -> Self::Future {
        let waits = progress::connecting();
        let connecting = tokio::time::timeout(CONNECT_TIMEOUT, self.clone().connect(target));
        Box::pin(async move {
            let connection = connecting.await.unwrap_or(Err(ConnectFailure::TooSlow))?;
            progress::connected(waits);
            Ok(connection)
        })
    }
}

/// A connection, metered.
pub(crate) enum Stream {
    Plain(Metered<TcpStream>),
    Tls(Box<TlsStream<Metered<TcpStream>>>),
}

/// Calls a method of whichever transport it is.
macro_rules! of_transport {
    ($self:ident.$method:ident($($argument:expr),*)) => {
        match $self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).$method($($argument),*),
            Stream::Tls(stream) => Pin::new(stream).$method($($argument),*),
        }
    };
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        match self {
            Self::Plain(tcp) => tcp.get_ref().connected(),
            Self::Tls(tls) => {
                let (tcp, session) = tls.get_ref();
                let connected = tcp.get_ref().connected();
                if session.alpn_protocol() == Some(HTTP2) {
                    connected.negotiated_h2()
                } else {
                    connected
                }
            }
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        of_transport!(self.poll_read(cx, into))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        of_transport!(self.poll_write(cx, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        of_transport!(self.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        of_transport!(self.poll_shutdown(cx))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        of_transport!(self.poll_write_vectored(cx, parts))
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }
}
