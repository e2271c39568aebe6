//! What rows of one import say that no other row of it may contradict.
//!
//! Each is kept as two keyed hashes with the line it stands in, until the row has become a record or the import is given
//! up: a later row is looked at against every earlier one, whatever the size of the file, and nothing stays in memory.

use domain::person::PersonDetails;
use domain::reason::Reason;
use store::oversight::ImportSaidRow;
use store::tables::IMPORT_SAID;
use store::{PersonHash, Store, Unit};

use super::{Record, Trouble};
use crate::app::access::REGISTERING;
use crate::app::{AppError, old_cases};

/// Says what is hashed.
const CONTEXT: &[u8] = b"import row\0";
/// What stands in one row only says nothing further.
const ONCE: [u8; 16] = [0; 16];

/// Something that a row says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claim {
    /// Keyed hash of what it is about.
    about: [u8; 16],
    /// Keyed hash of what it says about that; [`ONCE`] where one row alone may name it.
    says: [u8; 16],
    /// Where it stands.
    field: &'static str,
}

impl Claim {
    /// Everything that a row says of this sort: one number is on one certificate, one old case has one number, one person
    /// lives in one place and has one name. Documents and numbers are compared as they are kept: however they were typed.
    pub(super) fn of(
        store: &Store,
        person: &PersonDetails,
        record: &Record,
        document: PersonHash,
    ) -> Vec<Self> {
        let hash =
            |what: &[u8], of: &[u8]| *store.person_hash(&[CONTEXT, what, of].concat()).as_bytes();
        let once =
            |what: &[u8], of: &[u8], field| Self { about: hash(what, of), says: ONCE, field };
        let whose = document.as_bytes().as_slice();
        let name = person.name.expose(&REGISTERING.purpose).as_bytes();
        let named = Self {
            about: hash(b"who\0", whose),
            says: hash(b"name\0", name),
            field: "person.name",
        };
        match record {
            Record::Registration(_) => vec![once(b"who\0", whose, "person.document.number")],
            Record::Certificate(number, _) => {
                let number = number.as_str().as_bytes();
                vec![named, once(b"certificate\0", number, "certificate_number")]
            }
            Record::OldCase(case) => {
                vec![named, once(b"old case\0", &old_cases::name(case), "old_case.number")]
            }
        }
    }

    /// Says what the row in `line` says, unless an earlier one of the import says otherwise.
    ///
    /// # Errors
    /// Rows that cannot be read or written.
    pub(super) fn make(
        &self,
        unit: &mut Unit<'_>,
        import: [u8; 16],
        line: u32,
    ) -> Result<Option<Trouble>, AppError> {
        let key = (import, self.about);
        let Some(earlier) = unit.get(&IMPORT_SAID, &key)? else {
            unit.put(&IMPORT_SAID, &key, &ImportSaidRow { says: self.says, line })?;
            return Ok(None);
        };
        let agrees = self.says != ONCE && self.says == earlier.says;
        let trouble = || Trouble::Line(Reason::RowsContradict, self.field, earlier.line);
        Ok((!agrees).then(trouble))
    }

    /// Takes it back: the row is a record by now.
    pub(super) fn forget(&self, unit: &mut Unit<'_>, import: [u8; 16]) {
        unit.delete(&IMPORT_SAID, &(import, self.about));
    }
}
