//! The faults of a run: what was asked for, the numbers of the calls so far, and a line of log for each fault, by which the
//! fault tool knows that it happened.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use redial_platform::Clock;

use super::draw::{Dice, Fault, Kind};

/// Longest delay, in milliseconds of real time.
const DELAY_MS: u64 = 300;
/// Largest part of the calls that may meet a fault: of more nothing would get through.
const MAX_RATE: f64 = 0.5;

/// `REDIAL_FAULTS` cannot be obeyed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("REDIAL_FAULTS has {0:?}; it takes seed=<number>;rate=<0 to {MAX_RATE}>[;kinds=<name>,..] with the kinds {names}", names = names())]
pub struct InvalidFaults(String);

fn names() -> String {
    Kind::ALL.map(Kind::name).join(",")
}

/// The faults of a run.
pub(super) struct Plan {
    dice: Dice,
    clock: Clock,
    calls: Mutex<Calls>,
}

#[derive(Default)]
struct Calls {
    /// Calls of each operation so far.
    made: HashMap<(&'static str, String), u64>,
    /// Faults of each kind so far.
    faults: HashMap<&'static str, u64>,
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plan").field("dice", &self.dice).finish_non_exhaustive()
    }
}

impl Plan {
    pub(super) fn new(dice: Dice, clock: Clock) -> Self {
        let calls = Mutex::default();
        Self { dice, clock, calls }
    }

    pub(super) fn parse(text: &str, clock: Clock) -> Result<Self, InvalidFaults> {
        let (mut seed, mut rate, mut kinds) = (None, None, Kind::ALL.to_vec());
        for part in text.split(';').map(str::trim).filter(|part| !part.is_empty()) {
            let refused = || InvalidFaults(part.to_owned());
            match part.split_once('=').ok_or_else(refused)? {
                ("seed", value) => seed = Some(value.parse().map_err(|_| refused())?),
                ("rate", value) => rate = Some(value.parse().map_err(|_| refused())?),
                ("kinds", value) => {
                    let named = value
                        .split(',')
                        .map(|name| Kind::ALL.into_iter().find(|kind| kind.name() == name));
                    kinds = named.collect::<Option<_>>().ok_or_else(refused)?;
                }
                _ => return Err(refused()),
            }
        }
        let (Some(seed), Some(rate)) = (seed, rate.filter(|rate| (0.0..=MAX_RATE).contains(rate))) else {
            return Err(InvalidFaults(text.to_owned()));
        };
        let threshold = threshold(rate);
        Ok(Self::new(Dice { seed, threshold, kinds }, clock))
    }

    /// Counts a call, and says what it meets, of the kinds that are possible for it. A fault is logged.
    pub(super) fn draw(
        &self,
        service: &'static str,
        operation: &str,
        possible: impl Fn(Kind) -> bool,
    ) -> Option<Fault> {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let made = calls.made.entry((service, operation.to_owned())).or_default();
        *made += 1;
        let n = *made;
        let fault = self.dice.fault(service, operation, n, possible)?;
        let kind = fault.kind.name();
        let total = calls.faults.entry(kind).or_default();
        *total += 1;
        let total = *total;
        drop(calls);
        tracing::warn!(target: "faults", kind, service, operation, n, total, "injected");
        Some(fault)
    }

    /// Waits as a fault of the kind `Delay` says.
    pub(super) async fn delay(&self, bits: u64) {
        tokio::time::sleep(Duration::from_millis(5 + bits % DELAY_MS)).await;
    }

    /// Waits about as long as a visibility timeout, by the functions' clock: from half of it to a quarter more.
    pub(super) async fn stall(&self, bits: u64, visibility: Duration) {
        let eighths = 4 + u32::try_from(bits % 7).unwrap_or(0);
        tokio::time::sleep(self.clock.real(visibility * eighths / 8)).await;
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a share of all rolls, from 0 to a half"
)]
fn threshold(rate: f64) -> u64 {
    (rate * u64::MAX as f64) as u64
}
