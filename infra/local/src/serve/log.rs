//! The log of `redial serve`: for people, on standard error, because standard output belongs to scripts. Whatever is asked
//! for, other people's crates say no more than `info`, as in a deployment: below that the AWS SDK writes whole answers, of
//! KMS too, and with them the key that seals the endpoints' secrets.

use std::io;

use redial_platform::settings;
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::filter::{FilterExt as _, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

use super::output;
use crate::billable::lines::Lines;

/// What is logged, unless `REDIAL_LOG` says otherwise.
#[cfg(not(feature = "failpoints"))]
const LOG_LEVEL: &str = "warn";
/// Of the fault build, without what the SDK has to say of a connection that is none.
#[cfg(feature = "failpoints")]
const LOG_LEVEL: &str = "warn,aws_smithy_runtime::client::http::connection_poisoning=off";
/// What the targets of our own crates begin with.
const OURS: &str = "redial";

/// Begins to log, and to count what a deployment would. A subscriber that is there already stays.
pub(super) fn begin(counted: Option<&Lines>) {
    let wanted = settings::optional("REDIAL_LOG").unwrap_or_else(|| LOG_LEVEL.to_owned());
    let filter = EnvFilter::try_new(&wanted).unwrap_or_else(|error| {
        output::note(&format!(
            "REDIAL_LOG is no filter such as info or redial=debug: {error}"
        ));
        EnvFilter::new(LOG_LEVEL)
    });
    let said = subscriber(filter, io::stderr);
    drop(said.with(counted.map(Lines::layer)).try_init());
}

fn may_be_said(metadata: &Metadata<'_>) -> bool {
    *metadata.level() <= Level::INFO || metadata.target().starts_with(OURS)
}

fn subscriber<W>(filter: EnvFilter, writer: W) -> impl Subscriber + for<'a> LookupSpan<'a> + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    tracing_subscriber::registry().with(lines.with_filter(filter.and(filter_fn(may_be_said))))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn said(wanted: &str) -> Vec<bool> {
        let written = Written::default();
        let writer = written.clone();
        tracing::subscriber::with_default(subscriber(EnvFilter::new(wanted), move || writer.clone()), || {
            tracing::trace!(target: "aws_smithy_runtime::client::orchestrator", "a whole answer");
            tracing::debug!(target: "hyper::proto", "bytes");
            tracing::info!(target: "aws_config", "what others say");
            tracing::trace!(target: "redial_dispatcher::deliver", "what we say");
        });
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        ["a whole answer", "bytes", "what others say", "what we say"]
            .map(|line| text.contains(line))
            .to_vec()
    }

    #[test]
    fn other_crates_never_say_more_than_info_whatever_is_asked_for() {
        assert_eq!(said("trace"), [false, false, true, true]);
        assert_eq!(said("warn,aws_smithy_runtime=trace"), [false, false, false, false]);
        assert_eq!(said("redial_dispatcher=trace"), [false, false, false, true]);
    }
}
