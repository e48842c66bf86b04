//! Tests of the machine: it is made of what the template says, and refuses a template that calls what is not there.

use redial_domain::Timestamp;
use redial_platform::{Clock, Random};

use super::*;

fn settings() -> FunctionSettings {
    FunctionSettings {
        clock: Clock::manual(Timestamp::from_millis(1_795_000_000_000)),
        random: Random::seeded(1),
        ..FunctionSettings::new("http://127.0.0.1:4080", [7; 32])
    }
}

fn storage(folder: &tempfile::TempDir) -> Storage {
    Storage::TablesInMemory {
        queues: folder.path().to_owned(),
    }
}

async fn attribute(machine: &Machine, queue: &str, name: &str) -> Option<String> {
    let client = machine.services().sqs_client();
    let call = client
        .get_queue_attributes()
        .queue_url(machine.services().queue_url(queue));
    let answer = call.attribute_names("All".into()).send().await.unwrap();
    answer.attributes().and_then(|all| all.get(&name.into())).cloned()
}

#[tokio::test]
async fn queues_are_as_the_template_says_also_after_it_changed() {
    let folder = tempfile::tempdir().unwrap();
    let mut template = Template::built_in().unwrap();
    let machine = Machine::open(&template, &storage(&folder), settings()).await.unwrap();
    let visibility = "VisibilityTimeout";
    assert_eq!(
        attribute(&machine, "DeliveryQueue", visibility).await.as_deref(),
        Some("360")
    );
    let redrive = attribute(&machine, "DeliveryQueue", "RedrivePolicy").await.unwrap();
    assert!(redrive.contains(":RetryQueue") && redrive.contains('3'), "{redrive}");
    machine.close().await;
    for queue in &mut template.queues {
        queue.visibility_s += 100;
        queue.redrive = None;
    }
    let machine = Machine::open(&template, &storage(&folder), settings()).await.unwrap();
    assert_eq!(
        attribute(&machine, "DeliveryQueue", visibility).await.as_deref(),
        Some("460")
    );
    assert_eq!(attribute(&machine, "DeliveryQueue", "RedrivePolicy").await, None);
    machine.close().await;
}

#[tokio::test]
async fn a_template_that_calls_an_unknown_function_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut template = Template::built_in().unwrap();
    template.mappings[0].function = "Ingest".to_owned();
    let refused = Machine::open(&template, &storage(&folder), settings())
        .await
        .err()
        .unwrap();
    assert!(matches!(&refused, MachineError::NoFunction { function, .. } if function == "Ingest"));
    let folder = tempfile::tempdir().unwrap();
    let mut template = Template::built_in().unwrap();
    template.schedules[0].function = "Replay".to_owned();
    let refused = Machine::open(&template, &storage(&folder), settings())
        .await
        .err()
        .unwrap();
    assert!(matches!(&refused, MachineError::NoFunction { function, .. } if function == "Replay"));
}

#[tokio::test]
async fn an_idle_machine_has_nothing_to_do_and_stops_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let machine = Machine::open(&Template::built_in().unwrap(), &storage(&folder), settings())
        .await
        .unwrap();
    assert_eq!(machine.run_until_idle().await.unwrap(), 0);
    assert_eq!(machine.next_deadline(), None);
    assert_eq!(machine.advance_to_next_deadline(), None);
    let counts = machine.services().queue_counts().unwrap();
    assert_eq!(counts.len(), 4);
    assert!(counts.values().all(|counts| *counts == redial_sqs::Counts::default()));
    // Dropped, its tasks end; nothing was under way.
    assert_eq!(machine.start().stop(Duration::from_secs(30)).await, 0);
    machine.close().await;
}

/// What an endpoint's secrets are now, as the API shows them.
async fn secret_of(machine: &Machine, key: &str, tenant: &str, endpoint: &str) -> serde_json::Value {
    use tower::ServiceExt as _;
    let request = axum::http::Request::get(format!("/v1/tenants/{tenant}/endpoints/{endpoint}/secret"))
        .header("authorization", format!("Bearer {key}"))
        .body(axum::body::Body::empty())
        .unwrap();
    let response = machine.router().oneshot(request).await.unwrap();
    assert_eq!(response.status(), 200);
    let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    serde_json::from_slice(&body).unwrap()
}

/// Before there was a KMS in it, a data folder's secrets lay under the key of its file itself.
#[tokio::test]
async fn secrets_of_a_data_folder_from_before_the_kms_are_opened_as_ever() {
    use redial_domain::endpoint::{Endpoint, EndpointState};
    use redial_domain::signature::Secret;
    use redial_domain::{EndpointId, TenantId};
    use redial_platform::auth::{self, Scope};
    use redial_platform::seal::{Credentials, Sealer};
    use redial_platform::store::config::{Change, Tenant};

    let folder = tempfile::tempdir().unwrap();
    let storage = Storage::Folder(folder.path().to_owned());
    let template = Template::built_in().unwrap();
    let open = || Machine::open(&template, &storage, settings());
    let now = settings().clock.now();
    let (tenant, id) = (TenantId::parse("acme").unwrap(), EndpointId::mint(1));
    let secret = Secret::from_random([3; 32]);
    let (key, stored) = auth::mint(&Random::seeded(2), &Scope::Operator, "test", now);

    // As such a folder was left: an endpoint, and no data key.
    let machine = open().await.unwrap();
    let store = machine.functions().store();
    store.put_api_key(&stored).await.unwrap();
    let made = Tenant::new(tenant.clone(), now);
    let version = store.change(&tenant, 0, Change::PutTenant(&made)).await.unwrap();
    let sealer = Sealer::new(&settings().secrets_key, Random::seeded(3));
    let credentials = Credentials::new(secret.clone());
    let sealed = sealer.seal(&tenant, &id, &credentials).unwrap();
    let written = serde_json::json!({
        "url": "https://example.com/hook", "timeout_ms": 10_000, "event_types": [], "agents": [], "exclude_agents": []
    });
    let mut endpoint = Endpoint {
        id: id.clone(),
        tenant: tenant.clone(),
        state: EndpointState::Active,
        settings: serde_json::from_value(written).unwrap(),
        version: 0,
        created_at: now,
        updated_at: now,
        kept_until: None,
        kept_at: None,
    };
    let change = Change::PutEndpoint(&mut endpoint, &sealed);
    store.change(&tenant, version, change).await.unwrap();
    assert_eq!(store.wrapped_data_key(1).await.unwrap(), None);
    machine.close().await;

    for _ in 0..2 {
        let machine = open().await.unwrap();
        let shown = secret_of(&machine, key.reveal(), "acme", id.as_str()).await;
        assert_eq!(shown["secret"], secret.reveal());
        machine.close().await;
    }
}
