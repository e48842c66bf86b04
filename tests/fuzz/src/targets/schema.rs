//! A tenant's own JSON Schema, and data for it behind a line end. What is compiled ends in time with any data, and says no more
//! about it than it may. libFuzzer ends what takes too long.

use redial_domain::json;
use redial_domain::misfit::MAX_MISFITS;
use redial_schema::{EventSchema, MAX_SCHEMA_BYTES};
use serde_json::Value;

use super::inputs;
use crate::Target;

pub(crate) const TARGET: Target = Target {
    name: "schema",
    max_len: 16 * 1_024,
    run,
    seeds,
};

fn seeds() -> Vec<Vec<u8>> {
    let shipped = redial_domain::catalogue::all().iter();
    let mut texts: Vec<String> = shipped.map(|it| format!("{}\n{}", it.schema, it.example)).collect();
    texts.extend(
        [
            r##"{"$defs":{"a":{"anyOf":[{"$ref":"#/$defs/b"},{"$ref":"#/$defs/b"}]},"b":{"type":"string"}},"$ref":"#/$defs/a"}
{"x":[1,2]}"##,
            "{\"pattern\":\"^(a+)+$\",\"format\":\"email\"}\n\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!\"",
            r#"{"properties":{"a":{"enum":[1,"x"]}},"required":["b"],"additionalProperties":false,"uniqueItems":true}
{"a":4711,"c":[[],{}]}"#,
            "{\"$ref\":\"https://example.com/other\"}\n1",
            r##"{"$dynamicRef":"#x","$dynamicAnchor":"x","unevaluatedProperties":false,"if":{"not":{}},"then":true}
{"a":1}"##,
            "{\"items\":{\"multipleOf\":0.01,\"minimum\":1e308},\"contains\":{\"const\":1},\"minContains\":2}\n[1,1e400]",
            "true\nfalse",
        ]
        .map(str::to_owned),
    );
    inputs(texts)
}

fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let (schema, data) = text.split_once('\n').unwrap_or((text, "null"));
    // As the API and ingest read them.
    if schema.len() > MAX_SCHEMA_BYTES || json::check(schema, json::MAX_DEPTH).is_err() {
        return;
    }
    let Ok(schema) = serde_json::from_str::<Value>(schema) else {
        return;
    };
    let Ok(compiled) = EventSchema::compile(&schema) else {
        return;
    };
    if json::check(data, json::MAX_DEPTH).is_err() {
        return;
    }
    let Ok(data) = serde_json::from_str::<Value>(data) else {
        return;
    };
    let Ok(misfits) = compiled.misfits(&data) else { return };
    assert!(misfits.len() <= MAX_MISFITS);
    assert_eq!(
        compiled.misfits(&data),
        Ok(misfits),
        "another answer to the same question"
    );
}
