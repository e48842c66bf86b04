//! What the receiver has got: for each pair of event and endpoint when it first succeeded, and how often it came. Knows no
//! socket and reads no clock.

use redial_domain::Timestamp;
use redial_domain::signature::{Secret, TOLERANCE_S, verify};

use super::payload::Which;
use super::words::{Cell, Counts, Expected};

/// Most events of a run that are kept account of: what a body says is not believed beyond.
const MAX_CELLS: usize = 100_000_000;

/// The headers of a request that its signature is checked with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Signed<'a> {
    pub(super) id: &'a str,
    pub(super) timestamp: &'a str,
    pub(super) signature: &'a str,
}

/// How a request is to be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// It succeeds.
    Taken,
    /// It is failed on purpose, as its endpoint is to fail.
    Failed,
    /// It is of no run.
    Unknown,
}

/// The account of one run.
#[derive(Default)]
pub(super) struct Board {
    expected: Option<(Expected, Vec<Secret>)>,
    /// Event by event, the endpoints that take what they get, then those that fail.
    cells: Vec<Cell>,
    pub(super) counts: Counts,
}

impl Board {
    /// Of a run from which nothing has come.
    pub(super) fn of(expected: Expected) -> Self {
        let secrets = Secret::parse(&expected.secret).into_iter().collect();
        Self {
            expected: Some((expected, secrets)),
            ..Self::default()
        }
    }

    /// Enters a request that was there as a whole at `at_ns`. `place` is the endpoint's among those of its tenant.
    pub(super) fn take(&mut self, place: Option<u32>, body: &[u8], at_ns: u64) -> Answer {
        self.counts.requests += 1;
        let (Some((expected, _)), Some(place), Some(which)) = (&self.expected, place, Which::of_body(body)) else {
            self.counts.unknown += 1;
            return Answer::Unknown;
        };
        let places = expected.endpoints + expected.failing;
        if which.mark != expected.mark {
            // Of the run before: its failing endpoints have retries to come.
            self.counts.late += 1;
            return if place < expected.endpoints {
                Answer::Taken
            } else {
                Answer::Failed
            };
        }
        let index = u64::from(which.number) * u64::from(places) + u64::from(place);
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        if place >= places || index >= MAX_CELLS {
            self.counts.unknown += 1;
            return Answer::Unknown;
        }
        if self.cells.len() <= index {
            self.cells.resize(index + 1, Cell::default());
        }
        let cell = &mut self.cells[index];
        cell.requests = cell.requests.saturating_add(1);
        if place >= expected.endpoints {
            self.counts.failed += 1;
            return Answer::Failed;
        }
        cell.succeeded = cell.succeeded.saturating_add(1);
        if cell.succeeded == 1 {
            cell.first_ns = at_ns;
            self.counts.delivered += 1;
        } else {
            self.counts.duplicates += 1;
        }
        Answer::Taken
    }

    /// True if the signature of the request that was taken last is one of those to be checked.
    pub(super) fn is_to_be_checked(&self) -> bool {
        let every = self
            .expected
            .as_ref()
            .map_or(0, |(expected, _)| u64::from(expected.verify));
        every > 0 && (self.counts.requests - 1).is_multiple_of(every)
    }

    /// Checks a signature as a customer does.
    pub(super) fn check(&mut self, signed: Signed<'_>, body: &[u8], now: Timestamp) {
        let Some((_, secrets)) = &self.expected else { return };
        let Signed {
            id,
            timestamp,
            signature,
        } = signed;
        self.counts.checked += 1;
        if verify(secrets, id, timestamp, body, signature, now, TOLERANCE_S).is_err() {
            self.counts.wrong += 1;
        }
    }

    /// Everything, to be sent.
    pub(super) fn cells(&self) -> &[Cell] {
        &self.cells
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::bench::arguments::FailingKind;
    use crate::cli::bench::payload::write_event;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    fn board(verify: u32) -> Board {
        Board::of(Expected {
            mark: 7,
            endpoints: 2,
            failing: 1,
            failing_kind: FailingKind::Status500,
            verify,
            secret: SECRET.to_owned(),
        })
    }

    fn body(mark: u32, number: u32) -> Vec<u8> {
        let mut text = String::new();
        write_event(&mut text, Which { mark, number }, "bench-1", false, 400);
        text.into_bytes()
    }

    #[test]
    fn the_first_success_counts_for_latency_and_the_second_as_a_duplicate() {
        let mut board = board(0);
        for (place, at_ns) in [(0, 100), (1, 150), (0, 200), (2, 250)] {
            board.take(Some(place), &body(7, 3), at_ns);
        }
        let expected = Counts {
            requests: 4,
            delivered: 2,
            duplicates: 1,
            failed: 1,
            ..Counts::default()
        };
        assert_eq!(board.counts, expected);
        let cell = |first_ns, succeeded, requests| Cell {
            first_ns,
            succeeded,
            requests,
        };
        assert_eq!(board.cells()[9..], [cell(100, 2, 2), cell(150, 1, 1), cell(0, 0, 1)]);
    }

    #[test]
    fn what_is_of_another_run_or_of_none_is_counted_apart() {
        let mut board = board(0);
        assert_eq!(board.take(Some(0), &body(6, 0), 1), Answer::Taken);
        assert_eq!(board.take(Some(2), &body(6, 0), 1), Answer::Failed);
        assert_eq!(board.take(Some(3), &body(7, 0), 1), Answer::Unknown);
        assert_eq!(board.take(None, &body(7, 0), 1), Answer::Unknown);
        assert_eq!(board.take(Some(0), b"{}", 1), Answer::Unknown);
        // No body has the receiver take more memory than it has.
        assert_eq!(board.take(Some(0), &body(7, u32::MAX), 1), Answer::Unknown);
        assert_eq!(
            (board.counts.late, board.counts.unknown, board.counts.delivered),
            (2, 4, 0)
        );
        assert_eq!(Board::default().take(Some(0), &body(7, 0), 1), Answer::Unknown);
    }

    #[test]
    fn every_so_manieth_signature_is_checked_and_a_wrong_one_counted() {
        let mut board = board(3);
        let now = Timestamp::from_millis(1_795_000_000_000);
        let timestamp = now.as_secs().to_string();
        let secret = Secret::parse(SECRET).unwrap();
        let mut checked = Vec::new();
        for number in 0..7 {
            let body = body(7, number);
            board.take(Some(0), &body, 1);
            if board.is_to_be_checked() {
                checked.push(number);
                let signature = secret.sign(if number == 3 { "another" } else { "id" }, now.as_secs(), &body);
                let signed = Signed {
                    id: "id",
                    timestamp: &timestamp,
                    signature: &signature,
                };
                board.check(signed, &body, now);
            }
        }
        assert_eq!(checked, [0, 3, 6]);
        assert_eq!((board.counts.checked, board.counts.wrong), (3, 1));
        let mut never = super::tests::board(0);
        never.take(Some(0), &body(7, 0), 1);
        assert!(!never.is_to_be_checked());
    }
}
