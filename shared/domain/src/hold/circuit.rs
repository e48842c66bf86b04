//! The states of an endpoint's hold and what leads from one to another, as one pure function. docs/RELIABILITY.md draws it as
//! a table, which a test compares with it. Decides nothing about a single delivery, and does nothing itself.

use super::{Hold, HoldReason, disables};
use crate::timestamp::Timestamp;

/// Where an endpoint stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Circuit {
    /// It is delivered to.
    Closed,
    /// It is on hold because it fails: nothing but probes goes to it.
    Open,
    /// It is delivered to, and what was held is being let go.
    Draining,
    /// It is paused, disabled, inactive or deleted: somebody decided, so its health decides nothing.
    Off,
}

/// What happens to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Happening {
    /// An attempt that is no probe succeeded.
    Succeeded,
    /// An attempt that is no probe failed, and no threshold is met.
    Failed,
    /// An attempt failed, and a threshold is met.
    Crossed,
    /// A probe succeeded.
    ProbeSucceeded,
    /// A probe failed or died.
    ProbeFailed,
    /// The sweeper looks at it.
    Look,
    /// The sweeper looks at it for the last time after it was let go.
    LastLook,
    /// The sweeper looks at it, and finds no success for too long.
    GivenUp,
    /// It is paused, disabled, made inactive or deleted.
    Stopped,
    /// It is activated or resumed.
    Asked,
}

/// What is done about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Nothing.
    Nothing,
    /// Its numbers are written, if they changed.
    Count,
    /// It is put on hold: what is for it is held, and a first probe is due.
    Hold,
    /// A held delivery whose time has come, the oldest or the newest by turns, is sent as a probe; the next look follows on
    /// the ladder.
    Probe,
    /// The hold ends, and a look at what is held is due.
    LetGo,
    /// What is held is let go by a job, unless one is at work; another look follows.
    Drain,
    /// It is disabled; what is held stays.
    Disable,
    /// What is known of its health is forgotten, its hold with it.
    Forget,
}

impl Circuit {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Closed, Self::Open, Self::Draining, Self::Off];

    /// Where an endpoint stands that is active or not, that its health says to be open or not, and at which the sweeper has so
    /// many looks to take yet.
    #[must_use]
    pub const fn of(is_active: bool, is_open: bool, drain_looks: u32) -> Self {
        match (is_active, is_open, drain_looks) {
            (false, _, _) => Self::Off,
            (true, true, _) => Self::Open,
            (true, false, 0) => Self::Closed,
            (true, false, _) => Self::Draining,
        }
    }

    /// Where it stands after that, and what is done.
    #[must_use]
    pub const fn after(self, happening: Happening) -> (Self, Action) {
        use Happening as H;
        match (self, happening) {
            // What somebody decided wins over what attempts say.
            (_, H::Stopped) => (Self::Off, Action::Nothing),
            (_, H::Asked) => (Self::Closed, Action::Forget),
            (Self::Off, H::Look | H::LastLook | H::GivenUp) => (Self::Off, Action::Forget),
            (Self::Off, _) => (Self::Off, Action::Nothing),

            (Self::Closed | Self::Draining, H::Crossed) => (Self::Open, Action::Hold),
            (Self::Open, H::ProbeSucceeded) => (Self::Draining, Action::LetGo),
            (_, H::Succeeded | H::Failed | H::Crossed | H::ProbeSucceeded | H::ProbeFailed) => (self, Action::Count),

            (Self::Open, H::GivenUp) => (Self::Off, Action::Disable),
            (Self::Open, H::Look | H::LastLook) => (Self::Open, Action::Probe),
            (Self::Draining, H::LastLook) => (Self::Closed, Action::Drain),
            (Self::Draining, H::Look | H::GivenUp) => (Self::Draining, Action::Drain),
            (Self::Closed, H::Look | H::LastLook | H::GivenUp) => (Self::Closed, Action::Forget),
        }
    }
}

impl Happening {
    /// Everything that can happen.
    pub const ALL: [Self; 10] = [
        Self::Succeeded,
        Self::Failed,
        Self::Crossed,
        Self::ProbeSucceeded,
        Self::ProbeFailed,
        Self::Look,
        Self::LastLook,
        Self::GivenUp,
        Self::Stopped,
        Self::Asked,
    ];

    /// What a look of the sweeper at `now` is, at an endpoint that has failed since then and has so many looks left.
    #[must_use]
    pub fn look(failing_since: Option<Timestamp>, drain_looks: u32, now: Timestamp) -> Self {
        match failing_since {
            Some(since) if disables(since, now) => Self::GivenUp,
            _ if drain_looks == 1 => Self::LastLook,
            _ => Self::Look,
        }
    }
}

/// How an endpoint's hold, as everybody who delivers reads it, is brought in line with its health, after a crash between the
/// two writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mend {
    /// It is written down at the endpoint.
    Tell(Hold),
    /// It is removed from the endpoint.
    Withdraw,
    /// Its health is forgotten: somebody has asked for it to be delivered to since it was opened.
    Forget,
}

/// What is to be mended at an active endpoint that was last changed then, if its health says to be `open` and its
/// configuration has the hold `told`; `None` if they agree.
#[must_use]
pub fn mend(
    open: Option<(Timestamp, HoldReason)>,
    failing_since: Option<Timestamp>,
    told: Option<&Hold>,
    changed_at: Timestamp,
) -> Option<Mend> {
    match (open, told) {
        (Some((since, _)), None) if changed_at > since => Some(Mend::Forget),
        (Some((since, reason)), None) => Some(Mend::Tell(Hold {
            since,
            reason,
            failing_since: failing_since.unwrap_or(since),
        })),
        (None, Some(_)) => Some(Mend::Withdraw),
        (Some(_), Some(_)) | (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::hold::DISABLE_AFTER_MS;

    const NOW: Timestamp = Timestamp::from_millis(1_795_000_000_000);

    /// The rows of the table in docs/RELIABILITY.md: what happens, and for each state what follows and what is done.
    fn documented() -> Vec<Vec<String>> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/RELIABILITY.md");
        let page = std::fs::read_to_string(path).unwrap();
        let table = page
            .split("| what happens | closed |")
            .nth(1)
            .expect("the table of the hold");
        let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
        let cells = |line: &str| {
            line.trim_matches('|')
                .split('|')
                .map(|cell| cell.trim().to_owned())
                .collect()
        };
        rows.map(cells).collect()
    }

    fn words(debug: &str) -> String {
        let mut words = String::new();
        for letter in debug.chars() {
            if letter.is_uppercase() && !words.is_empty() {
                words.push(' ');
            }
            words.push(letter.to_ascii_lowercase());
        }
        words
    }

    #[test]
    fn the_table_in_the_docs_is_what_happens() {
        let expected: Vec<Vec<String>> = Happening::ALL
            .into_iter()
            .map(|happening| {
                let after = Circuit::ALL.map(|circuit| {
                    let (state, action) = circuit.after(happening);
                    format!("{}: {}", words(&format!("{state:?}")), words(&format!("{action:?}")))
                });
                let name = format!("**{}**", words(&format!("{happening:?}")));
                [name].into_iter().chain(after).collect()
            })
            .collect();
        let mut rows = documented();
        for row in &mut rows {
            // What follows the name explains it.
            let end = row[0].rfind("**").map_or(0, |at| at + 2);
            row[0].truncate(end);
        }
        assert_eq!(rows, expected);
    }

    #[test]
    fn an_endpoint_that_is_off_is_never_held_probed_or_drained() {
        for happening in Happening::ALL {
            let (state, action) = Circuit::Off.after(happening);
            assert!(
                matches!(action, Action::Nothing | Action::Forget),
                "{happening:?}: {action:?}"
            );
            assert_eq!(state == Circuit::Off, happening != Happening::Asked);
        }
    }

    #[test]
    fn every_state_is_left_by_a_success_or_by_somebody_asking() {
        // From open only a probe leads back to being delivered to by itself.
        let (state, _) = Circuit::Open.after(Happening::ProbeSucceeded);
        assert_eq!(state.after(Happening::LastLook), (Circuit::Closed, Action::Drain));
        for circuit in Circuit::ALL {
            assert_eq!(circuit.after(Happening::Asked).0, Circuit::Closed);
            assert_eq!(circuit.after(Happening::Stopped).0, Circuit::Off);
        }
    }

    #[test]
    fn five_days_give_up_whatever_looks_are_left() {
        let since = NOW.plus_millis(-DISABLE_AFTER_MS);
        assert_eq!(Happening::look(Some(since), 1, NOW), Happening::GivenUp);
        assert_eq!(Happening::look(Some(since.plus_millis(1)), 1, NOW), Happening::LastLook);
        assert_eq!(Happening::look(None, 2, NOW), Happening::Look);
        assert_eq!(Happening::look(None, 0, NOW), Happening::Look);
    }

    #[test]
    fn what_a_crash_leaves_is_mended_after_the_health() {
        let since = NOW.plus_millis(-60_000);
        let open = Some((since, HoldReason::FailureShare));
        let hold = Hold {
            since,
            reason: HoldReason::FailureShare,
            failing_since: since.plus_millis(-5_000),
        };
        let before = since.plus_millis(-1);
        assert_eq!(
            mend(open, Some(hold.failing_since), None, before),
            Some(Mend::Tell(hold))
        );
        assert_eq!(mend(open, None, None, NOW), Some(Mend::Forget));
        assert_eq!(mend(open, None, Some(&hold), NOW), None);
        assert_eq!(mend(None, None, Some(&hold), NOW), Some(Mend::Withdraw));
        assert_eq!(mend(None, None, None, NOW), None);
    }
}
