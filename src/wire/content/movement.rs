//! Arrival, departure, outflow and their feedback ⇄ protobuf.

use domain::message::{
    ArrivalFeedback, ArrivalNotice, DepartureNotice, OutflowFeedback, OutflowNotice,
};
use domain::person::PersonName;
use domain::purpose::Purpose;
use domain::text::Note;

use super::{MalformedContent, Twin, field};
use crate::pb::message as pb;

impl Twin for ArrivalNotice {
    type Pb = pb::ArrivalNotice;

    fn to_pb(&self, _why: &Purpose) -> pb::ArrivalNotice {
        pb::ArrivalNotice {
            registration_id: self.registration_id.as_bytes().to_vec(),
            arrived_on: self.arrived_on.to_string(),
            residence_area: field::maybe_text(self.residence_area.as_ref()),
            reason: field::maybe_number(self.reason),
            certificate_number: field::maybe_text(self.certificate_number.as_ref()),
        }
    }

    fn from_pb(twin: pb::ArrivalNotice) -> Result<Self, MalformedContent> {
        let pb::ArrivalNotice {
            registration_id,
            arrived_on,
            residence_area,
            reason,
            certificate_number,
        } = twin;
        Ok(Self {
            registration_id: field::id("registration_id", &registration_id)?,
            arrived_on: field::parsed("arrived_on", &arrived_on)?,
            residence_area: field::maybe_parsed("residence_area", &residence_area)?,
            reason: field::maybe_listed("reason", reason)?,
            certificate_number: field::maybe_parsed("certificate_number", &certificate_number)?,
        })
    }
}

impl Twin for ArrivalFeedback {
    type Pb = pb::ArrivalFeedback;

    fn to_pb(&self, why: &Purpose) -> pb::ArrivalFeedback {
        let name = self.corrected_name.as_ref();
        pb::ArrivalFeedback {
            outcome: field::number(self.outcome),
            corrected_name: name.map(|name| name.expose(why).to_owned()).unwrap_or_default(),
            moved_to_area: field::maybe_text(self.moved_to_area.as_ref()),
            note: note_text(&self.note, why),
        }
    }

    fn from_pb(twin: pb::ArrivalFeedback) -> Result<Self, MalformedContent> {
        let pb::ArrivalFeedback { outcome, corrected_name, moved_to_area, note } = twin;
        Ok(Self {
            outcome: field::listed("outcome", outcome)?,
            corrected_name: field::maybe_read(
                "corrected_name",
                &corrected_name,
                PersonName::parse,
            )?,
            moved_to_area: field::maybe_parsed("moved_to_area", &moved_to_area)?,
            note: note_from(&note)?,
        })
    }
}

impl Twin for DepartureNotice {
    type Pb = pb::DepartureNotice;

    fn to_pb(&self, _why: &Purpose) -> pb::DepartureNotice {
        pb::DepartureNotice {
            registration_id: self.registration_id.as_bytes().to_vec(),
            departed_on: self.departed_on.to_string(),
            destination_area: field::maybe_text(self.destination_area.as_ref()),
        }
    }

    fn from_pb(twin: pb::DepartureNotice) -> Result<Self, MalformedContent> {
        let pb::DepartureNotice { registration_id, departed_on, destination_area } = twin;
        Ok(Self {
            registration_id: field::id("registration_id", &registration_id)?,
            departed_on: field::parsed("departed_on", &departed_on)?,
            destination_area: field::maybe_parsed("destination_area", &destination_area)?,
        })
    }
}

impl Twin for OutflowNotice {
    type Pb = pb::OutflowNotice;

    fn to_pb(&self, _why: &Purpose) -> pb::OutflowNotice {
        pb::OutflowNotice {
            left_on: self.left_on.to_string(),
            certificate_number: field::maybe_text(self.certificate_number.as_ref()),
            services_wanted: field::numbers(&self.services_wanted),
        }
    }

    fn from_pb(twin: pb::OutflowNotice) -> Result<Self, MalformedContent> {
        let pb::OutflowNotice { left_on, certificate_number, services_wanted } = twin;
        Ok(Self {
            left_on: field::parsed("left_on", &left_on)?,
            certificate_number: field::maybe_parsed("certificate_number", &certificate_number)?,
            services_wanted: field::set("services_wanted", &services_wanted)?,
        })
    }
}

impl Twin for OutflowFeedback {
    type Pb = pb::OutflowFeedback;

    fn to_pb(&self, why: &Purpose) -> pb::OutflowFeedback {
        pb::OutflowFeedback {
            outcome: field::number(self.outcome),
            arrived_on: field::maybe_text(self.arrived_on.as_ref()),
            note: note_text(&self.note, why),
        }
    }

    fn from_pb(twin: pb::OutflowFeedback) -> Result<Self, MalformedContent> {
        let pb::OutflowFeedback { outcome, arrived_on, note } = twin;
        Ok(Self {
            outcome: field::listed("outcome", outcome)?,
            arrived_on: field::maybe_parsed("arrived_on", &arrived_on)?,
            note: note_from(&note)?,
        })
    }
}

/// The text of a remark; empty when there is none.
pub(super) fn note_text(note: &Option<Note>, why: &Purpose) -> String {
    note.as_ref().map(|note| note.expose(why).to_owned()).unwrap_or_default()
}

/// A remark that may be left out.
pub(super) fn note_from(text: &str) -> Result<Option<Note>, MalformedContent> {
    field::maybe_read("note", text, Note::new)
}
