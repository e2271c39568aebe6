//! What a signature of a certificate is worth that has gone since.

use std::time::Duration;

use exchange::keys::Signer as _;
use tempfile::TempDir;
use trust::authority::{ProvinceAuthority, RevocationReason, RootAuthority};
use trust::crl::{GRACE_DEFAULT, RevocationLists};
use trust::leaf::{Identity, request};
use trust::name::Suffix;
use trust::verify::Roots;

use super::*;

const MADE: UnixMillis = UnixMillis::new(1_790_000_000_000);
const BYTES: &[u8] = b"a parcel";

fn after(hours: u64) -> UnixMillis {
    MADE.saturating_add(Duration::from_secs(hours * 3600))
}

/// A network with one province.
struct Net {
    root: RootAuthority,
    province: ProvinceAuthority,
    _dir: TempDir,
}

impl Net {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = RootAuthority::create(&dir.path().join("root"), &Suffix::default(), MADE);
        let root = root.unwrap();
        let at = dir.path().join("province");
        let province =
            ProvinceAuthority::create(&at, &root, "410000".parse().unwrap(), MADE).unwrap();
        Self { root, province, _dir: dir }
    }

    /// A county's identity, and the number of its certificate.
    fn county(&self) -> (Identity, String) {
        let area = "410522".parse().unwrap();
        let asked = request(&CertificateName::Node(area), &Suffix::default()).unwrap();
        let issued = self.province.issue_node(&asked.csr_pem, area, MADE).unwrap();
        let chain = vec![issued.der.to_vec(), self.province.certificate().to_vec()];
        (Identity::new(chain, asked.key, &Suffix::default()).unwrap(), issued.record.serial)
    }

    fn chains(&self, now: UnixMillis) -> ChainVerifier {
        let lists =
            [self.root.revocation_list(now).unwrap(), self.province.revocation_list(now).unwrap()];
        let roots = Roots::new(vec![self.root.certificate().clone()]).unwrap();
        let lists = RevocationLists::new(lists.into(), GRACE_DEFAULT);
        ChainVerifier::new(roots, Suffix::default(), lists)
    }
}

/// What a county has signed at a time.
struct Signed {
    chain: Vec<Vec<u8>>,
    signature: Vec<u8>,
    at: UnixMillis,
}

impl Signed {
    fn by(identity: &Identity, at: UnixMillis) -> Self {
        let signature = identity.sign(SignContext::Parcel, BYTES).unwrap();
        Self { chain: identity.chain_der().to_vec(), signature, at }
    }

    fn claim(&self) -> Claim<'_> {
        Claim {
            context: SignContext::Parcel,
            by: "410522".parse().unwrap(),
            signer: Digest::of(&self.chain[0]),
            chain: &self.chain,
            bytes: BYTES,
            signature: &self.signature,
            signed: self.at,
        }
    }
}

#[test]
fn what_was_signed_before_the_revocation_held_once_and_what_came_after_did_not() {
    let net = Net::new();
    let (county, serial) = net.county();
    net.province.revoke(&serial, RevocationReason::KeyCompromise, after(10)).unwrap();
    let chains = net.chains(after(20));
    let once = |signed: &Signed| check_once(&chains, &signed.claim(), Refused::Revoked, true);
    let (before, late) = (Signed::by(&county, after(5)), Signed::by(&county, after(15)));
    assert_eq!(once(&before), Ok(Held::Once));
    assert_eq!(once(&late), Err(Unproven::Chain(Refused::Revoked)));
    // A time before the certificate is one at which nobody can have signed with it.
    let early = Signed { at: MADE.saturating_sub(Duration::from_secs(86_400)), ..before };
    assert!(once(&early).is_err());
    let forged = Signed { signature: late.signature, chain: early.chain, at: after(5) };
    let of_another = Claim { bytes: b"another", ..forged.claim() };
    let checked = check_once(&chains, &of_another, Refused::Revoked, true);
    assert_eq!(checked, Err(Unproven::Signature));
    let of_another = Claim { by: "410523".parse().unwrap(), ..forged.claim() };
    let checked = check_once(&chains, &of_another, Refused::Revoked, true);
    assert!(matches!(checked, Err(Unproven::OtherArea { .. })), "{checked:?}");
}

#[test]
fn under_a_root_that_was_replaced_only_a_chain_counts_that_was_checked_under_it() {
    let (before, present) = (Net::new(), Net::new());
    let (county, _) = before.county();
    let signed = Signed::by(&county, after(5));
    let chains = present.chains(after(20));
    let refused = chains.verify(&signed.chain, Purpose::Node, after(20)).unwrap_err();
    assert_eq!(refused, Refused::WrongAuthority);
    let once = |claim: &Claim<'_>, is_known| check_once(&chains, claim, refused, is_known);
    assert_eq!(once(&signed.claim(), true), Ok(Held::Once));
    assert_eq!(once(&signed.claim(), false), Err(Unproven::Chain(Refused::WrongAuthority)));
    let claim = Claim { bytes: b"another", ..signed.claim() };
    assert_eq!(once(&claim, true), Err(Unproven::Signature));
    let claim = Claim { signer: Digest::of(b"another"), ..signed.claim() };
    assert_eq!(once(&claim, true), Err(Unproven::OtherCertificate));
    let claim = Claim { signed: after(24 * 400), ..signed.claim() };
    assert_eq!(once(&claim, true), Err(Unproven::Time));
}
