//! Lists of deliveries against a model: every combination of filters, page by page, gives what going through all of them
//! one by one gives, nothing twice.

use std::collections::BTreeSet;

use redial_domain::Timestamp;
use redial_domain::delivery::DeliveryState;
use serde_json::{Value, json};

use super::stand::Stand;

const LIST: &str = "/v1/tenants/acme/deliveries";
const EVENTS: usize = 60;
const TYPES: [&str; 3] = ["call.ended", "call.started", "qa.scored"];

/// A delivery as whoever made it know it.
#[derive(Debug)]
struct Made {
    id: String,
    endpoint: String,
    event_type: &'static str,
    state: &'static str,
    reason: Option<&'static str>,
    at: Timestamp,
}

async fn conclude(stand: &Stand, id: &str, which: usize) -> (&'static str, Option<&'static str>) {
    match which {
        0 => ("queued", None),
        1 => {
            stand.conclude("acme", id, DeliveryState::Succeeded, 1).await;
            ("succeeded", None)
        }
        2 => {
            stand.conclude("acme", id, DeliveryState::Retrying, 1).await;
            ("retrying", None)
        }
        _ => {
            let states = [
                (DeliveryState::Dead, "attempts_exhausted"),
                (DeliveryState::Dead, "gone"),
                (DeliveryState::Held, "endpoint_paused"),
                (DeliveryState::Canceled, "endpoint_deleted"),
            ];
            let (state, reason) = states[which - 3];
            let mut record = stand.record("acme", id, state).await;
            record.reason = Some(reason.to_owned());
            stand.store.record_state(&record).await.unwrap();
            (state.as_str(), Some(reason))
        }
    }
}

async fn made(stand: &Stand) -> (Vec<Made>, Vec<String>) {
    let endpoints = vec![
        stand.endpoint("acme").await,
        stand.endpoint("acme").await,
        stand.endpoint("acme").await,
    ];
    let mut all = Vec::new();
    for n in 0..EVENTS {
        let event_type = TYPES[n % 3];
        let mut body = json!({"type": event_type, "tenant": "acme", "data": n});
        if n % 2 == 0 {
            body["id"] = json!(format!("e{n:03}"));
        }
        let answer = stand.ok("POST", "/v1/events", body).await;
        let event = answer["id"].as_str().unwrap();
        for (which, endpoint) in endpoints.iter().enumerate() {
            let id = format!("{event}.{endpoint}");
            let (state, reason) = conclude(stand, &id, (n * 5 + which * 3) % 7).await;
            all.push(Made {
                id,
                endpoint: endpoint.clone(),
                event_type,
                state,
                reason,
                at: stand.clock.now(),
            });
        }
        stand.pass_ms([0, 1, 0, 30_000][n % 4]);
    }
    (all, endpoints)
}

#[tokio::test]
async fn every_combination_of_filters_lists_what_going_through_all_deliveries_finds() {
    let stand = Stand::with_acme().await;
    let (all, endpoints) = made(&stand).await;
    let (early, late) = (all[all.len() / 4].at, all[all.len() * 3 / 4].at);
    let states = DeliveryState::ALL.into_iter().map(|state| Some(state.as_str()));
    let states: Vec<Option<&str>> = [None].into_iter().chain(states).collect();
    let mut asked = 0;
    for state in &states {
        for endpoint in [None, Some(&endpoints[1])] {
            for event_type in [None, Some("call.ended"), Some("call.*")] {
                for reason in [None, Some("gone")] {
                    for (since, until) in [(None, None), (Some(early), Some(late))] {
                        let mut path = format!("{LIST}?state={}", state.unwrap_or_default());
                        for (name, value) in [
                            ("endpoint", endpoint.cloned()),
                            ("type", event_type.map(str::to_owned)),
                            ("reason", reason.map(str::to_owned)),
                            ("since", since.map(|at| at.to_string())),
                            ("until", until.map(|at| at.to_string())),
                        ] {
                            path.push_str(&format!("&{name}={}", value.unwrap_or_default()));
                        }
                        let of_type = |wanted: &str, made: &Made| match wanted.strip_suffix('*') {
                            Some(prefix) => made.event_type.starts_with(prefix),
                            None => made.event_type == wanted,
                        };
                        let takes = |made: &&Made| {
                            state.is_none_or(|state| made.state == state)
                                && endpoint.is_none_or(|endpoint| made.endpoint == *endpoint)
                                && event_type.is_none_or(|wanted| of_type(wanted, made))
                                && reason.is_none_or(|reason| made.reason == Some(reason))
                                && since.is_none_or(|since| made.at >= since)
                                && until.is_none_or(|until| made.at < until)
                        };
                        let expected: BTreeSet<&str> = all.iter().filter(takes).map(|made| made.id.as_str()).collect();
                        agree(&stand, &path, &expected).await;
                        asked += 1;
                    }
                }
            }
        }
    }
    assert_eq!(asked, 7 * 2 * 3 * 2 * 2);
}

async fn agree(stand: &Stand, path: &str, expected: &BTreeSet<&str>) {
    let (items, _) = stand.pages(path, 17).await;
    let ids: Vec<&str> = items.iter().map(|item| item["id"].as_str().unwrap()).collect();
    let found: BTreeSet<&str> = ids.iter().copied().collect();
    assert_eq!(found.len(), ids.len(), "twice: {path}");
    assert_eq!(found, *expected, "{path}");
    let in_time = |pair: &[Value]| pair[0]["accepted_at"].as_str() >= pair[1]["accepted_at"].as_str();
    assert!(items.windows(2).all(in_time), "{path}");
}

#[tokio::test]
async fn a_tenant_of_many_shards_names_an_endpoint_where_all_are_too_many() {
    let stand = Stand::with_acme().await;
    let endpoint = stand.endpoint("acme").await;
    stand.endpoint("acme").await;
    stand.event("acme", "e1").await;
    stand
        .conclude("acme", &format!("e1.{endpoint}"), DeliveryState::Dead, 1)
        .await;
    stand.ok("PUT", "/v1/tenants/acme", json!({"shards": 600})).await;
    for state in ["", "succeeded", "canceled"] {
        let expected = (400, "endpoint_needed".to_owned(), Some("endpoint".to_owned()));
        let path = format!("{LIST}?state={state}");
        assert_eq!(stand.refusal("GET", &path, Value::Null).await, expected);
    }
    for query in [
        "state=dead".to_owned(),
        "state=queued".to_owned(),
        format!("endpoint={endpoint}"),
        format!("endpoint={endpoint}&state=dead"),
    ] {
        let (items, _) = stand.pages(&format!("{LIST}?{query}"), 10).await;
        assert_eq!(items.len(), 1, "{query}");
    }
}
