//! Builds the HTTP client. The only place where one is built: what is off here is off everywhere.
//!
//! No redirects (they would re-POST body and signature elsewhere), no proxy (the environment would choose who reads
//! them), no cookies, no decompression (a 65 kB body decodes to 64 MiB), no retry: it is hyper's client, which has none of
//! these, over the connector of `connect.rs`. A client with more in it would hand its connections to nobody, and what comes
//! on them has to be metered (`meter.rs`).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use redial_domain::address::AddressPolicy;
use rustls::client::Resumption;
use rustls::{ClientConfig, RootCertStore};

use crate::connect::Connector;
use crate::resolver::VettingResolver;
use crate::settings::EgressSettings;

/// How long an unused connection is kept. Receivers close theirs after some seconds; a frozen function cannot see it.
pub const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(20);

/// Idle connections kept for one host. An execution environment never needs more than its batch of ten; on one machine
/// hundreds of deliveries run at once, each connection that is not kept is made again (of deliveries to one host in a burst, one
/// in four was: 19,924 connections for 80,000 with 128 of them kept), and costs a port for a minute.
const POOL_MAX_IDLE_PER_HOST: usize = 1_024;

/// Headers of an answer; with more the answer is refused while it is read.
pub const MAX_RESPONSE_HEADERS: usize = 256;

/// Bytes of an HTTP/2 answer's header list, as it is announced to the receiver.
const MAX_HTTP2_HEADER_LIST_BYTES: u32 = 64 * 1024;

/// What an HTTP/2 receiver may send of one body before anybody reads: four times what is kept.
const HTTP2_STREAM_WINDOW_BYTES: u32 = 64 * 1024;

/// What an HTTP/2 receiver may send in all before anybody reads.
const HTTP2_CONNECTION_WINDOW_BYTES: u32 = 256 * 1024;

/// When a receiver of HTTP/2 that is silent is asked whether it is still there, also on a connection that nobody uses.
const HTTP2_PING_AFTER: Duration = Duration::from_secs(15);

/// How long its answer may take: together longer than any request may, so that it ends no request before its own timeout. It
/// ends a connection that cannot even be closed, because the other side reads nothing any more.
const HTTP2_PING_TIMEOUT: Duration = Duration::from_secs(20);

/// Why an egress could not be made. A fault of the settings or the build.
#[derive(Debug, thiserror::Error)]
pub enum EgressError {
    /// The TLS settings are not possible, or an extra root is no certificate.
    #[error("the TLS settings are not possible")]
    Tls(#[from] rustls::Error),
}

/// The client: connections are pooled by scheme, host and port.
pub(crate) type HttpClient = Client<Connector, Full<Bytes>>;

/// What a client is made of. Clients made by one maker share nothing but the memory of TLS sessions and
/// the turns for lookups.
pub(crate) struct Maker {
    policy: Arc<AddressPolicy>,
    resolver: VettingResolver,
    tls: ClientConfig,
}

impl Maker {
    pub(crate) fn new(settings: &EgressSettings) -> Result<Self, EgressError> {
        let policy = Arc::new(settings.policy.clone());
        let resolver = VettingResolver {
            inner: Arc::clone(&settings.resolver),
            policy: Arc::clone(&policy),
            lookups: Arc::default(),
        };
        Ok(Self {
            policy,
            resolver,
            tls: tls(settings)?,
        })
    }

    pub(crate) fn policy(&self) -> &AddressPolicy {
        &self.policy
    }

    /// Builds a client, whose pool is empty.
    pub(crate) fn build(&self) -> HttpClient {
        self.client(self.tls.clone(), POOL_MAX_IDLE_PER_HOST)
    }

    /// Builds a client for one request, whose every step is noted: it keeps no connection and resumes no TLS session, so that
    /// the certificate is the one that the receiver has now.
    pub(crate) fn build_for_one(&self) -> HttpClient {
        let mut tls = self.tls.clone();
        tls.resumption = Resumption::disabled();
        self.client(tls, 0)
    }

    fn client(&self, tls: ClientConfig, max_idle: usize) -> HttpClient {
        Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(POOL_IDLE_TIMEOUT)
            .pool_max_idle_per_host(max_idle)
            .http1_max_headers(MAX_RESPONSE_HEADERS)
            .http2_max_header_list_size(MAX_HTTP2_HEADER_LIST_BYTES)
            .http2_initial_stream_window_size(HTTP2_STREAM_WINDOW_BYTES)
            .http2_initial_connection_window_size(HTTP2_CONNECTION_WINDOW_BYTES)
            .http2_keep_alive_interval(HTTP2_PING_AFTER)
            .http2_keep_alive_timeout(HTTP2_PING_TIMEOUT)
            .http2_keep_alive_while_idle(true)
            .build(Connector::new(self.resolver.clone(), tls))
    }
}

/// The TLS settings: 1.2 and 1.3, bundled roots (reading the system's store is most of a cold start), ring.
fn tls(settings: &EgressSettings) -> Result<ClientConfig, EgressError> {
    let mut roots = RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    };
    for root in &settings.extra_roots {
        roots.add(root.clone())?;
    }
    let mut tls = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(tls)
}
