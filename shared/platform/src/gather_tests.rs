//! What goes together, what does not wait, and what a panic takes with it.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Semaphore;

use super::*;

/// Batches, in the order in which they began.
type Batches = Arc<Mutex<Vec<Vec<u32>>>>;

/// Doubles numbers; keeps the batches, and waits for a permit before each.
fn doubling(most: usize, at_once: usize) -> (Gather<u32, u32>, Batches, Arc<Semaphore>) {
    let (batches, gate) = (Batches::default(), Arc::new(Semaphore::new(0)));
    let (seen, open) = (Arc::clone(&batches), Arc::clone(&gate));
    let limits = Limits {
        most,
        at_once,
        goes_with: |items: &[u32], item: &u32| !items.contains(item),
    };
    let gather = Gather::new(limits, move |items: Vec<u32>| {
        let (seen, open) = (Arc::clone(&seen), Arc::clone(&open));
        async move {
            seen.lock().unwrap().push(items.clone());
            open.acquire().await.unwrap().forget();
            assert!(!items.contains(&13), "unlucky");
            items.into_iter().map(|n| n * 2).collect()
        }
        .boxed()
    });
    (gather, batches, gate)
}

/// Asks for each in a task of its own, in order.
async fn ask_all(gather: &Gather<u32, u32>, numbers: &[u32]) -> Vec<tokio::task::JoinHandle<Option<u32>>> {
    let mut asked = Vec::new();
    for n in numbers {
        let (gather, n) = (gather.clone(), *n);
        asked.push(tokio::spawn(async move { gather.ask(n).await }));
        for _ in 0..5 {
            tokio::task::yield_now().await;
        }
    }
    asked
}

async fn outcomes(asked: Vec<tokio::task::JoinHandle<Option<u32>>>) -> Vec<Option<u32>> {
    let mut got = Vec::new();
    for one in asked {
        got.push(one.await.unwrap());
    }
    got
}

#[tokio::test]
async fn the_first_two_go_at_once_and_what_comes_meanwhile_goes_together() {
    let (gather, batches, gate) = doubling(25, 4);
    let asked = ask_all(&gather, &[1, 2, 3, 4, 5, 6]).await;
    assert_eq!(*batches.lock().unwrap(), [vec![1], vec![2]]);
    gate.add_permits(100);
    assert_eq!(outcomes(asked).await, [2, 4, 6, 8, 10, 12].map(Some));
    assert_eq!(*batches.lock().unwrap(), [vec![1], vec![2], vec![3, 4, 5, 6]]);
    assert_eq!(gather.ask(7).await, Some(14), "and afterwards it begins anew");
}

#[tokio::test]
async fn full_batches_go_beside_each_other_up_to_a_limit() {
    let (gather, batches, gate) = doubling(2, 4);
    let asked = ask_all(&gather, &(1..=12).collect::<Vec<_>>()).await;
    let begun = [vec![1], vec![2], vec![3, 4], vec![5, 6]];
    assert_eq!(*batches.lock().unwrap(), begun);
    gate.add_permits(100);
    assert_eq!(outcomes(asked).await.len(), 12);
    assert_eq!(batches.lock().unwrap().len(), 7);
}

#[tokio::test]
async fn what_may_not_go_together_goes_one_after_the_other() {
    let (gather, batches, gate) = doubling(25, 2);
    let asked = ask_all(&gather, &[1, 2, 3, 3, 4, 3]).await;
    gate.add_permits(100);
    assert_eq!(outcomes(asked).await, [2, 4, 6, 6, 8, 6].map(Some));
    let together = |batch: &Vec<u32>| batch.iter().filter(|n| **n == 3).count() <= 1;
    assert!(batches.lock().unwrap().iter().all(together));
}

#[tokio::test]
async fn a_panic_is_its_batch_s_alone_and_who_gives_up_spoils_nothing() {
    let (gather, _, gate) = doubling(1, 2);
    let asked = ask_all(&gather, &[13, 1, 13, 13, 2]).await;
    let given_up = ask_all(&gather, &[3]).await;
    given_up[0].abort();
    gate.add_permits(100);
    assert_eq!(outcomes(asked).await, [None, Some(2), None, None, Some(4)]);
    assert_eq!(gather.ask(5).await, Some(10));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_is_forgotten_however_callers_and_calls_meet() {
    let done = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&done);
    let limits = Limits {
        most: 3,
        at_once: 3,
        goes_with: |_: &[usize], _: &usize| true,
    };
    let gather = Gather::new(limits, move |items: Vec<usize>| {
        count.fetch_add(items.len(), Ordering::Relaxed);
        async move { items }.boxed()
    });
    let callers = (0..16).map(|caller| {
        let gather = gather.clone();
        tokio::spawn(async move {
            for n in 0..500 {
                assert_eq!(gather.ask(caller * 1000 + n).await, Some(caller * 1000 + n));
            }
        })
    });
    for caller in callers.collect::<Vec<_>>() {
        caller.await.unwrap();
    }
    assert_eq!(done.load(Ordering::Relaxed), 16 * 500);
}
