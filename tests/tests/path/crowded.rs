//! A crowd of what is due, on tables that take their time: it neither keeps another tenant's deliveries waiting nor the
//! repair, and what one pass leaves the next one takes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use redial_domain::delivery::DeliveryState;
use redial_domain::retry::RetryPolicy;
use redial_domain::{DeliveryId, EndpointId, EventId, EventTypeName, TenantId};
use redial_local::connector::{Answer, Service, dynamodb_client};
use redial_local::dynamodb::Dynamo;
use redial_platform::metrics::Kept;
use redial_platform::store::Tables;
use redial_platform::store::deliveries::{DeliveryRecord, Recorded};
use redial_platform::store::due::Due;
use redial_platform::{Clock, Random, Store, keys};
use redial_sweeper::{Parts, Sweeper};
use serde_json::{Value, json};

use crate::world::{Behaviour, World};

/// What waits for one endpoint: more than a pass has time for.
const CROWD: usize = 300;
/// How long a write takes, in milliseconds.
const WRITE_MS: i64 = 500;
/// The timeout of the sweeper's function (template.yaml), in milliseconds.
const TIMEOUT_MS: i64 = 120_000;
/// A page of the sweeper's.
const PAGE: usize = 100;

/// Tables that count how many writes of deliveries are under way together, and by whose clock each takes its time, one
/// after another. One delivery may be refused.
struct Slow {
    dynamo: Dynamo,
    clock: Clock,
    write_ms: i64,
    refused: Option<String>,
    writes: Arc<Writes>,
}

#[derive(Default)]
struct Writes {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Service for Slow {
    async fn answer(&self, operation: &str, body: Bytes) -> Answer {
        if operation != "PutItem" {
            return self.dynamo.answer(operation, body).await;
        }
        let request: Value = serde_json::from_slice(&body).unwrap();
        let refused = self.refused.as_ref();
        if refused.is_some_and(|id| {
            request["Item"]["sk"]["S"]
                .as_str()
                .unwrap()
                .ends_with(&format!("/{id}"))
        }) {
            return Answer::error(400, "AccessDeniedException", "not this one");
        }
        let together = self.writes.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.writes.most.fetch_max(together, Ordering::SeqCst);
        tokio::task::yield_now().await;
        self.clock.advance_to(self.clock.now().plus_millis(self.write_ms));
        let answer = self.dynamo.answer(operation, body).await;
        self.writes.now.fetch_sub(1, Ordering::SeqCst);
        answer
    }
}

/// A sweeper of that world on slow tables.
fn sweeper(world: &World, write_ms: i64, refused: Option<String>) -> (Sweeper, Arc<Writes>) {
    let (dynamo, queues, clock) = world.services();
    let writes = Arc::new(Writes::default());
    let slow = Slow {
        dynamo,
        clock: clock.clone(),
        write_ms,
        refused,
        writes: Arc::clone(&writes),
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
    (Sweeper::new(parts), writes)
}

/// Ids of `count` events that are in a partition of `by_due`.
fn ids_in(partition: &str, count: usize) -> Vec<String> {
    let ids = (0..).map(|n| format!("c{n}"));
    ids.filter(|id| keys::due_partition(id) == partition)
        .take(count)
        .collect()
}

/// Writes down that these deliveries waited for their endpoint's limit, and are due one after another.
async fn wait(world: &World, tenant: &str, ids: &[String]) {
    let (_, _, clock) = world.services();
    let now = clock.now();
    for (left, id) in (0i64..).zip(ids.iter().rev()) {
        // In this order: the last one is due now.
        let due_at = now.plus_millis(-left);
        let record = DeliveryRecord {
            tenant: TenantId::parse(tenant).unwrap(),
            id: DeliveryId {
                event: EventId::parse(id).unwrap(),
                endpoint: EndpointId::mint(1),
                replay: None,
            },
            accepted_at: now,
            shards: 1,
            event_type: EventTypeName::parse("call.ended").unwrap(),
            state: DeliveryState::Held,
            attempts: 0,
            last: None,
            reason: Some("rate_limited".to_owned()),
            next_at: Some(now),
            due_at: Some(due_at),
            held_at: Some(now),
            expires_at: now.plus_millis(86_400_000),
            dropped: false,
            redriven: None,
            agent: None,
            traceparent: None,
        };
        assert_eq!(world.store().record_state(&record).await.unwrap(), Recorded::Written);
    }
}

#[tokio::test]
async fn a_crowd_keeps_neither_other_partitions_nor_the_repair_waiting() {
    let world = World::new().await;
    let endpoint = world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    world
        .post(json!({"type": "call.ended", "tenant": "acme", "id": "lost", "data": {}}))
        .await;
    world.purge("DeliveryQueue").await;
    world.stand_still_ms(600_000);
    let partitions: Vec<String> = keys::due_partitions().collect();
    wait(&world, "crowd", &ids_in(&partitions[0], CROWD)).await;
    for other in &partitions[1..] {
        wait(&world, "others", &ids_in(other, 1)).await;
    }

    let (_, _, clock) = world.services();
    let began = clock.now();
    let (sweeper, writes) = sweeper(&world, WRITE_MS, None);
    let summary = sweeper.sweep().await.unwrap();
    let took_ms = clock.now().millis_since(began);
    assert!(took_ms < TIMEOUT_MS, "{took_ms}");
    // Less than a page: there was no time for all of it.
    let sent = usize::try_from(summary.sent).unwrap();
    assert!((partitions.len()..PAGE).contains(&sent), "{summary:?}");
    assert_eq!((summary.unfinished, summary.repaired), (1, 1), "{summary:?}");
    let most = writes.most.load(Ordering::SeqCst);
    assert!(most >= partitions.len(), "{most} at the same time");

    let rest = world.sweep().await;
    let all = CROWD + partitions.len() - 1;
    assert_eq!((rest.sent, rest.unfinished), ((all - sent) as u64, 0));
    world.settle().await;
    assert_eq!(world.requests(&endpoint).len(), 1);
}

#[tokio::test]
async fn a_page_that_takes_longer_than_a_pass_ends_in_time_and_is_gone_on_with() {
    let world = World::new().await;
    let partition = keys::due_partitions().next().unwrap();
    wait(&world, "crowd", &ids_in(&partition, PAGE)).await;
    let (_, _, clock) = world.services();
    let began = clock.now();
    // As an endpoint that is let go takes, whose backlog is counted.
    let (sweeper, _) = sweeper(&world, 2_000, None);
    let summary = sweeper.sweep().await.unwrap();
    let took_ms = clock.now().millis_since(began);
    assert!(took_ms < TIMEOUT_MS, "{took_ms}");
    assert_eq!(summary.unfinished, 1, "{summary:?}");
    let rest = world.sweep().await;
    assert_eq!((summary.sent + rest.sent, rest.unfinished), (PAGE as u64, 0));
}

#[tokio::test]
async fn what_was_marked_beside_one_that_fails_is_sent_all_the_same() {
    let world = World::new().await;
    let partition = keys::due_partitions().next().unwrap();
    let ids = ids_in(&partition, 50);
    wait(&world, "crowd", &ids).await;
    let (sweeper, _) = sweeper(&world, 0, Some(ids[20].clone()));
    assert!(sweeper.sweep().await.is_err());
    let sent = world.waiting_in("DeliveryQueue");
    assert!((20..ids.len()).contains(&sent), "{sent}");
    // Whatever was marked is not due for a while: what is due still is what was not sent.
    let rest = world.sweep().await.sent;
    assert_eq!(sent as u64 + rest, ids.len() as u64);
}

#[tokio::test]
async fn what_nobody_wrote_down_as_held_is_written_32_at_once() {
    const EVENTS: usize = 70;
    let world = World::new().await;
    let endpoint = world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    let one = json!({"type": "call.ended", "tenant": "acme", "data": {}});
    world.call("POST", "/v1/events", json!(vec![one; EVENTS]), 202).await;
    world.purge("DeliveryQueue").await;
    let path = format!("/v1/tenants/acme/endpoints/{}/pause", endpoint.id);
    world.call("POST", &path, Value::Null, 200).await;
    world.stand_still_ms(600_000);
    let (sweeper, writes) = sweeper(&world, 0, None);
    let summary = sweeper.sweep().await.unwrap();
    assert_eq!((summary.held, summary.repaired), (EVENTS as u64, 0), "{summary:?}");
    assert_eq!(writes.most.load(Ordering::SeqCst), 32);
}

/// More of one tenant than its share of a pass, which is 500.
const SHARE: usize = 500;
/// How long a write takes, in milliseconds, with which a pass comes to more than a share, and not to the end of the crowd.
const BRISK_MS: i64 = 80;

#[tokio::test]
async fn a_tenants_crowd_keeps_no_other_waiting_that_is_behind_it_in_the_same_partition() {
    let world = World::new().await;
    let partition = keys::due_partitions().next().unwrap();
    let mut ids = ids_in(&partition, SHARE + 201);
    // Behind all of the crowd, by its time.
    let other = ids.split_off(SHARE + 200);
    wait(&world, "crowd", &ids).await;
    world.stand_still_ms(1_000);
    wait(&world, "other", &other).await;
    world.purge("DeliveryQueue").await;

    let (sweeper, writes) = sweeper(&world, BRISK_MS, None);
    let summary = sweeper.sweep().await.unwrap();
    assert_eq!(summary.unfinished, 1, "{summary:?}");
    assert!(writes.most.load(Ordering::SeqCst) > 1);
    let sent = usize::try_from(summary.sent).unwrap();
    // The share, the other one, and as much of the rest as there was time for.
    assert!((SHARE + 1..SHARE + 200).contains(&sent), "{sent}");
    let now = world.services().2.now();
    let due = world.store().due(&partition, now, 1_000, None).await.unwrap();
    assert!(
        due.items
            .iter()
            .all(|item| matches!(item, Due::Delivery(record) if record.tenant.as_str() == "crowd"))
    );
    let rest = world.sweep().await;
    assert_eq!(
        (usize::try_from(rest.sent).unwrap() + sent, rest.unfinished),
        (ids.len() + 1, 0)
    );
}
