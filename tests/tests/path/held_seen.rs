//! What several environments see of one endpoint, told to the same tables: when it is put on hold and when it is not, and by
//! whom. Each [`Watch`] is one environment; requests are left out, so that minutes of traffic fit into a test.

use redial_dispatcher::Who;
use redial_dispatcher::health::Watch;
use redial_domain::hold::HoldReason;
use redial_domain::{EndpointId, TenantId};
use redial_platform::cache::ConfigCache;
use redial_platform::metrics::{Kept, Metrics, Recorder};
use redial_platform::notices::Notifier;
use redial_platform::store::config::Change;
use redial_platform::store::health::{Health, LastFailure};
use redial_platform::{Clock, Random};
use serde_json::json;

use crate::world::{Behaviour, World};

/// The environments of a dispatcher, all watching one endpoint.
struct Fleet<'a> {
    world: &'a World,
    who: Who,
    clock: Clock,
    kept: Kept,
    watches: Vec<Watch>,
}

impl<'a> Fleet<'a> {
    async fn of(world: &'a World, environments: usize) -> Self {
        let endpoint = world.endpoint("acme", Behaviour::Always(500), json!({})).await;
        let who = (
            TenantId::parse("acme").unwrap(),
            EndpointId::parse(&endpoint.id).unwrap(),
        );
        let mut fleet = Self {
            world,
            who,
            clock: world.services().2,
            kept: Kept::default(),
            watches: Vec::new(),
        };
        fleet.watches = (0..environments).map(|_| fleet.watch()).collect();
        fleet
    }

    /// A new environment.
    fn watch(&self) -> Watch {
        let (store, clock, random) = (self.world.store().clone(), self.clock.clone(), Random::seeded(9));
        let cache = ConfigCache::new(store.clone(), clock.clone(), random.clone());
        let notifier = Notifier::new(store.clone(), cache.clone(), clock.clone(), random);
        Watch::new(store, cache, notifier, clock)
    }

    fn recorder(&self) -> Recorder {
        let metrics: Metrics = self.kept.metrics();
        metrics.begin(self.clock.now())
    }

    /// An attempt that fails in one of them, untold.
    fn fails(&self, environment: usize) {
        let failure = LastFailure {
            at: self.clock.now(),
            status: Some(500),
            code: "http_error".to_owned(),
        };
        self.watches[environment].failed(&self.who, failure);
    }

    fn succeeds(&self, environment: usize) {
        self.watches[environment].succeeded(&self.who, false);
    }

    /// The end of a batch.
    async fn tells(&self, environment: usize) {
        let recorder = self.recorder();
        self.watches[environment].tell(&self.who, &recorder).await.unwrap();
    }

    async fn health(&self) -> Option<Health> {
        let store = self.world.store();
        store.health(&self.who.0, &self.who.1, self.clock.now()).await.unwrap()
    }

    /// Since when and why it is on hold, if the health and the endpoint say the same of it.
    async fn held(&self) -> Option<HoldReason> {
        let health = self.health().await;
        let open = health.and_then(|health| health.open);
        let config = self.world.store().tenant_config(&self.who.0).await.unwrap().unwrap();
        let told = config.endpoint(&self.who.1).unwrap().hold;
        assert_eq!(open, told.map(|hold| (hold.since, hold.reason)));
        told.map(|hold| hold.reason)
    }

    fn pass_ms(&self, ms: i64) {
        self.clock.advance_to(self.clock.now().plus_millis(ms));
    }

    fn counted(&self, name: &str) -> u64 {
        self.kept.totals().get(name).map_or(0, |values| values.iter().sum())
    }
}

#[tokio::test]
async fn the_tenth_failure_in_a_row_opens_wherever_each_was_seen() {
    let world = World::new().await;
    let fleet = Fleet::of(&world, 10).await;
    for environment in 0..9 {
        fleet.fails(environment);
        fleet.tells(environment).await;
        fleet.pass_ms(61_000);
    }
    assert_eq!(fleet.held().await, None);
    fleet.fails(9);
    fleet.tells(9).await;
    assert_eq!(fleet.held().await, Some(HoldReason::FailuresInRow));
    assert_eq!(fleet.counted("Opened"), 1);
}

#[tokio::test]
async fn a_success_between_begins_the_row_anew() {
    let world = World::new().await;
    let fleet = Fleet::of(&world, 2).await;
    for _ in 0..9 {
        fleet.fails(0);
    }
    fleet.tells(0).await;
    fleet.pass_ms(61_000);
    fleet.succeeds(0);
    fleet.tells(0).await;
    assert_eq!(fleet.health().await.unwrap().numbers.failures_in_row, 0);
    for _ in 0..9 {
        fleet.fails(1);
    }
    fleet.tells(1).await;
    assert_eq!(fleet.held().await, None);

    // Seen by an environment that had nothing to tell, and told with its next failure.
    fleet.pass_ms(61_000);
    fleet.succeeds(0);
    fleet.pass_ms(1);
    fleet.fails(0);
    fleet.tells(0).await;
    assert_eq!(fleet.health().await.unwrap().numbers.failures_in_row, 1);
    // A success before failures of others that are known ends no row.
    fleet.succeeds(0);
    fleet.pass_ms(1);
    fleet.fails(1);
    fleet.tells(1).await;
    fleet.pass_ms(1);
    fleet.fails(0);
    fleet.tells(0).await;
    assert_eq!(fleet.health().await.unwrap().numbers.failures_in_row, 3);
    assert_eq!(fleet.held().await, None);
}

#[tokio::test]
async fn half_of_twenty_within_a_minute_open_and_the_same_in_two_minutes_do_not() {
    let world = World::new().await;
    let fleet = Fleet::of(&world, 1).await;
    for attempt in 0..19 {
        if attempt == 9 {
            fleet.pass_ms(120_000);
        }
        fleet.succeeds(0);
        fleet.fails(0);
        fleet.tells(0).await;
        assert_eq!(
            fleet.held().await.is_some(),
            attempt == 18,
            "attempt {attempt} of each kind"
        );
    }
    assert_eq!(fleet.held().await, Some(HoldReason::FailureShare));
}

/// 10 minutes of 200 attempts a second, one in a hundred of which fails, in so many environments. A failed delivery is tried
/// again five seconds later, anywhere.
async fn one_percent(environments: usize) {
    const ATTEMPTS: usize = 120_000;
    const RETRY_AFTER: usize = 1_000;
    let world = World::new().await;
    let fleet = Fleet::of(&world, environments).await;
    let random = Random::seeded(u64::try_from(environments).unwrap());
    let number = move |below: u128| random.number() % below;
    let (mut failed, mut most) = (Vec::new(), 0);
    for attempt in 0..ATTEMPTS {
        fleet.pass_ms(5);
        let environment = usize::try_from(number(environments as u128)).unwrap();
        let again = failed.first().is_some_and(|first| first + RETRY_AFTER <= attempt);
        if again {
            failed.remove(0);
        }
        if number(100) == 0 {
            failed.push(attempt);
            fleet.fails(environment);
        } else {
            fleet.watches[environment].succeeded(&fleet.who, again);
        }
        fleet.tells(environment).await;
        if attempt % 2_000 == 0 {
            let row = fleet.health().await.map_or(0, |health| health.numbers.failures_in_row);
            most = most.max(row);
        }
    }
    assert_eq!((fleet.held().await, fleet.counted("Opened")), (None, 0));
    assert!(most < 10);
}

#[tokio::test]
async fn one_percent_of_failures_at_200_a_second_never_opens_in_one_environment() {
    one_percent(1).await;
}

#[tokio::test]
async fn one_percent_of_failures_at_200_a_second_never_opens_in_fifty_environments() {
    one_percent(50).await;
}

#[tokio::test]
async fn of_environments_that_open_it_at_once_one_does() {
    let world = World::new().await;
    world.endpoint("operator", Behaviour::Always(200), json!({})).await;
    let fleet = Fleet::of(&world, 4).await;
    for environment in 0..4 {
        for _ in 0..10 {
            fleet.fails(environment);
        }
    }
    tokio::join!(fleet.tells(0), fleet.tells(1), fleet.tells(2), fleet.tells(3));
    assert_eq!(fleet.held().await, Some(HoldReason::FailuresInRow));
    assert_eq!(fleet.counted("Opened"), 1);
    let told = world.get("/v1/tenants/operator/events?type=endpoint.held").await;
    assert_eq!(told["items"].as_array().unwrap().len(), 1, "{told}");
    let told = world.get("/v1/tenants/operator/events?type=endpoint.failing").await;
    assert_eq!(told["items"].as_array().unwrap().len(), 1, "{told}");
}

#[tokio::test]
async fn what_a_crash_leaves_untold_is_a_little_of_a_count_and_what_it_leaves_half_the_next_one_ends() {
    let world = World::new().await;
    let mut fleet = Fleet::of(&world, 2).await;
    for _ in 0..9 {
        fleet.fails(0);
    }
    // Killed after its attempts were recorded, before it told.
    fleet.watches[0] = fleet.watch();
    fleet.fails(1);
    fleet.tells(1).await;
    assert_eq!(fleet.health().await.unwrap().numbers.failures_in_row, 1);

    // Killed between the two writes of an opening: the next failure of anybody makes the second one.
    let (store, now) = (world.store(), fleet.clock.now());
    let (tenant, endpoint) = fleet.who.clone();
    assert!(
        store
            .open(&tenant, &endpoint, HoldReason::FailuresInRow, now)
            .await
            .unwrap()
    );
    fleet.fails(0);
    fleet.tells(0).await;
    assert_eq!(fleet.held().await, Some(HoldReason::FailuresInRow));
}

#[tokio::test]
async fn opening_waits_for_other_changes_of_the_tenant_and_leaves_alone_who_is_paused() {
    let world = World::new().await;
    let fleet = Fleet::of(&world, 2).await;
    for environment in 0..2 {
        for _ in 0..10 {
            fleet.fails(environment);
        }
    }
    // The environment's copy is older than a change of the tenant.
    let store = world.store();
    let config = store.tenant_config(&fleet.who.0).await.unwrap().unwrap();
    store
        .change(&fleet.who.0, config.version, Change::PutTenant(&config.tenant))
        .await
        .unwrap();
    fleet.tells(0).await;
    assert_eq!(fleet.held().await, Some(HoldReason::FailuresInRow));

    let world = World::new().await;
    let fleet = Fleet::of(&world, 1).await;
    let path = format!("/v1/tenants/acme/endpoints/{}/pause", fleet.who.1);
    world.call("POST", &path, json!({}), 200).await;
    for _ in 0..10 {
        fleet.fails(0);
    }
    fleet.tells(0).await;
    assert_eq!(fleet.held().await, None);
}
