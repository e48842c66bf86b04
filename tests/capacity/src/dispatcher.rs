//! The dispatcher of the simulation: what comes of a batch. Decides by `redial_domain` alone; counts what it would write.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use redial_domain::delivery::{Decision, decide};
use redial_domain::hold::{self, MAX_WAITING};
use redial_domain::outcome::Outcome;

use crate::bill::{reads, units};
use crate::environment::{COPY_MS, Untold, at};
use crate::scene::ENDPOINTS_A_TENANT;
use crate::simulation::{Batch, Delivery, Message, SOON_MS, Simulation, State};

/// Looks of the sweeper after an endpoint was let go.
const DRAIN_LOOKS: u32 = 2;
/// How long a batch takes that attempts nothing, in milliseconds.
const ASIDE_MS: i64 = 20;

impl Simulation<'_> {
    pub(crate) fn begin(&mut self, messages: &[Message]) {
        let environment = self.dice.below(self.scene.plan.environments);
        let mut batch = Batch {
            environment,
            began_ms: self.now_ms,
            attempted: Vec::new(),
            deleted: Vec::new(),
        };
        let mut takes_ms = ASIDE_MS;
        for message in messages {
            let endpoint = self.deliveries[message.delivery as usize].endpoint;
            if !message.in_flight {
                self.fly(endpoint, 1);
            }
            let first = self.deliveries[message.delivery as usize].attempts == 0 && !message.check;
            if !first {
                self.report.bill.reads += reads::RECORD;
            }
            if self.is_aside(environment, message) {
                batch.deleted.push(*message);
                continue;
            }
            if !first {
                self.report.bill.writes += units::CLAIM;
            }
            let (outcome, attempt_ms) = self.scene.attempt(endpoint as usize, self.now_ms, &mut self.dice);
            takes_ms = takes_ms.max(attempt_ms);
            batch.attempted.push((*message, outcome));
        }
        self.begun += 1;
        self.batches.push(Reverse((self.now_ms + takes_ms, self.begun)));
        self.batch_of.insert(self.begun, batch);
    }

    /// Writes a delivery down as held whose endpoint is on hold, and says so.
    fn is_aside(&mut self, environment: usize, message: &Message) -> bool {
        let Delivery { endpoint, state, .. } = self.deliveries[message.delivery as usize];
        if message.probe || !self.knows_open(environment, endpoint) {
            return false;
        }
        // What is held must be held by the latest configuration.
        self.copy(environment, endpoint);
        if !self.knows_open(environment, endpoint) {
            return false;
        }
        let entry = if state == State::Retrying {
            units::MOVED
        } else {
            units::ENTRY
        };
        self.hold(message.delivery, units::ROW + entry + due_entry(message));
        true
    }

    fn copy(&mut self, environment: usize, endpoint: u32) {
        let tenant = endpoint as usize / ENDPOINTS_A_TENANT;
        self.report.bill.reads += reads::CONFIG;
        self.copies.insert((environment, tenant), self.now_ms);
    }

    /// True if the environment's copy of the configuration has the endpoint on hold.
    fn knows_open(&mut self, environment: usize, endpoint: u32) -> bool {
        let key = (environment, endpoint as usize / ENDPOINTS_A_TENANT);
        let fresh = |copied_ms: &&i64| self.now_ms - **copied_ms < COPY_MS;
        if self.copies.get(&key).filter(fresh).is_none() {
            self.copy(environment, endpoint);
        }
        let copied_ms = self.copies[&key];
        let mut holds = self.holds[endpoint as usize].iter();
        holds.any(|(from_ms, until_ms)| (*from_ms..*until_ms).contains(&copied_ms))
    }

    pub(crate) fn conclude_until(&mut self, until_ms: i64) {
        let later_ms = self.now_ms;
        while let Some(Reverse((ends_ms, number))) = self.batches.peek().copied() {
            if ends_ms > until_ms {
                break;
            }
            self.batches.pop();
            if let Some(batch) = self.batch_of.remove(&number) {
                self.now_ms = ends_ms;
                self.conclude(batch);
            }
        }
        self.now_ms = later_ms;
    }

    fn conclude(&mut self, batch: Batch) {
        let Batch {
            environment,
            began_ms,
            attempted,
            mut deleted,
        } = batch;
        self.report.bill.seconds += (self.now_ms - began_ms) as f64 / 1_000.0;
        let endpoints: BTreeSet<u32> = attempted
            .iter()
            .map(|(message, _)| self.deliveries[message.delivery as usize].endpoint)
            .collect();
        let mut waiting = Vec::new();
        for (message, outcome) in attempted {
            if self.decide(environment, &message, &outcome) {
                waiting.push(message);
            } else {
                deleted.push(message);
            }
        }
        if self.with_hold {
            for endpoint in endpoints {
                self.tell(environment, endpoint);
            }
        }
        let mut again = 0.0;
        for message in waiting {
            let Delivery { endpoint, next_ms, .. } = self.deliveries[message.delivery as usize];
            if self.knows_open(environment, endpoint) {
                self.hold(message.delivery, units::ROW + units::MOVED + units::ATTEMPT);
                deleted.push(message);
            } else {
                again = 1.0;
                let waits = Message {
                    in_flight: true,
                    probe: false,
                    ..message
                };
                self.put(waits, next_ms);
            }
        }
        self.report.bill.sqs += again + if deleted.is_empty() { 0.0 } else { 1.0 };
        for message in deleted {
            self.fly(self.deliveries[message.delivery as usize].endpoint, -1);
        }
    }

    /// Decides about a delivery after an attempt; true if it waits in the queue.
    fn decide(&mut self, environment: usize, message: &Message, outcome: &Outcome) -> bool {
        let (id, now_ms) = (message.delivery, self.now_ms);
        let delivery = &mut self.deliveries[id as usize];
        delivery.attempts += 1;
        self.report.attempts += 1;
        let Delivery {
            endpoint,
            attempts,
            state,
            ..
        } = *delivery;
        let was_waiting = state == State::Retrying;
        let decision = decide(outcome, attempts, &self.policy, at(now_ms), self.dice.share());
        let seen = self.seen.entry((environment, endpoint)).or_default();
        let entry = if was_waiting { units::ENTRY } else { 0.0 };
        match decision {
            Decision::Succeeded => {
                seen.succeeded(attempts > 1, now_ms);
                self.report.bill.writes += units::ROW + entry + due_entry(message);
                self.finish(id, State::Succeeded);
                if message.probe {
                    self.close(environment, endpoint);
                }
                return false;
            }
            Decision::Dead(_) => {
                seen.failed(now_ms);
                self.report.failed += 1;
                self.report.bill.writes += units::ATTEMPT + units::ROW + units::ENTRY + entry + due_entry(message);
                self.finish(id, State::Dead);
                return false;
            }
            Decision::RetryAt { at, .. } => {
                seen.failed(now_ms);
                self.report.failed += 1;
                self.deliveries[id as usize].next_ms = at.as_millis();
            }
        }
        let row = units::ATTEMPT + units::ROW + due_entry(message);
        let moved = if was_waiting { units::MOVED } else { units::ENTRY };
        if self.with_hold && self.knows_open(environment, endpoint) {
            self.hold(id, row + moved);
            return false;
        }
        if self.with_hold && !self.has_place(environment, endpoint, was_waiting) {
            self.report.queue_was_full += 1;
            self.hold(id, row + moved + units::ENTRY);
            self.due.insert((self.deliveries[id as usize].next_ms, id));
            return false;
        }
        self.report.bill.writes += row + units::ENTRY;
        self.waiting[endpoint as usize] += u32::from(!was_waiting);
        self.deliveries[id as usize].state = State::Retrying;
        true
    }

    fn has_place(&mut self, environment: usize, endpoint: u32, has_one: bool) -> bool {
        let waiting = self.waiting[endpoint as usize].min(MAX_WAITING + 1);
        let seen = self.seen.entry((environment, endpoint)).or_default();
        if seen.is_old(self.now_ms) {
            seen.looked(waiting, self.now_ms);
            self.report.bill.reads += 0.5 + f64::from(waiting) * reads::HELD;
        }
        seen.has_place(has_one)
    }

    /// What an environment saw of an endpoint in a batch, and what follows from it.
    fn tell(&mut self, environment: usize, endpoint: u32) {
        let now_ms = self.now_ms;
        let untold = self
            .seen
            .get_mut(&(environment, endpoint))
            .and_then(|seen| seen.take(now_ms));
        let health = &mut self.health[endpoint as usize];
        match untold {
            None => {}
            Some(Untold::Success) => {
                self.report.bill.writes += 1.0;
                health.succeed();
            }
            Some(Untold::Failures(seen)) => {
                self.report.bill.writes += health.observe(&seen, now_ms);
                if health.open.is_some() {
                    return;
                }
                if let Some(reason) = hold::opens(&health.numbers()) {
                    (health.open, health.probes, health.drain_looks) = (Some((now_ms, reason)), 0, 0);
                    self.looks.retain(|(_, of)| *of != endpoint);
                    self.looks
                        .insert((hold::next_probe_at(0, at(now_ms)).as_millis(), endpoint));
                    self.holds[endpoint as usize].push((now_ms, i64::MAX));
                    self.report.bill.writes += units::HEALTH_DUE + units::HOLD;
                    self.report.opened += 1;
                    self.report.opened_wrongly += u64::from(self.scene.failing(endpoint as usize).is_none());
                    self.copy(environment, endpoint);
                }
            }
        }
    }

    fn close(&mut self, environment: usize, endpoint: u32) {
        let (now_ms, health) = (self.now_ms, &mut self.health[endpoint as usize]);
        if health.open.is_none() {
            return;
        }
        health.close(DRAIN_LOOKS);
        if let Some(last) = self.holds[endpoint as usize].last_mut() {
            last.1 = now_ms;
        }
        self.looks.retain(|(_, of)| *of != endpoint);
        self.looks.insert((now_ms, endpoint));
        self.seen.remove(&(environment, endpoint));
        self.copy(environment, endpoint);
        self.report.bill.writes += units::HEALTH_DUE + units::HOLD;
        if self.scene.failing(endpoint as usize).is_some() {
            let late_ms = now_ms - self.scene.repaired_ms();
            self.report.recovered_ms = self.report.recovered_ms.max(late_ms);
            self.report.recovered_soon += u64::from(late_ms <= SOON_MS);
        }
    }
}

/// What it costs to take a delivery out of what is due that was sent from the table.
const fn due_entry(message: &Message) -> f64 {
    if message.check { units::ENTRY } else { 0.0 }
}
