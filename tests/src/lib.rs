//! Cross-function tests: the whole path against the embedded services.
