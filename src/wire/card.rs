//! Node cards as protobuf: the bytes that are signed, and reading them with limits.

#[cfg(test)]
mod tests;

use bytes::Bytes;
use exchange::card::CARD_BYTES_MAX;
use exchange::card::CARD_ENDPOINTS_MAX;
use exchange::card::CARD_KEYS_MAX;
use exchange::card::NodeCard;
use exchange::card::SealingKey;
use exchange::card::SignedCard;
use exchange::parcel::CERTIFICATE_BYTES_MAX;
use exchange::parcel::CHAIN_CERTIFICATES_MAX;
use exchange::parcel::SIGNATURE_BYTES_MAX;
use prost::Message;

use crate::fields::array;
use crate::fields::at_most;
use crate::fields::check_ders;
use crate::fields::node_area;
use crate::fields::profile;
use crate::fields::profile_number;
use crate::fields::some;
use crate::fields::time;
use crate::malformed::Malformed;
use crate::pb;

/// Largest serialised card with its proof, in bytes.
pub const SIGNED_CARD_BYTES_MAX: usize =
    CARD_BYTES_MAX + CHAIN_CERTIFICATES_MAX * CERTIFICATE_BYTES_MAX + 1024;

/// Serialises a card: the bytes that are signed.
#[must_use]
pub fn encode_card(card: &NodeCard) -> Vec<u8> {
    let NodeCard { area, name, endpoints, sealing_keys, version, valid_from, valid_until } = card;
    let card = pb::exchange::NodeCard {
        area: area.to_string(),
        name: name.clone(),
        endpoints: endpoints.iter().map(ToString::to_string).collect(),
        sealing_keys: sealing_keys.iter().map(sealing_key_to_pb).collect(),
        version: *version,
        valid_from_ms: valid_from.get(),
        valid_until_ms: valid_until.get(),
    };
    card.encode_to_vec()
}

/// Reads a card. Keys of a profile that this version does not know are left out, so that a newer peer
/// can offer them beside one that is known.
///
/// # Errors
/// [`Malformed`] names the first field that is not as the protocol says.
pub fn decode_card(bytes: &[u8]) -> Result<NodeCard, Malformed> {
    some("card", bytes.len(), CARD_BYTES_MAX)?;
    let pb::exchange::NodeCard {
        area,
        name,
        endpoints,
        sealing_keys,
        version,
        valid_from_ms,
        valid_until_ms,
    } = pb::exchange::NodeCard::decode(bytes)?;
    at_most("card.endpoints", endpoints.len(), CARD_ENDPOINTS_MAX)?;
    at_most("card.sealing_keys", sealing_keys.len(), CARD_KEYS_MAX)?;
    let endpoints = endpoints.iter().map(|text| text.parse().map_err(Malformed::Endpoint));
    let known = sealing_keys
        .into_iter()
        .filter(|key| profile("card.sealing_keys.profile", key.profile).is_ok());
    let card = NodeCard {
        area: node_area("card.area", area.as_bytes())?,
        name,
        endpoints: endpoints.collect::<Result<_, _>>()?,
        sealing_keys: known.map(sealing_key_from_pb).collect::<Result<_, _>>()?,
        version,
        valid_from: time("card.valid_from_ms", valid_from_ms)?,
        valid_until: time("card.valid_until_ms", valid_until_ms)?,
    };
    card.check().map_err(Malformed::Card)?;
    Ok(card)
}

fn sealing_key_to_pb(key: &SealingKey) -> pb::exchange::SealingKey {
    let SealingKey { profile, public_key, use_until } = key;
    pb::exchange::SealingKey {
        profile: profile_number(*profile).into(),
        public_key: public_key.to_vec(),
        use_until_ms: use_until.get(),
    }
}

fn sealing_key_from_pb(key: pb::exchange::SealingKey) -> Result<SealingKey, Malformed> {
    let pb::exchange::SealingKey { profile: number, public_key, use_until_ms } = key;
    Ok(SealingKey {
        profile: profile("card.sealing_keys.profile", number)?,
        public_key: array("card.sealing_keys.public_key", &public_key)?,
        use_until: time("card.sealing_keys.use_until_ms", use_until_ms)?,
    })
}

/// A signed card as a generated type; moves the bytes.
#[must_use]
pub fn signed_card_to_pb(card: SignedCard) -> pb::exchange::SignedNodeCard {
    let SignedCard { card_bytes, signature, chain } = card;
    pb::exchange::SignedNodeCard { card: card_bytes, signature, certificate_chain: chain }
}

/// A signed card from its generated type; moves the bytes. The card itself is decoded by the caller.
///
/// # Errors
/// [`Malformed`] when a limit is exceeded or a part is missing.
pub fn signed_card_from_pb(card: pb::exchange::SignedNodeCard) -> Result<SignedCard, Malformed> {
    let pb::exchange::SignedNodeCard { card, signature, certificate_chain } = card;
    some("signed_card.card", card.len(), CARD_BYTES_MAX)?;
    some("signed_card.signature", signature.len(), SIGNATURE_BYTES_MAX)?;
    let field = "signed_card.certificate_chain";
    some(field, certificate_chain.len(), CHAIN_CERTIFICATES_MAX)?;
    check_ders(field, &certificate_chain, CHAIN_CERTIFICATES_MAX, CERTIFICATE_BYTES_MAX)?;
    Ok(SignedCard { card_bytes: card, signature, chain: certificate_chain })
}

/// Serialises a card with its proof, as the directory and files hold it.
#[must_use]
pub fn encode_signed_card(card: SignedCard) -> Vec<u8> {
    signed_card_to_pb(card).encode_to_vec()
}

/// Reads a card with its proof; its parts share the given bytes.
///
/// # Errors
/// As [`signed_card_from_pb`].
pub fn decode_signed_card(bytes: Bytes) -> Result<SignedCard, Malformed> {
    some("signed_card", bytes.len(), SIGNED_CARD_BYTES_MAX)?;
    signed_card_from_pb(pb::exchange::SignedNodeCard::decode(bytes)?)
}
