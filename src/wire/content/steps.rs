//! The steps of a case ⇄ protobuf.

use domain::case::{Deed, Step};
use domain::message::{
    Clarification, Clarify, Close, Correct, Document, Forward, HandOver, HandOverAcceptance,
    HandOverOffer, HandOverWithdrawal, Kind, Reject, Remind, Void,
};
use domain::purpose::Purpose;
use domain::rule::Rule;
use domain::text::{Note, Passage, WrittenReason};
use domain::time::UnixMillis;

use super::{MalformedContent, Twin, decode_content, encode_content, field};
use crate::pb::message as pb;

impl Twin for Remind {
    type Pb = pb::Remind;

    fn to_pb(&self, why: &Purpose) -> pb::Remind {
        pb::Remind { note: note_text(self.note.as_ref(), why) }
    }

    fn from_pb(twin: pb::Remind) -> Result<Self, MalformedContent> {
        let pb::Remind { note } = twin;
        Ok(Self { note: field::maybe_read("note", &note, Note::new)? })
    }
}

impl Twin for Clarify {
    type Pb = pb::Clarify;

    fn to_pb(&self, why: &Purpose) -> pb::Clarify {
        pb::Clarify { question: self.question.expose(why).to_owned() }
    }

    fn from_pb(twin: pb::Clarify) -> Result<Self, MalformedContent> {
        let pb::Clarify { question } = twin;
        Ok(Self { question: field::read("question", &question, Passage::new)? })
    }
}

impl Twin for Clarification {
    type Pb = pb::Clarification;

    fn to_pb(&self, why: &Purpose) -> pb::Clarification {
        pb::Clarification {
            clarify_id: self.clarify_id.as_bytes().to_vec(),
            answer: self.answer.expose(why).to_owned(),
        }
    }

    fn from_pb(twin: pb::Clarification) -> Result<Self, MalformedContent> {
        let pb::Clarification { clarify_id, answer } = twin;
        Ok(Self {
            clarify_id: field::id("clarify_id", &clarify_id)?,
            answer: field::read("answer", &answer, Passage::new)?,
        })
    }
}

impl Twin for Reject {
    type Pb = pb::Reject;

    fn to_pb(&self, why: &Purpose) -> pb::Reject {
        pb::Reject { reason: self.reason.expose(why).to_owned() }
    }

    fn from_pb(twin: pb::Reject) -> Result<Self, MalformedContent> {
        let pb::Reject { reason } = twin;
        Ok(Self { reason: field::read("reason", &reason, WrittenReason::new)? })
    }
}

impl Twin for Forward {
    type Pb = pb::Forward;

    fn to_pb(&self, _why: &Purpose) -> pb::Forward {
        pb::Forward {
            seat: field::number(self.seat),
            term: self.term,
            area: self.area.to_string(),
            cause: field::number(self.cause),
        }
    }

    fn from_pb(twin: pb::Forward) -> Result<Self, MalformedContent> {
        let pb::Forward { seat, term, area, cause } = twin;
        Ok(Self {
            seat: field::listed("seat", seat)?,
            term,
            area: field::parsed("area", &area)?,
            cause: field::listed("cause", cause)?,
        })
    }
}

impl Twin for Correct {
    type Pb = pb::Correct;

    fn to_pb(&self, why: &Purpose) -> pb::Correct {
        pb::Correct {
            corrects_id: self.corrects_id.as_bytes().to_vec(),
            correction: self.correction.expose(why).to_owned(),
        }
    }

    fn from_pb(twin: pb::Correct) -> Result<Self, MalformedContent> {
        let pb::Correct { corrects_id, correction } = twin;
        Ok(Self {
            corrects_id: field::id("corrects_id", &corrects_id)?,
            correction: field::read("correction", &correction, Passage::new)?,
        })
    }
}

impl Twin for Void {
    type Pb = pb::Void;

    fn to_pb(&self, why: &Purpose) -> pb::Void {
        pb::Void { reason: self.reason.expose(why).to_owned() }
    }

    fn from_pb(twin: pb::Void) -> Result<Self, MalformedContent> {
        let pb::Void { reason } = twin;
        Ok(Self { reason: field::read("reason", &reason, WrittenReason::new)? })
    }
}

impl Twin for Close {
    type Pb = pb::Close;

    fn to_pb(&self, why: &Purpose) -> pb::Close {
        pb::Close { note: note_text(self.note.as_ref(), why) }
    }

    fn from_pb(twin: pb::Close) -> Result<Self, MalformedContent> {
        let pb::Close { note } = twin;
        Ok(Self { note: field::maybe_read("note", &note, Note::new)? })
    }
}

impl Twin for HandOverOffer {
    type Pb = pb::HandOverOffer;

    fn to_pb(&self, _why: &Purpose) -> pb::HandOverOffer {
        pb::HandOverOffer {
            seat: field::number(self.seat),
            term: self.term,
            until_ms: self.until.get(),
            cause: field::number(self.cause),
            kind: self.kind.name().to_owned(),
            due_ms: self.due.map_or(0, UnixMillis::get),
        }
    }

    fn from_pb(twin: pb::HandOverOffer) -> Result<Self, MalformedContent> {
        let pb::HandOverOffer { seat, term, until_ms, cause, kind, due_ms } = twin;
        Ok(Self {
            seat: field::listed("seat", seat)?,
            term,
            until: UnixMillis::new(until_ms),
            cause: field::listed("cause", cause)?,
            kind: kind_from("kind", &kind)?,
            due: due_from(due_ms),
        })
    }
}

impl Twin for HandOverAcceptance {
    type Pb = pb::HandOverAcceptance;

    fn to_pb(&self, _why: &Purpose) -> pb::HandOverAcceptance {
        pb::HandOverAcceptance { seat: field::number(self.seat), term: self.term }
    }

    fn from_pb(twin: pb::HandOverAcceptance) -> Result<Self, MalformedContent> {
        let pb::HandOverAcceptance { seat, term } = twin;
        Ok(Self { seat: field::listed("seat", seat)?, term })
    }
}

impl Twin for HandOverWithdrawal {
    type Pb = pb::HandOverWithdrawal;

    fn to_pb(&self, _why: &Purpose) -> pb::HandOverWithdrawal {
        let Self { seat, term, lapsed } = *self;
        pb::HandOverWithdrawal { seat: field::number(seat), term, lapsed }
    }

    fn from_pb(twin: pb::HandOverWithdrawal) -> Result<Self, MalformedContent> {
        let pb::HandOverWithdrawal { seat, term, lapsed } = twin;
        Ok(Self { seat: field::listed("seat", seat)?, term, lapsed })
    }
}

impl Twin for HandOver {
    type Pb = pb::HandOver;

    fn to_pb(&self, _why: &Purpose) -> pb::HandOver {
        let document = |document: &Document| pb::CaseDocument {
            message_id: document.id.as_bytes().to_vec(),
            content: encode_content(&document.content),
        };
        pb::HandOver {
            seat: field::number(self.seat),
            term: self.term,
            cause: field::number(self.cause),
            steps: self.steps.iter().map(step_to_pb).collect(),
            documents: self.documents.iter().map(document).collect(),
        }
    }

    fn from_pb(twin: pb::HandOver) -> Result<Self, MalformedContent> {
        let pb::HandOver { seat, term, cause, steps, documents } = twin;
        Ok(Self {
            seat: field::listed("seat", seat)?,
            term,
            cause: field::listed("cause", cause)?,
            steps: steps.into_iter().map(step_from_pb).collect::<Result<_, _>>()?,
            documents: documents.into_iter().map(document_from_pb).collect::<Result<_, _>>()?,
        })
    }
}

/// A document inside a hand-over is no hand-over itself: what is read does not nest any deeper.
fn document_from_pb(twin: pb::CaseDocument) -> Result<Document, MalformedContent> {
    let pb::CaseDocument { message_id, content } = twin;
    let id = field::id("documents.message_id", &message_id)?;
    let read = <pb::Content as prost::Message>::decode(content.as_slice());
    let read = read.map_err(MalformedContent::NotProtobuf)?;
    if matches!(read.body, Some(pb::content::Body::HandOver(_))) {
        let field = "documents.content";
        return Err(MalformedContent::Invalid { field, rule: Rule::FieldNotAllowed });
    }
    Ok(Document { id, content: Box::new(decode_content(&content)?) })
}

/// Only what both sides of a case see: an offer is between two.
fn step_to_pb(step: &Step) -> pb::CaseStep {
    let Step { id, from, to, step, created, deed } = step;
    let mut twin = pb::CaseStep {
        message_id: id.as_bytes().to_vec(),
        from: from.to_string(),
        to: to.to_string(),
        step: *step,
        created_ms: created.get(),
        kind: deed.kind().name().to_owned(),
        ..pb::CaseStep::default()
    };
    match deed {
        Deed::Open { due, .. } => twin.due_ms = due.map_or(0, UnixMillis::get),
        Deed::Clarification { clarify: refers } | Deed::Correct { corrects: refers } => {
            twin.refers_to = refers.as_bytes().to_vec();
        }
        Deed::Transfer { seat, term, area } => {
            (twin.seat, twin.term) = (field::number(*seat), *term);
            twin.area = area.to_string();
        }
        Deed::Offer { seat, term, .. }
        | Deed::Accept { seat, term }
        | Deed::Withdraw { seat, term, .. } => {
            (twin.seat, twin.term) = (field::number(*seat), *term);
        }
        Deed::Answer { .. }
        | Deed::Document { .. }
        | Deed::Remind
        | Deed::Clarify
        | Deed::Reject
        | Deed::Void
        | Deed::Close => (),
    }
    twin
}

fn step_from_pb(twin: pb::CaseStep) -> Result<Step, MalformedContent> {
    let pb::CaseStep {
        message_id,
        from,
        to,
        step,
        created_ms,
        kind,
        due_ms,
        refers_to,
        seat,
        term,
        area,
    } = twin;
    let kind = kind_from("steps.kind", &kind)?;
    let refers = || field::id("steps.refers_to", &refers_to);
    let deed = match kind {
        Kind::Remind => Deed::Remind,
        Kind::Clarify => Deed::Clarify,
        Kind::Clarification => Deed::Clarification { clarify: refers()? },
        Kind::Reject => Deed::Reject,
        Kind::Correct => Deed::Correct { corrects: refers()? },
        Kind::Void => Deed::Void,
        Kind::Close => Deed::Close,
        Kind::Forward => Deed::Transfer {
            seat: field::listed("steps.seat", seat)?,
            term,
            area: field::parsed("steps.area", &area)?,
        },
        Kind::HandOver
        | Kind::HandOverOffer
        | Kind::HandOverAcceptance
        | Kind::HandOverWithdrawal
        | Kind::ProgressReport => {
            let field = "steps.kind";
            return Err(MalformedContent::Invalid { field, rule: Rule::FieldNotAllowed });
        }
        kind if kind.answers().is_some() => Deed::Answer { kind },
        kind if step == 0 => Deed::Open { kind, due: due_from(due_ms) },
        kind => Deed::Document { kind },
    };
    Ok(Step {
        id: field::id("steps.message_id", &message_id)?,
        from: field::parsed("steps.from", &from)?,
        to: field::parsed("steps.to", &to)?,
        step,
        created: UnixMillis::new(created_ms),
        deed,
    })
}

fn due_from(due_ms: u64) -> Option<UnixMillis> {
    (due_ms > 0).then(|| UnixMillis::new(due_ms))
}

fn note_text(note: Option<&Note>, why: &Purpose) -> String {
    note.map(|note| note.expose(why).to_owned()).unwrap_or_default()
}

fn kind_from(field: &'static str, name: &str) -> Result<Kind, MalformedContent> {
    Kind::from_name(name).ok_or(MalformedContent::Invalid { field, rule: Rule::KindName })
}
