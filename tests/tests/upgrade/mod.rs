//! What one release writes, every later one reads (docs/UPGRADING.md). tests/data/v1 holds one of each item and message as
//! the first release wrote them; those files never change.

mod golden;
mod items;
mod messages;
