//! SQS in process: the subset that Redial uses, durable, with a controllable clock.
