//! Strict reading of JSON that strangers wrote. `RawValue` keeps the bytes but skips checks, `Value` checks but
//! rewrites: here the text is checked by reading it through, and the original bytes are what is delivered.

use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

/// Deepest nesting of an event's `data`, and of any other JSON that is posted: some verifiers' parsers recurse. What a
/// delivery puts around `data` is not counted. docs/SECURITY.md section 3.
pub const MAX_DEPTH: usize = 64;

/// Checks that `text` is one JSON value that every verifier can read: no deeper than `levels`, no duplicate key in any
/// object, no lone surrogate, no number outside what a double can hold.
///
/// # Errors
/// A sentence that says what is wrong and where (line and column).
pub fn check(text: &str, levels: usize) -> Result<(), String> {
    let mut reader = serde_json::Deserializer::from_str(text);
    Walk { levels }.deserialize(&mut reader).map_err(|e| e.to_string())?;
    reader.end().map_err(|e| e.to_string())
}

#[derive(Clone, Copy)]
struct Walk {
    levels: usize,
}

impl Walk {
    fn inner<E: serde::de::Error>(self) -> Result<Self, E> {
        match self.levels.checked_sub(1) {
            Some(levels) => Ok(Self { levels }),
            None => Err(E::custom(format_args!("nested deeper than {MAX_DEPTH} levels"))),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Walk {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let inner = self.inner()?;
        while seq.next_element_seed(inner)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let inner = self.inner()?;
        let mut keys: HashSet<String> = HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            map.next_value_seed(inner)?;
            if let Some(twice) = keys.replace(key) {
                return Err(serde::de::Error::custom(format_args!(
                    "key {twice:?} appears twice in one object"
                )));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn refuses_what_some_verifier_cannot_read() {
        let deep = format!("{}{}", "[".repeat(65), "]".repeat(65));
        let bomb = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let digits = format!("{{\"a\":{}}}", "9".repeat(5000));
        for text in [
            "",
            "{a:1}",
            "[1,]",
            "{\"a\":Infinity}",
            "{\"a\":+1}",
            "/*c*/{}",
            "{}}",
            "\u{feff}{}",
            "{\"a\":-1e400}",
            "{\"a\":\"\\ud800\"}",
            "{\"\\ud83d\":1}",
            "{\"a\":1,\"\\u0061\":2}",
            "{\"x\":[{\"b\":1,\"b\":1}]}",
            &deep,
            &bomb,
            &digits,
        ] {
            assert!(check(text, MAX_DEPTH).is_err(), "{}", &text[..text.len().min(40)]);
        }
    }

    #[test]
    fn takes_what_is_only_unusual() {
        let deep = format!("{}{}", "[".repeat(60), "]".repeat(60));
        for text in [
            "{}",
            "{\"a\":\"\\u0000\"}",
            "{\"a\":9007199254740993}",
            " { \"a\" : 1 }\n",
            "{\"a\":\"\u{ffff}\"}",
            "1e-400",
            &deep,
        ] {
            assert_eq!(check(text, MAX_DEPTH), Ok(()), "{text}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text: String) {
            let _ = check(&text, MAX_DEPTH);
        }
    }
}
