//! TLS receivers whose certificate is not right, each refused; and one whose is.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use redial_domain::outcome::FailureCode;
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use time::{Duration, OffsetDateTime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;

use crate::fixtures::{AMPLE, RECEIVER_NAME, Setup, answered, failed, policy};
use crate::receiver::Receiver;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

/// A certificate authority of the test's own.
pub(crate) struct Authority {
    pub(crate) certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate with its key.
pub(crate) struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Authority {
    pub(crate) fn found() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        params
            .distinguished_name
            .push(DnType::CommonName, "Redial test authority");
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap().der().clone();
        Self {
            certificate,
            issuer: Issuer::new(params, key),
        }
    }

    pub(crate) fn issue(&self, name: &str) -> Identity {
        self.issue_for(name, Duration::days(-1), Duration::days(1))
    }

    pub(crate) fn issue_for(&self, name: &str, from: Duration, until: Duration) -> Identity {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let now = OffsetDateTime::now_utc();
        (params.not_before, params.not_after) = (now + from, now + until);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Identity {
            chain: vec![certificate.der().clone()],
            key: key.into(),
        }
    }
}

impl Identity {
    pub(crate) fn self_signed(name: &str) -> Self {
        Self::signing_itself(&CertificateParams::new(vec![name.to_owned()]).unwrap())
    }

    /// As `openssl req -x509` makes it.
    pub(crate) fn self_signed_authority(name: &str) -> Self {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self::signing_itself(&params)
    }

    fn signing_itself(params: &CertificateParams) -> Self {
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self {
            chain: vec![certificate.der().clone()],
            key: key.into(),
        }
    }

    pub(crate) fn acceptor(self, alpn: &[&str]) -> TlsAcceptor {
        let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(self.chain, self.key)
            .unwrap();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        TlsAcceptor::from(Arc::new(config))
    }
}

/// A receiver that answers 200 to whatever comes through TLS.
pub(crate) async fn tls_receiver(identity: Identity) -> Receiver {
    let acceptor = identity.acceptor(&["http/1.1"]);
    Receiver::start(move |connection| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(connection.stream).await else {
                return;
            };
            let mut bytes = [0; 4096];
            while stream.read(&mut bytes).await.is_ok_and(|count| count > 0) {
                if stream.write_all(OK).await.is_err() {
                    return;
                }
            }
        }
    })
    .await
}

pub(crate) fn trusting(authority: &Authority) -> Setup {
    Setup::with(policy(&["127.0.0.1/32"]), vec![authority.certificate.clone()])
}

pub(crate) fn url(receiver: &Receiver) -> String {
    format!("https://{RECEIVER_NAME}:{}/", receiver.address.port())
}

#[tokio::test]
async fn a_certificate_of_a_trusted_authority_for_the_name_is_accepted() {
    let authority = Authority::found();
    let receiver = tls_receiver(authority.issue(RECEIVER_NAME)).await;
    assert_eq!(
        answered(trusting(&authority).post(&url(&receiver), AMPLE).await).status,
        200
    );
}

#[tokio::test]
async fn a_certificate_that_is_not_right_is_refused() {
    let authority = Authority::found();
    let setup = trusting(&authority);
    let stranger = Authority::found();
    for (what, identity) in [
        (
            "expired",
            authority.issue_for(RECEIVER_NAME, Duration::days(-3), Duration::days(-2)),
        ),
        (
            "not yet valid",
            authority.issue_for(RECEIVER_NAME, Duration::days(2), Duration::days(3)),
        ),
        ("for another host", authority.issue("other.example.com")),
        ("for the parent domain", authority.issue("example.com")),
        ("for a deeper wildcard", authority.issue("*.hooks.example.com")),
        ("self-signed", Identity::self_signed(RECEIVER_NAME)),
        ("of an unknown authority", stranger.issue(RECEIVER_NAME)),
    ] {
        let receiver = tls_receiver(identity).await;
        assert_eq!(
            failed(setup.post(&url(&receiver), AMPLE).await),
            FailureCode::TlsFailed,
            "{what}"
        );
        assert_eq!(receiver.connections(), 1, "{what}");
    }
}

#[tokio::test]
async fn without_extra_roots_a_test_authority_is_unknown() {
    let authority = Authority::found();
    let receiver = tls_receiver(authority.issue(RECEIVER_NAME)).await;
    assert_eq!(
        failed(Setup::local().post(&url(&receiver), AMPLE).await),
        FailureCode::TlsFailed
    );
}

#[tokio::test]
async fn what_is_not_tls_is_a_tls_failure() {
    let setup = Setup::local();
    let greets = Receiver::start(|mut connection| async move {
        connection.send("220 mail.example.com ESMTP\r\n").await;
        connection.wait_for_the_end().await;
    })
    .await;
    let closes = Receiver::start(|connection| async move { drop(connection) }).await;
    let resets = Receiver::start(|connection| async move {
        let mut first = [0];
        let _waited = connection.stream.peek(&mut first).await;
    })
    .await;
    for (what, receiver) in [("greets", greets), ("closes", closes), ("resets", resets)] {
        assert_eq!(
            failed(setup.post(&url(&receiver), AMPLE).await),
            FailureCode::TlsFailed,
            "{what}"
        );
    }
}
