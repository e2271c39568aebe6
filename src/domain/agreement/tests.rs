//! Tests of agreements: what may pass, what both sign, and how one follows another.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::area::AreaCode;
use crate::id::AgreementId;
use crate::message::{Body, CheckContext, Content};
use crate::synthetic::{Messages, People};
use crate::time::UnixMillis;

/// 2026-11-20T10:00:00+08:00.
const NOW: UnixMillis = UnixMillis::new(1_795_140_000_000);

fn here() -> AreaCode {
    "440305".parse().unwrap()
}

fn there() -> AreaCode {
    "410522".parse().unwrap()
}

fn context() -> CheckContext {
    CheckContext { from: here(), to: there(), now: NOW }
}

fn content(seed: u64, kind: Kind) -> Content {
    let people = People::new(seed, vec![here(), there()], NOW.date());
    Messages::new(people, context()).next(kind).unwrap()
}

fn terms(kinds: impl IntoIterator<Item = Kind>) -> AgreementTerms {
    let with_answers = kinds.into_iter().flat_map(|kind| [Some(kind), kind.answered_by()]);
    AgreementTerms {
        kinds: with_answers.flatten().map(|kind| (kind, KindTerms::whole(kind))).collect(),
        purposes: Purpose::ALL.iter().copied().collect(),
        valid_from: NOW.date().plus_days(-10),
        valid_until: NOW.date().plus_days(300),
        retention_months: 36,
        ask_once_days: 30,
        notice_days: 30,
        contact: Note::new("值班电话 0372-1234567").unwrap(),
    }
}

fn agreed(terms: AgreementTerms) -> Agreement {
    let id = AgreementId::from_bytes([7; 16]);
    let proposed = Agreement::propose((id, 1), (here(), there()), terms, None).unwrap();
    proposed.decide(there(), true, NOW).unwrap()
}

fn personal() -> impl Iterator<Item = Kind> {
    Kind::ALL.iter().copied().filter(|kind| kind.needs_person() && !kind.is_step())
}

fn code(result: Result<Permit, crate::message::Refusal>) -> Option<&'static str> {
    result.err().map(|refusal| {
        assert_eq!(refusal.reason, Reason::NotAgreed);
        refusal.field
    })
}

#[test]
fn without_an_agreement_only_what_the_law_names_passes() {
    let passes = ["Arrival", "Departure", "Certificate", "BirthRegistration", "Agreement"];
    let by_nodes = ["ProgressReport", "ConsentWithdrawal"];
    for kind in Kind::ALL.iter().copied().filter(|kind| !kind.is_step()) {
        let may = permit(&[], &content(1, kind), None, NOW.date()).is_ok();
        let named = passes.iter().chain(&by_nodes).any(|name| kind.name().starts_with(name));
        assert_eq!(may, named, "{kind:?}");
    }
}

#[test]
fn an_agreement_lets_its_kinds_pass_and_no_others_for_its_purposes_and_days() {
    for kind in personal().filter(|kind| !kind.passes_without_agreement()) {
        if kind.is_step() {
            continue;
        }
        let content = content(2, kind);
        let today = NOW.date();
        let listing = agreed(terms([kind.answers().unwrap_or(kind)]));
        assert_eq!(code(permit(std::slice::from_ref(&listing), &content, None, today)), None);
        let mut other = terms([Kind::ArrivalNotice]);
        assert_eq!(code(permit(&[agreed(other.clone())], &content, None, today)), Some("kind"));
        other = terms([kind.answers().unwrap_or(kind)]);
        other.purposes.remove(&content.purpose);
        assert_eq!(code(permit(&[agreed(other)], &content, None, today)), Some("purpose"));
        for day in [today.plus_days(-11), today.plus_days(301)] {
            let outside = permit(std::slice::from_ref(&listing), &content, None, day);
            assert_eq!(code(outside), Some("kind"), "{kind:?} on {day}");
        }
        let proposed = Agreement { state: AgreementState::Proposed, ..listing };
        assert_eq!(code(permit(&[proposed], &content, None, today)), Some("kind"));
    }
}

/// What an agreement leaves out is never what a message cannot do without.
#[test]
fn every_message_keeps_the_rules_without_the_fields_that_can_be_left_out() {
    for kind in personal() {
        for seed in 0..60 {
            let whole = content(seed, kind);
            assert_eq!(whole.check(&context()), Ok(()), "{kind:?} {seed}");
            let all = fields::present_fields(&whole.body);
            let bare = without_fields(&whole, &all);
            assert_eq!(bare.check(&context()), Ok(()), "{kind:?} {seed} without {all:?}");
            assert!(fields::present_fields(&bare.body).is_empty());
            assert!(is_reduction(&bare, &whole));
            assert_eq!(is_reduction(&whole, &bare), all.is_empty());
        }
    }
}

#[test]
fn clocks_only_get_shorter_and_content_is_kept_at_least_as_long_as_the_law_wants() {
    let fault = |change: &dyn Fn(&mut AgreementTerms)| {
        let mut terms = terms([Kind::Inquiry, Kind::PregnancyReport]);
        assert_eq!(terms.faults(), []);
        change(&mut terms);
        terms.faults().into_iter().map(|(_, field)| field).next()
    };
    let days = |kind, days| {
        move |terms: &mut AgreementTerms| {
            terms.kinds.get_mut(&kind).unwrap().days = Some(days);
        }
    };
    assert_eq!(fault(&days(Kind::Inquiry, 29)), None);
    assert_eq!(fault(&days(Kind::Inquiry, 30)), Some("kind_terms.days"));
    assert_eq!(fault(&days(Kind::InquiryAnswer, 3)), Some("kind_terms.days"));
    assert_eq!(fault(&days(Kind::PregnancyReport, 0)), Some("kind_terms.days"));
    assert_eq!(fault(&|terms| terms.retention_months = 5), Some("retention_months"));
    assert_eq!(fault(&|terms| terms.ask_once_days = 366), Some("ask_once_days"));
    assert_eq!(fault(&|terms| terms.notice_days = 91), Some("notice_days"));
    assert_eq!(fault(&|terms| terms.purposes.clear()), Some("purposes"));
    assert_eq!(fault(&|terms| terms.kinds.clear()), Some("kinds"));
    assert_eq!(fault(&|terms| drop(terms.kinds.remove(&Kind::InquiryAnswer))), Some("kinds"));
    let office = KindTerms::whole(Kind::AgreementEnd);
    let with_office = |terms: &mut AgreementTerms| {
        terms.kinds.insert(Kind::AgreementEnd, office.clone());
    };
    assert_eq!(fault(&with_office), Some("kinds"));
    assert_eq!(fault(&|t| t.valid_until = t.valid_from.plus_days(-1)), Some("valid_until"));
    assert_eq!(fault(&|t| t.valid_until = t.valid_from.plus_years(6)), Some("valid_until"));
    let mut shorter = terms([Kind::Inquiry, Kind::CertificateInquiry]);
    shorter.kinds.get_mut(&Kind::Inquiry).unwrap().days = Some(10);
    shorter.kinds.get_mut(&Kind::CertificateInquiry).unwrap().days = Some(2);
    let agreements = [agreed(shorter)];
    let clock = |kind| shortest_clock(&agreements, kind, NOW.date());
    assert_eq!(clock(Kind::Inquiry), Some(Clock::Days(10)));
    assert_eq!(clock(Kind::CertificateInquiry), Some(Clock::WorkingDays(2)));
    assert_eq!(clock(Kind::ArrivalNotice), None);
}

#[test]
fn content_is_kept_for_the_shortest_time_that_an_agreement_in_force_says_about_its_kind() {
    let months = |agreements: &[Agreement], kind, on| retention_months(agreements, kind, on);
    let today = NOW.date();
    assert_eq!(months(&[], Kind::Inquiry, today), RETENTION_MONTHS_USUAL);
    let mut long = terms([Kind::Inquiry, Kind::ServiceReferral]);
    long.retention_months = 48;
    long.kinds.get_mut(&Kind::ServiceReferral).unwrap().retention_months = Some(12);
    let mut short = terms([Kind::Inquiry]);
    (short.retention_months, short.valid_until) = (6, today);
    let agreements = [agreed(long), agreed(short)];
    assert_eq!(months(&agreements, Kind::Inquiry, today), 6);
    assert_eq!(months(&agreements, Kind::Inquiry, today.plus_days(1)), 48, "the short one is over");
    assert_eq!(months(&agreements, Kind::ServiceReferral, today), 12);
    assert_eq!(months(&agreements, Kind::ArrivalNotice, today), RETENTION_MONTHS_USUAL);
}

#[test]
fn content_under_a_consent_goes_on_the_day_after_its_last() {
    let today = NOW.date();
    let mut listed = terms([Kind::PregnancyReport]);
    listed.retention_months = 12;
    let agreements = [agreed(listed)];
    let until = |consent| kept_until(&agreements, Kind::PregnancyReport, today, consent);
    assert_eq!(until(None), today.plus_months(12));
    assert_eq!(until(Some(today.plus_days(30))), today.plus_days(31));
    assert_eq!(until(Some(today)), today.plus_days(1), "its last day counts");
    assert_eq!(until(Some(today.plus_years(3))), today.plus_months(12));
    let usual = kept_until(&[], Kind::ArrivalNotice, today, None);
    assert_eq!(usual, today.plus_months(RETENTION_MONTHS_USUAL));
}

#[test]
fn the_other_side_decides_once_and_either_ends_it_with_notice() {
    let id = AgreementId::from_bytes([7; 16]);
    let both = (here(), there());
    let proposed = Agreement::propose((id, 1), both, terms([Kind::ServiceReport]), None).unwrap();
    assert_eq!(proposed.decide(here(), true, NOW), Err(AgreementError::OwnProposal));
    let third = "330106".parse().unwrap();
    assert_eq!(proposed.decide(third, true, NOW), Err(AgreementError::NotASide));
    let declined = proposed.decide(there(), false, NOW).unwrap();
    assert_eq!(declined.decide(there(), true, NOW), Err(AgreementError::NotOpen));
    let agreed = proposed.decide(there(), true, NOW).unwrap();
    let today = NOW.date();
    assert!(agreed.is_in_force(today) && !declined.is_in_force(today));
    assert_eq!(agreed.end(there(), today.plus_days(29), today), Err(AgreementError::Notice));
    let ended = agreed.end(there(), today.plus_days(30), today).unwrap();
    assert!(ended.is_in_force(today.plus_days(30)) && !ended.is_in_force(today.plus_days(31)));
    assert_eq!(declined.end(here(), today, today), Err(AgreementError::NotAgreed));
    let next = |version, last: &Agreement| {
        Agreement::propose((id, version), (there(), here()), terms([Kind::Inquiry]), Some(last))
    };
    assert_eq!(next(3, &agreed).unwrap_err(), AgreementError::VersionOrder);
    let second = next(2, &agreed).unwrap();
    assert_eq!(second.version, 2);
    assert_eq!(declined.replace(2, today), declined, "what was declined stays so");
    let never = proposed.replace(2, today.plus_days(9));
    assert_eq!(never.last_day(), None, "what was never agreed on never holds");
}

#[test]
fn a_version_holds_until_the_next_one_begins() {
    let id = AgreementId::from_bytes([7; 16]);
    let both = (here(), there());
    let first = Agreement::propose((id, 1), both, terms([Kind::ServiceReport]), None).unwrap();
    let first = first.decide(there(), true, NOW).unwrap();
    let today = NOW.date();
    let in_days = |days| today.plus_days(days);
    let replaced = first.replace(2, in_days(30));
    assert!(replaced.is_in_force(in_days(29)) && !replaced.is_in_force(in_days(30)));
    assert_eq!(replaced.replace(3, in_days(40)), replaced, "it never holds for longer again");
    assert!(!replaced.replace(3, in_days(10)).is_in_force(in_days(10)));
    assert!(!first.replace(2, today).is_in_force(today), "one that begins now replaces it now");
    let ended = first.end(there(), in_days(30), today).unwrap();
    assert_eq!(ended.replace(2, in_days(31)), ended);
    assert!(!ended.replace(2, in_days(30)).is_in_force(in_days(30)));
}

#[test]
fn a_case_can_be_ended_when_what_was_agreed_is_over() {
    let today = NOW.date();
    for (kind, goes) in [
        (Kind::Void, true),
        (Kind::Close, true),
        (Kind::Reject, true),
        (Kind::HandOverWithdrawal, true),
        (Kind::Remind, false),
        (Kind::InquiryAnswer, false),
    ] {
        let passed = permit(&[], &content(3, kind), Some(Kind::Inquiry), today);
        assert_eq!(passed.is_ok(), goes, "{kind:?}");
    }
}

#[test]
fn both_sides_sign_the_same_lines() {
    let mut agreed = terms([Kind::ServiceReferral]);
    agreed.kinds.get_mut(&Kind::ServiceReferral).unwrap().days = Some(3);
    agreed.purposes = [Purpose::HealthService].into();
    let id = "0190a1b2-0000-7000-8000-000000000001".parse().unwrap();
    let bytes = canonical_bytes(id, 2, (here(), there()), &agreed);
    let text = String::from_utf8(bytes.clone()).unwrap();
    let read = parse_canonical(&text).unwrap();
    assert_eq!((read.id, read.version, read.between), (id, 2, (here(), there())));
    assert_eq!(read.terms, agreed);
    for (from, to) in [("valid ", "valid  "), ("version 2", "version 02"), ("\n", "\r\n")] {
        assert_eq!(parse_canonical(&text.replacen(from, to, 1)), None, "{to:?}");
    }
    assert_eq!(parse_canonical(&format!("{text}more\n")), None);
    let expected = "liangdi agreement 1\nid 0190a1b2-0000-7000-8000-000000000001\nversion 2\n\
        between 440305 410522\nvalid 2026-11-10 2027-09-16\nkind ServiceReferral 3 0 wanted_on\n\
        kind ReferralFeedback 0 0 \npurpose HEALTH_SERVICE\nretention-months 36\n\
        ask-once-days 30\nnotice-days 30\n\
        contact e580bce78fade794b5e8af9d20303337322d31323334353637\n";
    assert_eq!(String::from_utf8(bytes.clone()).unwrap(), expected);
    let words = [Word::Proposed, Word::Accepted(None), Word::Declined, Word::Ended(NOW.date())];
    let signed: BTreeSet<_> = words.into_iter().map(|word| signed_bytes(&bytes, word)).collect();
    assert_eq!(signed.len(), words.len(), "no word passes for another");
}

/// Terms with some kinds and some of their fields.
fn some_terms() -> impl Strategy<Value = AgreementTerms> {
    let kinds: Vec<_> = personal().collect();
    let listed = proptest::sample::subsequence(kinds.clone(), 1..=kinds.len());
    (listed, any::<u64>(), 0_i32..20, 0_i32..20).prop_map(|(listed, bits, from, until)| {
        let mut terms = terms(listed);
        for (at, kind) in terms.kinds.values_mut().enumerate() {
            let mut place = 0;
            kind.fields.retain(|_| {
                place += 7;
                bits.rotate_left(u32::try_from(at * 3 + place).unwrap()) & 1 == 0
            });
        }
        terms.valid_from = NOW.date().plus_days(10 - from);
        terms.valid_until = NOW.date().plus_days(until);
        terms
    })
}

/// The least that holds all of both.
fn union(one: &AgreementTerms, other: &AgreementTerms) -> AgreementTerms {
    let mut kinds: BTreeMap<Kind, KindTerms> = one.kinds.clone();
    for (kind, terms) in &other.kinds {
        let both = kinds.entry(*kind).or_insert_with(|| terms.clone());
        both.fields.extend(terms.fields.iter().cloned());
    }
    AgreementTerms {
        kinds,
        valid_from: one.valid_from.min(other.valid_from),
        valid_until: one.valid_until.max(other.valid_until),
        ..one.clone()
    }
}

proptest! {
    /// Whatever is agreed: not beyond the consent, not beyond the months, and the copy of the sender, who made it first,
    /// not longer than that of the recipient.
    #[test]
    fn no_bound_on_keeping_is_passed(
        kind in 0..40_usize,
        terms in some_terms(),
        sent in -400..400_i32,
        travelled in 0..90_i32,
        consent in proptest::option::of(-500..1_500_i32),
    ) {
        let kind = Kind::ALL[kind % Kind::ALL.len()];
        let agreements = [agreed(terms)];
        let (sent, consent) = (NOW.date().plus_days(sent), consent.map(|days| NOW.date().plus_days(days)));
        let stored = sent.plus_days(travelled);
        for on in [sent, stored] {
            let until = kept_until(&agreements, kind, on, consent);
            prop_assert!(consent.is_none_or(|last| until <= last.plus_days(1)));
            let months = retention_months(&agreements, kind, on);
            prop_assert!(until <= on.plus_months(months));
            prop_assert!(until == on.plus_months(months) || consent.map(|last| last.plus_days(1)) == Some(until));
        }
        if retention_months(&agreements, kind, sent) == retention_months(&agreements, kind, stored) {
            let ends = [sent, stored].map(|on| kept_until(&agreements, kind, on, consent));
            prop_assert!(ends[0] <= ends[1]);
        }
    }

    #[test]
    fn no_field_outside_the_agreement_passes(seed: u64, kind in 0..40_usize, terms in some_terms()) {
        let kind = Kind::ALL[kind % Kind::ALL.len()];
        let content = content(seed, kind);
        let agreement = agreed(terms);
        let Ok(Permit { dropped }) = permit(std::slice::from_ref(&agreement), &content, None, NOW.date())
        else { return Ok(()) };
        let sent = without_fields(&content, &dropped);
        if let Some(listed) = agreement.terms.kinds.get(&kind)
            && agreement.is_in_force(NOW.date())
        {
            for field in fields::present_fields(&sent.body) {
                prop_assert!(listed.fields.iter().any(|name| name.as_str() == field), "{field}");
            }
        }
        prop_assert!(is_reduction(&sent, &content));
    }

    /// A side with another version of the agreement lets through no more than its own copy says.
    #[test]
    fn each_side_keeps_to_its_own_copy(
        seed: u64,
        kind in 0..40_usize,
        old in some_terms(),
        new in some_terms(),
    ) {
        let kind = Kind::ALL[kind % Kind::ALL.len()];
        let content = content(seed, kind);
        let (sender, recipient) = ([agreed(old)], [agreed(new)]);
        let Ok(permitted) = permit(&sender, &content, None, NOW.date()) else { return Ok(()) };
        let sent = without_fields(&content, &permitted.dropped);
        let Ok(taken) = permit(&recipient, &sent, None, NOW.date()) else { return Ok(()) };
        let kept = without_fields(&sent, &taken.dropped);
        let direct = permit(&recipient, &content, None, NOW.date()).unwrap();
        let allowed = fields::present_fields(&without_fields(&content, &direct.dropped).body);
        prop_assert!(fields::present_fields(&kept.body).is_subset(&allowed));
        // Asked twice it says the same: what was kept needs nothing dropped.
        prop_assert_eq!(permit(&recipient, &kept, None, NOW.date()), Ok(Permit { dropped: BTreeSet::new() }));
    }

    /// Whoever agrees to more lets no less through, of what does not pass by law.
    #[test]
    fn agreeing_to_more_lets_no_less_through(
        seed: u64,
        kind in 0..40_usize,
        one in some_terms(),
        other in some_terms(),
    ) {
        let kind = Kind::ALL[kind % Kind::ALL.len()];
        let content = content(seed, kind);
        let more = [agreed(union(&one, &other))];
        let less = [agreed(one)];
        // A case that is handed over goes as far as its documents do.
        if kind.passes_without_agreement() && !kind.is_step() {
            prop_assert!(permit(&less, &content, None, NOW.date()).is_ok());
            prop_assert!(permit(&more, &content, None, NOW.date()).is_ok());
        } else if let Ok(permitted) = permit(&less, &content, None, NOW.date()) {
            let wider = permit(&more, &content, None, NOW.date());
            prop_assert!(wider.is_ok());
            prop_assert!(wider.unwrap().dropped.is_subset(&permitted.dropped));
        }
    }
}

#[test]
fn what_a_text_says_of_a_pregnancy_passes_nowhere_without_an_agreement() {
    let with_note = |note: &str| {
        let mut content = content(1, Kind::ArrivalFeedback);
        let Body::ArrivalFeedback(feedback) = &mut content.body else { unreachable!() };
        feedback.note = Note::optional(note).unwrap();
        content
    };
    let on = NOW.date();
    let said = with_note("已怀孕5个月");
    assert_eq!(code(permit(&[], &said, None, on)), Some("kind"));
    assert_eq!(code(permit(&[], &with_note("已登记"), None, on)), None);
    let listed = [agreed(terms([Kind::ArrivalNotice]))];
    assert_eq!(code(permit(&listed, &said, None, on)), None);
}
