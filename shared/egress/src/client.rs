//! Builds the HTTP client. The only place where one is built: what is off here is off everywhere.
//!
//! No redirects (they would re-POST body and signature elsewhere), no proxy (the environment would choose who reads
//! them), no cookies, no decompression (a 65 kB body decodes to 64 MiB; the features are not compiled in), no retry.

use std::sync::Arc;
use std::time::Duration;

use redial_domain::address::AddressPolicy;
use reqwest::Client;
use rustls::client::Resumption;
use rustls::{ClientConfig, RootCertStore};

use crate::handshake::NoteHandshakes;
use crate::progress::NoteConnections;
use crate::resolver::VettingResolver;
use crate::settings::EgressSettings;

/// How long name lookup, TCP and TLS may take together.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long an unused connection is kept. Receivers close theirs after some seconds; a frozen function cannot see it.
pub const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(20);

/// Idle connections kept for one host. An execution environment never needs more than its batch of ten; on one machine
/// hundreds of deliveries run at once, and each connection that is not kept costs a port for a minute.
const POOL_MAX_IDLE_PER_HOST: usize = 128;

/// Headers of an answer; with more the answer is refused while it is read.
pub const MAX_RESPONSE_HEADERS: usize = 256;

/// Bytes of an HTTP/2 answer's header list, as it is announced to the receiver.
const MAX_HTTP2_HEADER_LIST_BYTES: u32 = 64 * 1024;

/// What an HTTP/2 receiver may send of one body before anybody reads: four times what is kept.
const HTTP2_STREAM_WINDOW_BYTES: u32 = 64 * 1024;

/// What an HTTP/2 receiver may send in all before anybody reads.
const HTTP2_CONNECTION_WINDOW_BYTES: u32 = 256 * 1024;

/// Why an egress could not be made. A fault of the settings or the build.
#[derive(Debug, thiserror::Error)]
pub enum EgressError {
    /// The TLS settings are not possible, or an extra root is no certificate.
    #[error("the TLS settings are not possible")]
    Tls(#[from] rustls::Error),
    /// The HTTP client refused its settings.
    #[error("the HTTP client could not be built")]
    Client(#[from] reqwest::Error),
}

/// What a client is made of. Clients made by one maker share nothing but the memory of TLS sessions.
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
    pub(crate) fn build(&self) -> Result<Client, EgressError> {
        self.client(self.tls.clone(), POOL_MAX_IDLE_PER_HOST)
    }

    /// Builds a client for one request, whose every step is noted: it keeps no connection and resumes no TLS session.
    pub(crate) fn build_for_one(&self) -> Result<Client, EgressError> {
        let mut tls = self.tls.clone();
        tls.resumption = Resumption::store(Arc::new(NoteHandshakes));
        self.client(tls, 0)
    }

    fn client(&self, tls: ClientConfig, max_idle: usize) -> Result<Client, EgressError> {
        let client = Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .retry(reqwest::retry::never())
            .https_only(!self.policy.allows_http())
            .tls_backend_preconfigured(tls)
            .dns_resolver(self.resolver.clone())
            .connector_layer(NoteConnections)
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(POOL_IDLE_TIMEOUT)
            .pool_max_idle_per_host(max_idle)
            .http1_max_headers(MAX_RESPONSE_HEADERS)
            .http2_max_header_list_size(MAX_HTTP2_HEADER_LIST_BYTES)
            .http2_initial_stream_window_size(HTTP2_STREAM_WINDOW_BYTES)
            .http2_initial_connection_window_size(HTTP2_CONNECTION_WINDOW_BYTES)
            .build()?;
        Ok(client)
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
