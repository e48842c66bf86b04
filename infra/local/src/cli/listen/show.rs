//! How a received request is shown: lines for a person, a JSON object for a script. Everything in it is hostile; the
//! output escapes what a terminal would obey.

use redial_domain::Timestamp;
use redial_domain::count::counted;
use serde_json::{Value, json};

use super::judge::Verdict;
use super::receiver::Received;
use crate::cli::output::escaped;

/// Most characters shown of a body that is no JSON.
const MAX_TEXT_CHARS: usize = 4_000;
/// Most lines shown of `data`; `--json` has all of it.
const MAX_DATA_LINES: usize = 200;
const INDENT: &str = "    ";

/// The request for a person: one line about it, then its data.
pub(super) fn text(request: &Received, verdict: &Verdict) -> String {
    let body = serde_json::from_slice::<Value>(&request.body).ok();
    let mut line = vec![clock_time(request.at)];
    line.push(match &verdict.trust {
        Ok(()) => "✓ verified".to_owned(),
        Err(why) => format!("✗ {why}"),
    });
    line.push(
        body.as_ref()
            .and_then(|body| body["type"].as_str())
            .map_or_else(|| "(no type)".to_owned(), escaped),
    );
    line.push(request.id.as_deref().map_or_else(|| "(no id)".to_owned(), escaped));
    line.extend(timing(request, verdict, body.as_ref()));
    if request.answered != 200 {
        line.push(format!("answered {}", request.answered));
    }
    let data = match &body {
        Some(body) => pretty(body.get("data").unwrap_or(body)),
        None => shortened(&String::from_utf8_lossy(&request.body)),
    };
    let mut text = line.join("  ");
    let total = data.lines().count();
    for shown in data.lines().take(MAX_DATA_LINES) {
        text.push('\n');
        text.push_str(INDENT);
        text.push_str(&escaped(shown));
    }
    if total > MAX_DATA_LINES {
        let more = counted((total - MAX_DATA_LINES) as u64, "more line", "more lines");
        text.push_str(&format!("\n{INDENT}... {more}"));
    }
    text
}

/// The request for a script.
pub(super) fn document(request: &Received, verdict: &Verdict) -> Value {
    let body = serde_json::from_slice::<Value>(&request.body);
    let body = body.unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&request.body).into_owned()));
    json!({
        "at": request.at,
        "verified": verdict.trust.is_ok(),
        "error": verdict.trust.as_ref().err().map(ToString::to_string),
        "id": request.id,
        "type": body.get("type"),
        "request": verdict.request,
        "duplicate": verdict.duplicate,
        "after_ms": verdict.after_ms,
        "age_ms": age_ms(request, Some(&body)),
        "answered": request.answered,
        "body": body,
    })
}

fn timing(request: &Received, verdict: &Verdict, body: Option<&Value>) -> Vec<String> {
    let mut words = Vec::new();
    if verdict.duplicate {
        words.push("DUPLICATE".to_owned());
    }
    if let (true, Some(after_ms)) = (verdict.request > 1, verdict.after_ms) {
        words.push(format!(
            "request {}, {} after the last",
            verdict.request,
            seconds(after_ms)
        ));
    } else if let Some(age_ms) = age_ms(request, body) {
        words.push(format!("{} after it happened", seconds(age_ms)));
    }
    words
}

/// Milliseconds from when the event happened to when the request came; none if the body does not tell, or lies ahead.
fn age_ms(request: &Received, body: Option<&Value>) -> Option<i64> {
    let happened = Timestamp::parse(body?.get("timestamp")?.as_str()?).ok()?;
    Some(request.at.millis_since(happened)).filter(|age_ms| *age_ms >= 0)
}

fn seconds(ms: i64) -> String {
    format!("{}.{:03} s", ms / 1_000, (ms % 1_000).abs())
}

/// The time of day, UTC.
fn clock_time(at: Timestamp) -> String {
    let text = at.to_string();
    text.split_once('T').map_or(text.clone(), |(_, clock)| clock.to_owned())
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_else(|_| value.to_string())
}

fn shortened(text: &str) -> String {
    let kept: String = text.chars().take(MAX_TEXT_CHARS).collect();
    if kept.len() < text.len() {
        format!("{kept}…")
    } else {
        kept
    }
}
