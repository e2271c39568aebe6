//! Tests of what a message must keep.
