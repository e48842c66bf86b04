//! Profile `voicehub`: a flat body. The receiver's secret travels in a header (`SECRET_HEADER`), set by the dispatcher.

use serde::{Deserialize, Serialize};

use super::BodyParts;
use super::names::names;
use crate::event::CALL_ID;

/// The header that carries the endpoint's secret as text.
pub const SECRET_HEADER: &str = "x-webhook-secret";

/// The states of a call that the profile knows.
pub const STATUSES: [&str; 10] = [
    "started",
    "queued",
    "completed",
    "in-progress",
    "failed",
    "cancelled",
    "unanswered",
    "scheduled",
    "busy",
    "voicemail",
];

/// `eventType` of an analysis.
const ANALYSIS: &str = "AnalysisResultReady";
/// `eventType` of a call's change.
const STATUS_CHANGED: &str = "CallStatusChanged";

/// The body, its members in the order of the system's own documents.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    event_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    analysis_id: Option<&'a str>,
    timestamp: &'a str,
    event_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    call_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    analysis_result_url: Option<String>,
}

/// What the body takes from the event's data.
#[derive(Default, Deserialize)]
struct Data {
    #[serde(default, deserialize_with = "text")]
    call_id: Option<String>,
    #[serde(default, deserialize_with = "text")]
    analysis_id: Option<String>,
    #[serde(default, deserialize_with = "text")]
    status: Option<String>,
}

/// A string; anything else counts as absent, as a platform's data is its own.
fn text<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let value = serde_json::Value::deserialize(deserializer)?;
    Ok(value.as_str().map(str::to_owned))
}

pub(super) fn body(parts: &BodyParts<'_>) -> Result<Vec<u8>, serde_json::Error> {
    let content = parts.content;
    let row = names().voicehub(&content.event_type);
    let name = row.map_or(content.event_type.as_str(), |row| row.name.as_str());
    // Data that is no object has nothing to take.
    let data: Data = serde_json::from_str(content.data.get()).unwrap_or_default();
    let related = |key: &str| content.related.get(key).map(String::as_str);
    let call_id = related(CALL_ID).or(data.call_id.as_deref());
    let analysis_id = data.analysis_id.as_deref().or_else(|| related("analysis_id"));
    let known = data.status.as_deref().filter(|status| STATUSES.contains(status));
    let by_default = row.and_then(|row| row.status.as_deref());
    let accepted_at = parts.accepted_at.to_string();
    let link = content.links.get("analysis").cloned();
    serde_json::to_vec(&Body {
        event_type: name,
        analysis_id: analysis_id.filter(|_| name == ANALYSIS),
        timestamp: content.occurred_at.as_deref().unwrap_or(&accepted_at),
        event_id: parts.event.as_str(),
        status: known.or(by_default).filter(|_| name == STATUS_CHANGED),
        call_id,
        analysis_result_url: link
            .or_else(|| Some(filled(parts.analysis_url?, parts, call_id, analysis_id)))
            .filter(|_| name == ANALYSIS),
    })
}

/// The tenant's URL template with its places filled in. Ids that a URL may not hold as they are get escaped.
fn filled(template: &str, parts: &BodyParts<'_>, call_id: Option<&str>, analysis_id: Option<&str>) -> String {
    let escaped = |text: &str| {
        url::form_urlencoded::byte_serialize(text.as_bytes())
            .collect::<String>()
            .replace('+', "%20")
    };
    template
        .replace("{event_id}", &escaped(parts.event.as_str()))
        .replace("{call_id}", &escaped(call_id.unwrap_or_default()))
        .replace("{analysis_id}", &escaped(analysis_id.unwrap_or_default()))
}
