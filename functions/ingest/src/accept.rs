//! From a request body to stored events and queued deliveries. docs/ARCHITECTURE.md; the order of writes is in docs/DATA.md.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use axum::http::StatusCode;
use futures_util::StreamExt as _;
use futures_util::future::try_join_all;
use redial_domain::event::{Posted, PostedEvent};
use redial_domain::{EventId, TenantId, Timestamp};
use redial_platform::metrics::{Metric, Metrics, Recorder};
use redial_platform::problem::Problem;
use redial_platform::queue::Queues;
use redial_platform::store::config::TenantConfig;
use redial_platform::store::events::{PutEvent, StoredEvent};
use redial_platform::store::{Store, StoreError};
use redial_platform::{Clock, Random, blob, cache::ConfigCache, failpoint, keys};
use tokio::sync::Semaphore;

use crate::answer::{Accepted, Answer, accepted, id_of, refused};
use crate::check::{Check, EventTypes, Warning};
use crate::configs::{Configs, Unread};
use crate::deliveries::Routed;
use crate::erased::erased;
use crate::noted::Noted;

/// Events of one request that are written at once.
const CONCURRENT_PUTS: usize = 32;
/// KiB of packed content that are written at once: on its way to the table a content is there three times, and four megabytes of
/// large events would be twelve.
const KIB_AT_ONCE: usize = 1_024;
/// Milliseconds of a day.
const DAY_MS: i64 = 24 * keys::HOUR_MS;

/// Accepts events. Cheap to share; made once for an execution environment.
#[derive(Debug)]
pub struct Ingest {
    pub(crate) store: Store,
    queues: Queues,
    cache: ConfigCache,
    types: EventTypes,
    pub(crate) clock: Clock,
    random: Random,
    /// Tenants noted as active in the hour of `.0`.
    active: Mutex<(Timestamp, HashSet<TenantId>)>,
    metrics: Metrics,
}

/// What an [`Ingest`] is made of.
pub struct Parts {
    /// The tables.
    pub store: Store,
    /// The queues.
    pub queues: Queues,
    /// The clock.
    pub clock: Clock,
    /// Ids.
    pub random: Random,
    /// Where its numbers go.
    pub metrics: Metrics,
}

/// An event on its way into the store, with the configuration it was matched by.
struct Incoming {
    event: StoredEvent,
    /// What it says, as it rides in messages; `None` if it is too long for that.
    riding: Option<String>,
    config: Arc<TenantConfig>,
    warnings: Vec<Warning>,
}

/// What a request's events came to, in their order, and when that was.
type ReceivedAt = (Vec<Result<Incoming, Answer>>, Timestamp);

impl Ingest {
    /// Accepts with these clients.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let cache = ConfigCache::new(parts.store.clone(), parts.clock.clone(), parts.random.clone());
        Self {
            types: EventTypes::new(parts.store.clone(), parts.clock.clone()),
            store: parts.store,
            queues: parts.queues,
            cache,
            clock: parts.clock,
            random: parts.random,
            active: Mutex::default(),
            metrics: parts.metrics,
        }
    }

    /// Begins to count for a request.
    pub(crate) fn begin(&self) -> Recorder {
        self.metrics.begin(self.clock.now())
    }

    /// Accepts a request body: an event, an array of events or `{"events": [..]}`.
    ///
    /// # Errors
    /// A [`Problem`] for a body that is no batch of events at all, or if nothing could be stored. What is wrong with one
    /// event is in its [`Answer`].
    pub(crate) async fn accept<B: AsRef<[u8]>>(&self, body: B, noted: Noted<'_>) -> Result<Accepted, Problem> {
        let read = |text| {
            let posted = PostedEvent::parse(text).map_err(Problem::from);
            posted.map_err(|error| Answer::Refused { id: id_of(text), error })
        };
        let (posted, is_batch) = match Posted::parse(body.as_ref())? {
            Posted::Single(text) => (vec![read(text)], false),
            Posted::Batch(texts) => (texts.into_iter().map(read).collect(), true),
        };
        // It may have megabytes, and all that matters of them is in what was read.
        drop(body);
        let received = self.receive_all(posted).await?;
        let mut answers = self.store_all(received, noted).await?;
        if is_batch {
            return Ok(Accepted::Batch(answers));
        }
        Ok(Accepted::Single(answers.pop().ok_or_else(Problem::internal)?))
    }

    /// Checks and matches events, and makes what will be stored of each.
    async fn receive_all(&self, posted: Vec<Result<PostedEvent, Answer>>) -> Result<ReceivedAt, Problem> {
        let tenants = posted.iter().flatten().map(|event| &event.tenant).collect();
        let configs = Configs::read(&self.cache, tenants).await?;
        let mut check = self.types.for_request(posted.iter().flatten(), &configs).await;
        // Not before the configurations: a tenant that was made meanwhile would be younger than its events.
        let now = self.clock.now();
        let received = posted.into_iter().map(|posted| {
            let posted = posted?;
            let id = posted.id.clone();
            self.receive(posted, &configs, &mut check, now)
                .map_err(|error| refused(id.as_ref(), error))
        });
        Ok((received.collect(), now))
    }

    /// Stores what was received, sends its deliveries, and answers.
    async fn store_all(&self, (incoming, now): ReceivedAt, noted: Noted<'_>) -> Result<Vec<Answer>, Problem> {
        self.note_active(incoming.iter().flatten().map(|i| i.event.tenant.clone()).collect(), now)
            .await?;
        self.store.put_time_rows(&own_ids(&incoming)).await?;
        let (answers, routed) = self.put_all(incoming, noted).await;
        let sending_at = self.clock.now();
        let messages = self.line_up(routed, sending_at, noted).await;
        match self.queues.send_deliveries(&messages, sending_at).await {
            Ok(()) => noted.recorder.count(Metric::Matched, messages.len() as u64),
            // The events are stored: the promise holds, the sweeper will send what is missing.
            Err(error) => {
                let traceparent = noted.trace();
                tracing::error!(%error, messages = messages.len(), traceparent, "ingest.send_failed");
            }
        }
        failpoint::hit("ingest.before_answer");
        Ok(answers)
    }

    /// Stores the events of a request, many at once; answers in their order, and what is to be sent. An event that cannot
    /// be stored is answered alone: the others are stored, and sent. A repeated id waits for the first of its kind, whose
    /// time row it shares.
    async fn put_all(&self, incoming: Vec<Result<Incoming, Answer>>, noted: Noted<'_>) -> (Vec<Answer>, Vec<Routed>) {
        let mut seen = HashSet::new();
        let (firsts, repeats): (Vec<_>, Vec<_>) = incoming.into_iter().enumerate().partition(|(_, incoming)| {
            let event = incoming.as_ref().ok().map(|incoming| &incoming.event);
            event.is_none_or(|event| seen.insert((event.tenant.clone(), event.id.clone())))
        });
        let (mut answered, room) = (Vec::new(), &Semaphore::new(KIB_AT_ONCE));
        for part in [firsts, repeats] {
            let stored = part.into_iter().map(|(place, incoming)| async move {
                let answered = match incoming {
                    Ok(incoming) => {
                        // Nobody closes it; and without room it is written all the same.
                        let _room = room.acquire_many(kib(&incoming.event)).await.ok();
                        self.put_or_refuse(incoming, noted).await
                    }
                    Err(answer) => (answer, Vec::new()),
                };
                (place, answered)
            });
            let stored = futures_util::stream::iter(stored).buffer_unordered(CONCURRENT_PUTS);
            answered.extend(stored.collect::<Vec<_>>().await);
        }
        answered.sort_by_key(|(place, _)| *place);
        let (answers, routed): (Vec<_>, Vec<_>) = answered.into_iter().map(|(_, answered)| answered).unzip();
        (answers, routed.into_iter().flatten().collect())
    }

    async fn put_or_refuse(&self, mut incoming: Incoming, noted: Noted<'_>) -> (Answer, Vec<Routed>) {
        let id = incoming.event.own_id.then(|| incoming.event.id.clone());
        let tenant = incoming.event.tenant.clone();
        let warnings = std::mem::take(&mut incoming.warnings);
        let put = self.put(incoming, noted).await;
        let put = put.map(|(answer, routed)| (answer.warning(warnings), routed));
        put.unwrap_or_else(|error| {
            let (event, traceparent) = (id.as_ref().map(tracing::field::display), noted.trace());
            tracing::error!(%error, %tenant, event, traceparent, "ingest.event_not_stored");
            (refused(id.as_ref(), error.into()), Vec::new())
        })
    }

    /// Matches an event and makes what will be stored of it.
    fn receive(
        &self,
        posted: PostedEvent,
        configs: &Configs,
        check: &mut Check<'_>,
        now: Timestamp,
    ) -> Result<Incoming, Problem> {
        let config = configs.of(&posted.tenant).map_err(|Unread| Problem::internal())?;
        let Some(config) = config else {
            let detail = format!("there is no tenant {}", posted.tenant);
            return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "tenant_unknown", detail).at("tenant"));
        };
        let content = posted.content;
        let warnings = check.pass(&config.tenant, &content)?;
        let shards = config.tenant.shards;
        let call_id = content.call_id().map(str::to_owned);
        let own_id = posted.id.is_some();
        let id = posted.id.unwrap_or_else(|| {
            let random = self.random.number();
            let shard = keys::event_shard(call_id.as_deref(), &random.to_string(), shards);
            EventId::mint(now, shard, random)
        });
        let matching = config.endpoints.iter().map(|stored| &stored.endpoint);
        let matching = matching.filter(|endpoint| endpoint.matches(&content.event_type, content.agent.as_ref()));
        let (packed, riding) = blob::stored_and_riding(&content).map_err(StoreError::from)?;
        let event = StoredEvent {
            tenant: posted.tenant,
            id,
            own_id,
            accepted_at: now,
            shards,
            digest: StoredEvent::digest_of(&content),
            matched: matching.map(|endpoint| endpoint.id.clone()).collect(),
            event_type: content.event_type,
            agent: content.agent,
            call_id,
            packed,
            expires_at: now.plus_millis(i64::from(config.tenant.retention_days) * DAY_MS),
            erased: None,
        };
        Ok(Incoming {
            event,
            riding,
            config: Arc::clone(config),
            warnings,
        })
    }

    /// Notes the tenants as active before anything of theirs is stored: the sweeper looks at active tenants only.
    async fn note_active(&self, tenants: HashSet<TenantId>, now: Timestamp) -> Result<(), StoreError> {
        let hour = keys::hour_of(now);
        let fresh: HashSet<TenantId> = {
            let mut active = self.active.lock().unwrap_or_else(PoisonError::into_inner);
            if active.0 != hour {
                *active = (hour, HashSet::new());
            }
            tenants
                .into_iter()
                .filter(|tenant| !active.1.contains(tenant))
                .collect()
        };
        try_join_all(fresh.iter().map(|tenant| self.store.mark_active(tenant, now))).await?;
        let mut active = self.active.lock().unwrap_or_else(PoisonError::into_inner);
        if active.0 == hour {
            active.1.extend(fresh);
        }
        Ok(())
    }

    /// Stores one event and says what is to be sent. A repeat gets the stored answer and sends nothing.
    async fn put(&self, incoming: Incoming, noted: Noted<'_>) -> Result<(Answer, Vec<Routed>), StoreError> {
        let Incoming {
            event, riding, config, ..
        } = incoming;
        failpoint::hit("ingest.before_write");
        let first = match self.store.put_event(&event).await? {
            PutEvent::Stored => {
                failpoint::hit("ingest.after_write");
                noted.recorder.count(Metric::Accepted, 1);
                let messages = self.route((&event, riding.as_deref()), &config, noted).await;
                return Ok((accepted(&event), messages));
            }
            PutEvent::Exists(first) => first,
        };
        if first.erased.is_some() {
            self.take_back(&event, &first).await?;
            return Ok((refused(Some(&event.id), erased(&event.id)), Vec::new()));
        }
        if event.own_id && (first.accepted_at, first.shard()) != (event.accepted_at, event.shard()) {
            self.store.delete_time_row(&event).await?;
        }
        if first.digest == event.digest {
            return Ok((accepted(&first), Vec::new()));
        }
        let problem = Problem::new(
            StatusCode::CONFLICT,
            "id_reused",
            "another event was accepted under this id",
        )
        .at("id");
        Ok((refused(Some(&event.id), problem), Vec::new()))
    }
}

/// KiB of an event's packed content; never more than there is room for.
fn kib(event: &StoredEvent) -> u32 {
    let kib = event.packed.len().div_ceil(1024).min(KIB_AT_ONCE);
    u32::try_from(kib).unwrap_or(1)
}

/// The events that need a time row, each key once: a batch may name one id twice.
fn own_ids(incoming: &[Result<Incoming, Answer>]) -> Vec<&StoredEvent> {
    let mut seen = HashSet::new();
    let own = incoming
        .iter()
        .flatten()
        .map(|incoming| &incoming.event)
        .filter(|event| event.own_id);
    own.filter(|event| seen.insert((&event.tenant, &event.id))).collect()
}
