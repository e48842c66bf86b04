//! Redial on one machine, and the redial command.

pub mod billable;
pub mod cli;
pub mod connector;
pub mod cost;
pub mod dynamodb;
pub mod faults;
pub mod kms;
pub mod permissions;
mod private;
pub mod runtime;
pub mod serve;
pub mod template;
