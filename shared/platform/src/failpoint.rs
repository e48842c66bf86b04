//! Kill points: places in the code at which a test has the whole process die, as `kill -9` and a function's crash do, to see
//! that nothing is lost by it. Only builds with the feature `failpoints` have them; in every other build a point is nothing
//! at all, neither a call nor a name in the binary. Never changes what the code around it does.
//!
//! `REDIAL_KILL=name:n[,name:n]` names the points ([`POINTS`]) and at which pass of each, counted from 1 in this process, it
//! dies. docs/RELIABILITY.md, "The fault build".

#[cfg(any(test, feature = "failpoints"))]
mod plan;
#[cfg(test)]
mod tests;

#[cfg(feature = "failpoints")]
use std::sync::OnceLock;

#[cfg(any(test, feature = "failpoints"))]
pub use plan::InvalidKill;

/// Every point, and where it is. Each is at one place in the sources; a test looks for it there.
#[cfg(any(test, feature = "failpoints"))]
pub const POINTS: [(&str, &str); 17] = [
    (
        "ingest.before_write",
        "an event's time row is stored, if it needs one; the event is not",
    ),
    ("ingest.after_write", "an event is stored; nothing of it is sent"),
    (
        "ingest.before_answer",
        "all is stored and sent; the platform has no answer",
    ),
    (
        "queue.in_sends",
        "ingest, replay or sweeper: a batch of ten is not sent; those before it are, or are on their way",
    ),
    (
        "dispatcher.after_receive",
        "a batch is received; nothing is done with it",
    ),
    (
        "dispatcher.in_post",
        "a request is on its way; its answer is not there, or not looked at",
    ),
    (
        "dispatcher.after_2xx",
        "the receiver has taken it; nobody has written that down",
    ),
    (
        "dispatcher.after_record",
        "an attempt is written down; SQS is not answered",
    ),
    ("dispatcher.half_batch", "half of a batch of two or more is done"),
    ("replay.asked", "a job is stored; its message is not sent"),
    ("replay.in_page", "a page is noted; it is not sent"),
    ("replay.before_save", "a page is sent; the job does not say so"),
    ("sweeper.in_page", "due deliveries are marked as sent; they are not"),
    ("sweeper.after_send", "due deliveries are sent"),
    (
        "sweeper.before_mark",
        "a stretch of events is repaired; it is not marked as such",
    ),
    ("intake.before_write", "a dead letter is read; nothing is written"),
    (
        "intake.after_write",
        "a dead letter is written down; it is still in its queue",
    ),
];

/// What this process was told, read when the first point is passed.
#[cfg(feature = "failpoints")]
fn told() -> &'static Result<plan::Plan, InvalidKill> {
    static TOLD: OnceLock<Result<plan::Plan, InvalidKill>> = OnceLock::new();
    TOLD.get_or_init(|| plan::Plan::parse(&crate::settings::optional("REDIAL_KILL").unwrap_or_default()))
}

/// Whether `REDIAL_KILL` can be obeyed. To be asked once, at the start: a point that is passed has nobody to tell.
///
/// # Errors
/// [`InvalidKill`] says what cannot be understood.
#[cfg(feature = "failpoints")]
pub fn check() -> Result<(), &'static InvalidKill> {
    told().as_ref().map(|_| ())
}

/// Passes a point: here the process dies, if it was told to.
#[cfg(feature = "failpoints")]
pub fn hit(point: &'static str) {
    if let Ok(plan) = told()
        && let Some(n) = plan.pass(point)
    {
        die(point, n);
    }
}

/// Passes a point: nothing, in this build.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
pub const fn hit(_: &'static str) {}

/// Passes a point for as long as `work` takes: the process dies some milliseconds after it began, how many is for the number
/// of the pass to say, or when it is done.
#[cfg(feature = "failpoints")]
pub async fn during<F: Future>(point: &'static str, work: F) -> F::Output {
    let Some(n) = told().as_ref().ok().and_then(|plan| plan.pass(point)) else {
        return work.await;
    };
    tokio::select! {
        _ = work => die(point, n),
        () = tokio::time::sleep(plan::in_the_middle(n)) => die(point, n),
    }
}

/// Passes a point for as long as `work` takes: only the work, in this build.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
pub const fn during<F: Future>(_: &'static str, work: F) -> F {
    work
}

/// Passes a point in the middle of a batch.
#[derive(Debug)]
pub struct Half {
    #[cfg(feature = "failpoints")]
    left: std::sync::atomic::AtomicUsize,
}

impl Half {
    /// Of a batch of so many.
    #[must_use]
    pub fn of(batch: usize) -> Self {
        #[cfg(not(feature = "failpoints"))]
        let _ = batch;
        Self {
            #[cfg(feature = "failpoints")]
            left: std::sync::atomic::AtomicUsize::new(batch / 2),
        }
    }

    /// One more of the batch is done: `point` is passed if that was the last of its first half.
    pub fn done(&self, point: &'static str) {
        #[cfg(not(feature = "failpoints"))]
        let _ = point;
        #[cfg(feature = "failpoints")]
        {
            use std::sync::atomic::Ordering::Relaxed;
            if self.left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)) == Ok(1) {
                hit(point);
            }
        }
    }
}

/// As `kill -9` does it: no destructor, no flush, no handler.
#[cfg(feature = "failpoints")]
fn die(point: &'static str, n: u64) -> ! {
    tracing::error!(target: "faults", point, n, "killed");
    #[cfg(unix)]
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    // Where there is no such signal.
    std::process::abort()
}
