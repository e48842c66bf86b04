//! The fields of a key: until when and from where it may be used. No key is made, or changed, to be good for longer or from
//! more places than the one that asks for it.

use redial_domain::Timestamp;
use redial_domain::source::SourceNetworks;
use redial_platform::problem::Problem;
use redial_platform::store::config::ApiKey;
use serde_json::Value;

use crate::body::{Fields, refuse};

/// Longest life of a key that expires, in seconds: ten years.
const MAX_LIFE_S: i64 = 10 * 365 * 86_400;
/// What is refused of a key that would be more than the one that asks for it.
const EXCEEDS_MAKER: &str = "key_exceeds_maker";

/// The networks that a body names; `None`: it says nothing of them, `Some(None)`: from anywhere.
pub(crate) fn networks(fields: &mut Fields) -> Result<Option<Option<SourceNetworks>>, Problem> {
    let expected = "a list of addresses and networks, as 203.0.113.7 and 2001:db8::/32, or null";
    match fields.0.remove("allowed_networks") {
        None => Ok(None),
        Some(Value::Null) => Ok(Some(None)),
        Some(value) => {
            let read: Result<Vec<String>, _> = serde_json::from_value(value);
            let texts = read.map_err(|_| refuse("field_invalid", "allowed_networks", format!("must be {expected}")))?;
            Ok(Some(Some(SourceNetworks::try_from(texts)?)))
        }
    }
}

/// When a new key is to expire.
pub(crate) fn expiry(fields: &mut Fields, maker: &ApiKey, now: Timestamp) -> Result<Option<Timestamp>, Problem> {
    let at = fields.moment("expires_at")?;
    let in_s: Option<i64> = fields.take("expires_in_s", "a number of seconds, 1 to 315360000")?;
    let latest = now.plus_millis(MAX_LIFE_S * 1000);
    let (expires_at, field) = match (at, in_s) {
        (Some(_), Some(_)) => {
            let detail = "give this or expires_at, not both";
            return Err(refuse("expiry_ambiguous", "expires_in_s", detail));
        }
        (Some(at), None) if at <= now || at > latest => {
            let detail = format!("must be in the future, {latest} at the latest");
            return Err(refuse("expiry_invalid", "expires_at", detail));
        }
        (None, Some(in_s)) if !(1..=MAX_LIFE_S).contains(&in_s) => {
            let detail = format!("must be 1 to {MAX_LIFE_S}");
            return Err(refuse("expiry_invalid", "expires_in_s", detail));
        }
        (None, Some(in_s)) => (Some(now.plus_millis(in_s * 1000)), "expires_in_s"),
        (at, None) => (at, "expires_at"),
    };
    match maker.expires_at {
        Some(last) if expires_at.is_none_or(|at| at > last) => {
            let detail = format!(
                "the key of this request is good until {last}, and one that it makes must end by then too; another \
                 operator's key can make it"
            );
            Err(refuse(EXCEEDS_MAKER, field, detail))
        }
        _ => Ok(expires_at),
    }
}

/// Refuses networks that the key that asks for them may not itself be used from.
pub(crate) fn within_maker(networks: Option<&SourceNetworks>, maker: &ApiKey) -> Result<(), Problem> {
    let Some(own) = &maker.allowed_networks else {
        return Ok(());
    };
    if networks.is_some_and(|networks| networks.are_within(own)) {
        return Ok(());
    }
    let detail = format!(
        "the key of this request may be used from {} only: name networks within these; another operator's key can name others",
        own.texts().collect::<Vec<_>>().join(", ")
    );
    Err(refuse(EXCEEDS_MAKER, "allowed_networks", detail))
}

#[cfg(test)]
mod tests {
    use redial_platform::Random;
    use redial_platform::auth::{self, Scope};

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_795_000_000_000);

    fn maker(expires_at: Option<Timestamp>, networks: Option<&[&str]>) -> ApiKey {
        ApiKey {
            expires_at,
            allowed_networks: networks.map(|texts| SourceNetworks::parse(texts.iter().copied()).unwrap()),
            ..auth::mint(&Random::seeded(1), &Scope::Operator, "", NOW).1
        }
    }

    #[test]
    fn a_key_lives_no_longer_than_the_one_that_makes_it() {
        let last = NOW.plus_millis(60_000);
        let expiry = |body: &str, maker: &ApiKey| {
            let mut fields = Fields::parse(body.as_bytes()).unwrap().unwrap();
            expiry(&mut fields, maker, NOW).map_err(|problem| (problem.code, problem.field.unwrap_or_default()))
        };
        let bounded = maker(Some(last), None);
        let exceeds = |field: &str| Err(("key_exceeds_maker".into(), field.into()));
        assert_eq!(expiry("{}", &bounded), exceeds("expires_at"));
        assert_eq!(expiry(r#"{"expires_at":null}"#, &bounded), exceeds("expires_at"));
        assert_eq!(expiry(r#"{"expires_in_s":61}"#, &bounded), exceeds("expires_in_s"));
        assert_eq!(expiry(r#"{"expires_in_s":60}"#, &bounded), Ok(Some(last)));
        let at = format!(r#"{{"expires_at":"{}"}}"#, last.plus_millis(1));
        assert_eq!(expiry(&at, &bounded), exceeds("expires_at"));
        assert_eq!(expiry(&at, &maker(None, None)), Ok(Some(last.plus_millis(1))));
        assert_eq!(expiry("{}", &maker(None, None)), Ok(None));
    }

    #[test]
    fn a_key_may_be_used_from_no_more_places_than_the_one_that_makes_it() {
        let read = |texts: &[&str]| SourceNetworks::parse(texts.iter().copied()).unwrap();
        let bounded = maker(None, Some(&["192.0.2.0/24", "2001:db8::/32"]));
        within_maker(Some(&read(&["192.0.2.7", "2001:db8:1::/48"])), &bounded).unwrap();
        for wider in [
            None,
            Some(read(&["192.0.2.7", "198.51.100.1"])),
            Some(read(&["0.0.0.0/0"])),
        ] {
            let refused = within_maker(wider.as_ref(), &bounded).unwrap_err();
            let said = (refused.status, refused.code.as_str(), refused.field.as_deref());
            assert_eq!(said, (422, "key_exceeds_maker", Some("allowed_networks")));
            within_maker(wider.as_ref(), &maker(None, None)).unwrap();
        }
    }
}
