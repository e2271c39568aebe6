//! The root and revocation lists that offline checks rest on.

use std::path::{Path, PathBuf};

use clap::Args;
use domain::area::AreaCode;
use domain::time::UnixMillis;
use exchange::keys::SignContext;
use trust::crl::{GRACE_DEFAULT, RevocationList, RevocationLists};
use trust::name::{SUFFIX_DEFAULT, Suffix};
use trust::verify::{ChainVerifier, Purpose, Roots, VerifiedChain};

use super::exit::Failure;
use crate::errors::chain;

/// What a check without a node rests on.
#[derive(Args, Debug)]
pub(super) struct TrustArgs {
    /// Root certificate of the network, PEM
    #[arg(long, value_name = "FILE", env = "LIANGDI_ROOT")]
    root: PathBuf,
    /// Revocation list, PEM; may be given several times
    #[arg(long, value_name = "FILE")]
    crl: Vec<PathBuf>,
    /// Suffix of all names of this network
    #[arg(long, value_name = "NAME", env = "LIANGDI_SUFFIX", default_value = SUFFIX_DEFAULT)]
    suffix: Suffix,
}

impl TrustArgs {
    pub(super) fn load(&self) -> Result<ChainVerifier, Failure> {
        chains(&self.root, &self.crl, self.suffix.clone())
    }

    /// Whether revocation can be looked at.
    pub(super) fn has_lists(&self) -> bool {
        !self.crl.is_empty()
    }

    /// The same, to check signatures of nodes in files.
    pub(super) fn trust(&self) -> Result<Trust, Failure> {
        Ok(Trust { chains: self.load()?, has_lists: self.has_lists() })
    }
}

/// Checks signatures of nodes in files.
#[derive(Debug)]
pub(super) struct Trust {
    chains: ChainVerifier,
    has_lists: bool,
}

/// A signature of a node in a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claim<'a> {
    /// What it is for.
    pub(super) context: SignContext,
    /// The area that is said to have signed.
    pub(super) by: AreaCode,
    /// Its certificates, leaf first, DER.
    pub(super) chain: &'a [Vec<u8>],
    /// The bytes that are signed.
    pub(super) bytes: &'a [u8],
    /// The signature.
    pub(super) signature: &'a [u8],
    /// When it was signed, by its own word.
    pub(super) signed: UnixMillis,
}

impl Trust {
    /// By a root alone: of what the own node keeps, which has looked at revocation when it took it.
    pub(super) fn of_root(root: &Path, suffix: Suffix) -> Result<Self, Failure> {
        Ok(Self { chains: chains(root, &[], suffix)?, has_lists: false })
    }

    /// Whether revocation is looked at. Whoever has no lists cannot; answers say so.
    pub(super) const fn has_lists(&self) -> bool {
        self.has_lists
    }

    /// Whether a signature holds, by certificates as they were when it was made; or why not.
    pub(super) fn check(&self, claim: &Claim<'_>) -> Result<VerifiedChain, String> {
        let chain = match self.has_lists {
            true => self.chains.verify_as_of(claim.chain, claim.signed, Vec::new()),
            false => self.chains.verify_except_revocation(claim.chain, Purpose::Node, claim.signed),
        };
        let chain = chain.map_err(|refused| refused.to_string())?;
        if chain.identity.area() != claim.by {
            return Err("it is that of another area".to_owned());
        }
        chain
            .verify(claim.context, claim.bytes, claim.signature)
            .map_err(|_| "it does not belong to these bytes".to_owned())?;
        Ok(chain)
    }
}

/// A verifier from files.
pub(super) fn chains(
    root: &Path,
    crl: &[PathBuf],
    suffix: Suffix,
) -> Result<ChainVerifier, Failure> {
    let roots = Roots::load(root).map_err(|e| Failure::usage(chain(&e)))?;
    let mut lists = Vec::new();
    for path in crl {
        lists.extend(RevocationList::load_all(path).map_err(|e| Failure::usage(chain(&e)))?);
    }
    Ok(ChainVerifier::new(roots, suffix, RevocationLists::new(lists, GRACE_DEFAULT)))
}
