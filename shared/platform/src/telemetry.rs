//! Structured JSON logs on standard output, one object a line, as CloudWatch reads them.

use tracing_subscriber::EnvFilter;

/// Sends logs of `level` (as `info`, or a filter as `redial=debug,warn`) to standard output as JSON. A second call is
/// ignored.
pub fn init_json(level: &str) {
    let filter = EnvFilter::try_new(level).unwrap_or_else(|_| EnvFilter::new("info"));
    let subscriber = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_env_filter(filter)
        .with_current_span(false);
    // A subscriber that is there already stays.
    let _ = subscriber.try_init();
}
