//! The types of keys and values that the catalogue names.

pub(super) use domain::id::{
    AgreementId, ConsentId, EndorsementId, PersonId, RegistrationId, RequestId,
};

pub(super) use crate::agreements::{
    AgreedRow, AgreementRow, ConsentEndedRow, ConsentUseRow, DutyRow, GroundKey, RefusedWordRow,
    ReleaseRow, SpreadRow,
};
pub(super) use crate::bulk::{BulkRow, OffersRow};
pub(super) use crate::cases::{CaseKey, CaseRow, CaseTurnKey};
pub(super) use crate::draws::DrawRow;
pub(super) use crate::erasures::ErasureRow;
pub(super) use crate::gate::{Gate, RunState};
pub(super) use crate::journal::Journal;
pub(super) use crate::ledger::StoredFrontier;
pub(super) use crate::letters::{
    DeadLetterRow, DiscardReasonRow, MessageIdKey, NoticeRow, NoticeTopic, WithdrawnRow,
};
pub(super) use crate::messages::{
    ChainRow, LaneInRow, LaneKey, LaneOutRow, MessageKey, MessageRow, ParcelKey, ParcelRow,
    PeerKey, RefusalRow, SealingKeyRow, SideKey, Signed,
};
pub(super) use crate::network::{
    AuthorityKey, CardRow, DirectoryCursorRow, DirectoryLogRow, OwnCardRow, PeerHeadRow,
    PeerHeardRow, RedirectedRow, RevocationListRow,
};
pub(super) use crate::old_cases::OldCaseRow;
pub(super) use crate::origin::{OriginRow, RestoredRow, TimeKnownRow};
pub(super) use crate::oversight::{ImportRow, ImportSaidRow, ReadLimitsRow, ReadsRow};
pub(super) use crate::reconcile::{
    BookCursorRow, BookKey, ClosedRow, DecidedRow, DifferenceRow, ProvenRow, RefusedRow,
    ReportedRow, RunLacksRow, RunRow, StatementKey, StatementPartRow, StatementRow, VersionRow,
};
pub(super) use crate::records::{
    CertificateRow, ConsentRow, EndorsementRow, IdempotencyRow, NumberKey, PersonRow,
    RegistrationRow, ServiceRequestRow,
};
pub(super) use crate::subject::{PersonHash, SubjectKey};
pub(super) use crate::table::{Personal, Sealed, Table, TableInfo};
pub(super) use crate::transit::{
    BundleRow, ConsignmentRow, CustodyRow, ParcelIdKey, ReturnKey, ReturnRow, TransitQueueKey,
    TransitRow,
};
