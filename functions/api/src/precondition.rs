//! Against lost updates (RFC 9110 sections 8.8.3 and 13.1.1): what shows one thing carries its version as `ETag`, and a
//! change may name the version that it is about in `If-Match`. Knows no resource: whoever changes one checks what is
//! stored at that moment, within the conditional write.

use axum::Json;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use redial_platform::problem::Problem;
use serde::Serialize;

/// How an `If-Match` is written.
const EXPECTED: &str = "must be *, or a version in quotes as the ETag has it, such as \"7\"";

/// What a request wants to change.
///
/// An extractor: 400 `if_match_invalid` for a header that is not of the form.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum IfMatch {
    /// Whatever is there, or nothing: there is no such header.
    #[default]
    Unasked,
    /// Whatever is there: `*`.
    Present,
    /// One of these versions.
    Versions(Vec<String>),
}

impl<S: Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        // Several lines are one list (RFC 9110 section 5.3).
        let lines = parts.headers.get_all(header::IF_MATCH).iter().map(HeaderValue::to_str);
        let lines: Vec<&str> = lines.collect::<Result<_, _>>().map_err(|_| malformed())?;
        if lines.is_empty() {
            return Ok(Self::default());
        }
        Self::parse(&lines.join(","))
    }
}

impl IfMatch {
    fn parse(text: &str) -> Result<Self, Problem> {
        if text.trim_matches([' ', '\t']) == "*" {
            return Ok(Self::Present);
        }
        let mut tags = Vec::new();
        let mut rest = text;
        loop {
            rest = rest.trim_start_matches([' ', '\t']);
            // A list may have empty elements (section 5.6.1.2).
            if let Some(after) = rest.strip_prefix(',') {
                rest = after;
                continue;
            }
            if rest.is_empty() {
                break;
            }
            let (tag, after) = entity_tag(rest).ok_or_else(malformed)?;
            tags.extend(tag.map(str::to_owned));
            rest = after.trim_start_matches([' ', '\t']);
            if !rest.is_empty() && !rest.starts_with(',') {
                return Err(malformed());
            }
        }
        if text.contains('"') {
            Ok(Self::Versions(tags))
        } else {
            Err(malformed())
        }
    }

    /// Lets a change go on if `version` is one that it is about.
    ///
    /// # Errors
    /// 412 `version_mismatch`.
    pub(crate) fn check(&self, version: u64) -> Result<(), Problem> {
        let version = version.to_string();
        match self {
            Self::Versions(tags) if !tags.contains(&version) => Err(mismatch(format!(
                "it was changed since: its version is {version}; read it again, then change that"
            ))),
            _ => Ok(()),
        }
    }

    /// Lets a change go on that makes what it is about: nothing is there, which is of no version, nor `*`
    /// (RFC 9110 section 13.1.1).
    ///
    /// # Errors
    /// 412 `version_mismatch`.
    pub(crate) fn check_absent(&self) -> Result<(), Problem> {
        match self {
            Self::Unasked => Ok(()),
            Self::Present | Self::Versions(_) => Err(mismatch("there is nothing of this name that it could be")),
        }
    }
}

fn mismatch(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::PRECONDITION_FAILED, "version_mismatch", detail)
}

/// One entity tag at the beginning of `text`, and what follows it. A weak one is none that could match (section 13.1.1).
fn entity_tag(text: &str) -> Option<(Option<&str>, &str)> {
    let (weak, text) = match text.strip_prefix("W/") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (tag, rest) = text.strip_prefix('"')?.split_once('"')?;
    // `etagc` of section 8.8.3, ASCII alone.
    let allowed = |c: u8| c == b'!' || (b'#'..=b'~').contains(&c);
    tag.bytes().all(allowed).then_some(((!weak).then_some(tag), rest))
}

fn malformed() -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "if_match_invalid", EXPECTED).at("If-Match")
}

/// An answer that shows one thing, with its version as `ETag`.
#[derive(Debug)]
pub(crate) struct Tagged<T> {
    pub(crate) status: StatusCode,
    pub(crate) version: u64,
    pub(crate) body: T,
}

impl<T> Tagged<T> {
    /// 200, with this body as of `version`.
    pub(crate) const fn ok(version: u64, body: T) -> Self {
        Self {
            status: StatusCode::OK,
            version,
            body,
        }
    }
}

impl<T: Serialize> IntoResponse for Tagged<T> {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body)).into_response();
        // Digits in quotes are a header's value.
        if let Ok(tag) = HeaderValue::from_str(&format!("\"{}\"", self.version)) {
            response.headers_mut().insert(header::ETAG, tag);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(header: &str, version: u64) -> Result<(), u16> {
        let wanted = IfMatch::parse(header).map_err(|problem| problem.status)?;
        wanted.check(version).map_err(|problem| problem.status)
    }

    #[test]
    fn a_version_matches_itself_and_a_star_matches_any() {
        for header in ["\"7\"", "*", " * ", "\"6\", \"7\"", "\"6\",,\"7\",", "\"7\" , W/\"9\""] {
            assert_eq!(checked(header, 7), Ok(()), "{header}");
        }
        assert_eq!(IfMatch::default().check(7), Ok(()));
    }

    #[test]
    fn another_version_does_not_match_nor_does_a_weak_one() {
        for header in ["\"6\"", "\"07\"", "\"\"", "W/\"7\"", "\"6\", \"8\"", "\"7,8\"", "\"*\""] {
            assert_eq!(checked(header, 7), Err(412), "{header}");
        }
    }

    #[test]
    fn nothing_is_of_no_version_nor_of_any() {
        for header in ["*", "\"0\"", "W/\"1\""] {
            let refused = IfMatch::parse(header).unwrap().check_absent().unwrap_err();
            assert_eq!(
                (refused.status, refused.code.as_str()),
                (412, "version_mismatch"),
                "{header}"
            );
        }
        assert_eq!(IfMatch::default().check_absent(), Ok(()));
    }

    #[test]
    fn what_is_no_list_of_tags_is_refused() {
        for header in [
            "",
            "7",
            "\"7",
            "7\"",
            "'7'",
            "\"7\" \"8\"",
            "\"7\"x",
            "w/\"7\"",
            "*, \"7\"",
            "\"7\", *",
            ",",
            "\"a b\"",
            "\"\u{e9}\"",
            "W/7",
        ] {
            assert_eq!(checked(header, 7), Err(400), "{header}");
        }
    }
}
