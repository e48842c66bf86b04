//! Requests that are under way in this process, and who may begin another one. A request takes its batch's place until it is
//! answered, so what is shared out between tenants is batches: Lambda gives an environment one at a time, and there this
//! rarely decides anything; where one process works on many it keeps one customer's servers from filling it, whether they
//! fail or answer 2xx in the end. Knows nothing of results: those are `health`'s. Reads no clock.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redial_domain::{EndpointId, TenantId, Timestamp};

/// How long a request may be unanswered before it counts, in milliseconds: far longer than most receivers take.
pub(crate) const UNANSWERED_MS: i64 = 500;
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

    fn unanswered(&self, endpoint: &EndpointId, now: Timestamp) -> usize {
        let of_endpoint = self.of_endpoint.get(endpoint).map(Vec::as_slice).unwrap_or_default();
        let since = of_endpoint.iter().filter_map(|(_, since)| *since);
        since.filter(|since| now.millis_since(*since) >= UNANSWERED_MS).count()
    }

    /// Whether another request may be begun, and if not, whether that may change soon.
    fn may_begin(
        &mut self,
        place: Place,
        tenant: &TenantId,
        endpoint: &EndpointId,
        now: Timestamp,
    ) -> Result<(), Answer> {
        let unanswered = self.unanswered(endpoint, now);
        if unanswered >= MAX_UNANSWERED {
            return Err(Answer::No);
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

#[cfg(test)]
mod tests {
    use super::*;

    const BEGAN: Timestamp = Timestamp::from_millis(1_795_000_000_000);
    const LATE: Timestamp = Timestamp::from_millis(1_795_000_000_000 + UNANSWERED_MS);

    /// One request in a batch of its own, which left at [`BEGAN`].
    fn one(requests: &Requests, lane: Lane, tenant: &str, endpoint: &str, now: Timestamp) -> Answer {
        let who = (&TenantId::parse(tenant).unwrap(), &EndpointId::parse(endpoint).unwrap());
        let answer = requests.begin(requests.place(lane), who, false, now);
        if let Answer::Begun(request) = &answer {
            request.leaves(BEGAN);
        }
        answer
    }

    /// As many as may begin in batches of their own, at ever new endpoints with one request each.
    fn fill(requests: &Requests, lane: Lane, tenant: &str, endpoints: usize, now: Timestamp) -> (Vec<Request>, Answer) {
        let mut begun = Vec::new();
        for n in 0.. {
            match one(requests, lane, tenant, &format!("ep_{tenant}{}", n % endpoints), now) {
                Answer::Begun(request) => begun.push(request),
                refused => return (begun, refused),
            }
        }
        unreachable!("somebody is refused")
    }

    #[test]
    fn ten_unanswered_requests_stall_their_endpoint_and_no_other() {
        let waiting = Requests::default();
        let ask = |endpoint, now| one(&waiting, Lane::First, "acme", endpoint, now);
        let mut under_way: Vec<Answer> = (0..10).map(|_| ask("ep_1", BEGAN)).collect();
        under_way.push(ask("ep_1", LATE.plus_millis(-1)));
        assert!(under_way.iter().all(|answer| matches!(answer, Answer::Begun(_))));
        assert!(matches!(ask("ep_1", LATE), Answer::No));
        assert!(matches!(ask("ep_2", LATE), Answer::Begun(_)));
        drop(under_way);
        assert!(matches!(ask("ep_1", LATE), Answer::Begun(_)));
        let standing = waiting.standing();
        assert!(
            standing.of_endpoint.is_empty() && standing.first.all.is_empty() && standing.first.of_tenant.is_empty()
        );
    }

    #[test]
    fn one_that_has_not_left_yet_is_not_waited_for() {
        let waiting = Requests::default();
        let who = (&TenantId::parse("acme").unwrap(), &EndpointId::parse("ep_1").unwrap());
        let place = waiting.place(Lane::First);
        let asked: Vec<Answer> = (0..11).map(|_| waiting.begin(place, who, false, BEGAN)).collect();
        assert_eq!(waiting.standing().unanswered(who.1, LATE), 0);
        assert!(matches!(waiting.begin(place, who, false, LATE), Answer::Begun(_)));
        drop(asked);
    }

    #[test]
    fn quick_answers_never_stall() {
        let waiting = Requests::default();
        for n in 0..1_000 {
            let answered = one(&waiting, Lane::First, "acme", "ep_1", BEGAN.plus_millis(n * 10));
            assert!(matches!(answered, Answer::Begun(_)));
        }
    }

    #[test]
    fn a_tenant_whose_endpoints_are_slow_takes_half_of_the_batches_and_the_next_one_half_of_the_rest() {
        for (lane, places) in [(Lane::First, 200), (Lane::Later, 10)] {
            let requests = Requests::default();
            // So many endpoints that each leaves fewer unanswered than would stall it.
            let (acme, refused) = fill(&requests, lane, "acme", places / 4, LATE);
            assert!((places * 2 / 5..=places / 2).contains(&acme.len()), "{}", acme.len());
            assert!(matches!(refused, Answer::No | Answer::NotYet), "{refused:?}");
            let (other, _) = fill(&requests, lane, "other", places / 4, LATE);
            assert!((places / 5..=places * 3 / 10).contains(&other.len()), "{}", other.len());
            // Whoever has nothing under way begins at once, always.
            assert!(matches!(one(&requests, lane, "noor", "ep_n", LATE), Answer::Begun(_)));
            drop(acme);
            assert!(matches!(
                one(&requests, lane, "other", "ep_other1", LATE),
                Answer::Begun(_)
            ));
        }
    }

    #[test]
    fn its_endpoints_that_answer_soon_go_on_and_even_a_burst_leaves_others_a_third() {
        let requests = Requests::default();
        let (slow, refused) = fill(&requests, Lane::First, "acme", 11, LATE);
        assert!((90..=100).contains(&slow.len()), "{}", slow.len());
        assert!(matches!(refused, Answer::No));
        assert!(matches!(
            one(&requests, Lane::First, "acme", "ep_quick", LATE),
            Answer::Begun(_)
        ));

        // Nobody knows yet that they are slow.
        let requests = Requests::default();
        let (burst, refused) = fill(&requests, Lane::First, "acme", 1, BEGAN);
        assert_eq!(burst.len(), 80);
        assert!(matches!(refused, Answer::NotYet));
        // Another one goes on, also if something of its own is unanswered.
        let late = |now| one(&requests, Lane::First, "acme", "ep_late", now);
        let own = late(BEGAN);
        assert!(matches!(late(LATE), Answer::Begun(_)));
        drop(own);
        // Of one endpoint: the tenant's others go on, each with half of the rest, and the first one does not.
        let others: Vec<Vec<Answer>> = (0..5)
            .map(|n| {
                let ask = |_| one(&requests, Lane::First, "acme", &format!("ep_other{n}"), BEGAN);
                let is_begun = |answer: &Answer| matches!(answer, Answer::Begun(_));
                (0..200).map(ask).take_while(is_begun).collect()
            })
            .collect();
        let of_others: Vec<usize> = others.iter().map(Vec::len).collect();
        assert_eq!(of_others, [32, 13, 5, 2, 1]);
        assert!(matches!(
            one(&requests, Lane::First, "acme", "ep_acme0", BEGAN),
            Answer::NotYet
        ));
        assert!(matches!(
            one(&requests, Lane::First, "noor", "ep_n", BEGAN),
            Answer::Begun(_)
        ));
        // Half a second later it is known.
        assert!(matches!(
            one(&requests, Lane::First, "acme", "ep_acme0", LATE),
            Answer::No
        ));
    }

    #[test]
    fn what_is_in_a_batch_that_is_kept_busy_anyway_goes_with_it() {
        let requests = Requests::default();
        let (slow, _) = fill(&requests, Lane::First, "acme", 11, LATE);
        let who = (
            &TenantId::parse("acme").unwrap(),
            &EndpointId::parse("ep_acme10").unwrap(),
        );
        let begun = requests.begin(slow[0].place, who, false, LATE);
        assert!(matches!(begun, Answer::Begun(_)), "{begun:?}");
        assert!(matches!(
            requests.begin(requests.place(Lane::First), who, true, LATE),
            Answer::Begun(_)
        ));
    }

    #[test]
    fn the_places_are_those_of_the_template() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../template.yaml");
        let template = std::fs::read_to_string(path).unwrap();
        for (name, lane) in [("DeliveryConcurrency", Lane::First), ("RetryConcurrency", Lane::Later)] {
            let parameter = format!("  {name}:\n    Type: Number\n    Default: {}\n", lane.places());
            assert!(template.contains(&parameter), "{name}");
        }
    }
}
