//! The only crate that opens a socket to a customer.
