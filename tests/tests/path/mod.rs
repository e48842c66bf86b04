//! The way of an event, from the request of the platform to the record of its last attempt.

mod accepted;
mod counted;
mod invoked;
mod replayed;
mod retried;
mod signed;
mod traced;
mod unreadable;
