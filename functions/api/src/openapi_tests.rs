//! The committed description of the API is the code's own: `UPDATE_OPENAPI=1 cargo test -p redial-api openapi` writes it.

use std::path::Path;

use super::*;

#[expect(
    clippy::disallowed_methods,
    reason = "a switch of this test, not a setting of the product"
)]
fn is_update() -> bool {
    std::env::var("UPDATE_OPENAPI").is_ok()
}

fn generated() -> String {
    let whole = openapi().merge_from(redial_ingest::openapi());
    format!("{}\n", serde_json::to_string_pretty(&whole).unwrap())
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
fn every_operation_of_a_tenant_describes_its_refusals() {
    let document: serde_json::Value = serde_json::from_str(&generated()).unwrap();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let described = |status: &str| operation["responses"].get(status).is_some();
            let open = operation["security"] == serde_json::json!([{}]);
            assert_eq!(described("401"), !open, "{method} {path}: 401");
            assert!(!path.contains('{') || described("404"), "{method} {path}: 404");
            assert!(operation["summary"].is_string(), "{method} {path}: a summary");
        }
    }
}
