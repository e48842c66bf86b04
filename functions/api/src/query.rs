//! Strict reading of query parameters: unknown and repeated ones are refused, never ignored. An empty value counts as
//! absent, so that a form with empty fields asks for everything.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use redial_domain::Timestamp;
use redial_domain::filter::TypePattern;
use redial_platform::problem::Problem;
use redial_platform::store::lists::Order;

/// Items of a page, unless `limit` says otherwise.
pub(crate) const DEFAULT_LIMIT: usize = 50;
/// Most items of a page.
pub(crate) const MAX_LIMIT: usize = 100;
/// Characters of an unknown parameter's name that an answer repeats.
const SHOWN_NAME_CHARS: usize = 64;

/// The parameters that every list takes.
const PAGE_PARAMETERS: [&str; 2] = ["limit", "cursor"];

/// The parameters of a request that have a value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Query(BTreeMap<String, String>);

/// 400 for one parameter.
pub(crate) fn refuse(code: &str, name: &str, detail: &str) -> Problem {
    let name: String = name.chars().take(SHOWN_NAME_CHARS).collect();
    Problem::new(StatusCode::BAD_REQUEST, code, detail).at(name)
}

impl Query {
    /// Reads the query of a list, which takes `limit`, `cursor` and `filters`.
    ///
    /// # Errors
    /// 400 `parameter_unknown` or `parameter_repeated`.
    pub(crate) fn parse(raw: Option<&str>, filters: &[&str]) -> Result<Self, Problem> {
        Self::read_known(raw, &[&PAGE_PARAMETERS, filters].concat())
    }

    /// Reads the query of what is no list: it takes `known` and nothing else.
    ///
    /// # Errors
    /// As [`Query::parse`].
    pub(crate) fn read_known(raw: Option<&str>, known: &[&str]) -> Result<Self, Problem> {
        let mut seen = BTreeMap::new();
        for (name, value) in url::form_urlencoded::parse(raw.unwrap_or_default().as_bytes()) {
            if !known.contains(&name.as_ref()) {
                let known = known.join(", ");
                let detail = format!("is not a parameter here; there are {known}");
                return Err(refuse("parameter_unknown", &name, &detail));
            }
            if seen.insert(name.to_string(), value.into_owned()).is_some() {
                return Err(refuse("parameter_repeated", &name, "is given more than once"));
            }
        }
        seen.retain(|_, value| !value.is_empty());
        Ok(Self(seen))
    }

    /// The value of a parameter.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The value of a parameter, read by `parse`.
    ///
    /// # Errors
    /// 400 `parameter_invalid` if `parse` does not take it; `expected` says what it must be.
    pub(crate) fn read<T>(
        &self,
        name: &str,
        expected: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, Problem> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let value = parse(text).ok_or_else(|| refuse("parameter_invalid", name, &format!("must be {expected}")))?;
        Ok(Some(value))
    }

    /// A moment.
    ///
    /// # Errors
    /// 400 `parameter_invalid`.
    pub(crate) fn moment(&self, name: &str) -> Result<Option<Timestamp>, Problem> {
        let expected = "an RFC 3339 date-time such as 2026-11-20T05:03:46.258Z";
        self.read(name, expected, |text| Timestamp::parse(text).ok())
    }

    /// Which end of the list comes first.
    ///
    /// # Errors
    /// 400 `parameter_invalid`.
    pub(crate) fn order(&self) -> Result<Order, Problem> {
        let parse = |text: &str| match text {
            "asc" => Some(Order::OldestFirst),
            "desc" => Some(Order::NewestFirst),
            _ => None,
        };
        Ok(self.read("order", "asc or desc", parse)?.unwrap_or_default())
    }

    /// Of what types.
    ///
    /// # Errors
    /// 400 `parameter_invalid`.
    pub(crate) fn type_pattern(&self) -> Result<Option<TypePattern>, Problem> {
        let expected = "an event type such as call.ended, or all below a name, such as call.*";
        self.read("type", expected, |text| TypePattern::try_from(text.to_owned()).ok())
    }

    /// How many items a page may have.
    ///
    /// # Errors
    /// 400 `parameter_invalid` if it is not 1 to 100 in plain digits.
    pub(crate) fn limit(&self) -> Result<usize, Problem> {
        let plain = |text: &str| text.bytes().all(|c| c.is_ascii_digit()) && !text.starts_with('0');
        let parse = |text: &str| text.parse().ok().filter(|n| plain(text) && (1..=MAX_LIMIT).contains(n));
        Ok(self.read("limit", "1 to 100", parse)?.unwrap_or(DEFAULT_LIMIT))
    }

    /// The parameters that say what is asked, not which page of it.
    pub(crate) fn filters(&self) -> impl Iterator<Item = (&str, &str)> {
        let pairs = self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        pairs.filter(|(name, _)| !PAGE_PARAMETERS.contains(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(raw: &str) -> Result<usize, Problem> {
        Query::parse(Some(raw), &[])?.limit()
    }

    #[test]
    fn a_limit_is_plain_digits_from_1_to_100() {
        assert_eq!(limit("").unwrap(), DEFAULT_LIMIT);
        assert_eq!(limit("limit=").unwrap(), DEFAULT_LIMIT);
        assert_eq!(limit("limit=1").unwrap(), 1);
        assert_eq!(limit("limit=100").unwrap(), MAX_LIMIT);
        for raw in [
            "limit=0",
            "limit=101",
            "limit=-1",
            "limit=1e9",
            "limit=%2B5",
            "limit=007",
            "limit=%00",
            "limit=5.0",
            "limit=99999999999999999999",
        ] {
            let problem = limit(raw).unwrap_err();
            assert_eq!(
                (problem.code.as_str(), problem.field.as_deref()),
                ("parameter_invalid", Some("limit"))
            );
        }
    }

    #[test]
    fn unknown_and_repeated_parameters_are_named() {
        let refusal = |raw: &str| Query::parse(Some(raw), &["state"]).unwrap_err();
        for raw in [
            "before=1",
            "a[b]=1",
            "__proto__[x]=1",
            "State=dead",
            "=1",
            "state%00=dead",
        ] {
            assert_eq!(refusal(raw).code, "parameter_unknown", "{raw}");
        }
        for raw in [
            "state=dead&state=held",
            "limit=&limit=",
            "limit=10&limit=1000",
            "state=&state=dead",
        ] {
            assert_eq!(refusal(raw).code, "parameter_repeated", "{raw}");
        }
    }

    #[test]
    fn an_empty_value_is_absent() {
        let query = Query::parse(Some("state=&since="), &["state", "since"]).unwrap();
        assert_eq!(query, Query::default());
        assert_eq!(query.moment("since").unwrap(), None);
    }

    #[test]
    fn impossible_dates_are_refused() {
        for date in ["2026-13-45", "-1", "0", "yesterday", "2026-02-30T00:00:00Z", "%00"] {
            let query = Query::parse(Some(&format!("since={date}")), &["since"]).unwrap();
            assert_eq!(query.moment("since").unwrap_err().code, "parameter_invalid", "{date}");
        }
    }
}
