//! Mail by file: the parcels and words of a line, sealed for one node and carried by hand.
//!
//! A file is one more way for the mail in it, not the only one: it goes on being offered by others, and what arrives twice
//! is recognised. So nothing is lost with a file that is lost, and nothing has to be confirmed.

mod make;
mod take;

use std::sync::Arc;

use domain::area::AreaCode;
use domain::reason::Reason;
use domain::time::UnixMillis;
use exchange::directory::DirectoryAnswer;

use super::directory::{Directory, Said, Taken};
use super::session::intake::Intake;
use crate::app::AppError;

pub use make::Bytestream;
pub use take::Reading;

/// Makes files and takes them in. Clones share what they work with.
#[derive(Clone, Debug)]
pub struct Bundles {
    pub(super) intake: Arc<Intake>,
    pub(super) directory: Directory,
}

/// What is in a file, and what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// Name of the file.
    pub bundle_id: [u8; 16],
    /// Node that made it.
    pub from: AreaCode,
    /// Node it is for.
    pub to: AreaCode,
    /// When it was made.
    pub created: UnixMillis,
    /// Parcels in it.
    pub parcels: u32,
    /// Messages in them.
    pub messages: u32,
    /// Signed words.
    pub words: u32,
    /// Cards and revocation lists.
    pub entries: u32,
    /// Messages that were stored for the first time.
    pub stored: u32,
    /// Messages that were known before.
    pub duplicates: u32,
    /// Messages that were refused.
    pub refused: u32,
    /// Messages that were put off.
    pub deferred: u32,
    /// Parcels that were not taken at all.
    pub unfit: u32,
    /// What is wrong with the file; nothing when it was read to its end.
    pub fault: Option<Reason>,
}

impl Report {
    const fn new(bundle_id: [u8; 16], from: AreaCode, to: AreaCode, created: UnixMillis) -> Self {
        Self {
            bundle_id,
            from,
            to,
            created,
            parcels: 0,
            messages: 0,
            words: 0,
            entries: 0,
            stored: 0,
            duplicates: 0,
            refused: 0,
            deferred: 0,
            unfit: 0,
            fault: None,
        }
    }
}

impl Bundles {
    /// Of what takes mail in, and the directory.
    #[must_use]
    pub const fn new(intake: Arc<Intake>, directory: Directory) -> Self {
        Self { intake, directory }
    }

    /// The own card and the lists in force, for an office that this one never met.
    #[must_use]
    pub fn card(&self) -> DirectoryAnswer {
        let material = self.intake.hub.shared().identity.material();
        let card = self.directory.own_card().signed();
        let authorities: Vec<_> = card.chain.iter().skip(1).cloned().collect();
        // Those that can be checked with what goes along: the root's, and our province's.
        let proves = |der: &[u8]| material.chains().verify_list(der, &authorities).is_ok();
        let lists = material.chains().lists().iter().map(|list| list.der().to_vec());
        let lists = lists.filter(|der| proves(der)).collect();
        DirectoryAnswer {
            cards: vec![card],
            revocation_lists: lists,
            authorities,
            cursor: bytes::Bytes::new(),
            more: false,
        }
    }

    /// Takes cards and lists from a file, as far as they prove themselves.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn take_card(&self, answer: DirectoryAnswer) -> Result<Taken, AppError> {
        let DirectoryAnswer { cards, revocation_lists: lists, authorities, .. } = answer;
        let own = self.intake.hub.shared().own;
        self.directory.take(own, Said { cards, lists, authorities, cursor: None }).await
    }
}
