//! Redial against hostile receivers (`docs/SECURITY.md`, section 2): real sockets on loopback, scripted byte by byte.
//! Nothing here ever connects to anything but loopback.
//!
//! Not tested: TLS 1.1, which rustls cannot speak on either side; and so cannot accept.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test's fixtures fail by panicking, as tests do"
)]

mod addresses;
mod answers;
mod bodies;
mod canary;
mod connections;
mod corpus;
mod fixtures;
mod http2;
mod memory;
mod probes;
mod receiver;
mod slow;
mod tls;
