//! How a delivered request authenticates itself besides its signature: an API key in a header, Basic, or Bearer. Becomes one
//! header, never shows its secret in a log.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::header::{CustomHeader, HeaderRefusal, check_value};
use crate::invalid::Invalid;

/// What is shown in place of a user name that is a secret.
const HIDDEN: &str = "[hidden]";
/// Longest username, password and token, in bytes.
pub const MAX_AUTH_BYTES: usize = 2_048;

/// Authentication of the requests to an endpoint.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum EndpointAuth {
    /// A value in a header of the customer's choosing.
    ApiKey {
        /// The header's name.
        header: String,
        /// Its value.
        value: String,
    },
    /// `authorization: Basic`, RFC 7617.
    Basic {
        /// Without a colon.
        username: String,
        /// Any text without control characters; sent as UTF-8.
        password: String,
    },
    /// `authorization: Bearer`, RFC 6750.
    Bearer {
        /// A token of its section 2.1, as a JWT.
        token: String,
    },
}

/// What may be shown of an authentication: all but its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ShownAuth {
    /// A value in this header.
    ApiKey {
        /// The header's name.
        header: String,
    },
    /// `authorization: Basic`.
    Basic {
        /// Who it says it is; `[hidden]` where it stands alone, without a password: then it is the secret.
        username: String,
    },
    /// `authorization: Bearer`.
    Bearer,
}

impl fmt::Debug for EndpointAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EndpointAuth({})", self.kind())
    }
}

impl EndpointAuth {
    /// The stable name of its kind.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::ApiKey { .. } => "api_key",
            Self::Basic { .. } => "basic",
            Self::Bearer { .. } => "bearer",
        }
    }

    /// What may be shown of it.
    #[must_use]
    pub fn shown(&self) -> ShownAuth {
        match self {
            Self::ApiKey { header, .. } => ShownAuth::ApiKey { header: header.clone() },
            // Some receivers take a key as the user name and no password.
            Self::Basic { username, password } => ShownAuth::Basic {
                username: if password.is_empty() { HIDDEN } else { username }.to_owned(),
            },
            Self::Bearer { .. } => ShownAuth::Bearer,
        }
    }

    /// The header that it sends: name in lower case, and value.
    ///
    /// # Errors
    /// [`Invalid`] with code `auth_invalid` or a code of [`HeaderRefusal`]; the field is one of `auth`.
    pub fn header(&self) -> Result<(String, String), Invalid> {
        let invalid = |field: &'static str, detail: &'static str| Invalid::new("auth_invalid", field, detail);
        match self {
            Self::ApiKey { header, value } => {
                if value.is_empty() {
                    return Err(invalid("auth.value", "must not be empty"));
                }
                let parsed = CustomHeader::parse(header, value).map_err(refused)?;
                Ok((parsed.name().to_owned(), parsed.value().to_owned()))
            }
            Self::Basic { username, password } => {
                // RFC 7617 section 2: a colon ends the user-id; neither may have control characters.
                if username.contains(':') || username.chars().any(char::is_control) || username.len() > MAX_AUTH_BYTES {
                    let detail = "may have no colon and no control character, and at most 2048 bytes";
                    return Err(invalid("auth.username", detail));
                }
                if password.chars().any(char::is_control) || password.len() > MAX_AUTH_BYTES {
                    let detail = "may have no control character, and at most 2048 bytes";
                    return Err(invalid("auth.password", detail));
                }
                if username.is_empty() && password.is_empty() {
                    return Err(invalid("auth.username", "must not be empty together with the password"));
                }
                let pair = STANDARD.encode(format!("{username}:{password}"));
                Ok((AUTHORIZATION.to_owned(), format!("Basic {pair}")))
            }
            Self::Bearer { token } => {
                if !is_token(token) {
                    let detail = "must be letters, digits and -._~+/ with = at the end alone, at most 2048 characters";
                    return Err(invalid("auth.token", detail));
                }
                Ok((AUTHORIZATION.to_owned(), format!("Bearer {token}")))
            }
        }
    }
}

const AUTHORIZATION: &str = "authorization";

fn refused(refusal: HeaderRefusal) -> Invalid {
    let field = match refusal {
        HeaderRefusal::ValueLength | HeaderRefusal::ValueCharacter => "auth.value",
        _ => "auth.header",
    };
    Invalid::new(refusal.code(), field, refusal.to_string())
}

/// `b64token` of RFC 6750 section 2.1.
fn is_token(text: &str) -> bool {
    let body = text.trim_end_matches('=');
    let allowed = |c: u8| c.is_ascii_alphanumeric() || b"-._~+/".contains(&c);
    !body.is_empty() && text.len() <= MAX_AUTH_BYTES && body.bytes().all(allowed) && check_value(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> EndpointAuth {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn each_kind_becomes_one_header() {
        for (json, name, value) in [
            (
                r#"{"type":"api_key","header":"X-API-Key","value":"k 1"}"#,
                "x-api-key",
                "k 1",
            ),
            // The example of RFC 7617 section 2.
            (
                r#"{"type":"basic","username":"Aladdin","password":"open sesame"}"#,
                "authorization",
                "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
            ),
            (
                r#"{"type":"basic","username":"u","password":""}"#,
                "authorization",
                "Basic dTo=",
            ),
            (
                r#"{"type":"basic","username":"u","password":"a:b"}"#,
                "authorization",
                "Basic dTphOmI=",
            ),
            (
                r#"{"type":"bearer","token":"a.b-c_d~e+f/g=="}"#,
                "authorization",
                "Bearer a.b-c_d~e+f/g==",
            ),
        ] {
            assert_eq!(
                read(json).header().unwrap(),
                (name.to_owned(), value.to_owned()),
                "{json}"
            );
        }
    }

    #[test]
    fn what_would_forge_a_header_is_refused_by_its_field() {
        for (json, field) in [
            (r#"{"type":"api_key","header":"host","value":"x"}"#, "auth.header"),
            (
                r#"{"type":"api_key","header":"webhook-signature","value":"x"}"#,
                "auth.header",
            ),
            (
                r#"{"type":"api_key","header":"x-key","value":"a\r\nb: c"}"#,
                "auth.value",
            ),
            (r#"{"type":"api_key","header":"x-key","value":""}"#, "auth.value"),
            (r#"{"type":"basic","username":"a:b","password":"c"}"#, "auth.username"),
            (r#"{"type":"basic","username":"","password":""}"#, "auth.username"),
            (r#"{"type":"basic","username":"a","password":"b\n"}"#, "auth.password"),
            (r#"{"type":"bearer","token":""}"#, "auth.token"),
            (r#"{"type":"bearer","token":"=="}"#, "auth.token"),
            (r#"{"type":"bearer","token":"a b"}"#, "auth.token"),
            (r#"{"type":"bearer","token":"a\r\nx: y"}"#, "auth.token"),
        ] {
            assert_eq!(read(json).header().unwrap_err().field, field, "{json}");
        }
        let long = EndpointAuth::Bearer {
            token: "a".repeat(MAX_AUTH_BYTES + 1),
        };
        assert_eq!(long.header().unwrap_err().field, "auth.token");
    }

    #[test]
    fn unknown_kinds_and_members_are_no_authentication() {
        for json in [
            r#"{"type":"digest","username":"a"}"#,
            r#"{"type":"bearer","token":"a","value":"b"}"#,
            r#"{"type":"bearer"}"#,
            r#""bearer""#,
        ] {
            assert!(serde_json::from_str::<EndpointAuth>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn a_debug_line_shows_no_secret() {
        let auth = read(r#"{"type":"basic","username":"canary","password":"canary"}"#);
        assert_eq!(format!("{auth:?}"), "EndpointAuth(basic)");
        let shown = |json| serde_json::to_string(&read(json).shown()).unwrap();
        for (json, expected) in [
            (
                r#"{"type":"api_key","header":"X-Key","value":"canary"}"#,
                r#"{"type":"api_key","header":"X-Key"}"#,
            ),
            (
                r#"{"type":"basic","username":"u","password":"canary"}"#,
                r#"{"type":"basic","username":"u"}"#,
            ),
            (
                r#"{"type":"basic","username":"canary","password":""}"#,
                r#"{"type":"basic","username":"[hidden]"}"#,
            ),
            (r#"{"type":"bearer","token":"canary"}"#, r#"{"type":"bearer"}"#),
        ] {
            assert_eq!(shown(json), expected);
        }
    }
}
