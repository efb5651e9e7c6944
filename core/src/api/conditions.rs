//! Condition types and reasons as enums: the reasons are API, and tests hold them still.
//!
//! (in work)
