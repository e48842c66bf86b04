//! Everything that sends, to targets that are none: first attempts, retries, replays, probes of an endpoint on hold and test
//! sends. The rows of the endpoints are older than the rules; a canary listens where they lead, and is never reached.

use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};

use super::down::{ENOUGH, event, goes_down, minutes, path};
use crate::world::{Behaviour, Endpoint, INSIDE, World, attempts_of};

/// Longer than any function remembers an endpoint's settings.
const FORGOTTEN_MS: i64 = 120_000;

struct Canary(TcpListener);

impl Canary {
    async fn perch() -> Self {
        Self(TcpListener::bind("127.0.0.2:0").await.unwrap())
    }

    fn port(&self) -> u16 {
        self.0.local_addr().unwrap().port()
    }

    /// Connections queue in order: if the first is ours, nobody came before us.
    async fn was_never_reached(self) {
        let ours = TcpStream::connect(self.0.local_addr().unwrap()).await.unwrap();
        let (_first, peer) = self.0.accept().await.unwrap();
        assert_eq!(peer, ours.local_addr().unwrap(), "somebody reached the canary");
    }
}

/// URLs that a release without rules could have stored: each leads to the canary, or to this service itself.
fn older_than_the_rules(port: u16) -> Vec<String> {
    let hosts = [
        "127.0.0.2",
        "2130706434",
        "0x7f000002",
        "0177.0.0.2",
        "127.2",
        "[::ffff:127.0.0.2]",
        "user@127.0.0.2",
        "１２７.0.0.2",
        INSIDE,
    ];
    let mut urls: Vec<String> = hosts.map(|host| format!("http://{host}:{port}/")).to_vec();
    urls.push(format!("https://127.0.0.2:{port}/"));
    urls.push("http://127.0.0.1:4080/v1/events".to_owned());
    urls
}

/// Writes another URL into the stored rows of an endpoint, as nothing does that checks one.
async fn point_to(world: &World, endpoint: &Endpoint, url: &str) {
    let stored = world.get(&path(endpoint, "")).await["url"].as_str().unwrap().to_owned();
    let found = world.in_table("Scan", &json!({"TableName": "ConfigTable"})).await;
    let mut changed = 0;
    for mut item in found["Items"].as_array().unwrap().clone() {
        let text = item["j"]["S"].as_str().unwrap_or_default().to_owned();
        if text.contains(&format!("\"{stored}\"")) {
            item["j"]["S"] = json!(text.replace(&format!("\"{stored}\""), &json!(url).to_string()));
            let put = json!({"TableName": "ConfigTable", "Item": item});
            world.in_table("PutItem", &put).await;
            changed += 1;
        }
    }
    assert!(changed > 0, "no row has {stored}");
    // A change of the tenant, so that whoever has a copy reads all of it again.
    world.call("PUT", "/v1/tenants/acme", json!({"name": url}), 200).await;
    world.pass_ms(FORGOTTEN_MS).await;
    assert_eq!(world.get(&path(endpoint, "")).await["url"], url);
}

fn codes_of(delivery: &Value) -> Vec<&Value> {
    attempts_of(delivery).iter().map(|attempt| &attempt["code"]).collect()
}

#[tokio::test]
async fn first_attempts_retries_replays_and_test_sends_are_blocked_where_a_stored_url_is_older_than_a_rule() {
    let canary = Canary::perch().await;
    let world = World::new().await;
    for (n, url) in older_than_the_rules(canary.port()).iter().enumerate() {
        let retry = json!({"retry": {"attempts": 3, "delays": [3 * FORGOTTEN_MS / 1_000, 1]}});
        let endpoint = world.endpoint("acme", Behaviour::Always(500), retry).await;
        let (early, id) = (format!("early{n}"), format!("e{n}"));
        world.post(event(&early)).await;
        world.settle().await;
        point_to(&world, &endpoint, url).await;
        world.post(event(&id)).await;
        world.run_to_the_end().await;
        // A blocked attempt is the last one: trying again cannot help.
        let retried = world.delivery("acme", &early, &endpoint).await;
        assert_eq!(codes_of(&retried)[1..], ["blocked"], "{url}: {retried}");
        let delivery = world.delivery("acme", &id, &endpoint).await;
        assert_eq!(codes_of(&delivery), ["blocked"], "{url}: {delivery}");

        let asked = json!({"delivery": delivery["id"]});
        let job = world.call("POST", "/v1/tenants/acme/replays", asked, 202).await;
        world.run_to_the_end().await;
        let job = job["id"].as_str().unwrap();
        let again = format!("/v1/tenants/acme/deliveries/{id}.{}.{job}", endpoint.id);
        assert_eq!(codes_of(&world.get(&again).await), ["blocked"], "{url}");

        let exchange = world.call("POST", &path(&endpoint, "/test"), Value::Null, 200).await;
        let told = (&exchange["code"], &exchange["failed_at"], &exchange["addresses"]);
        assert_eq!(told, (&json!("blocked"), &json!("policy"), &json!([])), "{url}");
        assert_eq!(world.requests(&endpoint).len(), 1, "{url}: before it led elsewhere");
        world.call("DELETE", &path(&endpoint, ""), Value::Null, 204).await;
    }
    canary.was_never_reached().await;
}

#[tokio::test]
async fn probes_of_an_endpoint_on_hold_are_blocked_where_its_url_is_older_than_a_rule() {
    let canary = Canary::perch().await;
    let world = World::new().await;
    let (endpoint, ids) = goes_down(&world, json!({})).await;
    point_to(&world, &endpoint, &format!("http://127.0.0.2:{}/", canary.port())).await;
    minutes(&world, 30).await;
    let mut blocked = 0;
    for id in &ids {
        let delivery = world.delivery("acme", id, &endpoint).await;
        let codes = codes_of(&delivery);
        blocked += codes.iter().filter(|code| **code == "blocked").count();
        assert!(codes[1..].iter().all(|code| *code == "blocked"), "{delivery}");
    }
    assert!(blocked >= 3, "{blocked} probes and retries");
    assert!(world.requests(&endpoint).len() <= ENOUGH + 2, "before it was forgotten");
    canary.was_never_reached().await;
}
