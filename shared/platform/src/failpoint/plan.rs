//! At which pass of which points a process is to die. Decides, and kills nobody.

use std::sync::atomic::{AtomicU64, Ordering};
#[cfg(feature = "failpoints")]
use std::time::Duration;

use super::POINTS;

/// `REDIAL_KILL` cannot be obeyed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "REDIAL_KILL names {0:?}; it takes name:n, several separated by commas, with the names of REDIAL_KILL_LIST=1 and n from 1"
)]
pub struct InvalidKill(String);

/// The points at which to die.
#[derive(Debug, Default)]
pub(super) struct Plan(Vec<Deadly>);

#[derive(Debug)]
struct Deadly {
    point: &'static str,
    /// The pass that is the last one.
    n: u64,
    passed: AtomicU64,
}

impl Plan {
    pub(super) fn parse(text: &str) -> Result<Self, InvalidKill> {
        let named = text.split(',').map(str::trim).filter(|named| !named.is_empty());
        let deadly = named.map(|named| {
            let read = || {
                let (name, n) = named.split_once(':')?;
                let (point, _) = POINTS.into_iter().find(|(point, _)| *point == name)?;
                let n = n.parse().ok().filter(|n| *n > 0)?;
                let passed = AtomicU64::new(0);
                Some(Deadly { point, n, passed })
            };
            read().ok_or_else(|| InvalidKill(named.to_owned()))
        });
        Ok(Self(deadly.collect::<Result<_, _>>()?))
    }

    /// Counts a pass of a point, and answers which it is if it is to be the last one.
    pub(super) fn pass(&self, point: &str) -> Option<u64> {
        let mut deadly = self.0.iter().filter(|deadly| deadly.point == point);
        deadly.find_map(|deadly| {
            let passed = deadly.passed.fetch_add(1, Ordering::Relaxed) + 1;
            (passed == deadly.n).then_some(passed)
        })
    }
}

/// How long after it began a piece of work is in its middle: other passes, other middles. A request to this machine takes
/// one to some milliseconds.
#[cfg(feature = "failpoints")]
pub(super) const fn in_the_middle(n: u64) -> Duration {
    Duration::from_millis(n % 8)
}
