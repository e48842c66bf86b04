//! Lists of events against a model: every filter and every combination of them, in both orders, page by page, gives what
//! going through all events one by one gives. Nothing is lost, nothing comes twice, and no request looks through it all.

use std::collections::{BTreeMap, BTreeSet};

use redial_domain::{EventId, TenantId, Timestamp};
use redial_platform::store::sweep::{CallEvent, SweepMark};
use serde_json::{Value, json};

use super::stand::Stand;

const LIST: &str = "/v1/tenants/acme/events";
const EVENTS: usize = 160;
const TYPES: [&str; 5] = ["call.ended", "call.started", "qa.scored", "callback", "call.ended.late"];

/// An event as whoever posted it knows it.
#[derive(Debug, Clone)]
struct Posted {
    id: String,
    event_type: &'static str,
    agent: Option<&'static str>,
    call: Option<String>,
    endpoints: Vec<String>,
    at: Timestamp,
}

/// Posts events of every kind, with own ids and minted ones, several in a millisecond and minutes apart. Three endpoints:
/// all, calls only, one agent only.
async fn posted(stand: &Stand) -> (Vec<Posted>, Vec<String>) {
    let mut endpoints = Vec::new();
    for filter in [
        json!({}),
        json!({"event_types": ["call.*"]}),
        json!({"agents": ["agt_1"]}),
    ] {
        let mut body = filter;
        body["url"] = json!("http://127.0.0.1:9000/hook");
        let made = stand.ok("POST", "/v1/tenants/acme/endpoints", body).await;
        endpoints.push(made["id"].as_str().unwrap().to_owned());
    }
    stand
        .ok("PUT", "/v1/tenants/acme", json!({"allow_unknown_types": true}))
        .await;
    let mut all = Vec::new();
    for n in 0..EVENTS {
        let event_type = TYPES[n % 5];
        let agent = [None, Some("agt_1"), Some("agt_2")][n / 2 % 3];
        let call = (n % 4 != 3).then(|| format!("call {}/ü", n / 3 % 4));
        let mut body = json!({"type": event_type, "tenant": "acme", "data": n});
        if let Some(agent) = agent {
            body["agent"] = json!(agent);
        }
        if let Some(call) = &call {
            body["related"] = json!({"call_id": call});
        }
        if n % 3 != 0 {
            body["id"] = json!(format!("own-{n:03}"));
        }
        let answer = stand.ok("POST", "/v1/events", body).await;
        let mut matched = vec![endpoints[0].clone()];
        if event_type.starts_with("call.") {
            matched.push(endpoints[1].clone());
        }
        if agent == Some("agt_1") {
            matched.push(endpoints[2].clone());
        }
        assert_eq!(answer["deliveries"], matched.len());
        all.push(Posted {
            id: answer["id"].as_str().unwrap().to_owned(),
            event_type,
            agent,
            call,
            endpoints: matched,
            at: stand.clock.now(),
        });
        stand.pass_ms([0, 0, 1, 60_000][n % 4]);
    }
    (all, endpoints)
}

/// Notes events by call up to `until`, pass by pass, as the sweeper does.
async fn note_calls(stand: &Stand, all: &[Posted], until: Timestamp) {
    let tenant = TenantId::parse("acme").unwrap();
    // No pass ends within a millisecond.
    for pass in all.chunks(24) {
        let mut calls: BTreeMap<String, Vec<CallEvent>> = BTreeMap::new();
        for event in pass.iter().filter(|event| event.at < until) {
            if let Some(call) = &event.call {
                calls.entry(call.clone()).or_default().push(CallEvent {
                    accepted_at: event.at,
                    event: EventId::parse(&event.id).unwrap(),
                });
            }
        }
        let expires_at = stand.clock.now().plus_millis(86_400_000);
        stand.store.put_calls(&tenant, &calls, expires_at).await.unwrap();
    }
    let mark = SweepMark {
        repaired: until,
        rolled: until,
    };
    stand.store.put_sweep_mark(&tenant, mark).await.unwrap();
}

/// One value for each filter, or none.
#[derive(Debug, Clone, Default)]
struct Asked {
    event_type: Option<&'static str>,
    agent: Option<&'static str>,
    call: Option<&'static str>,
    endpoint: Option<String>,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
}

impl Asked {
    fn takes(&self, event: &Posted) -> bool {
        let of_type = |wanted: &str| match wanted.strip_suffix('*') {
            Some(prefix) => event.event_type.starts_with(prefix),
            None => event.event_type == wanted,
        };
        self.event_type.is_none_or(of_type)
            && self.agent.is_none_or(|agent| event.agent == Some(agent))
            && self.call.is_none_or(|call| event.call.as_deref() == Some(call))
            && self
                .endpoint
                .as_ref()
                .is_none_or(|endpoint| event.endpoints.contains(endpoint))
            && self.since.is_none_or(|since| event.at >= since)
            && self.until.is_none_or(|until| event.at < until)
    }

    fn path(&self, order: &str) -> String {
        let moments = [("since", self.since), ("until", self.until)];
        let moments = moments.map(|(name, moment)| (name, moment.map(|moment| moment.to_string())));
        let texts = [
            ("type", self.event_type),
            ("agent", self.agent),
            ("call", self.call),
            ("endpoint", self.endpoint.as_deref()),
        ];
        let texts = texts.map(|(name, text)| (name, text.map(str::to_owned)));
        let mut path = format!("{LIST}?order={order}");
        for (name, value) in moments.into_iter().chain(texts) {
            if let Some(value) = value {
                path.push_str(&format!("&{name}={}", encoded(&value)));
            }
        }
        path
    }
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// Every combination.
fn combinations(all: &[Posted], endpoints: &[String]) -> Vec<Asked> {
    let (early, late) = (all[EVENTS / 5].at, all[EVENTS * 4 / 5].at);
    let mut found = Vec::new();
    for event_type in [None, Some("call.ended"), Some("call.*")] {
        for agent in [None, Some("agt_1")] {
            for call in [None, Some("call 2/ü")] {
                for endpoint in [None, Some(endpoints[1].clone())] {
                    for (since, until) in [
                        (None, None),
                        (Some(early), None),
                        (None, Some(late)),
                        (Some(early), Some(late)),
                    ] {
                        let endpoint = endpoint.clone();
                        found.push(Asked {
                            event_type,
                            agent,
                            call,
                            endpoint,
                            since,
                            until,
                        });
                    }
                }
            }
        }
    }
    assert_eq!(found.len(), 96);
    found
}

fn ids(items: &[Value]) -> Vec<String> {
    items
        .iter()
        .map(|item| item["id"].as_str().unwrap().to_owned())
        .collect()
}

async fn agree(stand: &Stand, all: &[Posted], asked: &Asked) {
    let expected: Vec<&Posted> = all.iter().filter(|event| asked.takes(event)).collect();
    let moments: BTreeMap<&str, Timestamp> = all.iter().map(|event| (event.id.as_str(), event.at)).collect();
    let newest_first = ids(&stand.pages(&asked.path("desc"), 23).await.0);
    let oldest_first = ids(&stand.pages(&asked.path("asc"), 11).await.0);
    let found: BTreeSet<&str> = newest_first.iter().map(String::as_str).collect();
    assert_eq!(found.len(), newest_first.len(), "twice: {asked:?}");
    assert_eq!(
        found,
        expected.iter().map(|event| event.id.as_str()).collect(),
        "{asked:?}"
    );
    let in_time = |pair: &[String]| moments[pair[0].as_str()] >= moments[pair[1].as_str()];
    assert!(newest_first.windows(2).all(in_time), "{asked:?}");
    assert!(oldest_first.iter().rev().eq(&newest_first), "{asked:?}");
}

#[tokio::test]
async fn every_combination_of_filters_lists_what_going_through_all_events_finds() {
    let stand = Stand::with_acme().await;
    let (all, endpoints) = posted(&stand).await;
    for asked in combinations(&all, &endpoints) {
        agree(&stand, &all, &asked).await;
    }
}

#[tokio::test]
async fn a_call_is_found_whatever_part_of_it_the_sweeper_has_noted() {
    let stand = Stand::with_acme().await;
    let (all, endpoints) = posted(&stand).await;
    for (shards, noted) in [(6, EVENTS / 7), (9, EVENTS / 2), (10, EVENTS - 1)] {
        note_calls(&stand, &all, all[noted].at).await;
        for asked in combinations(&all, &endpoints)
            .iter()
            .filter(|asked| asked.call.is_some())
        {
            agree(&stand, &all, asked).await;
        }
        // More shards spread a call's later events differently.
        stand.ok("PUT", "/v1/tenants/acme", json!({ "shards": shards })).await;
    }
}

#[tokio::test]
async fn events_that_arrive_meanwhile_are_in_one_page_or_none_and_move_nothing() {
    let stand = Stand::with_acme().await;
    for n in 0..10 {
        stand.event("acme", &format!("e{n}")).await;
    }
    for (order, later) in [("desc", 0), ("asc", 3)] {
        let (mut found, mut cursor) = (Vec::new(), String::new());
        let mut arrived = 0;
        loop {
            let path = format!("{LIST}?order={order}&limit=4&cursor={cursor}");
            let page = stand.ok("GET", &path, Value::Null).await;
            found.extend(ids(page["items"].as_array().unwrap()));
            let Some(next) = page["next"].as_str() else { break };
            cursor = next.to_owned();
            if arrived < later.max(1) {
                stand.pass_ms(1);
                stand.event("acme", &format!("{order}-{arrived}")).await;
                arrived += 1;
            }
        }
        let distinct: BTreeSet<&String> = found.iter().collect();
        assert_eq!(distinct.len(), found.len(), "{order}");
        for n in 0..10 {
            assert!(distinct.contains(&format!("e{n}")), "{order}: e{n} is lost");
        }
    }
}

#[tokio::test]
async fn a_filter_that_matches_nothing_does_not_go_through_everything_at_once() {
    let stand = Stand::with_acme().await;
    let one = |n: usize| json!({"type": "call.ended", "tenant": "acme", "data": n});
    let rare = json!({"type": "qa.scored", "tenant": "acme", "id": "rare", "data": 1});
    stand.ok("POST", "/v1/events", rare.clone()).await;
    stand.pass_ms(1);
    for _ in 0..13 {
        let batch: Vec<Value> = (0..500).map(one).collect();
        stand.ok("POST", "/v1/events", json!(batch)).await;
        stand.pass_ms(1);
    }
    let path = format!("{LIST}?type=qa.scored");
    let first = stand.ok("GET", &path, Value::Null).await;
    assert_eq!(
        first["items"],
        json!([]),
        "6,500 events were looked through for one page"
    );
    assert!(first["next"].is_string());
    let (items, pages) = stand.pages(&path, 10).await;
    assert_eq!(ids(&items), ["rare"]);
    assert!((2..=4).contains(&pages), "{pages}");
    let (items, pages) = stand.pages(&format!("{LIST}?type=qa.*&order=asc"), 1).await;
    assert_eq!(ids(&items), ["rare"]);
    assert!((2..=4).contains(&pages), "{pages}");
    // Deliveries of a state that has no index, too.
    stand.endpoint("acme").await;
    let (items, _) = stand.pages("/v1/tenants/acme/deliveries?state=succeeded", 10).await;
    assert!(items.is_empty());
}
