//! Checking chains against the root: the one place that decides whom a certificate speaks for.

mod list;
#[cfg(test)]
mod tests;

use std::{fmt, path::Path, sync::Arc};

use domain::{access::Role, area::AreaCode, id::OperatorName, time::UnixMillis};
use exchange::keys::SignContext;
use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime, pem::PemObject as _};
use webpki::{EndEntityCert, KeyUsage, VerifiedPath, anchor_from_trusted_cert};

use crate::{
    authority::{NODE_LIFETIME, OPERATOR_LIFETIME, PROVINCE_LIFETIME},
    cache::Cache,
    certificate::{self, Fingerprint, Leaf, check_life, check_province},
    crl::{RevocationList, RevocationLists, When},
    files::{self, FileError},
    key::{BadSignature, PublicKey},
    leaf::Identity,
    name::{CertificateName, Suffix},
    refused::Refused,
};

/// How many verified chains are kept: more than there are nodes, and their successors.
pub const CHAINS_MAX: usize = 8192;
/// Most certificates looked at in a presented chain: leaf, province, root and one to spare.
const CERTIFICATES_MAX: usize = 4;

/// The roots of a network: one, or two while one replaces the other.
#[derive(Clone)]
pub struct Roots {
    certificates: Vec<CertificateDer<'static>>,
    anchors: Vec<TrustAnchor<'static>>,
}

/// Why root certificates cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BadRoots {
    /// The file cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// No certificate in it.
    #[error("there is no certificate among the roots: a PEM block \"CERTIFICATE\" is expected")]
    None,
    /// One of them is no certificate of a CA with a key of the profile.
    #[error("a root is not a CA certificate with an ECDSA P-256 key")]
    NotARoot,
}

impl Roots {
    /// Takes root certificates in DER.
    ///
    /// # Errors
    /// [`BadRoots::None`] or [`BadRoots::NotARoot`].
    pub fn new(certificates: Vec<CertificateDer<'static>>) -> Result<Self, BadRoots> {
        if certificates.is_empty() {
            return Err(BadRoots::None);
        }
        let anchor = |der: &CertificateDer<'static>| {
            let parsed = certificate::parse(der).map_err(|_| BadRoots::NotARoot)?;
            let fits = parsed.is_ca() && certificate::p256(parsed.public_key()).is_some();
            let anchor = anchor_from_trusted_cert(der).map_err(|_| BadRoots::NotARoot)?;
            if fits { Ok(anchor.to_owned()) } else { Err(BadRoots::NotARoot) }
        };
        let anchors = certificates.iter().map(anchor).collect::<Result<_, _>>()?;
        Ok(Self { certificates, anchors })
    }

    /// Reads every certificate of a PEM text.
    ///
    /// # Errors
    /// [`BadRoots::None`] or [`BadRoots::NotARoot`].
    pub fn from_pem(text: &str) -> Result<Self, BadRoots> {
        let certificates = CertificateDer::pem_slice_iter(text.as_bytes())
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| BadRoots::NotARoot)?;
        Self::new(certificates)
    }

    /// Reads every certificate of a PEM file.
    ///
    /// # Errors
    /// [`BadRoots`].
    pub fn load(path: &Path) -> Result<Self, BadRoots> {
        Self::from_pem(&files::read(path)?)
    }

    /// The certificates, in DER.
    #[must_use]
    pub fn certificates(&self) -> &[CertificateDer<'static>] {
        &self.certificates
    }

    pub(crate) fn anchors(&self) -> &[TrustAnchor<'static>] {
        &self.anchors
    }

    /// The certificate behind an anchor of a verified path.
    fn certificate_of(&self, anchor: &TrustAnchor<'_>) -> Option<&[u8]> {
        let same = |(_, ours): &(_, &TrustAnchor<'_>)| {
            ours.subject == anchor.subject
                && ours.subject_public_key_info == anchor.subject_public_key_info
        };
        let (certificate, _) = self.certificates.iter().zip(&self.anchors).find(same)?;
        Some(certificate)
    }
}

impl fmt::Debug for Roots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Roots").field("certificates", &self.certificates.len()).finish()
    }
}

/// Who is on the other side.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PeerIdentity {
    /// The node of an area.
    Node(AreaCode),
    /// A person at an area's office.
    Operator {
        /// The person's name at the office.
        name: OperatorName,
        /// What the person may do.
        role: Role,
        /// The office.
        area: AreaCode,
    },
}

impl PeerIdentity {
    /// The area of the node or office.
    #[must_use]
    pub fn area(&self) -> AreaCode {
        match self {
            Self::Node(area) | Self::Operator { area, .. } => *area,
        }
    }
}

/// What a chain is checked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// A node that we called.
    NodeAsServer,
    /// A node that calls us, or that signed something.
    Node,
    /// An operator who calls us.
    Operator,
}

/// A chain that holds.
#[derive(Clone, Debug)]
pub struct VerifiedChain {
    /// What the leaf says.
    pub leaf: Leaf,
    /// Who that is.
    pub identity: PeerIdentity,
    /// Until when both revocation lists that decided are good; after that they decide in grace,
    /// which is an alarm.
    pub lists_good_until: UnixMillis,
    /// Until when the answer holds without looking again: the end of the first certificate to
    /// expire, or of the grace of the first list.
    pub holds_until: UnixMillis,
    /// From when the answer holds: the latest beginning of a certificate.
    holds_from: UnixMillis,
}

impl VerifiedChain {
    /// Checks a signature of the leaf's key over `bytes` made for `context`.
    ///
    /// # Errors
    /// [`BadSignature`].
    pub fn verify(
        &self,
        context: SignContext,
        bytes: &[u8],
        signature: &[u8],
    ) -> Result<(), BadSignature> {
        self.leaf.public_key.verify(&context.message(bytes), signature)
    }

    /// The leaf's key.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        self.leaf.public_key
    }
}

type ChainId = (Purpose, Fingerprint, Fingerprint);

/// Checks chains of one network: its roots, its suffix and the lists at hand.
///
/// It never changes; a new certificate, root or list makes a new one. That also empties its cache,
/// so no answer outlives what it rested on.
#[derive(Debug)]
pub struct ChainVerifier {
    roots: Roots,
    suffix: Suffix,
    lists: RevocationLists,
    verified: Cache<ChainId, Arc<VerifiedChain>>,
}

impl ChainVerifier {
    /// A verifier with these roots and lists.
    #[must_use]
    pub fn new(roots: Roots, suffix: Suffix, lists: RevocationLists) -> Self {
        Self { roots, suffix, lists, verified: Cache::new(CHAINS_MAX) }
    }

    /// The roots.
    #[must_use]
    pub fn roots(&self) -> &Roots {
        &self.roots
    }

    /// The suffix of the network.
    #[must_use]
    pub fn suffix(&self) -> &Suffix {
        &self.suffix
    }

    /// The lists at hand.
    #[must_use]
    pub fn lists(&self) -> &RevocationLists {
        &self.lists
    }

    /// Checks a chain (leaf first, DER) for a purpose, now. Repeated answers come from a cache.
    ///
    /// # Errors
    /// [`Refused`] says why not.
    pub fn verify(
        &self,
        chain: &[impl AsRef<[u8]>],
        purpose: Purpose,
        now: UnixMillis,
    ) -> Result<Arc<VerifiedChain>, Refused> {
        let leaf = chain.first().ok_or(Refused::NoCertificate)?.as_ref();
        let issuer = chain.get(1).map(|issuer| certificate::fingerprint(issuer.as_ref()));
        let id = (purpose, certificate::fingerprint(leaf), issuer.unwrap_or_default());
        if let Some(known) = self.verified.get(&id)
            && (known.holds_from..=known.holds_until).contains(&now)
        {
            return Ok(known);
        }
        let verified =
            Arc::new(self.examine(chain, purpose, now, Some((&self.lists, When::Now(now))))?);
        self.verified.insert(id, Arc::clone(&verified));
        Ok(verified)
    }

    /// Checks that a chain held for a node at an earlier time, with more lists than those at hand.
    ///
    /// A certificate revoked later still counts; a list counts if it was not too old at that time.
    ///
    /// # Errors
    /// [`Refused`] says why not.
    pub fn verify_as_of(
        &self,
        chain: &[impl AsRef<[u8]>],
        at: UnixMillis,
        more: Vec<RevocationList>,
    ) -> Result<VerifiedChain, Refused> {
        self.examine(chain, Purpose::Node, at, Some((&self.lists.with(more), When::AsOf(at))))
    }

    /// As [`ChainVerifier::verify`], for one who holds no revocation lists and says so: a clerk's program
    /// that calls its own node, or a person who looks at a file.
    ///
    /// # Errors
    /// [`Refused`] says why not.
    pub fn verify_except_revocation(
        &self,
        chain: &[impl AsRef<[u8]>],
        purpose: Purpose,
        now: UnixMillis,
    ) -> Result<VerifiedChain, Refused> {
        self.examine(chain, purpose, now, None)
    }

    /// Checks that our own chain leads to the root and is valid, without revocation lists.
    pub(crate) fn verify_own(&self, identity: &Identity, now: UnixMillis) -> Result<(), Refused> {
        let purpose = match identity.name() {
            CertificateName::Node(_) => Purpose::NodeAsServer,
            CertificateName::Operator { .. } => Purpose::Operator,
        };
        self.examine(identity.chain(), purpose, now, None).map(drop)
    }

    fn examine(
        &self,
        chain: &[impl AsRef<[u8]>],
        purpose: Purpose,
        at: UnixMillis,
        revocation: Option<(&RevocationLists, When)>,
    ) -> Result<VerifiedChain, Refused> {
        if chain.len() > CERTIFICATES_MAX {
            return Err(Refused::WrongChain);
        }
        let mut chain = chain.iter().map(|der| CertificateDer::from(der.as_ref()));
        let leaf_der = chain.next().ok_or(Refused::NoCertificate)?;
        let others: Vec<_> = chain.collect();
        let end = EndEntityCert::try_from(&leaf_der).map_err(|error| Refused::from_path(&error))?;
        let usage = match purpose {
            Purpose::NodeAsServer => KeyUsage::server_auth(),
            Purpose::Node | Purpose::Operator => KeyUsage::client_auth(),
        };
        let time = UnixTime::since_unix_epoch(at.since(UnixMillis::new(0)));
        let path = end
            .verify_for_usage(
                // RSA, other curves and other hashes are unknown here, so nothing is signed with them.
                &[webpki::ring::ECDSA_P256_SHA256],
                self.roots.anchors(),
                &others,
                time,
                usage,
                // Revocation is judged below: only we know the grace, and times other than now.
                None,
                None,
            )
            .map_err(|error| Refused::from_path(&error))?;
        let leaf = Leaf::read(&leaf_der, &self.suffix)?;
        let identity = identify(&leaf, purpose)?;
        self.conclude(&path, leaf, identity, revocation)
    }

    /// From a path that holds to a chain that holds: province, revocation, and for how long.
    fn conclude(
        &self,
        path: &VerifiedPath<'_>,
        leaf: Leaf,
        identity: PeerIdentity,
        revocation: Option<(&RevocationLists, When)>,
    ) -> Result<VerifiedChain, Refused> {
        let mut between = path.intermediate_certificates();
        let (Some(province), None) = (between.next(), between.next()) else {
            return Err(Refused::WrongChain);
        };
        let province_der = province.der();
        check_province(&province_der, &leaf.name, &self.suffix)?;
        let root = self.roots.certificate_of(path.anchor()).ok_or(Refused::WrongAuthority)?;
        let (begins, ends) = check_lives(&leaf, &province_der, root)?;
        let mut verified = VerifiedChain {
            identity,
            lists_good_until: UnixMillis::new(u64::MAX),
            holds_from: leaf.not_before.max(begins),
            holds_until: leaf.not_after.min(ends),
            leaf,
        };
        if let Some((lists, when)) = revocation {
            let end = path.end_entity();
            let judged = [(root, province), (province_der.as_ref(), end)]
                .map(|(issuer, cert)| lists.check(issuer, cert.issuer(), cert.serial(), when));
            // Revoked is the answer whatever is missing or too old beside it.
            if judged.iter().any(|list| matches!(list, Err(Refused::Revoked))) {
                return Err(Refused::Revoked);
            }
            for list in judged {
                let list = list?;
                verified.lists_good_until = verified.lists_good_until.min(list.next_update());
                verified.holds_until = verified.holds_until.min(lists.decides_until(list));
            }
        }
        Ok(verified)
    }
}

/// Checks how long the certificates of a chain live; gives the life of the province's CA.
fn check_lives(
    leaf: &Leaf,
    province: &[u8],
    root: &[u8],
) -> Result<(UnixMillis, UnixMillis), Refused> {
    let life = certificate::life(&certificate::parse(province)?);
    let (_, root_ends) = certificate::life(&certificate::parse(root)?);
    check_life(life, PROVINCE_LIFETIME, root_ends)?;
    let longest = match leaf.name {
        CertificateName::Node(_) => NODE_LIFETIME,
        CertificateName::Operator { .. } => OPERATOR_LIFETIME,
    };
    check_life((leaf.not_before, leaf.not_after), longest, life.1)?;
    Ok(life)
}

/// Whether a leaf is of the kind that a purpose demands.
fn identify(leaf: &Leaf, purpose: Purpose) -> Result<PeerIdentity, Refused> {
    match (&leaf.name, leaf.role, purpose) {
        (CertificateName::Node(area), _, Purpose::Node | Purpose::NodeAsServer) => {
            Ok(PeerIdentity::Node(*area))
        }
        (CertificateName::Operator { name, area }, Some(role), Purpose::Operator) => {
            Ok(PeerIdentity::Operator { name: name.clone(), role, area: *area })
        }
        (CertificateName::Operator { .. }, _, Purpose::Node | Purpose::NodeAsServer) => {
            Err(Refused::OperatorNotNode)
        }
        (CertificateName::Operator { .. }, None, Purpose::Operator) => Err(Refused::UnknownRole),
        (CertificateName::Node(_), _, Purpose::Operator) => Err(Refused::NodeNotOperator),
    }
}

/// Who a chain that TLS has already verified speaks for; only the leaf is read.
///
/// # Errors
/// [`Refused`] when the leaf is not one of the profile.
pub fn caller_from_chain(
    chain: &[impl AsRef<[u8]>],
    suffix: &Suffix,
) -> Result<PeerIdentity, Refused> {
    let leaf = Leaf::read(chain.first().ok_or(Refused::NoCertificate)?.as_ref(), suffix)?;
    let purpose = match &leaf.name {
        CertificateName::Node(_) => Purpose::Node,
        CertificateName::Operator { .. } => Purpose::Operator,
    };
    identify(&leaf, purpose)
}
