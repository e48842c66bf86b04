//! Every row of `hostile-inputs.tsv` and of our own additions to it that is about an event or a header: each gets its verdict
//! from the types that parse it. Query parameters are the API's, see the tests of its lists.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use redial_domain::event::PostedEvent;
use redial_domain::header::CustomHeader;

const CORPUS: [&str; 2] = [
    include_str!("../../../tests/data/hostile-inputs.tsv"),
    include_str!("../../../tests/data/hostile-inputs-more.tsv"),
];

/// Column 2: `{{REP:text:n}}` is expanded, then it is JSON string content. `None` for what is no text: a lone surrogate.
fn decoded(column: &str) -> Option<String> {
    let mut content = column.to_owned();
    while let Some(start) = content.find("{{REP:") {
        let end = start + content[start..].find("}}").unwrap();
        // `}}}` ends a repeated brace.
        let end = end + usize::from(content[end..].starts_with("}}}") && !content[start + 6..end].contains(':'));
        let (text, count) = content[start + 6..end].rsplit_once(':').unwrap();
        let repeated = text.repeat(count.parse().unwrap());
        content.replace_range(start..end + 2, &repeated);
    }
    serde_json::from_str(&format!("\"{content}\"")).ok()
}

/// An event whose member `name` is `json`, as a platform posts it.
fn posted(name: &str, json: &str) -> String {
    let mut members = BTreeMap::from([("data", "{}"), ("tenant", "\"acme\""), ("type", "\"call.ended\"")]);
    members.insert(name, json);
    let members: Vec<String> = members
        .iter()
        .map(|(name, json)| format!("\"{name}\":{json}"))
        .collect();
    format!("{{{}}}", members.join(","))
}

/// Why the product refuses it, if it does.
fn refusal(kind: &str, text: &str) -> Result<(), String> {
    let event = |name: &str, json: &str| PostedEvent::parse(&posted(name, json)).map_err(|invalid| invalid.to_string());
    let quoted = || serde_json::to_string(text).unwrap();
    match kind {
        "payload" => event("data", text).map(|event| {
            // What is accepted is kept byte for byte.
            let kept = event.content.data.get() == text.trim_matches([' ', '\t', '\r', '\n']);
            assert!(kept, "changed: {text}");
        }),
        "event-type" => event("type", &quoted()).map(|_| ()),
        "id" => {
            let tenant = event("tenant", &quoted()).map(|_| ());
            let id = event("id", &quoted()).map(|_| ());
            assert_eq!(tenant.is_ok(), id.is_ok(), "tenants are named as events are: {text}");
            id
        }
        "header" => CustomHeader::parse(text, "value")
            .map(|_| ())
            .map_err(|refusal| refusal.to_string()),
        "header-value" => CustomHeader::parse("x-custom", text)
            .map(|_| ())
            .map_err(|refusal| refusal.to_string()),
        other => panic!("another kind: {other}"),
    }
}

#[test]
fn every_row_of_the_corpus_gets_its_verdict() {
    let (mut counts, mut wrong) = (BTreeMap::<(&str, &str), u32>::new(), Vec::new());
    for line in CORPUS.iter().flat_map(|corpus| corpus.lines()) {
        let columns: Vec<&str> = line.split('\t').collect();
        let [kind, column, verdict, why] = columns[..] else {
            panic!("four columns: {line}")
        };
        assert!(matches!(verdict, "accept" | "reject"), "{line}");
        if kind == "param" {
            continue;
        }
        let got = decoded(column).map_or_else(|| Err("no text".to_owned()), |text| refusal(kind, &text));
        if got.is_ok() != (verdict == "accept") {
            wrong.push(format!(
                "{kind} {}: {why}: {got:?}",
                column.chars().take(80).collect::<String>()
            ));
        }
        *counts.entry((kind, verdict)).or_default() += 1;
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(counts.len(), 10, "{counts:?}");
    assert!(
        counts.values().all(|count| *count >= 15) && counts.values().sum::<u32>() > 600,
        "{counts:?}"
    );
}
