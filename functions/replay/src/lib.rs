//! Delivers stored events again: one event, one delivery, those of a call, an endpoint or a whole tenant, narrowed by type,
//! agent, time, state and reason. Each is a new delivery with attempts from 1 and the same `webhook-id`; held deliveries are
//! released instead, as they were never made. A job saves its progress page by page; one that stops is continued by the
//! sweeper.
//!
//! The order of reading: `ask` (what becomes a job), `work` (a job's steps), `find` (what a page is), `send` (what is done with
//! it), `mark` (dead letters that were sent again).

mod ask;
mod control;
mod count;
mod erase;
mod find;
mod invocation;
mod mark;
mod paced;
mod quota;
mod ramp;
mod request;
mod send;
mod view;
mod work;

pub use ask::{AskError, Asker, Options};
pub use control::{Order, OrderError};
pub use erase::Eraser;
pub use ramp::{MAX_RATE, MIN_RATE};
pub use request::{Asked, Invoked, NewReplay, Wish, asked, take_rate};
pub use view::{ReplayView, WhatView};
pub use work::Replay;
