//! What a message would tell about where a person is: for somebody at risk none of it leaves the county that knows.
//!
//! The county that a message comes from cannot be hidden, so nothing goes about her that she has not asked for herself.
//! What she has asked for goes without the place, and no free text may bring the place in. Like every screening of texts
//! it makes mistakes harder and visible; whoever wants to write the place finds a way, and the access log names him.

use std::fmt;

use crate::area::{AreaCode, AreaTable};
use crate::case::TransferCause;
use crate::purpose::LawfulBasis;
use crate::text::Note;

use super::check::texts;
use super::content::{Body, Content};
use super::outcome::{OutflowOutcome, ReferralOutcome, StatementOutcome};
use super::screen::{dense, has_number};

/// What stands in place of where somebody at risk is seen: she herself is told.
pub const PLACE_TOLD_TO_HER: &str = "地点另行告知本人";
/// The same in English.
const TOLD_SEPARATELY: &str = "told to her separately";
/// So many letters together, taken from an address, give it away.
const PIECE: usize = 3;
/// Ends of the names of areas that people leave out.
const ENDINGS: [&str; 9] =
    ["特别行政区", "自治区", "自治州", "自治县", "地区", "省", "市", "县", "区"];

/// What this county knows of where a person at risk is.
#[derive(Clone, Copy)]
pub struct Stay<'a> {
    /// The county itself.
    pub county: AreaCode,
    /// She is or was registered here.
    pub registered: bool,
    /// Her addresses, as she stated them.
    pub addresses: &'a [&'a str],
    /// The county that is told.
    pub to: AreaCode,
}

impl fmt::Debug for Stay<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stay").field("to", &self.to).finish_non_exhaustive()
    }
}

/// The field by which a content would tell where a person at risk is, or was, or goes; none when it tells nothing.
pub fn shows(content: &Content, stay: &Stay<'_>) -> Option<&'static str> {
    let unasked = content.basis == LawfulBasis::StatutoryDuty
        && content.kind().answers().is_none()
        && content.person.is_some();
    if stay.registered && unasked {
        return Some("basis");
    }
    if let Some(field) = place(&content.body, stay.registered) {
        return Some(field);
    }
    let again = content.asked_again.as_ref().map(|text| ("asked_again", text.raw()));
    let said = texts(&content.body).into_iter().chain(again);
    let words = Words::of(stay);
    said.filter(|(_, text)| *text != PLACE_TOLD_TO_HER)
        .find(|(_, text)| words.are_in(text))
        .map(|(field, _)| field)
}

/// The field of a body that says by itself where she is. Every kind is named, so that a new one does not compile until
/// somebody has thought about it.
fn place(body: &Body, registered: bool) -> Option<&'static str> {
    match body {
        Body::ArrivalNotice(notice) => notice.residence_area.map(|_| "residence_area"),
        Body::DepartureNotice(notice) => notice.destination_area.map(|_| "destination_area"),
        // Where a case goes says where she is: it stays with the office that has it, unless both the area that is to have
        // it and the other side may know.
        Body::HandOverOffer(body) => goes(body.cause, registered).then_some("hand_over"),
        Body::Forward(body) => goes(body.cause, registered).then_some("area"),
        Body::HandOver(body) => goes(body.cause, registered).then_some("documents"),
        // A child is mostly born where its mother lives.
        Body::BirthReport(report) => report.birth_area.map(|_| "birth_area"),
        // That she is registered here is what must not be known there.
        Body::OutflowFeedback(said) => {
            (said.outcome == OutflowOutcome::Arrived).then_some("outcome")
        }
        Body::InquiryAnswer(said) if registered => {
            let silent =
                matches!(said.outcome, StatementOutcome::CannotVerify | StatementOutcome::NotOurs);
            if silent { said.answer.as_ref().map(|_| "answer") } else { Some("outcome") }
        }
        // Where she is seen is near where she lives; she is told herself.
        Body::ReferralFeedback(said) if said.outcome == ReferralOutcome::Booked => {
            let told = said.place.as_ref().map(Note::raw);
            let told = [PLACE_TOLD_TO_HER, TOLD_SEPARATELY].map(Some).contains(&told);
            (!told).then_some("place")
        }
        // These name a county of household registration, or no place at all.
        Body::ArrivalFeedback(_)
        | Body::OutflowNotice(_)
        | Body::CertificateInquiry(_)
        | Body::CertificateStatement(_)
        | Body::CertificateNotice(_)
        | Body::BirthRegistrationInquiry(_)
        | Body::BirthRegistrationStatement(_)
        | Body::BirthRegistrationResult(_)
        | Body::PregnancyReport(_)
        | Body::PregnancyFeedback(_)
        | Body::ContraceptionReport(_)
        | Body::ContraceptionFeedback(_)
        | Body::BirthFeedback(_)
        | Body::ServiceReport(_)
        | Body::ServiceReferral(_)
        | Body::ReferralFeedback(_)
        | Body::Inquiry(_)
        | Body::InquiryAnswer(_)
        | Body::AgreementProposal(_)
        | Body::AgreementDecision(_)
        | Body::ProgressReport(_)
        | Body::Remind(_)
        | Body::Clarify(_)
        | Body::Clarification(_)
        | Body::Reject(_)
        | Body::Correct(_)
        | Body::Void(_)
        | Body::Close(_)
        | Body::HandOverAcceptance(_)
        | Body::HandOverWithdrawal(_)
        | Body::ConsentWithdrawal(_)
        | Body::ConsentWithdrawalDone(_)
        | Body::AgreementEnd(_) => None,
    }
}

/// Whether a case goes where its person is: the office of her residence gives it to no other that has nothing to do with
/// that.
const fn goes(cause: TransferCause, registered: bool) -> bool {
    registered || matches!(cause, TransferCause::PersonMoved)
}

/// What gives the place away when it stands in a text: names of areas and pieces of addresses, without blanks and
/// punctuation.
struct Words {
    names: Vec<String>,
    pieces: Vec<String>,
}

impl Words {
    /// Names of every area of her province, with and without their endings where she lives, but for those that the county
    /// that is told is known by itself; and every piece of her addresses.
    fn of(stay: &Stay<'_>) -> Self {
        let table = AreaTable::builtin();
        let province = stay.county.province();
        let own = [stay.county, stay.county.prefecture(), province];
        let theirs = [stay.to, stay.to.prefecture(), stay.to.province()];
        let known: Vec<String> = theirs.iter().flat_map(|area| names(table, area, true)).collect();
        let inside = table.areas().iter().filter(|area| province.contains(&area.code));
        // Some are called 城区, as any part of a town may be.
        let telling = inside.map(|area| dense(area.name)).filter(|name| name.chars().count() > 2);
        let mut all: Vec<String> = telling.collect();
        all.extend(own.iter().flat_map(|area| names(table, area, true)));
        all.retain(|name| !known.contains(name));
        all.sort_unstable();
        all.dedup();
        let pieces = stay.addresses.iter().flat_map(|address| pieces(address)).collect();
        Self { names: all, pieces }
    }

    fn are_in(&self, text: &str) -> bool {
        let folded = dense(text);
        has_number(text)
            || self.names.iter().chain(&self.pieces).any(|word| folded.contains(word.as_str()))
    }
}

/// What an area is called, in all years; also without its ending.
fn names(table: &AreaTable, area: &AreaCode, short: bool) -> Vec<String> {
    let mut all = Vec::new();
    for period in table.periods(area) {
        let name = dense(period.name);
        let bare = ENDINGS.iter().find_map(|ending| name.strip_suffix(ending));
        if let Some(bare) = bare.filter(|bare| short && bare.chars().count() >= 2) {
            all.push(bare.to_owned());
        }
        all.push(name);
    }
    all
}

/// Every three letters of an address that stand together and are not mere digits.
fn pieces(address: &str) -> Vec<String> {
    let letters: Vec<char> = dense(address).chars().collect();
    let telling = |piece: &&[char]| piece.iter().filter(|c| !c.is_ascii_digit()).count() >= 2;
    letters.windows(PIECE).filter(telling).map(|piece| piece.iter().collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::bodies::{ReferralFeedback, ServiceReport};
    use crate::message::{CheckContext, Kind, OutflowFeedback};
    use crate::synthetic::{Messages, People};

    const ADDRESS: &str = "南头街道 科技园北区 5栋1203";

    fn area(code: &str) -> AreaCode {
        code.parse().unwrap()
    }

    fn stay(registered: bool) -> Stay<'static> {
        let addresses = &[ADDRESS];
        Stay { county: area("440305"), registered, addresses, to: area("410522") }
    }

    fn sample(kind: Kind) -> Content {
        let (from, to) = (area("440305"), area("410522"));
        let now = crate::time::UnixMillis::new(1_772_000_000_000);
        let people = People::new(3, vec![to], now.date());
        Messages::new(people, CheckContext { from, to, now }).next(kind).unwrap()
    }

    fn says(text: &str) -> bool {
        Words::of(&stay(true)).are_in(text)
    }

    #[test]
    fn places_are_found_in_texts() {
        for text in [
            "她住在南山区",
            "现居深圳，勿扰",
            "在广东打工",
            "福田区的医院",
            "科 技 园 北，区",
            "住科技园北一带",
            "电话 0755-2653 1234",
            "邮编518057",
            "４４０３０５",
            "1 8 9 2 3 4",
        ] {
            assert!(says(text), "{text}");
        }
        for text in [
            "档案缺失，无法核实。",
            "本人已于2026-03-01领取。",
            "请安阳县协助，河南省内办理。",
            "第12次补充材料",
            "Her file is not here.",
        ] {
            assert!(!says(text), "{text}");
        }
    }

    #[test]
    fn what_she_has_not_asked_for_does_not_go_about_her() {
        let content = sample(Kind::ArrivalNotice);
        let on = |basis| Content { basis, ..content.clone() };
        assert_eq!(shows(&on(LawfulBasis::StatutoryDuty), &stay(true)), Some("basis"));
        let mut own = on(LawfulBasis::OwnApplication);
        let Body::ArrivalNotice(notice) = &mut own.body else { unreachable!() };
        notice.residence_area = None;
        assert_eq!(shows(&own, &stay(true)), None);
        let Body::ArrivalNotice(notice) = &mut own.body else { unreachable!() };
        notice.residence_area = Some(area("440305003"));
        assert_eq!(shows(&own, &stay(true)), Some("residence_area"));
    }

    #[test]
    fn answers_do_not_say_that_she_is_here() {
        let with = |body: Body| Content { body, ..sample(Kind::OutflowFeedback) };
        let arrived =
            OutflowFeedback { outcome: OutflowOutcome::Arrived, arrived_on: None, note: None };
        assert_eq!(shows(&with(arrived.into()), &stay(true)), Some("outcome"));
        let not_found = OutflowFeedback {
            outcome: OutflowOutcome::NotFound,
            arrived_on: None,
            note: Some(Note::new("人在南山").unwrap()),
        };
        assert_eq!(shows(&with(not_found.into()), &stay(true)), Some("note"));
        let booked = |place: &str| {
            with(Body::from(ReferralFeedback {
                outcome: ReferralOutcome::Booked,
                appointment_on: None,
                place: Some(Note::new(place).unwrap()),
                reason: None,
            }))
        };
        assert_eq!(shows(&booked("妇幼保健院"), &stay(true)), Some("place"));
        assert_eq!(shows(&booked(PLACE_TOLD_TO_HER), &stay(true)), None);
    }

    #[test]
    fn every_free_text_of_every_kind_is_looked_at() {
        let mut looked = 0;
        for kind in Kind::ALL.iter().copied().filter(|kind| !kind.is_of_agreements()) {
            let content = sample(kind);
            for (field, text) in texts(&content.body) {
                assert!(!text.is_empty());
                looked += 1;
                let place = Words { names: vec![dense(text)], pieces: Vec::new() };
                assert!(place.are_in(text), "{kind:?} {field}");
            }
        }
        assert!(looked > 10, "{looked}");
    }

    #[test]
    fn a_hand_over_tells_where_she_went() {
        for kind in [Kind::Forward, Kind::HandOver, Kind::HandOverOffer] {
            let content = Content { basis: LawfulBasis::OwnApplication, ..sample(kind) };
            assert!(shows(&content, &stay(true)).is_some(), "{kind:?}");
        }
        let report = sample(Kind::ServiceReport);
        let Body::ServiceReport(body) = report.body.clone() else { unreachable!() };
        let note = Some(Note::new("请寄深圳").unwrap());
        let report = Content { body: ServiceReport { note, ..body }.into(), ..report };
        assert_eq!(shows(&report, &stay(false)), Some("note"));
    }
}
