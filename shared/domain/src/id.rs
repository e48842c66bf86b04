//! Names of things: parsed once at the edge, never a raw string inside. Minting takes time and randomness as arguments.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::invalid::Invalid;
use crate::timestamp::Timestamp;

/// Longest id or tenant name. docs/LIMITS.md.
pub const MAX_ID_LEN: usize = 128;
/// Most shards a tenant's time-ordered lists can have: what two characters of a minted id can name.
pub const MAX_SHARDS: u16 = 1024;

/// Crockford's base 32, in byte order, so that encoded numbers sort as the numbers do.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const TIME_CHARS: usize = 10;
const SHARD_CHARS: usize = 2;
const RANDOM_CHARS: usize = 14;
const MINTED_CHARS: usize = TIME_CHARS + SHARD_CHARS + RANDOM_CHARS;
const EVENT_PREFIX: &str = "evt_";
const ERASURE_PREFIX: &str = "ers_";

fn encode(mut value: u128, chars: usize) -> String {
    let mut out = vec![b'0'; chars];
    for slot in out.iter_mut().rev() {
        *slot = ALPHABET[(value % 32) as usize];
        value /= 32;
    }
    out.into_iter().map(char::from).collect()
}

fn decode(text: &str) -> Option<u64> {
    text.bytes().try_fold(0u64, |sum, byte| {
        let digit = ALPHABET.iter().position(|c| *c == byte)?;
        sum.checked_mul(32)?.checked_add(digit as u64)
    })
}

/// A moment as ten characters that sort as time does: the head of every time-ordered key.
#[must_use]
pub fn encode_time(at: Timestamp) -> String {
    encode(at.as_millis().unsigned_abs().into(), TIME_CHARS)
}

/// The moment that [`encode_time`] wrote at the head of `text`, if it did.
#[must_use]
pub fn decode_time(text: &str) -> Option<Timestamp> {
    let ms = decode(text.get(..TIME_CHARS)?)?;
    Some(Timestamp::from_millis(i64::try_from(ms).ok()?))
}

fn parse_name(text: &str, field: &'static str) -> Result<(), Invalid> {
    let allowed = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'_' | b':' | b'-');
    if text.is_empty() || text.len() > MAX_ID_LEN || !text.bytes().all(allowed) {
        return Err(Invalid::new(
            "id_invalid",
            field,
            "must be 1 to 128 characters of A-Z a-z 0-9 _ : -",
        ));
    }
    if matches!(text, "null" | "undefined") {
        return Err(Invalid::new(
            "id_invalid",
            field,
            "the words null and undefined are no ids",
        ));
    }
    Ok(())
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $field:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// Reads `^[A-Za-z0-9_:-]{1,128}$`, not `null` or `undefined`.
            ///
            /// # Errors
            /// [`Invalid`] with code `id_invalid`.
            pub fn parse(text: &str) -> Result<Self, Invalid> {
                parse_name(text, $field)?;
                Ok(Self(text.to_owned()))
            }

            /// The text, as given.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                Self::parse(&text).map_err(serde::de::Error::custom)
            }
        }
    };
}

name!(
    /// A platform's customer.
    TenantId,
    "tenant"
);
name!(
    /// A tenant's AI voice agent.
    AgentId,
    "agent"
);
name!(
    /// An event, unique within its tenant: the platform's own id, or one that Redial minted.
    EventId,
    "id"
);
name!(
    /// Where a tenant wants events: `ep_` and 16 characters.
    EndpointId,
    "endpoint"
);
name!(
    /// A replay job: `rpl_`, its time and 8 random characters.
    ReplayId,
    "replay"
);

name!(
    /// An erasure: `ers_`, its time and 8 random characters.
    ErasureId,
    "erasure"
);

impl EventId {
    /// Mints `evt_` + time, shard and 70 random bits. `shard` is where the event's item lies (see docs/DATA.md).
    #[must_use]
    pub fn mint(at: Timestamp, shard: u16, random: u128) -> Self {
        let shard = encode(u128::from(shard % MAX_SHARDS), SHARD_CHARS);
        Self(format!(
            "{EVENT_PREFIX}{}{shard}{}",
            encode_time(at),
            encode(random, RANDOM_CHARS)
        ))
    }

    /// An id that begins with `prefix` and is no event's that Redial mints: `prefix` + time and 70 random bits. `prefix` has
    /// only characters that ids may have.
    #[must_use]
    pub fn minted_with(prefix: &'static str, at: Timestamp, random: u128) -> Self {
        Self(format!("{prefix}{}{}", encode_time(at), encode(random, RANDOM_CHARS)))
    }

    /// Time and shard of an id of the form that [`EventId::mint`] gives, whoever wrote it; `None` for any other.
    #[must_use]
    pub fn minted_parts(&self) -> Option<(Timestamp, u16)> {
        let rest = self
            .0
            .strip_prefix(EVENT_PREFIX)
            .filter(|rest| rest.len() == MINTED_CHARS && rest.is_ascii())?;
        decode(&rest[TIME_CHARS + SHARD_CHARS..][..7]).and(decode(&rest[TIME_CHARS + SHARD_CHARS + 7..]))?;
        let shard = decode(&rest[TIME_CHARS..TIME_CHARS + SHARD_CHARS])?;
        Some((decode_time(rest)?, u16::try_from(shard).ok()?))
    }
}

impl EndpointId {
    /// Mints `ep_` + 80 random bits.
    #[must_use]
    pub fn mint(random: u128) -> Self {
        Self(format!("ep_{}", encode(random, 16)))
    }
}

impl ErasureId {
    /// Mints `ers_` + time + 40 random bits.
    #[must_use]
    pub fn mint(at: Timestamp, random: u128) -> Self {
        Self(format!("{ERASURE_PREFIX}{}{}", encode_time(at), encode(random, 8)))
    }

    /// The erasure that a job of this name is; `None` if it is a replay.
    #[must_use]
    pub fn of_job(job: &ReplayId) -> Option<Self> {
        job.0.starts_with(ERASURE_PREFIX).then(|| Self(job.0.clone()))
    }

    /// Its name among jobs: a worker that knows replays only finds none of this name, and lets the message go.
    #[must_use]
    pub fn as_job(&self) -> ReplayId {
        ReplayId(self.0.clone())
    }
}

impl ReplayId {
    /// Mints `rpl_` + time + 40 random bits.
    #[must_use]
    pub fn mint(at: Timestamp, random: u128) -> Self {
        Self(format!("rpl_{}{}", encode_time(at), encode(random, 8)))
    }

    /// When the replay was asked for, as its id says; `None` if it is not of the minted form.
    #[must_use]
    pub fn asked_at(&self) -> Option<Timestamp> {
        self.0
            .strip_prefix("rpl_")
            .filter(|rest| rest.len() == TIME_CHARS + 8)
            .and_then(decode_time)
    }
}

/// A delivery: which event, for which endpoint, and by which replay if it is not the first.
/// Written `<event>.<endpoint>` or `<event>.<endpoint>.<replay>`; deterministic, so sending twice is one delivery.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryId {
    /// The event delivered.
    pub event: EventId,
    /// The endpoint it is for.
    pub endpoint: EndpointId,
    /// The replay that made this delivery; `None` for the first.
    pub replay: Option<ReplayId>,
}

impl DeliveryId {
    /// Reads the written form.
    ///
    /// # Errors
    /// [`Invalid`] with code `id_invalid`.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let invalid = || {
            Invalid::new(
                "id_invalid",
                "delivery",
                "must be <event>.<endpoint> or <event>.<endpoint>.<replay>",
            )
        };
        let mut parts = text.split('.');
        let event = EventId::parse(parts.next().unwrap_or_default()).map_err(|_| invalid())?;
        let endpoint = EndpointId::parse(parts.next().unwrap_or_default()).map_err(|_| invalid())?;
        let replay = parts.next().map(ReplayId::parse).transpose().map_err(|_| invalid())?;
        if parts.next().is_some() {
            return Err(invalid());
        }
        Ok(Self {
            event,
            endpoint,
            replay,
        })
    }
}

impl fmt::Display for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.event, self.endpoint)?;
        self.replay.as_ref().map_or(Ok(()), |replay| write!(f, ".{replay}"))
    }
}

impl fmt::Debug for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for DeliveryId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for DeliveryId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_minted_id_tells_its_time_and_shard(ms in 0i64..200_000_000_000_000, shard in 0u16..MAX_SHARDS, random: u128) {
            let at = Timestamp::from_millis(ms);
            let id = EventId::mint(at, shard, random);
            prop_assert_eq!(id.minted_parts(), Some((at, shard)));
            prop_assert_eq!(EventId::parse(id.as_str()).unwrap(), id);
        }

        #[test]
        fn encoded_times_sort_as_time_does(a in 0i64..200_000_000_000_000, b in 0i64..200_000_000_000_000) {
            let (a, b) = (Timestamp::from_millis(a), Timestamp::from_millis(b));
            prop_assert_eq!(a.cmp(&b), encode_time(a).cmp(&encode_time(b)));
            prop_assert_eq!(decode_time(&encode_time(a)), Some(a));
        }

        #[test]
        fn no_text_panics_a_parser(text: String) {
            let _ = DeliveryId::parse(&text);
            let _ = EventId::parse(&text).map(|id| id.minted_parts());
        }
    }

    #[test]
    fn a_platforms_own_id_is_not_minted() {
        for text in [
            "src_001613",
            "evt_1",
            "evt_00000001230000000007",
            "evt_01JD3ZK8Q0000UUUUUUUUUUUUUU",
        ] {
            assert_eq!(EventId::parse(text).unwrap().minted_parts(), None, "{text}");
        }
    }

    #[test]
    fn a_delivery_reads_what_it_writes() {
        for text in ["src_1.ep_0123456789ABCDEF", "a:b-c.ep_1.rpl_2"] {
            assert_eq!(DeliveryId::parse(text).unwrap().to_string(), text);
        }
        for text in ["", "a", "a.b.c.d", "a..c", ".b", "a.null"] {
            assert!(DeliveryId::parse(text).is_err(), "{text}");
        }
    }
}
