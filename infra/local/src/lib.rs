//! Redial on one machine, and the redial command.
