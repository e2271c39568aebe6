//! The fields of each body that it can do without: what an agreement may leave out. Taking any of them away never turns
//! a message that keeps the rules into one that does not.

use std::collections::BTreeSet;

use super::FieldName;
use crate::message::{Body, Content, Kind};

/// A field that can be left out.
trait Optional {
    fn is_there(&self) -> bool;
    fn leave_out(&mut self);
}

impl<T> Optional for Option<T> {
    fn is_there(&self) -> bool {
        self.is_some()
    }
    fn leave_out(&mut self) {
        *self = None;
    }
}

impl<T> Optional for BTreeSet<T> {
    fn is_there(&self) -> bool {
        !self.is_empty()
    }
    fn leave_out(&mut self) {
        self.clear();
    }
}

macro_rules! optional {
    ($($kind:ident: [$($field:ident),*],)+) => {
        /// Names of the fields of a kind that can be left out.
        const fn names(kind: Kind) -> &'static [&'static str] {
            match kind {
                $( Kind::$kind => &[$(stringify!($field)),*], )+
                _ => &[],
            }
        }

        /// Fields that can be left out and are there.
        pub(super) fn present_fields(body: &Body) -> BTreeSet<&'static str> {
            let mut present = BTreeSet::new();
            match body {
                $( Body::$kind(body) => {
                    let _ = body;
                    $( if body.$field.is_there() { present.insert(stringify!($field)); } )*
                } )+
                _ => {}
            }
            present
        }

        fn leave_out(body: &mut Body, goes: impl Fn(&str) -> bool) {
            match body {
                $( Body::$kind(body) => {
                    let _ = &body;
                    $( if !goes(stringify!($field)) { body.$field.leave_out(); } )*
                } )+
                _ => {}
            }
            let _ = goes;
        }
    };
}

// A field that an outcome needs (the day of an appointment, a written reason) is not among them.
optional! {
    ArrivalNotice: [residence_area, reason, certificate_number],
    ArrivalFeedback: [],
    DepartureNotice: [destination_area],
    OutflowNotice: [certificate_number, services_wanted],
    OutflowFeedback: [note],
    CertificateStatement: [marital_status, children],
    BirthRegistrationInquiry: [spouse_name, married_on],
    BirthRegistrationStatement: [marital_status, children],
    PregnancyReport: [expected_month, services_wanted, note],
    ContraceptionReport: [method, served_on, services_wanted, note],
    BirthReport: [birth_area, birth_certificate_number],
    ServiceReferral: [wanted_on],
    InquiryAnswer: [answer],
}

/// Every field of a kind that an agreement can list.
pub fn known_fields(kind: Kind) -> BTreeSet<FieldName> {
    names(kind).iter().filter_map(|name| name.parse().ok()).collect()
}

/// The same content without these fields.
pub fn without_fields(content: &Content, dropped: &BTreeSet<&'static str>) -> Content {
    let mut content = content.clone();
    leave_out(&mut content.body, |field| !dropped.contains(field));
    content
}

/// Whether `kept` is `whole`, perhaps without some of the fields that can be left out.
pub fn is_reduction(kept: &Content, whole: &Content) -> bool {
    let there = present_fields(&kept.body);
    let mut reduced = whole.clone();
    leave_out(&mut reduced.body, |field| there.contains(field));
    reduced == *kept
}
