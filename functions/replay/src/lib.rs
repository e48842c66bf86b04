//! Delivers stored events again, as a job with progress.
