//! The rules, in the order of docs/protocol.md.

mod custody;
mod directory;
mod identity;
mod lanes;
mod parcels;
mod verdicts;
mod withdrawal;

use std::future::Future;
use std::pin::Pin;

use wire::frame::feature;

use super::line::word;
use super::{Deviation, Subject, ensure};

type Trying<'a> = Pin<Box<dyn Future<Output = Result<(), Deviation>> + Send + 'a>>;

/// A rule and how it is tried.
pub(super) struct Rule {
    /// Section of docs/protocol.md.
    pub(super) section: &'static str,
    /// Stable name.
    pub(super) name: &'static str,
    /// In words.
    pub(super) text: &'static str,
    /// The feature it belongs to, when peers need not have it.
    pub(super) feature: Option<&'static str>,
    /// Whether it says anything about a peer of that area.
    pub(super) applies: fn(&Subject) -> bool,
    pub(super) check: fn(&Subject) -> Trying<'_>,
}

macro_rules! rules {
    ($($section:literal $name:literal $text:literal $check:path $(, if $feature:path)? $(, where $applies:path)?;)*) => {
        /// All rules.
        pub(super) const ALL: &[Rule] = &[$(Rule {
            section: $section,
            name: $name,
            text: $text,
            feature: rules!(@ $($feature)?),
            applies: rules!(# $($applies)?),
            check: |subject| Box::pin($check(subject)),
        }),*];
    };
    (@) => { None };
    (@ $feature:path) => { Some($feature) };
    (#) => { |_| true };
    (# $applies:path) => { $applies };
}

rules! {
    "1" "certificate-required" "A caller without a certificate is turned away." identity::certificate_required;
    "1" "protocol-offered" "The peer speaks h2 over TLS 1.3." identity::protocol_offered;
    "2" "card-holds" "The card is signed by the area it names, holds now, and has a sealing key." identity::card_holds;
    "8" "hello-first" "The first frame is a Hello with a window." identity::hello_first;
    "6" "stored" "A good envelope is STORED, and the receipt holds in every respect." parcels::stored;
    "6" "one-answer-each" "Each envelope of a parcel has its own answer, in order." parcels::one_answer_each;
    "6" "window" "Every parcel in flight gets its receipt." parcels::window;
    "4" "unknown-fields" "A header with fields of a later version is taken as it is." parcels::unknown_fields;
    "5" "bad-signature" "A parcel whose signature does not hold gets no receipt: SIGNATURE_INVALID." parcels::bad_signature;
    "5" "bad-root" "A parcel whose root is another gets no receipt: MALFORMED." parcels::bad_root;
    "5" "bad-count" "A parcel with another count gets no receipt: MALFORMED." parcels::bad_count;
    "5" "other-sender" "A parcel that names another sender gets no receipt: SENDER_MISMATCH." parcels::other_sender;
    "6" "nothing-of-bad-parcels" "Nothing of a parcel without a receipt is kept." parcels::nothing_of_bad_parcels;
    "6" "not-for-us" "An envelope for another area is refused: NOT_FOR_US." verdicts::not_for_us;
    "6" "sender-mismatch" "An envelope from another area is refused: SENDER_MISMATCH." verdicts::sender_mismatch;
    "6" "unreadable-header" "An unreadable header is refused as MALFORMED and holds up nobody." verdicts::unreadable_header;
    "6" "expired" "What lost its purpose is refused: EXPIRED." verdicts::expired;
    "3" "other-key" "What is sealed for another key is refused: SEALED_FOR_OTHER_KEY." verdicts::other_key;
    "3" "broken-seal" "A seal that does not open is refused: MALFORMED." verdicts::broken_seal;
    "3" "bad-padding" "Padding that is not zero, or of no known size, is refused: MALFORMED." verdicts::bad_padding;
    "6" "unknown-document" "A content without a document that is known is refused: VERSION_UNSUPPORTED." verdicts::unknown_document;
    "6" "basis-required" "A report of a pregnancy without consent or request is refused: BASIS_REQUIRED." verdicts::basis_required;
    "6" "out-of-reach" "A step that nobody in a case can have come to is refused: INVALID_FIELD." verdicts::out_of_reach;
    "6" "unknown-case" "An answer to nothing is refused: UNKNOWN_CASE." verdicts::unknown_case;
    "7" "same-again" "The same envelope again gets its first answer, marked as a duplicate." lanes::same_again;
    "7" "refusal-stays" "A refusal stays a refusal." lanes::refusal_stays;
    "6" "same-place" "Other content in a place that is taken is refused: CONFLICT; the first stays." lanes::same_place;
    "6" "same-id" "Other content under an id that is taken is refused: CONFLICT." lanes::same_id;
    "7" "any-order" "Places may come in any order inside the window." lanes::any_order;
    "7" "beyond-the-window" "What is beyond the window is put off, with a time: WINDOW_EXCEEDED." lanes::beyond_the_window;
    "7" "second-epoch" "A message that was stored from one epoch is a duplicate in the next." lanes::second_epoch;
    "10" "ledger-grows" "The ledger in the receipts grows by what was stored, and by nothing else." lanes::ledger_grows;
    "4" "withdrawn" "A withdrawn envelope is refused as WITHDRAWN, and its place is used." withdrawal::withdrawn, if feature::WITHDRAWN;
    "4" "withdrawn-late" "Withdrawing what was stored gets the first answer." withdrawal::withdrawn_late, if feature::WITHDRAWN;
    "4" "bodiless-unlisted" "A body that is missing and not listed as withdrawn makes the parcel MALFORMED." withdrawal::bodiless_unlisted, if feature::WITHDRAWN;
    "9" "carried" "A parcel that the peer may carry is HELD for the next hop; handed over again it gets the same word." custody::carried, if feature::CUSTODY, where custody::carries;
    "9" "not-carried" "A parcel that the peer may not carry is turned away: NOT_FOR_US." custody::not_carried, if feature::CUSTODY, where custody::declines;
    "9" "senseless-way" "A parcel whose words tell of no way is turned away: MALFORMED." custody::senseless_way, if feature::CUSTODY;
    "9" "useless-words" "A word that comes back and is of no use, or does not hold, is answered with ReturnTaken." custody::useless_words, if feature::CUSTODY;
    "14" "directory-proves-itself" "Every card and list in the directory holds by itself, and the peer's own card is there." directory::proves_itself, if feature::DIRECTORY;
    "14" "directory-news" "With the cursor of the last answer only news is told." directory::tells_what_is_new, if feature::DIRECTORY;
    "14" "directory-cursor" "A cursor that the peer does not know starts over." directory::strange_cursor, if feature::DIRECTORY;
}

/// The words for a parcel's answers have to be these.
fn says(found: &[exchange::receipt::Disposition], expected: &[&str]) -> Result<(), Deviation> {
    let words: Vec<_> = found.iter().map(word).collect();
    ensure(words == expected, || {
        format!("answered {}, expected {}", words.join(", "), expected.join(", "))
    })
}
