//! Which call meets which fault: a pure function of the seed, the service, the operation and the number of the call, so that
//! a run draws the same again. Knows no service.

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A 500 instead of the call.
    Internal,
    /// A 503 instead of the call.
    Unavailable,
    /// The service takes no more at the moment.
    Throttle,
    /// Some entries of a batch are not executed, and reported as failed.
    Partial,
    /// The call is executed, and its answer lost.
    LostAnswer,
    /// Some hundred milliseconds more.
    Delay,
    /// Up to a visibility timeout more.
    Stall,
    /// The connection breaks before the call.
    Reset,
    /// A message is handed out twice at the same time.
    Duplicate,
    /// The messages of a batch are in another order.
    Shuffle,
    /// Receipt handles are taken for expired.
    ExpiredHandle,
}

impl Kind {
    /// All of them.
    pub(super) const ALL: [Self; 11] = [
        Self::Internal,
        Self::Unavailable,
        Self::Throttle,
        Self::Partial,
        Self::LostAnswer,
        Self::Delay,
        Self::Stall,
        Self::Reset,
        Self::Duplicate,
        Self::Shuffle,
        Self::ExpiredHandle,
    ];

    /// Its name in `REDIAL_FAULTS` and in the log.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Internal => "500",
            Self::Unavailable => "503",
            Self::Throttle => "throttle",
            Self::Partial => "partial",
            Self::LostAnswer => "lost_answer",
            Self::Delay => "delay",
            Self::Stall => "stall",
            Self::Reset => "reset",
            Self::Duplicate => "duplicate",
            Self::Shuffle => "shuffle",
            Self::ExpiredHandle => "expired_handle",
        }
    }

    /// True if a service that fails so may go on for longer than a client tries.
    const fn lasts(self) -> bool {
        matches!(
            self,
            Self::Internal | Self::Unavailable | Self::Throttle | Self::LostAnswer | Self::Reset | Self::Partial
        )
    }
}

/// Calls of an operation that a fault which lasts goes on for: twice as many as the SDK tries, because others come between.
const LASTING_CALLS: u64 = 6;
/// One in so many of the faults that may last does.
const LASTING_SHARE: u64 = 4;
/// One in so many of the stalls that are drawn is one: each costs as much time as all others together.
const STALL_SHARE: u64 = 8;

/// What is drawn for one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) kind: Kind,
    /// How exactly: how long, which entries.
    pub(super) bits: u64,
}

/// What faults are drawn from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Dice {
    pub(super) seed: u64,
    /// A roll below it is a fault.
    pub(super) threshold: u64,
    pub(super) kinds: Vec<Kind>,
}

impl Dice {
    /// What the `n`-th call of an operation meets, of the kinds that are possible for it; most meet nothing.
    pub(super) fn fault(
        &self,
        service: &str,
        operation: &str,
        n: u64,
        possible: impl Fn(Kind) -> bool,
    ) -> Option<Fault> {
        let possible: Vec<Kind> = self.kinds.iter().copied().filter(|kind| possible(*kind)).collect();
        let place = hash(hash(self.seed, service.as_bytes()), operation.as_bytes());
        let drawn = |n: u64| {
            let roll = mix(place ^ mix(n));
            let bits = mix(roll);
            let kind = *possible.get(below(bits, possible.len())?)?;
            let bits = mix(bits);
            let counts = kind != Kind::Stall || bits.is_multiple_of(STALL_SHARE);
            (roll < self.threshold && counts).then_some(Fault { kind, bits })
        };
        let lasting = (1..LASTING_CALLS.min(n)).find_map(|before| {
            let begun = drawn(n - before)?;
            let lasts = begun.kind.lasts() && begun.bits.is_multiple_of(LASTING_SHARE);
            let bits = mix(begun.bits ^ n);
            lasts.then_some(Fault { bits, ..begun })
        });
        drawn(n).or(lasting)
    }
}

/// A number below `most`; `None` if there is none.
pub(super) fn below(bits: u64, most: usize) -> Option<usize> {
    usize::try_from(bits.checked_rem(most as u64)?).ok()
}

/// Splitmix64's step: <https://prng.di.unimi.it/splitmix64.c>.
pub(super) const fn mix(number: u64) -> u64 {
    let z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn hash(seed: u64, text: &[u8]) -> u64 {
    text.iter().fold(mix(seed), |hash, byte| mix(hash ^ u64::from(*byte)))
}
