//! Delivers signed POSTs and records every attempt.
