//! The sweeper of the simulation, and the jobs that it asks for: probes, drains, what is due. Attempts nothing.

use redial_domain::hold::{self, Action, Circuit, DRAIN_PER_S, Happening, next_look_at, next_probe_at};

use crate::bill::{BATCH, reads, units};
use crate::environment::at;
use crate::simulation::{Simulation, State};

/// How often the schedule calls it, in milliseconds (template.yaml).
pub(crate) const EVERY_MS: i64 = 60_000;
/// Wait until another look at an endpoint that was let go, in milliseconds (`functions/sweeper/src/health.rs`).
const DRAIN_LOOK_MS: i64 = 120_000;
/// Messages a second with which a drain begins, and how long each step takes that is twice as fast
/// (`functions/replay/src/ramp.rs`).
const FIRST_PER_S: u32 = 10;
const STEP_MS: i64 = 30_000;
/// The longest that the queue delays a message, in milliseconds.
const MAX_DELAY_MS: i64 = 900_000;

/// How long after the first message of a drain number `sent` (from 0) goes, in milliseconds.
pub(crate) fn offset_ms(sent: usize) -> i64 {
    let (mut per_s, mut before_ms, mut left) = (i64::from(FIRST_PER_S), 0, sent as i64);
    while per_s < i64::from(DRAIN_PER_S) && left >= per_s * STEP_MS / 1_000 {
        left -= per_s * STEP_MS / 1_000;
        before_ms += STEP_MS;
        per_s = (per_s * 2).min(DRAIN_PER_S.into());
    }
    before_ms + left * 1_000 / per_s
}

impl Simulation<'_> {
    /// One pass.
    pub(crate) fn sweep(&mut self) {
        let now_ms = self.now_ms;
        let mut sent = 0;
        while let Some((_, endpoint)) = self.looks.first().copied().filter(|(at, _)| *at <= now_ms) {
            self.looks.pop_first();
            sent += usize::from(self.look(endpoint));
        }
        while let Some((_, delivery)) = self.due.first().copied().filter(|(at, _)| *at <= now_ms) {
            self.due.pop_first();
            if self.deliveries[delivery as usize].state == State::Held {
                self.release(delivery, false, now_ms);
                self.report.bill.writes += units::ENTRY;
                sent += 1;
            }
        }
        self.report.bill.sqs += sent.div_ceil(BATCH) as f64;
        self.report.bill.invocations += 1.0;
    }

    /// One look at an endpoint; true if a probe was sent.
    fn look(&mut self, endpoint: u32) -> bool {
        let health = &self.health[endpoint as usize];
        self.report.bill.reads += 1.0 + reads::CONFIG;
        let circuit = Circuit::of(true, health.open.is_some(), health.drain_looks);
        let happening = Happening::look(health.failing_since, health.drain_looks, at(self.now_ms));
        match circuit.after(happening).1 {
            Action::Probe => return self.probe(endpoint),
            Action::Drain => self.let_go(endpoint),
            // Five days without a success: nothing comes of what is held, so that the simulation would not end.
            Action::Disable => unreachable!("an outage of days is refused"),
            _ => {}
        }
        self.report.bill.writes += units::HEALTH_DUE;
        false
    }

    fn probe(&mut self, endpoint: u32) -> bool {
        let (now_ms, held) = (self.now_ms, &self.held[endpoint as usize]);
        self.report.bill.reads += (held.len() as f64).min(reads::HELD_LOOK) * reads::HELD;
        let next_of = |delivery: &u32| self.deliveries[*delivery as usize].next_ms;
        let is_ready = |delivery: &u32| next_of(delivery) <= now_ms;
        let ready = if hold::probes_newest(self.health[endpoint as usize].probes) {
            held.iter().copied().rfind(is_ready)
        } else {
            held.iter().copied().find(is_ready)
        };
        let soonest_ms = held.iter().map(next_of).min();
        let health = &mut self.health[endpoint as usize];
        let since_ms = health.open.map_or(now_ms, |(since_ms, _)| since_ms);
        let look_ms = next_look_at(at(since_ms), at(now_ms)).as_millis();
        let next_ms = match (ready, soonest_ms) {
            (Some(_), _) => {
                health.probes += 1;
                next_probe_at(health.probes, at(now_ms)).as_millis()
            }
            (None, Some(soonest_ms)) => soonest_ms.min(look_ms),
            (None, None) => look_ms,
        };
        self.report.bill.writes += units::HEALTH_DUE;
        self.looks.insert((next_ms, endpoint));
        if let Some(delivery) = ready {
            self.report.probes += 1;
            self.release(delivery, true, now_ms);
        }
        ready.is_some()
    }

    /// Has what is held let go, unless a job does so already.
    fn let_go(&mut self, endpoint: u32) {
        let now_ms = self.now_ms;
        let at_work = self
            .draining_until
            .get(&endpoint)
            .is_some_and(|until_ms| *until_ms > now_ms);
        if !at_work {
            let held: Vec<u32> = self.held[endpoint as usize].iter().copied().collect();
            if !held.is_empty() {
                self.report.bill.writes +=
                    units::JOB + (held.len() as f64 / units::PAGE_DELIVERIES).ceil() * units::PAGE;
                self.report.bill.invocations += 1.0;
                self.draining_until
                    .insert(endpoint, now_ms + offset_ms(held.len() - 1) + 1_000);
            }
            for (number, delivery) in held.into_iter().enumerate() {
                let second = (now_ms + offset_ms(number)) / 1_000;
                self.drains.entry(second).or_default().push(delivery);
            }
            self.health[endpoint as usize].drain_looks -= 1;
        }
        if self.health[endpoint as usize].drain_looks > 0 {
            self.looks.insert((now_ms + DRAIN_LOOK_MS, endpoint));
        }
    }

    /// Sends what the drains send in this second.
    pub(crate) fn drain(&mut self) {
        let now_ms = self.now_ms;
        let Some(deliveries) = self.drains.remove(&(now_ms / 1_000)) else {
            return;
        };
        let mut sent = 0.0;
        for id in deliveries {
            let delivery = self.deliveries[id as usize];
            // It may have been let go by a look before, or its endpoint be on hold again.
            if delivery.state != State::Held || self.health[delivery.endpoint as usize].open.is_some() {
                continue;
            }
            if delivery.next_ms > now_ms + MAX_DELAY_MS {
                self.report.bill.writes += units::ROW + units::ENTRY;
                self.due.insert((delivery.next_ms, id));
            } else {
                self.release(id, false, delivery.next_ms);
                sent += 1.0;
            }
        }
        // A page of a job sends ten at a time.
        self.report.bill.sqs += sent / BATCH as f64;
    }

    fn release(&mut self, id: u32, probe: bool, visible_ms: i64) {
        self.report.bill.writes += units::RELEASE;
        let delivery = &mut self.deliveries[id as usize];
        delivery.state = State::Queued;
        self.held[delivery.endpoint as usize].remove(&id);
        self.send(id, probe, true, visible_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::offset_ms;

    #[test]
    fn a_drain_begins_with_ten_a_second_and_doubles_every_half_minute() {
        let offsets = [0, 1, 299, 300, 900, 2_100, 4_500, 4_600].map(offset_ms);
        assert_eq!(offsets, [0, 100, 29_900, 30_000, 60_000, 90_000, 120_000, 121_000]);
    }
}
