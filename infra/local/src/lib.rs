//! Redial on one machine, and the redial command.

pub mod cli;
pub mod connector;
pub mod dynamodb;
pub mod faults;
pub mod kms;
pub mod permissions;
pub mod runtime;
pub mod serve;
pub mod template;
