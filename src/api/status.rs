//! The only place that turns errors into statuses: code, both languages, fields, and what to do next.

use std::collections::HashMap;
use std::time::Duration;

use domain::reason::{Next, Reason};
use domain::rule::Finding;
use tonic::body::Body;
use tonic::codegen::http::Response;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt};

use crate::app::{AppError, Refusal};
use crate::errors::chain;

/// Domain of every `ErrorInfo`, so that a program can tell our reasons from others'.
pub const ERROR_DOMAIN: &str = "liangdi";
/// How long a program should wait before it tries again, where that helps.
const RETRY_AFTER: Duration = Duration::from_secs(1);

impl From<AppError> for Status {
    fn from(error: AppError) -> Self {
        match &error {
            AppError::Refused(refusal) => of_refusal(refusal),
            AppError::Store(_)
            | AppError::StoreStopped(_)
            | AppError::StoreClosed
            | AppError::Busy
            | AppError::Signing(_)
            | AppError::Internal(_) => {
                // The inside story stays here; the caller gets the code under which to find it.
                let reason = error.reason();
                tracing::error!(code = reason.code(), "{}", chain(&error));
                of_reason(reason)
            }
        }
    }
}

/// A status that says no more than its reason.
#[must_use]
pub fn of_reason(reason: Reason) -> Status {
    of_refusal(&Refusal::new(reason))
}

/// A status for faults found while a request was read.
#[must_use]
pub fn of_findings(findings: Vec<Finding>) -> Status {
    AppError::from(findings).into()
}

/// A status for a refusal, with all that it names.
#[must_use]
pub fn of_refusal(refusal: &Refusal) -> Status {
    let reason = refusal.reason;
    let mut metadata: HashMap<String, String> = [
        ("zh", reason.text_zh()),
        ("en", reason.text_en()),
        ("next", next_code(reason.next())),
        ("next_zh", reason.todo_zh()),
        ("next_en", reason.todo_en()),
    ]
    .map(|(key, text)| (key.to_owned(), text.to_owned()))
    .into();
    let more =
        [("field", &refusal.field), ("existing", &refusal.existing), ("detail", &refusal.detail)];
    metadata.extend(more.into_iter().filter_map(|(k, v)| Some((k.to_owned(), v.clone()?))));
    let mut details = ErrorDetails::with_error_info(reason.code(), ERROR_DOMAIN, metadata);
    let violations = violations(refusal);
    if !violations.is_empty() {
        details.set_bad_request(violations);
    }
    if reason.retry_helps() {
        details.set_retry_info(Some(RETRY_AFTER));
    }
    let message = format!("{} {}", reason.text_zh(), reason.text_en());
    Status::with_error_details(grpc_code(reason), message, details)
}

/// One violation a finding; a refusal without findings that names a field is one by itself.
fn violations(refusal: &Refusal) -> Vec<FieldViolation> {
    if !refusal.findings.is_empty() {
        return refusal.findings.iter().map(of_finding).collect();
    }
    let reason = refusal.reason;
    let invalid = grpc_code(reason) == Code::InvalidArgument;
    let field = refusal.field.as_ref().filter(|_| invalid);
    let text = format!("{} {}", reason.text_zh(), reason.text_en());
    field.map(|field| FieldViolation::new(field.as_str(), text)).into_iter().collect()
}

fn of_finding(finding: &Finding) -> FieldViolation {
    let rule = finding.rule;
    let text = format!("{}{} {} {}", rule.text_zh(), rule.fix_zh(), rule.text_en(), rule.fix_en());
    FieldViolation::new(finding.field.to_string(), text)
}

const fn next_code(next: Next) -> &'static str {
    match next {
        Next::RetryLater => "RETRY_LATER",
        Next::CorrectAndResend => "CORRECT_AND_RESEND",
        Next::CheckPeer => "CHECK_PEER",
        Next::ContactPeer => "CONTACT_PEER",
    }
}

/// Gives a refusal by the transport a reason of the catalogue: a request that is too large, or no request at all,
/// never reaches a service that could name one.
#[must_use]
pub fn with_reason(response: Response<Body>) -> Response<Body> {
    let headers = response.headers();
    if headers.contains_key("grpc-status-details-bin") {
        return response;
    }
    let reason = match Status::from_header_map(headers) {
        Some(status) if status.code() == Code::OutOfRange => Reason::TooLarge,
        Some(status) if status.message().contains("failed to decode Protobuf") => Reason::Malformed,
        _ => return response,
    };
    of_reason(reason).into_http()
}

/// The code of gRPC that programs without our catalogue understand best.
#[must_use]
pub const fn grpc_code(reason: Reason) -> Code {
    use Reason as R;
    match reason {
        R::NotForUs
        | R::Malformed
        | R::TooLarge
        | R::ForbiddenText
        | R::NamesPerson
        | R::ReasonTextRequired
        | R::InvalidField
        | R::FieldRequired
        | R::FieldNotAllowed
        | R::ResidenceHidden
        | R::SpouseNotKnown
        | R::DateInFuture
        | R::UnknownArea
        | R::PurposeRequired
        | R::SignatureInvalid
        | R::BundleCutOff
        | R::BundleAltered
        | R::ReconcileInconsistent
        | R::DayTooLarge
        | R::SenderMismatch
        | R::VersionUnsupported => Code::InvalidArgument,
        R::Expired
        | R::Withdrawn
        | R::BasisRequired
        | R::ConsentWithdrawn
        | R::RetentionOver
        | R::NotAgreed
        | R::NotHolder
        | R::CaseClosed
        | R::AlreadyAnswered
        | R::HandOverLapsed
        | R::StateForbids
        | R::ErasureHeld
        | R::AreaSplit
        | R::AreaEnded
        | R::AreaRetired
        | R::NodeRetiring
        | R::PeerCardMissing
        | R::SealedForOtherKey
        | R::EpochUnknown
        | R::RevocationListTooOld
        | R::ClockWrong
        | R::ReasonUnknown => Code::FailedPrecondition,
        R::NotOwner | R::RoleRequired | R::ApprovalMissing => Code::PermissionDenied,
        R::Unauthenticated | R::SenderRevoked | R::SenderUnknown | R::SenderCertificateExpired => {
            Code::Unauthenticated
        }
        R::UnknownCase | R::NotFound => Code::NotFound,
        R::Conflict | R::AlreadyExists | R::RowsContradict => Code::AlreadyExists,
        R::StaleVersion | R::StaleEdit => Code::Aborted,
        R::WindowExceeded
        | R::PeerUnreachable
        | R::PeerCollects
        | R::StoreUnavailable
        | R::SigningUnavailable
        | R::BackupFailed
        | R::Maintenance => Code::Unavailable,
        R::Busy | R::DiskNearlyFull | R::RateLimited | R::ReadsTooMany => Code::ResourceExhausted,
        R::Internal => Code::Internal,
    }
}

#[cfg(test)]
mod tests {
    use domain::rule::Rule;

    use super::*;

    #[test]
    fn every_reason_is_told_in_both_languages_with_the_next_step() {
        for reason in Reason::ALL {
            let status = of_reason(*reason);
            assert_ne!(status.code(), Code::Ok, "{reason}");
            assert_ne!(status.code(), Code::Unknown, "{reason}");
            let details = status.get_error_details();
            let info = details.error_info().unwrap();
            assert_eq!((info.reason.as_str(), info.domain.as_str()), (reason.code(), "liangdi"));
            for key in ["zh", "en", "next", "next_zh", "next_en"] {
                assert!(!info.metadata[key].is_empty(), "{reason}: {key}");
            }
            assert_eq!(details.retry_info().is_some(), reason.retry_helps(), "{reason}");
        }
    }

    #[test]
    fn every_finding_is_a_violation_of_its_field() {
        let finding = |rule, field: &'static str| Finding { rule, field: field.into() };
        let status = of_findings(vec![
            finding(Rule::NameEmpty, "person.name"),
            finding(Rule::ResidentIdCheck, "person.document.number"),
        ]);
        assert_eq!(status.code(), Code::InvalidArgument);
        let details = status.get_error_details();
        let violations = &details.bad_request().unwrap().field_violations;
        let fields: Vec<_> = violations.iter().map(|violation| violation.field.as_str()).collect();
        assert_eq!(fields, ["person.name", "person.document.number"]);
        assert!(violations[0].description.contains(Rule::NameEmpty.text_zh()));
        assert!(violations[0].description.contains(Rule::NameEmpty.fix_en()));
        assert_eq!(details.error_info().unwrap().metadata["field"], "person.name");
    }

    #[test]
    fn a_stale_page_a_missing_record_and_a_second_one_are_told_apart() {
        let code = |reason| grpc_code(reason);
        assert_eq!(code(Reason::StaleVersion), Code::Aborted);
        assert_eq!(code(Reason::NotFound), Code::NotFound);
        assert_eq!(code(Reason::RoleRequired), Code::PermissionDenied);
        assert_eq!(code(Reason::BasisRequired), Code::FailedPrecondition);
        let refusal = Refusal::new(Reason::AlreadyExists).existing("41052220260000011");
        let status = of_refusal(&refusal);
        assert_eq!(status.code(), Code::AlreadyExists);
        let details = status.get_error_details();
        assert_eq!(details.error_info().unwrap().metadata["existing"], "41052220260000011");
        assert!(details.bad_request().is_none(), "the request was right, the record is there");
    }

    #[test]
    fn what_went_wrong_inside_stays_inside() {
        let error = AppError::Signing("/etc/liangdi/node.key: permission denied".to_owned());
        let status = Status::from(error);
        assert_eq!(status.code(), Code::Unavailable);
        assert!(!format!("{status:?}").contains("node.key"));
    }
}
