//! Who is calling: what the certificate says, and nothing else may say it.

use domain::access::Caller;
use domain::area::AreaCode;
use domain::reason::Reason;
use tonic::{Extensions, Status};
use trust::verify::PeerIdentity;

use super::connection::Remote;
use super::status::of_reason;
use crate::app::Ctx;
use crate::time::SystemClock;

/// The operator behind a request on the office API of the node of `area`, and the time of the call.
///
/// # Errors
/// `UNAUTHENTICATED` for anybody who is no operator of this very area: the listener lets nobody else in, and this
/// checks it once more.
pub fn operator(extensions: &Extensions, area: AreaCode) -> Result<Ctx, Status> {
    let remote = extensions.get::<Remote>().ok_or_else(|| of_reason(Reason::Unauthenticated))?;
    match &remote.identity {
        PeerIdentity::Operator { name, role, area: theirs } if theirs.county() == area.county() => {
            let caller = Caller { operator: name.clone(), role: *role, area: *theirs };
            Ok(Ctx { caller, now: SystemClock.now() })
        }
        PeerIdentity::Operator { .. } | PeerIdentity::Node(_) => {
            Err(of_reason(Reason::Unauthenticated))
        }
    }
}
