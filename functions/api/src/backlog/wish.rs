//! What a caller asks of a backlog: which part of it, and what becomes of it. Reads; does nothing.

use redial_domain::filter::{Filter, TypePattern};
use redial_domain::{AgentId, Timestamp};
use redial_platform::problem::Problem;
use redial_platform::store::lists::Range;
use redial_replay::take_rate;
use serde::Deserialize;
use serde_json::Value;

use crate::body::{Fields, refuse};
use crate::listing::CLOCK_SKEW_MS;
use crate::query::{Query, refuse as refuse_parameter};

/// Which part of a backlog. Nothing given: all of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Which {
    pub(crate) since: Option<Timestamp>,
    pub(crate) until: Option<Timestamp>,
    pub(crate) event_types: Vec<TypePattern>,
    pub(crate) agents: Vec<AgentId>,
}

/// What becomes of a backlog when its endpoint is delivered to again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wish {
    /// That part is delivered, at so many a second if a rate is given; the rest stays held.
    Drain(Which, Option<u32>),
    /// All of it stays held.
    Keep,
    /// That part is canceled; the rest stays held.
    Discard(Which),
}

impl Default for Wish {
    fn default() -> Self {
        Self::Drain(Which::default(), None)
    }
}

/// What [`Wish`] is called in a body.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum WishName {
    #[default]
    Drain,
    Keep,
    Discard,
}

/// What is done with a part of a backlog.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Action {
    Drain,
    Discard,
}

impl Which {
    /// Takes the members of a body that say which part.
    ///
    /// # Errors
    /// 422 for the first that is wrong.
    pub(super) fn take(fields: &mut Fields) -> Result<Self, Problem> {
        refuse_nothing(fields, &["since", "until", "event_types", "agents"])?;
        let since = fields.moment("since")?;
        let event_types: Option<Vec<TypePattern>> =
            fields.take("event_types", "a list of event types such as call.ended or call.*")?;
        let agents: Option<Vec<AgentId>> = fields.take("agents", "a list of agents' ids")?;
        Self {
            since,
            until: None,
            event_types: event_types.unwrap_or_default(),
            agents: agents.unwrap_or_default(),
        }
        .checked()
    }

    /// Reads the same of a query, where lists are separated by commas.
    pub(super) fn read(query: &Query) -> Result<Self, Problem> {
        let types = "event types such as call.ended or call.*, separated by commas";
        let agents = "ids of agents, separated by commas";
        let which = Self {
            since: query.moment("since")?,
            until: query.moment("until")?,
            event_types: query
                .read("event_types", types, |text| {
                    list(text, |one| TypePattern::try_from(one.to_owned()).ok())
                })?
                .unwrap_or_default(),
            agents: query
                .read("agents", agents, |text| list(text, |one| AgentId::parse(one).ok()))?
                .unwrap_or_default(),
        };
        which.checked().map_err(|problem| {
            let name = problem.field.clone().unwrap_or_default();
            refuse_parameter("parameter_invalid", &name, &problem.detail)
        })
    }

    fn checked(self) -> Result<Self, Problem> {
        let limits = Filter {
            event_types: self.event_types.clone(),
            agents: self.agents.clone(),
            exclude_agents: Vec::new(),
        };
        limits.check()?;
        Ok(self)
    }

    /// From when on what is held goes by itself, once this part was asked for at `now`.
    fn kept_until(&self, now: Timestamp) -> Option<Timestamp> {
        if self.event_types.is_empty() && self.agents.is_empty() {
            // What will be accepted until then is delivered as it comes.
            self.since.map(|since| since.min(now))
        } else {
            Some(now)
        }
    }

    pub(super) fn range(&self, now: Timestamp) -> Range {
        let since = self.since.unwrap_or_default();
        // Of what begins in the future there is nothing: that is no mistake.
        let open_end = now.plus_millis(CLOCK_SKEW_MS).max(since.plus_millis(1));
        Range {
            since,
            until: self.until.unwrap_or(open_end),
        }
    }
}

/// The parts of `text` between commas; `None` if one is not what it must be.
fn list<T>(text: &str, parse: impl Fn(&str) -> Option<T>) -> Option<Vec<T>> {
    text.split(',').map(parse).collect()
}

/// Refuses `null` and empty lists where they would mean everything: whoever meant a part, and lost what names it, must not
/// discard the whole.
///
/// # Errors
/// 422 `field_invalid` for the first.
pub(crate) fn refuse_nothing(fields: &Fields, names: &[&'static str]) -> Result<(), Problem> {
    let is_nothing = |name: &&&str| match fields.0.get(**name) {
        Some(Value::Null) => true,
        Some(Value::Array(items)) => items.is_empty(),
        _ => false,
    };
    match names.iter().find(is_nothing) {
        None => Ok(()),
        Some(name) => Err(refuse(
            "field_invalid",
            name,
            "must not be empty: leave it out to ask for all",
        )),
    }
}

impl Wish {
    /// Reads what is asked for when an endpoint is resumed; nothing asks for a drain of everything.
    ///
    /// # Errors
    /// 422 for the first field that is wrong.
    pub(crate) fn read(mut fields: Fields) -> Result<Self, Problem> {
        let name: Option<WishName> = fields.take("backlog", "drain, keep or discard")?;
        let wish = match name.unwrap_or_default() {
            WishName::Keep => Self::Keep,
            WishName::Drain => {
                let which = Which::take(&mut fields)?;
                Self::Drain(which, take_rate(&mut fields)?)
            }
            WishName::Discard => Self::Discard(Which::take(&mut fields)?),
        };
        fields.finish()?;
        Ok(wish)
    }

    /// What is held of events accepted before this moment stays held once this was asked for at `now`.
    pub(crate) fn kept_until(&self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Drain(which, _) => which.kept_until(now),
            // What is being held just now must not be delivered after all.
            Self::Keep | Self::Discard(_) => Some(now),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_795_000_000_000);

    fn wish(body: &str) -> Result<Wish, Problem> {
        Wish::read(Fields::parse(body.as_bytes()).unwrap().unwrap_or_default())
    }

    #[test]
    fn nothing_asks_for_a_drain_of_everything_and_keeps_nothing_back() {
        for body in ["", "{}", r#"{"backlog":null}"#, r#"{"backlog":"drain"}"#] {
            assert_eq!(wish(body).unwrap(), Wish::default(), "{body}");
        }
        assert_eq!(Wish::default().kept_until(NOW), None);
    }

    #[test]
    fn what_was_not_asked_for_is_kept_back() {
        let since = Timestamp::parse("2026-11-01T00:00:00Z").unwrap();
        let kept = |body: &str| wish(body).unwrap().kept_until(NOW);
        assert_eq!(kept(r#"{"backlog":"keep"}"#), Some(NOW));
        assert_eq!(kept(r#"{"backlog":"discard"}"#), Some(NOW));
        assert_eq!(kept(r#"{"since":"2026-11-01T00:00:00Z"}"#), Some(since));
        assert_eq!(
            kept(r#"{"since":"2026-11-01T00:00:00Z","agents":["agt_7"]}"#),
            Some(NOW)
        );
        assert_eq!(kept(r#"{"event_types":["call.*"],"rate":20}"#), Some(NOW));
        // Of what is yet to come nothing is kept.
        assert_eq!(kept(r#"{"since":"2999-01-01T00:00:00Z"}"#), Some(NOW));
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_its_field() {
        for (body, code, field) in [
            (r#"{"backlog":"drop"}"#, "field_invalid", "backlog"),
            (
                r#"{"backlog":"keep","since":"2026-11-01T00:00:00Z"}"#,
                "field_unknown",
                "since",
            ),
            (r#"{"backlog":"discard","rate":7}"#, "field_unknown", "rate"),
            (r#"{"since":"yesterday"}"#, "timestamp_invalid", "since"),
            (r#"{"event_types":"call.*"}"#, "field_invalid", "event_types"),
            (r#"{"event_types":["call..x"]}"#, "field_invalid", "event_types"),
            (r#"{"agents":["a b"]}"#, "field_invalid", "agents"),
            (r#"{"backlog":"discard","since":null}"#, "field_invalid", "since"),
            (r#"{"backlog":"discard","agents":[]}"#, "field_invalid", "agents"),
            (r#"{"rate":0}"#, "rate_invalid", "rate"),
            (r#"{"rate":501}"#, "rate_invalid", "rate"),
            (r#"{"until":"2026-11-01T00:00:00Z"}"#, "field_unknown", "until"),
        ] {
            let problem = wish(body).unwrap_err();
            let said = (problem.status, problem.code.as_str(), problem.field.as_deref());
            assert_eq!(said, (422, code, Some(field)), "{body}");
        }
        let many: Vec<String> = (0..101).map(|n| format!("\"agt_{n}\"")).collect();
        let problem = wish(&format!(r#"{{"agents":[{}]}}"#, many.join(","))).unwrap_err();
        assert_eq!(
            (problem.code.as_str(), problem.field.as_deref()),
            ("filter_too_long", Some("agents"))
        );
    }

    #[test]
    fn a_query_has_its_lists_with_commas() {
        let names = ["since", "until", "event_types", "agents"];
        let read = |raw: &str| Which::read(&Query::read_known(Some(raw), &names).unwrap());
        let which = read("event_types=call.ended,qa.*&agents=agt_7").unwrap();
        assert_eq!((which.event_types.len(), which.agents.len()), (2, 1));
        assert_eq!(read("").unwrap(), Which::default());
        for (raw, field) in [
            ("event_types=call.ended,", "event_types"),
            ("agents=a%20b", "agents"),
            ("since=1", "since"),
        ] {
            let problem = read(raw).unwrap_err();
            let said = (problem.status, problem.code.as_str(), problem.field.as_deref());
            assert_eq!(said, (400, "parameter_invalid", Some(field)), "{raw}");
        }
    }
}
