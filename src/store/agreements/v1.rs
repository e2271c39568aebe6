//! First layouts of rows that have another one now.

use serde::{Deserialize, Serialize};

use crate::messages::MessageKey;
use crate::value::first_layouts;

/// How far messages had been looked through for the consents they rest on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaughtUpRow {
    through: Option<MessageKey>,
    done: bool,
}

first_layouts!(CaughtUpRow);
