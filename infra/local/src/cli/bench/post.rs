//! Connections to ingest. Over plain http one HTTP/1.1 connection that costs as little as can be, so that the driver leaves the
//! machine to what it measures; over https the client of the other commands.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use reqwest::Url;
use tokio::net::TcpStream;

use crate::cli::client::https;
use crate::cli::error::CliError;

/// Largest answer that is read, in bytes: one to 500 events is far smaller.
const MAX_ANSWER_BYTES: usize = 4 * 1024 * 1024;
/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The port of http.
const HTTP_PORT: u16 = 80;

/// What stands between the driver and an answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum PostError {
    /// There is no connection: nothing was sent.
    #[error("no connection")]
    NotConnected(#[source] std::io::Error),
    /// Of what was sent nobody knows what became.
    #[error("the connection broke")]
    Http(#[from] hyper::Error),
    /// The request cannot be made.
    #[error("the request cannot be made")]
    Request(#[from] hyper::http::Error),
    /// The same over TLS.
    #[error("the connection broke")]
    Https(#[from] reqwest::Error),
    /// The answer is longer than any of Redial's.
    #[error("the answer breaks off or is too long")]
    Answer(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// An answer: its status and body.
pub(super) type Answer = (u16, Bytes);

/// One connection, with one request under way at most.
pub(super) enum Poster {
    /// Over plain http.
    Plain(Plain),
    /// Over https.
    Tls {
        /// Keeps the connection by itself.
        client: reqwest::Client,
        /// Where events are posted.
        url: Url,
        /// What lets us in.
        bearer: HeaderValue,
    },
}

/// A connection without TLS.
pub(super) struct Plain {
    authority: String,
    /// Path and query.
    target: String,
    host: HeaderValue,
    bearer: HeaderValue,
    sender: Option<SendRequest<Full<Bytes>>>,
}

impl Poster {
    /// Connects to nothing yet.
    ///
    /// # Errors
    /// [`CliError`] if the key or the URL cannot stand in a request.
    pub(super) fn new(url: &Url, key: &str) -> Result<Self, CliError> {
        let header =
            |text: String| HeaderValue::try_from(text).map_err(|_| CliError::usage("the key or the URL is none"));
        let mut bearer = header(format!("Bearer {key}"))?;
        bearer.set_sensitive(true);
        if url.scheme() == "https" {
            let client = https(url)?.build().map_err(|source| CliError::Unreachable {
                origin: url.origin().ascii_serialization(),
                source: source.without_url(),
            })?;
            let url = url.clone();
            return Ok(Self::Tls { client, url, bearer });
        }
        let port = url.port().unwrap_or(HTTP_PORT);
        let authority = format!("{}:{port}", url.host_str().unwrap_or_default());
        let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
        let target = format!("{}{query}", url.path());
        Ok(Self::Plain(Plain {
            host: header(authority.clone())?,
            authority,
            target,
            bearer,
            sender: None,
        }))
    }

    /// Opens the connection if it is not open.
    ///
    /// # Errors
    /// [`PostError::NotConnected`].
    pub(super) async fn open(&mut self) -> Result<(), PostError> {
        match self {
            Self::Plain(plain) => plain.open().await,
            // Opened with its first request.
            Self::Tls { .. } => Ok(()),
        }
    }

    /// Posts a body and reads the answer to its end.
    ///
    /// # Errors
    /// [`PostError`]; the connection is opened anew next time.
    pub(super) async fn post(&mut self, body: Bytes) -> Result<Answer, PostError> {
        match self {
            Self::Plain(plain) => {
                let answered = plain.post(body).await;
                if answered.is_err() {
                    plain.sender = None;
                }
                answered
            }
            Self::Tls { client, url, bearer } => {
                let request = client
                    .post(url.clone())
                    .header(AUTHORIZATION, bearer.clone())
                    .header(CONTENT_TYPE, "application/json")
                    .body(body);
                let response = request.send().await?;
                let status = response.status().as_u16();
                Ok((status, response.bytes().await?))
            }
        }
    }
}

impl Plain {
    async fn open(&mut self) -> Result<(), PostError> {
        if self.sender.as_ref().is_some_and(|sender| !sender.is_closed()) {
            return Ok(());
        }
        let connected = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(&self.authority)).await;
        let late = |_| std::io::Error::from(std::io::ErrorKind::TimedOut);
        let stream = connected
            .map_err(late)
            .and_then(|stream| stream)
            .map_err(PostError::NotConnected)?;
        stream.set_nodelay(true).map_err(PostError::NotConnected)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::task::spawn_local(async move {
            // That it broke is told to whoever waits for an answer.
            let _ = connection.await;
        });
        self.sender = Some(sender);
        Ok(())
    }

    async fn post(&mut self, body: Bytes) -> Result<Answer, PostError> {
        let request = Request::builder()
            .method(Method::POST)
            .uri(&self.target)
            .header(HOST, &self.host)
            .header(AUTHORIZATION, &self.bearer)
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(body))?;
        self.open().await?;
        let Some(sender) = &mut self.sender else {
            return Err(PostError::NotConnected(std::io::ErrorKind::NotConnected.into()));
        };
        sender.ready().await?;
        let response = sender.send_request(request).await?;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), MAX_ANSWER_BYTES).collect().await;
        Ok((status, body.map_err(PostError::Answer)?.to_bytes()))
    }
}
