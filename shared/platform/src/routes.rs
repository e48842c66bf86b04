//! One list of handlers for two uses: the routes of a function, and their `OpenAPI` description. A function at its start
//! makes routes alone: building the description takes longer than everything else that it does before its first request.
//! Knows no resource.

use axum::routing::{MethodFilter, MethodRouter};
use utoipa::openapi::path::HttpMethod;
use utoipa_axum::PathItemExt as _;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};

#[doc(hidden)]
pub use utoipa_axum;

/// Takes handlers, as [`routes!`](crate::routes!) gives them.
pub trait Routes<S>: Sized {
    /// With these handlers too.
    #[must_use]
    fn with<D, P>(self, handlers: (D, P)) -> Self
    where
        D: FnOnce() -> UtoipaMethodRouter<S>,
        P: FnOnce() -> (String, MethodRouter<S>);
}

/// Routes alone.
impl<S: Clone + Send + Sync + 'static> Routes<S> for axum::Router<S> {
    fn with<D, P>(self, (_, plain): (D, P)) -> Self
    where
        P: FnOnce() -> (String, MethodRouter<S>),
    {
        let (path, handlers) = plain();
        self.route(&path, handlers)
    }
}

/// Routes with their description.
impl<S: Clone + Send + Sync + 'static> Routes<S> for OpenApiRouter<S> {
    fn with<D, P>(self, (described, _): (D, P)) -> Self
    where
        D: FnOnce() -> UtoipaMethodRouter<S>,
    {
        self.routes(described())
    }
}

/// The methods that a `#[utoipa::path]` names, as axum has them; `None` if it names none.
#[must_use]
pub fn filter(methods: &[HttpMethod]) -> Option<MethodFilter> {
    let filters = methods.iter().map(HttpMethod::to_method_filter);
    filters.reduce(MethodFilter::or)
}

/// The handlers of one path, each annotated with `#[utoipa::path]`, which says the path and the method.
#[macro_export]
macro_rules! routes {
    ($first:ident $(, $more:ident)* $(,)?) => {
        $crate::routes::utoipa_axum::paste! {
            (
                || $crate::routes::utoipa_axum::routes!($first $(, $more)*),
                || {
                    let handlers = axum::routing::MethodRouter::new();
                    $crate::routes!(@on handlers, $first);
                    $( $crate::routes!(@on handlers, $more); )*
                    (<[<__path_ $first>] as utoipa::Path>::path(), handlers)
                },
            )
        }
    };
    (@on $handlers:ident, $handler:ident) => {
        $crate::routes::utoipa_axum::paste! {
            let methods = <[<__path_ $handler>] as utoipa::Path>::methods();
            let $handlers = match $crate::routes::filter(&methods) {
                Some(filter) => $handlers.on(filter, $handler),
                None => $handlers,
            };
        }
    };
}
