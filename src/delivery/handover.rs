//! What every parcel has to be, whoever it is for: handed over by who holds it, signed by its sender, complete, and with
//! words of relays that hold.

use domain::area::AreaCode;
use domain::reason::Reason;
use domain::time::UnixMillis;
use exchange::custody::CustodyManifest;
use exchange::digest::Digest;
use exchange::parcel::{Parcel, ParcelManifest};
use exchange::relay::{Task, check_handover};
use wire::{decode_custody_manifest, decode_manifest};

use super::identity::NodeIdentity;
use super::inbound::NoReceipt;
use super::proof;
use crate::app::relay::SignedWord;

/// What one stream remembers of its peer.
#[derive(Debug)]
pub struct Correspondent {
    /// The area its certificate proves.
    pub area: AreaCode,
    /// Its chain, from the first parcel of its own that carried it.
    pub chain: Vec<Vec<u8>>,
}

/// A parcel that may be taken.
#[derive(Debug)]
pub struct Checked {
    /// Its manifest.
    pub manifest: ParcelManifest,
    /// Who handed it over; the last relay of a file.
    pub handed_by: AreaCode,
    /// What is to be done with it.
    pub task: Task,
    /// The sender's chain, leaf first, DER.
    pub chain: Vec<Vec<u8>>,
    /// Digests of its envelopes.
    pub digests: Vec<Digest>,
    /// Words of the relays that carried it, in order.
    pub words: Vec<SignedWord>,
    /// The parcel.
    pub parcel: Parcel,
}

/// A parcel that may not, with what could be read of it.
#[derive(Debug)]
pub struct Unfit {
    /// Its manifest, if it can be read.
    pub manifest: Option<ParcelManifest>,
    /// Why.
    pub error: NoReceipt,
}

impl Correspondent {
    /// The chain of a parcel's sender: sent once on a stream of its own, with each parcel on that of another.
    fn chain_of<'a>(&'a mut self, manifest: &ParcelManifest, parcel: &'a Parcel) -> &'a [Vec<u8>] {
        if manifest.from != self.area {
            return &parcel.chain;
        }
        if !parcel.chain.is_empty() {
            self.chain.clone_from(&parcel.chain);
        }
        &self.chain
    }
}

/// Checks a parcel that came over a stream.
///
/// # Errors
/// [`Unfit`].
#[expect(
    clippy::result_large_err,
    reason = "what was read of an unfit parcel goes with it, and rarely"
)]
pub(super) fn check(
    identity: &NodeIdentity,
    own: AreaCode,
    peer: &mut Correspondent,
    parcel: Parcel,
    now: UnixMillis,
) -> Result<Checked, Unfit> {
    let manifest = match decode_manifest(&parcel.manifest_bytes) {
        Ok(manifest) => manifest,
        Err(fault) => return Err(Unfit { manifest: None, error: NoReceipt::malformed(&fault) }),
    };
    let bearer = Some(peer.area);
    let chain = peer.chain_of(&manifest, &parcel);
    match examine(identity, own, bearer, &manifest, &parcel, chain, now) {
        Ok(Examined { handed_by, task, digests, words }) => {
            let chain = chain.to_vec();
            Ok(Checked { manifest, handed_by, task, chain, digests, words, parcel })
        }
        Err(error) => Err(Unfit { manifest: Some(manifest), error }),
    }
}

/// Checks a parcel that came in a file, which anybody may have brought.
///
/// # Errors
/// [`Unfit`].
#[expect(
    clippy::result_large_err,
    reason = "what was read of an unfit parcel goes with it, and rarely"
)]
pub(super) fn check_file(
    identity: &NodeIdentity,
    own: AreaCode,
    parcel: Parcel,
    now: UnixMillis,
) -> Result<Checked, Unfit> {
    let manifest = match decode_manifest(&parcel.manifest_bytes) {
        Ok(manifest) => manifest,
        Err(fault) => return Err(Unfit { manifest: None, error: NoReceipt::malformed(&fault) }),
    };
    match examine(identity, own, None, &manifest, &parcel, &parcel.chain, now) {
        Ok(Examined { handed_by, task, digests, words }) => {
            let chain = parcel.chain.clone();
            Ok(Checked { manifest, handed_by, task, chain, digests, words, parcel })
        }
        Err(error) => Err(Unfit { manifest: Some(manifest), error }),
    }
}

struct Examined {
    handed_by: AreaCode,
    task: Task,
    digests: Vec<Digest>,
    words: Vec<SignedWord>,
}

/// Without whoever brings a file, which may be anybody.
fn examine(
    identity: &NodeIdentity,
    own: AreaCode,
    bearer: Option<AreaCode>,
    manifest: &ParcelManifest,
    parcel: &Parcel,
    chain: &[Vec<u8>],
    now: UnixMillis,
) -> Result<Examined, NoReceipt> {
    let said = parcel.custody.iter().map(|word| decode_custody_manifest(&word.manifest_bytes));
    let said = said.collect::<Result<Vec<CustodyManifest>, _>>();
    let said = said.map_err(|fault| NoReceipt::malformed(&fault))?;
    let handover = check_handover(own, bearer, manifest, &said, now)
        .map_err(|fault| NoReceipt::parcel(fault.reason(), fault))?;
    let claim = proof::of_parcel(manifest, parcel, chain);
    proof::check_as_of(identity, &claim, handover.sender_holds_at, now)
        .map_err(|unproven| NoReceipt::parcel(unproven.reason(), unproven))?;
    let digests = parcel.digests();
    manifest
        .check(&digests, &parcel.bodiless())
        .map_err(|fault| NoReceipt::parcel(Reason::Malformed, fault))?;
    let mut words = Vec::with_capacity(said.len());
    for (index, (word, manifest)) in parcel.custody.iter().zip(&said).enumerate() {
        // By the time that the next one signed; the last one has to hold now.
        let at = said.get(index + 1).map_or(now, |next| next.signed.min(now));
        proof::check_as_of(identity, &proof::of_custody(manifest, word), at, now)
            .map_err(|unproven| NoReceipt::parcel(unproven.reason(), unproven))?;
        words.push(SignedWord::of_custody(word, manifest.signer));
    }
    Ok(Examined { handed_by: handover.handed_by, task: handover.task, digests, words })
}
