//! Pregnancy, contraception, births, services and referrals ⇄ protobuf.

use domain::message::{
    BirthFeedback, BirthReport, ContraceptionFeedback, ContraceptionReport, PregnancyFeedback,
    PregnancyReport, PrintedNumber, ReferralFeedback, ServiceReferral, ServiceReport,
};
use domain::purpose::Purpose;
use domain::text::Note;

use super::movement::{note_from, note_text};
use super::registry::{reason_from, reason_text};
use super::{MalformedContent, Twin, field};
use crate::pb::message as pb;

impl Twin for PregnancyReport {
    type Pb = pb::PregnancyReport;

    fn to_pb(&self, why: &Purpose) -> pb::PregnancyReport {
        pb::PregnancyReport {
            expected_month: field::maybe_text(self.expected_month.as_ref()),
            services_wanted: field::numbers(&self.services_wanted),
            note: note_text(&self.note, why),
        }
    }

    fn from_pb(twin: pb::PregnancyReport) -> Result<Self, MalformedContent> {
        let pb::PregnancyReport { expected_month, services_wanted, note } = twin;
        Ok(Self {
            expected_month: field::maybe_parsed("expected_month", &expected_month)?,
            services_wanted: field::set("services_wanted", &services_wanted)?,
            note: note_from(&note)?,
        })
    }
}

impl Twin for PregnancyFeedback {
    type Pb = pb::PregnancyFeedback;

    fn to_pb(&self, why: &Purpose) -> pb::PregnancyFeedback {
        pb::PregnancyFeedback {
            outcome: field::number(self.outcome),
            services_arranged: field::numbers(&self.services_arranged),
            note: note_text(&self.note, why),
        }
    }

    fn from_pb(twin: pb::PregnancyFeedback) -> Result<Self, MalformedContent> {
        let pb::PregnancyFeedback { outcome, services_arranged, note } = twin;
        Ok(Self {
            outcome: field::listed("outcome", outcome)?,
            services_arranged: field::set("services_arranged", &services_arranged)?,
            note: note_from(&note)?,
        })
    }
}

impl Twin for ContraceptionReport {
    type Pb = pb::ContraceptionReport;

    fn to_pb(&self, why: &Purpose) -> pb::ContraceptionReport {
        pb::ContraceptionReport {
            method: field::maybe_number(self.method),
            served_on: field::maybe_text(self.served_on.as_ref()),
            services_wanted: field::numbers(&self.services_wanted),
            note: note_text(&self.note, why),
        }
    }

    fn from_pb(twin: pb::ContraceptionReport) -> Result<Self, MalformedContent> {
        let pb::ContraceptionReport { method, served_on, services_wanted, note } = twin;
        Ok(Self {
            method: field::maybe_listed("method", method)?,
            served_on: field::maybe_parsed("served_on", &served_on)?,
            services_wanted: field::set("services_wanted", &services_wanted)?,
            note: note_from(&note)?,
        })
    }
}

impl Twin for ContraceptionFeedback {
    type Pb = pb::ContraceptionFeedback;

    fn to_pb(&self, why: &Purpose) -> pb::ContraceptionFeedback {
        pb::ContraceptionFeedback {
            outcome: field::number(self.outcome),
            services_arranged: field::numbers(&self.services_arranged),
            note: note_text(&self.note, why),
        }
    }

    fn from_pb(twin: pb::ContraceptionFeedback) -> Result<Self, MalformedContent> {
        let pb::ContraceptionFeedback { outcome, services_arranged, note } = twin;
        Ok(Self {
            outcome: field::listed("outcome", outcome)?,
            services_arranged: field::set("services_arranged", &services_arranged)?,
            note: note_from(&note)?,
        })
    }
}

impl Twin for BirthReport {
    type Pb = pb::BirthReport;

    fn to_pb(&self, why: &Purpose) -> pb::BirthReport {
        let number = self.birth_certificate_number.as_ref();
        pb::BirthReport {
            born_on: self.born_on.to_string(),
            birth_area: field::maybe_text(self.birth_area.as_ref()),
            children_born: u32::from(self.children_born.get()),
            birth_certificate_number: number
                .map(|number| number.expose(why).to_owned())
                .unwrap_or_default(),
        }
    }

    fn from_pb(twin: pb::BirthReport) -> Result<Self, MalformedContent> {
        let pb::BirthReport { born_on, birth_area, children_born, birth_certificate_number } = twin;
        Ok(Self {
            born_on: field::parsed("born_on", &born_on)?,
            birth_area: field::maybe_parsed("birth_area", &birth_area)?,
            children_born: field::children("children_born", children_born)?,
            birth_certificate_number: field::maybe_read(
                "birth_certificate_number",
                &birth_certificate_number,
                PrintedNumber::parse,
            )?,
        })
    }
}

impl Twin for BirthFeedback {
    type Pb = pb::BirthFeedback;

    fn to_pb(&self, why: &Purpose) -> pb::BirthFeedback {
        pb::BirthFeedback { outcome: field::number(self.outcome), note: note_text(&self.note, why) }
    }

    fn from_pb(twin: pb::BirthFeedback) -> Result<Self, MalformedContent> {
        let pb::BirthFeedback { outcome, note } = twin;
        Ok(Self { outcome: field::listed("outcome", outcome)?, note: note_from(&note)? })
    }
}

impl Twin for ServiceReport {
    type Pb = pb::ServiceReport;

    fn to_pb(&self, why: &Purpose) -> pb::ServiceReport {
        pb::ServiceReport {
            service: field::number(self.service),
            served_on: self.served_on.to_string(),
            note: note_text(&self.note, why),
        }
    }

    fn from_pb(twin: pb::ServiceReport) -> Result<Self, MalformedContent> {
        let pb::ServiceReport { service, served_on, note } = twin;
        Ok(Self {
            service: field::listed("service", service)?,
            served_on: field::parsed("served_on", &served_on)?,
            note: note_from(&note)?,
        })
    }
}

impl Twin for ServiceReferral {
    type Pb = pb::ServiceReferral;

    fn to_pb(&self, why: &Purpose) -> pb::ServiceReferral {
        pb::ServiceReferral {
            service: field::number(self.service),
            wanted_on: field::maybe_text(self.wanted_on.as_ref()),
            note: note_text(&self.note, why),
        }
    }

    fn from_pb(twin: pb::ServiceReferral) -> Result<Self, MalformedContent> {
        let pb::ServiceReferral { service, wanted_on, note } = twin;
        Ok(Self {
            service: field::listed("service", service)?,
            wanted_on: field::maybe_parsed("wanted_on", &wanted_on)?,
            note: note_from(&note)?,
        })
    }
}

impl Twin for ReferralFeedback {
    type Pb = pb::ReferralFeedback;

    fn to_pb(&self, why: &Purpose) -> pb::ReferralFeedback {
        pb::ReferralFeedback {
            outcome: field::number(self.outcome),
            appointment_on: field::maybe_text(self.appointment_on.as_ref()),
            place: note_text(&self.place, why),
            reason: reason_text(&self.reason, why),
        }
    }

    fn from_pb(twin: pb::ReferralFeedback) -> Result<Self, MalformedContent> {
        let pb::ReferralFeedback { outcome, appointment_on, place, reason } = twin;
        Ok(Self {
            outcome: field::listed("outcome", outcome)?,
            appointment_on: field::maybe_parsed("appointment_on", &appointment_on)?,
            place: field::maybe_read("place", &place, Note::new)?,
            reason: reason_from(&reason)?,
        })
    }
}
