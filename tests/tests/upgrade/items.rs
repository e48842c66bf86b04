//! Items: written by the store as it is today, and read from what the first release wrote.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use redial_domain::delivery::DeliveryState;
use redial_domain::endpoint::dead_letter::DeadLetter;
use redial_domain::endpoint::{Endpoint, EndpointSettings, EndpointState};
use redial_domain::event::PostedEvent;
use redial_domain::filter::Filter;
use redial_domain::profile::{Payload, Profile};
use redial_domain::signature::Secret;
use redial_domain::{AgentId, DeliveryId, EndpointId, EventId, EventTypeName, ReplayId, TenantId, Timestamp};
use redial_local::dynamodb::Dynamo;
use redial_local::template::Template;
use redial_platform::auth::{self, Scope};
use redial_platform::seal::{Credentials, Sealer};
use redial_platform::store::config::{ApiKey, Change, Tenant};
use redial_platform::store::counting::{Counting, Round};
use redial_platform::store::deliveries::{AttemptRecord, DeliveryRecord};
use redial_platform::store::due::Due;
use redial_platform::store::events::StoredEvent;
use redial_platform::store::replays::{JobState, ReplayJob, ReplaySpec};
use redial_platform::store::sweep::{CallEvent, HourCounts, SweepMark};
use redial_platform::store::{StoreError, Tables};
use redial_platform::{Random, Store, blob, format, item, keys};

use super::golden::{Item, assert_says_still, from_json, path, read, to_json};

const CONFIG: &str = "ConfigTable";
const EVENTS: &str = "EventsTable";
const FILES: [(&str, &str); 2] = [(CONFIG, "config-items.json"), (EVENTS, "events-items.json")];
const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const NOW_MS: i64 = 1_795_000_000_000;
const POSTED: &str = r#"{"type":"call.ended","tenant":"noor-pharmacy","agent":"agt_7","occurred_at":"2026-11-18T13:46:39Z",
    "data":{"name":"صيدلية","n":9007199254740993},"related":{"call_id":"call_9"}}"#;

fn now() -> Timestamp {
    Timestamp::from_millis(NOW_MS)
}

fn tenant() -> TenantId {
    TenantId::parse("noor-pharmacy").unwrap()
}

fn endpoint_id() -> EndpointId {
    EndpointId::parse("ep_0123456789ABCDEF").unwrap()
}

fn replay_id() -> ReplayId {
    ReplayId::parse("rpl_01JD3ZK8Q000000001").unwrap()
}

fn expires_at() -> Timestamp {
    now().plus_millis(30 * 24 * keys::HOUR_MS)
}

fn event(id: &EventId) -> StoredEvent {
    let content = PostedEvent::parse(POSTED).unwrap().content;
    StoredEvent {
        tenant: tenant(),
        own_id: id.minted_parts().is_none(),
        id: id.clone(),
        accepted_at: now(),
        shards: 4,
        digest: StoredEvent::digest_of(&content),
        matched: vec![endpoint_id()],
        event_type: EventTypeName::parse("call.ended").unwrap(),
        agent: Some(AgentId::parse("agt_7").unwrap()),
        call_id: Some("call_9".to_owned()),
        packed: blob::from_content(&content).unwrap(),
        expires_at: expires_at(),
        erased: None,
    }
}

fn own_event() -> StoredEvent {
    event(&EventId::parse("src_001613").unwrap())
}

fn minted_event() -> StoredEvent {
    event(&EventId::mint(now(), 2, 99))
}

fn attempt(code: &str, status: Option<u16>) -> AttemptRecord {
    AttemptRecord {
        n: 1,
        at: now().plus_millis(40),
        status,
        code: code.to_owned(),
        duration_ms: 17,
        next: "again in 5 s: the receiver answered 500".to_owned(),
        response: b"oops".to_vec(),
    }
}

/// A delivery of the event `src_<name>` in that state.
fn delivery(name: &str, state: DeliveryState) -> DeliveryRecord {
    DeliveryRecord {
        tenant: tenant(),
        id: DeliveryId {
            event: EventId::parse(&format!("src_{name}")).unwrap(),
            endpoint: endpoint_id(),
            replay: None,
        },
        accepted_at: now(),
        shards: 4,
        event_type: EventTypeName::parse("call.ended").unwrap(),
        state,
        attempts: 0,
        last: None,
        reason: None,
        next_at: None,
        due_at: None,
        held_at: None,
        expires_at: expires_at(),
        dropped: false,
        redriven: None,
        agent: None,
        traceparent: None,
    }
}

/// One delivery in each state that is written.
fn deliveries() -> Vec<DeliveryRecord> {
    let attempted = |name, state, code: &str, status| DeliveryRecord {
        attempts: 1,
        last: Some(attempt(code, status)),
        ..delivery(name, state)
    };
    vec![
        DeliveryRecord {
            due_at: Some(now().plus_millis(900_000)),
            ..delivery("queued", DeliveryState::Queued)
        },
        DeliveryRecord {
            next_at: Some(now().plus_millis(5_000)),
            ..attempted("retrying", DeliveryState::Retrying, "status_500", Some(500))
        },
        DeliveryRecord {
            reason: Some("endpoint_paused".to_owned()),
            due_at: Some(now().plus_millis(60_000)),
            traceparent: Some(TRACEPARENT.to_owned()),
            ..delivery("held", DeliveryState::Held)
        },
        attempted("succeeded", DeliveryState::Succeeded, "ok", Some(204)),
        DeliveryRecord {
            reason: Some("attempts_exhausted".to_owned()),
            ..attempted("dead", DeliveryState::Dead, "timeout", None)
        },
        DeliveryRecord {
            reason: Some("endpoint_deleted".to_owned()),
            ..delivery("canceled", DeliveryState::Canceled)
        },
    ]
}

fn job() -> ReplayJob {
    ReplayJob {
        tenant: tenant(),
        id: replay_id(),
        spec: ReplaySpec::Range {
            endpoint: endpoint_id(),
            since: now(),
            until: now().plus_millis(keys::HOUR_MS),
            state: Some(DeliveryState::Dead),
        },
        state: JobState::Running,
        total: 5,
        done: 2,
        failed: 1,
        after: None,
        error: None,
        asked_at: now(),
        updated_at: now(),
        lease_until: now().plus_millis(60_000),
        expires_at: expires_at(),
        skipped: 0,
        rate: None,
        slow_start: false,
        dry_run: false,
        counted: true,
        counted_to: None,
        wish: None,
        holder: None,
        pace: None,
        unmarked: None,
        started_at: None,
        finished_at: None,
    }
}

fn hour() -> HourCounts {
    let mut counts = HourCounts {
        matched: 2,
        ..HourCounts::default()
    };
    counts.count(DeliveryState::Succeeded, 1);
    counts.count(DeliveryState::Retrying, 3);
    counts
}

fn calls() -> Vec<CallEvent> {
    let event = own_event().id;
    vec![CallEvent {
        accepted_at: now(),
        event,
    }]
}

fn mark() -> SweepMark {
    SweepMark {
        repaired: now(),
        rolled: keys::hour_of(now()),
    }
}

fn round() -> Round {
    Round {
        progress: keys::hour_of(now()),
        after: None,
        whole: None,
    }
}

fn sealer() -> Sealer {
    Sealer::new(&[9; 32], Random::seeded(1))
}

fn credentials() -> Credentials {
    Credentials {
        previous: Some((Secret::from_random([2; 32]), now().plus_millis(keys::HOUR_MS))),
        ..Credentials::new(Secret::from_random([1; 32]))
    }
}

fn settings() -> Tenant {
    Tenant {
        name: "صيدلية النور".to_owned(),
        ..Tenant::new(tenant(), now())
    }
}

fn endpoint() -> Endpoint {
    Endpoint {
        id: endpoint_id(),
        tenant: tenant(),
        settings: EndpointSettings {
            url: "https://hooks.example/redial".to_owned(),
            description: "the first".to_owned(),
            metadata: BTreeMap::from([("team".to_owned(), "calls".to_owned())]),
            filter: Filter::default(),
            profile: Profile::default(),
            payload: Payload::default(),
            auth: None,
            header_names: Vec::new(),
            timeout_ms: 10_000,
            retry: None,
            rate_limit: None,
            dead_letter: DeadLetter::default(),
        },
        state: EndpointState::Active,
        version: 2,
        created_at: now(),
        updated_at: now(),
        kept_until: None,
        kept_at: None,
    }
}

fn api_key() -> ApiKey {
    auth::mint(&Random::seeded(1), &Scope::Operator, "first", now()).1
}

/// The tables in this process, empty.
struct Bench {
    store: Store,
    client: Client,
}

impl Bench {
    async fn new() -> Self {
        let dynamo = Dynamo::memory().unwrap();
        for table in Template::built_in().unwrap().tables {
            dynamo.ensure(&table).await.unwrap();
        }
        let (config, events) = (CONFIG.to_owned(), EVENTS.to_owned());
        Self {
            store: Store::new(dynamo.client(), Tables { config, events }),
            client: dynamo.client(),
        }
    }

    /// Tables with one of each item, written by today's code.
    async fn written() -> Self {
        let bench = Self::new().await;
        bench.write_config().await;
        bench.write_events().await;
        bench
    }

    async fn write_config(&self) {
        let store = &self.store;
        store
            .change(&tenant(), 0, Change::PutTenant(&settings()))
            .await
            .unwrap();
        let sealed = sealer().seal(&tenant(), &endpoint_id(), &credentials()).unwrap();
        // Tenants of the first release started at version 1, and go on from there.
        for copy in 0..keys::VERSION_COPIES {
            let mut item = item::Item::from(&keys::version(&tenant(), copy)).0;
            item.insert("v".to_owned(), AttributeValue::N("1".to_owned()));
            let put = self.client.put_item().table_name(CONFIG).set_item(Some(item));
            put.send().await.unwrap();
        }
        let change = Change::PutEndpoint(&mut endpoint(), &sealed);
        assert_eq!(store.change(&tenant(), 1, change).await.unwrap(), 2);
        store.put_api_key(&api_key()).await.unwrap();
        assert!(store.put_wrapped_data_key(1, vec![1, 2, 3]).await.unwrap());
    }

    async fn write_events(&self) {
        let store = &self.store;
        store.put_event(&minted_event()).await.unwrap();
        store.put_event(&own_event()).await.unwrap();
        store.put_time_rows(&[&own_event()]).await.unwrap();
        store.mark_active(&tenant(), now()).await.unwrap();
        for record in deliveries() {
            match record.state {
                DeliveryState::Succeeded => store.record_success(&record).await.unwrap(),
                _ if record.last.is_some() => drop(store.record_failure(&record).await.unwrap()),
                _ => drop(store.record_state(&record).await.unwrap()),
            }
        }
        let claimed = delivery("claimed", DeliveryState::Queued);
        assert!(store.claim(&claimed, now(), now().plus_millis(40_000)).await.unwrap());
        let replayed = DeliveryId {
            replay: Some(replay_id()),
            ..claimed.id
        };
        store.put_job(&job()).await.unwrap();
        store
            .put_replayed(&tenant(), &[replayed], now(), expires_at())
            .await
            .unwrap();
        let call = BTreeMap::from([("call_9".to_owned(), calls())]);
        store.put_calls(&tenant(), &call, expires_at()).await.unwrap();
        let hours = [(Some(endpoint_id()), hour()), (None, hour())];
        store
            .put_hours(&tenant(), keys::hour_of(now()), &hours, expires_at())
            .await
            .unwrap();
        store.put_sweep_mark(&tenant(), mark()).await.unwrap();
        store.put_sweep_round(&round()).await.unwrap();
    }

    /// Everything in a table, by key.
    async fn items(&self, table: &str) -> BTreeMap<String, Item> {
        let scanned = self.client.scan().table_name(table).send().await.unwrap();
        let part = |item: &Item, name: &str| item[name].as_s().unwrap().clone();
        let named = |item: Item| (format!("{} {}", part(&item, "pk"), part(&item, "sk")), item);
        scanned.items.unwrap_or_default().into_iter().map(named).collect()
    }

    /// Tables with what the first release wrote, each item changed by `change`.
    async fn of_the_first_release(change: impl Fn(&mut Item)) -> Self {
        let bench = Self::new().await;
        for (table, file) in FILES {
            for item in read(&format!("v1/{file}")).values() {
                let mut item = from_json(item);
                change(&mut item);
                let put = bench.client.put_item().table_name(table).set_item(Some(item));
                put.send().await.unwrap();
            }
        }
        bench
    }

    /// Reads one of each, and compares it with what was written.
    async fn assert_reads(&self) {
        self.assert_reads_config().await;
        self.assert_reads_events().await;
        self.assert_reads_rows().await;
    }

    async fn assert_reads_config(&self) {
        let store = &self.store;
        let config = store.tenant_config(&tenant()).await.unwrap().unwrap();
        assert_eq!((config.version, &config.tenant), (2, &settings()));
        let stored = config.endpoint(&endpoint_id()).unwrap();
        assert_eq!(stored.endpoint, endpoint());
        assert_eq!(
            sealer().open(&tenant(), &endpoint_id(), &stored.sealed),
            Ok(credentials())
        );
        assert_eq!(store.tenants(None, 10).await.unwrap().items, [settings()]);
        assert_eq!(store.api_key(&api_key().id).await.unwrap(), Some(api_key()));
        assert_eq!(store.wrapped_data_key(1).await.unwrap(), Some(vec![1, 2, 3]));
        for copy in 0..keys::VERSION_COPIES {
            assert_eq!(store.version(&tenant(), copy).await.unwrap(), Some(2));
        }
    }

    async fn assert_reads_events(&self) {
        let store = &self.store;
        let later = now().plus_millis(1);
        for expected in [minted_event(), own_event()] {
            let read = store.event(&tenant(), &expected.id, later).await.unwrap().unwrap();
            let said = |event: &StoredEvent| event.content().unwrap().data.get().to_owned();
            assert_eq!(said(&read), said(&expected));
            // A library may pack better: what counts is what it says.
            let packed = expected.packed.clone();
            assert_eq!(StoredEvent { packed, ..read }, expected);
            let shard = expected
                .id
                .minted_parts()
                .map_or_else(|| expected.shard(), |(_, shard)| shard);
            let listed = store
                .events_between(&tenant(), shard, now(), later, 10, true)
                .await
                .unwrap();
            assert!(
                listed
                    .iter()
                    .any(|event| event.id == expected.id && event.own_id == expected.own_id)
            );
        }
        for expected in deliveries() {
            let read = store.delivery(&tenant(), &expected.id, now(), 4).await.unwrap();
            assert_eq!(read, Some(expected));
        }
        let claimed = delivery("claimed", DeliveryState::Queued);
        assert!(
            !store.claim(&claimed, later, later).await.unwrap(),
            "a claim still holds"
        );
    }

    async fn assert_reads_rows(&self) {
        let store = &self.store;
        let dead = deliveries()
            .into_iter()
            .find(|record| record.state == DeliveryState::Dead)
            .unwrap();
        let attempts = store.failed_attempts_of(&tenant(), &dead.id).await.unwrap();
        assert_eq!(attempts, [attempt("timeout", None)]);
        assert_eq!(store.job(&tenant(), &replay_id()).await.unwrap(), Some(job()));
        let claimed = delivery("claimed", DeliveryState::Queued).id.event;
        assert_eq!(store.replayed(&tenant(), &claimed).await.unwrap().len(), 1);
        assert_eq!(store.call_events(&tenant(), "call_9").await.unwrap(), calls());
        for who in [Some(endpoint_id()), None] {
            let hours = store
                .hours(&tenant(), who.as_ref(), keys::hour_of(now()), now())
                .await
                .unwrap();
            assert_eq!(hours, [(keys::hour_of(now()), hour())]);
        }
        assert_eq!(store.sweep_mark(&tenant()).await.unwrap(), Some(mark()));
        assert_eq!(store.sweep_round().await.unwrap(), Some(round()));
        let state = store.sweep_state(&tenant()).await.unwrap();
        assert_eq!(state, (Some(mark()), Counting::default()));
        assert_eq!(store.active_tenants(now()).await.unwrap(), [tenant()]);
        let mut due = 0;
        for partition in keys::due_partitions() {
            let found = store
                .due(&partition, now().plus_millis(keys::HOUR_MS), 10, None)
                .await
                .unwrap();
            assert_eq!(found.unreadable, 0);
            due += found
                .items
                .iter()
                .filter(|due| matches!(due, Due::Delivery(_) | Due::Job(..)))
                .count();
        }
        assert_eq!(due, 3, "queued, held, job");
    }
}

#[tokio::test]
#[ignore = "writes the files; to be run once, when a form gets a new number"]
async fn the_files_of_a_form_are_written() {
    let bench = Bench::written().await;
    for (table, file) in FILES {
        let items = bench.items(table).await;
        let items: BTreeMap<&String, _> = items.iter().map(|(name, item)| (name, to_json(item))).collect();
        let text = serde_json::to_string_pretty(&items).unwrap();
        std::fs::write(path(&format!("v{}/{file}", format::NEWEST)), format!("{text}\n")).unwrap();
    }
}

#[tokio::test]
async fn items_of_the_first_release_are_read() {
    Bench::of_the_first_release(|_| ()).await.assert_reads().await;
}

#[tokio::test]
async fn attributes_of_a_later_release_are_ignored() {
    let later = |item: &mut Item| {
        item.insert("later".to_owned(), AttributeValue::S("ignored".to_owned()));
        item.insert(format::FIELD.to_owned(), AttributeValue::N(format::NEWEST.to_string()));
        if let Some(AttributeValue::S(document)) = item.get_mut("j") {
            *document = document.replacen('{', r#"{"later":{"deep":[1]},"#, 1);
        }
    };
    Bench::of_the_first_release(later).await.assert_reads().await;
}

#[tokio::test]
async fn the_first_release_could_read_todays_items() {
    let bench = Bench::written().await;
    for (table, file) in FILES {
        let now = bench.items(table).await;
        let then = read(&format!("v1/{file}"));
        let names: BTreeSet<&String> = then.keys().collect();
        assert!(names.is_subset(&now.keys().collect()), "{names:?}\n{:?}", now.keys());
        for (name, item) in &then {
            assert_says_still(name, item, &to_json(&now[name]));
        }
    }
}

#[tokio::test]
async fn a_keys_last_use_is_read_from_where_either_release_noted_it_and_the_later_counts() {
    let bench = Bench::new().await;
    let used = |ms| Some(now().plus_millis(ms));
    let of_the_first_release = ApiKey {
        last_used_at: used(1_000),
        ..api_key()
    };
    bench.store.put_api_key(&of_the_first_release).await.unwrap();
    let id = &of_the_first_release.id;
    let read = || async { bench.store.api_key(id).await.unwrap().unwrap() };
    assert_eq!(read().await, of_the_first_release);
    for (noted, later) in [(500, 1_000), (2_000, 2_000)] {
        bench.store.touch_api_key(id, now().plus_millis(noted)).await.unwrap();
        assert_eq!(read().await.last_used_at, used(later));
        assert_eq!(bench.store.api_keys(None, 10).await.unwrap().items, [read().await]);
    }
    // One that is gone stays gone.
    assert!(bench.store.delete_api_key(id).await.unwrap());
    bench.store.touch_api_key(id, now()).await.unwrap();
    assert_eq!(bench.store.api_key(id).await.unwrap(), None);
}

#[tokio::test]
async fn an_item_from_the_future_is_neither_misread_nor_overwritten() {
    let newer = |item: &mut Item| {
        let number = (format::NEWEST + 1).to_string();
        item.insert(format::FIELD.to_owned(), AttributeValue::N(number));
    };
    let bench = Bench::of_the_first_release(newer).await;
    let before = (bench.items(CONFIG).await, bench.items(EVENTS).await);
    let store = &bench.store;
    let own = own_event();
    let refused = [
        store.tenant_config(&tenant()).await.err(),
        store.api_key(&api_key().id).await.err(),
        store.event(&tenant(), &own.id, now()).await.err(),
        store
            .events_between(&tenant(), own.shard(), now(), now().plus_millis(1), 10, true)
            .await
            .err(),
        store.delivery(&tenant(), &deliveries()[1].id, now(), 4).await.err(),
        store.job(&tenant(), &replay_id()).await.err(),
        store.put_event(&own).await.err(),
        store
            .put_api_key(&api_key())
            .await
            .err()
            .filter(|error| !matches!(error, StoreError::Conflict(_))),
    ];
    for (at, error) in refused.iter().take(7).enumerate() {
        assert!(matches!(error, Some(StoreError::Newer(_))), "{at}: {error:?}");
    }
    assert!(refused[7].is_none());
    assert_eq!((bench.items(CONFIG).await, bench.items(EVENTS).await), before);
}
