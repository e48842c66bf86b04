//! How many names are looked up at once. A lookup occupies a thread of the runtime until the system's resolver gives up, long
//! after the request that wanted it did; there are 512 of these threads, and other work needs them too. So a tenant whose names
//! answer slowly waits for itself. Must never look anything up.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

/// Names that are looked up at once: half of the threads that tokio has for what blocks. docs/LIMITS.md.
pub const MAX_LOOKUPS: usize = 256;

/// Names that are looked up at once for one tenant. docs/LIMITS.md.
pub const MAX_LOOKUPS_OF_ONE: usize = 32;

/// Who looks up, and who waits.
#[derive(Debug)]
pub(crate) struct Lookups {
    all: Arc<Semaphore>,
    /// Of those who look something up or wait for it.
    of_one: Mutex<HashMap<String, Arc<Semaphore>>>,
}

/// May look up one name, until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    _of_one: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

impl Default for Lookups {
    fn default() -> Self {
        Self {
            all: Arc::new(Semaphore::new(MAX_LOOKUPS)),
            of_one: Mutex::default(),
        }
    }
}

impl Lookups {
    /// Waits until a name may be looked up for `whose`.
    pub(crate) async fn turn(&self, whose: &str) -> Result<Turn, AcquireError> {
        // First: who waits for the others has nothing that they need.
        let of_one = self.of(whose).acquire_owned().await?;
        let of_all = Arc::clone(&self.all).acquire_owned().await?;
        Ok(Turn {
            _of_one: of_one,
            _of_all: of_all,
        })
    }

    fn of(&self, whose: &str) -> Arc<Semaphore> {
        let mut of_one = self.of_one.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = of_one.get(whose) {
            return Arc::clone(found);
        }
        // Turns and those who wait have the others.
        of_one.retain(|_, semaphore| Arc::strong_count(semaphore) > 1);
        let made = Arc::new(Semaphore::new(MAX_LOOKUPS_OF_ONE));
        of_one.insert(whose.to_owned(), Arc::clone(&made));
        made
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nobody_is_remembered_who_looks_up_nothing() {
        let lookups = Lookups::default();
        for n in 0..100 {
            drop(lookups.turn(&format!("tenant-{n}")).await.unwrap());
        }
        assert_eq!(lookups.of_one.lock().unwrap().len(), 1);
        assert_eq!(lookups.all.available_permits(), MAX_LOOKUPS);
    }
}
