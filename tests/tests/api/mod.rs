//! The management API over HTTP, against the embedded DynamoDB and SQS: who may what, what is refused, what lists answer.
//! Nothing is delivered here; what a dispatcher would record is written through the store.

mod access;
mod answers;
mod deliveries;
mod endpoints;
mod events;
mod keys;
mod own_origin;
mod parameters;
mod stand;
