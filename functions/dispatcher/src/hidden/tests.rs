//! Whatever form a secret is echoed in, it is not there afterwards; what is none stays.

use redial_domain::header::CustomHeaders;
use redial_domain::signature::Secret;

use super::*;

/// No other text has it, and each escape has something to do in it.
const VALUE: &str = r#"k3y/+&"a\b<c'%41==ZQ"#;

fn credentials(auth: Option<EndpointAuth>, headers: &[(&str, &str)]) -> Credentials {
    Credentials {
        auth,
        headers: CustomHeaders::stored(headers.iter().copied()),
        ..Credentials::new(Secret::parse_chosen("signs and is not sent").unwrap())
    }
}

fn api_key(value: &str) -> Hider {
    let auth = EndpointAuth::ApiKey {
        header: "x-api-key".to_owned(),
        value: value.to_owned(),
    };
    Hider::of(&credentials(Some(auth), &[]), Profile::Standard).unwrap()
}

fn hidden(hider: &Hider, body: &[u8], is_cut: bool) -> String {
    let shown = hider.hidden(body, is_cut).unwrap_or_else(|| body.to_vec());
    String::from_utf8_lossy(&shown).into_owned()
}

#[test]
fn a_secret_is_hidden_in_every_form() {
    let hider = api_key(VALUE);
    let percent = |byte: &u8| format!("%{byte:02X}");
    let html = VALUE.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;");
    let forms = [
        VALUE.to_owned(),
        serde_json::to_string(VALUE).unwrap().trim_matches('"').to_owned(),
        // As PHP writes JSON.
        VALUE.replace('\\', r"\\").replace('"', r#"\""#).replace('/', r"\/"),
        VALUE
            .replace('<', r"\u003c")
            .replace('&', r"\u0026")
            .replace('\\', r"\\")
            .replace(r"\\u0", r"\u0"),
        VALUE.as_bytes().iter().map(percent).collect(),
        VALUE.as_bytes().iter().map(percent).collect::<String>().to_lowercase(),
        html.replace('\'', "&#39;"),
        html.replace('\'', "&#x27;"),
        VALUE.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect(),
        VALUE.as_bytes().iter().map(|byte| format!("{byte:02X}")).collect(),
    ];
    for form in forms {
        let body = format!("you sent: {form}, {form}");
        assert_eq!(
            hidden(&hider, body.as_bytes(), false),
            "you sent: [hidden], [hidden]",
            "{form}"
        );
    }
}

#[test]
fn a_secret_is_hidden_in_base64_wherever_it_stands() {
    let hider = api_key(VALUE);
    for before in 0..6 {
        let request = [&b"x-api-key: "[..before], VALUE.as_bytes(), b" and more"].concat();
        for encoded in [STANDARD.encode(&request), URL_SAFE.encode(&request)] {
            let shown = hidden(&hider, encoded.as_bytes(), false);
            let (head, tail) = shown.split_once(HIDDEN).unwrap_or_else(|| panic!("{before}: {shown}"));
            // What is left has at most some bits of its first and last byte.
            assert!(head.len() <= before * 4 / 3 + 1, "{before}: {shown}");
            assert!(tail.len() <= b" and more".len() * 4 / 3 + 4, "{before}: {shown}");
        }
    }
}

#[test]
fn a_secret_at_which_the_answer_was_cut_is_hidden_too() {
    let hider = api_key(VALUE);
    let json = serde_json::to_string(VALUE).unwrap();
    for form in [VALUE, json.trim_matches('"')] {
        for length in SHORTEST_SECRET..form.len() {
            let body = format!("you sent: {}", &form[..length]);
            assert_eq!(hidden(&hider, body.as_bytes(), true), "you sent: [hidden]", "{body}");
        }
    }
    // What is whole is its own end.
    assert_eq!(
        hidden(&api_key("a-key-of-mine"), b"a-key-of-min", false),
        "a-key-of-min"
    );
    // But nobody needs the rest of a long one.
    let long = "a-key-".repeat(20);
    assert_eq!(hidden(&api_key(&long), &long.as_bytes()[..ENOUGH], false), HIDDEN);
}

#[test]
fn each_way_to_authenticate_is_hidden() {
    let basic = |username: &str, password: &str| EndpointAuth::Basic {
        username: username.to_owned(),
        password: password.to_owned(),
    };
    let bearer = EndpointAuth::Bearer {
        token: "a-token".to_owned(),
    };
    for (auth, headers, profile, body, shown) in [
        (
            Some(bearer),
            &[][..],
            Profile::Standard,
            "authorization: Bearer a-token",
            "authorization: Bearer [hidden]",
        ),
        (
            Some(basic("Aladdin", "open sesame")),
            &[],
            Profile::Standard,
            "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ== is Aladdin:open sesame, open+sesame",
            "Basic [hidden] is Aladdin:[hidden], [hidden]",
        ),
        (
            Some(basic("sk_alone", "")),
            &[],
            Profile::Standard,
            "user sk_alone",
            "user [hidden]",
        ),
        (
            Some(basic("u", "größe")),
            &[],
            Profile::Standard,
            "größe, gr\\u00f6\\u00dfe, gr%C3%B6%c3%9fe",
            "[hidden], [hidden], [hidden]",
        ),
        (
            None,
            &[
                ("x-team", "Token team-7-key"),
                ("accept", "application/json"),
                ("x-version", "2024"),
            ],
            Profile::Standard,
            "Token team-7-key, team-7-key, application/json of 2024",
            "[hidden], [hidden], application/json of 2024",
        ),
        (
            None,
            &[],
            Profile::Voicehub,
            "x-webhook-secret: signs and is not sent",
            "x-webhook-secret: [hidden]",
        ),
    ] {
        let hider = Hider::of(&credentials(auth, headers), profile).unwrap();
        assert_eq!(hidden(&hider, body.as_bytes(), false), shown);
    }
}

#[test]
fn where_nothing_but_a_signature_is_sent_nothing_is_looked_for() {
    for profile in [Profile::Standard, Profile::Utel] {
        assert!(Hider::of(&credentials(None, &[]), profile).is_none());
    }
}

#[test]
fn what_is_hidden_makes_no_answer_longer_than_it_may_be() {
    let mut answer = Answer {
        body: "abcd".repeat(MAX_RESPONSE_BYTES / 4).into_bytes(),
        ..Answer::default()
    };
    api_key("abcd").hide_in_body(&mut answer);
    assert_eq!((answer.body.len(), answer.truncated), (MAX_RESPONSE_BYTES, true));
    assert!(!answer.body.windows(4).any(|four| four == b"abcd"));
}

#[test]
fn headers_of_an_answer_are_hidden_too() {
    let long = format!("{}k3y/", "x".repeat(MAX_SHOWN_VALUE_BYTES - 4));
    let mut head = Head {
        version: "HTTP/1.1",
        headers: vec![
            ("x-echo".to_owned(), VALUE.to_owned()),
            ("x-long".to_owned(), long),
            ("x-other".to_owned(), "k3y/".to_owned()),
        ],
        cut: true,
    };
    api_key(VALUE).hide_in_head(&mut head);
    let values: Vec<&str> = head.headers.iter().map(|(_, value)| value.as_str()).collect();
    assert_eq!(values[0], HIDDEN);
    assert!(values[1].ends_with("x[hidden]"));
    assert_eq!(values[2], "k3y/");
}

#[test]
fn whatever_is_answered_costs_little() {
    // The worst: many values that begin alike, and an answer in which each byte might begin them all.
    let value = |n: usize| format!("{}{n:02}{}", "a".repeat(ENOUGH - 2), "a".repeat(4_000));
    let values: Vec<String> = (0..20).map(value).collect();
    let headers: Vec<(String, &str)> = values
        .iter()
        .enumerate()
        .map(|(n, v)| (format!("x-{n}"), v.as_str()))
        .collect();
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    let hider = Hider::of(&credentials(None, &headers), Profile::Standard).unwrap();
    let body = "a".repeat(ENOUGH - 3) + "b";
    let body = body.repeat(MAX_RESPONSE_BYTES / body.len());
    assert_eq!(hidden(&hider, body.as_bytes(), false), body);
}
