//! One POST to a customer: from an endpoint's URL, headers and body to an [`Exchange`].
//!
//! Nothing is sent a second time here: whether and when to try again is decided elsewhere, from the outcome. (Only a
//! request that the client had not begun to write when it found its pooled connection closed is moved to another
//! connection, by the client itself; no receiver saw it.)

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::connect::{CaptureConnection, Connected, capture_connection};
use redial_domain::outcome::{Answer, FailureCode, MAX_RESPONSE_BYTES, Outcome};
use redial_domain::url::{EndpointUrl, OwnHost, UrlRefusal};
use tokio::time::{Instant, timeout_at};

use crate::client::{EgressError, HttpClient, Maker};
use crate::failure::{self, ClientError, Failure};
use crate::freeze::{FreezeWatch, Freezes};
use crate::progress::{self, Phase, Progress};
use crate::settings::EgressSettings;
use crate::stopwatch::Stopwatch;

/// A request to send.
#[derive(Clone)]
pub struct Post<'a> {
    /// Whose target it is. Whoever has many names that are slow to look up waits for them alone.
    pub whose: &'a str,
    /// Where to. Checked by the rules of the egress whenever it is sent to: a stored row may be older than a rule.
    pub url: &'a str,
    /// All headers, the customer's before ours: of a name that is there twice (case aside) the last one is sent.
    pub headers: Vec<(String, String)>,
    /// The body, sent as it is.
    pub body: Bytes,
    /// For everything together: name, connection, TLS, headers and body of the answer.
    pub timeout: Duration,
}

/// What came of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// The answer, or why there was none.
    pub outcome: Outcome,
    /// From the call to the outcome.
    pub duration_ms: u32,
}

/// Something that is not the receiver's doing: not an attempt of the customer's.
#[derive(Debug, thiserror::Error)]
pub enum OurFault {
    /// A header that is none. Its value is not shown.
    #[error("the header {name:?} cannot be sent")]
    Header {
        /// The name.
        name: String,
        /// What is wrong with name or value.
        source: http::Error,
    },
    /// The request is none that HTTP knows.
    #[error("the request could not be written")]
    Request(#[source] http::Error),
    /// The HTTP client was used in a way that it does not allow.
    #[error("the request could not be made")]
    Client(#[source] ClientError),
    /// No file handles, memory, buffers or local ports.
    #[error("out of resources")]
    Resources(#[source] ClientError),
    /// Too many names are being looked up, of this tenant or of all.
    #[error("too many names are being looked up")]
    Crowded,
    /// The process was frozen or stopped while it waited, and no answer was there afterwards: nobody knows whose
    /// connection died, or whether the answer came in time. The receiver may have seen the request.
    #[error("the process was frozen during the request")]
    Frozen,
    /// The runtime is stopping.
    #[error("stopped before the request was sent")]
    Stopped(#[source] ClientError),
}

/// The way out to the customers. Cheap to share, expensive to make: one per process.
pub struct Egress {
    maker: Maker,
    own_hosts: Vec<OwnHost>,
    freeze: FreezeWatch,
    /// The client, and the freezes that there were when it was made: later, its pool is not to be trusted.
    client: Mutex<(Freezes, Arc<HttpClient>)>,
}

impl Egress {
    /// Makes the way out.
    ///
    /// # Errors
    /// [`EgressError`] if the settings are not possible.
    pub fn new(settings: EgressSettings) -> Result<Self, EgressError> {
        let maker = Maker::new(&settings)?;
        let client = Mutex::new((Freezes::default(), Arc::new(maker.build())));
        let freeze = FreezeWatch::new(settings.wall_clock);
        Ok(Self {
            maker,
            own_hosts: settings.own_hosts,
            freeze,
            client,
        })
    }

    /// Parses a URL by the rules of this egress.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub fn admit(&self, url: &str) -> Result<EndpointUrl, UrlRefusal> {
        EndpointUrl::parse(url, self.maker.policy(), &self.own_hosts)
    }

    /// Sends one request and waits for its outcome, at most `timeout`.
    ///
    /// A connection that dies while the function is frozen is our fault and not an attempt of the customer's: after
    /// a freeze (see `freeze.rs`) all connections from before are left alone, and a request that was under way in a
    /// freeze and has no answer is [`OurFault::Frozen`].
    ///
    /// # Errors
    /// [`OurFault`] if it is not the receiver's doing that there is no outcome.
    pub async fn post(&self, post: Post<'_>) -> Result<Exchange, OurFault> {
        let stopwatch = Stopwatch::start();
        let freezes = self.freeze.look();
        // An IP literal never reaches the resolver: this is the check of those.
        let Ok(target) = self.admit(post.url) else {
            return Ok(Exchange {
                outcome: Outcome::Failed(FailureCode::Blocked),
                duration_ms: stopwatch.elapsed_ms(),
            });
        };
        let client = self.client(freezes);
        let request = request(&target, &post.headers, post.body)?;
        let deadline = stopwatch.started_at() + post.timeout;
        let progress = Arc::new(Progress::since(stopwatch, post.whose));
        let outcome = match send(&client, request, deadline, &progress).await? {
            Ok(head) => head.read(deadline).await,
            Err(failure) => Outcome::Failed(failure.code),
        };
        if matches!(outcome, Outcome::Failed(_)) && self.freeze.look() != freezes {
            return Err(OurFault::Frozen);
        }
        Ok(Exchange {
            outcome,
            duration_ms: stopwatch.elapsed_ms(),
        })
    }

    pub(crate) const fn maker(&self) -> &Maker {
        &self.maker
    }

    pub(crate) fn freezes(&self) -> Freezes {
        self.freeze.look()
    }

    /// The client, made anew after a freeze.
    fn client(&self, freezes: Freezes) -> Arc<HttpClient> {
        let mut made = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if made.0 < freezes {
            *made = (freezes, Arc::new(self.maker.build()));
        }
        Arc::clone(&made.1)
    }
}

impl fmt::Debug for Egress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Egress")
            .field("policy", self.maker.policy())
            .finish_non_exhaustive()
    }
}

/// The request that goes to `target`.
pub(crate) fn request(
    target: &EndpointUrl,
    pairs: &[(String, String)],
    body: Bytes,
) -> Result<Request<Full<Bytes>>, OurFault> {
    let request = Request::builder().method(Method::POST).uri(target.url().as_str());
    let mut request = request.body(Full::new(body)).map_err(OurFault::Request)?;
    *request.headers_mut() = headers(pairs)?;
    Ok(request)
}

/// The head of an answer, whose body is still to come.
pub(crate) struct Answering {
    pub(crate) response: Response<Incoming>,
    connection: CaptureConnection,
}

/// Sends it and waits for the head of its answer.
pub(crate) async fn send(
    client: &HttpClient,
    mut request: Request<Full<Bytes>>,
    deadline: Instant,
    progress: &Arc<Progress>,
) -> Result<Result<Answering, Failure>, OurFault> {
    let connection = capture_connection(&mut request);
    let sending = progress::noted(Arc::clone(progress), client.request(request));
    match timeout_at(deadline, sending).await {
        Ok(Ok(response)) => Ok(Ok(Answering { response, connection })),
        Ok(Err(error)) => {
            tracing::debug!(?error, "egress.failed");
            failure::understand(error).map(Err)
        }
        Err(_elapsed) => {
            leave(&connection);
            Ok(Err(Failure::late(match progress.phase() {
                Phase::Waiting => return Err(OurFault::Crowded),
                Phase::Resolving => FailureCode::DnsFailed,
                Phase::Connecting | Phase::Handshaking => FailureCode::ConnectTimeout,
                Phase::Exchanging => FailureCode::Timeout,
            })))
        }
    }
}

/// Gives a connection to no other request. One of HTTP/2 lives on without the request that waited in vain, and nobody knows
/// whether there is still somebody at its other end.
fn leave(connection: &CaptureConnection) {
    connection.connection_metadata().iter().for_each(Connected::poison);
}

impl Answering {
    /// Keeps [`MAX_RESPONSE_BYTES`] of the body and drops the rest with its connection. Once the headers are there the
    /// receiver has answered: a body that is endless, late or broken changes nothing but `truncated`.
    pub(crate) async fn read(self, deadline: Instant) -> Outcome {
        let Self {
            mut response,
            connection,
        } = self;
        let status = response.status().as_u16();
        if status < 200 {
            // 101: an upgrade that nobody asked for. Other 1xx are no final answers and never come here.
            return Outcome::Failed(FailureCode::ProtocolError);
        }
        let text = |name: HeaderName| {
            response
                .headers()
                .get(name)
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned)
        };
        let (retry_after, content_type) = (text(RETRY_AFTER), text(CONTENT_TYPE));
        let mut body = Vec::new();
        let truncated = loop {
            match timeout_at(deadline, response.body_mut().frame()).await {
                Ok(Some(Ok(frame))) => {
                    // Trailers are nothing that anybody asked for.
                    let Ok(chunk) = frame.into_data() else { continue };
                    let room = MAX_RESPONSE_BYTES - body.len();
                    body.extend_from_slice(&chunk[..chunk.len().min(room)]);
                    if chunk.len() > room {
                        break true;
                    }
                }
                Ok(None) => break false,
                Ok(Some(Err(_))) => break true,
                Err(_elapsed) => {
                    leave(&connection);
                    break true;
                }
            }
        };
        Outcome::Answered(Answer {
            status,
            retry_after,
            content_type,
            body,
            truncated,
        })
    }
}

/// Builds the header map: the last of a name wins. Values are marked sensitive: HTTP/2 compression never indexes
/// them and nothing prints them.
fn headers(pairs: &[(String, String)]) -> Result<HeaderMap, OurFault> {
    let mut map = HeaderMap::with_capacity(pairs.len() + 1);
    for (name, value) in pairs {
        let fault = |source: http::Error| OurFault::Header {
            name: name.clone(),
            source,
        };
        let parsed = HeaderName::from_bytes(name.as_bytes()).map_err(|error| fault(error.into()))?;
        let mut value = HeaderValue::from_str(value).map_err(|error| fault(error.into()))?;
        value.set_sensitive(true);
        map.insert(parsed, value);
    }
    map.entry(ACCEPT).or_insert(HeaderValue::from_static("*/*"));
    Ok(map)
}
