//! Tests of the conversion of records.
