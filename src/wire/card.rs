//! Node cards as protobuf: the bytes that are signed, and reading them with limits.

#[cfg(test)]
mod tests;

use bytes::Bytes;
use domain::time::UnixMillis;
use exchange::card::AreaChange;
use exchange::card::CARD_BYTES_MAX;
use exchange::card::CARD_CHANGES_MAX;
use exchange::card::CARD_ENDPOINTS_MAX;
use exchange::card::CARD_KEYS_MAX;
use exchange::card::CARD_WINDOWS_MAX;
use exchange::card::MaintenanceWindow;
use exchange::card::NodeCard;
use exchange::card::SUCCESSORS_MAX;
use exchange::card::SealingKey;
use exchange::card::SignedCard;
use exchange::ledger::SeenHead;
use exchange::parcel::CERTIFICATE_BYTES_MAX;
use exchange::parcel::CHAIN_CERTIFICATES_MAX;
use exchange::parcel::SIGNATURE_BYTES_MAX;
use prost::Message;

use crate::fields::array;
use crate::fields::at_most;
use crate::fields::check_chain;
use crate::fields::node_area;
use crate::fields::profile;
use crate::fields::profile_number;
use crate::fields::some;
use crate::fields::time;
use crate::malformed::Malformed;
use crate::pb;
use crate::receipt::ledger_head_from_pb;
use crate::receipt::ledger_head_to_pb;

/// Largest serialised card with its proof, in bytes.
pub const SIGNED_CARD_BYTES_MAX: usize =
    CARD_BYTES_MAX + CHAIN_CERTIFICATES_MAX * CERTIFICATE_BYTES_MAX + 1024;

/// Serialises a card: the bytes that are signed.
#[must_use]
pub fn encode_card(card: &NodeCard) -> Vec<u8> {
    let NodeCard {
        area,
        name,
        endpoints,
        sealing_keys,
        version,
        valid_from,
        valid_until,
        maintenance,
        area_changes,
        collects,
        retired,
        ledger_head,
    } = card;
    let card = pb::exchange::NodeCard {
        area: area.to_string(),
        name: name.clone(),
        endpoints: endpoints.iter().map(ToString::to_string).collect(),
        sealing_keys: sealing_keys.iter().map(sealing_key_to_pb).collect(),
        version: *version,
        valid_from_ms: valid_from.get(),
        valid_until_ms: valid_until.get(),
        maintenance: maintenance.iter().map(window_to_pb).collect(),
        area_changes: area_changes.iter().map(change_to_pb).collect(),
        collects: *collects,
        retired_ms: retired.map_or(0, UnixMillis::get),
        ledger_head: ledger_head.map(|seen| ledger_head_to_pb(&seen.head)),
        ledger_head_ms: ledger_head.map_or(0, |seen| seen.signed.get()),
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
        maintenance,
        area_changes,
        collects,
        retired_ms,
        ledger_head,
        ledger_head_ms,
    } = pb::exchange::NodeCard::decode(bytes)?;
    at_most("card.endpoints", endpoints.len(), CARD_ENDPOINTS_MAX)?;
    at_most("card.sealing_keys", sealing_keys.len(), CARD_KEYS_MAX)?;
    at_most("card.maintenance", maintenance.len(), CARD_WINDOWS_MAX)?;
    at_most("card.area_changes", area_changes.len(), CARD_CHANGES_MAX)?;
    let endpoints = endpoints.iter().map(|text| text.parse().map_err(Malformed::Endpoint));
    let known = sealing_keys
        .into_iter()
        .filter(|key| profile("card.sealing_keys.profile", key.profile).is_ok());
    let retired = time("card.retired_ms", retired_ms)?;
    let signed = time("card.ledger_head_ms", ledger_head_ms)?;
    let ledger_head = ledger_head.as_ref().map(ledger_head_from_pb).transpose()?;
    let card = NodeCard {
        area: node_area("card.area", area.as_bytes())?,
        name,
        endpoints: endpoints.collect::<Result<_, _>>()?,
        sealing_keys: known.map(sealing_key_from_pb).collect::<Result<_, _>>()?,
        version,
        valid_from: time("card.valid_from_ms", valid_from_ms)?,
        valid_until: time("card.valid_until_ms", valid_until_ms)?,
        maintenance: maintenance.into_iter().map(window_from_pb).collect::<Result<_, _>>()?,
        area_changes: area_changes.iter().map(change_from_pb).collect::<Result<_, _>>()?,
        collects,
        retired: (retired.get() != 0).then_some(retired),
        ledger_head: ledger_head.map(|head| SeenHead { head, signed }),
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

fn window_to_pb(window: &MaintenanceWindow) -> pb::exchange::MaintenanceWindow {
    let MaintenanceWindow { from, until, note } = window;
    pb::exchange::MaintenanceWindow {
        from_ms: from.get(),
        until_ms: until.get(),
        note: note.clone(),
    }
}

fn window_from_pb(window: pb::exchange::MaintenanceWindow) -> Result<MaintenanceWindow, Malformed> {
    let pb::exchange::MaintenanceWindow { from_ms, until_ms, note } = window;
    Ok(MaintenanceWindow {
        from: time("card.maintenance.from_ms", from_ms)?,
        until: time("card.maintenance.until_ms", until_ms)?,
        note,
    })
}

fn change_to_pb(change: &AreaChange) -> pb::exchange::AreaChange {
    let AreaChange { area, successors, from } = change;
    pb::exchange::AreaChange {
        area: area.to_string(),
        successors: successors.iter().map(ToString::to_string).collect(),
        from_ms: from.get(),
    }
}

fn change_from_pb(change: &pb::exchange::AreaChange) -> Result<AreaChange, Malformed> {
    let pb::exchange::AreaChange { area, successors, from_ms } = change;
    let field = "card.area_changes.successors";
    at_most(field, successors.len(), SUCCESSORS_MAX)?;
    let successors = successors.iter().map(|code| node_area(field, code.as_bytes()));
    Ok(AreaChange {
        area: node_area("card.area_changes.area", area.as_bytes())?,
        successors: successors.collect::<Result<_, _>>()?,
        from: time("card.area_changes.from_ms", *from_ms)?,
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
    check_chain("signed_card.certificate_chain", &certificate_chain)?;
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
