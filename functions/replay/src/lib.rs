//! Delivers stored events again: one event, one delivery, or an endpoint's deliveries in a stretch of time. Each is a new
//! delivery with attempts from 1 and the same `webhook-id`; held deliveries are released instead, as they were never made.
//! A job saves its progress page by page; one that stops is continued by the sweeper.

mod ask;
mod erase;
mod invocation;
mod paced;
mod request;
mod work;

pub use ask::{AskError, Asker};
pub use erase::Eraser;
pub use request::{Invoked, NewReplay, ReplayView, WhatView, Wish, asked};
pub use work::Replay;
