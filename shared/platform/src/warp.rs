//! Time that passes faster: how a clock runs for the fault tool, so that hours of backoff are minutes. Only builds with the
//! feature `failpoints` have it ([`crate::clock::Clock::System`] says where); a clock that is asked by nobody else than the
//! operating system never runs by it.
//!
//! `REDIAL_WARP=<t0 in Unix milliseconds>:<factor>`: it is `t0 + (real - t0) * factor`. With the same value a process that
//! starts again goes on in the same time. docs/RELIABILITY.md, "The fault build".

use std::time::Duration;

/// Fastest: a real millisecond is a fifth of a second then, and everything is late all the time.
const MAX_FACTOR: f64 = 200.0;

/// `REDIAL_WARP` cannot be obeyed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "REDIAL_WARP is {0:?}; it takes t0:factor, t0 in Unix milliseconds and not later than now, factor from 1 to {MAX_FACTOR}"
)]
pub struct InvalidWarp(String);

/// How fast time passes, and since when.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Warp {
    t0_us: i64,
    factor: f64,
}

impl Warp {
    pub(crate) fn parse(text: &str, real_us: i64) -> Result<Self, InvalidWarp> {
        let read = || {
            let (t0, factor) = text.split_once(':')?;
            let t0_us = t0.parse::<i64>().ok()?.checked_mul(1000)?;
            let factor = factor.parse().ok()?;
            let possible = (0..=real_us).contains(&t0_us) && (1.0..=MAX_FACTOR).contains(&factor);
            possible.then_some(Self { t0_us, factor })
        };
        read().ok_or_else(|| InvalidWarp(text.to_owned()))
    }

    /// Unix milliseconds, when it is really `real_us` microseconds. Never less than at an earlier moment.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        reason = "days in microseconds, at most"
    )]
    pub(crate) fn now_ms(self, real_us: i64) -> i64 {
        let passed_us = (real_us - self.t0_us) as f64 * self.factor;
        (self.t0_us + passed_us as i64) / 1000
    }

    /// How many milliseconds pass while really `real_ms` do.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        reason = "days in milliseconds, at most"
    )]
    pub(crate) fn span_ms(self, real_ms: i64) -> i64 {
        (real_ms as f64 * self.factor) as i64
    }

    /// How long it really takes until so much has passed.
    pub(crate) fn real(self, span: Duration) -> Duration {
        span.div_f64(self.factor)
    }

    /// How many milliseconds pass in a real one.
    pub(crate) const fn rate(self) -> f64 {
        self.factor
    }
}

/// What this process was told; `None`: time as it is.
#[cfg(feature = "failpoints")]
pub(crate) fn told(real_us: impl FnOnce() -> i64) -> &'static Result<Option<Warp>, InvalidWarp> {
    use std::sync::OnceLock;
    static TOLD: OnceLock<Result<Option<Warp>, InvalidWarp>> = OnceLock::new();
    TOLD.get_or_init(|| {
        let told = crate::settings::optional("REDIAL_WARP");
        told.map(|told| Warp::parse(&told, real_us())).transpose()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const T0_MS: i64 = 1_795_000_000_000;

    #[test]
    fn time_passes_as_many_times_faster_as_the_factor_says() {
        let warp = Warp::parse(&format!("{T0_MS}:20"), T0_MS * 1000).unwrap();
        assert_eq!(warp.now_ms(T0_MS * 1000), T0_MS);
        assert_eq!(warp.now_ms(T0_MS * 1000 + 500), T0_MS + 10, "half a millisecond");
        assert_eq!(warp.now_ms((T0_MS + 86_400_000) * 1000), T0_MS + 20 * 86_400_000);
        assert_eq!(warp.span_ms(1500), 30_000);
        assert_eq!(warp.real(Duration::from_secs(60)), Duration::from_secs(3));
        assert_eq!(warp.rate(), 20.0);
    }

    #[test]
    fn a_warp_that_would_go_back_or_stand_still_is_refused() {
        let now_us = T0_MS * 1000;
        for text in [
            "",
            "20",
            &format!("{}:20", T0_MS + 1),
            &format!("{T0_MS}:0.5"),
            &format!("{T0_MS}:NaN"),
            &format!("{T0_MS}:1000"),
            "-5:20",
        ] {
            assert!(Warp::parse(text, now_us).is_err(), "{text}");
        }
    }
}
