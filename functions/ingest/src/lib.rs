//! Takes events from the platform: stores each with one conditional put, queues its deliveries, answers. A 202 is a
//! promise: what is answered is stored, and what is stored is delivered, by the sweeper if a crash comes between.

mod accept;
mod answer;
mod check;
mod configs;
mod deliveries;
mod described;
mod erased;
mod invocation;
mod noted;
mod route;

pub use accept::{Ingest, Parts};
pub use answer::{Accepted, Answer};
pub use check::Warning;
pub use invocation::{Invocation, NotStored};
pub use route::{openapi, router};
