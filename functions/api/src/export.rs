//! Lists for programs that read on and on: `Accept: application/x-ndjson` has a page as one JSON object a line (NDJSON),
//! with the next cursor in a header. The same items as in JSON; refusals are problems all the same.

use std::convert::Infallible;

use axum::Json;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use redial_platform::problem::Problem;
use redial_platform::store::lists::After;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::listing::Listing;

/// One JSON object a line.
const NDJSON: &str = "application/x-ndjson";
/// Where the next page begins; absent: this was the last one.
const NEXT_HEADER: &str = "redial-next-cursor";
/// How many items of the page cannot be read; absent: none.
const UNREADABLE_HEADER: &str = "redial-unreadable";
/// Most bytes of the events of a page, each as within a JSON string. Lambda takes 6 MB of an answer, as such a string or,
/// if it knows no such content type, in base64.
pub(crate) const MAX_PAGE_BYTES: usize = 4 * 1024 * 1024;
/// Weight of a media range without `q`, in thousandths (RFC 9110 section 12.4.2).
const FULL_WEIGHT: u16 = 1_000;

/// How a list is to be written: NDJSON if the request prefers it, otherwise JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// `{"items": [..], "next": ..}`.
    Json,
    /// One item a line.
    Lines,
}

impl<S: Sync> FromRequestParts<S> for Format {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.headers))
    }
}

impl Format {
    fn of(headers: &HeaderMap) -> Self {
        let lines = headers.get_all(header::ACCEPT).iter();
        let ranges: Vec<&str> = lines
            .filter_map(|line| line.to_str().ok())
            .flat_map(|line| line.split(','))
            .collect();
        let weight_of = |wanted: &str| ranges.iter().filter_map(|range| weight(range, wanted)).max();
        let lines = weight_of(NDJSON).unwrap_or_default();
        if lines > 0 && lines >= weight_of("application/json").unwrap_or_default() {
            Self::Lines
        } else {
            Self::Json
        }
    }
}

/// The weight that a media range gives to exactly `wanted`, in thousandths; a weight that is none counts as 0.
fn weight(range: &str, wanted: &str) -> Option<u16> {
    let mut parts = range.split(';').map(str::trim);
    if !parts.next()?.eq_ignore_ascii_case(wanted) {
        return None;
    }
    let weight = parts.find_map(|parameter| parameter.strip_prefix("q=").or(parameter.strip_prefix("Q=")));
    let thousandths = |text: &str| {
        let weight = text.parse::<f32>().ok().filter(|weight| (0.0..=1.0).contains(weight))?;
        // 0 to 1: no sign, no overflow.
        Some((weight * f32::from(FULL_WEIGHT)) as u16)
    };
    Some(weight.map_or(FULL_WEIGHT, |text| thousandths(text).unwrap_or_default()))
}

/// A page in the format that was asked for.
#[derive(Debug)]
pub(crate) struct Exported<T>(pub(crate) Format, pub(crate) Listing<T>);

impl<T: Serialize> IntoResponse for Exported<T> {
    fn into_response(self) -> Response {
        let Self(format, page) = self;
        if format == Format::Json {
            return Json(page).into_response();
        }
        let mut body = Vec::new();
        for item in &page.items {
            let start = body.len();
            if serde_json::to_writer(&mut body, item).is_err() {
                return Problem::internal().into_response();
            }
            in_one_line(&mut body[start..]);
            body.push(b'\n');
        }
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(NDJSON));
        // A cursor is base64: it is a header's value as it is.
        if let Some(next) = page.next.and_then(|next| HeaderValue::from_str(&next).ok()) {
            headers.insert(NEXT_HEADER, next);
        }
        if let Some(unreadable) = page.unreadable {
            headers.insert(UNREADABLE_HEADER, HeaderValue::from(unreadable));
        }
        (headers, body).into_response()
    }
}

/// A payload is as it was posted, line breaks and all: within JSON they are white space, as a space is.
fn in_one_line(json: &mut [u8]) {
    for byte in json.iter_mut().filter(|byte| matches!(byte, b'\n' | b'\r')) {
        *byte = b' ';
    }
}

/// As many of the items as one answer may have, at least one, and where it ends if it has not all: `items` come with their
/// places.
///
/// # Errors
/// 500 if one cannot be written as JSON: never in practice.
pub(crate) fn fitting<T: Serialize>(
    items: impl IntoIterator<Item = (After, T)>,
) -> Result<(Vec<Box<RawValue>>, Option<After>), Problem> {
    let (mut fitting, mut bytes, mut last) = (Vec::new(), 0, None);
    for (place, item) in items {
        let item = serde_json::value::to_raw_value(&item).map_err(|_| Problem::internal())?;
        bytes += carried_bytes(&item);
        if bytes > MAX_PAGE_BYTES && last.is_some() {
            return Ok((fitting, last));
        }
        fitting.push(item);
        last = Some(place);
    }
    Ok((fitting, None))
}

/// Bytes that a JSON text is as a JSON string: how Lambda carries an answer.
fn carried_bytes(item: &RawValue) -> usize {
    let escaped = |byte: &&u8| matches!(byte, b'"' | b'\\' | b'\n' | b'\r' | b'\t');
    item.get().len() + item.get().as_bytes().iter().filter(escaped).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(accept: &[&'static str]) -> Format {
        let lines = accept
            .iter()
            .map(|line| (header::ACCEPT, HeaderValue::from_static(line)));
        Format::of(&lines.collect())
    }

    #[test]
    fn lines_are_for_whoever_prefers_them_by_name() {
        for accept in [
            &["application/x-ndjson"][..],
            &["Application/X-NDJSON;q=0.5"],
            &["text/html, application/x-ndjson, */*;q=0.1"],
            &["text/html", "application/x-ndjson"],
            &["application/json;q=0.5, application/x-ndjson"],
        ] {
            assert_eq!(format(accept), Format::Lines, "{accept:?}");
        }
        for accept in [
            &[][..],
            &["*/*"],
            &["application/*"],
            &["application/json"],
            &["application/x-ndjson;q=0"],
            &["application/x-ndjson;q=nonsense"],
            &["application/x-ndjson;q=0.2, application/json"],
            &["application/x-ndjson2"],
        ] {
            assert_eq!(format(accept), Format::Json, "{accept:?}");
        }
    }

    #[test]
    fn an_item_is_one_line_and_the_same_value() {
        let mut json = b"{\"data\":{\r\n \"a\" : \"x\\ny\"\n}}".to_vec();
        let before: serde_json::Value = serde_json::from_slice(&json).unwrap();
        in_one_line(&mut json);
        assert!(!json.contains(&b'\n') && !json.contains(&b'\r'));
        assert_eq!(serde_json::from_slice::<serde_json::Value>(&json).unwrap(), before);
    }

    #[test]
    fn an_item_weighs_what_it_is_within_a_string() {
        for text in [r#"{"a":"b"}"#, "{\"a\":\t\"\\\\\\\"\"\n}"] {
            let item: Box<RawValue> = serde_json::from_str(text).unwrap();
            let string = serde_json::to_string(item.get()).unwrap();
            assert_eq!(carried_bytes(&item), string.len() - 2, "{text}");
        }
    }
}
