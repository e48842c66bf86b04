//! What a stack says of itself: CloudFormation's `DescribeStacks`, the one call of it that is needed, as a signed request of
//! the query protocol. Its SDK would take longer to compile than everything else of this command together.

use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_runtime_api::client::identity::Identity;
use aws_smithy_xml::decode::{Document, ScopedDecoder, XmlDecodeError, try_data};
use redial_platform::{Clock, settings};
use reqwest::Url;

use super::StackError;
use crate::cli::client::https;

/// The version of the protocol (<https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DescribeStacks.html>).
const VERSION: &str = "2010-05-15";
/// The IAM action of the one call.
const ACTION: &str = "cloudformation:DescribeStacks";
const FORM: &str = "application/x-www-form-urlencoded";
const TIMEOUT: Duration = Duration::from_secs(30);
/// What AWS answers for a stack that is not there; nothing else of our request can be invalid.
const NO_STACK: &str = "ValidationError";

/// CloudFormation of one region.
pub(super) struct CloudFormation {
    http: reqwest::Client,
    endpoint: Url,
    region: String,
    identity: Identity,
    clock: Clock,
}

impl CloudFormation {
    /// At `endpoint` if the configuration names one for all services; `AWS_ENDPOINT_URL_CLOUDFORMATION` comes first.
    pub(super) fn new(
        region: &str,
        endpoint: Option<&str>,
        credentials: Credentials,
        clock: Clock,
    ) -> Result<Self, StackError> {
        let given = settings::optional("AWS_ENDPOINT_URL_CLOUDFORMATION").or_else(|| endpoint.map(str::to_owned));
        let endpoint = given.unwrap_or_else(|| format!("https://cloudformation.{region}.{}/", domain(region)));
        let endpoint = Url::parse(&endpoint).map_err(|error| not_understood(&format!("{endpoint}: {error}")))?;
        let http = https(&endpoint).map_err(unreachable)?.timeout(TIMEOUT);
        Ok(Self {
            http: http.build().map_err(unreachable)?,
            endpoint,
            region: region.to_owned(),
            identity: credentials.into(),
            clock,
        })
    }

    /// The outputs of a stack.
    pub(super) async fn outputs(&self, stack: &str) -> Result<BTreeMap<String, String>, StackError> {
        let mut form = self.endpoint.clone();
        form.query_pairs_mut()
            .clear()
            .append_pair("Action", "DescribeStacks")
            .append_pair("Version", VERSION)
            .append_pair("StackName", stack);
        let body = form.query().unwrap_or_default().to_owned();
        let mut request = self.http.post(self.endpoint.clone()).header("content-type", FORM);
        for (name, value) in self.signature(&body)? {
            request = request.header(name, value);
        }
        let response = request.body(body).send().await.map_err(unreachable)?;
        let status = response.status();
        let text = response.text().await.map_err(unreachable)?;
        if status.is_success() {
            return outputs(&text).map_err(|error| not_understood(&error.to_string()));
        }
        let (code, message) = refusal(&text).unwrap_or_default();
        Err(match code.as_str() {
            NO_STACK => StackError::NoStack {
                stack: stack.to_owned(),
                region: self.region.clone(),
            },
            "" => not_understood(&format!("it answered with status {status}")),
            code => StackError::refused(ACTION, code, &message),
        })
    }

    /// The headers that sign a request (Signature Version 4).
    fn signature(&self, body: &str) -> Result<Vec<(String, String)>, StackError> {
        let now_ms = u64::try_from(self.clock.now().as_millis()).unwrap_or(0);
        let unsigned = |error: &dyn std::fmt::Display| not_understood(&error.to_string());
        let parameters = v4::SigningParams::builder()
            .identity(&self.identity)
            .region(&self.region)
            .name("cloudformation")
            .time(UNIX_EPOCH + Duration::from_millis(now_ms))
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| unsigned(&error))?
            .into();
        let headers = [("content-type", FORM)].into_iter();
        let body = SignableBody::Bytes(body.as_bytes());
        let request = SignableRequest::new("POST", self.endpoint.as_str(), headers, body);
        let signed = sign(request.map_err(|error| unsigned(&error))?, &parameters);
        let (instructions, _) = signed.map_err(|error| unsigned(&error))?.into_parts();
        let headers = instructions.headers();
        Ok(headers
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect())
    }
}

/// The domain of AWS's endpoints in a region: that of its partition.
/// <https://docs.aws.amazon.com/general/latest/gr/cfn.html>; for others there is `AWS_ENDPOINT_URL_CLOUDFORMATION`.
fn domain(region: &str) -> &'static str {
    if region.starts_with("cn-") {
        "amazonaws.com.cn"
    } else {
        "amazonaws.com"
    }
}

fn unreachable(source: impl std::error::Error + Send + Sync + 'static) -> StackError {
    StackError::Unreachable {
        action: ACTION,
        source: Box::new(source),
    }
}

fn not_understood(what: &str) -> StackError {
    StackError::NotUnderstood {
        action: ACTION,
        what: what.to_owned(),
    }
}

/// The outputs in an answer.
pub(super) fn outputs(xml: &str) -> Result<BTreeMap<String, String>, XmlDecodeError> {
    let path = ["DescribeStacksResult", "Stacks", "member", "Outputs", "member"];
    let mut outputs = BTreeMap::new();
    for mut output in members(xml, &path)? {
        if let (Some(name), Some(value)) = (output.remove("OutputKey"), output.remove("OutputValue")) {
            outputs.insert(name, value);
        }
    }
    Ok(outputs)
}

/// Code and message of a refusal.
pub(super) fn refusal(xml: &str) -> Option<(String, String)> {
    let mut error = members(xml, &["Error"]).ok()?.into_iter().next()?;
    Some((error.remove("Code")?, error.remove("Message").unwrap_or_default()))
}

type Leaves = BTreeMap<String, String>;

/// The elements at `path` below the root: of each, its children that are texts.
fn members(xml: &str, path: &[&str]) -> Result<Vec<Leaves>, XmlDecodeError> {
    let mut document = Document::new(xml);
    let mut found = Vec::new();
    collect(document.root_element()?, path, &mut found)?;
    Ok(found)
}

fn collect(mut element: ScopedDecoder<'_, '_>, path: &[&str], found: &mut Vec<Leaves>) -> Result<(), XmlDecodeError> {
    let Some((next, rest)) = path.split_first() else {
        let mut leaves = Leaves::new();
        while let Some(mut child) = element.next_tag() {
            let name = child.start_el().local().to_owned();
            // An element that has elements is no text; what is left of it is skipped.
            if let Ok(text) = try_data(&mut child) {
                leaves.insert(name, text.into_owned());
            }
        }
        found.push(leaves);
        return Ok(());
    };
    while let Some(child) = element.next_tag() {
        if child.start_el().matches(next) {
            collect(child, rest, found)?;
        }
    }
    Ok(())
}
