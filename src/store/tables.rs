//! The catalogue: every table there is, with its key, its value and who writes it.
//!
//! To add a table, add one line with a comment above it. A table that is no longer written keeps
//! its line as `retired`, so that its prefix is never given to another. Names end in the version
//! of the key; a value carries its own version. Prefix 0xDF is for blocks of packed rows; 0xE0 to 0xFE are
//! for tests.

#[macro_use]
mod catalogue;
mod rows;

use rows::*;

catalogue! {
    /// What kind of data this is and whose: one row.
    /// Key: nothing. Value: [`Gate`]. Written at the first start and by migrations.
    GATE: Table<(), Gate> = Table::new("gate-1", 0x00);

    /// Whether the last run ended well: one row.
    /// Key: nothing. Value: [`RunState`]. Written at every start and every stop.
    RUN: Table<(), RunState> = Table::new("run-1", 0x01);

    /// Persons by a keyed hash of an identity document; several may lead to one person.
    /// Key: hash (16). Value: person id (16). Written by `Unit::subject`.
    SUBJECT: Table<PersonHash, [u8; 16]> = Table::new("subject-1", 0x02);

    /// What opens a person's values; deleting the row erases the person.
    /// Key: person id (16). Value: [`SubjectKey`], sealed. Written by `Unit::subject`.
    SUBJECT_KEY: Table<PersonId, SubjectKey, Sealed> = Table::new("subject-key-1", 0x03);

    /// Documents of persons who were erased, and cases about them: what others have of them does not come back.
    /// Key: hash (16). Value: nothing. Written by `Unit::erase_subject`; a backup has it with the keys, so that an older
    /// one knows of erasures since.
    ERASED: Table<PersonHash, ()> = Table::new("erased-1", 0xA2);

    /// The ledger: what a third party may see of every envelope sent or received.
    /// Key: nothing; positions from 0. Entries: canonical bytes of `LedgerEntry`. Written by `Unit::append_ledger`.
    LEDGER: Journal<()> = Journal::new("ledger-1", 0x04).packed().starting_at(0);

    /// The hash tree over the ledger, before and after the last group that wrote to it: one row.
    /// Key: nothing. Value: [`StoredFrontier`]. Written by the committer with every such group.
    FRONTIER: Table<(), StoredFrontier> = Table::new("frontier-1", 0x05);

    /// Number of the last group of units that was written: one row. See the module `mark`.
    /// Key: nothing. Value: a counter. Written by the committer with every group.
    GROUP: Table<(), u64> = Table::new("group-1", 0x06);

    /// Where the data came from, when they did not simply grow here: one row.
    /// Key: nothing. Value: [`OriginRow`]. Written by restoring and by rebuilding.
    ORIGIN: Table<(), OriginRow> = Table::new("origin-1", 0x07);

    /// Envelopes as they travelled, by lane.
    /// Key: side (1), peer (6), epoch (8). Positions of sent ones are the lane's sequences; received
    /// ones lie in the order they were stored. Entries: header length (4), header, sealed body.
    /// Written with [`MESSAGE`]; one that a person has taken back is left as header and hash.
    ENVELOPE: Journal<LaneKey> = Journal::new("envelope-1", 0x20).packed().redactable();

    /// Messages, sent and received; content under the key of the person.
    /// Key: message id (16), side (1). Value: [`MessageRow`]. Written when a message is accepted,
    /// stored, opened or answered.
    MESSAGE: Table<MessageKey, MessageRow, Personal> = Table::new("message-1", 0x21).packed();

    /// What this office has to answer, by due time.
    /// Key: due ms (8), message id (16). Value: nothing. Written with [`MESSAGE`].
    TODO: Table<(u64, [u8; 16]), ()> = Table::new("todo-1", 0x22);

    /// The epoch in which this node sends to a peer now.
    /// Key: peer (6). Value: epoch (8). Written with the first message, and after a restore.
    LANE_EPOCH: Table<PeerKey, u64> = Table::new("lane-epoch-1", 0x23);

    /// What is settled of an outbound lane.
    /// Key: side (1), peer (6), epoch (8). Value: [`LaneOutRow`]. Written with every kept receipt.
    LANE_OUT: Table<LaneKey, LaneOutRow> = Table::new("lane-out-1", 0x24);

    /// What has been seen of an inbound lane.
    /// Key: side (1), peer (6), epoch (8). Value: [`LaneInRow`]. Written with every parcel.
    LANE_IN: Table<LaneKey, LaneInRow> = Table::new("lane-in-1", 0x25);

    /// Parcels with the dispositions of their envelopes.
    /// Key: side (1), peer (6), epoch (8), lowest sequence (8), parcel id (16). Value: [`ParcelRow`].
    /// Written by the receiver with what it stores, by the sender with the receipt.
    PARCEL: Table<ParcelKey, ParcelRow> = Table::new("parcel-1", 0x26).packed();

    /// Refusals by message, for those that come again in another epoch.
    /// Key: message id (16). Value: [`RefusalRow`]. Written with [`PARCEL`] by the receiver; not for a
    /// conflict, which is about a place and not about a message.
    REFUSAL: Table<MessageIdKey, RefusalRow> = Table::new("refusal-1", 0x53);

    /// Receipts: manifest and signature. Key: as of [`PARCEL`]. Value: [`Signed`].
    /// Written by the receiver after it was signed, by the sender with [`PARCEL`].
    RECEIPT: Table<ParcelKey, Signed> = Table::new("receipt-1", 0x27).packed();

    /// Certificate chains that signed something kept here.
    /// Key: SHA-256 of the leaf (32). Value: [`ChainRow`]. Written with [`PARCEL`] and [`RECEIPT`].
    CHAIN: Table<[u8; 32], ChainRow> = Table::new("chain-1", 0x28);

    /// Cards of peers, and our own. Key: area (6). Value: [`CardRow`]. Written when a newer card was checked.
    CARD: Table<PeerKey, CardRow> = Table::new("card-1", 0x29);

    /// Our sealing keys, newest last.
    /// Key: when it was made, ms (8). Value: [`SealingKeyRow`], sealed. Written at the first start.
    SEALING_KEY: Table<u64, SealingKeyRow, Sealed> = Table::new("sealing-key-1", 0x2A);

    /// Words of relays about parcels that we sent, received or carried.
    /// Key: parcel id (16), hop (1): 0 for the first relay on the way. Value: [`CustodyRow`]. Written
    /// with [`CONSIGNMENT`], [`PARCEL`] and [`TRANSIT`], and with words from further on.
    CUSTODY: Table<(ParcelIdKey, u8), CustodyRow> = Table::new("custody-1", 0x2B);

    /// Parcels of ours that a relay or a file carries and that their recipient has not answered. Key: parcel id (16).
    /// Value: [`ConsignmentRow`]. Written with the relay's word or the file, deleted with the receipt.
    CONSIGNMENT: Table<ParcelIdKey, ConsignmentRow> = Table::new("consignment-1", 0x2C);

    /// Parcels that this node carries, or has carried, for others.
    /// Key: parcel id (16). Value: [`TransitRow`]. Written before our own word is given.
    TRANSIT: Table<ParcelIdKey, TransitRow> = Table::new("transit-1", 0x2D);

    /// What waits for each next hop, most urgent first. Key: next hop (6), effective deadline ms (8), arrival (8).
    /// Value: parcel id (16). Written with [`TRANSIT`], deleted when the parcel is no longer held.
    TRANSIT_QUEUE: Table<TransitQueueKey, ParcelIdKey> = Table::new("transit-queue-1", 0x2E);

    /// Envelopes of parcels in transit, as they came.
    /// Key: parcel id (16). Positions are places in the parcel from 1. Entries: header length (4),
    /// header, body; see `exchange::envelope`. Written with [`TRANSIT`], removed when it is handed on.
    TRANSIT_MAIL: Journal<ParcelIdKey> = Journal::new("transit-mail-1", 0x2F).removable();

    /// Signed words on their way back. Key: node it is handed to (6), arrival (8). Value: [`ReturnRow`]. Written with
    /// the answer to a parcel in transit, deleted when that node has taken it.
    RETURN: Table<ReturnKey, ReturnRow> = Table::new("return-1", 0x30);

    /// Dispositions of receipts in [`RETURN`]. Key: SHA-256 of the receipt's manifest (32). Positions are places in the
    /// parcel from 1. Entries: serialised dispositions. Written and removed with [`RETURN`].
    RETURN_BODY: Journal<[u8; 32]> = Journal::new("return-body-1", 0x31).removable();

    /// What the directory has learned, in that order. Key: number that grows (8). Value: [`DirectoryLogRow`]. Written
    /// with [`CARD`] and [`REVOCATION_LIST`], the older entry about the same thing deleted.
    DIRECTORY_LOG: Table<u64, DirectoryLogRow> = Table::new("directory-log-1", 0x32);

    /// The newest revocation list of each authority. Key: SHA-256 of the authority's public key (32). Value:
    /// [`RevocationListRow`]. Written when a newer list was checked.
    REVOCATION_LIST: Table<AuthorityKey, RevocationListRow> =
        Table::new("revocation-list-1", 0x33);

    /// How far we are in each neighbour's directory.
    /// Key: peer (6). Value: [`DirectoryCursorRow`]. Written with each answer.
    DIRECTORY_CURSOR: Table<PeerKey, DirectoryCursorRow> = Table::new("directory-cursor-1", 0x34);

    /// Messages of ours that did not arrive. Key: message id (16). Value: [`DeadLetterRow`], sealed. Written with the
    /// receipt that refuses it, when it expires, when its recipient retires, and by operators.
    DEAD_LETTER: Table<MessageIdKey, DeadLetterRow, Sealed> = Table::new("dead-letter-1", 0x35);

    /// What this office is told. Key: number from 1 (8). Value: [`NoticeRow`]. Written when something is noticed or
    /// done; the oldest go when there are too many.
    NOTICE: Table<u64, NoticeRow> = Table::new("notice-1", 0x36);

    /// Which messages are to be looked at when, packed: a row for each message would cost more than everything else
    /// about it. Key: when, second (8). Entries: message id (16), side (1), what was noticed before (1). Written with
    /// [`MESSAGE`], removed when it was looked at.
    CLOCK: Journal<u64> = Journal::new("clock-1", 0x37).removable();

    /// When the clock was last believed, and since when it is not: one row.
    /// Key: nothing. Value: [`TimeKnownRow`]. Written before content is deleted by its age.
    TIME_KNOWN: Table<(), TimeKnownRow> = Table::new("time-known-1", 0x56);

    /// Up to which place the entries of a second of [`CLOCK`] were looked at, while there are more. Key: when, second
    /// (8). Value: position of the last one (8). Written with what the look came to, deleted with the journal.
    CLOCK_DONE: Table<u64, u64> = Table::new("clock-done-1", 0x55);

    /// When each peer was last heard.
    /// Key: peer (6). Value: [`PeerHeardRow`]. Written with mail and receipts, and now and then.
    PEER_HEARD: Table<PeerKey, PeerHeardRow> = Table::new("peer-heard-1", 0x38);

    /// The newest head of each peer's ledger that was seen, so that it is noticed when one has lost its memory.
    /// Key: peer (6). Value: [`PeerHeadRow`]. Written with every kept receipt.
    PEER_HEAD: Table<PeerKey, PeerHeadRow> = Table::new("peer-head-1", 0x54);

    /// Received messages that were opened here and whose sender has not been told. Key: sender (6), message id (16).
    /// Value: when, ms (8). Written when a message is first opened, deleted with the report.
    OPENED: Table<(PeerKey, MessageIdKey), u64> = Table::new("opened-1", 0x39);

    /// For which incarnation of the data lane epochs are open, and what may be missing: one row.
    /// Key: nothing. Value: [`RestoredRow`]. Written at the first start and at the first start of another incarnation.
    RESTORED: Table<(), RestoredRow> = Table::new("restored-1", 0x3A);

    /// What this node announces in its card: one row. Key: nothing. Value: [`OwnCardRow`]. Written by administrators.
    OWN_CARD: Table<(), OwnCardRow> = Table::new("own-card-1", 0x3B);

    /// Bundle files that were made or read in here.
    /// Key: bundle id (16). Value: [`BundleRow`]. Written with what the file brought or took.
    BUNDLE: Table<[u8; 16], BundleRow> = Table::new("bundle-1", 0x3C);

    /// Envelopes of ours that travel without their body from now on. Key: side (1), peer (6), epoch (8), sequence (8).
    /// Value: [`WithdrawnRow`]. Written when a message expires or is withdrawn.
    WITHDRAWN: Table<(SideKey, u64, u64), WithdrawnRow> = Table::new("withdrawn-1", 0x3D);

    /// Number of the last arrival of a parcel in transit or of a word on its way back: one row.
    /// Key: nothing. Value: a counter. Written with [`TRANSIT`] and [`RETURN`].
    ARRIVAL: Table<(), u64> = Table::new("arrival-1", 0x3E);

    /// Messages of ours that went to the area which took over from the one they were addressed to.
    /// Key: message id (16). Value: [`RedirectedRow`]. Written with [`MESSAGE`].
    REDIRECTED: Table<MessageIdKey, RedirectedRow> = Table::new("redirected-1", 0x5F);

    /// Messages of ours that had a final word once and were sealed anew, because their recipient has lost them.
    /// Key: message id (16). Value: nothing. Written by the cure of a reconciliation.
    DELIVERED_AGAIN: Table<MessageIdKey, ()> = Table::new("delivered-again-1", 0x90);

    /// Why a message was given up.
    /// Key: message id (16). Value: [`DiscardReasonRow`], under the person's key. Written with [`DEAD_LETTER`].
    DISCARD_REASON: Table<MessageIdKey, DiscardReasonRow, Personal> =
        Table::new("discard-reason-1", 0x3F);

    /// The newest notice about one thing, and how many notices there were.
    /// Key: sort (1), area (6), percent (1); all zero for the count. Value: number (8). Written with [`NOTICE`].
    NOTICE_TOPIC: Table<NoticeTopic, u64> = Table::new("notice-topic-1", 0x52);

    /// Persons with their history.
    /// Key: person id. Value: [`PersonRow`], under the person's key. Written by `Unit::keep_person`.
    PERSON: Table<PersonId, PersonRow, Personal> = Table::new("person-1", 0x40);

    /// How many persons were ever entered: one row.
    /// Key: nothing. Value: a counter. Written with the first version of a [`PERSON`].
    PERSON_COUNT: Table<(), u64> = Table::new("person-count-1", 0x41);

    /// Registrations with their history.
    /// Key: registration id. Value: [`RegistrationRow`], under the person's key. Written by `Unit::keep_registration`.
    REGISTRATION: Table<RegistrationId, RegistrationRow, Personal> =
        Table::new("registration-1", 0x43);

    /// Registrations by person, in the order they were made.
    /// Key: person id, registration id. Value: nothing. Written with [`REGISTRATION`].
    REGISTRATION_OF_PERSON: Table<(PersonId, RegistrationId), ()> =
        Table::new("registration-of-person-1", 0x44);

    /// Certificates issued here, with their history.
    /// Key: the 17 digits. Value: [`CertificateRow`], under the person's key. Written by `Unit::keep_certificate`.
    CERTIFICATE: Table<NumberKey, CertificateRow, Personal> = Table::new("certificate-1", 0x45);

    /// Certificates by person, in the order of their numbers.
    /// Key: person id, the 17 digits. Value: nothing. Written with [`CERTIFICATE`].
    CERTIFICATE_OF_PERSON: Table<(PersonId, NumberKey), ()> =
        Table::new("certificate-of-person-1", 0x46);

    /// The last serial given to a certificate in each year.
    /// Key: year (2). Value: a counter. Written by `Unit::next_certificate_serial`.
    CERTIFICATE_SERIAL: Table<u16, u64> = Table::new("certificate-serial-1", 0x47);

    /// Checks made here of certificates that persons showed.
    /// Key: endorsement id. Value: [`EndorsementRow`], under the person's key. Written by `Unit::keep_endorsement`.
    ENDORSEMENT: Table<EndorsementId, EndorsementRow, Personal> = Table::new("endorsement-1", 0x48);

    /// Checks by person, in the order they were made.
    /// Key: person id, endorsement id. Value: nothing. Written with [`ENDORSEMENT`].
    ENDORSEMENT_OF_PERSON: Table<(PersonId, EndorsementId), ()> =
        Table::new("endorsement-of-person-1", 0x49);

    /// Consents. Key: consent id. Value: [`ConsentRow`], under the person's key. Written by `Unit::keep_consent`.
    CONSENT: Table<ConsentId, ConsentRow, Personal> = Table::new("consent-1", 0x4A);

    /// Consents by person, in the order they were noted.
    /// Key: person id, consent id. Value: nothing. Written with [`CONSENT`].
    CONSENT_OF_PERSON: Table<(PersonId, ConsentId), ()> = Table::new("consent-of-person-1", 0x4B);

    /// Persons' own requests for services.
    /// Key: request id. Value: [`ServiceRequestRow`], under the person's key. Written by `Unit::keep_service_request`.
    SERVICE_REQUEST: Table<RequestId, ServiceRequestRow, Personal> =
        Table::new("service-request-1", 0x4C);

    /// Requests by person, in the order they were noted.
    /// Key: person id, request id. Value: nothing. Written with [`SERVICE_REQUEST`].
    SERVICE_REQUEST_OF_PERSON: Table<(PersonId, RequestId), ()> =
        Table::new("service-request-of-person-1", 0x4D);

    /// Applications for a birth registration whose origins have not been asked yet, by when they have to be.
    /// Key: due ms (8), request id. Value: what the office was told: nothing (0), that so many percent of the time have run
    /// (50, 80), or when, ms, that it is late. Written with [`SERVICE_REQUEST`], deleted when an origin is asked, or the
    /// request is taken back.
    TO_ASK: Table<(u64, RequestId), u64> = Table::new("to-ask-1", 0x8C);

    /// What came of calls that named an idempotency key.
    /// Key: keyed hash of operator and key (16). Value: [`IdempotencyRow`], sealed. Written by `Unit::keep_outcome`.
    IDEMPOTENCY: Table<PersonHash, IdempotencyRow, Sealed> = Table::new("idempotency-1", 0x4E);

    /// The access log: every view, search and change of a person's records, chained by hash.
    /// Key: nothing; positions from 1 are the entries' numbers. Entries: [`crate::access::AccessRow`].
    /// Written by `Unit::append_access`.
    ACCESS: Journal<()> = Journal::new("access-1", 0x50).packed().sealed();

    /// What each operator has looked at lately.
    /// Key: hash of the operator's name (32). Value: [`ReadsRow`], sealed. Written with every read in [`ACCESS`].
    READS: Table<[u8; 32], ReadsRow, Sealed> = Table::new("reads-1", 0x80);

    /// The hour in which an operator's following of something was last logged.
    /// Key: hash of the operator's name (32), hash of what is followed (16). Value: hours since 1970. Written with
    /// [`ACCESS`], deleted when it is old.
    FOLLOWED: Table<([u8; 32], [u8; 16]), u64> = Table::new("followed-1", 0x82);

    /// How many records an operator may look at: one row.
    /// Key: nothing. Value: [`ReadLimitsRow`]. Written at the start from the configuration.
    READ_LIMITS: Table<(), ReadLimitsRow> = Table::new("read-limits-1", 0x81);

    /// Imports.
    /// Key: import id (16). Value: [`ImportRow`], sealed. Written with each batch of rows, and as they become records.
    IMPORT: Table<[u8; 16], ImportRow, Sealed> = Table::new("import-1", 0x83);

    /// Rows of imports that are no records yet.
    /// Key: import id (16), batch (8). Positions are places in the batch from 1. Entries: postcard of the use case.
    /// Written with [`IMPORT`], removed in the unit that makes them records, or when the import is given up.
    IMPORT_ROWS: Journal<([u8; 16], u64)> =
        Journal::new("import-rows-1", 0x84).sealed().removable();

    /// What rows of imports say that no other row of the same may contradict.
    /// Key: import id (16), keyed hash of a document, or of the number of a certificate or an old case (16). Value:
    /// [`ImportSaidRow`]. Written with the batch, deleted when its row becomes a record or the import is given up.
    IMPORT_SAID: Table<([u8; 16], [u8; 16]), ImportSaidRow> = Table::new("import-said-1", 0x91);

    /// The access log by person, without sendings.
    /// Key: hash of the keyed hash of the document (32), number (8). Value: nothing. Written with [`ACCESS`].
    ACCESS_OF_PERSON: Table<([u8; 32], u64), ()> = Table::new("access-of-person-1", 0x51).packed();

    /// Messages by the day from which their content is not kept any more.
    /// Key: day, days since 1970 (8). Entries: message id (16), side (1). Written with [`MESSAGE`], removed when they were deleted.
    RETENTION: Journal<u64> = Journal::new("retention-1", 0x66).removable();

    /// Messages whose content was deleted because its time was over.
    /// Key: message id (16). Value: when, ms (8). Written when it is deleted.
    FORGOTTEN: Table<MessageIdKey, u64> = Table::new("forgotten-1", 0x67);

    /// Agreements with other counties, every version, with what both sides signed.
    /// Key: agreement id (16), version (4). Value: [`AgreementRow`], sealed. Written when one is
    /// proposed, decided or ended.
    AGREEMENT: Table<(AgreementId, u32), AgreementRow, Sealed> = Table::new("agreement-1", 0x68);

    /// What is agreed with each county; looked at for every message.
    /// Key: peer (6). Value: [`AgreedRow`], sealed. Written with [`AGREEMENT`].
    AGREED: Table<PeerKey, AgreedRow, Sealed> = Table::new("agreed-1", 0x69);

    /// Messages that rest on a consent or a request.
    /// Key: its id (16), message id (16), side (1). Value: [`ConsentUseRow`]. Written with [`MESSAGE`].
    CONSENT_USE: Table<(GroundKey, MessageKey), ConsentUseRow> =
        Table::new("consent-use-1", 0x6A);

    /// Consents and requests that were withdrawn: nothing more is sent or taken under them.
    /// Key: its id (16), county whose word it is (6). Value: [`ConsentEndedRow`]. Written with the withdrawal.
    CONSENT_ENDED: Table<(GroundKey, PeerKey), ConsentEndedRow> =
        Table::new("consent-ended-1", 0x6B);

    /// Which counties are told of a withdrawal, and what they said.
    /// Key: id of the consent or request (16), peer (6). Value: [`SpreadRow`]. Written with the withdrawal, its message and
    /// its answer.
    CONSENT_SPREAD: Table<(GroundKey, PeerKey), SpreadRow> = Table::new("consent-spread-1", 0x6C);

    /// What was reported about a person, either way: an earlier report answers a question.
    /// Key: person id, peer (6), kind (1), message id (16). Value: side (1). Written with [`MESSAGE`].
    REPORT_OF_PERSON: Table<(PersonId, PeerKey, u8, MessageIdKey), u64> =
        Table::new("report-of-person-1", 0x6D);

    /// What this node has to send by itself.
    /// Key: what (1), id it is about (16), peer (6). Value: [`DutyRow`]. Written when it comes up, deleted when sent.
    DUTY: Table<(u8, [u8; 16], PeerKey), DutyRow> = Table::new("duty-1", 0x6E);

    /// Words about withdrawals that their recipients did not take.
    /// Key: as of [`DUTY`]. Value: [`RefusedWordRow`]. Written with the receipt that refuses one, deleted when the
    /// withdrawal is answered.
    REFUSED_WORD: Table<(u8, [u8; 16], PeerKey), RefusedWordRow> = Table::new("refused-word-1", 0x86);

    /// Whom questions of ours name beside the person they are about.
    /// Key: message id (16), keyed hash of the spouse's document (16). Value: nothing. Written with [`MESSAGE`].
    NAMED: Table<(MessageIdKey, PersonHash), ()> = Table::new("named-1", 0x8E);

    /// Persons at risk of whom one county may be told where they live.
    /// Key: person id, peer (6). Value: [`ReleaseRow`], sealed. Written by supervisors.
    RELEASE: Table<(PersonId, PeerKey), ReleaseRow, Sealed> = Table::new("release-1", 0x6F);

    /// Persons who were erased, without any of them.
    /// Key: erasure id (16). Value: [`ErasureRow`], sealed. Written with the erasure.
    ERASURE: Table<[u8; 16], ErasureRow, Sealed> = Table::new("erasure-1", 0x8B);

    /// Hand-overs of many cases: proposed, approved, carried out.
    /// Key: list id (16). Value: [`BulkRow`], sealed. Written at each of these, and with what became of each case.
    BULK: Table<[u8; 16], BulkRow, Sealed> = Table::new("bulk-1", 0x88);

    /// How many cases each operator has offered one by one on her last day.
    /// Key: operator (32). Value: [`OffersRow`]. Written with each offer.
    OFFERS: Table<[u8; 32], OffersRow> = Table::new("offers-1", 0x89);

    /// Random re-checks.
    /// Key: draw id (16). Value: [`DrawRow`], sealed. Written when drawn, when published, and with each finding.
    DRAW: Table<[u8; 16], DrawRow, Sealed> = Table::new("draw-1", 0x85);

    /// What changes entries of books beside the ledger, in that order.
    /// Key: nothing; positions from 1. Entries: postcard of [`crate::reconcile::Change`]. Written with receipts,
    /// refusals and cures.
    BOOK_CHANGE: Journal<()> = Journal::new("book-change-1", 0x70).packed();

    /// What counties say of their messages: our own, and those that report to us.
    /// Key: county (6), month as YYYYMM (4), incarnation (4); positions from 1. Entries: see
    /// `exchange::reconcile::told::record`; the last about a message counts. Written from the ledger and
    /// [`BOOK_CHANGE`], and with reports. Those of lost data of a county are removed when there are too many.
    BOOK: Journal<BookKey> = Journal::new("book-1", 0x71).packed().removable();

    /// How far the own book reaches: one row.
    /// Key: nothing. Value: [`BookCursorRow`]. Written with [`BOOK`].
    BOOK_CURSOR: Table<(), BookCursorRow> = Table::new("book-cursor-1", 0x72);

    /// What counties below have last reported.
    /// Key: county (6). Value: [`ReportedRow`]. Written with the last part of each report.
    REPORTED: Table<PeerKey, ReportedRow> = Table::new("reported-1", 0x73);

    /// Reconciliations that were begun here.
    /// Key: number from 1 (8). Value: [`RunRow`]. Written at each step.
    RUN_ROW: Table<u64, RunRow> = Table::new("reconciliation-1", 0x74);

    /// What they found.
    /// Key: number of the run (8), message id (16). Value: [`DifferenceRow`]. Written after each comparison.
    DIFFERENCE: Table<(u64, MessageIdKey), DifferenceRow> = Table::new("difference-1", 0x75);

    /// Counties of the other side that had not reported everything when a run after a restore came to its end.
    /// Key: number of the run (8). Value: [`RunLacksRow`]. Written with [`RUN_ROW`].
    RUN_LACKS: Table<u64, RunLacksRow> = Table::new("run-lacks-1", 0xA0);

    /// Messages of ours that a relay held when it was asked after a restore.
    /// Key: message id (16). Value: when it said so, ms. Written by the run that names what is lost.
    UNDER_WAY: Table<MessageIdKey, u64> = Table::new("under-way-1", 0xA1);

    /// Statements with both signatures.
    /// Key: the other side (6), first day, last day (4 each, days since 1970), when it was made, ms (8). Value:
    /// [`StatementRow`]. Written when both have signed.
    STATEMENT: Table<StatementKey, StatementRow> = Table::new("statement-1", 0x76);

    /// The bytes of statements, in parts: one of two provinces is larger than a row may be.
    /// Key: SHA-256 of all of them (32), number of the part from 0 (4). Value: [`StatementPartRow`]. Written with
    /// [`STATEMENT`]; rows, because a journal shows its entries a moment after the rows of the same unit.
    STATEMENT_PART: Table<([u8; 32], u32), StatementPartRow> = Table::new("statement-part-1", 0x94);

    /// Days that are closed with another side.
    /// Key: the other side (6), last day (4, days since 1970). Value: [`ClosedRow`]. Written with the [`STATEMENT`] that
    /// closes them.
    CLOSED: Table<(PeerKey, u32), ClosedRow> = Table::new("closed-1", 0x95);

    /// Messages that were refused, here or by a peer, and where the receipt is that says so.
    /// Key: message id (16), peer (6). Value: [`RefusedRow`]. Written with the parcel.
    REFUSED: Table<(MessageIdKey, PeerKey), RefusedRow> = Table::new("refused-1", 0x77);

    /// How far it is proven that the ledgers of peers only grew.
    /// Key: peer (6). Value: [`ProvenRow`]. Written when a peer has proven it, or has not.
    PROVEN: Table<PeerKey, ProvenRow> = Table::new("proven-1", 0x78);

    /// Cards of peers with a head that is not proven yet: key is peer (6), ms (8). Value: [`CardRow`]. Written with [`CARD`].
    HEAD_CARD: Table<(PeerKey, u64), CardRow> = Table::new("head-card-1", 0x96);

    /// What incarnations of counties below that are no more have last reported; their books stay beside the present ones.
    /// Key: county (6), incarnation (4). Value: [`ReportedRow`]. Written with the first whole report of the next one.
    FORMER: Table<(PeerKey, u32), ReportedRow> = Table::new("former-1", 0x79);

    /// Who has decided what about messages of which two sides hold something else, and why.
    /// Key: message id (16). Value: [`DecidedRow`], sealed. Written with [`DIFFERENCE`].
    DECIDED: Table<MessageIdKey, DecidedRow, Sealed> = Table::new("decided-1", 0x7A);

    /// What recipients hold of messages of ours where that is something else, for the person who decides. Key: peer (6), message
    /// id (16). Value: [`VersionRow`], under the key of whom it is about. Written when the recipient shows it.
    VERSION: Table<(PeerKey, MessageIdKey), VersionRow, Personal> = Table::new("version-1", 0x97);

    /// Cases: their steps, and the work of this office on them.
    /// Key: message that opened the case (16). Value: [`CaseRow`]. Written with every message of a case, sent or
    /// received, and with the work of clerks.
    CASE: Table<CaseKey, CaseRow> = Table::new("case-1", 0x60).packed();

    /// Cases by whose turn it is, earliest due first.
    /// Key: 1 for this office, 2 for another; due or latest ms (8); case (16). Value: nothing. Written with [`CASE`].
    CASE_TURN: Table<CaseTurnKey, ()> = Table::new("case-turn-1", 0x61);

    /// Cases in which this node has to do something by itself.
    /// Key: case (16). Value: nothing. Written with [`CASE`].
    CASE_DUTY: Table<CaseKey, ()> = Table::new("case-duty-1", 0x62);

    /// When a part will have run of the clock of a case that no message's own clock speaks of.
    /// Key: second (8). Entries: case (16), end of the clock, ms (8), percent (1). Written with [`CASE`], removed when it was
    /// looked at.
    CASE_CLOCK: Journal<u64> = Journal::new("case-clock-1", 0x92).removable();

    /// Cases that belong together: a couple's two, both ways.
    /// Key: the first of them (16), case (16); and case (16), the first (16). Value: nothing. Written with [`CASE`].
    CASE_TOGETHER: Table<(CaseKey, CaseKey), ()> = Table::new("case-together-1", 0x63);

    /// Cases whose first message is not here, by since when.
    /// Key: since ms (8), case (16). Value: nothing. Written with [`CASE`].
    CASE_WAITING: Table<(u64, CaseKey), ()> = Table::new("case-waiting-1", 0x64);

    /// Cases from before there was a node, by person.
    /// Key: person id, old case (16). Value: [`OldCaseRow`], under the person's key. Written by imports.
    OLD_CASE: Table<(PersonId, [u8; 16]), OldCaseRow, Personal> = Table::new("old-case-1", 0x65);

    /// Their numbers, so that none is taken in twice.
    /// Key: keyed hash of other county and number (16). Value: nothing. Written with [`OLD_CASE`].
    OLD_CASE_NUMBER: Table<[u8; 16], ()> = Table::new("old-case-number-1", 0x8A);
}

#[cfg(test)]
mod tests;
