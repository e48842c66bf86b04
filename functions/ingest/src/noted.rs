//! What is noted of a request besides its answer: its numbers, and one line of the log if something was refused. Never a
//! text of the request: codes and ids only.

use std::collections::BTreeSet;

use redial_domain::Traceparent;
use redial_platform::metrics::{Metric, Recorder};
use redial_platform::problem::Problem;

use crate::answer::{Accepted, Answer};

/// What a request is noted with.
#[derive(Clone, Copy)]
pub(crate) struct Noted<'a> {
    /// Its numbers.
    pub(crate) recorder: &'a Recorder,
    /// What it belongs to, if its caller says so.
    pub(crate) traceparent: Option<&'a Traceparent>,
}

impl<'a> Noted<'a> {
    pub(crate) fn trace(self) -> Option<&'a str> {
        self.traceparent.map(Traceparent::as_str)
    }

    /// Counts and logs what an answer refuses; the rest was counted where it happened. A request in which all went well
    /// leaves no line but its metrics: at thousands a second another one would cost more than the queue.
    pub(crate) fn conclude(self, answered: &Result<Accepted, Problem>) {
        let problems: Vec<&Problem> = match answered {
            Err(problem) => vec![problem],
            Ok(Accepted::Single(answer)) => answer.problem().into_iter().collect(),
            Ok(Accepted::Batch(answers)) => answers.iter().filter_map(Answer::problem).collect(),
        };
        let warned = match answered {
            Ok(Accepted::Single(answer)) => usize::from(answer.is_warned()),
            Ok(Accepted::Batch(answers)) => answers.iter().filter(|answer| answer.is_warned()).count(),
            Err(_) => 0,
        };
        self.recorder.count(Metric::Warned, warned as u64);
        let ours = problems.iter().filter(|problem| problem.status >= 500).count();
        let refused = problems.len() - ours;
        self.recorder.count(Metric::FunctionFaults, ours as u64);
        self.recorder.count(Metric::Refused, refused as u64);
        let (accepted, matched) = (self.recorder.sum(Metric::Accepted), self.recorder.sum(Metric::Matched));
        let traceparent = self.trace();
        if problems.is_empty() {
            tracing::debug!(accepted, matched, warned, traceparent, "ingest.batch");
            return;
        }
        let codes: BTreeSet<&str> = problems.iter().map(|problem| problem.code.as_str()).collect();
        let codes = codes.into_iter().collect::<Vec<_>>().join(" ");
        if ours > 0 {
            tracing::error!(
                accepted,
                matched,
                refused,
                warned,
                faults = ours,
                codes,
                traceparent,
                "ingest.batch"
            );
        } else {
            tracing::info!(accepted, matched, refused, warned, codes, traceparent, "ingest.batch");
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use redial_domain::Timestamp;
    use redial_platform::metrics::Kept;

    use super::*;

    /// What is counted of an answer, as refused and as our fault.
    fn counted(answered: &Result<Accepted, Problem>) -> (u64, u64) {
        let kept = Kept::default();
        let recorder = kept.metrics().begin(Timestamp::default());
        let noted = Noted {
            recorder: &recorder,
            traceparent: None,
        };
        noted.conclude(answered);
        drop(recorder);
        let totals = kept.totals();
        let sum = |name| totals.get(name).map_or(0, |values| values.iter().sum());
        (sum("Refused"), sum("FunctionFaults"))
    }

    fn refusal() -> Problem {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "field_missing", "type is missing").at("type")
    }

    #[test]
    fn what_the_caller_got_wrong_is_refused_and_what_we_did_is_our_fault() {
        let of = |error| Answer::Refused { id: None, error };
        let taken = || Answer::Accepted {
            id: "e1".to_owned(),
            deliveries: 1,
            warnings: Vec::new(),
        };
        assert_eq!(counted(&Err(refusal())), (1, 0));
        assert_eq!(counted(&Err(Problem::internal())), (0, 1));
        assert_eq!(counted(&Ok(Accepted::Single(of(refusal())))), (1, 0));
        assert_eq!(counted(&Ok(Accepted::Single(taken()))), (0, 0));
        let batch = vec![of(refusal()), taken(), of(Problem::internal()), of(refusal())];
        assert_eq!(counted(&Ok(Accepted::Batch(batch))), (2, 1));
    }
}
