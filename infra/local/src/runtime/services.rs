//! DynamoDB and SQS in this process, with the tables and queues of the template, and the AWS SDK's clients on them.
//! Decides nothing: what a table or a queue is like is the template's.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use redial_domain::Timestamp;
use redial_platform::Clock;
use redial_sqs::{Counts, JournalError, ReceiveCountOnMove, Sqs, SqsError};

use crate::billable::Meter;
use crate::billable::metered::Metered;
use crate::connector::{self, Answer, Service};
use crate::dynamodb::{Dynamo, OpenError, StorageFailure, TableError};
use crate::faults::{self, Faults, Faulty};
use crate::permissions::{Api, Caller, Guarded};
use crate::runtime::unhurried::{Places, Unhurried};
use crate::template::{Queue, Template};

/// The folder of the queues, in the data folder.
const QUEUE_FOLDER: &str = "sqs";

/// Where the services keep what they hold.
#[derive(Debug, Clone)]
pub enum Storage {
    /// In a folder: what is acknowledged is on disk.
    Folder(PathBuf),
    /// The tables in memory, the queues in a folder. For tests: quicker, and gone at the end.
    TablesInMemory {
        /// The folder of the queues.
        queues: PathBuf,
    },
}

/// The services cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum ServicesError {
    /// The database.
    #[error(transparent)]
    Database(#[from] OpenError),
    /// A table.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The journal of the queues.
    #[error("the queues cannot be opened")]
    Journal(#[from] JournalError),
    /// A queue.
    #[error("queue {queue} cannot be made as the template says")]
    Queue {
        /// The queue.
        queue: String,
        /// Why not.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The runtime stopped meanwhile.
    #[error("the database was not opened: the process is stopping")]
    Stopping,
}

/// The storage failed while it was used. Nothing more can be promised; the process has to end.
#[derive(Debug, thiserror::Error)]
pub enum StorageLost {
    /// The database.
    #[error("the database failed")]
    Database(#[source] StorageFailure),
    /// The queues.
    #[error("the queues failed")]
    Queues(#[source] Arc<JournalError>),
}

/// Both services. Cheap to clone; they close when the last clone is dropped.
#[derive(Debug, Clone)]
pub struct Services {
    dynamo: Dynamo,
    sqs: Sqs,
    clock: Clock,
}

/// What stands between a function and the services; by default nothing does.
#[derive(Clone, Default)]
pub(super) struct Between {
    /// What it may do.
    pub(super) caller: Option<Caller>,
    /// What goes wrong.
    pub(super) faults: Faults,
    /// What it is billed for.
    pub(super) meter: Option<Meter>,
    /// Its places, if it has time.
    pub(super) places: Option<Places>,
}

impl Between {
    /// The service as the function meets it. What a fault keeps from arriving, or a role does not grant, is not billed.
    pub(super) fn before<S: Service>(
        self,
        service: S,
        api: Api,
        name: &'static str,
    ) -> Faulty<Guarded<Metered<Unhurried<S>>>> {
        let Self {
            caller,
            faults,
            meter,
            places,
        } = self;
        let service = Unhurried { service, places };
        let service = Metered { service, api, meter };
        let service = Guarded { service, api, caller };
        Faulty { service, name, faults }
    }
}

/// SQS under the SDK's connector.
struct QueueService(Sqs);

impl Service for QueueService {
    async fn answer(&self, operation: &str, body: Bytes) -> Answer {
        let answer = self.0.call(operation, &body).await;
        Answer {
            status: answer.status,
            body: answer.body.into(),
            // The connector names the media type.
            headers: answer
                .headers
                .into_iter()
                .filter(|(name, _)| *name != "content-type")
                .collect(),
        }
    }
}

impl Services {
    /// Opens what is in `storage` and makes of the template's tables and queues what is missing.
    ///
    /// # Errors
    /// [`ServicesError`] says what cannot be opened, or what contradicts the template.
    pub async fn open(
        storage: &Storage,
        template: &Template,
        clock: Clock,
        receive_count_on_move: ReceiveCountOnMove,
    ) -> Result<Self, ServicesError> {
        let (dynamo, queue_folder) = match storage.clone() {
            Storage::Folder(folder) => {
                let queues = folder.join(QUEUE_FOLDER);
                let opened = tokio::task::spawn_blocking(move || Dynamo::open(&folder)).await;
                (opened.map_err(|_| ServicesError::Stopping)??, queues)
            }
            Storage::TablesInMemory { queues } => (Dynamo::memory()?, queues),
        };
        for table in &template.tables {
            dynamo.ensure(table).await?;
        }
        let settings = redial_sqs::Settings {
            receive_count_on_move,
            clock_rate: clock.rate(),
            ..redial_sqs::Settings::default()
        };
        let now = clock.clone();
        let sqs = Sqs::open(queue_folder, settings, Arc::new(move || now.now().as_millis())).await?;
        if sqs.torn_bytes() > 0 {
            tracing::warn!(bytes = sqs.torn_bytes(), "sqs.journal_torn");
        }
        let services = Self { dynamo, sqs, clock };
        services.ensure_queues(&template.queues).await?;
        services.tell_counts();
        // The folder is ours alone: whoever was working on these died with the last process.
        let given_back = services.sqs.give_back();
        if given_back > 0 {
            tracing::warn!(messages = given_back, "sqs.given_back");
        }
        Ok(services)
    }

    /// Says how many messages each queue holds, wherever they stand: what the last process left.
    fn tell_counts(&self) {
        let Ok(counts) = self.queue_counts() else { return };
        for (queue, counts) in counts {
            let messages = counts.visible + counts.in_flight + counts.delayed;
            tracing::info!(queue, messages, "sqs.opened");
        }
    }

    /// Makes the queues that are missing, then sets them all: a queue can name another only when that one is there, and
    /// the template may have changed since the last start.
    async fn ensure_queues(&self, queues: &[Queue]) -> Result<(), ServicesError> {
        let refused = |queue: &Queue, source| ServicesError::Queue {
            queue: queue.name.clone(),
            source,
        };
        let there = self.sqs.queue_names();
        for queue in queues.iter().filter(|queue| !there.contains(&queue.name)) {
            let made = self.sqs.create_queue(&queue.name, &BTreeMap::new()).await;
            made.map_err(|error| refused(queue, error.into()))?;
        }
        let client = self.sqs_client();
        for queue in queues {
            let mut call = client.set_queue_attributes().queue_url(self.queue_url(&queue.name));
            for (name, value) in self.attributes(queue) {
                call = call.attributes(name.into(), value);
            }
            let set = call.send().await;
            set.map_err(|error| refused(queue, Box::new(error.into_service_error())))?;
        }
        Ok(())
    }

    fn attributes(&self, queue: &Queue) -> [(&'static str, String); 3] {
        let redrive = queue.redrive.as_ref().map(|redrive| {
            let target = self.sqs.settings().arn(&redrive.target);
            serde_json::json!({ "deadLetterTargetArn": target, "maxReceiveCount": redrive.max_receives }).to_string()
        });
        [
            ("VisibilityTimeout", queue.visibility_s.to_string()),
            ("MessageRetentionPeriod", queue.retention_s.to_string()),
            // Empty: none.
            ("RedrivePolicy", redrive.unwrap_or_default()),
        ]
    }

    /// A client of DynamoDB that may everything.
    #[must_use]
    pub fn dynamodb_client(&self) -> aws_sdk_dynamodb::Client {
        self.dynamodb_client_of(Between::default())
    }

    /// A client of SQS that may everything.
    #[must_use]
    pub fn sqs_client(&self) -> aws_sdk_sqs::Client {
        self.sqs_client_of(Between::default())
    }

    /// A client of DynamoDB for a function, which may what its role grants.
    pub(super) fn dynamodb_client_of(&self, between: Between) -> aws_sdk_dynamodb::Client {
        connector::dynamodb_client(between.before(self.dynamo.clone(), Api::DynamoDb, faults::DYNAMODB))
    }

    /// A client of SQS for a function, which may what its role grants.
    pub(super) fn sqs_client_of(&self, between: Between) -> aws_sdk_sqs::Client {
        connector::sqs_client(between.before(QueueService(self.sqs.clone()), Api::Sqs, faults::SQS))
    }

    /// The URL of a queue.
    #[must_use]
    pub fn queue_url(&self, name: &str) -> String {
        self.sqs.settings().url(name)
    }

    /// The tables.
    #[must_use]
    pub const fn dynamo(&self) -> &Dynamo {
        &self.dynamo
    }

    /// The queues.
    #[must_use]
    pub const fn sqs(&self) -> &Sqs {
        &self.sqs
    }

    /// How many messages of each queue stand where.
    ///
    /// # Errors
    /// [`SqsError`] if the queues failed.
    pub fn queue_counts(&self) -> Result<BTreeMap<String, Counts>, SqsError> {
        let names = self.sqs.queue_names().into_iter();
        names
            .map(|name| self.sqs.counts(&name).map(|counts| (name, counts)))
            .collect()
    }

    /// The next moment at which a message that waits can be received; `None` if none waits.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.sqs.next_deadline().map(Timestamp::from_millis)
    }

    /// Moves a manual clock forward and does what is due by then in the queues.
    pub fn advance_to(&self, moment: Timestamp) {
        self.clock.advance_to(moment);
        self.sqs.time_moved();
    }

    /// Waits until the storage fails, with the reason; for ever while all is well.
    pub async fn lost(&self) -> StorageLost {
        tokio::select! {
            failure = self.dynamo.failure() => StorageLost::Database(failure),
            failure = self.sqs.failed() => StorageLost::Queues(failure),
        }
    }

    /// Writes what is pending and refuses every later call of the queues.
    pub async fn close(&self) {
        self.sqs.close().await;
    }
}
