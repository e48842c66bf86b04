//! The way of an event, from the request of the platform to the record of its last attempt.

mod accepted;
mod checked;
mod counted;
mod dead_letters;
mod erased;
mod erased_tenant;
mod invoked;
mod noticed;
mod paced;
mod profiles;
mod replayed;
mod retried;
mod signed;
mod traced;
mod tried;
mod unreadable;
