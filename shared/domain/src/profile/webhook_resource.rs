//! `WebhookResource`, as customers of profile `utel` manage their endpoints: a URL and seven booleans, all required. Knows
//! how the booleans and an endpoint's `event_types` stand for each other.

use serde::{Deserialize, Serialize};

use super::names::types_of_switch;
use crate::event_type::EventTypeName;
use crate::filter::TypePattern;

/// One entry of the list.
#[expect(clippy::struct_excessive_bools, reason = "the form is another system's")]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookResource {
    /// Where to POST.
    pub url: String,
    /// A call was connected.
    pub call_started: bool,
    /// A call ended.
    pub call_ended: bool,
    /// A stage of a call rings.
    pub dial_started: bool,
    /// A stage was answered.
    pub dial_answered: bool,
    /// A stage ended.
    pub dial_ended: bool,
    /// A call was transferred.
    pub call_transferred: bool,
    /// A recording was saved.
    pub call_saved: bool,
}

impl WebhookResource {
    /// The booleans by name.
    fn switches(&self) -> [(&'static str, bool); 7] {
        [
            ("call_started", self.call_started),
            ("call_ended", self.call_ended),
            ("dial_started", self.dial_started),
            ("dial_answered", self.dial_answered),
            ("dial_ended", self.dial_ended),
            ("call_transferred", self.call_transferred),
            ("call_saved", self.call_saved),
        ]
    }

    /// The event types that it asks for. Empty: none, and the endpoint has to be inactive, as an empty filter wants all.
    #[must_use]
    pub fn event_types(&self) -> Vec<TypePattern> {
        let asked = self.switches().into_iter().filter(|(_, on)| *on);
        let names = asked.flat_map(|(switch, _)| types_of_switch(switch));
        names
            .filter_map(|name| EventTypeName::parse(name).ok().map(TypePattern::Exact))
            .collect()
    }

    /// The resource that stands for a URL and whether each event type reaches it: a boolean is on if any of its types does.
    pub fn of(url: impl Into<String>, reaches: impl Fn(&EventTypeName) -> bool) -> Self {
        let on = |switch| {
            let mut names = types_of_switch(switch).filter_map(|name| EventTypeName::parse(name).ok());
            names.any(|name| reaches(&name))
        };
        Self {
            url: url.into(),
            call_started: on("call_started"),
            call_ended: on("call_ended"),
            dial_started: on("dial_started"),
            dial_answered: on("dial_answered"),
            dial_ended: on("dial_ended"),
            call_transferred: on("call_transferred"),
            call_saved: on("call_saved"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::Filter;

    /// The example of the system's documents, literally.
    const EXAMPLE: &str = r#"{"url":"https://myapp.com/webhook/calls","call_started":true,"call_ended":true,"dial_started":false,"dial_answered":false,"dial_ended":false,"call_transferred":false,"call_saved":true}"#;

    #[test]
    fn the_example_of_the_documents_is_read_and_written_as_it_stands() {
        let resource: WebhookResource = serde_json::from_str(EXAMPLE).unwrap();
        assert_eq!(serde_json::to_string(&resource).unwrap(), EXAMPLE);
    }

    #[test]
    fn a_resource_comes_back_from_the_filter_that_it_makes() {
        for bits in 1..128_u32 {
            let bit = |n: u32| bits & (1 << n) != 0;
            let resource = WebhookResource {
                url: "https://a.example/".to_owned(),
                call_started: bit(0),
                call_ended: bit(1),
                dial_started: bit(2),
                dial_answered: bit(3),
                dial_ended: bit(4),
                call_transferred: bit(5),
                call_saved: bit(6),
            };
            let filter = Filter {
                event_types: resource.event_types(),
                ..Filter::default()
            };
            let back = WebhookResource::of("https://a.example/", |name| filter.matches(name, None));
            assert_eq!(back, resource);
        }
    }

    #[test]
    fn every_boolean_is_required_and_nothing_else_is_taken() {
        for broken in [
            EXAMPLE.replace(r#","call_saved":true"#, ""),
            EXAMPLE.replace(r#""call_saved":true"#, r#""call_saved":"yes""#),
            EXAMPLE.replace('}', r#","more":1}"#),
        ] {
            assert!(serde_json::from_str::<WebhookResource>(&broken).is_err(), "{broken}");
        }
    }
}
