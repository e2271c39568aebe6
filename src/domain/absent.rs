//! Proof of absence: no field, list or text of this crate speaks of fines, quotas or summons.
//!
//! The words appear in one place only: the list that free text is screened against.

use crate::numbered::Numbered;
use crate::rule::Rule;
use crate::{
    access, certificate, consent, message, person, purpose, reason, registration, service,
};

/// Words of design section 2, compared with whole words of identifiers and texts.
const WORDS: &[&str] = &[
    "fine",
    "fines",
    "quota",
    "quotas",
    "penalty",
    "penalties",
    "penalise",
    "punish",
    "punishment",
    "summon",
    "summons",
    "deposit",
    "fee",
    "fees",
    "payment",
    "score",
    "scoring",
    "ranking",
    "attendance",
    "overdue",
    "employer",
    "landlord",
    "police",
    "plan",
    "planned",
    "unplanned",
    "evasion",
    "evader",
    "ethnicity",
    "photo",
];

/// The same in Chinese, compared anywhere in a text.
const CHARACTERS: &[&str] = &[
    "罚",
    "社会抚养费",
    "指标",
    "计划外",
    "政策外",
    "违法",
    "超生",
    "传唤",
    "返乡检查",
    "押金",
    "考勤",
    "逾期未检",
    "躲",
    "民族",
    "雇主",
    "房东",
    "公安",
];

/// Sources whose identifiers are walked, with their doc comments cut off.
const SOURCES: &[(&str, &str)] = &[
    ("bodies", include_str!("message/bodies.rs")),
    ("outcome", include_str!("message/outcome.rs")),
    ("kind", include_str!("message/kind.rs")),
    ("content", include_str!("message/content.rs")),
    ("person", include_str!("person.rs")),
    ("registration", include_str!("registration.rs")),
    ("certificate", include_str!("certificate.rs")),
    ("endorsement", include_str!("certificate/endorsement.rs")),
    ("consent", include_str!("consent.rs")),
    ("agreement", include_str!("agreement.rs")),
    ("agreement's state", include_str!("agreement/state.rs")),
    ("access", include_str!("access.rs")),
    ("access log", include_str!("access/log.rs")),
    ("record", include_str!("record.rs")),
    ("service", include_str!("service.rs")),
];

fn forbidden(text: &str) -> Option<&'static str> {
    // Split identifiers at underscores and at capitals, texts at everything that is no letter.
    let mut words = String::new();
    for c in text.chars() {
        if c.is_ascii_uppercase() {
            words.push(' ');
        }
        words.push(if c.is_alphanumeric() { c.to_ascii_lowercase() } else { ' ' });
    }
    let capitals = text.to_ascii_lowercase().replace('_', " ");
    let listed = |text: &str| {
        text.split_whitespace().find_map(|word| WORDS.iter().copied().find(|bad| *bad == word))
    };
    listed(&words)
        .or_else(|| listed(&capitals))
        .or_else(|| CHARACTERS.iter().copied().find(|bad| text.contains(bad)))
}

fn walk<T: Numbered>(found: &mut Vec<String>) {
    let values = T::ALL.iter().map(|value| value.code());
    found.extend(
        values.chain([T::LIST]).filter(|code| forbidden(code).is_some()).map(str::to_owned),
    );
}

#[test]
fn no_list_has_such_a_value() {
    let mut found = Vec::new();
    walk::<message::Kind>(&mut found);
    walk::<message::ResidenceReason>(&mut found);
    walk::<message::ArrivalOutcome>(&mut found);
    walk::<message::OutflowOutcome>(&mut found);
    walk::<message::CertificateClaim>(&mut found);
    walk::<message::CertificateState>(&mut found);
    walk::<message::CertificateEvent>(&mut found);
    walk::<message::StatementOutcome>(&mut found);
    walk::<message::RegistrationResult>(&mut found);
    walk::<message::FeedbackOutcome>(&mut found);
    walk::<message::ContraceptiveMethod>(&mut found);
    walk::<message::ReferralOutcome>(&mut found);
    walk::<message::Urgency>(&mut found);
    walk::<service::Service>(&mut found);
    walk::<consent::ConsentScope>(&mut found);
    walk::<consent::Given>(&mut found);
    walk::<person::Sex>(&mut found);
    walk::<person::MaritalStatus>(&mut found);
    walk::<person::DocumentKind>(&mut found);
    walk::<purpose::LawfulBasis>(&mut found);
    walk::<purpose::Purpose>(&mut found);
    walk::<access::Role>(&mut found);
    walk::<access::AccessAction>(&mut found);
    walk::<registration::Step>(&mut found);
    walk::<certificate::ReplacementCause>(&mut found);
    walk::<certificate::RevocationCause>(&mut found);
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn no_record_or_message_has_such_a_field() {
    for (name, source) in SOURCES {
        let code = source.lines().filter(|line| !line.trim_start().starts_with("//"));
        for line in code {
            assert_eq!(forbidden(line), None, "{name}: {line}");
        }
    }
}

#[test]
fn no_text_for_clerks_uses_such_words() {
    let reasons = reason::Reason::ALL.iter().filter(|reason| {
        // This one has to say what is not allowed.
        **reason != reason::Reason::ForbiddenText
    });
    let texts =
        reasons.flat_map(|r| [r.code(), r.text_zh(), r.text_en(), r.todo_zh(), r.todo_en()]).chain(
            Rule::ALL
                .iter()
                .flat_map(|r| [r.code(), r.text_zh(), r.text_en(), r.fix_zh(), r.fix_en()]),
        );
    for text in texts {
        assert_eq!(forbidden(text), None, "{text}");
    }
}

#[test]
fn the_walk_would_notice() {
    for text in [
        "fine_amount",
        "BirthQuota",
        "SUMMON_TO_CHECK",
        "overdueChecks",
        "outside the plan",
        "罚款",
    ] {
        assert!(forbidden(text).is_some(), "{text}");
    }
    for text in ["defined", "final", "planet", "coffee", "finer"] {
        assert_eq!(forbidden(text), None, "{text}");
    }
}
