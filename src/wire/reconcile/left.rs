//! Cures that are left for a county that cannot be called.

use domain::area::AreaCode;
use domain::id::MessageId;
use exchange::reconcile::calls::Collected;
use exchange::reconcile::calls::LEFT_AT_ONCE;
use exchange::reconcile::calls::Left;
use exchange::reconcile::told;

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

/// A cure for a county, as a generated type.
#[must_use]
pub fn left_to_pb(area: AreaCode, left: Left) -> pb::LeaveRequest {
    use pb::leave_request::What;
    let what = match left {
        Left::TakeBack(back) => What::TakeBack(handed_back_to_pb(*back)),
        Left::TakeWord(id, word) => What::TakeWord(pb::TakeWordRequest {
            message_id: id.as_bytes().to_vec(),
            word: Some(receipt_again_to_pb(*word)),
        }),
    };
    pb::LeaveRequest { area: area.county().to_string(), what: Some(what) }
}

/// The same from its generated type. Nothing in it is proven yet.
///
/// # Errors
/// [`Malformed`].
pub fn left_from_pb(request: pb::LeaveRequest) -> Result<(AreaCode, Left), Malformed> {
    use pb::leave_request::What;
    let area = node_area("leave.area", request.area.as_bytes())?;
    let left = match request.what.ok_or(Malformed::Missing { field: "leave.what" })? {
        What::TakeBack(back) => Left::TakeBack(Box::new(handed_back_from_pb(back)?)),
        What::TakeWord(pb::TakeWordRequest { message_id, word }) => {
            let id = MessageId::from_bytes(array("leave.message_id", &message_id)?);
            let word = word.ok_or(Malformed::Missing { field: "leave.word" })?;
            Left::TakeWord(id, Box::new(receipt_again_from_pb(word)?))
        }
    };
    Ok((area, left))
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
