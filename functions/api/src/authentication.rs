//! How an endpoint's requests authenticate and which headers they carry besides ours: read from JSON, whole or as a merge
//! patch (RFC 7396), kept with the signing secret. An answer shows kinds and names; values only where secrets are shown.

use std::collections::BTreeMap;
use std::fmt;

use redial_domain::auth::EndpointAuth;
use redial_domain::endpoint::EndpointSettings;
use redial_domain::header::{CustomHeader, CustomHeaders};
use redial_domain::profile::{Profile, voicehub};
use redial_platform::problem::Problem;
use redial_platform::seal::Credentials;
use serde_json::Value;

use crate::body::{Fields, refuse};

/// Characters of a header's name that an answer repeats.
const SHOWN_NAME_CHARS: usize = 64;
const AUTH_EXPECTED: &str = "an object with type api_key (header, value), basic (username, password) or bearer (token)";
const HEADERS_EXPECTED: &str = "an object whose values are strings";

/// What a request changes of an endpoint's authentication and headers.
#[derive(Default)]
pub(crate) struct Authentication {
    /// `None`: stays; `Some(None)`: none any more.
    auth: Option<Option<EndpointAuth>>,
    /// `None`: stays; `Some(None)`: none any more; else by name, where `None` removes.
    headers: Option<Option<BTreeMap<String, Option<String>>>>,
}

impl fmt::Debug for Authentication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self
            .headers
            .as_ref()
            .map(|headers| headers.as_ref().map(|headers| headers.keys()));
        f.debug_struct("Authentication")
            .field("auth", &self.auth)
            .field("headers", &names)
            .finish()
    }
}

impl Authentication {
    /// Takes `auth` and `headers` out of `fields`.
    ///
    /// # Errors
    /// 422 names the field.
    pub(crate) fn take(fields: &mut Fields) -> Result<Self, Problem> {
        let auth = match fields.0.remove("auth") {
            None => None,
            Some(Value::Null) => Some(None),
            Some(value) => Some(Some(auth(value)?)),
        };
        let headers = match fields.0.remove("headers") {
            None => None,
            Some(Value::Null) => Some(None),
            Some(value) => Some(Some(by_name(value)?)),
        };
        Ok(Self { auth, headers })
    }

    /// True if everything stays.
    pub(crate) const fn is_empty(&self) -> bool {
        self.auth.is_none() && self.headers.is_none()
    }

    /// Changes `credentials`, and what `settings` show of them.
    ///
    /// # Errors
    /// 422 for a header that is refused or that something else sends, and for a secret that the endpoint's profile cannot sign
    /// with.
    pub(crate) fn apply(&self, settings: &mut EndpointSettings, credentials: &mut Credentials) -> Result<(), Problem> {
        if let Some(auth) = &self.auth {
            credentials.auth.clone_from(auth);
        }
        match &self.headers {
            None => {}
            Some(None) => credentials.headers = CustomHeaders::default(),
            Some(Some(changes)) => credentials.headers = merged(&credentials.headers, changes)?,
        }
        if settings.profile != Profile::Voicehub && !credentials.secret.is_standard() {
            let detail = "only voicehub takes a secret of one's own choosing: rotate to a whsec_ secret first";
            return Err(refuse("secret_invalid", "profile", detail));
        }
        // One of the two would be dropped on the way out, without a word.
        if let Some((name, whose)) = shadowed(settings.profile, credentials) {
            let why = format!("{whose} sends this header: take it away from one of them");
            return Err(refused(name, "header_duplicate", &why));
        }
        settings.auth = credentials.auth.as_ref().map(EndpointAuth::shown);
        let names = credentials.headers.iter().map(|header| header.name().to_owned());
        settings.header_names = names.collect();
        Ok(())
    }
}

/// The custom header that authentication or the profile sends too, and which of them.
fn shadowed(profile: Profile, credentials: &Credentials) -> Option<(&str, &'static str)> {
    // It was checked when it was read.
    let of_auth = credentials.auth.as_ref().and_then(|auth| auth.header().ok());
    let of_profile = (profile == Profile::Voicehub).then_some(voicehub::SECRET_HEADER);
    credentials.headers.iter().map(CustomHeader::name).find_map(|name| {
        // Both are in lower case.
        if of_auth.as_ref().is_some_and(|(other, _)| other == name) {
            Some((name, "`auth`"))
        } else {
            (of_profile == Some(name)).then_some((name, "profile voicehub"))
        }
    })
}

fn auth(value: Value) -> Result<EndpointAuth, Problem> {
    let read: Result<EndpointAuth, _> = serde_json::from_value(value);
    let auth = read.map_err(|_| refuse("field_invalid", "auth", format!("must be {AUTH_EXPECTED}")))?;
    auth.header()?;
    Ok(auth)
}

fn by_name(value: Value) -> Result<BTreeMap<String, Option<String>>, Problem> {
    let read: Result<BTreeMap<String, Option<String>>, _> = serde_json::from_value(value);
    let read = read.map_err(|_| refuse("field_invalid", "headers", format!("must be {HEADERS_EXPECTED}")))?;
    // Whatever their case, two of one name would be one header.
    let mut lower = BTreeMap::new();
    for (name, value) in read {
        if lower.insert(name.to_ascii_lowercase(), value).is_some() {
            return Err(refused(&name, "header_duplicate", "a header's name is there once"));
        }
    }
    Ok(lower)
}

fn merged(before: &CustomHeaders, changes: &BTreeMap<String, Option<String>>) -> Result<CustomHeaders, Problem> {
    let mut all: BTreeMap<&str, &str> = before.iter().map(|header| (header.name(), header.value())).collect();
    for (name, value) in changes {
        match value {
            Some(value) => all.insert(name, value),
            None => all.remove(name.as_str()),
        };
    }
    let parsed = before.replaced_by(all);
    parsed.map_err(|(name, refusal)| refused(&name, refusal.code(), &refusal.to_string()))
}

/// The refusal of a header, naming it as far as it fits.
fn refused(name: &str, code: &str, why: &str) -> Problem {
    let shown: String = name.chars().take(SHOWN_NAME_CHARS).collect();
    refuse(code, "headers", format!("{shown:?}: {why}"))
}

#[cfg(test)]
mod tests {
    use redial_domain::signature::Secret;
    use serde_json::json;

    use super::*;
    use crate::endpoint_fields::tests::plain_settings;

    fn applied(body: Value, credentials: &mut Credentials) -> Result<EndpointSettings, Problem> {
        let Value::Object(members) = body else {
            panic!("an object")
        };
        let mut settings = plain_settings();
        Authentication::take(&mut Fields(members))?.apply(&mut settings, credentials)?;
        Ok(settings)
    }

    fn fresh() -> Credentials {
        Credentials::new(Secret::from_random([1; 32]))
    }

    #[test]
    fn headers_are_merged_by_name_whatever_its_case() {
        let mut credentials = fresh();
        let settings = applied(json!({"headers": {"X-A": "1", "x-b": "2"}}), &mut credentials).unwrap();
        assert_eq!(settings.header_names, ["x-a", "x-b"]);
        let settings = applied(json!({"headers": {"x-A": "3", "X-B": null}}), &mut credentials).unwrap();
        assert_eq!(settings.header_names, ["x-a"]);
        assert_eq!(credentials.headers.iter().next().unwrap().value(), "3");
        assert!(applied(json!({}), &mut credentials).unwrap().header_names == ["x-a"]);
        assert!(
            applied(json!({"headers": null}), &mut credentials)
                .unwrap()
                .header_names
                .is_empty()
        );
    }

    #[test]
    fn what_a_request_changes_shows_names_and_no_values() {
        let body =
            json!({"headers": {"x-key": "canary", "x-gone": null}, "auth": {"type": "bearer", "token": "canary"}});
        let Value::Object(members) = body else {
            panic!("an object")
        };
        let mut fields = Fields(members);
        assert_eq!(format!("{fields:?}"), r#"Fields({"auth", "headers"})"#);
        let shown = format!("{:?}", Authentication::take(&mut fields).unwrap());
        assert!(
            shown.contains("x-key") && shown.contains("bearer") && !shown.contains("canary"),
            "{shown}"
        );
    }

    #[test]
    fn authentication_is_set_replaced_and_taken_away() {
        let mut credentials = fresh();
        let shown = |settings: EndpointSettings| serde_json::to_value(settings.auth).unwrap();
        let bearer = json!({"auth": {"type": "bearer", "token": "canary"}});
        assert_eq!(
            shown(applied(bearer, &mut credentials).unwrap()),
            json!({"type": "bearer"})
        );
        let basic = json!({"auth": {"type": "basic", "username": "u", "password": "canary"}});
        let settings = applied(basic, &mut credentials).unwrap();
        assert_eq!(shown(settings), json!({"type": "basic", "username": "u"}));
        assert_eq!(
            shown(applied(json!({"auth": null}), &mut credentials).unwrap()),
            json!(null)
        );
        assert_eq!(credentials.auth, None);
    }

    #[test]
    fn what_would_forge_or_replace_a_header_of_ours_is_refused_by_its_field() {
        for (body, code, field) in [
            (json!({"headers": {"webhook-id": "x"}}), "header_reserved", "headers"),
            (
                json!({"headers": {"x-a": "b\r\nc: d"}}),
                "header_value_character",
                "headers",
            ),
            (
                json!({"headers": {"x-a": "1", "X-A": "2"}}),
                "header_duplicate",
                "headers",
            ),
            (json!({"headers": {"x-a": 1}}), "field_invalid", "headers"),
            (json!({"headers": []}), "field_invalid", "headers"),
            (json!({"auth": {"type": "digest"}}), "field_invalid", "auth"),
            (json!({"auth": "bearer"}), "field_invalid", "auth"),
            (
                json!({"auth": {"type": "bearer", "token": "a b"}}),
                "auth_invalid",
                "auth.token",
            ),
            (
                json!({"auth": {"type": "api_key", "header": "host", "value": "x"}}),
                "header_reserved",
                "auth.header",
            ),
        ] {
            let problem = applied(body.clone(), &mut fresh()).unwrap_err();
            assert_eq!(
                (problem.code.as_str(), problem.field.as_deref()),
                (code, Some(field)),
                "{body}"
            );
        }
    }

    #[test]
    fn a_secret_of_ones_own_choosing_is_for_voicehub_alone() {
        let mut credentials = Credentials::new(Secret::parse_chosen("my own").unwrap());
        assert_eq!(applied(json!({}), &mut credentials).unwrap_err().code, "secret_invalid");
        let mut settings = plain_settings();
        settings.profile = Profile::Voicehub;
        assert!(Authentication::default().apply(&mut settings, &mut credentials).is_ok());
    }
}
