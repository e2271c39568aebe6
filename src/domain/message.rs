//! Messages (通报): the kinds, what each carries, and the rules that both sides apply.

mod kind;

pub use kind::{Direction, Kind};
