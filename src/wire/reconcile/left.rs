//! Cures that are left for a county that cannot be called, sealed for it.

use bytes::Bytes;
use domain::area::AreaCode;
use domain::id::MessageId;
use exchange::reconcile::calls::Collected;
use exchange::reconcile::calls::HandedBack;
use exchange::reconcile::calls::LEFT_AT_ONCE;
use exchange::reconcile::calls::LEFT_PAD_BYTES;
use exchange::reconcile::calls::Left;
use exchange::reconcile::calls::SealedFor;
use exchange::reconcile::calls::SealedLeft;
use exchange::reconcile::told;
use prost::Message as _;

use super::differences_from;
use super::handed_back_from_pb;
use super::handed_back_to_pb;
use super::receipt_again_from_pb;
use super::receipt_again_to_pb;
use crate::fields::array;
use crate::fields::at_most;
use crate::fields::node_area;
use crate::malformed::Malformed;
use crate::pb::exchange as pb;

/// Most bytes of a sealed cure: the dispositions of the largest parcel, chains, envelope and secret. As many as are collected
/// in one go fit in one answer.
const SEALED_LEFT_MAX: usize = 30 * LEFT_PAD_BYTES;

/// A cure as it is sealed.
#[must_use]
pub fn encode_left(left: Left) -> Vec<u8> {
    use pb::left_cure::What;
    let what = match left {
        Left::TakeBack(back) => What::TakeBack(handed_back_to_pb(*back)),
        Left::TakeWord(id, word) => What::TakeWord(pb::TakeWordRequest {
            message_id: id.as_bytes().to_vec(),
            word: Some(receipt_again_to_pb(*word)),
        }),
        Left::ShowVersion(version) => What::ShowVersion(version_to_pb(*version)),
    };
    pb::LeftCure { what: Some(what) }.encode_to_vec()
}

/// A cure that was sealed. Nothing in it is proven yet.
///
/// # Errors
/// [`Malformed`].
pub fn decode_left(bytes: &[u8]) -> Result<Left, Malformed> {
    use pb::left_cure::What;
    let cure = pb::LeftCure::decode(bytes)?;
    Ok(match cure.what.ok_or(Malformed::Missing { field: "left.what" })? {
        What::TakeBack(back) => Left::TakeBack(Box::new(handed_back_from_pb(back)?)),
        What::TakeWord(pb::TakeWordRequest { message_id, word }) => {
            let id = MessageId::from_bytes(array("left.message_id", &message_id)?);
            let word = word.ok_or(Malformed::Missing { field: "left.word" })?;
            Left::TakeWord(id, Box::new(receipt_again_from_pb(word)?))
        }
        What::ShowVersion(version) => Left::ShowVersion(Box::new(version_from_pb(version)?)),
    })
}

/// What a recipient holds, as a generated type.
#[must_use]
pub fn version_to_pb(version: HandedBack) -> pb::ShowVersionRequest {
    pb::ShowVersionRequest { version: Some(handed_back_to_pb(version)) }
}

/// The same from its generated type. Nothing in it is proven yet.
///
/// # Errors
/// [`Malformed`].
pub fn version_from_pb(request: pb::ShowVersionRequest) -> Result<HandedBack, Malformed> {
    handed_back_from_pb(request.version.ok_or(Malformed::Missing { field: "version" })?)
}

/// A sealed cure for a county, as a generated type.
#[must_use]
pub fn left_to_pb(area: AreaCode, left: SealedLeft) -> pb::LeaveRequest {
    let SealedLeft { id, sealed } = left;
    pb::LeaveRequest {
        area: area.county().to_string(),
        message_id: id.as_bytes().to_vec(),
        encapsulated_key: sealed.encapsulated_key.to_vec(),
        recipient_key_id: sealed.recipient_key_id.to_vec(),
        counter: sealed.counter,
        sealed: sealed.sealed.to_vec(),
    }
}

/// The same from its generated type.
///
/// # Errors
/// [`Malformed`].
pub fn left_from_pb(request: pb::LeaveRequest) -> Result<(AreaCode, SealedLeft), Malformed> {
    let area = node_area("leave.area", request.area.as_bytes())?;
    at_most("leave.sealed", request.sealed.len(), SEALED_LEFT_MAX)?;
    let sealed = SealedFor {
        encapsulated_key: array("leave.encapsulated_key", &request.encapsulated_key)?,
        recipient_key_id: array("leave.recipient_key_id", &request.recipient_key_id)?,
        counter: request.counter,
        sealed: Bytes::from(request.sealed),
    };
    let id = MessageId::from_bytes(array("leave.message_id", &request.message_id)?);
    Ok((area, SealedLeft { id, sealed }))
}

/// What lies for a county, as a generated type.
#[must_use]
pub fn collected_to_pb(area: AreaCode, collected: Collected) -> pb::CollectResponse {
    let Collected { differences, left, report } = collected;
    pb::CollectResponse {
        differences: told::pack_differences(&differences),
        left: left.into_iter().map(|left| left_to_pb(area, left)).collect(),
        report,
    }
}

/// The same from its generated type.
///
/// # Errors
/// [`Malformed`].
pub fn collected_from_pb(response: pb::CollectResponse) -> Result<Collected, Malformed> {
    at_most("collect.left", response.left.len(), LEFT_AT_ONCE)?;
    let left = response.left.into_iter().map(|left| left_from_pb(left).map(|(_, left)| left));
    Ok(Collected {
        differences: differences_from(&response.differences)?,
        left: left.collect::<Result<_, _>>()?,
        report: response.report,
    })
}
