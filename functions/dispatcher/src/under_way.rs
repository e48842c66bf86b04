//! Requests that are under way in this process, and who may begin another one. A request takes its batch's place until it is
//! answered, so what is shared out between tenants is batches: Lambda gives an environment one at a time, and there this
//! rarely decides anything; where one process works on many it keeps one customer's servers from filling it, whether they
//! fail or answer 2xx in the end. Knows nothing of results: those are `health`'s. Reads no clock.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redial_domain::{EndpointId, TenantId, Timestamp};

#[cfg(test)]
mod tests;

/// How long a request may be unanswered before it counts, in milliseconds: far longer than most receivers take.
pub(crate) const UNANSWERED_MS: i64 = 500;
/// How long so many must be unanswered that nobody waits any more to see whether one is answered now, in milliseconds.
const HANGING_MS: i64 = 1_000;
/// Unanswered requests of one endpoint from which on no further one is begun.
const MAX_UNANSWERED: usize = 10;
/// How many times as many batches as are left a tenant may take for endpoints that answer soon. For one that has requests
/// unanswered it is once: so much is left to each next tenant, however many of them are slow. No endpoint takes more than what
/// is still left of once, or half of what is left of twice: nobody knows for the first half second that it hangs, and its
/// tenant's others go on, also those that have a request unanswered themselves.
const TIMES_LEFT: usize = 2;

/// Which queue a batch came from: each has a mapping, and places, of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lane {
    /// The delivery queue.
    First,
    /// The retry queue.
    Later,
}

impl Lane {
    /// Batches that may be worked on at once: the defaults of `DeliveryConcurrency` and `RetryConcurrency` in template.yaml.
    const fn places(self) -> usize {
        match self {
            Self::First => 200,
            Self::Later => 10,
        }
    }
}

/// A batch that is worked on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    lane: Lane,
    number: u64,
}

/// Whether a request may be begun.
#[derive(Debug)]
pub(crate) enum Answer {
    /// It is begun.
    Begun(Request),
    /// Not yet: its tenant's other requests, quick ones so far, must be answered first.
    NotYet,
    /// No: its endpoint leaves requests unanswered, and it or its tenant has too many of them.
    No,
    /// No, and not soon either: its endpoint has left too many unanswered for long.
    Hangs,
}

/// The requests that are under way. Cheap to clone; clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Requests(Arc<Mutex<Standing>>);

#[derive(Debug, Default)]
struct Standing {
    /// Of each endpoint: which, and since when it has been on its way.
    of_endpoint: HashMap<EndpointId, Vec<(u64, Option<Timestamp>)>>,
    first: Taken,
    later: Taken,
    next: u64,
}

/// The batches of a lane that have a request under way, with how many.
#[derive(Debug, Default)]
struct Taken {
    all: HashMap<u64, usize>,
    of_tenant: HashMap<TenantId, HashMap<u64, usize>>,
    of_endpoint: HashMap<EndpointId, HashMap<u64, usize>>,
}

/// A request that is under way; over when this is dropped.
#[derive(Debug)]
pub(crate) struct Request {
    requests: Requests,
    place: Place,
    tenant: TenantId,
    endpoint: EndpointId,
    number: u64,
}

impl Standing {
    const fn taken(&mut self, lane: Lane) -> &mut Taken {
        match lane {
            Lane::First => &mut self.first,
            Lane::Later => &mut self.later,
        }
    }

    /// Requests of an endpoint that have been unanswered for at least so many milliseconds.
    fn unanswered(&self, endpoint: &EndpointId, least_ms: i64, now: Timestamp) -> usize {
        let of_endpoint = self.of_endpoint.get(endpoint).map(Vec::as_slice).unwrap_or_default();
        let since = of_endpoint.iter().filter_map(|(_, since)| *since);
        since.filter(|since| now.millis_since(*since) >= least_ms).count()
    }

    /// Whether another request may be begun, and if not, whether that may change soon.
    fn may_begin(
        &mut self,
        place: Place,
        tenant: &TenantId,
        endpoint: &EndpointId,
        now: Timestamp,
    ) -> Result<(), Answer> {
        let unanswered = self.unanswered(endpoint, UNANSWERED_MS, now);
        if unanswered >= MAX_UNANSWERED {
            let hangs = self.unanswered(endpoint, HANGING_MS, now) >= MAX_UNANSWERED;
            return Err(if hangs { Answer::Hangs } else { Answer::No });
        }
        let taken = self.taken(place.lane);
        let left = place.lane.places().saturating_sub(taken.all.len());
        let batches = |of: Option<&HashMap<u64, usize>>| {
            let all = of.map_or(0, HashMap::len);
            let has_this = of.is_some_and(|of| of.contains_key(&place.number));
            (all - usize::from(has_this), has_this)
        };
        let (own, goes_with) = batches(taken.of_tenant.get(tenant));
        let (of_endpoint, is_its_own) = batches(taken.of_endpoint.get(endpoint));
        // A batch that one of its tenant's requests keeps busy already is kept no longer by another; only by one of an endpoint
        // that hangs, which would get into all of them that way.
        if is_its_own || goes_with && of_endpoint * 2 <= own {
            return Ok(());
        }
        match unanswered {
            _ if own == 0 || of_endpoint < left.saturating_sub(own) => Ok(()),
            0 if of_endpoint < (left * TIMES_LEFT).saturating_sub(own) / 2 => Ok(()),
            0 => Err(Answer::NotYet),
            _ => Err(Answer::No),
        }
    }
}

impl Taken {
    fn take(&mut self, batch: u64, tenant: &TenantId, endpoint: &EndpointId) {
        *self.all.entry(batch).or_default() += 1;
        let of_tenant = self.of_tenant.entry(tenant.clone()).or_default();
        *of_tenant.entry(batch).or_default() += 1;
        let of_endpoint = self.of_endpoint.entry(endpoint.clone()).or_default();
        *of_endpoint.entry(batch).or_default() += 1;
    }

    fn give_back(&mut self, batch: u64, tenant: &TenantId, endpoint: &EndpointId) {
        one_less(&mut self.all, batch);
        one_less_of(&mut self.of_tenant, tenant, batch);
        one_less_of(&mut self.of_endpoint, endpoint, batch);
    }
}

fn one_less_of<K: Hash + Eq>(all: &mut HashMap<K, HashMap<u64, usize>>, key: &K, batch: u64) {
    if let Some(batches) = all.get_mut(key) {
        one_less(batches, batch);
        if batches.is_empty() {
            all.remove(key);
        }
    }
}

fn one_less(batches: &mut HashMap<u64, usize>, batch: u64) {
    if let Some(requests) = batches.get_mut(&batch) {
        *requests -= 1;
        if *requests == 0 {
            batches.remove(&batch);
        }
    }
}

impl Requests {
    fn standing(&self) -> MutexGuard<'_, Standing> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A batch that is worked on from now.
    pub(crate) fn place(&self, lane: Lane) -> Place {
        let mut standing = self.standing();
        standing.next += 1;
        Place {
            lane,
            number: standing.next,
        }
    }

    /// Begins a request if it may be. One that `must` be begun is, whatever else is under way.
    pub(crate) fn begin(
        &self,
        place: Place,
        (tenant, endpoint): (&TenantId, &EndpointId),
        must: bool,
        now: Timestamp,
    ) -> Answer {
        let mut standing = self.standing();
        if !must && let Err(refused) = standing.may_begin(place, tenant, endpoint, now) {
            return refused;
        }
        standing.next += 1;
        let number = standing.next;
        let of_endpoint = standing.of_endpoint.entry(endpoint.clone()).or_default();
        of_endpoint.push((number, None));
        standing.taken(place.lane).take(place.number, tenant, endpoint);
        Answer::Begun(Request {
            requests: self.clone(),
            place,
            tenant: tenant.clone(),
            endpoint: endpoint.clone(),
            number,
        })
    }
}

impl Request {
    /// It leaves now: from here on its receiver is waited for.
    pub(crate) fn leaves(&self, now: Timestamp) {
        let mut standing = self.requests.standing();
        let of_endpoint = standing.of_endpoint.get_mut(&self.endpoint);
        let own = of_endpoint.and_then(|all| all.iter_mut().find(|(number, _)| *number == self.number));
        if let Some((_, since)) = own {
            *since = Some(now);
        }
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        let mut standing = self.requests.standing();
        standing
            .taken(self.place.lane)
            .give_back(self.place.number, &self.tenant, &self.endpoint);
        if let Some(of_endpoint) = standing.of_endpoint.get_mut(&self.endpoint) {
            of_endpoint.retain(|(number, _)| *number != self.number);
            if of_endpoint.is_empty() {
                standing.of_endpoint.remove(&self.endpoint);
            }
        }
    }
}
