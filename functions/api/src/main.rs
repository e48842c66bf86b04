//! Wires the clients of `api` and runs it on Lambda.

fn main() {}
