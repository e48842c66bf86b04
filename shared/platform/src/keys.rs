//! The keys of both tables, as docs/DATA.md draws them: the only place that knows them. Pure text, no I/O.

use redial_domain::delivery::DeliveryState;
use redial_domain::id::{decode_time, encode_time};
use redial_domain::{DeliveryId, EndpointId, ErasureId, EventId, EventTypeName, ReplayId, TenantId, Timestamp};

/// Shards of a tenant's time-ordered lists, unless its settings say more.
pub const DEFAULT_SHARDS: u16 = 4;
/// Partitions of the index `by_due`.
pub const DUE_SHARDS: u16 = 8;
/// Copies of a tenant's configuration version.
pub const VERSION_COPIES: u16 = 4;
/// Index of deliveries that are retrying, held or dead.
pub const BY_STATE: &str = "by_state";
/// Index of what the sweeper must look at, by time.
pub const BY_DUE: &str = "by_due";

/// A primary key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Partition key.
    pub pk: String,
    /// Sort key.
    pub sk: String,
}

impl Key {
    fn new(pk: String, sk: impl Into<String>) -> Self {
        Self { pk, sk: sk.into() }
    }
}

/// FNV-1a, 32 bits: spreads ids over shards. Stored keys depend on it, so it never changes.
fn spread(text: &str, shards: u16) -> u16 {
    let hash = text.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    u16::try_from(hash % u32::from(shards.max(1))).unwrap_or(0)
}

// Table `config`.

/// Partition of a tenant and its endpoints.
#[must_use]
pub fn tenant_partition(tenant: &TenantId) -> String {
    format!("t/{tenant}")
}

/// A tenant's settings.
#[must_use]
pub fn tenant(tenant: &TenantId) -> Key {
    Key::new(tenant_partition(tenant), "tenant")
}

/// What the sort keys of a tenant's endpoints begin with.
pub const ENDPOINT_PREFIX: &str = "ep/";

/// An endpoint.
#[must_use]
pub fn endpoint(tenant: &TenantId, endpoint: &EndpointId) -> Key {
    Key::new(tenant_partition(tenant), format!("{ENDPOINT_PREFIX}{endpoint}"))
}

/// Partition of a tenant's own event types: not the tenant's, which every function reads and releases before this one read
/// as endpoints.
#[must_use]
pub fn event_types_partition(tenant: &TenantId) -> String {
    format!("t/{tenant}/types")
}

/// A tenant's own event type.
#[must_use]
pub fn event_type(tenant: &TenantId, name: &EventTypeName) -> Key {
    Key::new(event_types_partition(tenant), name.as_str())
}

/// One copy of a tenant's configuration version.
#[must_use]
pub fn version(tenant: &TenantId, copy: u16) -> Key {
    Key::new(format!("v/{tenant}/{copy}"), "version")
}

/// Partition of the list of tenants.
pub const TENANTS: &str = "tenants";
/// Partition of the keys of the API.
pub const API_KEYS: &str = "keys";

/// A tenant's entry in the list of tenants.
#[must_use]
pub fn directory(tenant: &TenantId) -> Key {
    Key::new(TENANTS.to_owned(), tenant.as_str())
}

/// A key of the API.
#[must_use]
pub fn api_key(id: &str) -> Key {
    Key::new(API_KEYS.to_owned(), id)
}

// Table `events`.

/// Partition of a tenant's events by time.
#[must_use]
pub fn events_partition(tenant: &TenantId, shard: u16) -> String {
    format!("e/{tenant}/{shard}")
}

/// The shard of an event: of its call, if it names one, so that a call's events lie together.
#[must_use]
pub fn event_shard(call_id: Option<&str>, id: &str, shards: u16) -> u16 {
    spread(call_id.unwrap_or(id), shards)
}

/// Where an event's item lies: a function of its id alone.
#[must_use]
pub fn event(tenant: &TenantId, id: &EventId) -> Key {
    match id.minted_parts() {
        Some((_, shard)) => Key::new(events_partition(tenant, shard), id.as_str().trim_start_matches("evt_")),
        None => Key::new(format!("i/{tenant}/{id}"), "event"),
    }
}

const TIME_ROW_MARK: char = '~';

/// The row that makes an event with the platform's own id findable by time.
#[must_use]
pub fn time_row(tenant: &TenantId, shard: u16, accepted_at: Timestamp, id: &EventId) -> Key {
    Key::new(
        events_partition(tenant, shard),
        format!("{}{TIME_ROW_MARK}{id}", encode_time(accepted_at)),
    )
}

/// The sort key that an event has in the lists, as far as its id and time tell: an id of the platform's own that is minted
/// for that very millisecond has another.
#[must_use]
pub fn listed(id: &EventId, accepted_at: Timestamp) -> String {
    match id.minted_parts() {
        Some((minted_at, _)) if minted_at == accepted_at => id.as_str().trim_start_matches("evt_").to_owned(),
        _ => format!("{}{TIME_ROW_MARK}{id}", encode_time(accepted_at)),
    }
}

/// The event that an item of an events partition is about, and whether it is a time row.
#[must_use]
pub fn event_of(sk: &str) -> Option<(EventId, bool)> {
    match sk.split_once(TIME_ROW_MARK) {
        Some((_, id)) => Some((EventId::parse(id).ok()?, true)),
        None => Some((EventId::parse(&format!("evt_{sk}")).ok()?, false)),
    }
}

/// Partition of an endpoint's deliveries by time.
#[must_use]
pub fn deliveries_partition(tenant: &TenantId, endpoint: &EndpointId, shard: u16) -> String {
    format!("d/{tenant}/{endpoint}/{shard}")
}

/// A delivery. `accepted_at` and `shards` are those of its event; a replay is found at the time it was asked for.
#[must_use]
pub fn delivery(tenant: &TenantId, id: &DeliveryId, accepted_at: Timestamp, shards: u16) -> Key {
    let partition = deliveries_partition(tenant, &id.endpoint, spread(id.event.as_str(), shards));
    match &id.replay {
        None => Key::new(partition, format!("{}/{}", encode_time(accepted_at), id.event)),
        Some(replay) => {
            let at = replay.asked_at().unwrap_or(accepted_at);
            Key::new(partition, format!("{}/{}/{replay}", encode_time(at), id.event))
        }
    }
}

/// True for the sort key of a delivery that a replay made.
#[must_use]
pub fn is_of_replay(sk: &str) -> bool {
    sk.split('/').nth(2).is_some()
}

/// The tenant and delivery that a delivery's key is about.
#[must_use]
pub fn delivery_of(key: &Key) -> Option<(TenantId, DeliveryId)> {
    let mut partition = key.pk.strip_prefix("d/")?.split('/');
    let tenant = TenantId::parse(partition.next()?).ok()?;
    let endpoint = EndpointId::parse(partition.next()?).ok()?;
    let mut sort = key.sk.split('/');
    decode_time(sort.next()?)?;
    let event = EventId::parse(sort.next()?).ok()?;
    let replay = sort.next().map(ReplayId::parse).transpose().ok()?;
    Some((
        tenant,
        DeliveryId {
            event,
            endpoint,
            replay,
        },
    ))
}

/// Partition of `by_state`.
#[must_use]
pub fn state_partition(tenant: &TenantId, endpoint: &EndpointId, state: DeliveryState) -> String {
    format!("{tenant}/{endpoint}/{}", state.as_str())
}

/// Partition of `by_due` for whatever is called `id`.
#[must_use]
pub fn due_partition(id: &str) -> String {
    format!("due/{}", spread(id, DUE_SHARDS))
}

/// All partitions of `by_due`.
pub fn due_partitions() -> impl Iterator<Item = String> {
    (0..DUE_SHARDS).map(|n| format!("due/{n}"))
}

/// Partition of the failed attempts of an event's deliveries.
#[must_use]
pub fn attempts_partition(tenant: &TenantId, event: &EventId) -> String {
    format!("a/{tenant}/{event}")
}

/// A failed attempt, `n` from 1.
#[must_use]
pub fn attempt(tenant: &TenantId, id: &DeliveryId, n: u32) -> Key {
    Key::new(
        attempts_partition(tenant, &id.event),
        format!("{}{n:02}", attempts_prefix(id)),
    )
}

/// What the sort keys of a delivery's failed attempts begin with.
#[must_use]
pub fn attempts_prefix(id: &DeliveryId) -> String {
    format!("{}/{}/", id.endpoint, id.replay.as_ref().map_or("", ReplayId::as_str))
}

/// Partition of the replayed deliveries of an event.
#[must_use]
pub fn replayed_partition(tenant: &TenantId, event: &EventId) -> String {
    format!("r/{tenant}/{event}")
}

/// The row that says that an event was replayed to an endpoint.
#[must_use]
pub fn replayed(tenant: &TenantId, event: &EventId, endpoint: &EndpointId, replay: &ReplayId) -> Key {
    Key::new(replayed_partition(tenant, event), format!("{endpoint}/{replay}"))
}

/// Endpoint and replay of such a row.
#[must_use]
pub fn replayed_of(sk: &str) -> Option<(EndpointId, ReplayId)> {
    let (endpoint, replay) = sk.split_once('/')?;
    Some((EndpointId::parse(endpoint).ok()?, ReplayId::parse(replay).ok()?))
}

/// Partition of a tenant's replay jobs.
#[must_use]
pub fn jobs_partition(tenant: &TenantId) -> String {
    format!("j/{tenant}")
}

/// A replay job.
#[must_use]
pub fn job(tenant: &TenantId, replay: &ReplayId) -> Key {
    Key::new(jobs_partition(tenant), replay.as_str())
}

/// The tenant and replay that a job's key is about.
#[must_use]
pub fn job_of(key: &Key) -> Option<(TenantId, ReplayId)> {
    Some((
        TenantId::parse(key.pk.strip_prefix("j/")?).ok()?,
        ReplayId::parse(&key.sk).ok()?,
    ))
}

/// Partition of the erasures that were asked for in a tenant.
#[must_use]
pub fn erasures_partition(tenant: &TenantId) -> String {
    format!("x/{tenant}")
}

/// An erasure.
#[must_use]
pub fn erasure(tenant: &TenantId, erasure: &ErasureId) -> Key {
    Key::new(erasures_partition(tenant), erasure.as_str())
}

/// The tenant and erasure that an erasure's key is about.
#[must_use]
pub fn erasure_of(key: &Key) -> Option<(TenantId, ErasureId)> {
    Some((
        TenantId::parse(key.pk.strip_prefix("x/")?).ok()?,
        ErasureId::parse(&key.sk).ok()?,
    ))
}

/// Partition of the minutes of a call.
#[must_use]
pub fn call_partition(tenant: &TenantId, call_id: &str) -> String {
    format!("c/{tenant}/{call_id}")
}

/// What happened in a call, as one pass of the sweeper found it; `first` is its earliest event.
#[must_use]
pub fn call(tenant: &TenantId, call_id: &str, first: Timestamp) -> Key {
    Key::new(call_partition(tenant, call_id), encode_time(first))
}

/// A row of events that an erasure of `asked_at` noted: none of the sweeper's, which is called after its first event alone.
#[must_use]
pub fn call_erased(tenant: &TenantId, call_id: &str, asked_at: Timestamp, by: &ErasureId, row: u32) -> Key {
    let sk = format!("{}~{by}/{row:06}", encode_time(asked_at));
    Key::new(call_partition(tenant, call_id), sk)
}

/// Milliseconds of an hour.
pub const HOUR_MS: i64 = 3_600_000;

/// The beginning of the hour that `at` lies in.
#[must_use]
pub fn hour_of(at: Timestamp) -> Timestamp {
    Timestamp::from_millis(at.as_millis() - at.as_millis() % HOUR_MS)
}

/// Partition of a tenant's hourly statistics.
#[must_use]
pub fn hours_partition(tenant: &TenantId) -> String {
    format!("h/{tenant}")
}

/// Statistics of one hour of an endpoint; of the whole tenant without one.
#[must_use]
pub fn hour(tenant: &TenantId, endpoint: Option<&EndpointId>, hour: Timestamp) -> Key {
    let who = endpoint.map_or("-", EndpointId::as_str);
    Key::new(hours_partition(tenant), format!("{who}/{}", encode_time(hour)))
}

/// Partition of the tenants that were active in the hour of `at`.
#[must_use]
pub fn active_partition(at: Timestamp) -> String {
    format!("active/{}", encode_time(hour_of(at)))
}

/// The mark that a tenant was active in the hour of `at`.
#[must_use]
pub fn active(at: Timestamp, tenant: &TenantId) -> Key {
    Key::new(active_partition(at), tenant.as_str())
}

/// The end of the line of deliveries that wait for their endpoint's rate limit.
#[must_use]
pub fn line(tenant: &TenantId, endpoint: &EndpointId) -> Key {
    Key::new(format!("line/{tenant}/{endpoint}"), "line")
}

/// When the last request to an endpoint with a rate limit may leave.
#[must_use]
pub fn pace(tenant: &TenantId, endpoint: &EndpointId) -> Key {
    Key::new(format!("pace/{tenant}/{endpoint}"), "pace")
}

/// The tests of a tenant's endpoints: how many were made of late, and which run.
#[must_use]
pub fn tests(tenant: &TenantId) -> Key {
    Key::new(format!("test/{tenant}"), "test")
}

mod asked;
mod data_keys;
mod health;
mod sweep;
mod unfinished;

pub use asked::asked;
pub use data_keys::{data_key, data_keys};
pub use health::{DUE_HEALTH, health, health_of};
pub use sweep::{UNBALANCED_PARTITION, counting, sweep_mark, sweep_partition, sweep_progress, unbalanced};
pub use unfinished::{erasing_call, unfinished, unfinished_partition};

#[cfg(test)]
mod tests;
