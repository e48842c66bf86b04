//! What every HTTP answer of ours has in common: headers, and problems for whatever no handler answers. Knows no resource.

use std::panic::AssertUnwindSafe;

use crate::clock::Clock;
use crate::metrics::{Metric, Metrics};
use crate::problem::Problem;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use futures_util::FutureExt as _;

/// Answers a panic with a 500, and marks every answer: not to be sniffed, and not to be cached unless it says how.
pub async fn guarded(request: Request, next: Next) -> Response {
    let answered = AssertUnwindSafe(next.run(request)).catch_unwind().await;
    let mut response = answered.unwrap_or_else(|_| {
        // The panic hook has printed where; what was asked stays out of the log.
        tracing::error!("api.panicked");
        Problem::internal().into_response()
    });
    let headers = response.headers_mut();
    // The console's files alone say otherwise.
    let no_store = HeaderValue::from_static("no-store");
    headers.entry(header::CACHE_CONTROL).or_insert(no_store);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// Counts an answer that is a fault of ours. To be laid around [`guarded`], which makes one of a panic.
pub async fn counted(State((metrics, clock)): State<(Metrics, Clock)>, request: Request, next: Next) -> Response {
    let recorder = metrics.begin(clock.now());
    let response = next.run(request).await;
    recorder.count(Metric::FunctionFaults, response.status().is_server_error().into());
    response
}

/// No such route.
pub async fn no_route() -> Problem {
    Problem::not_found("route")
}

/// The route is there, the method is not; axum adds `Allow`.
pub async fn method_not_allowed() -> Problem {
    let detail = "this route does not take this method; Allow says which it takes";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail)
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::{Body, to_bytes};
    use axum::routing::get;
    use redial_domain::Timestamp;
    use tower::ServiceExt as _;

    use super::*;
    use crate::metrics::Kept;

    async fn careless() -> &'static str {
        panic!("canary: a secret in a panic")
    }

    #[tokio::test]
    async fn a_panic_is_a_500_that_tells_nothing() {
        let router = Router::new()
            .route("/", get(careless))
            .layer(axum::middleware::from_fn(guarded));
        let response = router.oneshot(Request::new(Body::empty())).await.unwrap();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
        let body = to_bytes(response.into_body(), 4096).await.unwrap();
        let problem: Problem = serde_json::from_slice(&body).unwrap();
        assert_eq!(problem, Problem::internal());
    }

    #[tokio::test]
    async fn a_fault_of_ours_is_counted_and_a_refusal_is_not() {
        let kept = Kept::default();
        let state = (kept.metrics(), Clock::manual(Timestamp::default()));
        let router = Router::new()
            .route("/careless", get(careless))
            .fallback(no_route)
            .layer(axum::middleware::from_fn(guarded))
            .layer(axum::middleware::from_fn_with_state(state, counted));
        for (path, faults) in [("/careless", 1), ("/elsewhere", 0)] {
            let request = Request::builder().uri(path).body(Body::empty()).unwrap();
            router.clone().oneshot(request).await.unwrap();
            let counted = kept.totals().get("FunctionFaults").cloned().unwrap_or_default();
            assert_eq!(counted.iter().sum::<u64>(), faults, "{path}");
        }
    }
}
