//! The order of execution, sync and answers, stepped by hand on one thread.

use std::cell::RefCell;
use std::sync::mpsc::sync_channel;

use dynoxide::Database;
use serde_json::json;
use tokio::sync::oneshot::error::TryRecvError;

use super::*;

/// An executor and a settler without threads. `synced` counts the syncs; a sync fails while `disk_is_full`.
struct Bench<'a> {
    executor: Executor,
    settler: Settler<Box<dyn FnMut(u64) -> io::Result<()> + 'a>>,
    state: Arc<State>,
}

#[derive(Default)]
struct Disk {
    syncs: RefCell<usize>,
    fails: RefCell<bool>,
}

fn bench(disk: &Disk) -> Bench<'_> {
    let state = Arc::new(State::new());
    let (unsettled, executed) = sync_channel(MAX_UNSETTLED);
    let db = Database::memory().unwrap();
    let sync: Box<dyn FnMut(u64) -> io::Result<()>> = Box::new(|_| {
        *disk.syncs.borrow_mut() += 1;
        if *disk.fails.borrow() {
            Err(io::ErrorKind::StorageFull.into())
        } else {
            Ok(())
        }
    });
    let mut bench = Bench {
        executor: Executor::new(db, Arc::clone(&state), Some(unsettled)),
        settler: Settler::new(Arc::clone(&state), executed, sync),
        state,
    };
    let mut made = bench.call(
        Operation::CreateTable,
        &json!({
            "TableName": "things", "BillingMode": "PAY_PER_REQUEST",
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
            "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
        }),
    );
    assert!(bench.settler.settle());
    assert_eq!(made.try_recv().unwrap().status, 200);
    *disk.syncs.borrow_mut() = 0;
    bench
}

impl Bench<'_> {
    fn call(&mut self, operation: Operation, body: &serde_json::Value) -> oneshot::Receiver<Answer> {
        let (reply, answer) = oneshot::channel();
        self.executor.execute(Call {
            caller: None,
            operation,
            body: body.to_string().into(),
            reply,
        });
        answer
    }

    fn put(&mut self, key: &str) -> oneshot::Receiver<Answer> {
        self.call(
            Operation::PutItem,
            &json!({"TableName": "things", "Item": {"pk": {"S": key}}, "ConditionExpression": "attribute_not_exists(pk)"}),
        )
    }

    fn get(&mut self, key: &str) -> oneshot::Receiver<Answer> {
        self.call(
            Operation::GetItem,
            &json!({"TableName": "things", "Key": {"pk": {"S": key}}}),
        )
    }
}

fn waits(answer: &mut oneshot::Receiver<Answer>) -> bool {
    answer.try_recv() == Err(TryRecvError::Empty)
}

#[test]
fn no_write_is_answered_before_the_sync_that_follows_it_and_all_that_wait_share_it() {
    let disk = Disk::default();
    let mut bench = bench(&disk);
    let mut answers: Vec<_> = (0..10).map(|i| bench.put(&format!("k{i}"))).collect();
    assert!(answers.iter_mut().all(waits));
    assert_eq!(*disk.syncs.borrow(), 0);
    bench.settler.settle();
    assert!(
        answers
            .iter_mut()
            .all(|answer| answer.try_recv().unwrap().status == 200)
    );
    assert_eq!(*disk.syncs.borrow(), 1);
}

#[test]
fn a_read_that_may_have_seen_an_unsynced_write_waits_for_its_sync() {
    let disk = Disk::default();
    let mut bench = bench(&disk);
    let mut put = bench.put("a");
    let mut get = bench.get("a");
    assert!(waits(&mut put) && waits(&mut get));
    bench.settler.settle();
    assert!(get.try_recv().unwrap().body.starts_with(br#"{"Item""#));
    assert_eq!(put.try_recv().unwrap().status, 200);
}

#[test]
fn a_read_of_what_is_on_disk_needs_no_sync() {
    let disk = Disk::default();
    let mut bench = bench(&disk);
    drop(bench.put("a"));
    bench.settler.settle();
    assert_eq!(bench.get("a").try_recv().unwrap().status, 200);
    assert_eq!(*disk.syncs.borrow(), 1);
}

#[test]
fn a_refused_condition_waits_too_because_it_tells_of_a_write() {
    let disk = Disk::default();
    let mut bench = bench(&disk);
    let (mut won, mut lost) = (bench.put("a"), bench.put("a"));
    assert!(waits(&mut won) && waits(&mut lost));
    bench.settler.settle();
    assert_eq!(
        (won.try_recv().unwrap().status, lost.try_recv().unwrap().status),
        (200, 400)
    );
}

#[test]
fn a_failed_sync_fails_all_that_waited_and_nothing_is_answered_again() {
    let disk = Disk::default();
    let mut bench = bench(&disk);
    drop(bench.put("before"));
    bench.settler.settle();
    *disk.fails.borrow_mut() = true;
    let (mut put, mut get) = (bench.put("a"), bench.get("a"));
    bench.settler.settle();
    assert_eq!(
        (put.try_recv().unwrap().status, get.try_recv().unwrap().status),
        (500, 500)
    );
    *disk.fails.borrow_mut() = false;
    assert_eq!(bench.put("b").try_recv().unwrap().status, 500);
    assert_eq!(bench.get("before").try_recv().unwrap().status, 500);
    assert!(matches!(*bench.state.failure.borrow(), Some(StorageFailure::Sync(_))));
}

#[test]
fn what_was_executed_before_a_failed_sync_is_refused_after_it() {
    let disk = Disk::default();
    let mut bench = bench(&disk);
    let mut first = bench.put("a");
    bench.state.lose(StorageFailure::Panicked {
        operation: "PutItem".into(),
    });
    bench.settler.settle();
    assert_eq!(first.try_recv().unwrap().status, 500);
    assert_eq!(*disk.syncs.borrow(), 0);
}

#[test]
fn the_first_failure_is_the_one_that_is_told() {
    let state = State::new();
    state.report(StorageFailure::Operation {
        operation: "PutItem".into(),
        reason: "disk full".into(),
    });
    state.lose(StorageFailure::Panicked {
        operation: "GetItem".into(),
    });
    let first = state.failure.borrow().clone().unwrap();
    assert_eq!(first.to_string(), "DynamoDB's storage failed in PutItem: disk full");
}

#[test]
fn a_caller_that_went_away_does_not_disturb_the_others() {
    let disk = Disk::default();
    let mut bench = bench(&disk);
    drop(bench.put("a"));
    let mut stayed = bench.put("b");
    bench.settler.settle();
    assert_eq!(stayed.try_recv().unwrap().status, 200);
    assert_eq!(bench.get("a").try_recv().unwrap().status, 200);
}
