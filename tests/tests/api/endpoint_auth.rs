//! Authentication and headers of endpoints over HTTP: shown where secrets are shown and nowhere else, changed with a patch,
//! and no hostile row gets past a patch or a rotation.

use serde_json::{Value, json};

use super::stand::Stand;

const LIST: &str = "/v1/tenants/acme/endpoints";
const URL: &str = "http://127.0.0.1:9000/hook";

/// Names and values of headers, with the verdict that they are to get.
const HOSTILE: &str = include_str!("../../data/hostile-inputs.tsv");

fn path_of(endpoint: &Value) -> String {
    format!("{LIST}/{}", endpoint["id"].as_str().unwrap())
}

#[tokio::test]
async fn values_of_authentication_and_headers_are_in_no_answer_but_that_of_the_secrets() {
    let stand = Stand::with_acme().await;
    let auth = json!({"type": "basic", "username": "ann", "password": "canary-password"});
    let headers = json!({"X-Team": "canary-header", "x-key": "canary-key"});
    let body = json!({"url": URL, "auth": auth, "headers": headers});
    let made = stand.ok("POST", LIST, body).await;
    assert_eq!(made["auth"], json!({"type": "basic", "username": "ann"}));
    assert_eq!(made["header_names"], json!(["x-key", "x-team"]));
    let path = path_of(&made);
    let patched = json!({"description": "d", "headers": {"x-key": "canary-other"}});
    for (method, path, body) in [
        ("GET", path.as_str(), Value::Null),
        ("GET", LIST, Value::Null),
        ("PATCH", &path, patched),
        ("POST", &format!("{path}/pause"), Value::Null),
        ("POST", &format!("{path}/activate"), Value::Null),
    ] {
        let answer = stand.ask(method, path, body).await;
        assert_eq!(answer.status, 200, "{method} {path}");
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(!text.contains("canary"), "{method} {path}: {text}");
    }
    let secrets = stand.ok("GET", &format!("{path}/secret"), Value::Null).await;
    assert_eq!(secrets["auth"], auth);
    assert_eq!(
        secrets["headers"],
        json!({"x-key": "canary-other", "x-team": "canary-header"})
    );
    let rotated = stand.ok("POST", &format!("{path}/rotate"), Value::Null).await;
    assert_eq!((&rotated["auth"], &rotated["headers"]), (&auth, &secrets["headers"]));
}

#[tokio::test]
async fn a_patch_sets_replaces_and_takes_away_authentication_and_headers() {
    let stand = Stand::with_acme().await;
    let made = stand.ok("POST", LIST, json!({"url": URL})).await;
    let path = path_of(&made);
    let patch = async |body: Value| stand.ok("PATCH", &path, body).await;
    let auth = json!({"type": "api_key", "header": "X-Key", "value": "v"});
    let changed = patch(json!({"auth": auth, "headers": {"x-a": "1", "x-b": "2"}})).await;
    assert_eq!(changed["auth"], json!({"type": "api_key", "header": "X-Key"}));
    let changed = patch(json!({"headers": {"X-A": null}})).await;
    assert_eq!(changed["header_names"], json!(["x-b"]));
    assert_eq!(changed["auth"]["type"], "api_key", "what a patch does not name stays");
    let changed = patch(json!({"auth": {"type": "bearer", "token": "t"}, "headers": null})).await;
    assert_eq!(
        (&changed["auth"], &changed["header_names"]),
        (&json!({"type": "bearer"}), &json!([]))
    );
    let changed = patch(json!({"auth": null})).await;
    assert_eq!(changed["auth"], Value::Null);
    let secrets = stand.ok("GET", &format!("{path}/secret"), Value::Null).await;
    assert_eq!(secrets["secret"], made["secret"], "the signing secret is another thing");
}

#[tokio::test]
async fn a_header_that_authentication_or_the_profile_sends_is_no_custom_header_too() {
    let stand = Stand::with_acme().await;
    let key = json!({"type": "api_key", "header": "X-Api-Key", "value": "k"});
    let basic = json!({"type": "basic", "username": "u", "password": "p"});
    let bearer = json!({"type": "bearer", "token": "t"});
    // What is there, and what makes it twice: whichever of the two comes last.
    for (there, then) in [
        (json!({"auth": key}), json!({"headers": {"x-API-key": "v"}})),
        (json!({"headers": {"x-api-key": "v", "x-b": "w"}}), json!({"auth": key})),
        (json!({"auth": basic}), json!({"headers": {"Authorization": "v"}})),
        (json!({"headers": {"authorization": "v"}}), json!({"auth": bearer})),
        (
            json!({"profile": "voicehub"}),
            json!({"headers": {"X-Webhook-Secret": "v"}}),
        ),
        (
            json!({"headers": {"x-webhook-secret": "v"}}),
            json!({"profile": "voicehub"}),
        ),
    ] {
        let mut first = there.clone();
        first["url"] = json!(URL);
        let path = path_of(&stand.ok("POST", LIST, first.clone()).await);
        let before = stand.ok("GET", &path, Value::Null).await;
        let duplicate = (422, "header_duplicate".to_owned(), Some("headers".to_owned()));
        assert_eq!(
            stand.refusal("PATCH", &path, then.clone()).await,
            duplicate,
            "{there} {then}"
        );
        assert_eq!(stand.ok("GET", &path, Value::Null).await, before);
        let mut both = first;
        both.as_object_mut().unwrap().extend(then.as_object().unwrap().clone());
        assert_eq!(stand.refusal("POST", LIST, both).await, duplicate, "{there} {then}");
        // One takes the place of the other.
        let mut instead: Value = then.clone();
        for name in there.as_object().unwrap().keys() {
            instead[name] = Value::Null;
        }
        stand.ok("PATCH", &path, instead).await;
    }
}

#[tokio::test]
async fn only_voicehub_keeps_a_secret_of_the_customers_choosing() {
    let stand = Stand::with_acme().await;
    let body = json!({"url": URL, "profile": "voicehub", "secret": "open sesame"});
    let made = stand.ok("POST", LIST, body).await;
    let path = path_of(&made);
    assert_eq!(made["secret"], "open sesame");
    let refused = stand.refusal("PATCH", &path, json!({"profile": "standard"})).await;
    assert_eq!(refused, (422, "secret_invalid".to_owned(), Some("profile".to_owned())));
    let rotated = stand
        .ok("POST", &format!("{path}/rotate"), json!({"secret": "another one"}))
        .await;
    assert_eq!(rotated["previous"]["secret"], "open sesame");
    stand.ok("POST", &format!("{path}/rotate"), Value::Null).await;
    // It signs with a minted one, and still overlaps with the chosen one, which signs as bytes.
    let changed = stand.ok("PATCH", &path, json!({"profile": "standard"})).await;
    assert_eq!(changed["profile"], "standard");
    let refused = stand
        .refusal("POST", &format!("{path}/rotate"), json!({"secret": "open sesame"}))
        .await;
    assert_eq!(refused, (422, "secret_invalid".to_owned(), Some("secret".to_owned())));
}

#[tokio::test]
async fn a_form_of_retry_takes_the_place_of_the_one_before() {
    let stand = Stand::with_acme().await;
    let forms = [
        json!({"attempts": 4, "delays": [1, 1, 2]}),
        json!({"attempts": 4, "base_s": 5, "factor": 1.5}),
        json!({"attempts": 4, "delay_ms": 1500}),
        json!({"attempts": 4, "delays": [7]}),
    ];
    let made = stand.ok("POST", LIST, json!({"url": URL, "retry": forms[0]})).await;
    assert_eq!(made["retry"], forms[0]);
    let path = path_of(&made);
    for form in &forms[1..] {
        let mut patch = form.clone();
        patch.as_object_mut().unwrap().remove("attempts");
        let changed = stand.ok("PATCH", &path, json!({"retry": patch})).await;
        assert_eq!(
            &changed["retry"], form,
            "echoed as given, with the attempts that were there"
        );
    }
    let both = json!({"retry": {"delays": [1], "delay_ms": 1500}});
    assert_eq!(stand.refusal("PATCH", &path, both).await.1, "retry_invalid");
    let changed = stand.ok("PATCH", &path, json!({"retry": null})).await;
    assert_eq!(
        changed["retry"],
        json!({"attempts": 3, "delays": [1, 2]}),
        "the default"
    );
}

#[tokio::test]
async fn every_hostile_header_gets_its_verdict_from_a_new_endpoint_and_from_a_patch() {
    let stand = Stand::with_acme().await;
    let made = stand.ok("POST", LIST, json!({"url": URL})).await;
    let (path, mut rows) = (path_of(&made), 0);
    let before = stand.ok("GET", &path, Value::Null).await;
    for line in HOSTILE.lines() {
        let columns: Vec<&str> = line.split('\t').collect();
        let (name, value) = match columns[0] {
            "header" => (expanded(columns[1]), "value".to_owned()),
            "header-value" => ("x-team".to_owned(), expanded(columns[1])),
            _ => continue,
        };
        rows += 1;
        let headers = json!({"headers": {(name.as_str()): value}});
        let mut body = headers.clone();
        body["url"] = json!(URL);
        let auth = json!({"auth": {"type": "api_key", "header": name, "value": value}});
        for (method, at, body) in [("POST", LIST, body), ("PATCH", &path, headers), ("PATCH", &path, auth)] {
            let answer = stand.ask(method, at, body).await;
            let accepted = answer.status / 100 == 2;
            assert_eq!(
                accepted,
                columns[2] == "accept",
                "{method} {}: {}",
                columns[3],
                answer.code()
            );
            assert!(
                accepted || answer.status == 422,
                "{method} {}: {}",
                columns[3],
                answer.status
            );
            if accepted && method == "PATCH" {
                stand.ok("PATCH", &path, json!({"headers": null, "auth": null})).await;
            }
        }
    }
    assert_eq!(rows, 20);
    let mut after = stand.ok("GET", &path, Value::Null).await;
    after["version"] = before["version"].clone();
    assert_eq!(after, before);
    let accepted = stand.pages(LIST, 100).await.0.len() - 1;
    assert_eq!(accepted, 2, "what was refused was not stored");
}

/// `{{REP:text:times}}` and the escapes of a row.
fn expanded(text: &str) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some(at) = rest.find("{{REP:") {
        let end = rest[at..].find("}}").unwrap() + at;
        let (repeated, times) = rest[at + 6..end].rsplit_once(':').unwrap();
        out.push_str(&rest[..at]);
        out.push_str(&repeated.repeat(times.parse().unwrap()));
        rest = &rest[end + 2..];
    }
    out.push_str(rest);
    serde_json::from_str(&format!("\"{out}\"")).unwrap()
}
