//! Wires the clients of `ingest` and runs it on Lambda.

fn main() {}
