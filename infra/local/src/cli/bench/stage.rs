//! One run from end to end: starts the server and the receiver, registers endpoints, posts, waits for the last delivery, and
//! settles the account. Whatever it started is held where the bench can end it at any moment.

use std::path::PathBuf;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use indicatif::ProgressBar;
use redial_domain::signature::Secret;
use redial_platform::Random;
use reqwest::Url;
use tokio::time::timeout;

use super::account::{Costs, Run, settle};
use super::arguments::{Length, Plan};
use super::billed::Billed;
use super::children::{Receiver, Serve};
use super::error::{BenchError, Part};
use super::load::{Load, Outcome, Posted, Progress, drive};
use super::moment::{NS_PER_S, now_ns, seconds_between};
use super::setup::{Registered, register, tenants, unregister};
use super::usage::{self, Usage};
use super::words::{Counts, Expected};
use crate::cli::client::Client;
use crate::cli::connection::{Connection, ConnectionArgs};
use crate::cli::error::{CliError, with_cause};
use crate::cli::output::note;

/// How often the progress bar moves.
const BAR_PERIOD: Duration = Duration::from_millis(250);
/// How long after the last delivery CPU is counted: what arrived last is recorded then, and its record is part of its price.
const RECORDED_AFTER: Duration = Duration::from_millis(300);
/// How long a server is left alone before it counts as idle: what a start does is done.
const IDLE_AFTER: Duration = Duration::from_secs(5);
/// How long the way out may take, where endpoints have to be deleted.
const CLEANUP_TIMEOUT: Duration = Duration::from_secs(60);
/// Marks of runs stay below, so that that of the warming up is next to its run's.
const MARKS: u32 = 1 << 30;

/// What is measured, and with what.
pub(super) struct Setting {
    /// This program.
    pub(super) own_program: PathBuf,
    /// The program whose server is measured.
    pub(super) program: PathBuf,
    /// Where folders for data are made.
    pub(super) below: PathBuf,
    /// Whether what AWS would bill is counted.
    pub(super) billable: bool,
    /// A server that runs already.
    pub(super) named: Option<ConnectionArgs>,
    pub(super) server_pid: Option<u32>,
    /// URL by which a server elsewhere reaches the receiver.
    pub(super) public_url: Option<String>,
    pub(super) receiver_port: u16,
}

/// A server that can be measured.
struct Server {
    client: Client,
    key: String,
    pid: Option<u32>,
}

/// Everything that a run has started and that must be gone in the end.
#[derive(Default)]
pub(super) struct Stage {
    serve: Option<Serve>,
    receiver: Option<Receiver>,
    /// Endpoints at a server that stays.
    registered: Arc<Mutex<Vec<Registered>>>,
    client: Option<Client>,
    progress: Arc<Progress>,
}

impl Stage {
    /// Runs a plan once. Another run needs [`Stage::clear`] first.
    pub(super) async fn run(&mut self, setting: &Setting, plan: &Plan, bar: &ProgressBar) -> Result<Run, CliError> {
        let server = self.server(setting).await?;
        let ingest = server.client.ingest_url().await?;
        let mark = u32::from_le_bytes(Random::System.bytes()) % MARKS * 2;
        let secret = Secret::from_random(Random::System.bytes());
        let tenants = tenants(mark, plan.tenants);
        let receiver = self.receiver(setting).await?;
        bar.set_message("registering endpoints");
        let registered = Arc::clone(&self.registered);
        let made = move |endpoint| registered.lock().unwrap_or_else(PoisonError::into_inner).push(endpoint);
        register(&server.client, plan, &tenants, &receiver, secret.reveal(), made).await?;
        let progress = Arc::clone(&self.progress);
        let load = |plan: &Plan, mark| Load {
            plan: plan.clone(),
            mark,
            tenants: Arc::clone(&tenants),
            ingest: ingest.clone(),
            key: server.key.clone(),
            progress: Arc::clone(&progress),
        };
        if plan.warm_up > 0 {
            bar.set_message("warming up");
            let plan = plan.for_warming_up();
            let load = load(&plan, mark + 1);
            self.drive(load, secret.reveal(), &ProgressBar::hidden()).await?;
        }
        bar.set_message("posting");
        let load = load(plan, mark);
        let billed_before = self.billed().await?;
        let before = self.costs(&server);
        let (posted, counts) = self.drive(load, secret.reveal(), bar).await?;
        tokio::time::sleep(RECORDED_AFTER).await;
        let after = self.costs(&server);
        let billed_after = self.billed().await?;
        let cells = self.told_receiver()?.tell().await?;
        let mut run = settle(plan, posted, &cells, counts, [before, after]);
        run.billable_per_event = billed_before
            .zip(billed_after)
            .map(|(before, after)| after.per_event_since(&before, run.accepted));
        Ok(run)
    }

    /// What a server costs that has nothing to do: before and after so many seconds, and how many they were exactly. None
    /// where processes tell nothing.
    pub(super) async fn idle(
        &mut self,
        setting: &Setting,
        seconds: u32,
    ) -> Result<Option<(Usage, Usage, f64)>, CliError> {
        let server = self.server(setting).await?;
        let Some(pid) = server.pid else {
            return Err(CliError::usage(
                "of a server at --url only its process tells: give --server-pid",
            ));
        };
        tokio::time::sleep(IDLE_AFTER).await;
        let (before, from_ns) = (usage::of_process(pid), now_ns());
        tokio::time::sleep(Duration::from_secs(seconds.into())).await;
        let (after, to_ns) = (usage::of_process(pid), now_ns());
        let both = before.zip(after);
        Ok(both.map(|(before, after)| (before, after, seconds_between(from_ns, to_ns))))
    }

    /// Ends everything that was started, and deletes what was made at a server that stays.
    pub(super) async fn clear(&mut self) {
        self.progress.stop();
        self.progress = Arc::default();
        let endpoints = std::mem::take(&mut *self.registered.lock().unwrap_or_else(PoisonError::into_inner));
        if let Some(serve) = self.serve.take() {
            serve.close().await;
        } else if let Some(client) = &self.client
            && !endpoints.is_empty()
        {
            match timeout(CLEANUP_TIMEOUT, unregister(client, &endpoints)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => note(&format!(
                    "some endpoints of the bench were not deleted: {}",
                    with_cause(&error)
                )),
                Err(_) => note("some endpoints of the bench were not deleted: Redial did not answer in time"),
            }
        }
        if let Some(receiver) = self.receiver.take() {
            receiver.close().await;
        }
    }

    /// Where the data of the bench's own server lie.
    pub(super) fn data(&self) -> Option<PathBuf> {
        self.serve.as_ref().map(Serve::data)
    }

    async fn server(&mut self, setting: &Setting) -> Result<Server, CliError> {
        let (connection, pid) = match &setting.named {
            Some(named) => (named.resolve()?, setting.server_pid),
            None => {
                let serve = self
                    .serve
                    .insert(Serve::spawn(&setting.program, &setting.below, setting.billable)?);
                let address = serve.ready().await?;
                let url = Url::parse(&address.url).map_err(|error| CliError::NotUnderstood {
                    origin: address.url.clone(),
                    what: error.to_string(),
                })?;
                let connection = Connection {
                    url,
                    key: address.key,
                    allows_http: false,
                };
                (connection, serve.pid())
            }
        };
        let client = Client::new(&connection)?;
        self.client = Some(client.clone());
        Ok(Server {
            client,
            key: connection.key,
            pid,
        })
    }

    /// Starts the receiver; answers the URL by which the server reaches it.
    async fn receiver(&mut self, setting: &Setting) -> Result<String, CliError> {
        let receiver = self
            .receiver
            .insert(Receiver::spawn(&setting.own_program, setting.receiver_port)?);
        let port = receiver.ready().await?;
        let public = setting
            .public_url
            .as_deref()
            .map(|url| url.trim_end_matches('/').to_owned());
        Ok(public.unwrap_or_else(|| format!("http://127.0.0.1:{port}")))
    }

    /// What AWS would have billed until now, if it is counted.
    async fn billed(&self) -> Result<Option<Billed>, BenchError> {
        match self.serve.as_ref().and_then(Serve::billable) {
            Some(file) => Billed::read(file).await.map(Some),
            None => Ok(None),
        }
    }

    fn told_receiver(&mut self) -> Result<&mut Receiver, BenchError> {
        self.receiver.as_mut().ok_or_else(|| BenchError::Ended {
            part: Part::Receiver,
            said: "it was not started".to_owned(),
        })
    }

    fn costs(&self, server: &Server) -> Costs {
        Costs {
            serve: server.pid.and_then(usage::of_process),
            receiver: self
                .receiver
                .as_ref()
                .and_then(Receiver::pid)
                .and_then(usage::of_process),
            driver: usage::of_process(std::process::id()),
            machine: usage::of_machine(),
        }
    }

    /// Posts, and waits until everything has arrived or nothing more comes.
    async fn drive(&mut self, load: Load, secret: &str, bar: &ProgressBar) -> Result<(Posted, Counts), CliError> {
        let plan = load.plan.clone();
        let expected = Expected {
            mark: load.mark,
            endpoints: plan.endpoints,
            failing: plan.failing,
            failing_kind: plan.failing_kind,
            verify: plan.verify,
            secret: secret.to_owned(),
        };
        self.told_receiver()?.expect(expected).await?;
        if let Length::Events(events) = plan.length {
            bar.set_length(events.into());
        }
        let posted = watched(load, bar).await?;
        let is_sent = |outcome| !matches!(outcome, Outcome::Unsent | Outcome::Refused);
        let sent = posted.slots.iter().filter(|slot| is_sent(slot.outcome)).count();
        let want = u64::try_from(sent)
            .unwrap_or(u64::MAX)
            .saturating_mul(plan.endpoints.into());
        bar.set_message("waiting for the last delivery");
        bar.set_length(want);
        let patience_ns = u64::from(plan.patience_s) * NS_PER_S;
        let (mut delivered, mut since_ns) = (0, now_ns());
        let receiver = self.told_receiver()?;
        loop {
            let counts = receiver.wait(want, BAR_PERIOD).await?;
            bar.set_position(counts.delivered);
            if counts.delivered > delivered {
                (delivered, since_ns) = (counts.delivered, now_ns());
            }
            if counts.delivered >= want || now_ns().saturating_sub(since_ns) > patience_ns {
                return Ok((posted, counts));
            }
        }
    }
}

/// Drives a load while the bar moves.
async fn watched(load: Load, bar: &ProgressBar) -> Result<Posted, CliError> {
    let progress = Arc::clone(&load.progress);
    let begun = progress.answered.load(std::sync::atomic::Ordering::Relaxed);
    let mut posting = pin!(drive(load));
    loop {
        if let Ok(posted) = timeout(BAR_PERIOD, &mut posting).await {
            return posted;
        }
        let answered = progress.answered.load(std::sync::atomic::Ordering::Relaxed);
        bar.set_position(answered - begun);
    }
}
