//! The content of a message: what it belongs to, why it may be sent, whom it is about, and its body.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::bodies::*;
use super::kind::Kind;
use super::outcome::Urgency;
use super::steps::*;
use crate::clock::{Clock, Due, table};
use crate::consent::{ConsentReference, ConsentScope, Ground, ServiceRequestReference};
use crate::id::{CaseId, MessageId};
use crate::masked::masked;
use crate::person::PersonReference;
use crate::purpose::{LawfulBasis, Purpose};
use crate::service::Service;
use crate::text::Note;
use crate::time::UnixMillis;

macro_rules! bodies {
    ($($kind:ident,)+) => {
        /// The document itself; its variant is the kind. `Debug` names the kind and nothing else.
        #[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
        pub enum Body {
            $(
                #[doc = concat!("See [`", stringify!($kind), "`](super::", stringify!($kind), ").")]
                $kind($kind),
            )+
        }

        impl Body {
            /// The kind of message.
            pub const fn kind(&self) -> Kind {
                match self { $( Self::$kind(_) => Kind::$kind, )+ }
            }
        }

        $(
            impl From<$kind> for Body {
                fn from(body: $kind) -> Self { Self::$kind(body) }
            }

            masked!($kind {});
        )+
    };
}

bodies! {
    ArrivalNotice,
    ArrivalFeedback,
    DepartureNotice,
    OutflowNotice,
    OutflowFeedback,
    CertificateInquiry,
    CertificateStatement,
    CertificateNotice,
    BirthRegistrationInquiry,
    BirthRegistrationStatement,
    BirthRegistrationResult,
    PregnancyReport,
    PregnancyFeedback,
    ContraceptionReport,
    ContraceptionFeedback,
    BirthReport,
    BirthFeedback,
    ServiceReport,
    ServiceReferral,
    ReferralFeedback,
    Inquiry,
    InquiryAnswer,
    AgreementProposal,
    AgreementDecision,
    ProgressReport,
    Remind,
    Clarify,
    Clarification,
    Reject,
    Forward,
    Correct,
    Void,
    Close,
    HandOverOffer,
    HandOverAcceptance,
    HandOverWithdrawal,
    HandOver,
    ConsentWithdrawal,
    ConsentWithdrawalDone,
    AgreementEnd,
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind().name())
    }
}

impl Body {
    /// How long the other office has to answer.
    pub fn clock(&self) -> Option<Clock> {
        let urgency = match self {
            Self::Inquiry(inquiry) => inquiry.urgency,
            _ => Urgency::Normal,
        };
        table::of_kind(self.kind(), urgency).map(|entry| entry.clock)
    }

    /// The one service the message is about, where there is one.
    pub const fn service(&self) -> Option<Service> {
        match self {
            Self::ServiceReport(ServiceReport { service, .. })
            | Self::ServiceReferral(ServiceReferral { service, .. })
            | Self::Inquiry(Inquiry { service, .. }) => Some(*service),
            _ => None,
        }
    }

    /// What the message gives away about pregnancy or contraception, by its kind or by a service that it
    /// names. Each needs the person's consent or her own request.
    pub fn reveals(&self) -> BTreeSet<ConsentScope> {
        if let Self::HandOver(body) = self {
            return body.documents.iter().flat_map(|d| d.content.body.reveals()).collect();
        }
        let named = self.services().into_iter().flatten().copied().chain(self.service());
        named.filter_map(Service::reveals).chain(self.kind().needs_consent()).collect()
    }

    /// The services that the message lists, where it has such a list.
    const fn services(&self) -> Option<&BTreeSet<Service>> {
        match self {
            Self::OutflowNotice(body) => Some(&body.services_wanted),
            Self::PregnancyReport(body) => Some(&body.services_wanted),
            Self::ContraceptionReport(body) => Some(&body.services_wanted),
            Self::PregnancyFeedback(body) => Some(&body.services_arranged),
            Self::ContraceptionFeedback(body) => Some(&body.services_arranged),
            _ => None,
        }
    }

    /// The same list, to leave something out.
    const fn services_mut(&mut self) -> Option<&mut BTreeSet<Service>> {
        match self {
            Self::OutflowNotice(body) => Some(&mut body.services_wanted),
            Self::PregnancyReport(body) => Some(&mut body.services_wanted),
            Self::ContraceptionReport(body) => Some(&mut body.services_wanted),
            Self::PregnancyFeedback(body) => Some(&mut body.services_arranged),
            Self::ContraceptionFeedback(body) => Some(&mut body.services_arranged),
            _ => None,
        }
    }
}

/// The content of a message, as sealed in its envelope.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// The case it belongs to; none when it opens one.
    pub case: Option<CaseId>,
    /// The message it answers; none when it answers none.
    pub in_reply_to: Option<MessageId>,
    /// Why it may be sent.
    pub basis: LawfulBasis,
    /// What the recipient may use it for.
    pub purpose: Purpose,
    /// The person's separate consent, when that is the basis.
    pub consent: Option<ConsentReference>,
    /// The person's own request, when that is the basis.
    pub service_request: Option<ServiceRequestReference>,
    /// Whom it is about; none for messages between offices.
    pub person: Option<PersonReference>,
    /// The message that it is sent in place of: that one was refused or ran out of time.
    pub replaces: Option<MessageId>,
    /// Its place in the case: one more than the highest that its sender knew; 0 when it opens a case.
    pub step: u32,
    /// The earlier report that this answer is taken from, by the node and not by a person.
    pub answered_from: Option<MessageId>,
    /// Why this is asked although an earlier report answers it; a person answers it then.
    pub asked_again: Option<Note>,
    /// The document itself.
    pub body: Body,
}

impl Content {
    /// The kind of message.
    pub const fn kind(&self) -> Kind {
        self.body.kind()
    }

    /// The case of this message when it has that id: the one it names, or the one it opens.
    pub fn case_of(&self, own: MessageId) -> CaseId {
        self.case.unwrap_or_else(|| own.into())
    }

    /// The consent or request that it rests on, and that the person can take back.
    pub fn ground(&self) -> Option<Ground> {
        let consent = self.consent.as_ref().map(|consent| Ground::Consent(consent.consent_id));
        consent.or_else(|| self.service_request.map(|asked| Ground::Request(asked.request_id)))
    }

    /// As much of it as a consent to that much covers: listed services that would reveal more are left out. None when it
    /// would reveal more all the same.
    #[must_use]
    pub fn within(&self, scopes: &BTreeSet<ConsentScope>) -> Option<Self> {
        let mut content = self.clone();
        if let Some(services) = content.body.services_mut() {
            services
                .retain(|service| service.reveals().is_none_or(|scope| scopes.contains(&scope)));
        }
        content.body.reveals().is_subset(scopes).then_some(content)
    }

    /// By when the other office has to answer when the clock starts at `start`.
    pub fn due(&self, start: UnixMillis) -> Option<Due> {
        self.body.clock().map(|clock| clock.due(start))
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Content")
            .field("kind", &self.body)
            .field("case", &self.case)
            .field("in_reply_to", &self.in_reply_to)
            .field("replaces", &self.replaces)
            .field("step", &self.step)
            .field("basis", &self.basis)
            .field("purpose", &self.purpose)
            .field("person", &self.person)
            .finish_non_exhaustive()
    }
}
