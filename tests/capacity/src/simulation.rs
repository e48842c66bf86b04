//! The way of every delivery, second by second: accepted, attempted, waiting in the queue, held, let go. What is decided decide
//! the functions of `redial_domain`; what the tables and the queue would do is counted. Draws from a seed, reads no clock.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap};

use redial_domain::outcome::Outcome;
use redial_domain::retry::RetryPolicy;

use crate::bill::{BATCH, Bill, units};
use crate::environment::{Health, Seen};
use crate::scene::{Dice, Scene};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Queued,
    Retrying,
    Held,
    Succeeded,
    Dead,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Delivery {
    pub(crate) endpoint: u32,
    pub(crate) attempts: u32,
    pub(crate) state: State,
    pub(crate) next_ms: i64,
    accepted_ms: i64,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Message {
    pub(crate) delivery: u32,
    pub(crate) probe: bool,
    /// Sent from the table.
    pub(crate) check: bool,
    /// It was received before and waits out its visibility.
    pub(crate) in_flight: bool,
}

/// What one invocation of the dispatcher has received.
pub(crate) struct Batch {
    pub(crate) environment: usize,
    pub(crate) began_ms: i64,
    pub(crate) attempted: Vec<(Message, Outcome)>,
    pub(crate) deleted: Vec<Message>,
}

/// A recovery that is noticed within this many milliseconds is noticed by the ladder: its last step, and a pass.
pub(crate) const SOON_MS: i64 = 360_000;

/// What came of it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Report {
    pub(crate) bill: Bill,
    pub(crate) most_in_flight: u32,
    /// At one endpoint that is down.
    pub(crate) most_at_one: u32,
    pub(crate) attempts: u64,
    pub(crate) failed: u64,
    pub(crate) held: u64,
    pub(crate) probes: u64,
    pub(crate) opened: u64,
    /// Of endpoints that were not down.
    pub(crate) opened_wrongly: u64,
    pub(crate) queue_was_full: u64,
    pub(crate) succeeded: u64,
    pub(crate) dead: u64,
    /// From the end of the outage until the last endpoint was let go, in milliseconds.
    pub(crate) recovered_ms: i64,
    /// Endpoints that were let go within [`SOON_MS`] of the end of the outage.
    pub(crate) recovered_soon: u64,
    /// From the end of the outage until the last delivery was made that no attempt had failed of, in milliseconds.
    pub(crate) drained_ms: i64,
    /// The same of all.
    pub(crate) all_drained_ms: i64,
}

/// Everything between the endpoints and the bill.
pub(crate) struct Simulation<'a> {
    pub(crate) scene: &'a Scene,
    pub(crate) with_hold: bool,
    pub(crate) now_ms: i64,
    pub(crate) deliveries: Vec<Delivery>,
    pub(crate) health: Vec<Health>,
    /// From when to when each endpoint was on hold.
    pub(crate) holds: Vec<Vec<(i64, i64)>>,
    pub(crate) held: Vec<BTreeSet<u32>>,
    pub(crate) waiting: Vec<u32>,
    pub(crate) in_flight: Vec<u32>,
    pub(crate) all_in_flight: u32,
    pub(crate) queue: BTreeMap<i64, Vec<Message>>,
    pub(crate) batches: BinaryHeap<Reverse<(i64, usize)>>,
    pub(crate) batch_of: HashMap<usize, Batch>,
    pub(crate) begun: usize,
    /// Endpoints that the sweeper must look at, and when.
    pub(crate) looks: BTreeSet<(i64, u32)>,
    /// Held deliveries that are let go at a time of their own.
    pub(crate) due: BTreeSet<(i64, u32)>,
    pub(crate) drains: BTreeMap<i64, Vec<u32>>,
    pub(crate) draining_until: HashMap<u32, i64>,
    pub(crate) copies: HashMap<(usize, usize), i64>,
    pub(crate) seen: HashMap<(usize, u32), Seen>,
    pub(crate) policy: RetryPolicy,
    pub(crate) dice: Dice,
    pub(crate) report: Report,
}

impl<'a> Simulation<'a> {
    pub(crate) fn new(scene: &'a Scene, with_hold: bool) -> Self {
        let endpoints = scene.plan.endpoints;
        Self {
            scene,
            with_hold,
            now_ms: 0,
            deliveries: Vec::with_capacity(scene.plan.deliveries),
            health: vec![Health::default(); endpoints],
            holds: vec![Vec::new(); endpoints],
            held: vec![BTreeSet::new(); endpoints],
            waiting: vec![0; endpoints],
            in_flight: vec![0; endpoints],
            all_in_flight: 0,
            queue: BTreeMap::new(),
            batches: BinaryHeap::new(),
            batch_of: HashMap::new(),
            begun: 0,
            looks: BTreeSet::new(),
            due: BTreeSet::new(),
            drains: BTreeMap::new(),
            draining_until: HashMap::new(),
            copies: HashMap::new(),
            seen: HashMap::new(),
            policy: RetryPolicy::default(),
            dice: Dice::new(scene.plan.seed ^ 1),
            report: Report::default(),
        }
    }

    /// Lets time pass until every delivery has come to an end.
    pub(crate) fn run(mut self) -> Report {
        let all = self.scene.plan.deliveries as u64;
        while self.report.succeeded + self.report.dead < all {
            self.conclude_until(self.now_ms);
            self.accept();
            if self.now_ms % crate::sweeper::EVERY_MS == 0 {
                self.sweep();
            }
            self.drain();
            self.receive();
            self.now_ms += 1_000;
        }
        self.report
    }

    fn accept(&mut self) {
        let plan = self.scene.plan;
        let mut sent = 0;
        while self.deliveries.len() < plan.deliveries {
            let accepted_ms = self.deliveries.len() as i64 * plan.posting_ms / plan.deliveries as i64;
            if accepted_ms > self.now_ms {
                break;
            }
            let endpoint = self.scene.draw(&mut self.dice);
            let id = self.deliveries.len() as u32;
            self.report.bill.accept();
            self.deliveries.push(Delivery {
                endpoint: endpoint as u32,
                attempts: 0,
                state: State::Queued,
                next_ms: accepted_ms,
                accepted_ms,
            });
            // Ingest compares the version with a strong read: it knows of a hold at once.
            if self.health[endpoint].open.is_some() {
                self.hold(id, units::ROW + units::ENTRY);
            } else {
                sent += 1;
                self.send(id, false, false, self.now_ms);
            }
        }
        self.report.bill.sqs += sent as f64 / BATCH as f64;
    }

    /// Puts a message into the queue that is visible from then on; whoever sends counts the request.
    pub(crate) fn send(&mut self, delivery: u32, probe: bool, check: bool, visible_ms: i64) {
        let message = Message {
            delivery,
            probe,
            check,
            in_flight: false,
        };
        self.put(message, visible_ms);
    }

    pub(crate) fn put(&mut self, message: Message, visible_ms: i64) {
        let second = visible_ms.max(self.now_ms).div_euclid(1_000) + i64::from(visible_ms.rem_euclid(1_000) > 0);
        self.queue.entry(second).or_default().push(message);
    }

    /// Writes a delivery down as held.
    pub(crate) fn hold(&mut self, id: u32, writes: f64) {
        self.report.bill.writes += writes;
        self.report.held += 1;
        let delivery = &mut self.deliveries[id as usize];
        if delivery.state == State::Retrying {
            self.waiting[delivery.endpoint as usize] -= 1;
        }
        delivery.state = State::Held;
        self.held[delivery.endpoint as usize].insert(id);
    }

    fn receive(&mut self) {
        let Some(messages) = self.queue.remove(&(self.now_ms / 1_000)) else {
            return;
        };
        for some in messages.chunks(BATCH) {
            self.report.bill.sqs += 1.0;
            self.report.bill.invocations += 1.0;
            self.begin(some);
        }
    }

    pub(crate) fn fly(&mut self, endpoint: u32, by: i32) {
        let here = &mut self.in_flight[endpoint as usize];
        *here = here.saturating_add_signed(by);
        self.all_in_flight = self.all_in_flight.saturating_add_signed(by);
        self.report.most_in_flight = self.report.most_in_flight.max(self.all_in_flight);
        if self.scene.failing(endpoint as usize).is_some() {
            self.report.most_at_one = self.report.most_at_one.max(*here);
        }
    }

    pub(crate) fn finish(&mut self, id: u32, state: State) {
        let delivery = &mut self.deliveries[id as usize];
        let endpoint = delivery.endpoint as usize;
        if delivery.state == State::Retrying {
            self.waiting[endpoint] -= 1;
        }
        delivery.state = state;
        let repaired_ms = self.scene.repaired_ms();
        if self.scene.failing(endpoint).is_some() && delivery.accepted_ms < repaired_ms {
            let late_ms = self.now_ms - repaired_ms;
            self.report.all_drained_ms = self.report.all_drained_ms.max(late_ms);
            if delivery.attempts == 1 {
                self.report.drained_ms = self.report.drained_ms.max(late_ms);
            }
        }
        match state {
            State::Dead => self.report.dead += 1,
            _ => self.report.succeeded += 1,
        }
    }
}
