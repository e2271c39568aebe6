//! Reading a backup through without a store: every chunk opens, every row can be read.

use std::collections::HashMap;
use std::path::Path;

use domain::id::PersonId;
use domain::time::UnixMillis;
use zeroize::Zeroizing;

use super::change::{Change, read_all};
use super::error::BackupError;
use super::header::State;
use super::progress::{Teller, Watch};
use super::sealed::{Part, Reader};
use crate::check::{CheckReport, Finding, Opens, Problem, Walk};
use crate::error::StoreError;
use crate::options::Options;
use crate::seal::Keys;
use crate::subject::Subject;
use crate::tables::SUBJECT_KEY;

/// What is in a backup whose every chunk was opened.
#[derive(Clone, Debug)]
pub struct VerifyReport {
    /// Area code of the node.
    pub area: String,
    /// When it was begun.
    pub created: UnixMillis,
    /// Restoring brings back the state after this group of writes.
    pub group: u64,
    /// When the keys file was begun, and its group, when one was given.
    pub keys: Option<(UnixMillis, u64)>,
    /// Rows in it.
    pub rows: u64,
    /// Changes of rows that were committed while it was made.
    pub changes: u64,
    /// Values of persons that could not be opened: all of them without a keys file, else those whose person was erased
    /// since or never was in the keys.
    pub unopened: u64,
    /// Rows that cannot be read, at most [`crate::limits::FINDINGS_MAX`].
    pub findings: Vec<Finding>,
    /// Rows that cannot be read beyond those.
    pub more_findings: u64,
}

/// Opens every chunk of a backup and reads every row. Whether the rows belong together (journals, the ledger's tree)
/// only shows when they are restored.
///
/// # Errors
/// [`BackupError`] names the first chunk that does not open, and keys that do not fit.
pub fn verify(
    from: &Path,
    keys_from: Option<&Path>,
    options: &Options,
    watch: Watch<'_>,
) -> Result<VerifyReport, BackupError> {
    let keys = Keys::new(options.data_key.clone());
    let mut data = open(from, Part::Data, &keys, options)?;
    let of_keys = keys_from.map(|path| open(path, Part::Keys, &keys, options)).transpose()?;
    let of_bytes = data.of_bytes + of_keys.as_ref().map_or(0, |reader| reader.of_bytes);
    let mut teller = Teller::new(watch, of_bytes);
    let mut looking = Looking { keys, persons: HashMap::new(), report: CheckReport::default() };
    let mut keys_state = None;
    if let Some(mut reader) = of_keys {
        keys_state = Some(looking.read(&mut reader, options, &mut teller)?.0);
    }
    let (state, changes) = looking.read(&mut data, options, &mut teller)?;
    if let (Some(keys), Some(path)) = (&keys_state, keys_from) {
        keys.opens(path, &state)?;
    }
    let Looking { report, .. } = looking;
    Ok(VerifyReport {
        area: state.header.area,
        created: state.header.created,
        group: state.group,
        keys: keys_state.map(|keys| (keys.header.created, keys.group)),
        rows: report.rows - changes,
        changes,
        unopened: report.erased,
        findings: report.findings,
        more_findings: report.more_findings,
    })
}

/// Opens a file that has to be this node's.
pub(super) fn open(
    path: &Path,
    part: Part,
    keys: &Keys,
    options: &Options,
) -> Result<Reader, BackupError> {
    let reader = Reader::open(path, part, keys)?;
    reader.header.admit(path, keys, options)?;
    Ok(reader)
}

/// Reads rows as they come by; persons' keys are kept, so that what comes later can be opened.
struct Looking {
    keys: Keys,
    persons: HashMap<PersonId, Subject>,
    report: CheckReport,
}

/// What opens values, borrowed for one row.
struct WithPersons<'a>(&'a Keys, &'a HashMap<PersonId, Subject>);

impl Opens for WithPersons<'_> {
    fn keys(&self) -> &Keys {
        self.0
    }
    fn subject(&self, person: PersonId) -> Result<Option<Subject>, StoreError> {
        Ok(self.1.get(&person).cloned())
    }
}

impl Looking {
    /// Reads a file to its end; says what state it holds, and how many changes were logged in it.
    fn read(
        &mut self,
        reader: &mut Reader,
        options: &Options,
        teller: &mut Teller<'_>,
    ) -> Result<(State, u64), BackupError> {
        let totals = read_all(reader, |reader, _, change| {
            match change {
                Change::Row { key, value } => self.row(options, key, value),
                Change::Gone { key } => self.gone(key),
                Change::Group(_) | Change::End(_) => return Ok(()),
            }
            self.report.rows += 1;
            teller.row(reader)
        })?;
        teller.file_done(reader)?;
        Ok((State { header: reader.header.clone(), group: totals.group }, totals.changes))
    }

    fn row(&mut self, options: &Options, key: &[u8], value: &[u8]) {
        let table = options.catalogue.iter().find(|table| key.first() == Some(&table.prefix));
        let Some(table) = table else {
            let problem = Problem::UnknownTable(key.first().copied().unwrap_or_default());
            return self.report.find("", key, problem);
        };
        // Rows were read while others were written, so pages need not follow each other.
        let opens = WithPersons(&self.keys, &self.persons);
        Walk { opens: &opens, table }.row(key, value, &mut None, &mut self.report);
        if table.prefix == SUBJECT_KEY.prefix() {
            self.keep_person(key, value);
        }
    }

    fn gone(&mut self, key: &[u8]) {
        if let Ok(person) = SUBJECT_KEY.read_key(key)
            && key.first() == Some(&SUBJECT_KEY.prefix())
        {
            self.persons.remove(&person);
        }
    }

    fn keep_person(&mut self, key: &[u8], value: &[u8]) {
        let row = SUBJECT_KEY.read(&self.keys, key, value);
        // What cannot be read is among the findings already.
        if let (Ok(person), Ok(row)) = (SUBJECT_KEY.read_key(key), row) {
            self.persons.insert(person, Subject::new(person, Zeroizing::new(row.salt)));
        }
    }
}
