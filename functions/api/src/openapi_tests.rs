//! The committed description of the API is the code's own: `UPDATE_OPENAPI=1 cargo test -p redial-api openapi` writes it.
//! What it says of itself as a contract is checked here; that the product answers so, `tests/contract/run` checks.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use super::*;

#[expect(
    clippy::disallowed_methods,
    reason = "a switch of this test, not a setting of the product"
)]
fn is_update() -> bool {
    std::env::var("UPDATE_OPENAPI").is_ok()
}

fn generated() -> String {
    let whole = whole(redial_ingest::openapi());
    format!("{}\n", serde_json::to_string_pretty(&whole).unwrap())
}

/// Every operation: its method and path, as one text, and what is said of it.
fn operations() -> Vec<(String, Value)> {
    let document: Value = serde_json::from_str(&generated()).unwrap();
    let mut found = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            found.push((format!("{method} {path}"), operation.clone()));
        }
    }
    assert!(found.len() > 25, "{}", found.len());
    found
}

fn statuses(operation: &Value) -> Vec<&str> {
    operation["responses"]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

#[test]
fn the_committed_openapi_file_is_the_codes_own() {
    if is_update() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
        std::fs::write(path, generated()).unwrap();
        return;
    }
    let same = generated() == meta::OPENAPI_JSON;
    assert!(
        same,
        "docs/openapi.json is old: UPDATE_OPENAPI=1 cargo test -p redial-api openapi"
    );
}

#[test]
fn every_operation_has_an_id_of_its_own_a_summary_and_one_tag() {
    let mut ids = BTreeSet::new();
    for (name, operation) in operations() {
        let id = operation["operationId"].as_str().unwrap_or_default().to_owned();
        assert!(
            !id.is_empty() && ids.insert(id.clone()),
            "{name}: `{id}` is no operationId of its own; set operation_id in its annotation"
        );
        assert!(
            !operation["summary"].as_str().unwrap_or_default().is_empty(),
            "{name}: a summary"
        );
        assert_eq!(operation["tags"].as_array().map(Vec::len), Some(1), "{name}: a tag");
    }
}

#[test]
fn no_response_is_left_to_a_default_and_one_of_them_is_a_success() {
    for (name, operation) in operations() {
        let statuses = statuses(&operation);
        for status in &statuses {
            let exact = status.len() == 3 && status.bytes().all(|c| c.is_ascii_digit());
            assert!(exact, "{name}: `{status}` is no status");
        }
        assert!(
            statuses.iter().any(|status| status.starts_with('2')),
            "{name}: {statuses:?}"
        );
    }
}

#[test]
fn every_operation_of_a_tenant_describes_its_refusals() {
    for (name, operation) in operations() {
        let statuses = statuses(&operation);
        let described = |status: &str| statuses.contains(&status);
        // To sign in needs no key, and yet takes no wrong one.
        let open = operation["security"] == serde_json::json!([{}]) && operation["operationId"] != "begin_session";
        for status in ["401", "429", "500"] {
            assert_eq!(described(status), !open, "{name}: {status}");
        }
        assert!(!name.contains('{') || described("404"), "{name}: 404");
        // A body may be no JSON, too large, or hold something wrong; a query may hold what is no parameter.
        let has_body = operation.get("requestBody").is_some();
        for status in ["400", "413", "422"] {
            assert!(!has_body || described(status), "{name}: {status} for a body");
        }
        let mut parameters = operation["parameters"].as_array().into_iter().flatten();
        let has_query = parameters.any(|parameter| parameter["in"] == "query");
        assert!(!has_query || described("400"), "{name}: 400 for a query");
    }
}

#[test]
fn every_refusal_is_a_problem_document() {
    for (name, operation) in operations() {
        for (status, response) in operation["responses"].as_object().unwrap() {
            if status.as_str() < "400" || name.ends_with("/integration/webhook") {
                continue;
            }
            let schema = &response["content"]["application/problem+json"]["schema"]["$ref"];
            assert_eq!(schema, "#/components/schemas/Problem", "{name}: {status}");
        }
    }
}

#[test]
fn every_link_leads_to_an_operation_and_names_its_parameters() {
    let operations = operations();
    let by_id = |id: &Value| operations.iter().find(|(_, operation)| operation["operationId"] == *id);
    let mut followed = 0;
    for (name, operation) in &operations {
        for response in operation["responses"].as_object().unwrap().values() {
            for (link_name, link) in response["links"].as_object().into_iter().flatten() {
                let (target, _) = by_id(&link["operationId"]).expect(link_name);
                for parameter in link["parameters"].as_object().unwrap().keys() {
                    assert!(target.contains(&format!("{{{parameter}}}")), "{name}: {link_name}");
                }
                followed += 1;
            }
        }
    }
    assert!(followed > 20, "{followed}");
}
