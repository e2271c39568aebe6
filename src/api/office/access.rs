//! Why a record is read, as the request says it.

use tonic::Status;
use wire::pb::office::Access;
use wire::records::Form;

use crate::api::status::of_findings;
use crate::app::access::Why;

/// Basis and purpose of a read; every read of a person's record names both.
///
/// # Errors
/// `BASIS_REQUIRED` or `PURPOSE_REQUIRED` when one is missing; findings for a value that is in no list.
pub(super) fn why(access: Option<Access>) -> Result<Why, Status> {
    let mut form = Form::new();
    let stated = form.access(access);
    let (basis, purpose) = form.finish(Some(stated)).map_err(of_findings)?;
    Ok(Why::stated(basis, purpose)?)
}
