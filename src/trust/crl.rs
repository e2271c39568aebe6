//! Revocation lists: reading, checking who signed them, how fresh they are.
//!
//! A list is good until its `nextUpdate`. From half of its life on its age is an alarm; after its
//! end it still decides for a grace of [`GRACE_DEFAULT`]; then everything from its issuer is
//! refused. The path library knows only "accept for ever" and "refuse at once" (and accepts for
//! ever unless told otherwise), so ages are judged here.

#[cfg(test)]
mod tests;

use std::{
    fmt,
    path::Path,
    sync::{Arc, OnceLock},
    time::Duration,
};

use domain::{area::AreaCode, time::UnixMillis};
use rustls_pki_types::{CertificateRevocationListDer, pem::PemObject as _};
use webpki::{CertRevocationList, OwnedCertRevocationList};
use x509_parser::{
    extensions::ParsedExtension, oid_registry::OID_SIG_ECDSA_WITH_SHA256, prelude::FromDer,
    revocation_list::CertificateRevocationList,
};

use crate::{
    certificate::{self, Fingerprint, millis},
    files::{self, FileError},
    refused::Refused,
};

/// How long a list decides after its end, unless the configuration says otherwise.
pub const GRACE_DEFAULT: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Why a revocation list cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadList {
    /// Not a complete X.509 v2 list: broken, partitioned, indirect or a delta.
    #[error("this is not a complete X.509 version 2 revocation list")]
    Malformed,
    /// The list does not say when the next one comes or which number it has.
    #[error("the revocation list lacks its number or the time of the next one")]
    Incomplete,
    /// The list is not signed by the CA shown, or that CA may not sign lists.
    #[error("the revocation list is not signed by this CA")]
    WrongSigner,
}

/// How fresh a list is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Freshness {
    /// In the first half of its life.
    Fresh,
    /// Past half of its life: a newer one should have come. An alarm.
    HalfSpent,
    /// Past its end, still deciding until the grace is over. An alarm.
    InGrace,
    /// Past its end and the grace: everything from its issuer is refused.
    TooOld,
}

/// One revocation list, complete and readable; who signed it is checked against its CA's
/// certificate by [`RevocationList::check_signer`].
pub struct RevocationList {
    der: Vec<u8>,
    parsed: CertRevocationList<'static>,
    number: Vec<u8>,
    issuer: String,
    issuer_key_id: Option<Vec<u8>>,
    this_update: UnixMillis,
    next_update: UnixMillis,
    /// The CA certificate whose signature was found good: a list of 100,000 entries is read and
    /// hashed once, not once a connection.
    signer: OnceLock<Fingerprint>,
}

impl RevocationList {
    /// Reads a list in DER.
    ///
    /// # Errors
    /// [`BadList::Malformed`] or [`BadList::Incomplete`].
    pub fn from_der(der: &[u8]) -> Result<Self, BadList> {
        let parsed: CertRevocationList<'static> =
            OwnedCertRevocationList::from_der(der).map_err(|_| BadList::Malformed)?.into();
        // A list for a part of the certificates would silently clear the others.
        if parsed.issuing_distribution_point().is_some() {
            return Err(BadList::Malformed);
        }
        let (_, list) = CertificateRevocationList::from_der(der).map_err(|_| BadList::Malformed)?;
        let next_update = list.next_update().ok_or(BadList::Incomplete)?;
        let (mut number, mut issuer_key_id) = (None, None);
        for extension in list.extensions() {
            match extension.parsed_extension() {
                ParsedExtension::CRLNumber(written) => number = Some(written.to_bytes_be()),
                ParsedExtension::AuthorityKeyIdentifier(key) => {
                    issuer_key_id = key.key_identifier.as_ref().map(|id| id.0.to_vec());
                }
                _ => {}
            }
        }
        Ok(Self {
            number: number.ok_or(BadList::Incomplete)?,
            issuer: list.issuer().to_string(),
            issuer_key_id,
            this_update: millis(list.last_update().timestamp()),
            next_update: millis(next_update.timestamp()),
            parsed,
            der: der.to_vec(),
            signer: OnceLock::new(),
        })
    }

    /// Reads every list in a PEM file.
    ///
    /// # Errors
    /// [`LoadListError`] names the file.
    pub fn load_all(path: &Path) -> Result<Vec<Self>, LoadListError> {
        let text = files::read(path)?;
        let bad = |source| LoadListError::List { path: path.display().to_string(), source };
        CertificateRevocationListDer::pem_slice_iter(text.as_bytes())
            .map(|list| Self::from_der(&list.map_err(|_| bad(BadList::Malformed))?).map_err(bad))
            .collect()
    }

    /// The list in DER, as it travels.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The list as a PEM block, as it is kept.
    #[must_use]
    pub fn pem(&self) -> String {
        files::pem_block("X509 CRL", &self.der)
    }

    /// The CA that issued it, for people.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Its number at its CA, big-endian without leading zeros.
    #[must_use]
    pub fn number(&self) -> &[u8] {
        &self.number
    }

    /// The key identifier of its CA as the list states it: a hint where to look for the CA's
    /// certificate, and no more than that before the signature was checked.
    #[must_use]
    pub fn issuer_key_id(&self) -> Option<&[u8]> {
        self.issuer_key_id.as_deref()
    }

    /// When it was issued.
    #[must_use]
    pub fn this_update(&self) -> UnixMillis {
        self.this_update
    }

    /// When the next one is due and this one ends.
    #[must_use]
    pub fn next_update(&self) -> UnixMillis {
        self.next_update
    }

    /// How fresh the list is.
    #[must_use]
    pub fn freshness(&self, now: UnixMillis, grace: Duration) -> Freshness {
        let half = self.next_update.since(self.this_update) / 2;
        if now > self.next_update.saturating_add(grace) {
            Freshness::TooOld
        } else if now > self.next_update {
            Freshness::InGrace
        } else if now.since(self.this_update) > half {
            Freshness::HalfSpent
        } else {
            Freshness::Fresh
        }
    }

    /// Checks that the CA with this certificate (DER) issued the list and may issue lists.
    ///
    /// # Errors
    /// [`BadList::WrongSigner`].
    pub fn check_signer(&self, ca: &[u8]) -> Result<(), BadList> {
        let fingerprint = certificate::fingerprint(ca);
        if self.signer.get() == Some(&fingerprint) {
            return Ok(());
        }
        let signed = || {
            let ca = certificate::parse(ca).ok()?;
            let (_, list) = CertificateRevocationList::from_der(&self.der).ok()?;
            let may_sign = ca.key_usage().ok()?.is_none_or(|usage| usage.value.crl_sign());
            let same_name = ca.subject().as_raw() == list.issuer().as_raw();
            let algorithm = list.signature_algorithm.algorithm == OID_SIG_ECDSA_WITH_SHA256;
            if !(ca.is_ca() && may_sign && same_name && algorithm) {
                return None;
            }
            certificate::p256(ca.public_key())?
                .verify(list.tbs_cert_list.as_ref(), &list.signature_value.data)
                .ok()
        };
        signed().ok_or(BadList::WrongSigner)?;
        // Two threads may both have checked; either answer is right.
        self.signer.get_or_init(|| fingerprint);
        Ok(())
    }

    /// Whether this list takes the place of another one of the same CA: by its number, and by its
    /// time where a CA has used one number twice.
    #[must_use]
    pub fn is_newer_than(&self, other: &Self) -> bool {
        self.age() > other.age()
    }

    /// Orders the lists of one CA, the newest last.
    fn age(&self) -> (usize, &[u8], UnixMillis) {
        // Numbers are big-endian without leading zeros, so the longer one is the larger one.
        (self.number.len(), &self.number, self.this_update)
    }

    fn issuer_der(&self) -> &[u8] {
        self.parsed.issuer()
    }

    /// Since when a serial number is revoked, if it is.
    fn revoked_since(&self, serial: &[u8]) -> Result<Option<UnixMillis>, Refused> {
        let entry = self.parsed.find_serial(serial).map_err(|_| Refused::RevocationListInvalid)?;
        Ok(entry.map(|entry| {
            let since = entry.invalidity_date.unwrap_or(entry.revocation_date);
            let since = since.as_secs().min(entry.revocation_date.as_secs());
            UnixMillis::new(since.saturating_mul(1000))
        }))
    }
}

impl fmt::Debug for RevocationList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RevocationList")
            .field("issuer", &self.issuer)
            .field("this_update", &self.this_update)
            .field("next_update", &self.next_update)
            .finish_non_exhaustive()
    }
}

/// A file with revocation lists that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LoadListError {
    /// The file cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// A list in it is not usable.
    #[error("a revocation list in {path} cannot be used: fetch it again from its CA")]
    List {
        /// The file.
        path: String,
        /// What is wrong with it.
        source: BadList,
    },
}

/// Which authority signed a list: SHA-256 of its public key (the uncompressed point, 65 bytes).
///
/// Taken from the certificate that the list was checked against, so nobody can claim another's.
pub type AuthorityId = [u8; 32];

/// A list together with the authority that signed it, checked up to a root of the network by
/// [`ChainVerifier::verify_list`](crate::verify::ChainVerifier::verify_list).
#[derive(Clone, Debug)]
pub struct VerifiedList {
    list: Arc<RevocationList>,
    authority: Vec<u8>,
    authority_id: AuthorityId,
    province: Option<AreaCode>,
}

impl VerifiedList {
    pub(crate) fn new(
        list: RevocationList,
        authority: Vec<u8>,
        authority_id: AuthorityId,
        province: Option<AreaCode>,
    ) -> Self {
        Self { list: Arc::new(list), authority, authority_id, province }
    }

    /// The list.
    #[must_use]
    pub fn list(&self) -> &RevocationList {
        &self.list
    }

    /// The certificate of the authority that signed it, DER.
    #[must_use]
    pub fn authority(&self) -> &[u8] {
        &self.authority
    }

    /// Which authority that is.
    #[must_use]
    pub fn authority_id(&self) -> AuthorityId {
        self.authority_id
    }

    /// The province whose authority that is; none for a root.
    #[must_use]
    pub fn province(&self) -> Option<AreaCode> {
        self.province
    }
}

/// How one certificate is looked up in the lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// A connection now: whatever is listed is refused.
    Now(UnixMillis),
    /// A signature made at a time: refused if the certificate was revoked by then.
    AsOf(UnixMillis),
}

impl When {
    pub(crate) fn time(self) -> UnixMillis {
        match self {
            Self::Now(at) | Self::AsOf(at) => at,
        }
    }
}

/// The lists a node holds: of every CA, those that were given.
#[derive(Clone, Debug)]
pub struct RevocationLists {
    lists: Vec<Arc<RevocationList>>,
    grace: Duration,
}

impl RevocationLists {
    /// Takes lists, newest first for each CA.
    #[must_use]
    pub fn new(lists: Vec<RevocationList>, grace: Duration) -> Self {
        let lists = lists.into_iter().map(Arc::new).collect();
        Self { lists, grace }.sorted()
    }

    /// The same with more lists; nothing is copied.
    #[must_use]
    pub fn with(&self, more: Vec<RevocationList>) -> Self {
        let more = more.into_iter().map(Arc::new);
        Self { lists: self.lists.iter().cloned().chain(more).collect(), grace: self.grace }.sorted()
    }

    /// The same with lists whose authorities were checked: of each of those authorities only the
    /// newest list is kept, wherever it came from, so that an old one beside it is no alarm.
    #[must_use]
    pub fn joined(&self, verified: &[VerifiedList]) -> Self {
        let mut lists = self.lists.clone();
        for carried in verified {
            let of_same = |list: &RevocationList| {
                list.issuer_der() == carried.list.issuer_der()
                    && list.check_signer(&carried.authority).is_ok()
            };
            if lists.iter().any(|list| of_same(list) && !carried.list.is_newer_than(list)) {
                continue;
            }
            lists.retain(|list| !of_same(list));
            lists.push(Arc::clone(&carried.list));
        }
        Self { lists, grace: self.grace }.sorted()
    }

    fn sorted(mut self) -> Self {
        self.lists.sort_by(|a, b| b.age().cmp(&a.age()));
        self
    }

    /// Every list with its freshness, for the alarm and the status page.
    pub fn freshness(
        &self,
        now: UnixMillis,
    ) -> impl Iterator<Item = (&RevocationList, Freshness)> + use<'_> {
        self.lists.iter().map(move |list| (list.as_ref(), list.freshness(now, self.grace)))
    }

    /// Every list, as it travels.
    pub fn iter(&self) -> impl Iterator<Item = &RevocationList> {
        self.lists.iter().map(AsRef::as_ref)
    }

    /// Looks a certificate up in the newest list that its CA really signed.
    ///
    /// `issuer` is the CA's certificate in DER, `name` its subject and `serial` the number looked
    /// up, both as the path library gives them. Returns the list that decided.
    pub(crate) fn check(
        &self,
        issuer: &[u8],
        name: &[u8],
        serial: &[u8],
        when: When,
    ) -> Result<&RevocationList, Refused> {
        let mut refused = Refused::RevocationListMissing;
        // A forged list with a high number must not hide a good one: the first with a good
        // signature decides.
        for list in self.lists.iter().filter(|list| list.issuer_der() == name) {
            if list.check_signer(issuer).is_err() {
                refused = Refused::RevocationListInvalid;
                continue;
            }
            return list.judge(serial, when, self.grace).map(|()| list.as_ref());
        }
        Err(refused)
    }

    /// When the grace of a list ends.
    pub(crate) fn decides_until(&self, list: &RevocationList) -> UnixMillis {
        list.next_update.saturating_add(self.grace)
    }
}

impl RevocationList {
    fn judge(&self, serial: &[u8], when: When, grace: Duration) -> Result<(), Refused> {
        // Revoked is said first: it stays true when the list is old.
        match (self.revoked_since(serial)?, when) {
            (Some(_), When::Now(_)) => return Err(Refused::Revoked),
            (Some(since), When::AsOf(at)) if since <= at => return Err(Refused::Revoked),
            (Some(_) | None, When::AsOf(_)) | (None, When::Now(_)) => {}
        }
        match self.freshness(when.time(), grace) {
            Freshness::Fresh | Freshness::HalfSpent | Freshness::InGrace => Ok(()),
            Freshness::TooOld => Err(Refused::RevocationListTooOld),
        }
    }
}
