//! What may be removed, how long is waited, what is shown; on real queues: that a look changes nothing.

use aws_sdk_sqs::types::Message;
use clap::Parser as _;
use redial_sqs::{Outgoing, ReceiveCountOnMove};
use tempfile::TempDir;

use super::*;
use crate::cli::Cli;
use crate::cli::tests::Page;
use crate::runtime::{Services, Storage};
use crate::template::Template;

const QUEUE: &str = "DeadLetterQueue";

const DELIVERY: &str = r#"{"t":"acme","e":"src_1","a":1,"s":4,"p":"ep_1","v":7}"#;

fn found() -> BTreeMap<String, Letter> {
    let bodies = [("poison", "\u{1b}[2J{"), ("later", r#"{"fv":9}"#), ("ours", DELIVERY)];
    let letters = bodies.map(|(id, body)| {
        let message = Message::builder().message_id(id).receipt_handle("r").body(body).build();
        (id.to_owned(), Letter::from_received(message).unwrap())
    });
    letters.into()
}

fn ids(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn what_some_redial_can_read_is_not_removed_by_accident() {
    let wanted = ids(&["poison", "later", "ours", "elsewhere"]);
    let (gone, stays) = judge(&found(), &wanted, false);
    assert_eq!(
        (gone, stays),
        (vec!["poison".to_owned()], vec!["later".to_owned(), "ours".to_owned()])
    );
    let (gone, stays) = judge(&found(), &wanted, true);
    assert_eq!((gone.len(), stays.len()), (3, 0));
    assert_eq!(judge(&found(), &ids(&["elsewhere"]), true), (Vec::new(), Vec::new()));
}

#[test]
fn it_waits_until_the_intake_has_let_go_unless_told_otherwise() {
    let counts = Counts {
        visible: 0,
        in_hand: 1,
        visibility_s: 720,
    };
    let now = Timestamp::from_millis(0);
    assert_eq!(deadline(None, counts, now), Timestamp::from_millis(780_000));
    assert_eq!(deadline("5s".parse().ok(), counts, now), Timestamp::from_millis(5_000));
}

#[test]
fn a_list_shows_why_and_obeys_no_control_character() {
    let shown = |json| {
        let page = Page::default();
        let mut output = Output::to(Box::new(page.clone()), json);
        render(found().values(), 2, Timestamp::from_millis(0), &mut output).unwrap();
        page.text()
    };
    let text = shown(false);
    assert!(!text.contains('\u{1b}'));
    for part in [
        "poison",
        "not what a queue of Redial carries",
        "written by a newer Redial, in form 9",
        "src_1.ep_1",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let document: Value = serde_json::from_str(&shown(true)).unwrap();
    assert_eq!(
        (document["unseen"].as_u64(), document["items"].as_array().unwrap().len()),
        (Some(2), 3)
    );
    assert_eq!(document["items"][1]["body"]["t"], "acme");
}

#[tokio::test]
async fn without_a_deployment_it_says_what_to_do_instead() {
    let lines = [
        ("list", "--tenant TENANT"),
        ("queue list", "give --stack"),
        ("queue show m-1", "give --stack"),
        ("queue remove m-1 --yes", "give --stack"),
        // As they were called before.
        ("show m-1", "give --stack"),
        ("remove m-1 --yes", "give --stack"),
    ];
    for (line, advice) in lines {
        let words = format!("redial dead-letters {line}");
        let cli = Cli::try_parse_from(words.split(' ')).unwrap();
        let Some(crate::cli::Command::DeadLetters(args)) = cli.command else {
            panic!("{line}");
        };
        let refused = run(args).await.unwrap_err();
        assert!(matches!(refused, CliError::Usage(_)));
        let said = refused.to_string();
        assert!(said.contains(advice), "{said}");
        assert!(said.contains("redial dead-letters list --tenant TENANT"), "{said}");
    }
}

/// A deployment's dead-letter queue, in this process.
struct Stand {
    services: Services,
    queue: DeadLetterQueue,
    _folder: TempDir,
}

impl Stand {
    async fn with(bodies: &[&str]) -> Self {
        let folder = TempDir::new().unwrap();
        let storage = Storage::TablesInMemory {
            queues: folder.path().to_owned(),
        };
        // The real one: a receive waits a second to ask all of the queue, and nobody moves another clock meanwhile.
        let clock = Clock::System;
        let template = Template::built_in().unwrap();
        let count = ReceiveCountOnMove::default();
        let services = Services::open(&storage, &template, clock.clone(), count).await.unwrap();
        for body in bodies {
            let message = Outgoing {
                body: (*body).to_owned(),
                ..Outgoing::default()
            };
            let sent = services.sqs().send_batch(QUEUE, vec![message]).await.unwrap();
            assert!(sent.iter().all(Result::is_ok));
        }
        Self {
            queue: DeadLetterQueue::new(services.sqs_client(), services.queue_url(QUEUE), clock),
            services,
            _folder: folder,
        }
    }

    /// What there is to see now.
    async fn look(&self) -> BTreeMap<String, Letter> {
        let mut seen = BTreeMap::new();
        let look = self.queue.look(Timestamp::default(), |found| {
            seen.clone_from(found);
            Decision {
                remove: Vec::new(),
                enough: false,
            }
        });
        look.await.unwrap();
        seen
    }

    /// Messages that anybody can receive, and messages in somebody's hand.
    async fn counts(&self) -> (usize, usize) {
        let counts = self.queue.counts().await.unwrap();
        assert!(counts.visibility_s > 0);
        (counts.visible, counts.in_hand)
    }

    async fn remove(&self, ids: &[&str], even_readable: bool) -> (Finish, Value) {
        let page = Page::default();
        let mut output = Output::to(Box::new(page.clone()), true);
        let wait = "0s".parse().ok();
        let finish = remove(&self.queue, &self::ids(ids), even_readable, wait, &mut output).await;
        (finish.unwrap(), serde_json::from_str(&page.text()).unwrap())
    }
}

#[tokio::test]
async fn a_look_shows_everything_and_hides_nothing() {
    let bodies: Vec<String> = (0..47).map(|n| format!("poison {n}")).collect();
    let stand = Stand::with(&bodies.iter().map(String::as_str).collect::<Vec<_>>()).await;
    for _ in 0..2 {
        assert_eq!(stand.look().await.len(), 47);
        assert_eq!(stand.counts().await, (47, 0));
    }
}

#[tokio::test]
async fn what_somebody_has_in_hand_is_left_and_counted() {
    let stand = Stand::with(&["a", "b", "c"]).await;
    let taken = stand.services.sqs().receive(QUEUE, 1, 0, Some(60)).await.unwrap();
    let seen = stand.look().await;
    assert_eq!((seen.len(), taken.len()), (2, 1));
    assert_eq!(stand.counts().await, (2, 1));
}

#[tokio::test]
async fn only_what_is_named_is_removed_and_readable_letters_only_on_purpose() {
    let stand = Stand::with(&["poison", "other poison", DELIVERY]).await;
    let seen = stand.look().await;
    let id = |why: fn(&Letter) -> bool| seen.values().find(|letter| why(letter)).unwrap().id.clone();
    let poison = id(|letter| letter.reading == Reading::Unreadable);
    let readable = id(|letter| letter.reading == Reading::Readable);
    let (finish, said) = stand.remove(&[&poison, &readable, "elsewhere"], false).await;
    assert_eq!(finish, Finish::Partial);
    assert_eq!(
        said,
        json!({ "removed": [poison], "kept": [readable], "missing": ["elsewhere"] })
    );
    assert_eq!(stand.counts().await, (2, 0));
    let (finish, _) = stand.remove(&[&readable], true).await;
    assert_eq!(finish, Finish::Complete);
    assert_eq!(stand.counts().await, (1, 0));
}
