//! The small things that strangers name: ids, event types, moments, headers, secrets, scopes, retry policies, networks. Each
//! is read by its parser, and what a parser took is of the form that it promises and reads back the same.

use redial_domain::address::AllowedNetworks;
use redial_domain::auth::EndpointAuth;
use redial_domain::filter::{Filter, TypePattern};
use redial_domain::header::{self, CustomHeader};
use redial_domain::retry::{MAX_ATTEMPTS, MAX_DELAY_S, RetryPolicy};
use redial_domain::signature::{self, Secret};
use redial_domain::url::OwnHost;
use redial_domain::{AgentId, DeliveryId, EndpointId, EventId, EventTypeName, TenantId, Timestamp, Traceparent};
use redial_platform::auth::Scope;
use redial_platform::keys::{self, Key};

use super::{column, inputs};
use crate::Target;

pub(crate) const TARGET: Target = Target {
    name: "field",
    max_len: 8_192,
    run,
    seeds,
};

fn seeds() -> Vec<Vec<u8>> {
    let mut texts = column("hostile-inputs.tsv", 1, |_| true);
    texts.extend(
        [
            "evt_01JD3ZK8Q000000000000001",
            "src_1.ep_0123456789ABCDEF.rpl_01JD3ZK8Q000000001",
            "rpl_01JD3ZK8Q000000001",
            "call.ended",
            "call.*",
            "2026-11-20T05:03:46.258+03:00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "x-api-key: secret",
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "tenant:acme",
            r#"{"attempts":4,"delays":[1,1,2]}"#,
            r#"{"attempts":20,"base_s":5,"factor":1.5}"#,
            r#"{"attempts":3,"delay_ms":1500}"#,
            r#"{"event_types":["call.*","a"],"agents":["agt_1"],"exclude_agents":[]}"#,
            r#"{"type":"basic","username":"u","password":"p"}"#,
            r#"{"type":"api_key","name":"x-key","value":"v"}"#,
            r#"{"type":"bearer","token":"t"}"#,
            "10.0.0.0/8",
            "2001:db8::/32",
            "https://api.example.com:8443",
        ]
        .map(str::to_owned),
    );
    inputs(texts)
}

fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    ids(text);
    names(text);
    moments(text);
    headers(text);
    secrets(text);
    settings(text);
    stored_keys(text);
}

fn ids(text: &str) {
    let allowed = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'_' | b':' | b'-');
    let of_form = (1..=128).contains(&text.len()) && text.bytes().all(allowed) && !matches!(text, "null" | "undefined");
    assert_eq!(TenantId::parse(text).is_ok(), of_form, "{text:?}");
    assert_eq!(AgentId::parse(text).is_ok(), of_form, "{text:?}");
    assert_eq!(EndpointId::parse(text).is_ok(), of_form, "{text:?}");
    if let Ok(id) = EventId::parse(text) {
        assert_eq!(serde_json::to_value(&id).ok(), Some(text.into()));
        if let Some((at, shard)) = id.minted_parts() {
            assert!(shard < redial_domain::id::MAX_SHARDS);
            assert!(text.starts_with("evt_") && at.as_millis() >= 0);
        }
    }
    if let Ok(id) = DeliveryId::parse(text) {
        assert_eq!(id.to_string(), text);
    }
}

fn names(text: &str) {
    if let Ok(name) = EventTypeName::parse(text) {
        let label = |label: &str| !label.is_empty() && label.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_');
        assert!(
            name.as_str() == text && text.len() <= 128 && text.split('.').all(label),
            "{text:?}"
        );
    }
    if let Ok(pattern) = TypePattern::try_from(text.to_owned()) {
        assert_eq!(String::from(pattern), text);
    }
    if let Some(trace) = Traceparent::parse(text) {
        assert_eq!(Traceparent::parse(trace.as_str()).as_ref(), Some(&trace));
        assert!(trace.as_str().bytes().all(|c| c.is_ascii_graphic()));
    }
    if let Ok(scope) = Scope::parse(text) {
        assert_eq!(scope.to_string(), text);
        // Nobody but an operator may manage two tenants.
        let tenants = ["acme", "other"].map(|name| TenantId::parse(name).expect("a name"));
        let managed = tenants.iter().filter(|tenant| scope.may_manage(tenant)).count();
        assert!(managed < 2 || scope.is_operator(), "{text:?}");
    }
}

fn moments(text: &str) {
    if let Ok(at) = Timestamp::parse(text) {
        assert_eq!(Timestamp::parse(&at.to_string()), Ok(at), "{text:?}");
    }
}

fn headers(text: &str) {
    if let Some((name, value)) = text.split_once(':')
        && let Ok(header) = CustomHeader::parse(name, value)
    {
        assert_eq!(
            (header.name(), header.value()),
            (name.to_ascii_lowercase().as_str(), value)
        );
        assert!(!header::is_reserved(header.name()), "{name:?}");
        wire_takes(header.name(), header.value());
    }
    if let Ok(auth) = serde_json::from_str::<EndpointAuth>(text)
        && let Ok((name, value)) = auth.header()
    {
        wire_takes(&name, &value);
    }
}

/// Neither is more than it says: no line end, nothing that a client would have to repair.
fn wire_takes(name: &str, value: &str) {
    assert!(http::HeaderName::from_bytes(name.as_bytes()).is_ok(), "{name:?}");
    assert!(http::HeaderValue::from_str(value).is_ok(), "{value:?}");
    assert!(!value.contains(['\r', '\n', '\0']));
}

fn secrets(text: &str) {
    let (id, body, now) = ("evt_1", b"{}", Timestamp::from_millis(1_795_151_026_258));
    let read = [Secret::parse(text), Secret::parse_chosen(text)];
    for secret in read.into_iter().flatten() {
        assert_eq!(secret.reveal(), text);
        assert!(
            text.len() < 24 || !format!("{secret:?}").contains(text),
            "a secret was printed"
        );
        let secrets = [secret];
        let header = signature::header(&secrets, id, now.as_secs(), body);
        let at = now.as_secs().to_string();
        let verified = signature::verify(&secrets, id, &at, body, &header, now, signature::TOLERANCE_S);
        assert_eq!(verified, Ok(()));
    }
    // As a signature: nobody has this secret.
    let ours = [Secret::from_random([1; 32])];
    let verified = signature::verify(&ours, id, "1795151026", body, text, now, signature::TOLERANCE_S);
    assert!(verified.is_err(), "{text:?} is a signature");
}

fn settings(text: &str) {
    if let Ok(policy) = serde_json::from_str::<RetryPolicy>(text) {
        assert!((1..=MAX_ATTEMPTS).contains(&policy.attempts()));
        for n in [0, 1, 2, 7, MAX_ATTEMPTS, u32::MAX] {
            assert!((1..=MAX_DELAY_S).contains(&policy.delay_s(n)), "{text:?}");
        }
        let written = serde_json::to_string(&policy).expect("a policy can be written");
        // A factor may come back as its neighbour.
        let again = serde_json::from_str::<RetryPolicy>(&written);
        assert!(
            again.is_ok_and(|again| again.attempts() == policy.attempts()),
            "{written}"
        );
    }
    if let Ok(filter) = serde_json::from_str::<Filter>(text) {
        let written = serde_json::to_string(&filter).expect("a filter can be written");
        assert_eq!(
            serde_json::from_str::<Filter>(&written).ok().as_ref(),
            Some(&filter),
            "{written}"
        );
    }
    if let Ok(allowed) = AllowedNetworks::parse([text]) {
        for network in allowed.networks() {
            assert!(network.prefix_len() >= 8, "{text:?}");
        }
    }
    // The stack's own URLs, which only operators name: read without a panic, whatever they say.
    let _ = OwnHost::parse(text);
}

/// Keys of stored items hold what platforms named: reading one never takes another's.
fn stored_keys(text: &str) {
    if let Some((event, _)) = keys::event_of(text) {
        // The sort key of one that Redial minted leaves out the beginning that all of them have.
        assert!(text.contains(event.as_str().trim_start_matches("evt_")), "{text:?}");
    }
    if let Some((endpoint, replay)) = keys::replayed_of(text) {
        assert!(text.contains(endpoint.as_str()) && text.contains(replay.as_str()));
    }
    let (pk, sk) = text.split_once('\n').unwrap_or((text, text));
    let key = Key {
        pk: pk.to_owned(),
        sk: sk.to_owned(),
    };
    if let Some((tenant, delivery)) = keys::delivery_of(&key) {
        assert!(pk.contains(tenant.as_str()) && sk.contains(delivery.event.as_str()));
    }
    if let Some((tenant, _)) = keys::job_of(&key) {
        assert!(pk.contains(tenant.as_str()));
    }
    if let Some((tenant, _)) = keys::erasure_of(&key) {
        assert!(pk.contains(tenant.as_str()));
    }
}
