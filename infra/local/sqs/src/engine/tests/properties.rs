//! What must hold whatever is done in whatever order: nothing is lost, nothing is doubled, the counts are the sums, and
//! the journal cut at any byte gives back everything that was acknowledged before it.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::record::Frame;

#[derive(Debug, Clone)]
enum Step {
    Send {
        queue: usize,
        group: u8,
        delay_s: i64,
    },
    Receive {
        queue: usize,
        max: usize,
        visibility_s: u32,
    },
    Delete {
        pick: usize,
    },
    Hide {
        pick: usize,
        seconds: i64,
    },
    Wait {
        ms: i64,
    },
    Tick,
    MoveBack,
    SetLimit {
        max: u32,
    },
}

const QUEUES: [&str; 3] = [MAIN, NEXT, DEAD];

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..3usize, 0..4u8, 0..3i64).prop_map(|(queue, group, delay_s)| Step::Send { queue, group, delay_s }),
        6 => (0..3usize, 1..10usize, 0..5u32)
            .prop_map(|(queue, max, visibility_s)| Step::Receive { queue, max, visibility_s }),
        3 => any::<usize>().prop_map(|pick| Step::Delete { pick }),
        2 => (any::<usize>(), 0..5i64).prop_map(|(pick, seconds)| Step::Hide { pick, seconds }),
        3 => (1..4_000i64).prop_map(|ms| Step::Wait { ms }),
        1 => Just(Step::Tick),
        1 => Just(Step::MoveBack),
        1 => (1..4u32).prop_map(|max| Step::SetLimit { max }),
    ]
}

/// What a client that keeps books knows.
struct Books {
    engine: Engine,
    now_ms: i64,
    sent: usize,
    /// Bodies sent and not deleted.
    live: BTreeSet<String>,
    /// Handles with the body they name and whether they are that body's last.
    handles: Vec<(usize, String, String)>,
    journal: Vec<u8>,
    /// After each step: the journal's length and what was live.
    acknowledged: Vec<(usize, BTreeSet<String>)>,
}

impl Books {
    fn new(carries: bool) -> Self {
        let count = if carries {
            ReceiveCountOnMove::Carries
        } else {
            ReceiveCountOnMove::Restarts
        };
        let settings = Settings {
            receive_count_on_move: count,
            in_flight: 12,
            id_seed: 1,
            ..Settings::default()
        };
        let mut books = Self {
            engine: chain(settings, 2, 3),
            now_ms: T0,
            sent: 0,
            live: BTreeSet::new(),
            handles: Vec::new(),
            journal: Vec::new(),
            acknowledged: Vec::new(),
        };
        books.settle();
        books
    }

    fn settle(&mut self) {
        assert!(self.engine.take_fault().is_none());
        self.journal.extend(self.engine.take_outbox());
        self.acknowledged.push((self.journal.len(), self.live.clone()));
        self.engine.queues.iter().for_each(Queue::check);
        assert_eq!(
            bodies(&self.engine),
            self.live.iter().cloned().collect::<Vec<_>>(),
            "lost or doubled"
        );
    }

    fn is_last(&self, pick: usize) -> bool {
        let (_, _, body) = &self.handles[pick];
        self.handles.iter().rposition(|(_, _, other)| other == body) == Some(pick)
    }

    fn take(&mut self, step: &Step) {
        match *step {
            Step::Send { queue, group, delay_s } => {
                let text = format!("m{}", self.sent);
                self.sent += 1;
                let group = (group > 0).then(|| format!("g{group}"));
                self.engine.put(
                    self.now_ms,
                    QUEUES[queue],
                    Outgoing {
                        group,
                        delay_s: Some(delay_s),
                        ..body(&text)
                    },
                );
                self.live.insert(text);
            }
            Step::Receive {
                queue,
                max,
                visibility_s,
            } => self.receive(queue, max, visibility_s),
            Step::Delete { pick } if !self.handles.is_empty() => {
                let pick = pick % self.handles.len();
                let (queue, handle, body) = self.handles[pick].clone();
                let queue_number = self.engine.queue_number(QUEUES[queue]).unwrap();
                let is_there = self.engine.queues[queue_number as usize]
                    .iter()
                    .any(|m| *m.body == *body);
                self.engine.remove(QUEUES[queue], &handle).unwrap();
                // A move, like another receive, takes the message out of the handle's reach.
                let received = self.engine.queues[queue_number as usize]
                    .iter()
                    .any(|m| *m.body == *body);
                if is_there && !received {
                    assert!(self.is_last(pick), "a stale handle deleted {body}");
                    self.live.remove(&body);
                }
            }
            Step::Hide { pick, seconds } if !self.handles.is_empty() => {
                let (queue, handle, _) = self.handles[pick % self.handles.len()].clone();
                // It may be stale, moved or visible again: an error, and nothing lost.
                let _ = self.engine.hide(self.now_ms, QUEUES[queue], &handle, seconds);
            }
            Step::Wait { ms } => self.now_ms += ms,
            Step::Tick => drop(self.engine.tick(self.now_ms)),
            Step::MoveBack => {
                let dead = self.engine.queue_number(DEAD).unwrap();
                let horizon = self.engine.move_horizon();
                while self.engine.move_some(self.now_ms, dead, None, horizon).unwrap().1 {}
            }
            Step::SetLimit { max } => {
                let redrive = policy(&self.engine, NEXT, max);
                let main = self.engine.queue_number(MAIN).unwrap();
                self.engine
                    .set_attributes(self.now_ms, main, &attributes(&[("RedrivePolicy", redrive)]))
                    .unwrap();
            }
            Step::Delete { .. } | Step::Hide { .. } => {}
        }
        self.settle();
    }

    fn receive(&mut self, queue: usize, max: usize, visibility_s: u32) {
        let number = self.engine.queue_number(QUEUES[queue]).unwrap();
        let taken = self
            .engine
            .receive(self.now_ms, number, max, Some(visibility_s))
            .unwrap();
        assert!(taken.messages.len() <= max);
        let mut seen = BTreeSet::new();
        for received in taken.messages {
            assert!(self.live.contains(&*received.body), "a deleted message came back");
            assert!(
                seen.insert(received.body.to_string()),
                "one receive gave a message twice"
            );
            self.handles
                .push((queue, received.receipt_handle, received.body.to_string()));
        }
        assert!(self.engine.queue(number).unwrap().counts().in_flight <= 12);
    }
}

/// The bodies in all queues, sorted, doubles included.
fn bodies(engine: &Engine) -> Vec<String> {
    let mut bodies: Vec<_> = engine
        .queues
        .iter()
        .flat_map(Queue::iter)
        .map(|m| m.body.to_string())
        .collect();
    bodies.sort();
    bodies
}

fn replayed(settings: &Arc<Settings>, mut bytes: &[u8]) -> Engine {
    let mut engine = Engine::new(Arc::clone(settings));
    while let Frame::Whole(record, length) = record::decode(bytes) {
        engine.apply(*record);
        bytes = &bytes[length..];
    }
    engine
}

fn records(engine: &Engine) -> Vec<Record> {
    let mut records = Vec::new();
    let written: Result<(), ()> = engine.snapshot(|record| {
        let mut record = record.clone();
        if let Record::Stored { message, .. } = &mut record {
            message.ticket = 0;
        }
        records.push(record);
        Ok(())
    });
    written.unwrap();
    records
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_or_doubled_and_counts_are_sums(
        carries in any::<bool>(),
        steps in prop::collection::vec(step(), 1..80),
    ) {
        let mut books = Books::new(carries);
        steps.iter().for_each(|step| books.take(step));
    }

    #[test]
    fn a_replayed_journal_is_the_state_that_wrote_it_and_so_is_its_snapshot(
        carries in any::<bool>(),
        steps in prop::collection::vec(step(), 1..80),
    ) {
        let mut books = Books::new(carries);
        steps.iter().for_each(|step| books.take(step));
        let mut again = replayed(&books.engine.settings, &books.journal);
        let mut snapshot = Vec::new();
        again.snapshot(|record| record::encode(record, &mut snapshot)).unwrap();
        let mut third = replayed(&books.engine.settings, &snapshot);
        for engine in [&mut books.engine, &mut again, &mut third] {
            // What time alone does is not in the journal.
            engine.tick(books.now_ms);
            engine.queues.iter().for_each(Queue::check);
        }
        prop_assert_eq!(records(&again), records(&books.engine));
        prop_assert_eq!(records(&third), records(&books.engine));
    }

    #[test]
    fn a_journal_cut_at_any_byte_holds_all_that_was_acknowledged_and_nothing_that_was_deleted(
        steps in prop::collection::vec(step(), 1..60),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 20),
    ) {
        let mut books = Books::new(true);
        steps.iter().for_each(|step| books.take(step));
        for cut in cuts {
            let cut = cut.index(books.journal.len() + 1);
            let last = books.acknowledged.iter().rposition(|(end, _)| *end <= cut);
            let there: BTreeSet<String> = bodies(&replayed(&books.engine.settings, &books.journal[..cut])).into_iter().collect();
            let Some(last) = last else {
                prop_assert!(there.is_empty());
                continue;
            };
            let before = &books.acknowledged[last].1;
            // The step that the cut went through may have happened or not: nobody was told.
            let after = books.acknowledged.get(last + 1).map_or(before, |(_, live)| live);
            let all: BTreeSet<String> = before.intersection(after).cloned().collect();
            let any: BTreeSet<String> = before.union(after).cloned().collect();
            prop_assert!(there.is_superset(&all), "lost: {:?}", all.difference(&there));
            prop_assert!(there.is_subset(&any), "came back: {:?}", there.difference(&any));
        }
    }
}
