//! When the data key is fetched, by whom, and how often; and that whoever cannot open secrets keeps them as they are.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures_util::future::join_all;
use redial_domain::signature::Secret;
use redial_domain::{EndpointId, TenantId, Timestamp};
use redial_local::connector::{Answer, Service, dynamodb_client, kms_client};
use redial_local::dynamodb::Dynamo;
use redial_local::kms::Kms;
use redial_local::template::Template;
use redial_platform::seal::Credentials;
use redial_platform::secrets::{DataKeyError, MAX_AGE_MS, Secrets, SecretsError};
use redial_platform::store::Tables;
use redial_platform::store::data_keys::DataKeys;
use redial_platform::{Clock, Random, Store};
use serde_json::{Value, json};

use crate::world::{Behaviour, World, gate};

/// A service that counts what it is asked, and fails as often as it is told.
struct Counting<S> {
    service: S,
    asked: Arc<AtomicUsize>,
    failures: Arc<AtomicUsize>,
}

impl<S: Service> Service for Counting<S> {
    async fn answer(&self, operation: &str, body: Bytes) -> Answer {
        self.asked.fetch_add(1, Ordering::SeqCst);
        // Whoever waits for the same answer gets the time to begin.
        tokio::task::yield_now().await;
        let fails = |left: usize| left.checked_sub(1);
        if self
            .failures
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, fails)
            .is_ok()
        {
            return Answer::error(400, "DisabledException", "the key is disabled");
        }
        self.service.answer(operation, body).await
    }
}

/// Tables and KMS, as environments of functions share them.
struct Shared {
    dynamo: Dynamo,
    kms: Kms,
    clock: Clock,
    reads: Arc<AtomicUsize>,
    unwraps: Arc<AtomicUsize>,
    failures: Arc<AtomicUsize>,
}

impl Shared {
    async fn new() -> Self {
        let dynamo = Dynamo::memory().unwrap();
        for table in Template::built_in().unwrap().tables {
            dynamo.ensure(&table).await.unwrap();
        }
        Self {
            dynamo,
            kms: Kms::new("SecretsKey", &[5; 32], Random::System),
            clock: Clock::manual(Timestamp::from_millis(1_795_000_000_000)),
            reads: Arc::default(),
            unwraps: Arc::default(),
            failures: Arc::default(),
        }
    }

    /// What a new environment has.
    fn environment(&self) -> Secrets {
        let tables = Tables {
            config: "ConfigTable".to_owned(),
            events: "EventsTable".to_owned(),
        };
        let dynamodb = dynamodb_client(Counting {
            service: self.dynamo.clone(),
            asked: Arc::clone(&self.reads),
            failures: Arc::default(),
        });
        let kms = kms_client(Counting {
            service: self.kms.clone(),
            asked: Arc::clone(&self.unwraps),
            failures: Arc::clone(&self.failures),
        });
        let store = Store::new(dynamodb, tables);
        Secrets::new(store, kms, self.kms.arn(), self.clock.clone(), Random::seeded(6))
    }

    /// The tables, uncounted.
    fn store(&self) -> Store {
        let tables = Tables {
            config: "ConfigTable".to_owned(),
            events: "EventsTable".to_owned(),
        };
        Store::new(dynamodb_client(self.dynamo.clone()), tables)
    }

    /// Calls of DynamoDB and KMS since the last look.
    fn calls(&self) -> (usize, usize) {
        let taken = |calls: &AtomicUsize| calls.swap(0, Ordering::SeqCst);
        (taken(&self.reads), taken(&self.unwraps))
    }
}

fn place() -> (TenantId, EndpointId) {
    (TenantId::parse("acme").unwrap(), EndpointId::mint(1))
}

fn credentials() -> Credentials {
    Credentials::new(Secret::from_random([1; 32]))
}

#[tokio::test]
async fn concurrent_first_uses_share_one_fetch_and_later_ones_need_none() {
    let shared = Shared::new().await;
    let (tenant, endpoint) = place();
    let sealed = shared
        .environment()
        .seal(&tenant, &endpoint, &credentials())
        .await
        .unwrap();
    // Which is the newest, looked for, made, stored, and unwrapped.
    assert_eq!(shared.calls(), (3, 2));
    let secrets = shared.environment();
    assert_eq!(shared.calls(), (0, 0), "nothing is asked before the first use");
    let opened = join_all((0..10).map(|_| secrets.open(&tenant, &endpoint, &sealed))).await;
    assert!(opened.into_iter().all(|opened| opened.unwrap() == credentials()));
    assert_eq!(shared.calls(), (1, 1));
    secrets.open(&tenant, &endpoint, &sealed).await.unwrap();
    assert_eq!(shared.calls(), (0, 0));
    // Which is the newest, for a while.
    secrets.derive_key("cursors").await.unwrap();
    secrets.derive_key("cursors").await.unwrap();
    assert_eq!(shared.calls(), (1, 0));
    shared.clock.advance_to(shared.clock.now().plus_millis(MAX_AGE_MS));
    secrets.derive_key("cursors").await.unwrap();
    assert_eq!(shared.calls(), (1, 0));
}

#[tokio::test]
async fn a_failed_fetch_is_told_to_all_who_waited_for_it_and_tried_again_by_the_next() {
    let shared = Shared::new().await;
    let (tenant, endpoint) = place();
    let sealed = shared
        .environment()
        .seal(&tenant, &endpoint, &credentials())
        .await
        .unwrap();
    shared.calls();
    let secrets = shared.environment();
    shared.failures.store(1, Ordering::SeqCst);
    for opened in join_all((0..10).map(|_| secrets.open(&tenant, &endpoint, &sealed))).await {
        let Err(SecretsError::DataKey(error)) = opened else {
            panic!("{opened:?}")
        };
        assert!(
            matches!(
                *error,
                DataKeyError::Kms {
                    operation: "Decrypt",
                    ..
                }
            ),
            "{error}"
        );
        assert!(error.to_string().contains("the key is disabled"));
    }
    assert_eq!(shared.calls(), (1, 1));
    assert_eq!(secrets.open(&tenant, &endpoint, &sealed).await.unwrap(), credentials());
}

#[tokio::test]
async fn environments_that_make_the_data_key_at_once_agree_on_the_first() {
    let shared = Shared::new().await;
    let (tenant, endpoint) = place();
    let environments: Vec<Secrets> = (0..4).map(|_| shared.environment()).collect();
    let credentials = credentials();
    let sealed = environments
        .iter()
        .map(|secrets| secrets.seal(&tenant, &endpoint, &credentials));
    for sealed in join_all(sealed).await {
        let sealed = sealed.unwrap();
        for secrets in &environments {
            assert_eq!(secrets.open(&tenant, &endpoint, &sealed).await.unwrap(), credentials);
        }
    }
}

#[tokio::test]
async fn environments_that_know_the_old_data_key_pick_up_the_new_one() {
    let shared = Shared::new().await;
    let (tenant, endpoint) = place();
    let (warm, signs, credentials) = (shared.environment(), shared.environment(), credentials());
    let old = warm.seal(&tenant, &endpoint, &credentials).await.unwrap();
    signs.open(&tenant, &endpoint, &old).await.unwrap();
    let old_key = warm.derive_key("cursors").await.unwrap();
    // Another environment rotates.
    let rotates = shared.environment();
    rotates.prepare(2).await.unwrap();
    let store = shared.store();
    let keys = DataKeys {
        current: 2,
        readable: vec![1],
        ..DataKeys::default()
    };
    let revision = store.put_data_keys(&keys, 0).await.unwrap();
    shared.calls();
    // Who signs knows the new key by the value, and asks for it once; what it knew stays known.
    let new = rotates.reseal(2, (&tenant, &endpoint), &old).await.unwrap().unwrap();
    assert_eq!(rotates.reseal(2, (&tenant, &endpoint), &new).await.unwrap(), None);
    shared.calls();
    for _ in 0..2 {
        assert_eq!(signs.open(&tenant, &endpoint, &new).await.unwrap(), credentials);
        assert_eq!(signs.open(&tenant, &endpoint, &old).await.unwrap(), credentials);
    }
    assert_eq!(shared.calls(), (1, 1));
    // Who seals, at once; who derives, soon, and knows what others derive before that.
    let sealed = warm.seal(&tenant, &endpoint, &credentials).await.unwrap();
    assert_eq!(sealed.key_version(), Some(2));
    let behind = shared.environment();
    let new_key = warm.derive_key("cursors").await.unwrap();
    assert_eq!((old_key.version, new_key.version), (1, 2));
    assert_ne!(old_key.key, new_key.key);
    for known in [&old_key, &new_key] {
        let derived = behind.derived_key("cursors", known.version).await.unwrap().unwrap();
        assert_eq!(derived.key, known.key);
    }
    assert!(
        behind.derived_key("cursors", 3).await.unwrap().is_none(),
        "nobody made it"
    );
    // Retired: what was derived from it is known to nobody any more.
    let keys = DataKeys {
        readable: Vec::new(),
        ..keys
    };
    store.put_data_keys(&keys, revision).await.unwrap();
    store.retire_data_key(1, shared.clock.now()).await.unwrap();
    shared.clock.advance_to(shared.clock.now().plus_millis(MAX_AGE_MS));
    assert!(behind.derived_key("cursors", 1).await.unwrap().is_none());
    let opened = behind.open(&tenant, &endpoint, &old).await;
    assert!(
        matches!(&opened, Err(SecretsError::DataKey(error)) if matches!(**error, DataKeyError::Missing { version: 1 }))
    );
    assert_eq!(behind.open(&tenant, &endpoint, &new).await.unwrap(), credentials);
    assert_eq!(format!("{new_key:?}"), "DerivedKey(redacted, version 2)");
}

#[tokio::test]
async fn whoever_only_opens_never_makes_a_data_key() {
    let shared = Shared::new().await;
    let other = Shared::new().await;
    let (tenant, endpoint) = place();
    let sealed = other
        .environment()
        .seal(&tenant, &endpoint, &credentials())
        .await
        .unwrap();
    let opened = shared.environment().open(&tenant, &endpoint, &sealed).await;
    assert!(
        matches!(&opened, Err(SecretsError::DataKey(error)) if matches!(**error, DataKeyError::Missing { version: 1 }))
    );
    assert_eq!(shared.calls(), (1, 0));
    // One that is there and does not fit is another fault.
    shared
        .environment()
        .seal(&tenant, &endpoint, &credentials())
        .await
        .unwrap();
    let opened = shared.environment().open(&tenant, &endpoint, &sealed).await;
    assert!(matches!(opened, Err(SecretsError::Seal(_))));
}

#[tokio::test]
async fn kms_is_asked_for_the_first_secret_by_the_api_and_then_by_who_signs() {
    let gate = gate();
    let world = World::behind(&gate).await;
    let asked_kms = || -> BTreeSet<String> {
        let calls = gate.granted();
        let of_kms = calls.iter().filter(|call| call.action.starts_with("kms:"));
        of_kms
            .map(|call| format!("{} {}", call.function, call.action))
            .collect()
    };
    world.call("PUT", "/v1/tenants/acme", json!({}), 201).await;
    world
        .post(json!({"type": "call.ended", "tenant": "acme", "id": "e1", "data": {}}))
        .await;
    world.get("/v1/tenants/acme/events").await;
    world.pass_ms(600_000).await;
    world.sweep().await;
    assert_eq!(asked_kms(), BTreeSet::new());
    let endpoint = world.endpoint("acme", Behaviour::Always(200), json!({})).await;
    let by_api = ["Api kms:Decrypt", "Api kms:GenerateDataKey"].map(str::to_owned);
    assert_eq!(asked_kms(), BTreeSet::from(by_api.clone()));
    world
        .post(json!({"type": "call.ended", "tenant": "acme", "id": "e2", "data": {}}))
        .await;
    world.run_to_the_end().await;
    world.requests(&endpoint)[0].verify(&endpoint.secret);
    let mut all = BTreeSet::from(by_api);
    all.insert("Dispatcher kms:Decrypt".to_owned());
    assert_eq!(asked_kms(), all);
}

#[tokio::test]
async fn a_dispatcher_that_disables_an_endpoint_leaves_its_secrets_as_they_are() {
    let world = World::new().await;
    let endpoint = world.endpoint("acme", Behaviour::Always(410), json!({})).await;
    let (tenant, id) = (
        TenantId::parse("acme").unwrap(),
        EndpointId::parse(&endpoint.id).unwrap(),
    );
    let stored = || async {
        let config = world.store().tenant_config(&tenant).await.unwrap().unwrap();
        config.endpoint(&id).unwrap().as_ref().clone()
    };
    let before = stored().await;
    world
        .post(json!({"type": "call.ended", "tenant": "acme", "id": "e1", "data": {}}))
        .await;
    world.run_to_the_end().await;
    let after = stored().await;
    assert_eq!(after.endpoint.state.as_str(), "disabled");
    assert_eq!(after.sealed, before.sealed);
    let path = format!("/v1/tenants/acme/endpoints/{}", endpoint.id);
    let shown = world.get(&format!("{path}/secret")).await;
    assert_eq!(shown["secret"], endpoint.secret.reveal());
    // Neither does a change that is not about them.
    world.call("PATCH", &path, json!({"description": "d"}), 200).await;
    assert_eq!(stored().await.sealed, before.sealed);
    world.call("POST", &format!("{path}/rotate"), Value::Null, 200).await;
    assert_ne!(stored().await.sealed, before.sealed);
}
