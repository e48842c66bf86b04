//! The way of an event, from the request of the platform to the record of its last attempt.

mod accepted;
mod checked;
mod counted;
mod crowded;
mod dead_letters;
mod down;
mod drained;
mod erased;
mod erased_damaged;
mod erased_in_turns;
mod erased_tenant;
mod invoked;
mod ledger;
mod made_again;
mod noticed;
mod paced;
mod probed;
mod profiles;
mod replayed;
mod retried;
mod signed;
mod statistics;
mod traced;
mod tried;
mod unreadable;
