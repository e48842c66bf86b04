//! The corpus of header names and values, and properties of what is accepted.

use proptest::prelude::*;

use super::*;

const CORPUS: &str = include_str!("../../../../tests/data/hostile-inputs.tsv");

/// Column 2 of the corpus: `{{REP:text:n}}` is expanded, then it is JSON string content.
fn decode(column: &str) -> String {
    let mut content = column.to_owned();
    while let Some(start) = content.find("{{REP:") {
        let end = start + content[start..].find("}}").unwrap();
        let (text, count) = content[start + 6..end].rsplit_once(':').unwrap();
        let repeated = text.repeat(count.parse().unwrap());
        content.replace_range(start..end + 2, &repeated);
    }
    serde_json::from_str(&format!("\"{content}\"")).unwrap()
}

#[test]
fn every_header_of_the_corpus_gets_its_verdict() {
    let mut rows = 0;
    for line in CORPUS.lines() {
        let columns: Vec<&str> = line.split('\t').collect();
        let [kind, content, verdict, why] = columns[..] else {
            panic!("four columns: {line}")
        };
        let parsed = match kind {
            "header" => CustomHeader::parse(&decode(content), "value"),
            "header-value" => CustomHeader::parse("x-custom", &decode(content)),
            _ => continue,
        };
        assert_eq!(parsed.is_ok(), verdict == "accept", "{kind} {content}: {why}");
        rows += 1;
    }
    assert!(rows >= 20, "only {rows} rows were read");
}

#[test]
fn reserved_names_are_refused_in_every_spelling() {
    for name in [
        "host",
        "HOST",
        "Connection",
        "keep-alive",
        "TE",
        "trailer",
        "Expect",
        "User-Agent",
        "traceparent",
        "tracestate",
        "content-length",
        "Content_Length",
        "content-anything",
        "transfer_encoding",
        "webhook_id",
        "Webhook-Signature",
        "WEBHOOK-x",
        "X-Amz-Date",
        "x_amzn_requestid",
        "proxy-connection",
        "X-Forwarded-For",
        "forwarded",
        "x-http-method-override",
        "accept-encoding",
        "http2-settings",
        "x-redial-attempt",
    ] {
        assert_eq!(CustomHeader::parse(name, "v"), Err(HeaderRefusal::Reserved), "{name}");
    }
    for name in [
        "authorization",
        "cookie",
        "x-webhook-secret",
        "accept",
        "api_key",
        "hostname",
        "x-host",
        "x-te",
    ] {
        assert!(CustomHeader::parse(name, "v").is_ok(), "{name}");
    }
}

#[test]
fn names_and_values_outside_the_allow_list_are_refused() {
    for name in [
        "x y",
        "x\t",
        "x\0",
        "(x)",
        "x;y",
        "x=y",
        "x\u{200b}",
        "-x",
        "_x",
        "x/y",
        "\"x\"",
        "x.y\n",
    ] {
        assert_eq!(
            CustomHeader::parse(name, "v"),
            Err(HeaderRefusal::NameCharacter),
            "{name:?}"
        );
    }
    assert_eq!(CustomHeader::parse("", "v"), Err(HeaderRefusal::NameLength));
    for value in ["a\nb", "a\0", "\u{1b}[31m", " a", "a ", "a\tb", "ümlaut", "a\u{85}b"] {
        assert_eq!(
            CustomHeader::parse("x-a", value),
            Err(HeaderRefusal::ValueCharacter),
            "{value:?}"
        );
    }
    assert!(CustomHeader::parse("x-a", &"v".repeat(MAX_VALUE_BYTES)).is_ok());
    assert_eq!(
        CustomHeader::parse("x-a", &"v".repeat(MAX_VALUE_BYTES + 1)),
        Err(HeaderRefusal::ValueLength)
    );
}

#[test]
fn an_endpoint_has_at_most_twenty_headers_each_once() {
    let names: Vec<String> = (0..=MAX_CUSTOM_HEADERS).map(|n| format!("x-{n}")).collect();
    let pairs = |count: usize| names.iter().take(count).map(|name| (name.as_str(), "v"));
    assert_eq!(
        CustomHeaders::parse(pairs(MAX_CUSTOM_HEADERS)).unwrap().iter().count(),
        MAX_CUSTOM_HEADERS
    );
    let (name, refusal) = CustomHeaders::parse(pairs(MAX_CUSTOM_HEADERS + 1)).unwrap_err();
    assert_eq!((name.as_str(), refusal), ("x-20", HeaderRefusal::TooMany));
    let (name, refusal) = CustomHeaders::parse([("x-a", "1"), ("X-A", "2")]).unwrap_err();
    assert_eq!((name.as_str(), refusal), ("X-A", HeaderRefusal::Duplicate));
}

#[test]
fn the_headers_of_an_endpoint_have_so_many_bytes_together_and_older_ones_may_only_shrink() {
    let value = "v".repeat(MAX_TOTAL_BYTES / 2 - 3);
    let fits = CustomHeaders::parse([("x-a", value.as_str()), ("x-b", &value)]).unwrap();
    let longer = format!("{value}v");
    let refused = CustomHeaders::parse([("x-a", value.as_str()), ("x-b", &longer)]);
    assert_eq!(refused.unwrap_err(), ("x-b".to_owned(), HeaderRefusal::TotalLength));
    assert!(fits.replaced_by([("x-a", value.as_str()), ("x-c", &longer)]).is_err());
    let stored = [("x-a", longer.as_str()), ("x-b", &longer), ("x-c", &longer)];
    let older = CustomHeaders::stored(stored);
    assert_eq!(older.iter().count(), 3, "it is sent as ever");
    assert_eq!(older.replaced_by(stored).unwrap(), older);
    assert_eq!(older.replaced_by([stored[0], stored[1]]).unwrap().iter().count(), 2);
    let grown = [stored[0], stored[1], stored[2], ("x-d", "v")];
    assert_eq!(older.replaced_by(grown).unwrap_err().1, HeaderRefusal::TotalLength);
}

#[test]
fn a_stored_header_that_is_older_than_a_rule_is_left_out_and_the_others_stay() {
    let stored = [
        ("x-a", "1"),
        ("svix-id", "x"),
        ("X-A", "2"),
        ("x-b", "a\r\nb"),
        ("x-c", "3"),
    ];
    let kept = CustomHeaders::stored(stored);
    let kept: Vec<(&str, &str)> = kept.iter().map(|header| (header.name(), header.value())).collect();
    assert_eq!(kept, [("x-a", "1"), ("x-c", "3")]);
    let names: Vec<String> = (0..=MAX_CUSTOM_HEADERS).map(|n| format!("x-{n}")).collect();
    let many = CustomHeaders::stored(names.iter().map(|name| (name.as_str(), "v")));
    assert_eq!(many.iter().count(), MAX_CUSTOM_HEADERS);
}

#[test]
fn a_value_never_shows_in_debug() {
    let headers = CustomHeaders::parse([("x-api-key", "CANARY-SECRET")]).unwrap();
    let shown = format!("{headers:?}");
    assert!(shown.contains("x-api-key") && !shown.contains("CANARY"), "{shown}");
}

proptest! {
    #[test]
    fn what_is_accepted_fits_on_one_header_line(name in "\\PC{0,20}|[a-zA-Z_-]{1,20}", value in any::<String>()) {
        if let Ok(header) = CustomHeader::parse(&name, &value) {
            let line = format!("{}: {}", header.name(), header.value());
            prop_assert!(line.bytes().all(|b| (b' '..=b'~').contains(&b)));
            prop_assert_eq!(line.split_once(": ").unwrap(), (header.name(), value.as_str()));
            prop_assert!(!is_reserved(header.name()));
        }
    }
}
