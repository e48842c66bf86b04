//! What Redial remembers with: DynamoDB store, SQS queues, keys and items, configuration, telemetry, the SQS batch loop,
//! and the one place where an error becomes an HTTP answer. Remembers and connects; decides nothing about a delivery.

pub mod auth;
pub mod aws;
pub mod batch;
pub mod blob;
pub mod cache;
pub mod clock;
pub mod endpoint_test;
pub mod failpoint;
pub mod fields;
pub mod format;
mod gather;
pub mod invoke;
pub mod item;
pub mod keys;
pub mod later;
pub mod message;
pub mod metrics;
pub mod notices;
pub mod pace;
pub mod problem;
pub mod queue;
pub mod random;
pub mod respond;
pub mod routes;
pub mod seal;
pub mod secrets;
pub mod settings;
pub mod source;
pub mod store;
pub mod telemetry;
pub mod test_limit;
pub mod texts;
#[cfg(any(test, feature = "failpoints"))]
pub mod warp;

pub use clock::Clock;
pub use metrics::Metrics;
pub use random::Random;
pub use store::Store;
