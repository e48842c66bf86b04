//! The version of what Redial stores and sends. One number for all forms together, raised when an older reader would
//! misread what is written now; every item and message says the lowest number that reads it, and says nothing for 1. What
//! is newer than its reader is left alone for a newer one: never deleted, never counted as an attempt. docs/UPGRADING.md.

/// The newest forms that this code reads. Raised in one release, written in the next: a rollback finds nothing that it
/// cannot read.
pub const NEWEST: u16 = 1;
/// Where an item or a message says its number. Not `v`, which has been the endpoint's version in messages and the tenant's
/// in items since the first release.
pub const FIELD: &str = "fv";
/// Wait of a message that is newer than its reader, in milliseconds: as long as functions of two releases may run side by
/// side. A delivery still has all its receives of the retry queue before it comes to the dead-letter queue, which keeps it
/// too. A replay job's message has five receives before it comes there; its job does not wait for it: it is due by itself.
pub const NEWER_WAIT_MS: i64 = 60_000;

/// Something was written by a newer Redial, in a form that this one does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("written by a newer Redial, in form {found}; this one reads up to {NEWEST}")]
pub struct Newer {
    /// The number that it says.
    pub found: u64,
}

/// Accepts what says `found`, or nothing.
///
/// # Errors
/// [`Newer`] if this code does not know that form.
pub const fn check(found: Option<u64>) -> Result<(), Newer> {
    match found {
        Some(found) if found > NEWEST as u64 => Err(Newer { found }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_says_nothing_is_of_the_first_form() {
        assert_eq!(check(None), Ok(()));
        for known in 0..=u64::from(NEWEST) {
            assert_eq!(check(Some(known)), Ok(()));
        }
        let found = u64::from(NEWEST) + 1;
        assert_eq!(check(Some(found)), Err(Newer { found }));
    }
}
