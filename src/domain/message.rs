//! Messages (通报): the kinds, what each carries, and the rules that both sides apply.

mod bodies;
mod check;
mod content;
mod kind;
mod outcome;
#[cfg(test)]
mod page;
pub mod screen;
mod steps;
mod value;
pub mod whereabouts;

pub use bodies::*;
pub use check::{CLOCK_SKEW, CheckContext, Refusal};
pub use content::{Body, Content};
pub use kind::{Direction, Kind};
pub use outcome::*;
pub use steps::*;
pub use value::{CHILDREN_MAX, Children, ChildrenError, PrintedNumber, PrintedNumberError};

#[cfg(test)]
mod tests;
