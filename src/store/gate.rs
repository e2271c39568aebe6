//! The gate: whose data this is, and whether this program may touch it.

use serde::{Deserialize, Serialize};

use crate::value::{NoOlder, Versioned};

/// Name of the format, so that other software's data is never taken for ours.
pub const FORMAT: &str = "liangdi";

/// Version of the layout as a whole. It grows with every migration, never for a new table or a new
/// version of a value.
pub const SCHEMA: u32 = 2;

/// The first row that is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gate {
    /// Always [`FORMAT`].
    pub format: String,
    /// Layout the data has.
    pub schema: u32,
    /// Area code of the node that owns the data.
    pub area: String,
    /// Unix milliseconds of the first start.
    pub created: u64,
    /// Grows when the data does not go on where it ended: after a restore and after a rebuild. What
    /// numbers things towards peers (lane epochs) starts anew with it.
    pub incarnation: u32,
    /// Derived from the data key; tells a wrong key before anything is misread.
    pub key_check: [u8; 16],
}

impl Versioned for Gate {
    const VERSION: u8 = 1;
    type Older = NoOlder;
    fn upgrade(older: NoOlder) -> Self {
        match older {}
    }
}

/// Why the data behind the gate is not ours to touch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GateError {
    /// Not written by this software.
    #[error("the data is in format {0:?}, not {FORMAT:?}")]
    Format(String),
    /// Written by a newer version.
    #[error("the data has schema {found}, this program knows up to {known}: use the newer program")]
    FromTheFuture {
        /// Schema of the data.
        found: u32,
        /// Newest schema this program reads.
        known: u32,
    },
    /// Another node's data.
    #[error(
        "the data belongs to node {found}, this is node {expected}: check data directory and configuration"
    )]
    OtherArea {
        /// Area in the data.
        found: String,
        /// Area of this node.
        expected: String,
    },
    /// The data key does not fit.
    #[error(
        "the data key is not the one this data was written with: look for the right key, there is no way around it"
    )]
    WrongKey,
}

impl Gate {
    /// Lets the node through, or says why not.
    ///
    /// # Errors
    /// [`GateError`], whose text says what to do.
    pub fn admit(&self, known: u32, area: &str, key_check: [u8; 16]) -> Result<(), GateError> {
        if self.format != FORMAT {
            return Err(GateError::Format(self.format.clone()));
        }
        if self.schema > known {
            return Err(GateError::FromTheFuture { found: self.schema, known });
        }
        if self.area != area {
            let (found, expected) = (self.area.clone(), area.to_owned());
            return Err(GateError::OtherArea { found, expected });
        }
        if self.key_check == key_check { Ok(()) } else { Err(GateError::WrongKey) }
    }
}

/// Whether the store was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RunState {
    /// Closed in order at this time (Unix milliseconds of the start that preceded it).
    Clean {
        /// When that run began.
        opened: u64,
    },
    /// Open, or stopped without warning.
    Open {
        /// When that run began.
        opened: u64,
    },
}

impl Versioned for RunState {
    const VERSION: u8 = 1;
    type Older = NoOlder;
    fn upgrade(older: NoOlder) -> Self {
        match older {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_data_is_admitted() {
        let gate = Gate {
            format: FORMAT.to_owned(),
            schema: 3,
            area: "410522".to_owned(),
            created: 0,
            incarnation: 1,
            key_check: [1; 16],
        };
        assert_eq!(gate.admit(3, "410522", [1; 16]), Ok(()));
        assert_eq!(gate.admit(4, "410522", [1; 16]), Ok(()), "older data is migrated");
        let future = GateError::FromTheFuture { found: 3, known: 2 };
        assert_eq!(gate.admit(2, "410522", [1; 16]), Err(future));
        assert_eq!(gate.admit(3, "410522", [2; 16]), Err(GateError::WrongKey));
        let other = gate.admit(3, "440305", [1; 16]).unwrap_err();
        assert!(other.to_string().contains("440305"), "{other}");
        let foreign = Gate { format: "else".to_owned(), ..gate };
        assert!(matches!(foreign.admit(3, "410522", [1; 16]), Err(GateError::Format(_))));
    }
}
