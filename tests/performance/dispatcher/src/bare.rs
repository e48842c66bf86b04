//! What the dispatcher is measured against: a loop that signs and posts the same bytes and remembers nothing. Once with
//! reqwest, once with hyper's client, which reqwest and the dispatcher are built on.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::try_join_all;
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, StatusCode};
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use redial_domain::profile::Profile;
use redial_domain::signature::{self, Secret};
use redial_platform::Clock;

use crate::Failure;
use crate::events::{BATCH, Event};

/// The headers of a request, as the dispatcher makes them.
fn headers(event: &Event, secrets: &[Secret]) -> [(&'static str, String); 5] {
    let (id, now_s) = (event.id.as_str(), Clock::wall().as_secs());
    [
        ("content-type", "application/json".to_owned()),
        ("user-agent", Profile::Standard.user_agent().to_owned()),
        ("webhook-id", id.to_owned()),
        ("webhook-timestamp", now_s.to_string()),
        ("webhook-signature", signature::header(secrets, id, now_s, &event.body)),
    ]
}

fn taken(status: StatusCode) -> Result<(), Failure> {
    match status {
        StatusCode::OK => Ok(()),
        other => Err(format!("the receiver answered {other}").into()),
    }
}

/// reqwest's client.
pub(crate) struct Reqwest {
    client: reqwest::Client,
    url: String,
    secrets: [Secret; 1],
}

impl Reqwest {
    pub(crate) fn new(url: &str, secret: Secret) -> Result<Self, Failure> {
        // Nothing here speaks TLS; without a provider there is no client.
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        let client = reqwest::Client::builder().tls_backend_preconfigured(tls);
        Ok(Self {
            client: client.http1_only().no_proxy().build()?,
            url: url.to_owned(),
            secrets: [secret],
        })
    }

    /// Posts all of them, so many at once as a batch has.
    pub(crate) async fn post_all(&self, events: &[Event]) -> Result<(), Failure> {
        for batch in events.chunks(BATCH) {
            try_join_all(batch.iter().map(|event| self.post(event))).await?;
        }
        Ok(())
    }

    async fn post(&self, event: &Event) -> Result<(), Failure> {
        let mut request = self.client.post(&self.url);
        for (name, value) in headers(event, &self.secrets) {
            request = request.header(name, value);
        }
        let response = request.body(event.body.clone()).send().await?;
        let status = response.status();
        response.bytes().await?;
        taken(status)
    }

    /// What the receiver was sent since it was last asked.
    pub(crate) async fn received(&self) -> Result<Bytes, Failure> {
        Ok(self.client.get(&self.url).send().await?.bytes().await?)
    }
}

/// hyper's client.
pub(crate) struct Hyper {
    client: HyperClient<HttpConnector, Full<Bytes>>,
    url: String,
    secrets: [Secret; 1],
}

impl Hyper {
    pub(crate) fn new(url: &str, secret: Secret) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Self {
            client: HyperClient::builder(TokioExecutor::new()).build(connector),
            url: url.to_owned(),
            secrets: [secret],
        }
    }

    /// Posts all of them, so many at once as a batch has.
    pub(crate) async fn post_all(&self, events: &[Event]) -> Result<(), Failure> {
        for batch in events.chunks(BATCH) {
            try_join_all(batch.iter().map(|event| self.post(event))).await?;
        }
        Ok(())
    }

    async fn post(&self, event: &Event) -> Result<(), Failure> {
        let mut request = Request::post(&self.url).header("accept", "*/*");
        for (name, value) in headers(event, &self.secrets) {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(event.body.clone()))?;
        let response = self.client.request(request).await?;
        let status = response.status();
        response.into_body().collect().await?;
        taken(status)
    }
}
