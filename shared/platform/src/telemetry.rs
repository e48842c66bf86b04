//! Structured JSON logs on standard output, one object a line, as CloudWatch reads them. Every line of an invocation has
//! its request id; none has a key, a secret or a payload, which is why other people's crates say no more than `info` here,
//! whatever level is asked for: the AWS SDK writes whole requests at `debug`.

use tracing::level_filters::LevelFilter;
use tracing::{Subscriber, error_span};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

/// What the targets of our own crates begin with.
const OURS: &str = "redial";
/// Where `lambda_runtime` opens the span that holds the request id. It does so at level `info`, and a line at `error` must
/// have it too.
const REQUEST_SPAN: &str = "lambda_runtime::layers::trace";

/// Sends logs of `level` (`error`, `warn`, `info`, `debug` or `trace`; anything else is `info`) to standard output as JSON,
/// each line with the version of the function that wrote it. Panics are logged by their place alone: their texts may quote
/// what was being worked on. A second call is ignored.
pub fn init_json(level: &str, function_version: &str) {
    if subscriber(level, std::io::stdout).try_init().is_err() {
        // A subscriber that is there already stays.
        return;
    }
    std::panic::set_hook(Box::new(|panic| {
        let location = panic.location().map(tracing::field::display);
        tracing::error!(location, "function.panicked");
    }));
    // Around all that this thread ever does; on Lambda there is no other one that logs.
    let span = error_span!("function", function_version, release = env!("CARGO_PKG_VERSION"));
    std::mem::forget(span.entered());
}

/// What turns events into lines of JSON.
fn subscriber<W>(level: &str, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let level: LevelFilter = level.parse().unwrap_or(LevelFilter::INFO);
    let targets = Targets::new()
        .with_default(level.min(LevelFilter::INFO))
        .with_target(OURS, level)
        .with_target(REQUEST_SPAN, level.max(LevelFilter::INFO));
    tracing_subscriber::registry().with(targets).with(lines(writer))
}

/// What writes an event as a line of JSON, whichever it is given.
pub fn lines<S, W>(writer: W) -> impl Layer<S> + Send + Sync
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_writer(writer)
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use futures_util::FutureExt as _;
    use lambda_runtime::layers::TracingLayer;
    use lambda_runtime::{Context, LambdaInvocation, service_fn};
    use serde_json::Value;
    use tower::{Layer as _, Service as _};
    use tracing::{debug, trace, warn};

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

    /// The lines that `log` writes at `level`.
    fn lines(level: &str, log: impl FnOnce()) -> Vec<Value> {
        let written = Written::default();
        let writer = written.clone();
        tracing::subscriber::with_default(subscriber(level, move || writer.clone()), log);
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn invocation(request_id: &str) -> LambdaInvocation {
        let mut context = Context::default();
        context.request_id = request_id.to_owned();
        LambdaInvocation {
            parts: axum::http::Response::new(()).into_parts().0,
            body: bytes::Bytes::new(),
            context,
        }
    }

    #[test]
    fn a_line_is_flat_json_with_the_request_id_at_every_level() {
        for level in ["error", "warn", "info", "debug", "trace"] {
            let lines = lines(level, || {
                let work = |_| async {
                    tracing::error!(tenant = "acme", duration_ms = 7, "dispatcher.attempt_failed");
                    Ok::<(), lambda_runtime::Error>(())
                };
                let invoked = TracingLayer::new().layer(service_fn(work)).call(invocation("r-1"));
                invoked.now_or_never().unwrap().unwrap();
            });
            assert_eq!(lines.len(), 1, "{level}");
            let line = &lines[0];
            assert_eq!(
                (&line["message"], &line["tenant"], &line["duration_ms"]),
                (&"dispatcher.attempt_failed".into(), &"acme".into(), &7.into())
            );
            assert_eq!(line["spans"][0]["requestId"], "r-1", "{level}");
        }
    }

    #[test]
    fn other_crates_never_say_more_than_info() {
        let log = || {
            debug!(target: "aws_smithy_runtime::client", "request with everything in it");
            trace!(target: "hyper::proto", "bytes");
            warn!(target: "aws_smithy_runtime::client", "throttled");
            debug!(target: "redial_dispatcher::deliver", "ours");
        };
        let said = |level| {
            let lines = lines(level, log);
            let said = lines.iter().map(|line| line["message"].as_str().unwrap().to_owned());
            said.collect::<Vec<_>>()
        };
        assert_eq!(said("trace"), ["throttled", "ours"]);
        assert_eq!(said("warn"), ["throttled"]);
        assert_eq!(said("error"), Vec::<String>::new());
        assert_eq!(said("aws_smithy_runtime=trace"), ["throttled"]);
    }
}
