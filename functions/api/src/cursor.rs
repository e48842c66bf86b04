//! Cursors: where the next page of a list begins, signed (HMAC-SHA256) so that nobody can make one up, and bound to the
//! tenant and the question, so that none can be used for another. Opaque to callers; holds sort keys, never a secret. The
//! key is derived from a data key, whose version the cursor names: one from before a rotation is good until that is retired.

use std::fmt;

use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use redial_domain::{TenantId, Timestamp};
use redial_platform::problem::Problem;
use redial_platform::seal::DATA_KEY_BYTES;
use redial_platform::secrets::Secrets;
use redial_platform::store::data_keys::FIRST_VERSION;
use redial_platform::store::lists::{After, Range};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

use crate::query::Query;

/// What the key that signs cursors is derived for: the same in every execution environment, and stored nowhere.
const KEY_PURPOSE: &str = "cursors";
/// Bytes of the signature that a cursor carries: 128 bits cannot be guessed.
const TAG_BYTES: usize = 16;
/// Longest cursor: two ids and two moments fit.
const MAX_CURSOR_LEN: usize = 1_024;

/// Where a page begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// After this item.
    #[serde(flatten)]
    pub(crate) after: After,
    /// The first page's stretch of time in milliseconds: "until now" must not move from page to page.
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    range: Option<(i64, i64)>,
    /// The version of the data key that the cursor's key is derived from. Whoever reads it has not checked the cursor yet.
    #[serde(rename = "v", default = "first_version", skip_serializing_if = "is_first")]
    key_version: u32,
}

const fn first_version() -> u32 {
    FIRST_VERSION
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
const fn is_first(version: &u32) -> bool {
    *version == FIRST_VERSION
}

impl Place {
    /// After the item of that sort key, in a list without a stretch of time.
    #[must_use]
    pub fn after_key(sort_key: impl Into<String>) -> Self {
        let sort_key = sort_key.into();
        let endpoint = String::new();
        Self {
            after: After { sort_key, endpoint },
            range: None,
            key_version: FIRST_VERSION,
        }
    }

    /// After that item, in a list of `range`.
    pub(crate) const fn within(range: Range, after: After) -> Self {
        let range = Some((range.since.as_millis(), range.until.as_millis()));
        Self {
            after,
            range,
            key_version: FIRST_VERSION,
        }
    }

    /// The stretch of time that the first page had.
    pub(crate) fn range(&self) -> Option<Range> {
        let (since, until) = self.range?;
        Some(Range {
            since: Timestamp::from_millis(since),
            until: Timestamp::from_millis(until),
        })
    }
}

/// What a cursor is for: the list, the tenant it belongs to, and what was asked.
pub(crate) fn question(list: &str, tenant: Option<&TenantId>, query: &Query) -> String {
    let asked: Vec<(&str, &str)> = query.filters().collect();
    // Plain texts: writing them cannot fail. JSON keeps them apart.
    serde_json::to_string(&(list, tenant, asked)).unwrap_or_default()
}

/// Writes and reads cursors. A list of one page needs no key, and none is fetched for it.
#[derive(Debug)]
pub(crate) struct Cursors(Secrets);

impl Cursors {
    /// Cursors signed by a key of these secrets.
    pub(crate) const fn new(secrets: Secrets) -> Self {
        Self(secrets)
    }

    /// The cursor for `place` in the answers to `question`.
    ///
    /// # Errors
    /// 500 if the key cannot be had.
    pub(crate) async fn write(&self, question: &str, place: &Place) -> Result<String, Problem> {
        let derived = self.0.derive_key(KEY_PURPOSE).await?;
        let place = Place {
            key_version: derived.version,
            ..place.clone()
        };
        Ok(Signer { key: derived.key }.write(question, &place))
    }

    /// The place that a cursor names.
    ///
    /// # Errors
    /// 400 `cursor_invalid` if this API did not write it for this question; 500 if the key cannot be had.
    pub(crate) async fn read(&self, question: &str, text: &str) -> Result<Place, Problem> {
        let (_, _, unchecked) = split(text).ok_or_else(invalid)?;
        let derived = self.0.derived_key(KEY_PURPOSE, unchecked.key_version).await?;
        let key = derived.ok_or_else(invalid)?.key;
        Signer { key }.read(question, text)
    }
}

/// Cursors under a key that is there.
pub struct Signer {
    key: [u8; DATA_KEY_BYTES],
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer(redacted)")
    }
}

impl Signer {
    /// Cursors under this key.
    #[must_use]
    pub const fn new(key: [u8; DATA_KEY_BYTES]) -> Self {
        Self { key }
    }

    fn tag(&self, question: &str, place: &[u8]) -> Vec<u8> {
        // HMAC takes a key of any length; the error type exists for other algorithms.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.key) else {
            return Vec::new();
        };
        mac.update(&(question.len() as u64).to_le_bytes());
        mac.update(question.as_bytes());
        mac.update(place);
        mac.finalize().into_bytes()[..TAG_BYTES].to_vec()
    }

    /// The cursor for `place` in the answers to `question`.
    #[must_use]
    pub fn write(&self, question: &str, place: &Place) -> String {
        let place = serde_json::to_vec(place).unwrap_or_default();
        URL_SAFE_NO_PAD.encode([self.tag(question, &place), place].concat())
    }

    /// The place that a cursor names.
    ///
    /// # Errors
    /// 400 `cursor_invalid` if it was not written under this key for this question.
    pub fn read(&self, question: &str, text: &str) -> Result<Place, Problem> {
        let (tag, signed, place) = split(text).ok_or_else(invalid)?;
        let is_genuine = bool::from(self.tag(question, &signed).ct_eq(&tag));
        is_genuine.then_some(place).ok_or_else(invalid)
    }
}

fn invalid() -> Problem {
    let detail = "is not a cursor of this list; repeat the question with the same parameters";
    Problem::new(StatusCode::BAD_REQUEST, "cursor_invalid", detail).at("cursor")
}

/// The tag that a cursor bears, what is signed by it, and the place that this says. Nothing of it is checked.
fn split(text: &str) -> Option<(Vec<u8>, Vec<u8>, Place)> {
    if text.len() > MAX_CURSOR_LEN {
        return None;
    }
    let mut tag = URL_SAFE_NO_PAD.decode(text).ok()?;
    if tag.len() < TAG_BYTES {
        return None;
    }
    let signed = tag.split_off(TAG_BYTES);
    let place = serde_json::from_slice(&signed).ok()?;
    Some((tag, signed, place))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cursors() -> Signer {
        Signer {
            key: [7; DATA_KEY_BYTES],
        }
    }

    fn place() -> Place {
        let range = Range {
            since: Timestamp::from_millis(5),
            until: Timestamp::from_millis(9),
        };
        let (sort_key, endpoint) = ("01JD3ZK8Q0/src_1".to_owned(), "ep_1".to_owned());
        Place::within(range, After { sort_key, endpoint })
    }

    fn asked(tenant: &str, raw: &str) -> String {
        let query = Query::parse(Some(raw), &["state", "type"]).unwrap();
        question("deliveries", Some(&TenantId::parse(tenant).unwrap()), &query)
    }

    #[test]
    fn a_cursor_is_read_where_it_was_written() {
        let question = asked("acme", "state=dead&limit=5");
        let written = cursors().write(&question, &place());
        assert_eq!(cursors().read(&question, &written).unwrap(), place());
        let next_page = asked("acme", &format!("limit=7&cursor={written}&state=dead"));
        assert_eq!(
            next_page, question,
            "limit, cursor and order are not part of the question"
        );
    }

    #[test]
    fn a_cursor_is_bound_to_tenant_list_and_question() {
        let written = cursors().write(&asked("acme", "state=dead"), &place());
        let elsewhere = question("events", Some(&TenantId::parse("acme").unwrap()), &Query::default());
        for question in [
            asked("other", "state=dead"),
            asked("acme", "state=held"),
            asked("acme", ""),
            elsewhere,
        ] {
            assert_eq!(
                cursors().read(&question, &written).unwrap_err().code,
                "cursor_invalid",
                "{question}"
            );
        }
        let other = Signer {
            key: [8; DATA_KEY_BYTES],
        };
        assert!(other.read(&asked("acme", "state=dead"), &written).is_err());
    }

    #[test]
    fn forged_and_huge_cursors_are_refused() {
        let question = asked("acme", "");
        let written = cursors().write(&question, &place());
        let huge = "A".repeat(10_000);
        for text in [
            "AAAA",
            "A",
            "====",
            huge.as_str(),
            &written[1..],
            &format!("{written}A"),
        ] {
            let problem = cursors().read(&question, text).unwrap_err();
            assert_eq!((problem.status, problem.code.as_str()), (400, "cursor_invalid"));
        }
    }

    proptest! {
        #[test]
        fn no_changed_character_gets_through(at in 0usize..60, to in "[A-Za-z0-9_-]") {
            let question = asked("acme", "");
            let mut text = cursors().write(&question, &place());
            let same = &text[at..=at] == to.as_str();
            text.replace_range(at..=at, &to);
            prop_assert_eq!(cursors().read(&question, &text).is_ok(), same);
        }
    }
}
