//! The other way in: the api asks for one request to one endpoint, now, and gets back everything that was seen of it. Built,
//! signed and sent as a delivery is, and written down nowhere: no event, no delivery, no attempt, no health. Whoever may
//! invoke this function is allowed by IAM and needs no key.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_lambda_events::event::sqs::SqsEvent;
use bytes::Bytes;
use redial_domain::EventId;
use redial_domain::diagnosis::{Diagnosis, Step, diagnose};
use redial_domain::endpoint::EndpointSettings;
use redial_domain::outcome::{FailureCode, Outcome};
use redial_domain::profile::BodyParts;
use redial_egress::{OurFault, Post, Probed, Timings};
use redial_platform::endpoint_test::{
    Answer, Invocation, ShownHeader, ShownRequest, ShownResponse, ShownTimings, TestExchange, TestOrder,
};
use redial_platform::metrics::Metric;
use redial_platform::problem::Problem;
use redial_platform::seal::Credentials;
use serde_json::Value;

use crate::Dispatcher;
use crate::deliver::Fault;
use crate::hidden::{HIDDEN, Hider};
use crate::request::Unsigned;

/// How the ids of tests begin: no event has them.
const ID_PREFIX: &str = "test_";
/// Says in every profile that a request is a test. Not signed, and no event's request has it.
const TEST_HEADER: (&str, &str) = ("webhook-test", "1");

/// After how many seconds a test is worth trying again for which no name could be looked up: each lookup is given up after three.
const CROWDED_S: u32 = 5;

/// A request that is ready to be sent.
struct Built {
    headers: Vec<(String, String)>,
    body: Bytes,
    /// Names of the headers whose values are the endpoint's own.
    hidden: BTreeSet<String>,
    /// Finds those values in the answer.
    hider: Option<Hider>,
}

impl Dispatcher {
    /// Answers one invocation of either kind: a batch of a queue with which of its messages are to come again, a test with
    /// what came of it.
    ///
    /// # Errors
    /// For a payload that is neither.
    pub async fn answer(&self, payload: &str) -> Result<Value, serde_json::Error> {
        let not_a_batch = match serde_json::from_str::<SqsEvent>(payload) {
            Ok(batch) => return serde_json::to_value(self.handle(batch).await),
            Err(error) => error,
        };
        let Ok(Invocation { endpoint_test }) = serde_json::from_str(payload) else {
            return Err(not_a_batch);
        };
        let recorder = self.metrics.begin(self.clock.now());
        serde_json::to_value(match self.test(&endpoint_test).await {
            Ok(exchange) => Answer::Exchange(exchange),
            Err(problem) => {
                recorder.count(Metric::FunctionFaults, (problem.status >= 500).into());
                Answer::Problem(problem)
            }
        })
    }

    /// Makes one request to an endpoint, whatever its state.
    ///
    /// # Errors
    /// 404 if there is no such endpoint; 429 if too many names are being looked up; 500 if it was our fault that nothing came
    /// of it.
    pub async fn test(&self, order: &TestOrder) -> Result<TestExchange, Problem> {
        let (tenant, endpoint) = (&order.tenant, &order.endpoint);
        let exchange = self.exchange(order).await.map_err(|fault| {
            let problem = problem_of(&fault);
            if problem.status >= 500 {
                tracing::error!(%fault, %tenant, %endpoint, "dispatcher.test_fault");
            } else {
                tracing::warn!(%fault, %tenant, %endpoint, "dispatcher.test_refused");
            }
            problem
        })?;
        let exchange = exchange.ok_or_else(|| Problem::not_found("endpoint"))?;
        let (code, total_ms) = (&exchange.code, exchange.timings.total_ms);
        tracing::info!(%tenant, %endpoint, code, total_ms, "dispatcher.endpoint_tested");
        Ok(exchange)
    }

    /// `None`: there is no such endpoint.
    async fn exchange(&self, order: &TestOrder) -> Result<Option<TestExchange>, Fault> {
        let tenant = &order.tenant;
        let config = self.cache.current(tenant).await?;
        let found = config.as_ref().and_then(|config| {
            let stored = config.endpoint(&order.endpoint)?;
            Some((&config.tenant, stored))
        });
        let Some((of_tenant, stored)) = found else {
            return Ok(None);
        };
        let settings = &stored.endpoint.settings;
        let credentials = self.secrets.open(tenant, &order.endpoint, &stored.sealed).await?;
        let built = self.build(order, settings, &credentials, of_tenant.analysis_url.as_deref())?;
        let probed = match self.egress.admit(&settings.url) {
            Ok(url) => {
                let post = Post {
                    whose: tenant.as_str(),
                    url: url.as_str(),
                    headers: built.headers.clone(),
                    body: built.body.clone(),
                    timeout: Duration::from_millis(settings.timeout_ms.into()),
                };
                Some(self.egress.probe(post).await?)
            }
            // A rule is younger than the endpoint.
            Err(_) => None,
        };
        Ok(Some(shown(settings, built, probed)))
    }

    /// The request that a delivery of the sample would be now, marked as a test.
    fn build(
        &self,
        order: &TestOrder,
        settings: &EndpointSettings,
        credentials: &Credentials,
        analysis_url: Option<&str>,
    ) -> Result<Built, Fault> {
        let now = self.clock.now();
        let id = EventId::minted_with(ID_PREFIX, now, self.random.number());
        let body = settings.profile.body(&BodyParts {
            tenant: &order.tenant,
            event: &id,
            accepted_at: now,
            content: &order.content,
            api_origin: &self.api_origin,
            payload: settings.payload,
            analysis_url,
        })?;
        let unsigned = Unsigned {
            id: &id,
            body: &body,
            traceparent: None,
        };
        let mut headers = unsigned.headers(settings, credentials, now);
        headers.push((TEST_HEADER.0.to_owned(), TEST_HEADER.1.to_owned()));
        let own = credentials.headers(settings.profile).into_iter();
        Ok(Built {
            headers,
            body: body.into(),
            hidden: own.map(|(name, _)| name).collect(),
            hider: Hider::of(credentials, settings.profile),
        })
    }
}

/// What whoever asked for the test is told. Names that are slow to look up are the tenant's own, or a crowd's: it is no defect,
/// and over in some seconds.
fn problem_of(fault: &Fault) -> Problem {
    match fault {
        Fault::Egress(OurFault::Crowded) => {
            let detail =
                "too many names of endpoints are being looked up, of this tenant or of all; wait and try again";
            Problem::too_many("rate_limited", detail, CROWDED_S)
        }
        _ => Problem::internal(),
    }
}

/// What people get to see; without a probe, nothing was sent.
fn shown(settings: &EndpointSettings, built: Built, probed: Option<Probed>) -> TestExchange {
    let Built {
        headers,
        body,
        hidden,
        hider,
    } = built;
    let blocked = Outcome::Failed(FailureCode::Blocked);
    let diagnosis = match &probed {
        Some(probed) => diagnose(&probed.outcome, probed.step, probed.cause, settings.timeout_ms),
        None => diagnose(&blocked, Step::Policy, None, settings.timeout_ms),
    };
    let Diagnosis {
        ok,
        code,
        failed_at,
        explanation,
        advice,
    } = diagnosis;
    let sent = probed.as_ref().map(|probed| probed.sent.clone());
    let sent = sent.filter(|sent| !sent.is_empty()).unwrap_or(headers);
    let request = ShownRequest {
        method: "POST".to_owned(),
        url: settings.url.clone(),
        headers: sent.into_iter().map(|header| of_header(header, &hidden)).collect(),
        body: text(&body),
    };
    let timings = probed.as_ref().map(|probed| probed.timings).unwrap_or_default();
    let addresses = probed.iter().flat_map(|probed| &probed.addresses);
    TestExchange {
        ok,
        code: code.to_owned(),
        failed_at,
        explanation,
        advice: advice.map(str::to_owned),
        request,
        addresses: addresses.map(ToString::to_string).collect(),
        address: probed
            .as_ref()
            .and_then(|probed| Some(probed.connected_to?.to_string())),
        timings: of_timings(timings),
        response: probed.and_then(|probed| response(probed, hider.as_ref())),
    }
}

fn response(probed: Probed, hider: Option<&Hider>) -> Option<ShownResponse> {
    let (Outcome::Answered(mut answer), Some(mut head)) = (probed.outcome, probed.head) else {
        return None;
    };
    if let Some(hider) = hider {
        hider.hide_in_body(&mut answer);
        hider.hide_in_head(&mut head);
    }
    let headers = head.headers.into_iter();
    Some(ShownResponse {
        status: answer.status,
        version: head.version.to_owned(),
        headers: headers.map(|(name, value)| ShownHeader { name, value }).collect(),
        headers_cut: head.cut,
        body: text(&answer.body),
        body_cut: answer.truncated,
    })
}

fn of_header((name, value): (String, String), hidden: &BTreeSet<String>) -> ShownHeader {
    let value = if hidden.contains(&name) {
        HIDDEN.to_owned()
    } else {
        value
    };
    ShownHeader { name, value }
}

const fn of_timings(timings: Timings) -> ShownTimings {
    let Timings {
        dns_ms,
        connect_ms,
        tls_ms,
        first_byte_ms,
        total_ms,
    } = timings;
    ShownTimings {
        dns_ms,
        connect_ms,
        tls_ms,
        first_byte_ms,
        total_ms,
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crowd_of_lookups_is_no_defect_of_ours_and_says_when_to_come_again() {
        let crowded = problem_of(&Fault::Egress(OurFault::Crowded));
        assert_eq!((crowded.status, crowded.code.as_str()), (429, "rate_limited"));
        assert_eq!(problem_of(&Fault::Egress(OurFault::Frozen)).status, 500);
    }
}
