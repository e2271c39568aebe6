//! What may pass between two areas: asked by the sender before sealing and by the recipient after opening, each with its
//! own copy of the agreement.
//!
//! What passes by law passes without an agreement. Anything else needs one that lists its kind, and its purpose. Where an
//! agreement lists a kind, only the listed fields go. Words that end a case, or an offer, pass always.

use std::collections::BTreeSet;

use super::fields::present_fields;
use super::{Agreement, KindTerms, RETENTION_MONTHS_USUAL};
use crate::clock::Clock;
use crate::message::{Body, Content, Document, Kind, Refusal};
use crate::reason::Reason;
use crate::time::Date;

/// That a content may pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permit {
    /// Fields that are in it and do not go: names as in the proto files.
    pub dropped: BTreeSet<&'static str>,
}

/// Whether a content may pass on that day under the agreements of its two areas, and without which fields. `opened_by` is
/// the kind of message that opened its case, for the words inside a case, which go where the case goes.
pub fn permit(
    agreements: &[Agreement],
    content: &Content,
    opened_by: Option<Kind>,
    on: Date,
) -> Result<Permit, Refusal> {
    let refused = |field| Refusal { reason: Reason::NotAgreed, field };
    let kind = content.kind();
    if kind.ends_something() {
        // Nobody is to be held to a case that must not be answered any more.
        return Ok(Permit { dropped: BTreeSet::new() });
    }
    if let Body::HandOver(body) = &content.body {
        // A case with all that was written in it: each document goes where it could have gone by itself.
        let nothing = Permit { dropped: BTreeSet::new() };
        let fits = |document: &Document| {
            let opened_by = body.documents.first().map(|first| first.content.kind());
            permit(agreements, &document.content, opened_by, on).is_ok_and(|it| it == nothing)
        };
        return if body.documents.iter().all(fits) {
            Ok(nothing)
        } else {
            Err(refused("documents"))
        };
    }
    let governing = match (kind.is_step(), opened_by) {
        (false, _) => kind,
        (true, Some(opened_by)) => opened_by,
        // Whoever does not know the case says so; the word itself is about nobody.
        (true, None) => return Ok(Permit { dropped: BTreeSet::new() }),
    };
    let listing: Vec<_> = in_force(agreements, on)
        .filter_map(|agreement| Some((agreement, agreement.terms.kinds.get(&governing)?)))
        .collect();
    // A text may say what no message says without an agreement.
    if !governing.passes_without_agreement() || !content.says().is_empty() {
        if listing.is_empty() {
            return Err(refused("kind"));
        }
        let agreed = |(agreement, _): &(&Agreement, &KindTerms)| {
            agreement.terms.purposes.contains(&content.purpose)
        };
        if !listing.iter().any(agreed) {
            return Err(refused("purpose"));
        }
    }
    let mut dropped = BTreeSet::new();
    // Words inside a case have few fields, and none that can be left out.
    if !listing.is_empty() && !kind.is_step() {
        let for_it = |agreement: &Agreement| {
            governing.passes_without_agreement()
                || agreement.terms.purposes.contains(&content.purpose)
        };
        let listing: Vec<_> = listing.iter().filter(|(agreement, _)| for_it(agreement)).collect();
        let goes = |field: &str| {
            listing.iter().any(|(_, terms)| terms.fields.iter().any(|name| name.as_str() == field))
        };
        dropped.extend(present_fields(&content.body).into_iter().filter(|field| !goes(field)));
    }
    Ok(Permit { dropped })
}

/// The shortest clock that the agreements give a kind on that day; none when the law's holds.
pub fn shortest_clock(agreements: &[Agreement], kind: Kind, on: Date) -> Option<Clock> {
    let clocks = in_force(agreements, on).filter_map(|agreement| agreement.terms.clock_of(kind));
    clocks.min_by_key(|clock| clock.days())
}

/// How long the recipient keeps content of a kind that came on that day, months: the shortest time of the agreements that
/// list it, [`RETENTION_MONTHS_USUAL`] where none does.
pub fn retention_months(agreements: &[Agreement], kind: Kind, on: Date) -> u16 {
    let listing = in_force(agreements, on).filter(|it| it.terms.kinds.contains_key(&kind));
    let months = listing.map(|agreement| agreement.terms.retention_of(kind));
    months.min().unwrap_or(RETENTION_MONTHS_USUAL)
}

/// The day from which the content of a message that was sent or stored on `on` is not kept any more: after the agreed months,
/// and in any case when the consent that it rests on is over, on the day after its last (PIPL art. 47: the agreed period
/// has ended). The same at both ends, as far as both know the same agreements.
pub fn kept_until(
    agreements: &[Agreement],
    kind: Kind,
    on: Date,
    consent_until: Option<Date>,
) -> Date {
    let agreed = on.plus_months(retention_months(agreements, kind, on));
    consent_until.map_or(agreed, |last| agreed.min(last.plus_days(1)))
}

/// For how many days an earlier report answers a question of that kind; none when nothing of the sort is agreed.
pub fn ask_once_days(agreements: &[Agreement], on: Date) -> Option<u16> {
    let days = in_force(agreements, on).map(|agreement| agreement.terms.ask_once_days);
    days.max().filter(|days| *days > 0)
}

fn in_force(agreements: &[Agreement], on: Date) -> impl Iterator<Item = &Agreement> {
    agreements.iter().filter(move |agreement| agreement.is_in_force(on))
}
