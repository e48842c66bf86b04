//! The one thread that syncs. It is not the writer's, so that what is written only for the process goes on meanwhile: whoever
//! receives a message waits for no disk. After an error it syncs nothing more, for a second try would not tell what is lost.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::{JournalError, Medium, Shared};

/// What the writer and the thread that syncs share.
pub(super) struct Syncs {
    orders: Mutex<Orders>,
    changed: Condvar,
}

struct Orders {
    medium: Arc<dyn Medium>,
    /// How far the file is written, how far it is to be on disk, and how far it is; as [`super::Progress`] counts.
    written: u64,
    wanted: u64,
    synced: u64,
    /// A sync is under way.
    busy: bool,
    /// None may begin: the file is about to be another one.
    held: bool,
    /// Whatever is wanted now is the last.
    over: bool,
}

impl Syncs {
    pub(super) fn new(medium: Arc<dyn Medium>) -> Self {
        Self {
            orders: Mutex::new(Orders {
                medium,
                written: 0,
                wanted: 0,
                synced: 0,
                busy: false,
                held: false,
                over: false,
            }),
            changed: Condvar::new(),
        }
    }

    fn orders(&self) -> MutexGuard<'_, Orders> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// So far the file is written, and so far somebody waits for it to be on disk.
    pub(super) fn order(&self, written: u64, wanted: u64) {
        let mut orders = self.orders();
        orders.written = written;
        if wanted > orders.wanted {
            orders.wanted = wanted;
            self.changed.notify_all();
        }
    }

    /// Waits for the sync that is under way, and has none begin until [`Syncs::go_on`].
    pub(super) fn hold(&self) {
        let mut orders = self.orders();
        orders.held = true;
        while orders.busy {
            orders = self.changed.wait(orders).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Goes on, with another file in which all that was written is on disk, if there is one.
    pub(super) fn go_on(&self, replaced: Option<Arc<dyn Medium>>) {
        let mut orders = self.orders();
        if let Some(medium) = replaced {
            orders.medium = medium;
            orders.synced = orders.written;
        }
        orders.held = false;
        self.changed.notify_all();
    }

    /// Has the thread end when what is wanted is on disk.
    pub(super) fn end(&self) {
        self.orders().over = true;
        self.changed.notify_all();
    }

    /// What there is to sync next; `None` when that was all.
    fn next(&self) -> Option<(Arc<dyn Medium>, u64)> {
        let mut orders = self.orders();
        loop {
            if !orders.held && orders.wanted > orders.synced {
                orders.busy = true;
                return Some((Arc::clone(&orders.medium), orders.written));
            }
            if orders.over {
                return None;
            }
            orders = self.changed.wait(orders).unwrap_or_else(PoisonError::into_inner);
        }
    }

    pub(super) fn run(&self, shared: &Shared) {
        let watched = Lost { syncs: self, shared };
        while let Some((medium, upto)) = self.next() {
            let done = medium.sync();
            let mut orders = self.orders();
            orders.busy = false;
            self.changed.notify_all();
            if let Err(error) = done {
                drop(orders);
                shared.fail(JournalError::Sync(error));
                shared.ended();
                break;
            }
            orders.synced = orders.synced.max(upto);
            drop(orders);
            shared.note(|state| state.syncs += 1);
            shared.reached(|progress| progress.synced = progress.synced.max(upto));
        }
        drop(watched);
    }
}

/// Nobody may wait for a thread that panicked.
struct Lost<'a> {
    syncs: &'a Syncs,
    shared: &'a Shared,
}

impl Drop for Lost<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.shared.fail(JournalError::Closed);
            self.shared.ended();
            self.syncs.orders().busy = false;
            self.syncs.changed.notify_all();
        }
    }
}
