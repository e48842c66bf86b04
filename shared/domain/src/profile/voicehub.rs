//! Profile `voicehub`: a flat body. The receiver's secret travels in a header (`SECRET_HEADER`), set by the dispatcher.

use serde::{Deserialize, Serialize};

use super::BodyParts;
use super::names::names;
use crate::address::AddressPolicy;
use crate::event::CALL_ID;
use crate::invalid::Invalid;
use crate::url::EndpointUrl;

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
            .or_else(|| filled(parts.analysis_url?, parts.event.as_str(), call_id, analysis_id))
            .filter(|_| name == ANALYSIS),
    })
}

/// The places of a template: each stands for an id of the event.
const PLACES: [&str; 3] = ["{call_id}", "{analysis_id}", "{event_id}"];

/// The tenant's URL template with its places filled in, escaped; `None` if it has a place for an id that the event does not
/// have: half a link leads nowhere.
fn filled(template: &str, event_id: &str, call_id: Option<&str>, analysis_id: Option<&str>) -> Option<String> {
    let escaped = |text: &str| {
        url::form_urlencoded::byte_serialize(text.as_bytes())
            .collect::<String>()
            .replace('+', "%20")
    };
    let mut whole = template.to_owned();
    for (place, id) in PLACES.into_iter().zip([call_id, analysis_id, Some(event_id)]) {
        if whole.contains(place) {
            // What is filled in has no braces any more: no place comes from an id.
            whole = whole.replace(place, &escaped(id?));
        }
    }
    Some(whole)
}

/// Checks a tenant's URL template: `https`, a host without places, and no other places than `{call_id}`, `{analysis_id}`
/// and `{event_id}`. Receivers fetch it, so it has to be an address that `policy` takes.
///
/// # Errors
/// [`Invalid`] with code `analysis_url_invalid`.
pub fn check_template(template: &str, policy: &AddressPolicy) -> Result<(), Invalid> {
    let invalid = |detail: String| Invalid::new("analysis_url_invalid", "analysis_url", detail);
    let origin = template.split_inclusive('/').take(3).collect::<String>();
    let sample = filled(template, "e", Some("c"), Some("a")).unwrap_or_default();
    if origin.contains(['{', '}']) || sample.contains(['{', '}']) {
        let detail = "takes {call_id}, {analysis_id} and {event_id}, after the host";
        return Err(invalid(detail.to_owned()));
    }
    let checked = EndpointUrl::parse(&sample, policy, &[]).map(|_| ());
    checked.map_err(|refusal| invalid(refusal.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_a_public_url_whose_places_come_after_its_host() {
        let check = |template: &str| check_template(template, &AddressPolicy::strict()).is_ok();
        for template in [
            "https://p.example.com/calls/{call_id}/analyses/{analysis_id}?event={event_id}",
            "https://p.example.com/all",
            "https://p.example.com/{call_id}{call_id}",
        ] {
            assert!(check(template), "{template}");
        }
        for template in [
            "",
            "{event_id}",
            "http://p.example.com/{call_id}",
            "https://{call_id}.example.com/",
            "https://p.example.com:{event_id}/",
            "https://p.example.com/{agent}",
            "https://p.example.com/{call_id",
            "https://p.example.com/}",
            "https://p.example.com/{{call_id}}",
            "https://p.example.com/#{call_id}",
            "https://127.0.0.1/{call_id}",
            "https://u:p@p.example.com/",
            "https://p.example.com/\n",
        ] {
            assert!(!check(template), "{template}");
        }
    }

    #[test]
    fn an_id_never_becomes_more_than_one_part_of_the_url() {
        let made = |template, call_id| filled(template, "e1", call_id, Some("{event_id}"));
        assert_eq!(
            made("https://p.example.com/{call_id}/{analysis_id}", Some("../a?b#c&d e")).as_deref(),
            Some("https://p.example.com/..%2Fa%3Fb%23c%26d%20e/%7Bevent_id%7D")
        );
        assert_eq!(made("https://p.example.com/{call_id}", None), None);
        assert_eq!(
            made("https://p.example.com/{event_id}", None).as_deref(),
            Some("https://p.example.com/e1")
        );
    }
}
