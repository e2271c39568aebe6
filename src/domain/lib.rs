//! What is true: identifiers, records, messages and the rules about them. No I/O, no clock, no dice.

pub mod access;
pub mod agreement;
pub mod area;
pub mod area_table;
pub mod asked;
pub mod calendar;
pub mod case;
mod catalogue;
pub mod certificate;
pub mod clock;
pub mod consent;
pub mod crosswalk;
pub mod draw;
pub mod erasure;
pub mod fault;
pub mod hex;
pub mod id;
pub mod indicator;
mod masked;
pub mod message;
pub mod numbered;
pub mod old_case;
pub mod person;
pub mod purpose;
pub mod reason;
pub mod record;
pub mod registration;
pub mod rule;
pub mod service;
pub mod synthetic;
pub mod text;
pub mod time;
pub mod watch;

#[cfg(test)]
mod absent;
