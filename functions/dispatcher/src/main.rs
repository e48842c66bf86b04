//! Wires the clients of `dispatcher` and runs it on Lambda.

fn main() {}
