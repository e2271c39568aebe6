//! The store from outside: what it promises, and what is left of it after a crash.

mod conformance;
mod crash;
mod damage;
mod durability;
mod erasure;
mod gates;
mod maintenance;
mod power;
mod support;
mod workload;
