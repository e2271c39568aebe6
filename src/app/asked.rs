//! Ask once: what an earlier report answers is answered by the node at once, and what this office was told already is not
//! asked again without a reason.
//!
//! Reports count from the day on which two areas agree to ask once. The answer is a message like any other: agreement,
//! consent and what is hidden of a person at risk hold for it, and if one of them stands against it, a clerk answers.

use domain::agreement::{Agreement, ask_once_days};
use domain::area::AreaCode;
use domain::asked::{self, Report};
use domain::id::{MessageId, PersonId};
use domain::message::{Body, Content, Kind};
use domain::reason::Reason;
use domain::time::UnixMillis;
use store::agreements::DutyRow;
use store::messages::{MessageKey, MessageRow, PeerKey, Side, message_key, peer_key};
use store::tables::{DUTY, MESSAGE, REPORT_OF_PERSON, TODO};
use store::{Kept, Unit};
use wire::content::decode_content;

use super::agreements::rule;
use super::duties::{Duty, DutyKey, Node};
use super::messages::send::{Accepted, Outgoing};
use super::{AppError, Refusal};

/// Reports about one person to one county that are looked at.
const REPORTS_MAX: usize = 200;

/// A message that has just been taken in.
#[derive(Debug)]
pub struct Asked<'a> {
    /// Its id.
    pub id: MessageId,
    /// What it says.
    pub content: &'a Content,
    /// Whom it is about.
    pub person: PersonId,
    /// By when it has to be answered.
    pub due: Option<UnixMillis>,
}

/// Puts a question on the desk, or has the node answer it from an earlier report: in the unit that stores it. Says whether
/// the node is to answer.
///
/// # Errors
/// When rows cannot be read or written.
pub fn received(
    unit: &mut Unit<'_>,
    agreed: &[Agreement],
    asked: &Asked<'_>,
    peer: AreaCode,
    now: UnixMillis,
) -> Result<bool, AppError> {
    let Some(due) = asked.due else { return Ok(false) };
    let known = told(unit, agreed, asked.content, (asked.person, peer), Side::Sent, now)?;
    match known {
        Some(report) => {
            let duty = DutyRow { about: Some(report), at: now };
            unit.put(&DUTY, &Duty::Answer(asked.id).key(peer), &duty)?;
            Ok(true)
        }
        None => {
            unit.put(&TODO, &(due.get(), *asked.id.as_bytes()), &())?;
            Ok(false)
        }
    }
}

/// Notes that a message reports something about a person, if both areas have agreed to ask once; what is corrected, or
/// taken back with its case, is out of use.
///
/// # Errors
/// When rows cannot be read or written.
pub fn note_report(
    unit: &mut Unit<'_>,
    agreed: &[Agreement],
    content: &Content,
    (key, person, peer): (MessageKey, PersonId, AreaCode),
    now: UnixMillis,
) -> Result<(), AppError> {
    let kind = content.kind();
    out_of_use(unit, content, (key, peer))?;
    if !asked::is_report(kind) || ask_once_days(agreed, now.date()).is_none() {
        return Ok(());
    }
    let place = (person, peer_key(peer), kind.number(), key.0);
    Ok(unit.put(&REPORT_OF_PERSON, &place, &u64::from(key.1))?)
}

/// Takes a report out of use that its sender corrects, and those of a case that is taken back. Others of the same person
/// stay: nothing was said against them.
fn out_of_use(
    unit: &mut Unit<'_>,
    content: &Content,
    ((_, side), peer): (MessageKey, AreaCode),
) -> Result<(), AppError> {
    let Some(side) = Side::from_byte(side) else { return Ok(()) };
    match (&content.body, content.case) {
        // Nobody corrects what the other side has said: the message has to have gone the same way.
        (Body::Correct(body), _) => drop_report(unit, (body.corrects_id, side), peer),
        (Body::Void(_), Some(case)) => {
            let opening = case.opening_message();
            drop_report(unit, (opening, side), peer)?;
            let other = if side == Side::Sent { Side::Received } else { Side::Sent };
            let question = unit.get_personal(&MESSAGE, &message_key(opening, side))?;
            match question.and_then(Kept::value).and_then(|row| row.answered) {
                Some((answer, _)) => drop_report(unit, (answer, other), peer),
                None => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

/// The record of a person has changed here: what was reported before of what these kinds speak of answers nothing any more.
///
/// # Errors
/// When rows cannot be read.
pub fn outdated(unit: &mut Unit<'_>, person: PersonId, kinds: &[Kind]) -> Result<(), AppError> {
    let mut after: Option<ReportedKey> = None;
    loop {
        let rows = unit.scan_under(&REPORT_OF_PERSON, &(person,), after.as_ref(), REPORTS_MAX)?;
        let Some((last, _)) = rows.last() else { return Ok(()) };
        after = Some(*last);
        for (key, side) in rows {
            let ours = side == u64::from(Side::Sent.byte());
            if ours && kinds.iter().any(|kind| kind.number() == key.2) {
                unit.delete(&REPORT_OF_PERSON, &key);
            }
        }
    }
}

fn drop_report(
    unit: &mut Unit<'_>,
    (id, side): (MessageId, Side),
    peer: AreaCode,
) -> Result<(), AppError> {
    let kept = unit.get_personal(&MESSAGE, &message_key(id, side))?;
    if let Some(Kept::Value { value, person }) = kept
        && value.peer == peer
    {
        unit.delete(&REPORT_OF_PERSON, &(person, peer_key(peer), value.kind, *id.as_bytes()));
    }
    Ok(())
}

/// Refuses to ask what the other county has reported already, unless it is said why it is asked again.
///
/// # Errors
/// `ALREADY_ANSWERED`, naming the report.
pub fn known_already(
    unit: &Unit<'_>,
    agreed: &[Agreement],
    content: &Content,
    to: AreaCode,
    now: UnixMillis,
) -> Result<(), AppError> {
    let Some(person) = content.person.as_ref().filter(|_| asked::is_question(content.kind()))
    else {
        return Ok(());
    };
    let Some(subject) = unit.find_subject(unit.document_hash(&person.document))? else {
        return Ok(());
    };
    match told(unit, agreed, content, (subject.person(), to), Side::Received, now)? {
        Some(report) => {
            let refusal = Refusal::new(Reason::AlreadyAnswered).field("content.asked_again");
            let detail = "an earlier report answers it; say why it is asked again, or read that";
            Err(refusal.existing(report).detail(detail).into())
        }
        None => Ok(()),
    }
}

/// The report that answers a question, if one does and both areas have agreed to ask once.
fn told(
    unit: &Unit<'_>,
    agreed: &[Agreement],
    question: &Content,
    (person, peer): (PersonId, AreaCode),
    side: Side,
    now: UnixMillis,
) -> Result<Option<MessageId>, AppError> {
    if !asked::is_question(question.kind()) {
        return Ok(None);
    }
    let Some(days) = ask_once_days(agreed, now.date()) else { return Ok(None) };
    let reports = reports(unit, (person, peer), side)?;
    Ok(asked::answer(question, &reports, days, now.date()).map(|(report, _)| report))
}

type ReportedKey = (PersonId, PeerKey, u8, [u8; 16]);

fn reported(
    unit: &Unit<'_>,
    person: PersonId,
    peer: AreaCode,
) -> Result<Vec<(ReportedKey, u64)>, AppError> {
    Ok(unit.scan_under(&REPORT_OF_PERSON, &(person, peer_key(peer)), None, REPORTS_MAX)?)
}

/// What was reported about a person, one way.
fn reports(
    unit: &Unit<'_>,
    (person, peer): (PersonId, AreaCode),
    side: Side,
) -> Result<Vec<Report>, AppError> {
    let mut reports = Vec::new();
    for ((_, _, _, id), noted) in reported(unit, person, peer)? {
        if noted != u64::from(side.byte()) {
            continue;
        }
        let id = MessageId::from_bytes(id);
        let Some((row, content)) = kept(unit, message_key(id, side))? else { continue };
        // Its question lies on the other side.
        let other = if side == Side::Sent { Side::Received } else { Side::Sent };
        let question = match row.in_reply_to {
            Some(asked) => kept(unit, message_key(asked, other))?.map(|(_, content)| content),
            None => None,
        };
        reports.push(Report { id, at: row.created, content, question });
    }
    Ok(reports)
}

fn kept(unit: &Unit<'_>, key: MessageKey) -> Result<Option<(MessageRow, Content)>, AppError> {
    let row = unit.get_personal(&MESSAGE, &key)?.and_then(Kept::value);
    Ok(row.and_then(|row| Some((decode_content(&row.content.0).ok()?, row))).map(|(c, r)| (r, c)))
}

/// Answers a question from the report that was found, and says whether it was answered; if it cannot be, it goes on the
/// desk of the office.
pub(super) async fn answer(
    node: &Node<'_>,
    id: MessageId,
    duty: DutyRow,
    peer: AreaCode,
) -> Result<bool, AppError> {
    let (key, now) = (Duty::Answer(id).key(peer), node.now);
    let question = node.store.get_personal(&MESSAGE, &message_key(id, Side::Received))?;
    let Some(Kept::Value { value: row, person }) = question else {
        return on_the_desk(node, key, None).await;
    };
    if row.answered.is_some() {
        return on_the_desk(node, key, None).await;
    }
    let Ok(asked) = decode_content(&row.content.0) else {
        return on_the_desk(node, key, None).await;
    };
    let agreed = rule::known(node.store, (node.own, peer), now.date())?;
    let Some(days) = ask_once_days(&agreed, now.date()) else {
        return on_the_desk(node, key, Some(&row)).await;
    };
    let (question, today) = (asked.clone(), now.date());
    let found = node.store.commit(move |unit| {
        let reports = reports(unit, (person, peer), Side::Sent)?;
        Ok::<_, AppError>(asked::answer(&question, &reports, days, today))
    });
    let found = found.await.map_err(AppError::from)?;
    let Some((report, body)) = found.filter(|(report, _)| Some(*report) == duty.about) else {
        return on_the_desk(node, key, Some(&row)).await;
    };
    let content = Content {
        case: Some(row.case.into()),
        in_reply_to: Some(id),
        answered_from: Some(report),
        replaces: None,
        step: 0,
        asked_again: None,
        body,
        ..asked
    };
    let outgoing = Outgoing::new(node.own, node.store, node.outlet, (peer, content), None, now);
    let mut outgoing = match outgoing {
        Ok(outgoing) => outgoing,
        Err(AppError::Refused(_)) => return on_the_desk(node, key, Some(&row)).await,
        Err(error) => return Err(error),
    };
    let sent = node.store.commit(move |unit| {
        let accepted = outgoing.accept(unit)?;
        unit.delete(&DUTY, &key);
        Ok::<_, AppError>(accepted)
    });
    let accepted: Accepted = match sent.await.map_err(AppError::from) {
        Ok(accepted) => accepted,
        Err(AppError::Refused(_)) => return on_the_desk(node, key, Some(&row)).await,
        Err(error) => return Err(error),
    };
    accepted.nudge(node.outlet);
    Ok(true)
}

/// A clerk answers it.
async fn on_the_desk(
    node: &Node<'_>,
    key: DutyKey,
    question: Option<&MessageRow>,
) -> Result<bool, AppError> {
    let due = question.and_then(|row| row.due);
    let put = node.store.commit(move |unit| {
        unit.delete(&DUTY, &key);
        if let Some(due) = due {
            unit.put(&TODO, &(due.get(), key.1), &())?;
        }
        Ok::<_, AppError>(false)
    });
    put.await.map_err(AppError::from)
}
