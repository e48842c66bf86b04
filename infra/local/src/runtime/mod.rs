//! Redial's pieces on one machine: the services, the functions, and what calls the functions. [`Machine`] is all of it
//! without HTTP and without a process around it; `redial serve` runs one, tests step one.
//!
//! # Stepping
//! A machine does nothing by itself until [`Machine::start`]. A test makes one on a [`Clock::manual`], and is the world:
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use redial_domain::Timestamp;
//! use redial_local::runtime::{FunctionSettings, Machine, Storage};
//! use redial_local::template::Template;
//! use redial_platform::{Clock, Random};
//!
//! let folder = std::env::temp_dir();
//! let machine = Machine::open(
//!     &Template::built_in()?,
//!     &Storage::TablesInMemory { queues: folder },
//!     FunctionSettings {
//!         clock: Clock::manual(Timestamp::parse("2026-11-20T05:00:00Z")?),
//!         random: Random::seeded(1),
//!         ..FunctionSettings::new("http://127.0.0.1:4080", [7; 32])
//!     },
//! )
//! .await?;
//! let api = machine.router(); // `tower::ServiceExt::oneshot`: no socket needed
//! machine.run_until_idle().await?; // every message that can be received now, and what comes of it
//! machine.advance_to_next_deadline(); // the backoff passes
//! machine.run_until_idle().await?; // the second attempt
//! machine.functions().sweeper().sweep().await?; // the schedule's call: held deliveries that are due, repairs
//! assert!(machine.services().queue_counts()?.values().all(|c| c.visible + c.in_flight + c.delayed == 0));
//! # Ok(())
//! # }
//! ```
//! The clock is that of functions, queues and records; only the timeouts of requests and functions are real time. The
//! tables' `due_at` are no deadlines of the queues: to let a held delivery go, advance to its `due_at` and sweep.

pub mod data_folder;
mod functions;
pub(crate) mod http;
mod lambda;
mod mappings;
mod schedule;
mod services;
#[cfg(test)]
mod tests;
mod unhurried;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use redial_domain::Timestamp;
use redial_sqs::{ReceiveCountOnMove, SqsError};
use redial_sweeper::{Summary, SweepError};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::template::{EventSourceMapping, Template};
pub use functions::{FunctionSettings, Functions, FunctionsError};
pub use mappings::Handler;
use mappings::Mapping;
pub use services::{Services, ServicesError, Storage, StorageLost};

/// Steps after which [`Machine::run_until_idle`] gives up: something comes back as soon as it is sent away.
const MAX_STEPS: usize = 100_000;

/// A machine cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum MachineError {
    /// The services.
    #[error(transparent)]
    Services(#[from] ServicesError),
    /// The functions.
    #[error(transparent)]
    Functions(#[from] FunctionsError),
    /// The template names a function that is none, or calls it in a way that it is not made for.
    #[error("the template calls {function} for {caller}, which no function of this program answers")]
    NoFunction {
        /// Its name in the template.
        function: String,
        /// The queue, or the schedule.
        caller: String,
    },
}

/// A step failed.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// The queues failed.
    #[error(transparent)]
    Queues(#[from] SqsError),
    /// It would never end.
    #[error("still busy after {MAX_STEPS} steps: some message comes back at once, again and again")]
    StillBusy,
}

/// Services, functions and what calls them.
pub struct Machine {
    services: Services,
    functions: Functions,
    mappings: Vec<Arc<Mapping>>,
    schedules: Vec<Duration>,
    clock: redial_platform::Clock,
}

impl Machine {
    /// Opens the services and wires the functions to them, as the template says.
    ///
    /// # Errors
    /// [`MachineError`] says what cannot be opened or wired.
    pub async fn open(
        template: &Template,
        storage: &Storage,
        settings: FunctionSettings,
    ) -> Result<Self, MachineError> {
        Self::open_with(template, storage, settings, ReceiveCountOnMove::default()).await
    }

    /// As [`Machine::open`], with one of the two things that a redrive may do to a receive count. AWS does not say which;
    /// Redial must work with both.
    ///
    /// # Errors
    /// [`MachineError`] says what cannot be opened or wired.
    pub async fn open_with(
        template: &Template,
        storage: &Storage,
        settings: FunctionSettings,
        receive_count_on_move: ReceiveCountOnMove,
    ) -> Result<Self, MachineError> {
        let clock = settings.clock.clone();
        let services = Services::open(storage, template, clock.clone(), receive_count_on_move).await?;
        let functions = Functions::new(&services, &settings)?;
        functions.keep_old_secrets(&settings.secrets_key).await?;
        let mapping = |source: &EventSourceMapping| {
            let handler = functions
                .batches_of(&source.function)
                .ok_or_else(|| no_function(&source.function, &source.queue))?;
            let sqs = services.sqs().clone();
            let faults = settings.faults.clone();
            let mapping = Mapping::new(source.clone(), sqs, handler, clock.clone(), faults);
            Ok(Arc::new(mapping.billed(settings.billable.clone())))
        };
        let mappings = template
            .mappings
            .iter()
            .map(mapping)
            .collect::<Result<_, MachineError>>()?;
        let schedules = template.schedules.iter().map(|schedule| {
            let known = functions.scheduled(&schedule.function).map(|_| schedule.every);
            known.ok_or_else(|| no_function(&schedule.function, "its schedule"))
        });
        let schedules = schedules.collect::<Result<_, MachineError>>()?;
        Ok(Self {
            services,
            functions,
            mappings,
            schedules,
            clock,
        })
    }

    /// DynamoDB and SQS.
    #[must_use]
    pub const fn services(&self) -> &Services {
        &self.services
    }

    /// The functions.
    #[must_use]
    pub const fn functions(&self) -> &Functions {
        &self.functions
    }

    /// Ingest and API, under one origin.
    pub fn router(&self) -> axum::Router {
        self.functions.router()
    }

    /// Has each mapping fetch one batch, if one is there now, and work on it to the end. Answers how many messages were
    /// worked on.
    ///
    /// # Errors
    /// [`StepError`] if the queues failed.
    pub async fn step(&self) -> Result<usize, StepError> {
        let mut worked = 0;
        for mapping in &self.mappings {
            worked += mapping.step().await?;
        }
        Ok(worked)
    }

    /// As [`Machine::step`], for the mappings of one queue only.
    ///
    /// # Errors
    /// [`StepError`] if the queues failed.
    pub async fn step_queue(&self, queue: &str) -> Result<usize, StepError> {
        let mut worked = 0;
        for mapping in self.mappings.iter().filter(|mapping| mapping.queue() == queue) {
            worked += mapping.step().await?;
        }
        Ok(worked)
    }

    /// Steps until no message can be received at the clock's time. Answers how many messages were worked on.
    ///
    /// # Errors
    /// [`StepError`] if the queues failed, or it would never end.
    pub async fn run_until_idle(&self) -> Result<usize, StepError> {
        let mut worked = 0;
        for _ in 0..MAX_STEPS {
            match self.step().await? {
                0 => return Ok(worked),
                messages => worked += messages,
            }
        }
        Err(StepError::StillBusy)
    }

    /// The schedule's call.
    ///
    /// # Errors
    /// [`SweepError`] if the store or the queue failed; what was done stays done.
    pub async fn sweep(&self) -> Result<Summary, SweepError> {
        self.functions.sweep().await
    }

    /// The next moment at which a message that waits (its backoff, its delay) can be received; `None` if none waits.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.services.next_deadline()
    }

    /// Moves a manual clock forward.
    pub fn advance_to(&self, moment: Timestamp) {
        self.services.advance_to(moment);
    }

    /// Moves a manual clock forward to the next deadline of the queues and says which that was; `None` if nothing waits.
    pub fn advance_to_next_deadline(&self) -> Option<Timestamp> {
        let deadline = self.next_deadline()?;
        self.advance_to(deadline);
        Some(deadline)
    }

    /// Starts everything that a deployment does by itself: mappings and schedules, on the system's clock.
    #[must_use]
    pub fn start(&self) -> Running {
        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        for mapping in &self.mappings {
            mapping.start(&stopped, &mut tasks);
        }
        for every in &self.schedules {
            let functions = self.functions.clone();
            tasks.spawn(schedule::sweep(functions, self.clock.real(*every), stopped.clone()));
        }
        let dynamo = self.services.dynamo().clone();
        tasks.spawn(schedule::expire(dynamo, self.clock.clone(), stopped));
        Running {
            stop,
            tasks,
            mappings: self.mappings.clone(),
        }
    }

    /// Writes what is pending and lets go of the storage.
    pub async fn close(self) {
        self.services.close().await;
    }
}

fn no_function(function: &str, caller: &str) -> MachineError {
    MachineError::NoFunction {
        function: function.to_owned(),
        caller: caller.to_owned(),
    }
}

/// Mappings and schedules at work. Dropped, the receivers and schedules end at once, and batches under way go on.
pub struct Running {
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
    mappings: Vec<Arc<Mapping>>,
}

impl Running {
    /// Fetches no more and waits, at most `grace`, for what is under way. Answers how many batches were not finished: their
    /// messages come again.
    pub async fn stop(mut self, grace: Duration) -> usize {
        self.stop.send_replace(true);
        let finished = async {
            while self.tasks.join_next().await.is_some() {}
            join_all(self.mappings.iter().map(|mapping| mapping.idle())).await;
        };
        match timeout(grace, finished).await {
            Ok(()) => 0,
            Err(_) => self.mappings.iter().map(|mapping| mapping.busy()).sum(),
        }
    }
}
