//! Strict reading of a JSON object that a person or a platform sent: every refusal names its field. A `null` counts as
//! absent, as in an event. Nothing a caller writes is ignored: what no reader took is refused.

use std::fmt;

use axum::http::StatusCode;
use redial_domain::{Invalid, Timestamp, json};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::problem::Problem;

/// Largest object, in bytes; looked at before it is parsed.
pub const MAX_BODY_BYTES: usize = 256 * 1024;
/// Characters of an unknown field's name that an answer repeats.
const SHOWN_NAME_CHARS: usize = 64;

/// The members of an object that nobody has taken yet.
#[derive(Clone, Default)]
pub struct Fields(pub Map<String, Value>);

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Their names: a value may be a secret.
        f.write_str("Fields(")?;
        f.debug_set().entries(self.0.keys()).finish()?;
        f.write_str(")")
    }
}

/// 413: the object is larger than [`MAX_BODY_BYTES`].
#[must_use]
pub fn too_large() -> Problem {
    let detail = "a request may have at most 256 KiB";
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail)
}

/// 400: there is no object where one belongs.
#[must_use]
pub fn empty() -> Problem {
    malformed("the body is empty")
}

/// Numbers without a fraction as integers: to JSON Schema, and so to the description of the API, `30.0` is one.
/// <https://json-schema.org/draft/2020-12/json-schema-core#section-4.2.1>
fn make_whole(value: &mut Value) {
    /// Up to here every integer is a float.
    const MAX_EXACT: f64 = 9_007_199_254_740_992.0;
    match value {
        Value::Number(number) if number.is_f64() => {
            let whole = number.as_f64().filter(|n| n.fract() == 0.0 && n.abs() <= MAX_EXACT);
            if let Some(whole) = whole {
                // Exact, by the bound.
                *number = (whole as i64).into();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(make_whole),
        Value::Object(members) => members.values_mut().for_each(make_whole),
        _ => {}
    }
}

fn malformed(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "json_invalid", detail)
}

/// 422 for one field.
pub fn refuse(code: &str, field: &str, detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail).at(field)
}

impl Fields {
    /// Reads a JSON object; `None` if there is nothing but white space.
    ///
    /// # Errors
    /// 400 `json_invalid` for what is no JSON object, is nested too deep or has a key twice.
    pub fn parse(body: &[u8]) -> Result<Option<Self>, Problem> {
        let text = std::str::from_utf8(body).map_err(|_| malformed("the body is not UTF-8"))?;
        if text.trim_matches([' ', '\t', '\r', '\n']).is_empty() {
            return Ok(None);
        }
        json::check(text, json::MAX_DEPTH).map_err(malformed)?;
        match serde_json::from_str(text) {
            Ok(Value::Object(members)) => Ok(Some(Self(members))),
            _ => Err(malformed("the body must be a JSON object")),
        }
    }

    /// Takes a member; `None` if it is absent or `null`. `expected` says in a few words what it must be.
    ///
    /// # Errors
    /// 422 `field_invalid` if it is of another type.
    pub fn take<T: DeserializeOwned>(&mut self, name: &'static str, expected: &str) -> Result<Option<T>, Problem> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(mut value) => {
                let taken = T::deserialize(&value).or_else(|_| {
                    make_whole(&mut value);
                    serde_json::from_value(value)
                });
                let refused = |_| refuse("field_invalid", name, format!("must be {expected}"));
                taken.map(Some).map_err(refused)
            }
        }
    }

    /// Takes an object with members of its own: an array of their values, which serde reads as well, is none.
    ///
    /// # Errors
    /// 422 `field_invalid` if it is of another type.
    pub fn object<T: DeserializeOwned>(&mut self, name: &'static str, expected: &str) -> Result<Option<T>, Problem> {
        match self.0.get(name) {
            None | Some(Value::Null | Value::Object(_)) => self.take(name, expected),
            Some(_) => Err(refuse("field_invalid", name, format!("must be {expected}"))),
        }
    }

    /// Takes a string.
    ///
    /// # Errors
    /// 422 `field_invalid` if it is none.
    pub fn text(&mut self, name: &'static str) -> Result<Option<String>, Problem> {
        self.take(name, "a string")
    }

    /// Takes a string of at most `max_chars` characters (Unicode scalar values, as JSON Schema counts them).
    ///
    /// # Errors
    /// 422 `field_invalid` if it is none, `field_too_long` if it is longer.
    pub fn short_text(&mut self, name: &'static str, max_chars: usize) -> Result<Option<String>, Problem> {
        let text = self.text(name)?;
        if text.as_ref().is_some_and(|text| text.chars().nth(max_chars).is_some()) {
            let detail = format!("may have at most {max_chars} characters");
            return Err(refuse("field_too_long", name, detail));
        }
        Ok(text)
    }

    /// Takes a string that must be there.
    ///
    /// # Errors
    /// 422 `field_missing` or `field_invalid`.
    pub fn required_text(&mut self, name: &'static str) -> Result<String, Problem> {
        self.text(name)?
            .ok_or_else(|| refuse("field_missing", name, "is required"))
    }

    /// Takes something that is written as a string with rules of its own, such as an id.
    ///
    /// # Errors
    /// 422 `field_invalid` if it is no string; what `parse` says, blaming this field.
    pub fn named<T>(
        &mut self,
        name: &'static str,
        parse: fn(&str) -> Result<T, Invalid>,
    ) -> Result<Option<T>, Problem> {
        let text = self.text(name)?;
        let parsed = text.map(|text| parse(&text)).transpose();
        parsed.map_err(|invalid| {
            Problem::from(Invalid {
                field: name.into(),
                ..invalid
            })
        })
    }

    /// Takes a moment, RFC 3339.
    ///
    /// # Errors
    /// 422 `field_invalid` if it is no string, `timestamp_invalid` if it is no moment.
    pub fn moment(&mut self, name: &'static str) -> Result<Option<Timestamp>, Problem> {
        let text = self.text(name)?;
        let parsed = text.map(|text| Timestamp::parse(&text)).transpose();
        parsed.map_err(|error| refuse("timestamp_invalid", name, error.to_string()))
    }

    /// Refuses what nobody took.
    ///
    /// # Errors
    /// 422 `field_unknown` names one of them.
    pub fn finish(self) -> Result<(), Problem> {
        match self.0.into_iter().next() {
            None => Ok(()),
            Some((name, _)) => {
                let name: String = name.chars().take(SHOWN_NAME_CHARS).collect();
                Err(refuse("field_unknown", &name, "is not a field of this request"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(body: &str) -> (u16, String) {
        let problem = Fields::parse(body.as_bytes()).unwrap_err();
        (problem.status, problem.code)
    }

    #[test]
    fn what_is_no_object_is_refused_before_anything_is_read() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(70), "]".repeat(70));
        for body in [
            "[]",
            "7",
            "null",
            "{",
            "{}}",
            "{a:1}",
            "\u{feff}{}",
            "{\"a\":1,\"a\":2}",
            "{\"a\":{\"b\":1,\"b\":2}}",
            &deep,
        ] {
            assert_eq!(refusal(body), (400, "json_invalid".to_owned()), "{body}");
        }
        assert_eq!(Fields::parse(b"\xff").unwrap_err().status, 400);
        assert!(Fields::parse(b" \n").unwrap().is_none());
    }

    #[test]
    fn a_member_of_another_type_and_an_unknown_one_are_named() {
        let mut fields = Fields::parse(br#"{"a":7,"b":null,"c":"x","d":1}"#).unwrap().unwrap();
        assert_eq!(fields.text("a").unwrap_err().field.as_deref(), Some("a"));
        assert_eq!(fields.text("b").unwrap(), None);
        assert_eq!(fields.required_text("c").unwrap(), "x");
        assert_eq!(fields.clone().required_text("e").unwrap_err().code, "field_missing");
        let unknown = fields.finish().unwrap_err();
        assert_eq!(
            (unknown.code.as_str(), unknown.field.as_deref()),
            ("field_unknown", Some("d"))
        );
    }

    #[test]
    fn a_number_without_a_fraction_is_an_integer_however_it_is_written() {
        let body = br#"{"a":30.0,"b":[1e2,{"c":2.50}],"d":30.5,"e":1e300,"f":[[5.0]]}"#;
        let mut fields = Fields::parse(body).unwrap().unwrap();
        assert_eq!(fields.take::<u16>("a", "a number").unwrap(), Some(30));
        let kept: Value = fields.take("b", "anything").unwrap().unwrap();
        assert_eq!(
            kept,
            serde_json::json!([100.0, {"c": 2.5}]),
            "what may be a float stays one"
        );
        assert_eq!(fields.take::<u16>("d", "a number").unwrap_err().code, "field_invalid");
        assert_eq!(
            fields.take::<Vec<Vec<u8>>>("f", "numbers").unwrap(),
            Some(vec![vec![5]])
        );
        assert_eq!(fields.take::<u64>("e", "a number").unwrap_err().code, "field_invalid");
    }

    #[test]
    fn an_array_is_no_object_with_members() {
        #[derive(Debug, serde::Deserialize)]
        struct Pair {
            a: Option<u8>,
            b: Option<u8>,
        }
        let mut fields = Fields::parse(br#"{"x":{"a":1,"b":2},"y":[1,2],"z":null}"#)
            .unwrap()
            .unwrap();
        let pair: Pair = fields.object("x", "an object").unwrap().unwrap();
        assert_eq!((pair.a, pair.b), (Some(1), Some(2)));
        let problem = fields.object::<Pair>("y", "an object").unwrap_err();
        assert_eq!(
            (problem.code.as_str(), problem.field.as_deref()),
            ("field_invalid", Some("y"))
        );
        assert!(fields.object::<Pair>("z", "an object").unwrap().is_none());
    }

    #[test]
    fn an_endless_name_is_not_repeated_whole() {
        let body = format!("{{\"{}\":1}}", "n".repeat(10_000));
        let problem = Fields::parse(body.as_bytes()).unwrap().unwrap().finish().unwrap_err();
        assert_eq!(problem.field.unwrap().len(), SHOWN_NAME_CHARS);
    }
}
