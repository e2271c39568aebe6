//! Forward migrations: each has a name, runs as one unit of work, and says how many rows it touched.

use crate::error::StoreError;
use crate::unit::Unit;

/// One step from a schema to the next.
#[derive(Clone, Copy)]
pub struct Migration {
    /// Schema the data has afterwards; the step applies to the one before.
    pub to: u32,
    /// What it does, in a few words, for the log.
    pub name: &'static str,
    /// Does it and says how many rows it touched. It must fit one unit of work.
    pub run: fn(&mut Unit<'_>) -> Result<u64, StoreError>,
}

impl std::fmt::Debug for Migration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Migration({}, {})", self.to, self.name)
    }
}

/// All migrations, oldest first. A new one goes to the end and raises [`crate::gate::SCHEMA`].
pub static MIGRATIONS: &[Migration] = &[Migration {
    to: 2,
    name: "rows at rest may be packed into blocks, which older programs do not see",
    run: |_| Ok(0),
}];

/// A migration that was run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migrated {
    /// Its name.
    pub name: &'static str,
    /// Rows it touched.
    pub rows: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::SCHEMA;

    #[test]
    fn the_steps_lead_to_the_schema_of_this_program() {
        for (migration, to) in MIGRATIONS.iter().zip(2..) {
            assert_eq!(migration.to, to, "{}", migration.name);
        }
        assert_eq!(u32::try_from(MIGRATIONS.len()).unwrap() + 1, SCHEMA);
    }
}
