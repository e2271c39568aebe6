//! Behaviour of one courier, event by event.
