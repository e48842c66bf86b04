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
