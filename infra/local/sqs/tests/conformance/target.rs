//! What the suite asks: the embedded server in process, or an endpoint over HTTP. The same SDK client either way.
//! Never knows what a right answer is; that is for the tests and for `differences`.

use std::fmt::Debug;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::retry::RetryConfig;
use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::types::QueueAttributeName;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use redial_sqs::{NowMs, Settings, Sqs};

use crate::differences::{self, UNDOCUMENTED};
use crate::queue::Queue;

/// Names an endpoint to ask instead of the embedded server: `http://127.0.0.1:14566`.
const ENDPOINT: &str = "REDIAL_SQS_ENDPOINT";
/// Says whose differences to expect of the endpoint: `ministack`. Without it, none: then AWS's documentation holds.
const EMULATOR: &str = "REDIAL_SQS_EMULATOR";

/// Where a clock begins that only a test moves.
pub(crate) const T0: i64 = 1_800_000_000_000;

/// The answer to what was done.
pub(crate) const ACCEPTED: &str = "accepted";
/// The answer to what was not done, where AWS documents no code.
pub(crate) const REFUSED: &str = "refused";

/// Whose answers are expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Column {
    Embedded,
    Ministack,
    /// Somebody of whom no difference is known.
    Documented,
}

/// Whom a test asks.
pub(crate) struct Target {
    pub(crate) client: Client,
    pub(crate) column: Column,
    pub(crate) embedded: Option<Embedded>,
}

/// The embedded server, its folder and its clock.
pub(crate) struct Embedded {
    _folder: tempfile::TempDir,
    pub(crate) sqs: Sqs,
    time: Arc<AtomicI64>,
}

impl Embedded {
    /// Moves a clock that stands still to this time; what is due by then is done when this returns.
    pub(crate) fn go_to(&self, at_ms: i64) {
        self.time.store(at_ms, Ordering::SeqCst);
        self.sqs.time_moved();
    }
}

impl Target {
    /// Whom the environment names.
    pub(crate) async fn open() -> Self {
        let Some(endpoint) = std::env::var_os(ENDPOINT) else {
            let now: NowMs = Arc::new(now_ms);
            return Self::embedded(Settings::default(), now, Arc::default()).await;
        };
        let column = match std::env::var_os(EMULATOR).as_deref().map(|name| name.to_str().unwrap()) {
            None => Column::Documented,
            Some("ministack") => Column::Ministack,
            Some(other) => panic!("{EMULATOR}={other}: nothing is known of it"),
        };
        let http = aws_smithy_http_client::Builder::new().build_http();
        Self {
            client: client(endpoint.to_str().unwrap(), http),
            column,
            embedded: None,
        }
    }

    /// The embedded server with a clock that stands at [`T0`] until the test moves it.
    pub(crate) async fn stopped(settings: Settings) -> Self {
        let time = Arc::new(AtomicI64::new(T0));
        let clock = Arc::clone(&time);
        Self::embedded(settings, Arc::new(move || clock.load(Ordering::SeqCst)), time).await
    }

    async fn embedded(settings: Settings, now: NowMs, time: Arc<AtomicI64>) -> Self {
        let folder = tempfile::TempDir::new().unwrap();
        let sqs = Sqs::open(folder.path(), settings, now).await.unwrap();
        Self {
            client: client("http://sqs.local", SharedHttpClient::new(InProcess(sqs.clone()))),
            column: Column::Embedded,
            embedded: Some(Embedded {
                _folder: folder,
                sqs,
                time,
            }),
        }
    }

    /// A name that no other test uses, of this run or of one before it.
    pub(crate) fn name(&self, name: &str) -> String {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let n = MADE.fetch_add(1, Ordering::Relaxed);
        format!("c{}-{n}-{name}", std::process::id())
    }

    /// A queue of its own, with the defaults.
    pub(crate) async fn queue(&self, name: &str) -> Queue<'_> {
        self.queue_with(name, &[]).await
    }

    /// A queue of its own with these attributes.
    pub(crate) async fn queue_with(&self, name: &str, attributes: &[(QueueAttributeName, &str)]) -> Queue<'_> {
        let name = self.name(name);
        let mut create = self.client.create_queue().queue_name(&name);
        for (attribute, value) in attributes {
            create = create.attributes(attribute.clone(), *value);
        }
        let url = create.send().await.unwrap().queue_url.unwrap();
        Queue::new(self, name, url)
    }

    /// A queue whose messages go to `dead` after `receives`.
    pub(crate) async fn queue_to(&self, name: &str, dead: &Queue<'_>, receives: u32) -> Queue<'_> {
        let policy = dead.policy(receives).await;
        self.queue_with(name, &[(QueueAttributeName::RedrivePolicy, &policy)])
            .await
    }

    /// Holds an answer against what AWS documents, or against the known difference of whom was asked.
    /// [`UNDOCUMENTED`] is held only against those of whom the answer is known.
    pub(crate) fn judge(&self, point: &str, documented: &str, seen: &str) {
        let known = differences::of(point);
        if let Some(known) = known {
            assert_eq!(known.documented, documented, "{point}: the table and the test disagree");
        }
        let expected = match (known, self.column) {
            (Some(known), Column::Embedded) => known.embedded,
            (Some(known), Column::Ministack) => known.ministack,
            _ if documented == UNDOCUMENTED => return,
            _ => documented,
        };
        assert_eq!(
            seen, expected,
            "{point}: answered by {:?}; AWS documents: {documented}. If a difference came or went, docs/SQS.md is to say so.",
            self.column
        );
    }
}

/// What a call came to: [`ACCEPTED`], or the code of the error without the prefix that the query protocol puts before some.
/// An answer that never came fails the test.
pub(crate) async fn answer<T, E, R>(call: impl Future<Output = Result<T, SdkError<E, R>>>) -> String
where
    T: Debug,
    E: ProvideErrorMetadata + Debug,
    R: Debug,
{
    match call.await {
        Ok(_) => ACCEPTED.to_owned(),
        Err(SdkError::ServiceError(error)) => {
            let code = error.err().code().unwrap_or_else(|| panic!("no code: {error:?}"));
            code.trim_start_matches("AWS.SimpleQueueService.").to_owned()
        }
        Err(other) => panic!("no answer: {other:?}"),
    }
}

/// As [`answer`], where AWS documents that it is refused and not the code.
pub(crate) async fn accepted_or_refused<T, E, R>(call: impl Future<Output = Result<T, SdkError<E, R>>>) -> &'static str
where
    T: Debug,
    E: ProvideErrorMetadata + Debug,
    R: Debug,
{
    if answer(call).await == ACCEPTED {
        ACCEPTED
    } else {
        REFUSED
    }
}

/// The names of those that were accepted, or "none": one answer to a row of requests that all break a rule.
pub(crate) fn accepted_of(answers: &[(&str, &str)]) -> String {
    let accepted = answers.iter().filter(|(_, answer)| *answer == ACCEPTED);
    let names: Vec<&str> = accepted.map(|(name, _)| *name).collect();
    if names.is_empty() {
        "none accepted".to_owned()
    } else {
        format!("accepted: {}", names.join(", "))
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the server under test keeps real time, as the others do; it is read here only"
)]
fn now_ms() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

fn client(endpoint: &str, http: SharedHttpClient) -> Client {
    let config = aws_sdk_sqs::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(endpoint)
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        // The first answer is the one that is judged.
        .retry_config(RetryConfig::disabled())
        .http_client(http)
        .build();
    Client::from_conf(config)
}

/// Answers the SDK's requests in process.
#[derive(Debug, Clone)]
struct InProcess(Sqs);

impl HttpConnector for InProcess {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let sqs = self.0.clone();
        HttpConnectorFuture::new(async move {
            let target = request.headers().get("x-amz-target").unwrap_or_default().to_owned();
            let answer = sqs.call(&target, request.body().bytes().unwrap_or_default()).await;
            let mut response = http::Response::builder().status(answer.status);
            for (name, value) in answer.headers {
                response = response.header(name, value);
            }
            let response = response.body(SdkBody::from(answer.body)).unwrap();
            HttpResponse::try_from(response).map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}

impl HttpClient for InProcess {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}
