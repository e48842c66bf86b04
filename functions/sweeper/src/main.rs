//! Wires the clients of `sweeper` and runs it on Lambda.

fn main() {}
