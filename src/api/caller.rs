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

#[cfg(test)]
mod tests {
    use domain::access::Role;
    use tonic::Code;

    use super::*;

    fn call(identity: Option<PeerIdentity>) -> Result<Ctx, Status> {
        let mut extensions = Extensions::new();
        if let Some(identity) = identity {
            let address = "127.0.0.1:1".parse().unwrap();
            extensions.insert(Remote { identity, address });
        }
        operator(&extensions, "440305".parse().unwrap())
    }

    #[test]
    fn only_operators_of_this_area_call_the_office_api() {
        let theirs = |area: &str| PeerIdentity::Operator {
            name: "alice".parse().unwrap(),
            role: Role::Auditor,
            area: area.parse().unwrap(),
        };
        let ctx = call(Some(theirs("440305"))).unwrap();
        assert_eq!((ctx.caller.operator.as_str(), ctx.caller.role), ("alice", Role::Auditor));
        let node = PeerIdentity::Node("440305".parse().unwrap());
        for stranger in [None, Some(theirs("440306")), Some(node)] {
            assert_eq!(call(stranger).unwrap_err().code(), Code::Unauthenticated);
        }
    }
}
