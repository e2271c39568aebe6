//! Which role may make which call of the office API, what the call has to do with persons, and the door that holds it.
//!
//! The table is the only place where a call is given its permissions. The door refuses before a request is read, so
//! that nobody learns from findings what she may not ask; the use cases check once more. `docs/roles.md` is this table
//! for people, and a test holds the two together.

use std::convert::Infallible;
use std::task::{Context, Poll};

use domain::access::{Permission, Role};
use domain::reason::Reason;
use futures_util::future::{Either, Ready, ready};
use tonic::codegen::Service;
use tonic::codegen::http::{Request, Response};
use tonic::service::Routes;
use trust::verify::PeerIdentity;

use crate::api::connection::Remote;
use crate::api::status::of_reason;

/// What a call has to do with persons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// It shows something about a person: in the access log, counted against the limit on reads.
    Reads,
    /// It writes, sends or takes back something about a person: in the access log.
    Changes,
    /// It takes something about persons out of the node: in the access log.
    Exports,
    /// It follows the work of an office, without a person: in the access log once an hour.
    Follows,
    /// It is about no person: numbers, offices, the node, the log itself.
    Nobody,
}

impl About {
    /// The word in `docs/roles.md`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Reads => "reads",
            Self::Changes => "changes",
            Self::Exports => "exports",
            Self::Follows => "follows",
            Self::Nobody => "–",
        }
    }
}

/// One call: its service, its name, what it has to do with persons, and the permissions of which one is enough.
#[derive(Clone, Copy, Debug)]
pub struct Right {
    /// Service, without its package.
    pub service: &'static str,
    /// Call.
    pub method: &'static str,
    /// What it has to do with persons.
    pub about: About,
    /// Who has one of these may make it.
    pub any_of: &'static [Permission],
}

const fn call(
    service: &'static str,
    method: &'static str,
    about: About,
    any_of: &'static [Permission],
) -> Right {
    Right { service, method, about, any_of }
}

use About::{Changes, Exports, Follows, Nobody, Reads};
use Permission as P;

/// May send some kind of message: about persons, or between offices.
const SENDS: &[Permission] = &[P::ExchangeMessages, P::DecideAgreements];

/// Every call of the office API.
pub const RIGHTS: &[Right] = &[
    call("RegistrationService", "RegisterArrival", Changes, &[P::EnterRegistration]),
    call("RegistrationService", "ChangePerson", Changes, &[P::WriteRecords]),
    call("RegistrationService", "ErasePerson", Changes, &[P::ServeRights]),
    call("RegistrationService", "ChangeRegistration", Changes, &[P::WriteRecords]),
    call("RegistrationService", "EndRegistration", Changes, &[P::WriteRecords]),
    call("RegistrationService", "GetRegistration", Reads, &[P::ReadPerson]),
    call("RegistrationService", "FindPerson", Reads, &[P::ReadPerson]),
    call("CertificateService", "IssueCertificate", Changes, &[P::WriteRecords]),
    call("CertificateService", "RenewCertificate", Changes, &[P::WriteRecords]),
    call("CertificateService", "ReplaceCertificate", Changes, &[P::WriteRecords]),
    call("CertificateService", "RevokeCertificate", Changes, &[P::WriteRecords]),
    call("CertificateService", "GetCertificate", Reads, &[P::ReadPerson]),
    call("CertificateService", "VerifyCredential", Reads, &[P::EnterRegistration]),
    call("CertificateService", "EndorseCertificate", Changes, &[P::WriteRecords]),
    call("ConsentService", "RecordConsent", Changes, &[P::WriteRecords]),
    call("ConsentService", "WithdrawConsent", Changes, &[P::WriteRecords]),
    call("ConsentService", "RecordServiceRequest", Changes, &[P::WriteRecords]),
    call("ConsentService", "WithdrawServiceRequest", Changes, &[P::WriteRecords]),
    call("ConsentService", "ListConsents", Reads, &[P::ReadPerson]),
    call("MessageService", "SendMessage", Changes, SENDS),
    call("MessageService", "GetMessage", Reads, &[P::ExchangeMessages]),
    call("MessageService", "TrackMessage", Follows, &[P::FollowDelivery]),
    call("MessageService", "ListMessages", Follows, &[P::FollowDelivery]),
    call("MessageService", "ListTodo", Follows, &[P::FollowDelivery]),
    call(
        "MessageService",
        "ExportEvidence",
        Exports,
        &[P::ExchangeMessages, P::ReadAccessLog, P::OperateNode],
    ),
    call("AgreementService", "ProposeAgreement", Nobody, &[P::DecideAgreements]),
    call("AgreementService", "DecideAgreement", Nobody, &[P::DecideAgreements]),
    call("AgreementService", "EndAgreement", Nobody, &[P::DecideAgreements]),
    call("AgreementService", "AdoptAgreement", Nobody, &[P::DecideAgreements]),
    call("AgreementService", "ListAgreements", Nobody, &[P::FollowDelivery]),
    call("AgreementService", "GetAgreement", Nobody, &[P::FollowDelivery]),
    call("AgreementService", "GetWithdrawal", Follows, &[P::FollowDelivery]),
    call("AgreementService", "ReleaseResidence", Changes, &[P::DecideAgreements]),
    call("CaseService", "ListCases", Follows, &[P::FollowDelivery]),
    call("CaseService", "ShowCase", Follows, &[P::FollowDelivery]),
    call("CaseService", "ListOldCases", Reads, &[P::ReadPerson]),
    call("CaseService", "TakeCaseStep", Changes, &[P::ExchangeMessages]),
    call("CaseService", "AskForBirthRegistration", Changes, &[P::ExchangeMessages]),
    call("CaseService", "DecideBirthRegistration", Changes, &[P::ExchangeMessages]),
    call("BulkHandOverService", "ProposeBulkHandOver", Nobody, &[P::ApproveBulk]),
    call("BulkHandOverService", "DecideBulkHandOver", Nobody, &[P::ApproveBulk]),
    call("BulkHandOverService", "CarryOutBulkHandOver", Changes, &[P::ExchangeMessages]),
    call("BulkHandOverService", "ListBulkHandOvers", Nobody, &[P::FollowDelivery]),
    call("BulkHandOverService", "GetBulkHandOver", Nobody, &[P::FollowDelivery]),
    call("DeliveryService", "ListDeadLetters", Follows, &[P::FollowDelivery]),
    call("DeliveryService", "GetDeadLetter", Reads, SENDS),
    call("DeliveryService", "ResendDeadLetter", Changes, SENDS),
    call("DeliveryService", "DiscardDeadLetter", Changes, SENDS),
    call("DeliveryService", "ListNotices", Nobody, &[P::FollowDelivery]),
    call("DeliveryService", "AcknowledgeNotice", Nobody, &[P::TendDelivery]),
    call("DeliveryService", "GetPeer", Nobody, &[P::FollowDelivery]),
    call("DeliveryService", "TestPeer", Nobody, &[P::TendDelivery]),
    call("DirectoryService", "ListCards", Nobody, &[P::FollowDelivery]),
    call("DirectoryService", "GetArea", Nobody, &[P::FollowDelivery]),
    call("DirectoryService", "ListRevocationLists", Nobody, &[P::FollowDelivery]),
    call("DirectoryService", "RotateSealingKey", Nobody, &[P::OperateNode]),
    call("DirectoryService", "AnnounceMaintenance", Nobody, &[P::OperateNode]),
    call("DirectoryService", "CancelMaintenance", Nobody, &[P::OperateNode]),
    call("DirectoryService", "RetireArea", Nobody, &[P::OperateNode]),
    call("DirectoryService", "ReinstateArea", Nobody, &[P::OperateNode]),
    call("DirectoryService", "RetireNode", Nobody, &[P::OperateNode]),
    call("BundleService", "ExportBundle", Exports, &[P::TendDelivery]),
    call("BundleService", "ImportBundle", Nobody, &[P::TendDelivery]),
    call("BundleService", "ExportCard", Nobody, &[P::TendDelivery]),
    call("BundleService", "ImportCard", Nobody, &[P::TendDelivery]),
    call("ReconcileService", "StartReconciliation", Nobody, &[P::TendDelivery]),
    call("ReconcileService", "ResumeReconciliation", Nobody, &[P::TendDelivery]),
    call("ReconcileService", "ListReconciliations", Nobody, &[P::FollowDelivery]),
    call("ReconcileService", "GetReconciliation", Nobody, &[P::FollowDelivery]),
    call("ReconcileService", "DecideDifference", Changes, SENDS),
    call("ReconcileService", "GetDecision", Reads, &[P::ExchangeMessages]),
    call("ReconcileService", "ListStatements", Nobody, &[P::FollowDelivery]),
    call("ReconcileService", "GetStatement", Nobody, &[P::FollowDelivery]),
    call("ReconcileService", "ListReports", Nobody, &[P::FollowDelivery]),
    call("ReconcileService", "GetLedgerHead", Nobody, &[P::FollowDelivery]),
    call("ReconcileService", "ProveEntry", Nobody, &[P::FollowDelivery]),
    call("ReconcileService", "ProveGrowth", Nobody, &[P::FollowDelivery]),
    call("ReconcileService", "GetTwoHeads", Nobody, &[P::FollowDelivery]),
    call("UpkeepService", "CreateBackup", Exports, &[P::OperateNode]),
    call("ImportService", "BeginImport", Nobody, &[P::WriteRecords]),
    call("ImportService", "PutImportRows", Changes, &[P::WriteRecords]),
    call("ImportService", "FinishImport", Changes, &[P::WriteRecords]),
    call("ImportService", "GetImport", Nobody, &[P::WriteRecords]),
    call("IndicatorService", "ShowIndicators", Nobody, &[P::ReadNumbers]),
    call("IndicatorService", "ListIndicatorCases", Follows, &[P::ReadNumbers]),
    call("DrawService", "BeginDraw", Nobody, &[P::ApproveBulk, P::ReadAccessLog]),
    call("DrawService", "PublishDraw", Nobody, &[P::ApproveBulk, P::ReadAccessLog]),
    call("DrawService", "RecordDraw", Nobody, &[P::ApproveBulk, P::ReadAccessLog]),
    call("DrawService", "ListDraws", Nobody, &[P::ReadNumbers]),
    call("DrawService", "ListDrawPopulation", Nobody, &[P::ReadNumbers]),
    call("AuditService", "ListAccess", Follows, &[P::ReadAccessLog]),
    call("AuditService", "ExportAccess", Exports, &[P::ReadAccessLog]),
    call("AuditService", "ListReads", Nobody, &[P::ReadAccessLog, P::ApproveBulk]),
    call("StatusService", "GetStatus", Nobody, &[P::FollowDelivery]),
    call("StatusService", "ListPeers", Nobody, &[P::FollowDelivery]),
];

impl Right {
    /// Whether a role may make the call.
    #[must_use]
    pub fn is_of(&self, role: Role) -> bool {
        self.any_of.iter().any(|permission| role.may(*permission))
    }

    /// The right of a path such as `/liangdi.office.v1.StatusService/GetStatus`.
    fn of_path(path: &str) -> Option<&'static Self> {
        let (service, method) = path.strip_prefix("/liangdi.office.v1.")?.split_once('/')?;
        RIGHTS.iter().find(|right| right.service == service && right.method == method)
    }
}

/// Puts the door in front of the services.
#[must_use]
pub(super) fn guard(routes: Routes) -> Routes {
    let door = tower::layer::layer_fn(|inner| Door { inner });
    Routes::from(routes.into_axum_router().layer(door))
}

/// Lets through who may make the call. Who is no operator is the business of the listener and of the services; a call
/// that is in no table (a test allows none) is left to its use case.
#[derive(Clone, Debug)]
struct Door<S> {
    inner: S,
}

impl<S, B, R> Service<Request<B>> for Door<S>
where
    S: Service<Request<B>, Response = Response<R>, Error = Infallible>,
    R: Default,
{
    type Response = Response<R>;
    type Error = Infallible;
    type Future = Either<Ready<Result<Response<R>, Infallible>>, S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let role = match request.extensions().get::<Remote>().map(|remote| &remote.identity) {
            Some(PeerIdentity::Operator { role, .. }) => Some(*role),
            Some(PeerIdentity::Node(_)) | None => None,
        };
        let right = Right::of_path(request.uri().path());
        match right.zip(role) {
            Some((right, role)) if !right.is_of(role) => {
                Either::Left(ready(Ok(of_reason(Reason::RoleRequired).into_http())))
            }
            _ => Either::Right(self.inner.call(request)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use prost_reflect::DescriptorPool;

    use super::*;

    const PAGE: &str = include_str!("../../../docs/roles.md");

    fn name(right: &Right) -> String {
        format!("{}.{}", right.service, right.method)
    }

    #[test]
    fn every_call_of_the_office_api_has_one_line_in_the_table() {
        let pool = DescriptorPool::decode(wire::FILE_DESCRIPTOR_SET).unwrap();
        let office = pool.services().filter(|s| s.package_name() == "liangdi.office.v1");
        let calls: BTreeSet<String> = office
            .flat_map(|service| {
                let name = service.name().to_owned();
                let calls: Vec<_> = service.methods().map(|m| m.name().to_owned()).collect();
                calls.into_iter().map(move |method| format!("{name}.{method}"))
            })
            .collect();
        let lines: BTreeSet<String> = RIGHTS.iter().map(name).collect();
        assert_eq!(lines.len(), RIGHTS.len(), "a call is there twice");
        let unclassified: Vec<_> = calls.difference(&lines).collect();
        assert!(unclassified.is_empty(), "say in RIGHTS who may make them: {unclassified:?}");
        let gone: Vec<_> = lines.difference(&calls).collect();
        assert!(gone.is_empty(), "no such call: {gone:?}");
    }

    #[test]
    fn nobody_but_clerks_and_collectors_has_a_call_that_reads_or_changes_records() {
        for right in RIGHTS.iter().filter(|right| !matches!(right.about, Nobody | Follows)) {
            let message = right.any_of.contains(&P::DecideAgreements);
            // Sealed, or without a person.
            let sealed = ["ExportEvidence", "ExportBundle", "CreateBackup", "ExportAccess"];
            let proof = sealed.contains(&right.method);
            for role in [Role::Supervisor, Role::Administrator, Role::Auditor] {
                assert!(message || proof || !right.is_of(role), "{role:?} {}", name(right));
            }
            let enters = right.any_of == [P::EnterRegistration];
            assert_eq!(right.is_of(Role::Collector), enters, "{}", name(right));
        }
    }

    /// Both tables of the page, as they should be.
    fn tables() -> Vec<String> {
        let cells = |may: &dyn Fn(Role) -> bool| -> String {
            Role::ALL.iter().map(|r| if may(*r) { " yes |" } else { " – |" }).collect()
        };
        let permissions = Permission::ALL
            .iter()
            .map(|(permission, words)| format!("| {words} |{}", cells(&|r| r.may(*permission))));
        let calls = RIGHTS.iter().map(|right| {
            format!("| {} | {} |{}", name(right), right.about.word(), cells(&|r| right.is_of(r)))
        });
        permissions.chain(calls).collect()
    }

    #[test]
    fn the_page_for_people_is_the_table() {
        let expected = tables();
        let header = |line: &&str| line.starts_with("| what") || line.starts_with("| call");
        let found: Vec<&str> =
            PAGE.lines().filter(|line| line.starts_with("| ") && !header(line)).collect();
        let missing: Vec<_> = expected.iter().filter(|l| !found.contains(&l.as_str())).collect();
        assert!(missing.is_empty(), "docs/roles.md lacks:\n{}", join(&missing));
        let more: Vec<_> = found.iter().filter(|l| !expected.contains(&(**l).to_owned())).collect();
        assert!(more.is_empty(), "docs/roles.md says what is not so:\n{}", join(&more));
    }

    fn join(lines: &[impl AsRef<str>]) -> String {
        lines.iter().map(|line| line.as_ref()).collect::<Vec<_>>().join("\n")
    }
}
