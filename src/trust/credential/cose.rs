//! The envelope of a printed certificate: COSE_Sign1 with the issuer's certificate in its headers.

use ciborium::Value;
use coset::{
    CborSerializable as _, CoseSign1, CoseSign1Builder, Header, HeaderBuilder, Label,
    RegisteredLabelWithPrivate, TaggedCborSerializable as _, iana,
};

use super::{Invalid, IssueError};
use crate::{
    certificate::Fingerprint,
    key::{CannotSign, SigningKey},
    leaf::Identity,
};

/// `x5t`: hash algorithm and hash of the signer's certificate (RFC 9360).
const X5T: i64 = 34;
/// `x5chain`: the signer's chain, leaf first, without the root (RFC 9360).
const X5CHAIN: i64 = 33;
/// COSE's number of SHA-256.
const SHA256: i64 = -16;
/// Most certificates in a chain; the root is never one of them.
const CHAIN_MAX: usize = 3;

/// A signed content, taken apart but not yet judged.
pub(super) struct Signed {
    pub(super) payload: Vec<u8>,
    /// Fingerprint of the signer's certificate, as signed.
    pub(super) leaf: Fingerprint,
    pub(super) chain: Option<Vec<Vec<u8>>>,
    /// What the signature is over.
    pub(super) signed_bytes: Vec<u8>,
    /// ECDSA P-256, the two numbers of 32 bytes one after the other.
    pub(super) signature: Vec<u8>,
}

/// Signs a payload with a node's key, and puts the chain beside it.
pub(super) fn sign(identity: &Identity, payload: Vec<u8>) -> Result<Vec<u8>, IssueError> {
    let chain = identity.chain().iter().take(2).cloned().map(Value::Bytes).collect();
    let unprotected = HeaderBuilder::new().value(X5CHAIN, Value::Array(chain)).build();
    sign_with(identity, payload, unprotected)
}

/// The same for a checker who has the issuers' certificates at hand: a third of the size.
#[cfg(test)]
pub(super) fn sign_without_chain(
    identity: &Identity,
    payload: Vec<u8>,
) -> Result<Vec<u8>, IssueError> {
    sign_with(identity, payload, Header::default())
}

fn sign_with(
    identity: &Identity,
    payload: Vec<u8>,
    unprotected: Header,
) -> Result<Vec<u8>, IssueError> {
    let thumbprint = Value::Array(vec![
        Value::Integer(SHA256.into()),
        Value::Bytes(identity.leaf_fingerprint().to_vec()),
    ]);
    let protected =
        HeaderBuilder::new().algorithm(iana::Algorithm::ES256).value(X5T, thumbprint).build();
    CoseSign1Builder::new()
        .protected(protected)
        .unprotected(unprotected)
        .payload(payload)
        .try_create_signature(b"", |bytes| fixed_signature(identity.key(), bytes))?
        .build()
        .to_tagged_vec()
        .map_err(|_| IssueError::Encode)
}

/// Takes a signed content apart.
pub(super) fn open(bytes: &[u8]) -> Result<Signed, Invalid> {
    let cose = CoseSign1::from_tagged_slice(bytes)
        .or_else(|_| CoseSign1::from_slice(bytes))
        .map_err(|_| Invalid::Malformed)?;
    let es256 = RegisteredLabelWithPrivate::Assigned(iana::Algorithm::ES256);
    if cose.protected.header.alg.as_ref() != Some(&es256) || !cose.protected.header.crit.is_empty()
    {
        return Err(Invalid::TooNew);
    }
    let leaf = thumbprint(&cose.protected.header).ok_or(Invalid::Malformed)?;
    let chain = match value(&cose.unprotected, X5CHAIN) {
        Some(chain) => Some(certificates(chain).ok_or(Invalid::Malformed)?),
        None => None,
    };
    let signed_bytes = cose.tbs_data(b"");
    let payload = cose.payload.ok_or(Invalid::Malformed)?;
    Ok(Signed { payload, leaf, chain, signed_bytes, signature: cose.signature })
}

fn value(header: &Header, label: i64) -> Option<&Value> {
    header.rest.iter().find(|(known, _)| *known == Label::Int(label)).map(|(_, value)| value)
}

fn thumbprint(header: &Header) -> Option<Fingerprint> {
    let [algorithm, hash] = value(header, X5T)?.as_array()?.as_slice() else { return None };
    if algorithm.as_integer() != Some(SHA256.into()) {
        return None;
    }
    hash.as_bytes()?.as_slice().try_into().ok()
}

/// One certificate as a byte string, or several as an array of them.
fn certificates(value: &Value) -> Option<Vec<Vec<u8>>> {
    match value {
        Value::Bytes(one) => Some(vec![one.clone()]),
        Value::Array(many) if many.len() <= CHAIN_MAX => {
            many.iter().map(|one| one.as_bytes().cloned()).collect()
        }
        _ => None,
    }
}

/// COSE wants the two numbers side by side, our keys give ASN.1.
fn fixed_signature(key: &SigningKey, bytes: &[u8]) -> Result<Vec<u8>, CannotSign> {
    asn1_to_fixed(&key.sign(bytes)?).ok_or(CannotSign)
}

/// `SEQUENCE { INTEGER r, INTEGER s }` to `r || s`, 32 bytes each.
fn asn1_to_fixed(signature: &[u8]) -> Option<Vec<u8>> {
    let [0x30, length, numbers @ ..] = signature else { return None };
    if usize::from(*length) != numbers.len() {
        return None;
    }
    let (r, rest) = integer(numbers)?;
    let (s, rest) = integer(rest)?;
    rest.is_empty().then(|| [r, s].concat())
}

fn integer(der: &[u8]) -> Option<([u8; 32], &[u8])> {
    let [0x02, length, rest @ ..] = der else { return None };
    let (digits, rest) = rest.split_at_checked(usize::from(*length))?;
    let digits = match digits {
        // A zero keeps a number with its highest bit set positive.
        [0, digits @ ..] => digits,
        digits => digits,
    };
    let mut number = [0; 32];
    number.get_mut(32_usize.checked_sub(digits.len())?..)?.copy_from_slice(digits);
    Some((number, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_long_numbers_are_filled_to_32_bytes() {
        let signature = [0x30, 0x08, 0x02, 0x01, 0x05, 0x02, 0x03, 0x00, 0x81, 0x02];
        let fixed = asn1_to_fixed(&signature).unwrap();
        assert_eq!((fixed.len(), fixed[31], fixed[62], fixed[63]), (64, 5, 0x81, 2));
        assert_eq!(asn1_to_fixed(&signature[..9]), None);
        assert_eq!(asn1_to_fixed(b""), None);
    }

    #[test]
    fn what_our_keys_sign_verifies_in_the_form_of_cose() {
        let key = SigningKey::generate().unwrap();
        for round in 0..50_u8 {
            let fixed = fixed_signature(&key, &[round]).unwrap();
            ring::signature::UnparsedPublicKey::new(
                &ring::signature::ECDSA_P256_SHA256_FIXED,
                key.public().as_bytes(),
            )
            .verify(&[round], &fixed)
            .unwrap();
        }
    }
}
