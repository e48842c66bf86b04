//! What the description takes, the code takes, and the other way round.

use jsonschema::Validator;
use serde_json::{Value, json};

use crate::body::Fields;
use crate::endpoint_fields::tests::read;

const URL: &str = "https://example.com/hook";
const STANDARD: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn described(name: &str) -> Validator {
    let mut document = serde_json::to_value(crate::openapi()).unwrap();
    document["$ref"] = json!(format!("#/components/schemas/{name}"));
    jsonschema::draft202012::new(&document).unwrap()
}

/// Whether the code takes a new endpoint's body.
fn is_taken(body: &Value) -> bool {
    let mut fields = Fields(body.as_object().unwrap().clone());
    let Ok(secret) = fields.text("secret") else {
        return false;
    };
    let Ok((settings, _)) = read(Value::Object(fields.0)) else {
        return false;
    };
    secret.is_none_or(|secret| settings.profile.secret(&secret).is_ok())
}

fn with(name: &str, value: &Value) -> Value {
    let mut body = json!({"url": URL});
    body[name] = value.clone();
    body
}

/// Values of each field, some right and some wrong.
fn values() -> Vec<(&'static str, Vec<Value>)> {
    let long = |n: usize| json!("x".repeat(n));
    let many = |n: usize| json!(vec!["a"; n]);
    let entries = |n: usize| {
        json!(
            (0..n)
                .map(|i| (format!("k{i}"), "v"))
                .collect::<std::collections::BTreeMap<_, _>>()
        )
    };
    let retry = [
        json!({}),
        json!({"attempts": 1}),
        json!({"attempts": 20, "delays": [1, 41_400]}),
        json!({"attempts": 21}),
        json!({"attempts": 0}),
        json!({"delays": [0]}),
        json!({"delays": [41_401]}),
        json!({"delays": vec![1; 19]}),
        json!({"delays": vec![1; 20]}),
        json!({"delays": ["1"]}),
        json!({"base_s": 1}),
        json!({"base_s": 41_400, "factor": 10}),
        json!({"base_s": 1, "factor": 10.5}),
        json!({"base_s": 1, "factor": 0.9}),
        json!({"factor": 2}),
        json!({"delay_ms": 1}),
        json!({"delay_ms": 41_400_000}),
        json!({"delay_ms": 41_400_001}),
        json!({"delay_ms": 1.5}),
        json!({"delays": [1], "delay_ms": 5}),
        json!({"tries": 3}),
        json!(3),
    ];
    let auth = [
        json!({"type": "api_key", "header": "X-Key", "value": "v"}),
        json!({"type": "api_key", "header": "X Key", "value": "v"}),
        json!({"type": "api_key", "header": "x-key", "value": ""}),
        json!({"type": "api_key", "header": "x-key", "value": " v"}),
        json!({"type": "api_key", "header": "x-key", "value": "v".repeat(4096)}),
        json!({"type": "api_key", "header": "x-key", "value": "v".repeat(4097)}),
        json!({"type": "api_key", "header": "x-key"}),
        json!({"type": "basic", "username": "u", "password": ""}),
        json!({"type": "basic", "username": "", "password": "ö"}),
        json!({"type": "basic", "username": "", "password": ""}),
        json!({"type": "basic", "username": "a:b", "password": "c"}),
        json!({"type": "basic", "username": "a", "password": "c\n"}),
        json!({"type": "basic", "username": "a", "password": "x".repeat(2049)}),
        json!({"type": "bearer", "token": "a.b-c_d~e+f/g=="}),
        json!({"type": "bearer", "token": "a b"}),
        json!({"type": "bearer", "token": ""}),
        json!({"type": "bearer", "token": "t".repeat(2049)}),
        json!({"type": "bearer", "token": "t", "more": 1}),
        json!({"type": "digest"}),
        json!("bearer"),
    ];
    vec![
        ("description", vec![json!("ö"), long(1000), long(1001), json!(1)]),
        (
            "metadata",
            vec![
                json!({"k": "v"}),
                entries(20),
                entries(21),
                json!({"k": "ö".repeat(256)}),
                json!({"k": "v".repeat(257)}),
                json!({"k": 1}),
            ],
        ),
        (
            "event_types",
            vec![
                json!(["call.*", "call.ended"]),
                json!(["*"]),
                json!(["a..b"]),
                many(50),
                many(51),
                json!("a"),
            ],
        ),
        (
            "agents",
            vec![json!(["agt_1:x-y"]), json!(["a b"]), json!([""]), many(100), many(101)],
        ),
        ("exclude_agents", vec![many(100), many(101), json!([long(129)])]),
        (
            "profile",
            vec![json!("voicehub"), json!("utel"), json!("fancy"), json!(1)],
        ),
        ("payload", vec![json!("thin"), json!("full"), json!("fat")]),
        ("auth", auth.to_vec()),
        (
            "headers",
            vec![
                json!({"X-A_b": "v", "x-c": ""}),
                json!({"x-a": " v"}),
                json!({"x a": "v"}),
                json!({"x-a": 1}),
                json!({"x-a": "v".repeat(4097)}),
                json!([]),
            ],
        ),
        (
            "timeout_ms",
            vec![json!(1000), json!(30_000), json!(999), json!(30_001), json!(1000.5)],
        ),
        ("retry", retry.to_vec()),
        ("rate_limit", vec![json!(1), json!(500), json!(0), json!(501)]),
        (
            "dead_letter",
            vec![
                json!({}),
                json!({"keep": false, "days": 3}),
                json!({"days": 365}),
                json!({"days": 2}),
                json!({"days": 366}),
                json!({"keep": 1}),
                json!({"ever": 1}),
            ],
        ),
        ("active", vec![json!(true), json!(0)]),
        ("state", vec![json!("paused"), json!("disabled"), json!("gone")]),
        (
            "secret",
            vec![
                json!(STANDARD),
                json!(format!("{STANDARD}==")),
                json!("whsec_AAAA"),
                json!("hunter2"),
                json!(1),
            ],
        ),
        (
            "url",
            vec![
                json!("https://a-b.c_d.example.com:8443/p?q=%20~"),
                json!("http://example.com/"),
                json!("https://example.com/#f"),
                json!("https://localhost/"),
                json!("https://u@example.com/"),
                json!("https://example.com:99/"),
                json!(format!("{URL}{}", "x".repeat(2048))),
            ],
        ),
        ("unheard_of", vec![json!(1)]),
    ]
}

#[test]
fn whatever_fits_the_description_of_a_new_endpoint_is_taken_and_nothing_else() {
    let described = described("NewEndpoint");
    let mut bodies = vec![
        json!({"url": URL}),
        json!({}),
        json!({"url": URL, "active": true, "state": "active"}),
        json!({"url": URL, "active": false, "state": "inactive"}),
        json!({"url": URL, "active": true, "state": "paused"}),
        json!({"url": URL, "active": false, "state": "active"}),
        json!({"url": URL, "active": null, "state": "paused"}),
        json!({"url": URL, "profile": "voicehub", "secret": "open sesame"}),
        json!({"url": URL, "profile": "voicehub", "secret": " padded "}),
        json!({"url": URL, "profile": "voicehub", "secret": "ö"}),
        json!({"url": URL, "profile": "utel", "secret": "open sesame"}),
        json!({"url": URL, "profile": "utel", "secret": STANDARD}),
    ];
    for (name, values) in values() {
        bodies.extend(values.iter().map(|value| with(name, value)));
        if name != "url" && name != "unheard_of" {
            bodies.push(with(name, &Value::Null));
        }
    }
    assert!(bodies.len() > 120, "{}", bodies.len());
    bodies.retain(|body| described.is_valid(body) != is_taken(body));
    let differing = bodies.iter().map(|body| body.to_string().chars().take(200).collect());
    assert_eq!(differing.collect::<Vec<String>>(), Vec::<String>::new());
}

#[test]
fn secrets_of_every_length_are_described_as_they_are_read() {
    use base64::Engine as _;
    let described = described("NewEndpoint");
    for bytes in 0..=70 {
        let text = base64::engine::general_purpose::STANDARD.encode(vec![7; bytes]);
        let body = with("secret", &json!(format!("whsec_{text}")));
        assert_eq!(described.is_valid(&body), (24..=64).contains(&bytes), "{bytes}");
        assert_eq!(is_taken(&body), (24..=64).contains(&bytes), "{bytes}");
    }
}

#[test]
fn a_patch_is_described_as_a_new_endpoint_but_for_what_it_cannot_say() {
    let described = described("EndpointPatch");
    for body in [
        json!({}),
        json!({"description": null, "metadata": {"a": null}, "headers": {"x-a": null}}),
        json!({"retry": {"delays": [1]}, "dead_letter": {"days": null}, "auth": null}),
        json!({"state": "paused"}),
    ] {
        assert!(described.is_valid(&body), "{body}");
    }
    for body in [
        json!({"url": null}),
        json!({"secret": STANDARD}),
        json!({"state": "disabled"}),
        json!({"id": "ep_1"}),
        json!({"active": true, "state": "paused"}),
    ] {
        assert!(!described.is_valid(&body), "{body}");
    }
}
