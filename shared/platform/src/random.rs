//! Randomness: the one place that asks the operating system, so that tests can seed it.

use std::sync::{Arc, Mutex, PoisonError};

/// A source of random numbers, cheap to clone.
#[derive(Clone, Debug, Default)]
pub enum Random {
    /// The operating system's, fit for secrets.
    #[default]
    System,
    /// A reproducible sequence (`SplitMix64`). For tests, never for secrets.
    Seeded(Arc<Mutex<u64>>),
}

impl Random {
    /// A reproducible sequence.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self::Seeded(Arc::new(Mutex::new(seed)))
    }

    /// `N` random bytes.
    #[must_use]
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        match self {
            Self::System => system_fill(&mut bytes),
            Self::Seeded(state) => {
                let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
                for chunk in bytes.chunks_mut(8) {
                    chunk.copy_from_slice(&split_mix(&mut state).to_le_bytes()[..chunk.len()]);
                }
            }
        }
        bytes
    }

    /// A random number of 128 bits.
    #[must_use]
    pub fn number(&self) -> u128 {
        u128::from_le_bytes(self.bytes())
    }

    /// A random number below `bound` (at least 1).
    #[must_use]
    pub fn below(&self, bound: u16) -> u16 {
        let number = u64::from_le_bytes(self.bytes()) % u64::from(bound.max(1));
        u16::try_from(number).unwrap_or(0)
    }

    /// A random share from 0 up to, not reaching, 1.
    #[must_use]
    pub fn share(&self) -> f64 {
        f64::from(u32::from_le_bytes(self.bytes())) / (f64::from(u32::MAX) + 1.0)
    }
}

#[expect(clippy::disallowed_methods, reason = "the one call: everybody else takes a Random")]
fn system_fill(bytes: &mut [u8]) {
    // Linux's getrandom cannot fail once the kernel is up; guessable secrets would be worse than stopping.
    if getrandom::fill(bytes).is_err() {
        std::process::abort();
    }
}

const fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
