//! Whole nodes, tested from outside: real processes, real sockets, real files; one file a promise.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    reason = "tests fail by panicking and say what they measured"
)]

mod agreement;
mod ask_once;
mod at_risk;
mod audit;
mod backup;
mod birth_registration;
mod bulk_hand_over;
mod bundle;
mod case;
mod command_line;
mod conflict;
mod conformance;
mod corpus;
mod crash;
mod demo;
mod directory;
mod disk;
mod draw;
mod exchange;
mod faults;
mod idle;
mod import;
mod indicators;
mod input;
mod interop;
mod leaks;
mod ledger;
mod letters;
mod logs;
mod netns;
mod office_client;
mod old_cases;
mod overload;
mod peers;
mod reconcile;
mod reconcile_again;
mod reconcile_closing;
mod reconcile_dialling;
mod reconcile_lost;
mod reconcile_portions;
mod reconcile_restored;
mod reconcile_retired;
mod reconcile_stolen;
mod reconcile_troubles;
mod reconcile_versions;
mod relay;
mod renewal;
mod roles;
mod support;
mod tidy;
mod twenty_days;
mod withdrawal;
mod words;
