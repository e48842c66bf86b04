//! The management API over HTTP, against the embedded DynamoDB and SQS: who may what, what is refused, what lists answer.
//! Nothing is delivered here; what a dispatcher would record is written through the store.

mod access;
mod answers;
mod audit;
mod backlog;
mod condition;
mod console;
mod data_keys;
mod dead_letters;
mod deliveries;
mod deliveries_model;
mod dry_run;
mod endpoint_auth;
mod endpoints;
mod erasures;
mod event_types;
mod events;
mod events_model;
mod export;
mod integration;
mod key_bounds;
mod key_networks;
mod keys;
mod own_origin;
mod parameters;
mod portal;
mod preconditions;
mod sessions;
mod stand;
mod timeline;
