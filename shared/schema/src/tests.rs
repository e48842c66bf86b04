//! What schemas accept, and what tenants may not do with one.

use std::path::Path;

use redial_domain::catalogue;
use serde_json::json;

use super::*;

fn schema(schema: &Value) -> EventSchema {
    EventSchema::compile(schema).unwrap()
}

#[test]
fn every_type_that_ships_compiles_and_its_example_fits() {
    let schemas = Schemas::default();
    for event_type in catalogue::all() {
        let schema = schemas.shipped(&event_type.name).unwrap().unwrap();
        assert_eq!(schema.misfits(&event_type.example), Ok(vec![]), "{}", event_type.name);
        let costly = schema.size.values * 131_072 > MAX_STEPS || schema.size.patterns > 4;
        assert!(
            !costly,
            "{} would not check every event: {:?}",
            event_type.name, schema.size
        );
    }
    assert!(schemas.shipped("their.own").unwrap().is_none());
}

#[test]
fn every_event_of_the_sample_file_fits_its_type() {
    let schemas = Schemas::default();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/calls.jsonl");
    let text = std::fs::read_to_string(path).unwrap();
    let mut checked = 0;
    for line in text.lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        let schema = schemas.shipped(event["type"].as_str().unwrap()).unwrap().unwrap();
        assert_eq!(schema.misfits(&event["data"]), Ok(vec![]), "{}", event["id"]);
        checked += 1;
    }
    assert_eq!(checked, 3_088);
}

#[test]
fn a_misfit_says_where_and_why_and_never_what() {
    let schema = schema(&json!({
        "type": "object",
        "properties": {
            "turns": {"items": {"properties": {"text": {"type": "string"}}}},
            "mood": {"enum": ["good", "bad"]},
            "phone": {"pattern": "^\\+[0-9]+$"},
            "day": {"format": "date"}
        },
        "required": ["call_id"]
    }));
    let data = json!({"turns": [{"text": "ok"}, {"text": 4711}], "mood": "4711", "phone": "4711", "day": "4711"});
    let found = schema.misfits(&data).unwrap();
    let told: Vec<_> = found
        .iter()
        .map(|misfit| (misfit.path.as_str(), misfit.rule.as_str()))
        .collect();
    for place in [
        ("/turns/1/text", "/properties/turns/items/properties/text/type"),
        ("/mood", "/properties/mood/enum"),
        ("/phone", "/properties/phone/pattern"),
        ("/day", "/properties/day/format"),
        ("", "/required"),
    ] {
        assert!(told.contains(&place), "{told:?}");
    }
    assert!(found.iter().all(|misfit| !misfit.detail.contains("4711")), "{found:?}");
    assert!(
        found.iter().any(|misfit| misfit.detail.contains("call_id")),
        "{found:?}"
    );
}

#[test]
fn the_list_of_misfits_has_an_end() {
    let schema = schema(&json!({"items": {"type": "string"}}));
    assert_eq!(schema.misfits(&json!(vec![1; 1000])).unwrap().len(), MAX_MISFITS);
    let many = schema.misfits(&json!(vec![1; 300_000])).unwrap();
    assert_eq!((many.len(), many[0].path.as_str()), (1, ""));
}

#[test]
fn a_schema_cannot_reach_out_take_long_or_be_huge() {
    let deep = (0..50).fold(json!({}), |inner, _| json!({ "not": inner }));
    let patterns: Vec<Value> = (0..=MAX_PATTERNS)
        .map(|n| json!({"pattern": format!("^{n}$")}))
        .collect();
    for (why, schema) in [
        ("a file", json!({"$ref": "file:///etc/passwd"})),
        ("the network", json!({"$ref": "https://example.com/schema.json"})),
        (
            "the network, by its own name",
            json!({"$id": "https://example.com/a", "properties": {"x": {"$ref": "b"}}}),
        ),
        ("another dialect", json!({"$schema": "https://example.com/dialect"})),
        (
            "an older dialect",
            json!({"$schema": "http://json-schema.org/draft-07/schema#"}),
        ),
        ("no schema", json!({"type": "nonsense"})),
        ("no object", json!("string")),
        ("true", json!(true)),
        ("look-around", json!({"pattern": "(?=a)b"})),
        ("a back-reference", json!({"pattern": "(a)\\1"})),
        (
            "a pattern that explodes",
            json!({"pattern": "((a{0,1000}){0,1000}){0,1000}"}),
        ),
        ("many patterns", json!({ "allOf": patterns })),
        ("too large", json!({"description": "x".repeat(MAX_SCHEMA_BYTES)})),
        (
            "too many values",
            json!({"enum": (0..=MAX_SCHEMA_VALUES).collect::<Vec<_>>()}),
        ),
        ("too deep", deep),
        ("a reference to nothing", json!({"$ref": "#/$defs/none"})),
        ("itself", json!({"$ref": "#"})),
        ("itself, by a tree", json!({"properties": {"child": {"$ref": "#"}}})),
        (
            "itself, by way of two",
            json!({
                "$defs": {"a": {"items": {"$ref": "#/$defs/b"}}, "b": {"items": {"$ref": "#/$defs/a"}}}, "$ref": "#/$defs/a"
            }),
        ),
        (
            "itself, by another name",
            json!({"properties": {"child": {"$ref": "#/properties/%63hild"}}}),
        ),
        (
            "an anchor",
            json!({"$anchor": "here", "properties": {"a": {"$ref": "#here"}}}),
        ),
        (
            "a dynamic reference",
            json!({"$dynamicAnchor": "node", "items": {"$dynamicRef": "#node"}}),
        ),
        (
            "a schema with an address within",
            json!({"$defs": {"a": {"$id": "https://example.com/a"}}}),
        ),
    ] {
        let error = EventSchema::compile(&schema).expect_err(why);
        assert_eq!(
            (error.code, error.field.as_ref()),
            ("schema_invalid", "schema"),
            "{why}"
        );
    }
}

#[test]
fn members_may_be_called_as_keywords_are() {
    let schema = schema(&json!({
        "properties": {
            "$ref": {"type": "string"}, "pattern": {"type": "integer"}, "$anchor": {"$ref": "#/$defs/text"},
            "enum": {"$ref": "#/$defs/text"}
        },
        "$defs": {"text": {"type": "string"}}
    }));
    assert_eq!(
        schema.misfits(&json!({"$ref": "x", "pattern": 1, "$anchor": "y", "enum": "z"})),
        Ok(vec![])
    );
    assert_eq!(schema.misfits(&json!({"$ref": 1, "enum": 2})).unwrap().len(), 2);
}

#[test]
fn references_that_double_at_every_step_are_refused_before_they_are_followed() {
    for keyword in ["allOf", "anyOf", "oneOf", "prefixItems"] {
        let mut defs = serde_json::Map::new();
        for n in 0..30 {
            let next = json!({"$ref": format!("#/$defs/d{}", n + 1)});
            defs.insert(format!("d{n}"), json!({ keyword: [next, next] }));
        }
        defs.insert("d30".to_owned(), json!({"type": "string"}));
        let error = EventSchema::compile(&json!({"$defs": defs, "$ref": "#/$defs/d0"})).expect_err(keyword);
        assert!(error.detail.contains("references written out"), "{error}");
    }
    let shared = json!({"$defs": {"text": {"type": "string"}}, "items": {"$ref": "#/$defs/text"}, "contains": {"$ref": "#/$defs/text"}});
    assert_eq!(schema(&shared).misfits(&json!(["a"])), Ok(vec![]));
}

#[test]
fn a_pattern_that_would_backtrack_for_ever_does_not() {
    let schema = schema(&json!({"pattern": "^(a+)+$"}));
    let text = format!("{}!", "a".repeat(200_000));
    assert_eq!(schema.misfits(&json!(text)).unwrap().len(), 1);
}

#[test]
fn what_would_take_too_long_is_not_begun() {
    let many_rules: Vec<Value> = (0..600).map(|n| json!({"minLength": n, "maxLength": n})).collect();
    let costly = schema(&json!({"items": {"not": {"anyOf": many_rules}}}));
    assert_eq!(costly.misfits(&json!(vec![1; 128 * 1024])), Err(TooCostly));
    assert_eq!(costly.misfits(&json!(["x".repeat(700)])), Ok(vec![]));
    let many_patterns: Vec<Value> = (0..MAX_PATTERNS)
        .map(|n| json!({"pattern": format!("[a-z]*x{n}")}))
        .collect();
    let costly = schema(&json!({ "anyOf": many_patterns }));
    assert_eq!(costly.misfits(&json!("a".repeat(200_000))), Err(TooCostly));
    assert_eq!(costly.misfits(&json!("ax7")), Ok(vec![]));
}

#[test]
fn one_text_is_compiled_once() {
    let schemas = Schemas::default();
    let text = || std::sync::Arc::from(r#"{"type":"object"}"#);
    let (first, second) = (schemas.own(&text()).unwrap(), schemas.own(&text()).unwrap());
    assert!(std::sync::Arc::ptr_eq(&first, &second));
    assert!(schemas.own(&std::sync::Arc::from("{")).is_err());
}

#[test]
fn schemas_are_kept_while_there_is_room() {
    let schemas = Schemas::default();
    let text = |n: usize| {
        let patterns: Vec<Value> = (0..MAX_PATTERNS)
            .map(|m| json!({"pattern": format!("^{n}-{m}$")}))
            .collect();
        std::sync::Arc::from(json!({ "anyOf": patterns }).to_string())
    };
    let first = schemas.own(&text(0)).unwrap();
    assert!(std::sync::Arc::ptr_eq(&first, &schemas.own(&text(0)).unwrap()));
    for n in 1..20 {
        schemas.own(&text(n)).unwrap();
    }
    assert!(
        !std::sync::Arc::ptr_eq(&first, &schemas.own(&text(0)).unwrap()),
        "all are kept for ever"
    );
}
