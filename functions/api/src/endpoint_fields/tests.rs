//! Tests of reading an endpoint's settings.

use redial_domain::address::AddressPolicy;
use redial_domain::signature::Secret;
use redial_platform::seal::Credentials;
use serde_json::json;
use utoipa::PartialSchema as _;

use super::*;
use crate::authentication::Authentication;
use crate::endpoint_schema::EndpointFields;

fn with_rules<T>(run: impl FnOnce(UrlRules<'_>) -> T) -> T {
    let (policy, own_hosts) = (AddressPolicy::strict(), [OwnHost::parse("api.example.com").unwrap()]);
    run(UrlRules {
        policy: &policy,
        own_hosts: &own_hosts,
    })
}

pub(crate) fn read(body: Value) -> Result<(EndpointSettings, Option<EndpointState>), Problem> {
    let Value::Object(members) = body else {
        panic!("an object")
    };
    with_rules(|rules| {
        let mut fields = Fields(members);
        let state = wanted_state(&mut fields)?;
        let authentication = Authentication::take(&mut fields)?;
        let mut settings = settings(&mut fields, rules, None)?;
        fields.finish()?;
        authentication.apply(&mut settings, &mut Credentials::new(Secret::from_random([1; 32])))?;
        Ok((settings, state))
    })
}

pub(crate) fn plain_settings() -> EndpointSettings {
    read(json!({"url": "https://example.com/"})).unwrap().0
}

fn refusal(name: &str, value: Value) -> (u16, String, Option<String>) {
    let mut body = json!({"url": "https://example.com/"});
    body[name] = value;
    let problem = read(body).unwrap_err();
    (problem.status, problem.code, problem.field)
}

#[test]
fn every_field_outside_its_limits_is_named() {
    for (name, value, code, field) in [
        ("url", json!(7), "field_invalid", "url"),
        ("url", json!(null), "field_missing", "url"),
        ("url", json!("http://example.com/"), "url_scheme", "url"),
        ("url", json!("https://127.0.0.1/"), "url_address", "url"),
        ("url", json!("https://api.example.com/x"), "url_own_host", "url"),
        ("url", json!("https://u:p@example.com/"), "url_userinfo", "url"),
        ("description", json!(["x"]), "field_invalid", "description"),
        ("description", json!("x".repeat(1001)), "field_too_long", "description"),
        ("metadata", json!({"k": 1}), "field_invalid", "metadata"),
        ("metadata", json!({"k": "v".repeat(257)}), "field_too_long", "metadata"),
        ("event_types", json!("call.ended"), "field_invalid", "event_types"),
        ("event_types", json!(["*"]), "event_type_invalid", "event_types"),
        ("event_types", json!(vec!["a"; 51]), "filter_too_long", "event_types"),
        ("agents", json!([7]), "field_invalid", "agents"),
        ("agents", json!(["a b"]), "id_invalid", "agents"),
        ("agents", json!(vec!["a"; 101]), "filter_too_long", "agents"),
        ("exclude_agents", json!(["null"]), "id_invalid", "exclude_agents"),
        (
            "exclude_agents",
            json!(vec!["a"; 101]),
            "filter_too_long",
            "exclude_agents",
        ),
        ("profile", json!("fancy"), "field_invalid", "profile"),
        ("profile", json!(1), "field_invalid", "profile"),
        ("payload", json!("fat"), "field_invalid", "payload"),
        ("headers", json!({"webhook-id": "1"}), "header_reserved", "headers"),
        ("auth", json!({"type": "bearer"}), "field_invalid", "auth"),
        ("timeout_ms", json!("10000"), "field_invalid", "timeout_ms"),
        ("timeout_ms", json!(-1), "field_invalid", "timeout_ms"),
        ("timeout_ms", json!(999), "timeout_invalid", "timeout_ms"),
        ("timeout_ms", json!(30_001), "timeout_invalid", "timeout_ms"),
        ("rate_limit", json!(0), "rate_limit_invalid", "rate_limit"),
        ("rate_limit", json!(501), "rate_limit_invalid", "rate_limit"),
        ("rate_limit", json!(1.5), "field_invalid", "rate_limit"),
        ("dead_letter", json!(true), "field_invalid", "dead_letter"),
        ("dead_letter", json!({"keep": 1}), "field_invalid", "dead_letter"),
        ("dead_letter", json!({"forever": true}), "field_invalid", "dead_letter"),
        (
            "dead_letter",
            json!({"days": 2}),
            "dead_letter_invalid",
            "dead_letter.days",
        ),
        (
            "dead_letter",
            json!({"days": 366}),
            "dead_letter_invalid",
            "dead_letter.days",
        ),
        ("retry", json!([1, 2]), "field_invalid", "retry"),
        ("retry", json!({"attempts": 3, "tries": 3}), "field_invalid", "retry"),
        ("retry", json!({"attempts": 21}), "retry_invalid", "retry.attempts"),
        ("retry", json!({"delays": [0]}), "retry_invalid", "retry.delays"),
        ("retry", json!({"delays": [1], "base_s": 1}), "retry_invalid", "retry"),
        ("active", json!("no"), "field_invalid", "active"),
        ("state", json!("disabled"), "field_invalid", "state"),
        ("state", json!("gone"), "field_invalid", "state"),
        ("id", json!("ep_1"), "field_unknown", "id"),
        ("__proto__", json!({}), "field_unknown", "__proto__"),
    ] {
        let got = refusal(name, value.clone());
        assert_eq!(
            got,
            (422, code.to_owned(), Some(field.to_owned())),
            "{name} = {}",
            value.to_string().chars().take(80).collect::<String>()
        );
    }
}

#[test]
fn state_and_active_say_the_same_or_are_refused() {
    let state = |body: Value| {
        let mut body = body;
        body["url"] = json!("https://example.com/");
        read(body).map(|(_, state)| state)
    };
    assert_eq!(state(json!({})).unwrap(), None);
    assert_eq!(state(json!({"active": false})).unwrap(), Some(EndpointState::Inactive));
    assert_eq!(state(json!({"state": "paused"})).unwrap(), Some(EndpointState::Paused));
    assert_eq!(
        state(json!({"state": "active", "active": true})).unwrap(),
        Some(EndpointState::Active)
    );
    assert!(state(json!({"state": "paused", "active": true})).is_err());
}

#[test]
fn a_merge_patch_does_what_rfc_7396_says() {
    // The examples of appendix A whose target and patch are objects.
    for (target, patch, result) in [
        (json!({"a":"b"}), json!({"a":"c"}), json!({"a":"c"})),
        (json!({"a":"b"}), json!({"b":"c"}), json!({"a":"b","b":"c"})),
        (json!({"a":"b"}), json!({"a":null}), json!({})),
        (json!({"a":"b","b":"c"}), json!({"a":null}), json!({"b":"c"})),
        (json!({"a":["b"]}), json!({"a":"c"}), json!({"a":"c"})),
        (json!({"a":"c"}), json!({"a":["b"]}), json!({"a":["b"]})),
        (
            json!({"a":{"b":"c"}}),
            json!({"a":{"b":"d","c":null}}),
            json!({"a":{"b":"d"}}),
        ),
        (json!({"a":[{"b":"c"}]}), json!({"a":[1]}), json!({"a":[1]})),
        (json!({"e":null}), json!({"a":1}), json!({"e":null,"a":1})),
        (json!({}), json!({"a":{"bb":{"ccc":null}}}), json!({"a":{"bb":{}}})),
    ] {
        let mut merged = target.as_object().unwrap().clone();
        merge(&mut merged, patch.as_object().unwrap().clone());
        assert_eq!(Value::Object(merged), result, "{target} with {patch}");
    }
}

#[test]
fn a_patch_changes_what_it_names_and_null_restores_the_default() {
    let before = read(json!({
        "url": "https://example.com/", "description": "d", "metadata": {"a": "1", "b": "2"},
        "event_types": ["call.*"], "agents": ["agt_1"], "timeout_ms": 2000,
        "retry": {"attempts": 3, "delays": [1, 2]},
    }))
    .unwrap()
    .0;
    let patched = |patch: Value| {
        let patch = Fields(patch.as_object().unwrap().clone());
        with_rules(|rules| super::patched(&before, &patch, rules))
    };
    assert_eq!(patched(json!({})).unwrap(), before);
    let after = patched(json!({"metadata": {"a": null, "c": "3"}, "agents": [], "timeout_ms": null})).unwrap();
    assert_eq!(after.metadata.keys().collect::<Vec<_>>(), ["b", "c"]);
    assert!(after.filter.agents.is_empty());
    assert_eq!(
        (after.timeout_ms, after.description.as_str()),
        (DEFAULT_TIMEOUT_MS, "d")
    );
    let after = patched(json!({"retry": {"attempts": 2}})).unwrap();
    assert_eq!(
        serde_json::to_value(after.retry).unwrap(),
        json!({"attempts": 2, "delays": [1, 2]})
    );
    assert_eq!(patched(json!({"retry": null})).unwrap().retry, None);
    for (patch, code) in [
        (json!({"url": null}), "field_missing"),
        (json!({"header_names": ["x"]}), "field_unknown"),
        (json!({"secret": "whsec_x"}), "field_unknown"),
        (json!({"created_at": "x"}), "field_unknown"),
        (json!({"metadata": "x"}), "field_invalid"),
    ] {
        assert_eq!(patched(patch.clone()).unwrap_err().code, code, "{patch}");
    }
}

#[test]
fn an_old_url_does_not_stand_in_the_way_of_other_changes() {
    let mut before = read(json!({"url": "https://example.com/"})).unwrap().0;
    before.url = "https://127.0.0.1/".to_owned();
    let patched = |patch: Value| {
        let patch = Fields(patch.as_object().unwrap().clone());
        with_rules(|rules| super::patched(&before, &patch, rules))
    };
    assert_eq!(patched(json!({"description": "d"})).unwrap().description, "d");
    assert_eq!(
        patched(json!({"url": "https://127.0.0.2/"})).unwrap_err().code,
        "url_address"
    );
}

#[test]
fn the_description_names_exactly_the_fields_that_are_read() {
    let schema = serde_json::to_value(EndpointFields::schema()).unwrap();
    for name in schema["properties"].as_object().unwrap().keys() {
        let mut body = json!({"url": "https://example.com/"});
        body[name] = json!({"not": ["what", "it", "takes"]});
        let code = read(body).unwrap_err().code;
        assert_ne!(code, "field_unknown", "{name} is described and not read");
    }
    let whole = read(json!({
        "url": "https://example.com/", "description": "", "metadata": {}, "event_types": [], "agents": [],
        "exclude_agents": [], "profile": "utel", "payload": "thin", "auth": {"type": "bearer", "token": "t"},
        "headers": {"x-a": "1"}, "timeout_ms": 1000, "retry": {}, "rate_limit": 5, "dead_letter": {"keep": false, "days": 3},
        "active": true, "state": "active",
    }));
    assert!(whole.is_ok(), "{whole:?}");
    assert_eq!(schema["properties"].as_object().unwrap().len(), 16);
}
