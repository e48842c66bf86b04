//! Looking through a dead-letter queue without losing anything: every message that is received is let go again at once,
//! and comes back by itself if this process dies. The intake looks at the same queue and has most messages in hand most of
//! the time, so a look may have to wait until it lets go of them.

use std::collections::BTreeMap;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, MessageSystemAttributeName, QueueAttributeName as Attribute,
};
use futures_util::future::join_all;
use redial_domain::Timestamp;
use redial_platform::Clock;

use super::letter::Letter;
use crate::cli::stack::StackError;

/// Receives under way at once while waiting: more than Lambda has, so that a message that the intake lets go of is more
/// likely to come here.
const PATIENT_RECEIVES: usize = 20;
/// Receives under way at once for a look at what is there now.
const QUICK_RECEIVES: usize = 3;
/// How long a receive waits for a message, in seconds.
const PATIENT_WAIT_S: i32 = 5;
/// The shortest wait that asks all of SQS's servers, not a sample of them.
const QUICK_WAIT_S: i32 = 1;
/// How long a message that was received stays hidden if this process dies, in seconds: longer than a round takes.
const HOLD_S: i32 = 60;
/// Messages in one receive or one batch, by SQS's limit.
const BATCH: usize = 10;
/// The same, as SQS's client takes it.
const BATCH_I32: i32 = 10;

const RECEIVE: &str = "sqs:ReceiveMessage";
const RELEASE: &str = "sqs:ChangeMessageVisibility";
const DELETE: &str = "sqs:DeleteMessage";
const LOOK: &str = "sqs:GetQueueAttributes";

/// What is to become of what a pass found.
pub(super) struct Decision {
    /// To be removed, by id; everything else is let go.
    pub(super) remove: Vec<String>,
    /// True if nothing more is looked for.
    pub(super) enough: bool,
}

/// How many messages a queue says that it has, roughly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counts {
    /// There for whoever asks.
    pub(super) visible: usize,
    /// In somebody's hand.
    pub(super) in_hand: usize,
    /// How long the intake keeps one in hand, in seconds.
    pub(super) visibility_s: i64,
}

/// A deployment's dead-letter queue.
pub(super) struct DeadLetterQueue {
    client: Client,
    url: String,
    clock: Clock,
}

impl DeadLetterQueue {
    pub(super) const fn new(client: Client, url: String, clock: Clock) -> Self {
        Self { client, url, clock }
    }

    /// What the queue says of itself.
    pub(super) async fn counts(&self) -> Result<Counts, StackError> {
        let names = [
            Attribute::ApproximateNumberOfMessages,
            Attribute::ApproximateNumberOfMessagesNotVisible,
            Attribute::VisibilityTimeout,
        ];
        let call = self.client.get_queue_attributes().queue_url(&self.url);
        let answer = call.set_attribute_names(Some(names.to_vec())).send().await;
        let attributes = answer.map_err(StackError::sqs(LOOK))?.attributes.unwrap_or_default();
        let number = |name: &Attribute| {
            attributes
                .get(name)
                .and_then(|count| count.parse::<u32>().ok())
                .unwrap_or(0)
        };
        Ok(Counts {
            visible: number(&names[0]) as usize,
            in_hand: number(&names[1]) as usize,
            visibility_s: number(&names[2]).into(),
        })
    }

    /// Looks at what is there now, then, until `deadline`, at what the intake lets go of. After each pass `decide` is told
    /// what was found, by id; what it does not have removed is let go again.
    ///
    /// # Errors
    /// [`StackError`]; what was in hand is let go, or comes back by itself.
    pub(super) async fn look(
        &self,
        deadline: Timestamp,
        mut decide: impl FnMut(&BTreeMap<String, Letter>) -> Decision,
    ) -> Result<(), StackError> {
        let mut quick = true;
        loop {
            let mut held = BTreeMap::new();
            let received = self.pass(quick, &mut held).await;
            if let Err(error) = received {
                // What is in hand comes back by itself if even this fails.
                drop(self.release(held.values()).await);
                return Err(error);
            }
            let Decision { remove, enough } = decide(&held);
            let mut removed = Ok(());
            for letter in remove.iter().filter_map(|id| held.remove(id)) {
                removed = removed.and(self.remove(&letter).await);
            }
            self.release(held.values()).await?;
            removed?;
            if enough || self.clock.now() >= deadline {
                return Ok(());
            }
            quick = false;
        }
    }

    /// Receives what is there: again and again until nothing comes if `quick`, once and patiently if not.
    async fn pass(&self, quick: bool, held: &mut BTreeMap<String, Letter>) -> Result<(), StackError> {
        let (receives, wait_s) = if quick {
            (QUICK_RECEIVES, QUICK_WAIT_S)
        } else {
            (PATIENT_RECEIVES, PATIENT_WAIT_S)
        };
        loop {
            let known = held.len();
            let received = join_all((0..receives).map(|_| self.receive(wait_s))).await;
            let mut failure = None;
            for answer in received {
                match answer {
                    Ok(letters) => held.extend(letters.into_iter().map(|letter| (letter.id.clone(), letter))),
                    Err(error) => failure = Some(error),
                }
            }
            if let Some(failure) = failure {
                return Err(failure);
            }
            if !quick || held.len() == known {
                return Ok(());
            }
        }
    }

    async fn receive(&self, wait_s: i32) -> Result<Vec<Letter>, StackError> {
        let call = self
            .client
            .receive_message()
            .queue_url(&self.url)
            .max_number_of_messages(BATCH_I32)
            .message_system_attribute_names(MessageSystemAttributeName::All)
            .visibility_timeout(HOLD_S)
            .wait_time_seconds(wait_s);
        let answer = call.send().await.map_err(StackError::sqs(RECEIVE))?;
        let messages = answer.messages.unwrap_or_default();
        Ok(messages.into_iter().filter_map(Letter::from_received).collect())
    }

    /// Lets messages go: the next receive has them.
    async fn release(&self, letters: impl Iterator<Item = &Letter>) -> Result<(), StackError> {
        let letters: Vec<&Letter> = letters.collect();
        for batch in letters.chunks(BATCH) {
            let mut call = self.client.change_message_visibility_batch().queue_url(&self.url);
            for (id, letter) in batch.iter().enumerate() {
                let entry = ChangeMessageVisibilityBatchRequestEntry::builder()
                    .id(id.to_string())
                    .receipt_handle(&letter.receipt)
                    .visibility_timeout(0);
                if let Ok(entry) = entry.build() {
                    call = call.entries(entry);
                }
            }
            // An entry that SQS refuses comes back by itself.
            call.send().await.map_err(StackError::sqs(RELEASE))?;
        }
        Ok(())
    }

    async fn remove(&self, letter: &Letter) -> Result<(), StackError> {
        let call = self.client.delete_message().queue_url(&self.url);
        let deleted = call.receipt_handle(&letter.receipt).send().await;
        deleted.map(|_| ()).map_err(StackError::sqs(DELETE))
    }
}
