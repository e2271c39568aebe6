//! Accepting a message: checked, numbered, sealed, and on disk with its ledger entry when the call returns.

use std::sync::Arc;
use std::time::Duration;

use domain::access::{AccessAction, Permission, PersonKey};
use domain::agreement::Agreement;
use domain::area::AreaCode;
use domain::clock::Clock;
use domain::id::{CaseId, MessageId};
use domain::message::{CheckContext, Content, Kind};
use domain::reason::Reason;
use domain::time::UnixMillis;
use exchange::envelope::{Header, SealedEnvelope, pad};
use exchange::keys::Sealer;
use exchange::lane::{LaneEpoch, LaneSeq};
use exchange::ledger::{Direction, LedgerEntry};
use store::messages::{Blob, EnvelopeKey, MessageRow, Side, message_key, peer_key};
use store::network::RedirectedRow;
use store::tables::{ENVELOPE, LANE_EPOCH, MESSAGE, REDIRECTED, TODO};
use store::{Kept, PersonHash, Store, Unit};
use wire::content::encode_content;
use wire::encode_header;

use super::after::{self, Sent};
use super::grounds::{self, Grounds};
use super::{NewSubject, journal_entry};
use crate::app::access::{self, Act, Why};
use crate::app::agreements::rule;
use crate::app::cases::{self, opening};
use crate::app::idempotency::Once;
use crate::app::{AppError, Ctx, Refusal, asked, at_risk};

/// How long a message keeps its purpose, unless its sender says otherwise.
pub const EXPIRES_AFTER: Duration = Duration::from_secs(90 * 86_400);

/// Seals for peers and wakes the couriers; the delivery side of the node.
pub trait Outlet: Send + Sync {
    /// Where mail for an area goes: to itself, or to the one that took over from it.
    ///
    /// # Errors
    /// `AREA_SPLIT`, `AREA_ENDED`, `AREA_RETIRED` or `UNKNOWN_AREA` when it goes nowhere, `PEER_CARD_MISSING` when the
    /// directory may still tell, `NODE_RETIRING` when this node sends nothing new any more, `DISK_NEARLY_FULL`
    /// while there is no room for anything new.
    fn destination(&self, to: AreaCode) -> Result<AreaCode, Refusal>;

    /// What seals for this county.
    ///
    /// # Errors
    /// `UNKNOWN_AREA` for a county this node does not send to, `PEER_CARD_MISSING` while its card is not known.
    fn sealer(&self, to: AreaCode) -> Result<Arc<dyn Sealer>, Reason>;

    /// New mail lies in the lane to this county.
    fn nudge(&self, to: AreaCode, epoch: LaneEpoch, through: LaneSeq);
}

/// A message to be sent.
#[derive(Debug)]
pub struct Draft {
    /// County it is for.
    pub to: AreaCode,
    /// What it says; its consent and request are filled in from `grounds`.
    pub content: Content,
    /// The records it rests on.
    pub grounds: Grounds,
    /// When it loses its purpose; [`EXPIRES_AFTER`] from now when not given.
    pub expires: Option<UnixMillis>,
    /// Makes a repeated call harmless; empty for none.
    pub idempotency_key: String,
}

/// A message that is on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Its id.
    pub id: MessageId,
    /// Its case.
    pub case: CaseId,
    /// County it is for.
    pub to: AreaCode,
    /// The lane's epoch.
    pub epoch: LaneEpoch,
    /// Its place in the lane.
    pub sequence: LaneSeq,
}

impl Accepted {
    /// Wakes the courier. To be called when the message is on disk.
    pub(crate) fn nudge(&self, outlet: &dyn Outlet) {
        outlet.nudge(self.to, self.epoch, self.sequence);
    }
}

/// Accepts a message. On disk when it returns.
///
/// # Errors
/// A refusal names the rule; nothing was written then.
pub async fn send(
    ctx: &Ctx,
    store: &Store,
    outlet: &dyn Outlet,
    draft: Draft,
) -> Result<Accepted, AppError> {
    ctx.must(permission(draft.content.kind()))?;
    if draft.content.replaces.is_some() {
        // Only what is on the list of dead letters is replaced, and from there.
        return Err(Refusal::new(Reason::FieldNotAllowed).field("content.replaces").into());
    }
    if draft.content.kind() == Kind::BirthRegistrationResult {
        // Every origin is told together, once, and not before all have answered: see `couple::decide`.
        return Err(Refusal::new(Reason::StateForbids).field("content").into());
    }
    hand_in(ctx, store, outlet, draft).await
}

/// The same for whoever has looked at what may be sent when: every other rule holds.
///
/// # Errors
/// As of [`send`].
pub(crate) async fn hand_in(
    ctx: &Ctx,
    store: &Store,
    outlet: &dyn Outlet,
    draft: Draft,
) -> Result<Accepted, AppError> {
    let mut prepared = prepare(ctx, store, outlet, draft, "SendMessage")?;
    let (caller, about) = (ctx.clone(), prepared.about());
    let accepted = store
        .commit(move |unit| match prepared.first(&caller, unit)? {
            Some(first) => Ok(first),
            None => prepared.accept(&caller, unit),
        })
        .await
        .map_err(AppError::from);
    let accepted = access::told(ctx, store, about, accepted).await?;
    accepted.nudge(outlet);
    Ok(accepted)
}

/// What somebody has to be allowed to do for sending a kind.
#[must_use]
pub const fn permission(kind: Kind) -> Permission {
    if kind.is_of_agreements() {
        Permission::DecideAgreements
    } else {
        Permission::ExchangeMessages
    }
}

/// A message of an operator, checked, with the key that makes a repeated call harmless.
pub(crate) struct Prepared {
    outgoing: Outgoing,
    once: Once,
    act: Act,
}

/// Checks a message, which the use case `name` is to send.
pub(crate) fn prepare(
    ctx: &Ctx,
    store: &Store,
    outlet: &dyn Outlet,
    draft: Draft,
    name: &str,
) -> Result<Prepared, AppError> {
    if draft.content.kind().is_sent_by_nodes() {
        return Err(Reason::RoleRequired.into());
    }
    if draft.content.kind().is_step() {
        // What may be done in a case is decided by the case.
        return Err(Refusal::new(Reason::StateForbids).field("content").into());
    }
    let Draft { to, mut content, grounds, expires, idempotency_key } = draft;
    // What was asked for, before this node adds what it knows: that may be more when the call is repeated.
    let once = Once::new(&idempotency_key, name, &(to, &content, grounds, expires))?;
    grounds::complete(store, &mut content, grounds)?;
    cases::number(store, &mut content)?;
    let act = Act::with(AccessAction::Send, store, &content)?;
    let addressed = (outlet.destination(to)?, content);
    let outgoing = Outgoing::new(ctx.county(), store, outlet, addressed, expires, ctx.now)?;
    Ok(Prepared { outgoing: outgoing.addressed(to), once, act })
}

impl Prepared {
    /// What came of an earlier call with the same key.
    pub(crate) fn first(&self, ctx: &Ctx, unit: &Unit<'_>) -> Result<Option<Accepted>, AppError> {
        let first = self.once.first::<[u8; 16]>(ctx, unit)?;
        first.map(|id| self.outgoing.repeated(unit, MessageId::from_bytes(id))).transpose()
    }

    /// Whom it is about, and why, for the log.
    pub(crate) const fn about(&self) -> (Why, Option<PersonKey>) {
        (self.act.why, self.act.person)
    }

    /// It goes in place of a message that named this spouse.
    pub(crate) const fn naming(&mut self, spouse: Option<PersonHash>) {
        self.outgoing.names = spouse;
    }

    /// Writes the message with everything that follows from it.
    pub(crate) fn accept(&mut self, ctx: &Ctx, unit: &mut Unit<'_>) -> Result<Accepted, AppError> {
        let accepted = self.outgoing.accept(unit)?;
        access::note(ctx, unit, Act { message: Some(accepted.id), ..self.act })?;
        self.once.keep(ctx, unit, accepted.id.as_bytes())?;
        Ok(accepted)
    }
}

/// A checked message, ready for the committer.
pub(crate) struct Outgoing {
    own: AreaCode,
    to: AreaCode,
    /// The area it is addressed to, when `to` took over from it; otherwise the same.
    addressed_to: AreaCode,
    now: UnixMillis,
    expires: UnixMillis,
    new_epoch: u64,
    content: Content,
    bytes: Vec<u8>,
    padded: Vec<u8>,
    subject: NewSubject,
    /// The spouse whom a question about somebody names.
    names: Option<PersonHash>,
    sealer: Arc<dyn Sealer>,
    /// How long the other office has to answer.
    clock: Option<Clock>,
}

impl Outgoing {
    /// Checks a message of the node of `own`: whom it is for, what it says, how long it has a purpose.
    pub(crate) fn new(
        own: AreaCode,
        store: &Store,
        outlet: &dyn Outlet,
        (to, content): (AreaCode, Content),
        expires: Option<UnixMillis>,
        now: UnixMillis,
    ) -> Result<Self, AppError> {
        if to == own {
            return Err(Refusal::new(Reason::InvalidField).field("to").into());
        }
        let sealer = outlet.sealer(to).map_err(|reason| Refusal::new(reason).field("to"))?;
        content
            .check(&CheckContext { from: own, to, now })
            .map_err(|refusal| Refusal::new(refusal.reason).field(refusal.field))?;
        let expires = expires.unwrap_or_else(|| now.saturating_add(EXPIRES_AFTER));
        if expires <= now {
            return Err(Refusal::new(Reason::Expired).field("expires_ms").into());
        }
        let bytes = encode_content(&content);
        let padded = pad(&bytes).map_err(|_| Refusal::new(Reason::TooLarge).field("content"))?;
        Ok(Self {
            own,
            to,
            addressed_to: to,
            now,
            expires,
            new_epoch: u64::from_be_bytes(crate::time::random()),
            subject: NewSubject::of(store, Some(&content), now),
            names: None,
            clock: content.body.clock(),
            content,
            bytes,
            padded,
            sealer,
        })
    }

    /// It is addressed to this area, from which the one that it goes to has taken over, or which is the same.
    pub(crate) fn addressed(self, to: AreaCode) -> Self {
        Self { addressed_to: to, ..self }
    }

    /// It names this spouse of whom it is about.
    pub(crate) fn naming(self, spouse: Option<PersonHash>) -> Self {
        Self { names: spouse, ..self }
    }

    /// Writes the message with everything that follows from it. Its id is made here, on the committer
    /// thread, so that ids grow along the lane: that is how the recipient knows without a lookup that a
    /// message is no duplicate.
    pub(crate) fn accept(&mut self, unit: &mut Unit<'_>) -> Result<Accepted, AppError> {
        self.keep_to_case(unit)?;
        grounds::still_stand(unit, &self.content, (self.own, self.to))?;
        at_risk::keep_hidden(unit, &self.content, (self.own, self.to), self.now)?;
        let agreed = self.keep_to_agreement(unit)?;
        at_risk::may_name(unit, &self.content, self.names, (self.to, self.now))?;
        asked::known_already(unit, &agreed, &self.content, self.to, self.now)?;
        let id = crate::time::next_message_id(self.own, self.now);
        let case = match self.content.in_reply_to {
            Some(asked) => self.answer(unit, asked, id)?,
            None => self.content.case_of(id).opening_message(),
        };
        let epoch = self.epoch(unit)?;
        let lane = EnvelopeKey::of(Side::Sent, self.to, epoch).key();
        let position = unit.next_position(&ENVELOPE, &lane)?;
        let sequence = LaneSeq::new(position);
        let (header, envelope) = self.seal(id, epoch, sequence)?;
        let digest = envelope.digest();
        unit.append_at(&ENVELOPE, &lane, position, &journal_entry(&envelope))?;
        let entry = LedgerEntry::of(&header, digest, Direction::Sent);
        unit.append_ledger(&entry.canonical_bytes())?;
        let row = MessageRow {
            peer: self.to,
            epoch,
            sequence,
            position,
            kind: self.content.kind().number(),
            case,
            in_reply_to: self.content.in_reply_to,
            created: self.now,
            expires: self.expires,
            due: header.due,
            digest,
            stored: self.now,
            opened: None,
            answered: None,
            content: Blob(self.bytes.clone()),
        };
        let subject = self.subject.get(unit)?;
        unit.put_personal(&MESSAGE, &subject, &message_key(id, Side::Sent), &row)?;
        if self.addressed_to != self.to {
            let redirected = RedirectedRow { addressed_to: self.addressed_to };
            unit.put(&REDIRECTED, id.as_bytes(), &redirected)?;
        }
        at_risk::keep_named(unit, id, &self.content, self.names)?;
        let (own, person) = (self.own, subject.person());
        let sent = Sent { id, own, person, row: &row, content: &self.content };
        after::sent(unit, sent, &agreed, self.now)?;
        Ok(Accepted { id, case: CaseId::from(case), to: self.to, epoch, sequence })
    }

    /// What is sent in a case is about whom the case is about, and a document goes only between the two offices that sit in
    /// it now. What may be done in a case otherwise is decided where it is done.
    fn keep_to_case(&self, unit: &Unit<'_>) -> Result<(), AppError> {
        if opening::is_about_another(unit, &self.content)? {
            return Err(Refusal::new(Reason::InvalidField).field("person.document").into());
        }
        let kind = self.content.kind();
        let document = self.content.in_reply_to.is_none() && !kind.is_step();
        let Some(case) = self.content.case.filter(|_| document) else { return Ok(()) };
        cases::may_document(unit, (case, kind), self.own, [self.to, self.addressed_to], self.now)
    }

    /// Leaves out what was not agreed, before anything is sealed.
    fn keep_to_agreement(&mut self, unit: &Unit<'_>) -> Result<Vec<Agreement>, AppError> {
        let agreed = rule::with_peer(unit, (self.own, self.to), self.now.date())?;
        let narrowed = rule::narrowed(unit, &agreed, &self.content, self.now)?;
        let narrowed =
            narrowed.map_err(|refusal| Refusal::new(refusal.reason).field(refusal.field))?;
        if let Some(content) = narrowed {
            self.bytes = encode_content(&content);
            self.padded =
                pad(&self.bytes).map_err(|_| Refusal::new(Reason::TooLarge).field("content"))?;
            self.content = content;
        }
        self.clock = rule::clock(&agreed, &self.content, self.now);
        Ok(agreed)
    }

    /// The outcome of an earlier call with the same key.
    fn repeated(&self, unit: &Unit<'_>, id: MessageId) -> Result<Accepted, AppError> {
        match unit.get_personal(&MESSAGE, &message_key(id, Side::Sent))? {
            Some(Kept::Value { value: row, .. }) => {
                let MessageRow { case, peer: to, epoch, sequence, .. } = row;
                Ok(Accepted { id, case: CaseId::from(case), to, epoch, sequence })
            }
            Some(Kept::Erased) | None => Err(Reason::NotFound.into()),
        }
    }

    fn epoch(&self, unit: &mut Unit<'_>) -> Result<LaneEpoch, AppError> {
        let peer = peer_key(self.to);
        if let Some(epoch) = unit.get(&LANE_EPOCH, &peer)? {
            return Ok(LaneEpoch::new(epoch));
        }
        unit.put(&LANE_EPOCH, &peer, &self.new_epoch)?;
        Ok(LaneEpoch::new(self.new_epoch))
    }

    fn seal(
        &mut self,
        id: MessageId,
        epoch: LaneEpoch,
        sequence: LaneSeq,
    ) -> Result<(Header, SealedEnvelope), AppError> {
        let cannot = |_| AppError::Signing("the seal for this peer is used up".to_owned());
        let seal = self.sealer.next_seal().map_err(cannot)?;
        let counter = seal.counter;
        let header = Header {
            message_id: id,
            from: self.own,
            to: self.to,
            epoch,
            sequence,
            created: self.now,
            expires: self.expires,
            due: self.clock.map(|clock| clock.due(self.now).at()),
            seal,
        };
        let bytes = encode_header(&header);
        let sealed =
            self.sealer.seal(counter, &bytes, std::mem::take(&mut self.padded)).map_err(cannot)?;
        Ok((header, SealedEnvelope::new(bytes, sealed)))
    }

    /// Ties an answer to the message it answers, and takes that off the desk. Says which case it is.
    fn answer(
        &self,
        unit: &mut Unit<'_>,
        asked: MessageId,
        id: MessageId,
    ) -> Result<MessageId, AppError> {
        let about = |reason| AppError::from(Refusal::new(reason).field("in_reply_to"));
        let case = self.content.case.unwrap_or(asked.into());
        let to = [self.to, self.addressed_to];
        let seated = cases::may_answer(unit, case, self.own, &to, self.content.kind())?;
        let question = match unit.get_personal(&MESSAGE, &message_key(asked, Side::Received))? {
            Some(Kept::Value { value, .. }) => value,
            // The case was handed over to us, and the question came with it.
            None if seated == Some(true) => return Ok(case.opening_message()),
            Some(Kept::Erased) | None => return Err(about(Reason::UnknownCase)),
        };
        let answers = question.kind().and_then(Kind::answered_by) == Some(self.content.kind());
        let same_case =
            self.content.case.is_none_or(|case| case.opening_message() == question.case);
        // Whoever took over from an office has the answers to its questions.
        let asker = seated.unwrap_or_else(|| to.contains(&question.peer));
        if !asker || !answers || !same_case {
            return Err(about(Reason::UnknownCase));
        }
        // An answer that did not arrive may be replaced by another one.
        if question.answered.is_some_and(|(answer, _)| Some(answer) != self.content.replaces) {
            return Err(about(Reason::AlreadyAnswered));
        }
        if let Some(due) = question.due {
            unit.delete(&TODO, &(due.get(), *asked.as_bytes()));
        }
        let answered = Some((id, self.now));
        update(unit, asked, Side::Received, |row| row.answered = answered)
    }
}

/// Changes a message that is kept, and says which case it belongs to.
pub(crate) fn update(
    unit: &mut Unit<'_>,
    id: MessageId,
    side: Side,
    change: impl FnOnce(&mut MessageRow),
) -> Result<MessageId, AppError> {
    let key = message_key(id, side);
    let Some(Kept::Value { mut value, person }) = unit.get_personal(&MESSAGE, &key)? else {
        return Err(Reason::NotFound.into());
    };
    change(&mut value);
    let subject = unit.subject_of(person)?.ok_or(AppError::from(Reason::NotFound))?;
    unit.put_personal(&MESSAGE, &subject, &key, &value)?;
    Ok(value.case)
}
