//! `redial endpoints test`: one request to an endpoint now, and everything that was seen of it, for the person who asks why
//! it does not work. What the receiver answered is hostile text: shown, never obeyed.

use clap::Args;
use reqwest::Method;
use serde_json::{Value, json};

use super::error::{CliError, Finish};
use super::output::{escaped, escaped_lines, member};
use super::send::read_data;
use super::{Session, TenantArg};

/// The steps as the exchange names them and as people read them.
const STEPS: [(&str, &str); 5] = [
    ("dns_ms", "dns"),
    ("connect_ms", "connect"),
    ("tls_ms", "tls"),
    ("first_byte_ms", "first byte"),
    ("total_ms", "total"),
];

#[derive(Debug, Args)]
pub(super) struct TestArgs {
    #[command(flatten)]
    tenant: TenantArg,
    /// The endpoint's id
    id: String,
    /// The sample's type [default: the first that the endpoint wants]
    #[arg(long = "type", value_name = "TYPE")]
    event_type: Option<String>,
    /// The sample's data: JSON, or @ and a file of JSON [default: the catalogue's example]
    #[arg(long, value_name = "JSON|@FILE")]
    data: Option<String>,
}

/// Partial if the endpoint did not take the sample.
pub(super) async fn run(session: &mut Session, args: &TestArgs) -> Result<Finish, CliError> {
    let mut sample = json!({});
    if let Some(event_type) = &args.event_type {
        sample["type"] = json!(event_type);
    }
    if let Some(data) = &args.data {
        sample["data"] = json!(read_data(data)?);
    }
    let path = ["v1", "tenants", &args.tenant.tenant, "endpoints", &args.id, "test"];
    let exchange = session.client.send(Method::POST, &path, Some(&sample)).await?;
    if session.output.is_json() {
        session.output.document(&exchange)?;
    } else {
        session.output.text(&page(&exchange))?;
    }
    Ok(if exchange["ok"] == true {
        Finish::Complete
    } else {
        Finish::Partial
    })
}

/// The exchange as a page of text. Line breaks are ours or those of a body; everything else is escaped.
fn page(exchange: &Value) -> String {
    let line = |name: &str| escaped(&member(exchange, name));
    let mut lines = Vec::new();
    if exchange["ok"] == true {
        lines.push(format!("ok: {}", line("explanation")));
    } else {
        let (step, code) = (line("failed_at"), line("code"));
        lines.push(format!("failed at {step} ({code}): {}", line("explanation")));
    }
    let advice = line("advice");
    if !advice.is_empty() {
        lines.push(format!("to mend it: {advice}"));
    }
    lines.push(String::new());
    lines.extend(steps(exchange));
    lines.push(String::new());
    let request = &exchange["request"];
    lines.push(format!("> {} {}", cell(request, "method"), cell(request, "url")));
    lines.extend(message("> ", request));
    let response = &exchange["response"];
    if response.is_object() {
        lines.push(String::new());
        lines.push(format!("< {} {}", cell(response, "version"), cell(response, "status")));
        lines.extend(message("< ", response));
        for (cut, what) in [("headers_cut", "headers"), ("body_cut", "body")] {
            if response[cut] == true {
                lines.push(format!("(there is more of the {what})"));
            }
        }
    }
    lines.join("\n")
}

fn cell(object: &Value, name: &str) -> String {
    escaped(&member(object, name))
}

/// One line for each step that the request came to.
fn steps(exchange: &Value) -> impl Iterator<Item = String> {
    STEPS.into_iter().filter_map(|(name, title)| {
        let ms = exchange["timings"][name].as_u64()?;
        let place = match name {
            "dns_ms" => member(exchange, "addresses"),
            "connect_ms" => member(exchange, "address"),
            _ => String::new(),
        };
        let step = format!("{title:<10} {ms:>6} ms  {}", escaped(&place));
        Some(step.trim_end().to_owned())
    })
}

/// The headers, each behind `mark`, and the body below them.
fn message<'a>(mark: &'a str, message: &'a Value) -> impl Iterator<Item = String> {
    let headers = message["headers"].as_array().into_iter().flatten();
    let headers = headers.map(move |header| format!("{mark}{}: {}", cell(header, "name"), cell(header, "value")));
    let body = member(message, "body");
    let body = (!body.is_empty()).then(|| format!("\n{}", escaped_lines(&body)));
    headers.chain(body)
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::extract::Path;
    use axum::routing::post;
    use clap::Parser as _;

    use super::*;
    use crate::cli::tests::session;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: TestArgs,
    }

    fn exchange(ok: bool) -> Value {
        let response = json!({
            "status": 200, "version": "HTTP/2.0", "headers": [{"name": "x-a", "value": "b\u{1b}[2J"}],
            "headers_cut": true, "body": "line\nbreak\u{202e}", "body_cut": false,
        });
        json!({
            "ok": ok, "code": if ok { "ok" } else { "tls_failed" }, "failed_at": if ok { Value::Null } else { json!("tls") },
            "explanation": "What happened.", "advice": if ok { Value::Null } else { json!("Renew it.") },
            "request": {"method": "POST", "url": "https://h.example/", "body": "{}",
                "headers": [{"name": "webhook-id", "value": "test_1"}]},
            "response": if ok { response } else { Value::Null },
            "timings": {"dns_ms": 12, "connect_ms": 3, "tls_ms": 40, "first_byte_ms": null, "total_ms": 1055},
            "addresses": ["203.0.113.7"], "address": "203.0.113.7:443",
        })
    }

    #[test]
    fn people_see_what_happened_the_steps_and_both_sides() {
        let shown = page(&exchange(true));
        for expected in [
            "ok: What happened.\n\n",
            "dns            12 ms  203.0.113.7\n",
            "connect         3 ms  203.0.113.7:443\n",
            "total        1055 ms\n",
            "> POST https://h.example/\n> webhook-id: test_1\n\n{}\n",
            "< HTTP/2.0 200\n< x-a: b\\u001b[2J\n\nline\nbreak\\u202e\n(there is more of the headers)",
        ] {
            assert!(shown.contains(expected), "{expected:?} in\n{shown}");
        }
        assert!(!shown.contains("first byte"), "{shown}");
        let failed = page(&exchange(false));
        assert!(failed.starts_with("failed at tls (tls_failed): What happened.\nto mend it: Renew it.\n\n"));
        assert!(!failed.contains("< "), "{failed}");
    }

    #[tokio::test]
    async fn the_sample_is_sent_as_it_was_given_and_a_failure_is_told_by_the_exit_code() {
        async fn answer(Path((_, id)): Path<(String, String)>, body: String) -> String {
            let mut exchange = exchange(id == "ep_well");
            exchange["request"]["body"] = json!(body);
            exchange.to_string()
        }
        let api = Router::new().route("/v1/tenants/{tenant}/endpoints/{id}/test", post(answer));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, api).await });
        for (id, expected) in [("ep_well", "Complete"), ("ep_ill", "Partial")] {
            let (mut session, shown) = session(&url, true);
            let line = ["test", "--tenant", "acme", id, "--type", "a.b", "--data", r#"{"n":1}"#];
            let finish = run(&mut session, &Line::parse_from(line).args).await.unwrap();
            assert_eq!(format!("{finish:?}"), expected);
            let document: Value = serde_json::from_str(&shown.text()).unwrap();
            let sent: Value = serde_json::from_str(document["request"]["body"].as_str().unwrap()).unwrap();
            assert_eq!(sent, json!({"type": "a.b", "data": {"n": 1}}));
        }
    }
}
