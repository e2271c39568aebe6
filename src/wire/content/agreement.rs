//! Agreements: proposed, decided, ended ⇄ protobuf.

use std::collections::{BTreeMap, BTreeSet};

use domain::agreement::{AgreementTerms, FIELDS_MAX, FieldName, KindTerms, OfficeSignature};
use domain::message::{AgreementDecision, AgreementEnd, AgreementProposal, Kind};
use domain::purpose::Purpose;
use domain::rule::Rule;
use domain::text::{Note, WrittenReason};

use super::movement::note_text;
use super::registry::{reason_from, reason_text};
use super::{MalformedContent, Twin, field};
use crate::pb::message as pb;

impl Twin for AgreementProposal {
    type Pb = pb::AgreementProposal;

    fn to_pb(&self, why: &Purpose) -> pb::AgreementProposal {
        let AgreementTerms { kinds, purposes, valid_from, valid_until, contact, .. } = &self.terms;
        pb::AgreementProposal {
            agreement_id: self.agreement_id.as_bytes().to_vec(),
            version: self.version,
            kinds: kinds.keys().map(|kind| kind.name().to_owned()).collect(),
            purposes: purposes.iter().map(|purpose| u32::from(purpose.number())).collect(),
            valid_from: valid_from.to_string(),
            valid_until: valid_until.to_string(),
            retention_months: u32::from(self.terms.retention_months),
            contact: contact.expose(why).to_owned(),
            kind_terms: kinds.iter().map(|(kind, terms)| kind_to_pb(*kind, terms)).collect(),
            ask_once_days: u32::from(self.terms.ask_once_days),
            notice_days: u32::from(self.terms.notice_days),
            signature: self.signature.as_ref().map(|signature| signature.to_pb(why)),
        }
    }

    fn from_pb(twin: pb::AgreementProposal) -> Result<Self, MalformedContent> {
        let pb::AgreementProposal {
            agreement_id,
            version,
            kinds,
            purposes,
            valid_from,
            valid_until,
            retention_months,
            contact,
            kind_terms,
            ask_once_days,
            notice_days,
            signature,
        } = twin;
        let terms = AgreementTerms {
            kinds: kinds_from(&kinds, kind_terms)?,
            purposes: purposes_from(&purposes)?,
            valid_from: field::parsed("valid_from", &valid_from)?,
            valid_until: field::parsed("valid_until", &valid_until)?,
            retention_months: number("retention_months", retention_months)?,
            ask_once_days: number("ask_once_days", ask_once_days)?,
            notice_days: number("notice_days", notice_days)?,
            contact: field::read("contact", &contact, Note::new)?,
        };
        Ok(Self {
            agreement_id: field::id("agreement_id", &agreement_id)?,
            version,
            terms,
            signature: signature.map(OfficeSignature::from_pb).transpose()?,
        })
    }
}

impl Twin for AgreementDecision {
    type Pb = pb::AgreementDecision;

    fn to_pb(&self, why: &Purpose) -> pb::AgreementDecision {
        pb::AgreementDecision {
            agreement_id: self.agreement_id.as_bytes().to_vec(),
            version: self.version,
            accepted: self.accepted,
            reason: reason_text(&self.reason, why),
            contact: note_text(&self.contact, why),
            signature: self.signature.as_ref().map(|signature| signature.to_pb(why)),
        }
    }

    fn from_pb(twin: pb::AgreementDecision) -> Result<Self, MalformedContent> {
        let pb::AgreementDecision { agreement_id, version, accepted, reason, contact, signature } =
            twin;
        Ok(Self {
            agreement_id: field::id("agreement_id", &agreement_id)?,
            version,
            accepted,
            reason: reason_from(&reason)?,
            contact: field::maybe_read("contact", &contact, Note::new)?,
            signature: signature.map(OfficeSignature::from_pb).transpose()?,
        })
    }
}

impl Twin for AgreementEnd {
    type Pb = pb::AgreementEnd;

    fn to_pb(&self, why: &Purpose) -> pb::AgreementEnd {
        pb::AgreementEnd {
            agreement_id: self.agreement_id.as_bytes().to_vec(),
            version: self.version,
            last_day: self.last_day.to_string(),
            reason: self.reason.expose(why).to_owned(),
            signature: self.signature.as_ref().map(|signature| signature.to_pb(why)),
        }
    }

    fn from_pb(twin: pb::AgreementEnd) -> Result<Self, MalformedContent> {
        let pb::AgreementEnd { agreement_id, version, last_day, reason, signature } = twin;
        Ok(Self {
            agreement_id: field::id("agreement_id", &agreement_id)?,
            version,
            last_day: field::parsed("last_day", &last_day)?,
            reason: field::read("reason", &reason, WrittenReason::new)?,
            signature: signature.map(OfficeSignature::from_pb).transpose()?,
        })
    }
}

impl Twin for OfficeSignature {
    type Pb = pb::OfficeSignature;

    fn to_pb(&self, _why: &Purpose) -> pb::OfficeSignature {
        pb::OfficeSignature { signature: self.signature.clone(), chain: self.chain.clone() }
    }

    fn from_pb(twin: pb::OfficeSignature) -> Result<Self, MalformedContent> {
        let pb::OfficeSignature { signature, chain } = twin;
        Ok(Self { signature, chain })
    }
}

fn kind_to_pb(kind: Kind, terms: &KindTerms) -> pb::KindTerms {
    pb::KindTerms {
        kind: kind.name().to_owned(),
        fields: terms.fields.iter().map(ToString::to_string).collect(),
        days: terms.days.map_or(0, u32::from),
        retention_months: terms.retention_months.map_or(0, u32::from),
    }
}

/// Kinds by name, each once, with one entry of terms each. A kind of a newer version cannot be agreed to by this one.
fn kinds_from(
    names: &[String],
    terms: Vec<pb::KindTerms>,
) -> Result<BTreeMap<Kind, KindTerms>, MalformedContent> {
    if !names.iter().eq(terms.iter().map(|terms| &terms.kind)) {
        return Err(MalformedContent::Missing("kind_terms"));
    }
    let mut kinds = BTreeMap::new();
    for pb::KindTerms { kind, fields, days, retention_months } in terms {
        let unknown = MalformedContent::Invalid { field: "kinds", rule: Rule::KindName };
        let terms = KindTerms {
            fields: fields_from(&fields)?,
            days: maybe_number("kind_terms.days", days)?,
            retention_months: maybe_number("kind_terms.retention_months", retention_months)?,
        };
        if kinds.insert(Kind::from_name(&kind).ok_or(unknown)?, terms).is_some() {
            return Err(MalformedContent::Repeated("kinds"));
        }
    }
    Ok(kinds)
}

fn fields_from(names: &[String]) -> Result<BTreeSet<FieldName>, MalformedContent> {
    let mut fields = BTreeSet::new();
    for name in names.iter().take(FIELDS_MAX + 1) {
        if !fields.insert(field::parsed("kind_terms.fields", name)?) {
            return Err(MalformedContent::Repeated("kind_terms.fields"));
        }
    }
    Ok(fields)
}

fn purposes_from(numbers: &[u32]) -> Result<BTreeSet<Purpose>, MalformedContent> {
    let mut purposes = BTreeSet::new();
    for number in numbers {
        let unknown = MalformedContent::NotListed { field: "purposes", number: *number };
        let known = u8::try_from(*number).ok().and_then(Purpose::from_number);
        if !purposes.insert(known.ok_or(unknown)?) {
            return Err(MalformedContent::Repeated("purposes"));
        }
    }
    Ok(purposes)
}

fn number(field: &'static str, number: u32) -> Result<u16, MalformedContent> {
    u16::try_from(number).map_err(|_| MalformedContent::NotListed { field, number })
}

fn maybe_number(field: &'static str, value: u32) -> Result<Option<u16>, MalformedContent> {
    Ok(Some(number(field, value)?).filter(|number| *number > 0))
}
