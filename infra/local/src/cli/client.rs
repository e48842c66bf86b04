//! The HTTP client of the command: one key, one server, JSON in and out, refusals as `Problem`. Follows no redirect,
//! and never sends the key anywhere but to the API and to the ingest URL that the API names.

use std::time::{Duration, UNIX_EPOCH};

use redial_domain::Timestamp;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, DATE, HeaderMap, HeaderValue, IF_MATCH, RETRY_AFTER};
use reqwest::{Method, StatusCode, Url, redirect};
use serde_json::{Value, json};

use super::connection::{Connection, is_loopback, may_be_sent, origin};
use super::error::{CliError, Problem};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longer than the API's own limit, so that its answer comes first.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(75);
/// Most bytes read of an answer: a page of 100 events with 256 KiB each fits.
const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;
/// Most items the API gives in one page.
const MAX_PAGE: usize = 100;
/// One JSON object a line.
const NDJSON: &str = "application/x-ndjson";
/// Characters shown of an answer that is not Redial's.
const SHOWN_CHARS: usize = 200;

/// A client that is signed in to one Redial.
#[derive(Clone)]
pub(super) struct Client {
    http: reqwest::Client,
    api: Url,
    /// True if the key may go to another machine in the clear.
    allows_http: bool,
}

/// An answer that says no, and how long it asks us to wait.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) error: CliError,
    pub(super) retry_after: Option<Duration>,
}

impl From<CliError> for Refusal {
    fn from(error: CliError) -> Self {
        Self {
            error,
            retry_after: None,
        }
    }
}

impl From<Refusal> for CliError {
    fn from(refusal: Refusal) -> Self {
        refusal.error
    }
}

impl Client {
    /// # Errors
    /// [`CliError::Usage`] if the key cannot stand in a header; [`CliError::Tls`].
    pub(super) fn new(connection: &Connection) -> Result<Self, CliError> {
        let mut bearer = HeaderValue::try_from(format!("Bearer {}", connection.key))
            .map_err(|_| CliError::usage("the key has characters that no key has"))?;
        bearer.set_sensitive(true);
        let builder = https(&connection.url)?
            .timeout(REQUEST_TIMEOUT)
            .default_headers(HeaderMap::from_iter([(AUTHORIZATION, bearer)]));
        let http = builder
            .build()
            .map_err(|source| unreachable_at(&connection.url, source))?;
        Ok(Self {
            http,
            api: connection.url.clone(),
            allows_http: connection.allows_http,
        })
    }

    /// `GET` of a path, given as its segments below the API's URL.
    pub(super) async fn get(&self, path: &[&str], query: &[(&str, String)]) -> Result<Value, CliError> {
        let mut url = self.url(path)?;
        if !query.is_empty() {
            url.query_pairs_mut()
                .extend_pairs(query.iter().map(|(name, value)| (*name, value.as_str())));
        }
        Ok(self.call(Method::GET, url, None).await?)
    }

    /// Any other request. An answer without a body is `null`.
    pub(super) async fn send(&self, method: Method, path: &[&str], body: Option<&Value>) -> Result<Value, CliError> {
        self.change(method, path, body, None).await
    }

    /// The same, if the thing is still of the version that `if_match` has (`ETag`); `None`: whatever it is.
    pub(super) async fn change(
        &self,
        method: Method,
        path: &[&str],
        body: Option<&Value>,
        if_match: Option<&HeaderValue>,
    ) -> Result<Value, CliError> {
        let mut request = self.http.request(method, self.url(path)?);
        if let Some(version) = if_match {
            request = request.header(IF_MATCH, version);
        }
        Ok(self.answer(request, body.map(ToString::to_string)).await?)
    }

    /// Up to `limit` items of a list, over as many pages as it takes, and the cursor for what is left.
    pub(super) async fn list(
        &self,
        path: &[&str],
        query: &[(&str, String)],
        limit: usize,
    ) -> Result<Listing, CliError> {
        let mut listing = Listing {
            items: Vec::new(),
            next: None,
        };
        loop {
            let page_size = (limit - listing.items.len()).min(MAX_PAGE);
            let mut query = query.to_vec();
            query.push(("limit", page_size.to_string()));
            query.extend(listing.next.take().map(|cursor| ("cursor", cursor)));
            let mut page = self.get(path, &query).await?;
            let Some(Value::Array(items)) = page.get_mut("items").map(Value::take) else {
                return Err(self.not_understood("it has no items"));
            };
            listing.items.extend(items);
            listing.next = page.get("next").and_then(Value::as_str).map(str::to_owned);
            if listing.next.is_none() || listing.items.len() >= limit {
                return Ok(listing);
            }
        }
    }

    /// A page of a list, one item a line.
    pub(super) async fn lines(&self, path: &[&str], query: &[(&str, String)]) -> Result<Lines, Refusal> {
        let mut url = self.url(path)?;
        url.query_pairs_mut()
            .extend_pairs(query.iter().map(|(name, value)| (*name, value.as_str())));
        let request = self.http.get(url).header(ACCEPT, NDJSON);
        let (headers, bytes) = self.exchange(request, None).await?;
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        if text(CONTENT_TYPE.as_str()) != Some(NDJSON) {
            return Err(self.not_understood("this Redial is too old to export").into());
        }
        if bytes.last().is_some_and(|last| *last != b'\n') {
            return Err(self.not_understood("it ends within a line").into());
        }
        Ok(Lines {
            count: bytes.iter().filter(|byte| **byte == b'\n').count(),
            next: text("redial-next-cursor").map(str::to_owned),
            unreadable: text("redial-unreadable")
                .and_then(|n| n.parse().ok())
                .unwrap_or_default(),
            bytes,
        })
    }

    /// What this Redial is, and what time it says it is, in whole seconds.
    pub(super) async fn about(&self) -> Result<(Value, Option<Timestamp>), CliError> {
        let (headers, bytes) = self.exchange(self.http.get(self.url(&["v1"])?), None).await?;
        let about = serde_json::from_slice(&bytes).map_err(|e| self.not_understood(&format!("it is no JSON ({e})")))?;
        let date = headers.get(DATE).and_then(|date| date.to_str().ok());
        let date = date.and_then(|date| httpdate::parse_http_date(date).ok());
        let date = date.and_then(|date| i64::try_from(date.duration_since(UNIX_EPOCH).ok()?.as_millis()).ok());
        Ok((about, date.map(Timestamp::from_millis)))
    }

    /// Where this Redial takes events: deployed, that is another URL than the API's.
    pub(super) async fn ingest_url(&self) -> Result<Url, CliError> {
        let about = self.get(&["v1"], &[]).await?;
        let url = about["ingest"].as_str().and_then(|text| Url::parse(text).ok());
        let url = url.ok_or_else(|| self.not_understood("it names no ingest URL"))?;
        let is_worse = self.api.scheme() == "https" && url.scheme() != "https";
        if is_worse || !may_be_sent(&url, self.allows_http) {
            return Err(self.not_understood("its ingest URL is not https, the key would travel in the clear"));
        }
        Ok(url)
    }

    /// Posts a body of events.
    pub(super) async fn post_events(&self, ingest: &Url, body: String) -> Result<Value, Refusal> {
        self.call(Method::POST, ingest.clone(), Some(body)).await
    }

    /// Makes a tenant unless it is there; true if it was made.
    pub(super) async fn ensure_tenant(&self, tenant: &str) -> Result<bool, CliError> {
        match self.get(&["v1", "tenants", tenant], &[]).await {
            Ok(_) => Ok(false),
            Err(CliError::Refused(problem)) if problem.status == 404 => {
                self.send(Method::PUT, &["v1", "tenants", tenant], Some(&json!({})))
                    .await?;
                Ok(true)
            }
            Err(other) => Err(other),
        }
    }

    /// True if this Redial runs on this machine, and so reaches what listens here.
    pub(super) fn is_local(&self) -> bool {
        is_loopback(&self.api)
    }

    /// The client below, for tests that play the sender.
    #[cfg(test)]
    pub(super) fn http(&self) -> &reqwest::Client {
        &self.http
    }

    pub(super) fn not_understood(&self, what: &str) -> CliError {
        CliError::NotUnderstood {
            origin: origin(&self.api),
            what: what.to_owned(),
        }
    }

    fn url(&self, path: &[&str]) -> Result<Url, CliError> {
        if let Some(odd) = path.iter().find(|segment| matches!(**segment, "" | "." | "..")) {
            // A URL drops such segments, and the request would mean something else.
            return Err(CliError::usage(format!("{odd:?} is no id")));
        }
        let mut url = self.api.clone();
        url.set_query(None);
        match url.path_segments_mut() {
            Ok(mut segments) => segments.pop_if_empty().extend(path),
            Err(()) => return Err(CliError::usage("the URL cannot have a path")),
        };
        Ok(url)
    }

    async fn call(&self, method: Method, url: Url, body: Option<String>) -> Result<Value, Refusal> {
        self.answer(self.http.request(method, url), body).await
    }

    async fn answer(&self, request: reqwest::RequestBuilder, body: Option<String>) -> Result<Value, Refusal> {
        let (_, bytes) = self.exchange(request, body).await?;
        if bytes.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&bytes).map_err(|e| self.not_understood(&format!("it is no JSON ({e})")).into())
    }

    /// One request; what is answered, if it is a success.
    async fn exchange(
        &self,
        mut request: reqwest::RequestBuilder,
        body: Option<String>,
    ) -> Result<(HeaderMap, Vec<u8>), Refusal> {
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body);
        }
        let sent = request.send().await;
        let mut response = sent.map_err(|source| {
            let url = source.url().unwrap_or(&self.api).clone();
            unreachable_at(&url, source)
        })?;
        let url = response.url().clone();
        let status = response.status();
        let retry_after = response
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok())
            .and_then(seconds);
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|source| unreachable_at(&url, source))? {
            if bytes.len() + chunk.len() > MAX_ANSWER_BYTES {
                return Err(self.not_understood("it is too long").into());
            }
            bytes.extend_from_slice(&chunk);
        }
        if !status.is_success() {
            return Err(Refusal {
                error: CliError::Refused(problem(status, &bytes)),
                retry_after,
            });
        }
        let headers = std::mem::take(response.headers_mut());
        Ok((headers, bytes))
    }
}

/// A page of a list as NDJSON: whole lines.
pub(super) struct Lines {
    pub(super) bytes: Vec<u8>,
    pub(super) count: usize,
    /// The cursor for what comes after, if anything does.
    pub(super) next: Option<String>,
    /// How many items stand in it that Redial cannot read.
    pub(super) unreadable: usize,
}

/// A part of a list.
pub(super) struct Listing {
    pub(super) items: Vec<Value>,
    /// The cursor for what comes after, if anything does.
    pub(super) next: Option<String>,
}

impl Listing {
    /// The list as the API shows it.
    pub(super) fn document(&self) -> Value {
        json!({ "items": self.items, "next": self.next })
    }
}

/// What every client of the command is built of: rustls with the public roots, no redirect, a bounded connect.
///
/// # Errors
/// The TLS settings are not possible: never in practice.
pub(super) fn https(url: &Url) -> Result<reqwest::ClientBuilder, rustls::Error> {
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let roots = rustls::RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    };
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(redirect::Policy::none())
        .user_agent(concat!("redial-cli/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT);
    // A proxy elsewhere would be asked for its own loopback.
    Ok(if is_loopback(url) { builder.no_proxy() } else { builder })
}

fn unreachable_at(url: &Url, source: reqwest::Error) -> CliError {
    // The URL may be long or hold a password; the origin says enough.
    CliError::Unreachable {
        origin: origin(url),
        source: source.without_url(),
    }
}

/// `Retry-After` in whole seconds (RFC 9110 section 10.2.3); Redial's own answers never use the date form.
fn seconds(text: &str) -> Option<Duration> {
    text.trim().parse().ok().map(Duration::from_secs)
}

fn problem(status: StatusCode, body: &[u8]) -> Problem {
    let read = serde_json::from_slice::<Problem>(body)
        .ok()
        .filter(|problem| !problem.code.is_empty());
    let mut problem = read.unwrap_or_else(|| Problem {
        status: 0,
        title: status.canonical_reason().unwrap_or("an unknown status").to_owned(),
        detail: String::from_utf8_lossy(body).trim().chars().take(SHOWN_CHARS).collect(),
        code: String::new(),
        field: None,
    });
    problem.status = status.as_u16();
    problem
}
