//! Wires the clients of `replay` and runs it on Lambda.

fn main() {}
