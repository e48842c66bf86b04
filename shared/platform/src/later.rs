//! Something that is made when it is first wanted. A client of AWS is: making one takes its SDK some 600,000 instructions, more
//! than half of them to read its list of AWS's partitions, and what a function's first request does not need would be part of every
//! start.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, LazyLock};

type Make<T> = Box<dyn FnOnce() -> T + Send>;

/// A `T`, from now on or from when it is first looked at. Clones share it.
pub struct Later<T>(Arc<LazyLock<T, Make<T>>>);

impl<T> Later<T> {
    /// Made by `make`, once.
    pub fn when_wanted(make: impl FnOnce() -> T + Send + 'static) -> Self {
        Self(Arc::new(LazyLock::new(Box::new(make))))
    }

    /// Made by now.
    #[must_use]
    pub fn made(self) -> Self {
        LazyLock::force(&self.0);
        self
    }
}

impl<T: Send + 'static> From<T> for Later<T> {
    fn from(made: T) -> Self {
        Self::when_wanted(move || made)
    }
}

impl<T> Deref for Later<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> Clone for Later<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> fmt::Debug for Later<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Later").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[test]
    fn it_is_made_once_when_it_is_wanted_or_asked_for() {
        for asked_for in [false, true] {
            let made = Arc::new(AtomicU32::new(0));
            let counted = Arc::clone(&made);
            let later = Later::when_wanted(move || counted.fetch_add(1, Ordering::SeqCst) + 7);
            let later = if asked_for { later.made() } else { later };
            assert_eq!(made.load(Ordering::SeqCst), u32::from(asked_for));
            assert_eq!((*later.clone(), *later), (7, 7));
            assert_eq!(made.load(Ordering::SeqCst), 1);
        }
    }
}
