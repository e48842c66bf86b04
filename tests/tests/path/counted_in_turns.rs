//! More to count than a pass of the sweeper has time for, on tables that take their time: each pass ends in time, the next one
//! goes on where it stopped, and no tenant starves another.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use bytes::Bytes;
use futures_util::future::{Either, pending, select};
use redial_domain::delivery::DeliveryState;
use redial_domain::id::encode_time;
use redial_domain::retry::RetryPolicy;
use redial_domain::{DeliveryId, EndpointId, EventId, EventTypeName, ReplayId, TenantId, Timestamp};
use redial_local::connector::{Answer, Service, dynamodb_client};
use redial_local::dynamodb::Dynamo;
use redial_platform::metrics::Kept;
use redial_platform::store::deliveries::{DeliveryRecord, Recorded};
use redial_platform::store::events::{PutEvent, StoredEvent};
use redial_platform::store::sweep::SweepMark;
use redial_platform::store::{Store, Tables};
use redial_platform::{Clock, Random, keys};
use redial_sweeper::{Parts, Sweeper};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::world::{Behaviour, World};

const HOUR_MS: i64 = 3_600_000;
/// The timeout of the sweeper's function (template.yaml), in milliseconds.
const TIMEOUT_MS: i64 = 120_000;

/// What the tables were asked, and how long they take.
#[derive(Default)]
struct Asked {
    /// How long a query takes by the clock, in milliseconds.
    query_ms: AtomicI64,
    /// If given, only a query with this in it takes any time.
    only: Option<String>,
    /// Most rows of deliveries that one query answered.
    most: AtomicUsize,
    /// Told when something reads the partition that never answers.
    hangs: Notify,
}

struct Slow {
    dynamo: Dynamo,
    clock: Clock,
    asked: Arc<Asked>,
    /// The partition that never answers.
    hanging: Option<String>,
}

impl Service for Slow {
    async fn answer(&self, operation: &str, body: Bytes) -> Answer {
        if operation != "Query" {
            return self.dynamo.answer(operation, body).await;
        }
        let request: Value = serde_json::from_slice(&body).unwrap();
        let partition = request["ExpressionAttributeValues"][":pk"]["S"].as_str().unwrap_or("");
        if self.hanging.as_deref() == Some(partition) {
            self.asked.hangs.notify_one();
            return pending().await;
        }
        let is_slow = self
            .asked
            .only
            .as_ref()
            .is_none_or(|text| request.to_string().contains(text));
        let query_ms = if is_slow {
            self.asked.query_ms.load(Ordering::SeqCst)
        } else {
            0
        };
        self.clock.advance_to(self.clock.now().plus_millis(query_ms));
        let answer = self.dynamo.answer(operation, body).await;
        if partition.starts_with("d/") {
            let rows: Value = serde_json::from_slice(&answer.body).unwrap();
            let count = rows["Items"].as_array().map_or(0, Vec::len);
            self.asked.most.fetch_max(count, Ordering::SeqCst);
        }
        answer
    }
}

/// A sweeper of that world whose queries take so long; one partition may never answer.
fn sweeper(world: &World, query_ms: i64, hanging: Option<&str>) -> (Sweeper, Arc<Asked>) {
    let asked = Asked {
        query_ms: query_ms.into(),
        ..Asked::default()
    };
    sweeper_of(world, asked, hanging)
}

fn sweeper_of(world: &World, asked: Asked, hanging: Option<&str>) -> (Sweeper, Arc<Asked>) {
    let (dynamo, queues, clock) = world.services();
    let asked = Arc::new(asked);
    let slow = Slow {
        dynamo,
        clock: clock.clone(),
        asked: Arc::clone(&asked),
        hanging: hanging.map(str::to_owned),
    };
    let tables = Tables {
        config: "ConfigTable".to_owned(),
        events: "EventsTable".to_owned(),
    };
    let parts = Parts {
        store: Store::new(dynamodb_client(slow), tables),
        queues,
        clock,
        random: Random::seeded(8),
        default_retry: RetryPolicy::default(),
        metrics: Kept::default().metrics(),
    };
    (Sweeper::new(parts), asked)
}

fn tenant(name: &str) -> TenantId {
    TenantId::parse(name).unwrap()
}

fn now(world: &World) -> Timestamp {
    world.services().2.now()
}

async fn post(world: &World, tenant: &str, id: &str) {
    world
        .post(json!({"type": "call.ended", "tenant": tenant, "id": id, "data": {}}))
        .await;
}

/// A tenant whose endpoint is paused, with an event in each of so many hours: none of them is ever finished.
async fn with_open_hours(world: &World, hours: usize) {
    let paused = world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    let path = format!("/v1/tenants/acme/endpoints/{}/pause", paused.id);
    world.call("POST", &path, Value::Null, 200).await;
    for hour in 0..hours {
        post(world, "acme", &format!("e{hour}")).await;
        world.stand_still_ms(HOUR_MS);
    }
    world.stand_still_ms(600_000);
    world.sweep().await;
}

/// A tenant whose one message is lost, so long ago that the sweeper sends it.
async fn with_a_lost_message(world: &World, tenant: &str) {
    world.endpoint(tenant, Behaviour::Always(200), json!({})).await;
    post(world, tenant, "lost").await;
    world.purge("DeliveryQueue").await;
    world.stand_still_ms(600_000);
}

#[tokio::test]
async fn hours_that_take_longer_than_a_pass_are_counted_by_several_and_starve_no_other_tenant() {
    const OPEN: usize = 30;
    let world = World::new().await;
    with_open_hours(&world, OPEN).await;
    world.stand_still_ms(HOUR_MS - 600_000);
    post(&world, "acme", "last").await;
    with_a_lost_message(&world, "zulu").await;
    world.stand_still_ms(HOUR_MS - 600_000);
    post(&world, "acme", "now").await;
    world.stand_still_ms(400_000);

    // Each hour is eight queries.
    let (sweeper, _) = sweeper(&world, 500, None);
    let (mut hours, mut repaired, mut passes) = (0, Vec::new(), 0);
    loop {
        let (began, before) = (now(&world), world.store().sweep_state(&tenant("acme")).await.unwrap());
        let summary = sweeper.sweep().await.unwrap();
        let took_ms = now(&world).millis_since(began);
        assert!(took_ms < TIMEOUT_MS, "{took_ms} ms: {summary:?}");
        assert_eq!((summary.faults, summary.ledger_difference), (0, 0), "{summary:?}");
        hours += summary.hours;
        repaired.push(summary.repaired);
        let (mark, counting) = world.store().sweep_state(&tenant("acme")).await.unwrap();
        if passes == 0 {
            // What was never counted comes first.
            assert!(mark.unwrap().rolled > before.0.unwrap().rolled);
            assert!(counting.again.is_some() && summary.tenants_left == 1, "{summary:?}");
        }
        passes += 1;
        if counting.again.is_none() {
            break;
        }
        assert!(passes < 10, "{counting:?}");
    }
    // Of each hour a row of the endpoint and one of the tenant; of zulu's those too. None was counted twice.
    assert_eq!(hours, 2 * (OPEN as u64 + 1) + 2);
    assert!(passes > 2, "{passes}");
    assert_eq!(repaired[..2], [0, 1]);
    // What is being counted keeps a tenant among those that are looked at, also if it is quiet; then nothing does.
    let unbalanced = world.store().unbalanced(now(&world)).await.unwrap();
    assert!(!unbalanced.contains_key(&tenant("acme")), "{unbalanced:?}");
}

#[tokio::test]
async fn a_tenant_that_has_every_pass_killed_starves_no_other() {
    let world = World::new().await;
    with_a_lost_message(&world, "acme").await;
    with_a_lost_message(&world, "zulu").await;
    let (sweeper, asked) = sweeper(&world, 0, Some("t/acme"));
    for kills in 0..2 {
        let waiting = world.waiting_in("DeliveryQueue");
        assert_eq!(waiting, 0, "after {kills}");
        let hung = std::pin::pin!(asked.hangs.notified());
        let killed = matches!(select(std::pin::pin!(sweeper.sweep()), hung).await, Either::Right(_));
        assert!(killed);
    }
    assert_eq!(world.waiting_in("DeliveryQueue"), 1);
}

/// An event of acme's with a minted id, in the one shard that it had then.
fn event(at: Timestamp, number: u64, matched: Vec<EndpointId>) -> StoredEvent {
    StoredEvent {
        tenant: tenant("acme"),
        id: EventId::mint(at, 0, number.into()),
        own_id: false,
        accepted_at: at,
        shards: 1,
        digest: Vec::new(),
        matched,
        event_type: EventTypeName::parse("call.ended").unwrap(),
        agent: None,
        call_id: None,
        packed: Vec::new(),
        expires_at: at.plus_millis(30 * 24 * HOUR_MS),
        erased: None,
    }
}

/// Has the sweeper begin with the hour before the clock's, which is settled.
async fn begin_with_the_last_hour(world: &World) -> Timestamp {
    let at = now(world);
    let hour = keys::hour_of(at).plus_millis(-HOUR_MS);
    let mark = SweepMark {
        repaired: at.plus_millis(-300_000),
        rolled: hour,
    };
    world.store().put_sweep_mark(&tenant("acme"), mark).await.unwrap();
    world.store().mark_active(&tenant("acme"), at).await.unwrap();
    hour
}

#[tokio::test]
async fn an_hour_that_takes_longer_than_a_pass_is_gone_on_with_where_the_last_one_stopped() {
    /// More than a slice: 5,000 promised deliveries.
    const EVENTS: u64 = 2_300;
    const ENDPOINTS: u64 = 5;
    let world = World::new().await;
    world.call("PUT", "/v1/tenants/acme", json!({}), 201).await;
    world.stand_still_ms(2 * HOUR_MS + 600_000);
    let hour = begin_with_the_last_hour(&world).await;
    let matched: Vec<EndpointId> = (0..ENDPOINTS).map(|n| EndpointId::mint(n.into())).collect();
    for (ms, number) in (0i64..).zip(0..EVENTS) {
        let event = event(hour.plus_millis(ms), number, matched.clone());
        assert_eq!(world.store().put_event(&event).await.unwrap(), PutEvent::Stored);
    }

    // The first slice takes longer than a pass has.
    let asked = Asked {
        query_ms: 40_000.into(),
        only: Some(encode_time(hour)),
        ..Asked::default()
    };
    let (sweeper, asked) = sweeper_of(&world, asked, None);
    let first = sweeper.sweep().await.unwrap();
    let (mark, counting) = world.store().sweep_state(&tenant("acme")).await.unwrap();
    let part = counting.fresh.unwrap_or_else(|| panic!("{first:?} {mark:?}"));
    assert_eq!((first.hours, mark.unwrap().rolled, part.hour), (0, hour, hour));
    assert!(
        part.reached > hour && part.reached < hour.plus_millis(HOUR_MS),
        "{part:?}"
    );
    // The first part is not looked at again: it may be gone, and is counted all the same.
    for (ms, number) in (0i64..5).zip(0u128..) {
        let key = keys::event(&tenant("acme"), &EventId::mint(hour.plus_millis(ms), 0, number));
        let key = json!({"TableName": "EventsTable", "Key": {"pk": {"S": key.pk}, "sk": {"S": key.sk}}});
        world.in_table("DeleteItem", &key).await;
    }
    asked.query_ms.store(0, Ordering::SeqCst);
    let second = sweeper.sweep().await.unwrap();
    assert_eq!((second.hours, second.ledger_difference), (ENDPOINTS + 1, 0));
    let counts = world.hours("acme").await;
    let all = EVENTS * ENDPOINTS;
    assert_eq!((counts.matched, counts.of(DeliveryState::Queued)), (all, all));
}

#[tokio::test]
async fn a_burst_of_records_is_read_page_by_page() {
    const REPLAYED: u64 = 2_500;
    const PAGE: usize = 1_000;
    let world = World::new().await;
    world.call("PUT", "/v1/tenants/acme", json!({}), 201).await;
    world.stand_still_ms(2 * HOUR_MS + 600_000);
    let hour = begin_with_the_last_hour(&world).await;
    let endpoint = EndpointId::mint(1);
    let promised = event(hour, 0, vec![endpoint.clone()]);
    world.store().put_event(&promised).await.unwrap();
    for number in 0..=REPLAYED {
        let record = DeliveryRecord {
            tenant: tenant("acme"),
            id: DeliveryId {
                event: promised.id.clone(),
                endpoint: endpoint.clone(),
                // The last one is the event's own.
                replay: (number < REPLAYED).then(|| ReplayId::mint(hour, number.into())),
            },
            accepted_at: hour,
            shards: 1,
            event_type: promised.event_type.clone(),
            state: DeliveryState::Canceled,
            attempts: 0,
            last: None,
            reason: None,
            next_at: None,
            due_at: None,
            held_at: None,
            expires_at: promised.expires_at,
            dropped: false,
            redriven: None,
            agent: None,
            traceparent: None,
        };
        assert_eq!(world.store().record_state(&record).await.unwrap(), Recorded::Written);
    }
    let (sweeper, asked) = sweeper(&world, 0, None);
    assert_eq!(sweeper.sweep().await.unwrap().ledger_difference, 0);
    assert_eq!(asked.most.load(Ordering::SeqCst), PAGE);
    let counts = world.hours("acme").await;
    assert_eq!((counts.matched, counts.of(DeliveryState::Canceled)), (1, 1));
}
