//! Custom headers that a customer adds to the delivered request: names and values from an allow-list of characters,
//! and no name that frames the message, routes it, or is ours. Must never let a value show in a log: it may be a key.

use std::fmt;

#[cfg(test)]
mod tests;

/// Custom headers of one endpoint. docs/LIMITS.md.
pub const MAX_CUSTOM_HEADERS: usize = 20;

/// Bytes of a header's name.
pub const MAX_NAME_BYTES: usize = 128;

/// Bytes of a header's value. docs/LIMITS.md.
pub const MAX_VALUE_BYTES: usize = 4 * 1024;

/// Bytes of all names and values of an endpoint's headers together: every function keeps the endpoints of many tenants in
/// memory. docs/LIMITS.md.
pub const MAX_TOTAL_BYTES: usize = 8 * 1024;

/// Names that are refused. `_` counts as `-` here: CGI and WSGI servers cannot tell them apart.
///
/// `authorization`, `cookie`, `accept` and `x-webhook-secret` stay free: customers authenticate with them. Where Redial sets
/// one itself (authentication, a profile) the API refuses the customer's.
const RESERVED_NAMES: [&str; 32] = [
    "accept-encoding",   // the answer is kept as it comes: an encoded one could not be read
    "cf-connecting-ip",  // says who the client is
    "connection",        // hop by hop, RFC 9110 section 7.6.1
    "date",              // ours to say
    "expect",            // makes the receiver answer twice
    "forwarded",         // says who the client is
    "host",              // routes to another virtual host
    "http2-settings",    // hop by hop
    "keep-alive",        // hop by hop
    "max-forwards",      // for proxies
    "set-cookie",        // of answers only
    "te",                // hop by hop
    "trace-id",          // ours, should a profile name one
    "traceparent",       // W3C Trace Context: set by the dispatcher
    "tracestate",        // W3C Trace Context
    "trailer",           // frames the message
    "trailers",          // its common misspelling
    "transfer-encoding", // frames the message: request smuggling
    "true-client-ip",    // says who the client is
    "upgrade",           // hop by hop
    "user-agent",        // ours
    "via",               // says who the client is
    "x-client-ip",       // says who the client is
    "x-cluster-client-ip",
    "x-forwarded",   // says who the client is
    "x-http-method", // turns the POST into another method
    "x-http-method-override",
    "x-method-override",
    "x-original-host", // these three reroute the request behind some proxies and frameworks
    "x-original-url",
    "x-real-ip", // says who the client is
    "x-rewrite-url",
];

/// Beginnings of names that are refused.
const RESERVED_PREFIXES: [&str; 9] = [
    "content-",     // describes a body that is ours
    "proxy-",       // for proxies, RFC 9110 section 11.7
    "redial-",      // ours
    "svix-",        // some verifiers of Standard Webhooks read these before webhook-*
    "webhook-",     // Standard Webhooks
    "x-amz-",       // AWS
    "x-amzn-",      // AWS
    "x-forwarded-", // says who the client is
    "x-redial-",    // ours
];

/// A custom header: its name in lower case and its value. Debug shows the name only.
#[derive(Clone, PartialEq, Eq)]
pub struct CustomHeader {
    name: String,
    value: String,
}

/// The custom headers of an endpoint: at most [`MAX_CUSTOM_HEADERS`], each name once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CustomHeaders(Vec<CustomHeader>);

/// Why a custom header is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum HeaderRefusal {
    /// Empty, or longer than [`MAX_NAME_BYTES`].
    #[error("a header's name has 1 to {MAX_NAME_BYTES} characters")]
    NameLength,
    /// Not of the allow-list.
    #[error("a header's name holds letters, digits, hyphens and underscores, and begins with a letter or digit")]
    NameCharacter,
    /// A name that is not the customer's to set.
    #[error("this header is reserved: it frames or routes the request, or Redial sets it")]
    Reserved,
    /// Longer than [`MAX_VALUE_BYTES`].
    #[error("a header's value has at most {MAX_VALUE_BYTES} bytes")]
    ValueLength,
    /// Not of the allow-list.
    #[error("a header's value holds printable ASCII, and no space at its ends")]
    ValueCharacter,
    /// More than [`MAX_CUSTOM_HEADERS`].
    #[error("an endpoint has at most {MAX_CUSTOM_HEADERS} custom headers")]
    TooMany,
    /// Together longer than [`MAX_TOTAL_BYTES`].
    #[error("the names and values of an endpoint's custom headers have at most {MAX_TOTAL_BYTES} bytes together")]
    TotalLength,
    /// The name is there twice, case aside.
    #[error("a header's name is there once")]
    Duplicate,
}

impl HeaderRefusal {
    /// The stable code, as the API shows it.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::NameLength => "header_name_length",
            Self::NameCharacter => "header_name_character",
            Self::Reserved => "header_reserved",
            Self::ValueLength => "header_value_length",
            Self::ValueCharacter => "header_value_character",
            Self::TooMany => "header_too_many",
            Self::TotalLength => "header_total_length",
            Self::Duplicate => "header_duplicate",
        }
    }
}

impl CustomHeader {
    /// Checks a name and a value. The name is kept in lower case, as HTTP/2 sends it.
    ///
    /// # Errors
    /// The first rule that they break.
    pub fn parse(name: &str, value: &str) -> Result<Self, HeaderRefusal> {
        if name.is_empty() || name.len() > MAX_NAME_BYTES {
            return Err(HeaderRefusal::NameLength);
        }
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        if !name.bytes().all(allowed) || !name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
            return Err(HeaderRefusal::NameCharacter);
        }
        let name = name.to_ascii_lowercase();
        if is_reserved(&name) {
            return Err(HeaderRefusal::Reserved);
        }
        check_value(value)?;
        Ok(Self {
            name,
            value: value.to_owned(),
        })
    }

    /// The name, in lower case.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    const fn bytes(&self) -> usize {
        self.name.len() + self.value.len()
    }

    /// The value: a secret, as likely as not.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }
}

impl fmt::Debug for CustomHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: [redacted]", self.name)
    }
}

impl CustomHeaders {
    /// Checks the headers of an endpoint.
    ///
    /// # Errors
    /// The name as given and the first rule that it, its value or the list breaks.
    pub fn parse<'a>(headers: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, (String, HeaderRefusal)> {
        Self::default().replaced_by(headers)
    }

    /// Checks the headers that take the place of these. Where these are longer than [`MAX_TOTAL_BYTES`], older than that rule,
    /// they may be as long.
    ///
    /// # Errors
    /// As [`CustomHeaders::parse`].
    pub fn replaced_by<'a>(
        &self,
        headers: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, (String, HeaderRefusal)> {
        let most = self.bytes().max(MAX_TOTAL_BYTES);
        let (mut parsed, mut bytes): (Vec<CustomHeader>, usize) = (Vec::new(), 0);
        for (name, value) in headers {
            let header = CustomHeader::parse(name, value).map_err(|refusal| (name.to_owned(), refusal))?;
            if parsed.len() == MAX_CUSTOM_HEADERS {
                return Err((name.to_owned(), HeaderRefusal::TooMany));
            }
            if parsed.iter().any(|other| other.name == header.name) {
                return Err((name.to_owned(), HeaderRefusal::Duplicate));
            }
            bytes += header.bytes();
            if bytes > most {
                return Err((name.to_owned(), HeaderRefusal::TotalLength));
            }
            parsed.push(header);
        }
        Ok(Self(parsed))
    }

    /// Reads what was stored, perhaps before a rule was made: what today's rules refuse is left out and never sent.
    #[must_use]
    pub fn stored<'a>(headers: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut kept: Vec<CustomHeader> = Vec::new();
        for header in headers
            .into_iter()
            .filter_map(|(name, value)| CustomHeader::parse(name, value).ok())
        {
            if kept.len() < MAX_CUSTOM_HEADERS && !kept.iter().any(|other| other.name == header.name) {
                kept.push(header);
            }
        }
        Self(kept)
    }

    /// The headers in the order given.
    pub fn iter(&self) -> impl Iterator<Item = &CustomHeader> {
        self.0.iter()
    }

    fn bytes(&self) -> usize {
        self.0.iter().map(CustomHeader::bytes).sum()
    }

    /// True if there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Whether a name (any case, `_` for `-`) is not the customer's to set.
#[must_use]
pub fn is_reserved(name: &str) -> bool {
    let name = name.to_ascii_lowercase().replace('_', "-");
    RESERVED_NAMES.contains(&name.as_str()) || RESERVED_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// Printable ASCII without spaces at the ends: a receiver would drop those, and read other bytes in its own way.
///
/// # Errors
/// [`HeaderRefusal::ValueLength`] or [`HeaderRefusal::ValueCharacter`].
pub fn check_value(value: &str) -> Result<(), HeaderRefusal> {
    if value.len() > MAX_VALUE_BYTES {
        return Err(HeaderRefusal::ValueLength);
    }
    let printable = value.bytes().all(|b| (b' '..=b'~').contains(&b));
    if !printable || value.starts_with(' ') || value.ends_with(' ') {
        return Err(HeaderRefusal::ValueCharacter);
    }
    Ok(())
}
