//! The endpoints, how much goes to each, and which are down when: drawn from a seed. Knows nothing of deliveries.

use redial_domain::outcome::{Answer, FailureCode, Outcome};

/// The busiest endpoint gets about so many times what the quietest gets.
const SKEW: f64 = 100.0;
/// How long a receiver takes that answers, in milliseconds.
pub(crate) const ANSWER_MS: i64 = 200;
/// How long one takes that does not: the default timeout of an endpoint.
pub(crate) const TIMEOUT_MS: i64 = 10_000;
/// Endpoints of a tenant.
pub(crate) const ENDPOINTS_A_TENANT: usize = 5;

/// What is simulated.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) deliveries: usize,
    pub(crate) endpoints: usize,
    pub(crate) down_share: f64,
    /// Length of the outage.
    pub(crate) down_ms: i64,
    /// When it begins.
    pub(crate) down_after_ms: i64,
    /// How long events are posted.
    pub(crate) posting_ms: i64,
    /// Share of the attempts at a healthy receiver that fail.
    pub(crate) flaky: f64,
    /// Execution environments of the dispatcher.
    pub(crate) environments: usize,
    pub(crate) seed: u64,
}

/// Random numbers of a seed (SplitMix64: <https://prng.di.unimi.it/splitmix64.c>).
#[derive(Debug, Clone)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// At least 0, less than 1.
    pub(crate) fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// One of so many.
    pub(crate) fn below(&mut self, count: usize) -> usize {
        (self.share() * count as f64) as usize
    }
}

/// How a receiver fails that is down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failing {
    /// It answers 500.
    Answers,
    /// It does not answer.
    Hangs,
}

/// The endpoints.
#[derive(Debug)]
pub(crate) struct Scene {
    pub(crate) plan: Plan,
    /// What part of all deliveries each gets.
    pub(crate) shares: Vec<f64>,
    until: Vec<f64>,
    down: Vec<Option<Failing>>,
}

impl Scene {
    /// The endpoints of a plan.
    pub(crate) fn new(plan: Plan) -> Self {
        let mut dice = Dice::new(plan.seed);
        let weights: Vec<f64> = (0..plan.endpoints).map(|_| SKEW.powf(dice.share())).collect();
        let total: f64 = weights.iter().sum();
        let shares: Vec<f64> = weights.iter().map(|weight| weight / total).collect();
        let mut sum = 0.0;
        let until = shares.iter().map(|share| {
            sum += share;
            sum
        });
        let until = until.collect();
        let mut down = vec![None; plan.endpoints];
        let mut left = (plan.endpoints as f64 * plan.down_share).round() as usize;
        while left > 0 {
            let chosen = dice.below(plan.endpoints);
            if down[chosen].is_none() {
                down[chosen] = Some(if left.is_multiple_of(2) {
                    Failing::Answers
                } else {
                    Failing::Hangs
                });
                left -= 1;
            }
        }
        Self {
            plan,
            shares,
            until,
            down,
        }
    }

    /// The endpoint that the next delivery is for.
    pub(crate) fn draw(&self, dice: &mut Dice) -> usize {
        let place = dice.share();
        self.until
            .partition_point(|until| *until <= place)
            .min(self.shares.len() - 1)
    }

    /// How the endpoint is failing in the outage, if it is.
    pub(crate) fn failing(&self, endpoint: usize) -> Option<Failing> {
        self.down[endpoint]
    }

    /// When the outage is over.
    pub(crate) const fn repaired_ms(&self) -> i64 {
        self.plan.down_after_ms + self.plan.down_ms
    }

    /// What comes of an attempt that begins then, and how long it takes.
    pub(crate) fn attempt(&self, endpoint: usize, now_ms: i64, dice: &mut Dice) -> (Outcome, i64) {
        let answered = |status| {
            Outcome::Answered(Answer {
                status,
                ..Answer::default()
            })
        };
        let is_out = (self.plan.down_after_ms..self.repaired_ms()).contains(&now_ms);
        match self.down[endpoint].filter(|_| is_out) {
            Some(Failing::Answers) => (answered(500), ANSWER_MS),
            Some(Failing::Hangs) => (Outcome::Failed(FailureCode::Timeout), TIMEOUT_MS),
            None if dice.share() < self.plan.flaky => (answered(500), ANSWER_MS),
            None => (answered(200), ANSWER_MS),
        }
    }
}
