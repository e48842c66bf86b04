//! How often the endpoints of a tenant may be tested, and how many tests may run at once, as arithmetic. Pure;
//! `store::test_limit` remembers, for all execution environments together: each test takes a whole invocation of the
//! dispatcher for as long as the endpoint likes, and no tenant may take many. Must never count a test that it refuses.

use std::collections::BTreeMap;

use redial_domain::endpoint::MAX_TIMEOUT_MS;
use redial_domain::{EndpointId, Timestamp};

/// Tests of a tenant that run at once. docs/LIMITS.md.
pub const MAX_RUNNING: usize = 3;
/// Tests of all endpoints of a tenant, which may all have the same URL: 30 a minute. docs/LIMITS.md.
pub const OF_TENANT: TestRate = TestRate {
    burst: 10,
    interval_ms: 2_000,
};
/// Tests of one endpoint: 10 a minute. docs/LIMITS.md.
pub const OF_ENDPOINT: TestRate = TestRate {
    burst: 5,
    interval_ms: 6_000,
};
/// How much longer than its endpoint's timeout a test may run, in milliseconds: with the longest timeout, as long as the
/// api waits for the dispatcher (55 s).
pub const MARGIN_MS: i64 = 25_000;
/// A moment this much later than it can be was written by a clock that is wrong, in milliseconds; it is passed over.
const SKEW_MS: i64 = 10_000;

/// How fast something may be tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TestRate {
    /// Right after each other.
    pub burst: u16,
    /// Milliseconds until there may be one more, for ever.
    pub interval_ms: i64,
}

impl TestRate {
    /// How long after a burst all of it may be had again.
    const fn whole_ms(self) -> i64 {
        self.burst as i64 * self.interval_ms
    }

    /// When all of the burst may be had again once a test was made; else the milliseconds until it may be.
    fn take(self, rested_at: Option<Timestamp>, now: Timestamp) -> Result<Timestamp, i64> {
        let taken = rested_at.map_or(now, |at| at.max(now)).plus_millis(self.interval_ms);
        let too_much_ms = taken.millis_since(now) - self.whole_ms();
        if too_much_ms > 0 { Err(too_much_ms) } else { Ok(taken) }
    }

    /// False for a moment that says nothing any more, or was never true.
    fn holds(self, rested_at: Timestamp, now: Timestamp) -> bool {
        (1..=self.whole_ms() + SKEW_MS).contains(&rested_at.millis_since(now))
    }
}

/// A test that runs, by an id of its own: until it is given back, or `until` at the latest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestLease {
    /// Of this test alone.
    pub id: String,
    /// When nobody waits for it any more, whatever became of it.
    pub until: Timestamp,
}

impl TestLease {
    /// For a test that begins `now`, of an endpoint with this timeout.
    #[must_use]
    pub fn new(id: String, timeout_ms: u32, now: Timestamp) -> Self {
        let until = now.plus_millis(i64::from(timeout_ms) + MARGIN_MS);
        Self { id, until }
    }
}

/// Why a test may not be made now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TestRefusal {
    /// [`MAX_RUNNING`] run.
    Running,
    /// Its tenant had too many, for so many milliseconds.
    OfTenant(i64),
    /// Its endpoint had too many, for so many milliseconds.
    OfEndpoint(i64),
}

impl TestRefusal {
    /// Seconds after which it is worth trying again, at least 1.
    #[must_use]
    pub fn retry_after_s(self) -> u16 {
        let wait_ms = match self {
            Self::Running => OF_TENANT.interval_ms,
            Self::OfTenant(wait_ms) | Self::OfEndpoint(wait_ms) => wait_ms,
        };
        u16::try_from((wait_ms + 999) / 1_000).unwrap_or(u16::MAX).max(1)
    }
}

/// What is remembered of a tenant's tests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tests {
    /// When the tenant's burst may be had whole again.
    pub tenant: Option<Timestamp>,
    /// The same of each endpoint, by its id: of those tested in the last minute alone.
    pub endpoints: BTreeMap<String, Timestamp>,
    /// When each test that runs must be over, by the id of its lease.
    pub running: BTreeMap<String, Timestamp>,
}

impl Tests {
    /// Counts one test of `endpoint` that begins now.
    ///
    /// # Errors
    /// [`TestRefusal`]; nothing was counted then.
    pub fn admit(&mut self, endpoint: &EndpointId, lease: &TestLease, now: Timestamp) -> Result<(), TestRefusal> {
        self.forget(now);
        if self.running.len() >= MAX_RUNNING {
            return Err(TestRefusal::Running);
        }
        let of_tenant = OF_TENANT.take(self.tenant, now).map_err(TestRefusal::OfTenant)?;
        let before = self.endpoints.get(endpoint.as_str()).copied();
        let of_endpoint = OF_ENDPOINT.take(before, now).map_err(TestRefusal::OfEndpoint)?;
        self.tenant = Some(of_tenant);
        self.endpoints.insert(endpoint.to_string(), of_endpoint);
        self.running.insert(lease.id.clone(), lease.until);
        Ok(())
    }

    /// Drops what is over, so that this never grows.
    fn forget(&mut self, now: Timestamp) {
        let longest_ms = i64::from(MAX_TIMEOUT_MS) + MARGIN_MS + SKEW_MS;
        self.tenant = self.tenant.filter(|at| OF_TENANT.holds(*at, now));
        self.endpoints.retain(|_, at| OF_ENDPOINT.holds(*at, now));
        self.running
            .retain(|_, until| (1..=longest_ms).contains(&until.millis_since(now)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_millis(1_795_000_000_000);

    fn endpoint(n: u128) -> EndpointId {
        EndpointId::mint(n)
    }

    /// A test of an endpoint that ends at once.
    fn made(tests: &mut Tests, of: u128, now: Timestamp) -> Result<(), TestRefusal> {
        let lease = TestLease::new("l".to_owned(), 1_000, now);
        tests.admit(&endpoint(of), &lease, now)?;
        tests.running.clear();
        Ok(())
    }

    #[test]
    fn in_an_hour_no_more_are_made_than_the_rate_and_one_burst() {
        for (endpoints, rate) in [(1, OF_ENDPOINT), (7, OF_TENANT)] {
            let mut tests = Tests::default();
            let seconds = 0..3_600_i64;
            let granted = seconds
                .flat_map(|s| (0..endpoints).map(move |of| (s, of)))
                .filter(|(s, of)| made(&mut tests, *of, START.plus_millis(s * 1_000)).is_ok())
                .count();
            let a_minute = 60_000 / rate.interval_ms;
            let expected = 60 * a_minute + i64::from(rate.burst) - 1;
            assert_eq!(i64::try_from(granted).unwrap(), expected, "{rate:?}");
        }
    }

    #[test]
    fn what_is_refused_is_not_counted_and_told_when_to_come_again() {
        let mut tests = Tests::default();
        for _ in 0..OF_ENDPOINT.burst {
            made(&mut tests, 1, START).unwrap();
        }
        let before = tests.clone();
        assert_eq!(made(&mut tests, 1, START), Err(TestRefusal::OfEndpoint(6_000)));
        assert_eq!(tests, before, "the tenant's is not taken");
        for _ in 0..OF_ENDPOINT.burst {
            made(&mut tests, 2, START).unwrap();
        }
        let before = tests.clone();
        assert_eq!(made(&mut tests, 3, START), Err(TestRefusal::OfTenant(2_000)));
        assert_eq!(tests, before, "nor is the endpoint's");
        assert_eq!(TestRefusal::OfTenant(2_000).retry_after_s(), 2);
        assert_eq!(TestRefusal::OfEndpoint(1).retry_after_s(), 1);
        made(&mut tests, 3, START.plus_millis(2_000)).unwrap();
    }

    #[test]
    fn as_many_run_as_may_and_one_more_when_one_is_over() {
        let mut tests = Tests::default();
        let of = |n: usize, now| TestLease::new(n.to_string(), 30_000, now);
        for n in 0..MAX_RUNNING {
            tests.admit(&endpoint(1), &of(n, START), START).unwrap();
        }
        let last = START.plus_millis(30_000 + MARGIN_MS - 1);
        assert_eq!(tests.admit(&endpoint(1), &of(9, last), last), Err(TestRefusal::Running));
        let over = last.plus_millis(1);
        tests.admit(&endpoint(1), &of(9, over), over).unwrap();
        assert_eq!(tests.running.len(), 1);
    }

    #[test]
    fn nothing_is_remembered_of_what_is_over_nor_of_a_clock_that_was_wrong() {
        let mut tests = Tests::default();
        for n in 0..8 {
            made(&mut tests, n, START).unwrap();
        }
        assert_eq!(tests.endpoints.len(), 8);
        for later in [START.plus_millis(60_000), START.plus_millis(-3_600_000)] {
            let mut tests = tests.clone();
            made(&mut tests, 1, later).unwrap();
            assert_eq!(tests.endpoints.len(), 1);
            assert_eq!(tests.tenant, Some(later.plus_millis(OF_TENANT.interval_ms)));
        }
    }
}
