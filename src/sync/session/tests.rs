//! The session against a scripted relay.
