//! What a caller may choose about the queue server: names, the clock and the undocumented corners of AWS.
//! Never reads the environment or a clock by itself.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::Arc;

use crate::limits;

/// The clock: Unix time in milliseconds. Tests pass one that they step, then call [`crate::Sqs::time_moved`].
pub type NowMs = Arc<dyn Fn() -> i64 + Send + Sync>;

/// What a redrive does to a message's receive count. AWS documents that `ApproximateReceiveCount` counts "across all queues"
/// (API reference, `ReceiveMessage`), and not whether a `maxReceiveCount` is held against that or against the receives of
/// its own queue; so whatever is built on it has to work with both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReceiveCountOnMove {
    /// The count goes on in the target, and the target's `maxReceiveCount` is compared with the carried count:
    /// a target whose limit was already reached hands the message on without ever delivering it.
    #[default]
    Carries,
    /// The target counts from zero. What the attribute then says is not what AWS documents: nothing may rely on it.
    Restarts,
}

/// The settings of one queue server.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The account in ARNs and queue URLs.
    pub account_id: String,
    /// The region in ARNs.
    pub region: String,
    /// Scheme and host of queue URLs, without a slash at the end.
    pub url_base: String,
    /// What a redrive does to the receive count.
    pub receive_count_on_move: ReceiveCountOnMove,
    /// Messages of one queue that may be in flight at a time ([`limits::IN_FLIGHT`] on AWS).
    pub in_flight: usize,
    /// Bytes of garbage that the journal may hold, beyond as many bytes as are live, before it is rewritten.
    pub garbage_bytes: u64,
    /// Names a store when it is made (message ids derive from it); a store that exists keeps its own.
    pub id_seed: u64,
    /// How many of the clock's milliseconds pass in a real one, more than 0: whoever waits for a moment of the clock sleeps
    /// so many times shorter.
    pub clock_rate: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            account_id: "000000000000".to_owned(),
            region: "us-east-1".to_owned(),
            url_base: "http://sqs.local".to_owned(),
            receive_count_on_move: ReceiveCountOnMove::default(),
            in_flight: limits::IN_FLIGHT,
            garbage_bytes: limits::JOURNAL_GARBAGE_BYTES,
            // The standard library's per-process random hash keys: unique is all that an id needs to be.
            id_seed: RandomState::new().build_hasher().finish(),
            clock_rate: 1.0,
        }
    }
}

impl Settings {
    /// The ARN of a queue.
    #[must_use]
    pub fn arn(&self, queue_name: &str) -> String {
        format!("arn:aws:sqs:{}:{}:{queue_name}", self.region, self.account_id)
    }

    /// The URL of a queue, as answered by `CreateQueue` and `GetQueueUrl`.
    #[must_use]
    pub fn url(&self, queue_name: &str) -> String {
        format!("{}/{}/{queue_name}", self.url_base, self.account_id)
    }

    /// The queue name in an ARN of this account and region.
    #[must_use]
    pub fn name_in_arn<'a>(&self, arn: &'a str) -> Option<&'a str> {
        let rest = arn.strip_prefix("arn:aws:sqs:")?.strip_prefix(self.region.as_str())?;
        rest.strip_prefix(':')?
            .strip_prefix(self.account_id.as_str())?
            .strip_prefix(':')
    }

    /// The queue name in a queue URL of this account, whatever its host: clients reach the server under several.
    #[must_use]
    pub fn name_in_url<'a>(&self, url: &'a str) -> Option<&'a str> {
        let (rest, name) = url.rsplit_once('/')?;
        (rest.rsplit('/').next() == Some(self.account_id.as_str())).then_some(name)
    }
}
