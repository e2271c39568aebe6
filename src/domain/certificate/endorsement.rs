//! Endorsement (查验): the residence area's record that it checked a certificate.

use serde::{Deserialize, Serialize};

use crate::area::AreaCode;
use crate::id::{CertificateNumber, EndorsementId, OperatorName, PersonId};
use crate::text::WrittenReason;
use crate::time::UnixMillis;

/// What a check found. Nothing follows for the person: a doubt is a question to the origin area.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CheckResult {
    /// Form, contents and holder fit, and the issuer confirms it or its signature does.
    InOrder,
    /// Something does not fit; the reason says what, and the office asks the origin area.
    Doubtful {
        /// What does not fit.
        reason: WrittenReason,
    },
    /// It could not be checked, for example because the origin area could not be reached.
    NotChecked {
        /// Why.
        reason: WrittenReason,
    },
}

/// One check of one certificate, written once and never changed: a later check is another endorsement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endorsement {
    /// Identifier.
    pub id: EndorsementId,
    /// Certificate that was checked.
    pub certificate_number: CertificateNumber,
    /// Holder in this node's records.
    pub person: PersonId,
    /// Residence area that checked it.
    pub area: AreaCode,
    /// Who checked it.
    pub checked_by: OperatorName,
    /// When.
    pub at: UnixMillis,
    /// What was found.
    pub result: CheckResult,
}
