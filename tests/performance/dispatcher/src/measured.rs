//! The process that is measured. It has one thread and the environment that template.yaml gives the dispatcher, which it
//! wires as that function's `main.rs` does; what it says besides its log is one line for each sender in each round.

use std::io::Write as _;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use redial_dispatcher::{Dispatcher, Parts};
use redial_domain::address::{AddressPolicy, AllowedNetworks};
use redial_domain::retry::RetryPolicy;
use redial_domain::signature::Secret;
use redial_domain::{EndpointId, TenantId, Timestamp};
use redial_egress::{Egress, EgressSettings};
use redial_platform::{Clock, Metrics, aws};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

use crate::Failure;
use crate::bare::{Hyper, Reqwest};
use crate::events::{self, Target};
use crate::receiver::Received;

/// How the lines begin that are no log.
pub(crate) const MARK: &str = "measured: ";

/// What the process is told.
#[derive(Debug, Clone, Args)]
pub(crate) struct Orders {
    #[arg(long)]
    pub(crate) url: String,
    #[arg(long)]
    pub(crate) endpoint: String,
    #[arg(long)]
    pub(crate) secret: String,
    #[arg(long)]
    pub(crate) shards: u16,
    #[arg(long)]
    pub(crate) rounds: u32,
    #[arg(long)]
    pub(crate) deliveries: u32,
    #[arg(long)]
    pub(crate) payload_bytes: u32,
    #[arg(long)]
    pub(crate) only: Option<Sender>,
}

/// Who sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
pub(crate) enum Sender {
    /// The dispatcher, given batches.
    Dispatcher,
    /// The dispatcher, given the JSON that Lambda has of a batch: it answers JSON.
    Invoked,
    /// A loop around reqwest.
    Reqwest,
    /// A loop around hyper's client.
    Hyper,
}

impl Sender {
    /// All of them.
    pub(crate) const ALL: [Self; 4] = [Self::Dispatcher, Self::Invoked, Self::Reqwest, Self::Hyper];

    /// True if it is the dispatcher: its deliveries are written down.
    pub(crate) const fn records(self) -> bool {
        matches!(self, Self::Dispatcher | Self::Invoked)
    }
}

/// What one sender did in one round.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Sent {
    pub(crate) sender: Sender,
    /// 0: the round in which everything is made for the first time.
    pub(crate) round: u32,
    /// Of the thread, from the first batch to the end of the last one.
    pub(crate) cpu_ns: u64,
    /// The events that it sent: what they are follows from these two.
    pub(crate) seed: u64,
    pub(crate) accepted_at_ms: i64,
    /// The receiver's count since the last sender, and what it has to be.
    pub(crate) received: Received,
    pub(crate) digest: u64,
}

/// The CPU that this thread has had, in nanoseconds.
fn cpu_ns() -> u64 {
    let had = clock_gettime(ClockId::ThreadCPUTime);
    had.tv_sec.unsigned_abs() * 1_000_000_000 + had.tv_nsec.unsigned_abs()
}

struct Bench {
    orders: Orders,
    target: Target,
    dispatcher: Dispatcher,
    reqwest: Reqwest,
    hyper: Hyper,
}

/// As `functions/dispatcher/src/main.rs`, but for the address of the receiver, which is this machine's.
fn dispatcher() -> Result<Dispatcher, Failure> {
    aws::init_log();
    let env = aws::environment(aws::FirstNeeds::All)?;
    let own_hosts = env.settings.own_hosts()?;
    let wall = env.clock.clone();
    let targets = AddressPolicy::with_local(AllowedNetworks::parse(["127.0.0.1/32"])?, true);
    let egress = EgressSettings::new(targets, own_hosts, Arc::new(move || wall.now()));
    Ok(Dispatcher::new(Parts {
        secrets: env.secrets()?,
        store: env.store,
        queues: env.queues,
        egress: Arc::new(Egress::new(egress)?),
        clock: env.clock,
        random: env.random,
        api_origin: env.settings.api_origin,
        default_retry: RetryPolicy::default(),
        metrics: Metrics::embedded(env.settings.stack),
    }))
}

/// Sends round after round, each sender in turn and in the opposite order every other time.
pub(crate) async fn run(orders: &Orders) -> Result<(), Failure> {
    let secret = Secret::parse(&orders.secret)?;
    let bench = Bench {
        target: Target {
            tenant: TenantId::parse(events::TENANT)?,
            endpoint: EndpointId::parse(&orders.endpoint)?,
            shards: orders.shards,
        },
        dispatcher: dispatcher()?,
        reqwest: Reqwest::new(&orders.url, secret.clone())?,
        hyper: Hyper::new(&orders.url, secret),
        orders: orders.clone(),
    };
    bench.reqwest.received().await?;
    for round in 0..=orders.rounds {
        let mut senders = Sender::ALL.to_vec();
        senders.retain(|sender| orders.only.is_none_or(|only| only == *sender));
        if round % 2 == 1 {
            senders.reverse();
        }
        // One moment for all of them, so that the bare ones send the very bytes that the dispatcher sends.
        let accepted_at = Clock::wall();
        for sender in senders {
            let sent = bench.send(sender, round, accepted_at).await?;
            let mut stdout = std::io::stdout().lock();
            writeln!(stdout, "{MARK}{}", serde_json::to_string(&sent)?)?;
            stdout.flush()?;
        }
    }
    Ok(())
}

impl Bench {
    async fn send(&self, sender: Sender, round: u32, accepted_at: Timestamp) -> Result<Sent, Failure> {
        // Both ways of the dispatcher have events of their own, or one would write over the other's records.
        let seed = u64::from(round) * 2 + u64::from(sender == Sender::Invoked);
        let orders = &self.orders;
        let events = events::made(&self.target, orders.deliveries, orders.payload_bytes, seed, accepted_at)?;
        let payloads = events::payloads(&events);
        let batches = events::read(&payloads)?;
        let before = cpu_ns();
        match sender {
            Sender::Dispatcher => {
                for batch in batches {
                    let answer = self.dispatcher.handle(batch).await;
                    if !answer.batch_item_failures.is_empty() {
                        return Err("the dispatcher wants a message again".into());
                    }
                }
            }
            Sender::Invoked => {
                for payload in &payloads {
                    let answer = self.dispatcher.answer(payload).await?.to_string();
                    if answer != r#"{"batchItemFailures":[]}"# {
                        return Err(format!("the dispatcher answers {answer}").into());
                    }
                }
            }
            Sender::Reqwest => self.reqwest.post_all(&events).await?,
            Sender::Hyper => self.hyper.post_all(&events).await?,
        }
        let cpu_ns = cpu_ns() - before;
        Ok(Sent {
            sender,
            round,
            cpu_ns,
            seed,
            accepted_at_ms: accepted_at.as_millis(),
            received: serde_json::from_slice(&self.reqwest.received().await?)?,
            digest: events::digest_of(&events),
        })
    }
}

/// The events that were sent, made once more.
pub(crate) fn sent_events(orders: &Orders, target: &Target, sent: &Sent) -> Result<Vec<events::Event>, Failure> {
    let accepted_at = Timestamp::from_millis(sent.accepted_at_ms);
    events::made(target, orders.deliveries, orders.payload_bytes, sent.seed, accepted_at)
}
