//! Who may show the console in a frame: what the operator says, as the value of `frame-ancestors` in a
//! Content-Security-Policy. Strict, because it becomes part of a header: nothing that is no origin gets through.

use std::fmt;
use std::str::FromStr;

use crate::Invalid;

/// Most origins: the header goes with every page.
pub const MAX_ANCESTORS: usize = 20;
/// Longest host with its port.
const MAX_HOST_LEN: usize = 253 + 6;
/// Hosts that need no TLS, so that a page on one's own machine can be tried out.
const LOCAL_HOSTS: [&str; 2] = ["127.0.0.1", "localhost"];

/// Who may show the console in a frame. Nobody, unless somebody says so.
/// <https://www.w3.org/TR/CSP3/#directive-frame-ancestors>
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrameAncestors(String);

impl FrameAncestors {
    /// Reads `none`, `self`, or origins such as `https://app.example.com` and `https://*.example.com`, separated by spaces or
    /// commas. Nothing at all is `none`.
    ///
    /// # Errors
    /// [`Invalid`] with code `ancestors_invalid`.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let given = text.split([' ', ',']).filter(|source| !source.is_empty());
        let sources: Vec<&str> = given.collect();
        match sources.as_slice() {
            [] | ["none"] => return Ok(Self::default()),
            many if many.len() > MAX_ANCESTORS => return Err(invalid("names more than 20 origins")),
            _ => {}
        }
        let read: Result<Vec<String>, Invalid> = sources.iter().map(|source| read(source)).collect();
        Ok(Self(read?.join(" ")))
    }

    /// The value of the directive.
    #[must_use]
    pub fn directive(&self) -> &str {
        &self.0
    }

    /// True if nobody may.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.0 == "'none'"
    }
}

impl Default for FrameAncestors {
    fn default() -> Self {
        Self("'none'".to_owned())
    }
}

impl FromStr for FrameAncestors {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Self::parse(text)
    }
}

impl fmt::Display for FrameAncestors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn invalid(detail: &'static str) -> Invalid {
    Invalid::new("ancestors_invalid", "console_ancestors", detail)
}

fn read(source: &str) -> Result<String, Invalid> {
    let expected = "must be none, self, or origins such as https://app.example.com and https://*.example.com";
    if source == "self" {
        return Ok("'self'".to_owned());
    }
    let (scheme, rest) = source.split_once("://").ok_or_else(|| invalid(expected))?;
    let (host, port) = match rest.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (rest, None),
    };
    let named = host.strip_prefix("*.").unwrap_or(host);
    let is_label = |label: &str| {
        let inside = !label.starts_with('-') && !label.ends_with('-');
        inside && !label.is_empty() && label.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-')
    };
    let is_host = named.split('.').all(is_label) && rest.len() <= MAX_HOST_LEN;
    let is_port = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|n| n > 0 && n.to_string() == port));
    let is_safe = scheme == "https" || (scheme == "http" && LOCAL_HOSTS.contains(&host));
    if is_host && is_port && is_safe {
        Ok(source.to_ascii_lowercase())
    } else {
        Err(invalid(expected))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_may_unless_somebody_says_so() {
        for text in ["", " ", "none", ",,"] {
            let ancestors = FrameAncestors::parse(text).unwrap();
            assert!(ancestors.is_none() && ancestors.directive() == "'none'", "{text}");
        }
    }

    #[test]
    fn origins_become_sources() {
        for (text, directive) in [
            ("self", "'self'"),
            ("https://App.example.com", "https://app.example.com"),
            ("https://*.example.com:8443, self", "https://*.example.com:8443 'self'"),
            (
                "http://127.0.0.1:5000 http://localhost",
                "http://127.0.0.1:5000 http://localhost",
            ),
        ] {
            assert_eq!(FrameAncestors::parse(text).unwrap().directive(), directive);
        }
    }

    #[test]
    fn nothing_that_is_no_origin_gets_into_the_header() {
        let many = vec!["self"; MAX_ANCESTORS + 1].join(",");
        for text in [
            "*",
            "https:",
            "https://",
            "https://*",
            "https://*.",
            "http://example.com",
            "http://127.0.0.1.example.com",
            "https://a.example.com;script-src",
            "https://a.example.com\r\nx: y",
            "https://a.example.com/path",
            "https://u@a.example.com",
            "https://a.example.com:0",
            "https://a.example.com:080",
            "https://a.example.com:70000",
            "https://-a.example.com",
            "'self'",
            "none self",
            "data:",
            "javascript:alert(1)",
            many.as_str(),
        ] {
            let refused = FrameAncestors::parse(text).unwrap_err();
            assert_eq!(refused.code, "ancestors_invalid", "{text}");
        }
    }
}
