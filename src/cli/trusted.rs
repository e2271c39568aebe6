//! The root and revocation lists that offline checks rest on.

use std::path::{Path, PathBuf};

use clap::Args;
use trust::crl::{GRACE_DEFAULT, RevocationList, RevocationLists};
use trust::name::{SUFFIX_DEFAULT, Suffix};
use trust::verify::{ChainVerifier, Roots};

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
