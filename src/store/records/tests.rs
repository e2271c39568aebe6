//! Tests of records and of the access log.
