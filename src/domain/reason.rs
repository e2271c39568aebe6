//! The catalogue of reasons: why something was refused, put off or failed, and what to do next.
//!
//! The texts are data (`data/reasons.toml`) and drive code, documents and console alike.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde::Deserialize;

use crate::catalogue::{built_in, coded};

coded! {
    /// A reason of the catalogue. Its code travels in receipts and statuses.
    pub enum Reason {
        /// The message is addressed to another area.
        NotForUs = "NOT_FOR_US";
        /// A signature does not fit what was signed.
        SignatureInvalid = "SIGNATURE_INVALID";
        /// The sender's certificate has been revoked.
        SenderRevoked = "SENDER_REVOKED";
        /// The sender's certificate does not lead to the common root.
        SenderUnknown = "SENDER_UNKNOWN";
        /// Sender named in the message and in the certificate differ.
        SenderMismatch = "SENDER_MISMATCH";
        /// The sender's certificate is outside its validity.
        SenderCertificateExpired = "SENDER_CERTIFICATE_EXPIRED";
        /// Our list of revoked certificates is too old to judge anyone by.
        RevocationListTooOld = "REVOCATION_LIST_TOO_OLD";
        /// The caller showed no certificate of this network.
        Unauthenticated = "UNAUTHENTICATED";
        /// Sealed with a key that this node does not hold.
        SealedForOtherKey = "SEALED_FOR_OTHER_KEY";
        /// The message's time has run out.
        Expired = "EXPIRED";
        /// The sender has withdrawn the message before it was stored.
        Withdrawn = "WITHDRAWN";
        /// A bundle file ends before its end.
        BundleCutOff = "BUNDLE_CUT_OFF";
        /// A bundle file does not open from some place on.
        BundleAltered = "BUNDLE_ALTERED";
        /// What the other side of a reconciliation sent is not what it announced.
        ReconcileInconsistent = "RECONCILE_INCONSISTENT";
        /// On one day one side of a reconciliation has too many entries for one comparison.
        DayTooLarge = "DAY_TOO_LARGE";
        /// The bytes are not what the protocol says.
        Malformed = "MALFORMED";
        /// Larger than a named limit.
        TooLarge = "TOO_LARGE";
        /// Same id or lane sequence with other content.
        Conflict = "CONFLICT";
        /// The lane's window is full: earlier messages are missing.
        WindowExceeded = "WINDOW_EXCEEDED";
        /// The lane's epoch is not one this node has opened.
        EpochUnknown = "EPOCH_UNKNOWN";
        /// Version of the protocol that this node does not speak.
        VersionUnsupported = "VERSION_UNSUPPORTED";
        /// No lawful basis, consent or request covers the message.
        BasisRequired = "BASIS_REQUIRED";
        /// The person has withdrawn her consent.
        ConsentWithdrawn = "CONSENT_WITHDRAWN";
        /// The content was deleted when the time was over for which it was to be kept.
        RetentionOver = "RETENTION_OVER";
        /// No purpose, or not one allowed here.
        PurposeRequired = "PURPOSE_REQUIRED";
        /// The agreement of the two areas does not list it.
        NotAgreed = "NOT_AGREED";
        /// The case or message referred to is not known.
        UnknownCase = "UNKNOWN_CASE";
        /// Another office has to act in this case.
        NotHolder = "NOT_HOLDER";
        /// The case is closed.
        CaseClosed = "CASE_CLOSED";
        /// The message has been answered already.
        AlreadyAnswered = "ALREADY_ANSWERED";
        /// Free text demands a return, an appearance or money, or speaks of penalties.
        ForbiddenText = "FORBIDDEN_TEXT";
        /// A text that outlives the records of a person leads back to her.
        NamesPerson = "NAMES_PERSON";
        /// A written reason is missing.
        ReasonTextRequired = "REASON_TEXT_REQUIRED";
        /// A field has a value that is not allowed.
        InvalidField = "INVALID_FIELD";
        /// A field that must be there is missing.
        FieldRequired = "FIELD_REQUIRED";
        /// A field is there that must not be.
        FieldNotAllowed = "FIELD_NOT_ALLOWED";
        /// A spouse is named where it cannot be looked at who she is.
        SpouseNotKnown = "SPOUSE_NOT_KNOWN";
        /// It would tell where a person at risk is.
        ResidenceHidden = "RESIDENCE_HIDDEN";
        /// A day that cannot lie in the future does.
        DateInFuture = "DATE_IN_FUTURE";
        /// No such area in the table.
        UnknownArea = "UNKNOWN_AREA";
        /// The area has ended, and several took over.
        AreaSplit = "AREA_SPLIT";
        /// The area has ended, and nobody took over.
        AreaEnded = "AREA_ENDED";
        /// The area's node has ended its service.
        AreaRetired = "AREA_RETIRED";
        /// This node is ending its service.
        NodeRetiring = "NODE_RETIRING";
        /// The peer's node card is not in the directory.
        PeerCardMissing = "PEER_CARD_MISSING";
        /// The peer cannot be reached.
        PeerUnreachable = "PEER_UNREACHABLE";
        /// The peer cannot be called; it collects its mail.
        PeerCollects = "PEER_COLLECTS";
        /// The peer's clock or ours is wrong.
        ClockWrong = "CLOCK_WRONG";
        /// The store cannot be written or read.
        StoreUnavailable = "STORE_UNAVAILABLE";
        /// The node's key cannot sign.
        SigningUnavailable = "SIGNING_UNAVAILABLE";
        /// Too much at once.
        Busy = "BUSY";
        /// The disk is nearly full; new work is put off.
        DiskNearlyFull = "DISK_NEARLY_FULL";
        /// A backup could not be made.
        BackupFailed = "BACKUP_FAILED";
        /// An announced maintenance window.
        Maintenance = "MAINTENANCE";
        /// More requests in a time than allowed.
        RateLimited = "RATE_LIMITED";
        /// No such record.
        NotFound = "NOT_FOUND";
        /// The record has been changed by somebody else meanwhile.
        StaleVersion = "STALE_VERSION";
        /// Somebody has worked on the case since the page was loaded.
        StaleEdit = "STALE_EDIT";
        /// An offer to hand over was accepted too late, or was withdrawn.
        HandOverLapsed = "HAND_OVER_LAPSED";
        /// The record exists already.
        AlreadyExists = "ALREADY_EXISTS";
        /// Two rows of one import say different things, or the same thing twice.
        RowsContradict = "ROWS_CONTRADICT";
        /// The record's state does not allow this step.
        StateForbids = "STATE_FORBIDS";
        /// Something about a person has to come to its end before she is erased.
        ErasureHeld = "ERASURE_HELD";
        /// The record belongs to another area.
        NotOwner = "NOT_OWNER";
        /// The caller's role does not allow this.
        RoleRequired = "ROLE_REQUIRED";
        /// The peer gave a reason that this version does not know.
        ReasonUnknown = "REASON_UNKNOWN";
        /// The operator has looked at as many records as one may in that time.
        ReadsTooMany = "READS_TOO_MANY";
        /// A hand-over of many records without the approval of two supervisors.
        ApprovalMissing = "APPROVAL_MISSING";
        /// A fault of the program itself.
        Internal = "INTERNAL";
    }
}

/// Who has to do what next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Next {
    /// Nobody: the node tries again by itself.
    RetryLater,
    /// The sender's clerk corrects and sends again.
    CorrectAndResend,
    /// An administrator looks at the connection with the peer: keys, certificates, directory, clock.
    CheckPeer,
    /// Somebody calls the other office.
    ContactPeer,
}

/// What the data file says about one reason.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    code: String,
    zh: String,
    en: String,
    field: Option<String>,
    next: Next,
    todo_zh: String,
    todo_en: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    reason: Vec<Entry>,
}

static ENTRIES: LazyLock<HashMap<Reason, Entry>> = LazyLock::new(|| {
    let file: File = built_in(include_str!("data/reasons.toml"));
    file.reason.into_iter().filter_map(|e| Some((Reason::from_code(&e.code)?, e))).collect()
});

impl Reason {
    /// What it means, in Chinese, in words for clerks.
    pub fn text_zh(self) -> &'static str {
        self.entry().map_or(self.code(), |entry| &entry.zh)
    }

    /// What it means, in English.
    pub fn text_en(self) -> &'static str {
        self.entry().map_or(self.code(), |entry| &entry.en)
    }

    /// What to do now, in Chinese.
    pub fn todo_zh(self) -> &'static str {
        self.entry().map_or(self.code(), |entry| &entry.todo_zh)
    }

    /// What to do now, in English.
    pub fn todo_en(self) -> &'static str {
        self.entry().map_or(self.code(), |entry| &entry.todo_en)
    }

    /// The field it is about when it is always the same one.
    pub fn field(self) -> Option<&'static str> {
        self.entry().and_then(|entry| entry.field.as_deref())
    }

    /// Who has to do what next.
    pub fn next(self) -> Next {
        self.entry().map_or(Next::ContactPeer, |entry| entry.next)
    }

    /// Whether sending the very same thing again can succeed.
    pub fn retry_helps(self) -> bool {
        self.next() == Next::RetryLater
    }

    /// A test shows that every reason has an entry.
    fn entry(self) -> Option<&'static Entry> {
        ENTRIES.get(&self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_reason_has_one_entry_in_both_languages_and_every_entry_a_reason() {
        let file: File = built_in(include_str!("data/reasons.toml"));
        let codes: Vec<_> = file.reason.iter().map(|e| e.code.as_str()).collect();
        let unique: HashSet<_> = codes.iter().copied().collect();
        assert_eq!(unique.len(), codes.len(), "an entry appears twice");
        let known: HashSet<_> = Reason::ALL.iter().map(|r| r.code()).collect();
        assert_eq!(unique, known);
        let chinese = |text: &str| text.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c));
        for entry in &file.reason {
            assert!(chinese(&entry.zh) && chinese(&entry.todo_zh), "{}: Chinese", entry.code);
            assert!(!chinese(&entry.en) && !chinese(&entry.todo_en), "{}: English", entry.code);
            assert!(entry.en.len() > 10 && entry.todo_en.len() > 10, "{}: too short", entry.code);
        }
    }

    #[test]
    fn codes_lead_back() {
        for reason in Reason::ALL {
            assert_eq!(Reason::from_code(reason.code()), Some(*reason));
        }
        assert_eq!(Reason::from_code("busy"), None);
        assert!(Reason::Busy.retry_helps());
        assert!(!Reason::BasisRequired.retry_helps());
    }
}
