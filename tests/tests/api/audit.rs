//! The log of what was changed and of the secrets that were shown: who, by which way, what, whose, and what came of it; and
//! nothing of what was sent or answered.

use std::io;
use std::sync::{Arc, LazyLock, Mutex};

use serde_json::{Value, json};
use tracing::instrument::WithSubscriber as _;
use tracing_subscriber::layer::SubscriberExt as _;

use super::stand::Stand;

/// Stands for everything that must not be in the log.
const CANARY: &str = "CANARY7f3a";

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Written {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    /// The audit lines, each as who, way, method, route, tenant and status.
    fn lines(&self) -> Vec<[Value; 6]> {
        let text = self.text();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let audited = lines.filter(|line| line["message"] == "api.audit");
        let names = ["key_id", "way", "method", "route", "tenant", "status"];
        audited.map(|line| names.map(|name| line[name].clone())).collect()
    }
}

/// Hears nothing, for as long as the tests run. While a process has no listener but those of single tests, a line that another
/// thread comes by for the first time, as one of those begins, may be taken for one that nobody ever wants to hear.
static LISTENER: LazyLock<tracing::Dispatch> = LazyLock::new(|| tracing::Dispatch::new(tracing_subscriber::registry()));

/// What is logged, as JSON, while `work` runs.
async fn logged(work: impl Future<Output = ()>) -> Written {
    LazyLock::force(&LISTENER);
    tracing::callsite::rebuild_interest_cache();
    let written = Written::default();
    let writer = written.clone();
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_writer(move || writer.clone());
    work.with_subscriber(tracing_subscriber::registry().with(lines)).await;
    written
}

fn id_of(key: &str) -> Value {
    json!(key.split('_').nth(1).unwrap())
}

#[tokio::test]
async fn each_change_and_each_look_at_a_secret_is_one_line_and_reading_is_none() {
    let stand = Stand::with_acme().await;
    let endpoint = stand.endpoint("acme").await;
    let customer = stand.mint("tenant:acme").await;
    let of = "/v1/tenants/acme/endpoints";
    let (one, secret) = (format!("{of}/{endpoint}"), format!("{of}/{endpoint}/secret"));
    let body = json!({"url": format!("http://127.0.0.1:9000/{CANARY}"), "description": CANARY});
    let written = logged(async {
        stand.ask("POST", of, body).await;
        stand.ask("GET", &one, Value::Null).await;
        stand.send(Some(&customer), "GET", &secret, &Value::Null).await;
        stand
            .send(Some(&customer), "PATCH", &one, &json!({"url": CANARY}))
            .await;
        stand
            .send(Some(&customer), "DELETE", "/v1/tenants/globex", &Value::Null)
            .await;
        stand
            .ask("DELETE", &format!("/v1/tenants/acme/calls/{CANARY}"), Value::Null)
            .await;
        stand
            .ask("POST", "/v1/keys", json!({"scope": "ingest", "name": CANARY}))
            .await;
        stand.send(Some(CANARY), "POST", "/v1/keys", &json!({})).await;
    })
    .await;
    let (operator, customer) = (id_of(&stand.operator), id_of(&customer));
    let line = |who: &Value, method: &str, route: &str, tenant: Value, status: u16| {
        [
            who.clone(),
            json!("key"),
            json!(method),
            json!(route),
            tenant,
            json!(status),
        ]
    };
    let routes = "/v1/tenants/{tenant}/endpoints";
    let expected = [
        line(&operator, "POST", routes, json!("acme"), 201),
        line(
            &customer,
            "GET",
            &format!("{routes}/{{endpoint}}/secret"),
            json!("acme"),
            200,
        ),
        line(
            &customer,
            "PATCH",
            &format!("{routes}/{{endpoint}}"),
            json!("acme"),
            422,
        ),
        line(&customer, "DELETE", "/v1/tenants/{tenant}", json!("globex"), 404),
        line(
            &operator,
            "DELETE",
            "/v1/tenants/{tenant}/calls/{call_id}",
            json!("acme"),
            404,
        ),
        line(&operator, "POST", "/v1/keys", Value::Null, 201),
    ];
    assert_eq!(written.lines(), expected);
    let audited = written.text();
    assert!(
        !audited
            .lines()
            .any(|line| line.contains("api.audit") && line.contains(CANARY)),
        "{audited}"
    );
}

#[tokio::test]
async fn a_portal_link_is_logged_with_the_key_that_made_it() {
    let stand = Stand::with_acme().await;
    let endpoint = stand.endpoint("acme").await;
    let made = stand.ok("POST", "/v1/tenants/acme/portal", json!({})).await;
    let token = made["token"].as_str().unwrap();
    let one = format!("/v1/tenants/acme/endpoints/{endpoint}");
    let written = logged(async {
        stand
            .send(Some(token), "GET", &format!("{one}/secret"), &Value::Null)
            .await;
        stand
            .send(Some(token), "POST", &format!("{one}/pause"), &Value::Null)
            .await;
    })
    .await;
    let seen: Vec<_> = written
        .lines()
        .iter()
        .map(|[who, way, ..]| (who.clone(), way.clone()))
        .collect();
    assert_eq!(seen, vec![(id_of(&stand.operator), json!("portal")); 2]);
    assert!(!written.text().contains(token));
}
