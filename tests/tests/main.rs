//! Cross-function tests, one binary: the functions on the embedded services, stepped by a clock that stands still; and the
//! rules of the house.

mod api;
mod cost;
mod house_rules;
mod path;
mod permissions;
mod supply_chain;
mod upgrade;
mod world;
