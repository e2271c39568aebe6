//! Trouble with a peer in words: what it is, whose fault it is, what to do.

use domain::area::AreaCode;
use domain::fault::Fault;
use domain::reason::Reason;
use trust::refused::Refused;

use crate::app::messages::turned_back::Refusal;

/// Trouble in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    /// Code of the catalogue or of the certificate rules.
    pub code: &'static str,
    /// What it is, in Chinese.
    pub zh: &'static str,
    /// What it is, in English.
    pub en: &'static str,
    /// Whose fault it is; none where nobody can say.
    pub fault: Option<Fault>,
    /// What to do, in Chinese; empty where the text says it.
    pub advice_zh: &'static str,
    /// What to do, in English; empty where the text says it.
    pub advice_en: &'static str,
}

impl Explained {
    /// A certificate that was not accepted, by us or by the other side.
    #[must_use]
    pub fn refused(refused: Refused) -> Self {
        Self {
            code: refused.code(),
            zh: refused.text_zh(),
            en: refused.text_en(),
            fault: Some(fault_of(refused)),
            advice_zh: "",
            advice_en: "",
        }
    }

    /// A reason of the catalogue, which `fault` is to blame for.
    #[must_use]
    pub fn reason(reason: Reason, fault: Option<Fault>) -> Self {
        Self {
            code: reason.code(),
            zh: reason.text_zh(),
            en: reason.text_en(),
            fault,
            advice_zh: reason.todo_zh(),
            advice_en: reason.todo_en(),
        }
    }
}

/// Whose fault it is that a certificate is not accepted.
#[must_use]
pub const fn fault_of(refused: Refused) -> Fault {
    match refused {
        Refused::NoCertificate
        | Refused::Malformed
        | Refused::WrongAuthority
        | Refused::WrongProvince
        | Refused::WrongChain
        | Refused::Expired
        | Refused::NotYetValid
        | Refused::WrongValidity
        | Refused::Revoked
        | Refused::WrongUsage
        | Refused::OperatorNotNode
        | Refused::NodeNotOperator
        | Refused::UnknownRole
        | Refused::WrongArea { .. }
        | Refused::BadName
        | Refused::WeakKey
        | Refused::BadSignature => Fault::Peer,
        // Our own lists, and our own certificate.
        Refused::RevocationListMissing
        | Refused::RevocationListTooOld
        | Refused::RevocationListInvalid
        | Refused::TheyFoundUsExpired
        | Refused::TheyFoundUsRevoked
        | Refused::TheyRefusedUs => Fault::OwnNode,
        Refused::TheyDoNotKnowOurAuthority => Fault::Peer,
        Refused::Protocol => Fault::Network,
    }
}

/// That mail for a peer was not taken on its way: in one line, and in words.
#[must_use]
pub fn refused_on_the_way(refusal: &Refusal, peer: AreaCode) -> (String, Explained) {
    let Refusal { by, reason, .. } = *refusal;
    let text = format!("{by} does not take mail for {peer} ({})", reason.code());
    (text, Explained::reason(reason, Some(refusal.fault(peer))))
}

/// Trouble in words, from the text that the log has of it: an error and everything it rests on.
#[must_use]
pub fn explain(text: &str) -> Explained {
    if let Some(refused) = named(text).or_else(|| Refused::from_text(text)) {
        return Explained::refused(refused);
    }
    let fault =
        if NETWORK.iter().any(|words| text.contains(words)) { Fault::Network } else { Fault::Peer };
    Explained::reason(Reason::PeerUnreachable, Some(fault))
}

/// The reason whose code stands in a text. Which areas a wrong one is about, the text says itself.
fn named(text: &str) -> Option<Refused> {
    let some: AreaCode = "110000".parse().ok()?;
    let stands = |refused: &Refused| text.contains(&format!("({})", refused.code()));
    Refused::all(some, some).into_iter().find(stands)
}

/// What the operating system and the resolver say when nobody is to be reached.
const NETWORK: [&str; 6] = [
    "timed out",
    "deadline has elapsed",
    "unreachable",
    "No route",
    "dns error",
    "failed to lookup",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_refused_on_the_way_is_named_and_to_blame() {
        let (relay, peer) = ("410000".parse().unwrap(), "410522".parse().unwrap());
        let at = domain::time::UnixMillis::new(0);
        let said = |by, reason| refused_on_the_way(&Refusal { by, reason, at }, peer);
        let (text, explained) = said(relay, Reason::NotForUs);
        assert_eq!(text, "410000 does not take mail for 410522 (NOT_FOR_US)");
        assert_eq!((explained.code, explained.fault), ("NOT_FOR_US", Some(Fault::Relay)));
        assert_eq!(said(peer, Reason::SenderUnknown).1.fault, Some(Fault::Peer));
    }

    #[test]
    fn trouble_is_known_by_what_the_log_says() {
        let expired =
            format!("x.example:1 cannot be reached: transport error: {}", Refused::Expired);
        for (text, code, fault) in [
            (expired.as_str(), "CERTIFICATE_EXPIRED", Fault::Peer),
            ("h2: received fatal alert: CertificateRevoked", "PEER_SAYS_REVOKED", Fault::OwnNode),
            ("received fatal alert: UnknownCA", "PEER_SAYS_UNKNOWN_AUTHORITY", Fault::Peer),
            ("tcp connect error: Connection refused", "PEER_UNREACHABLE", Fault::Peer),
            ("deadline has elapsed", "PEER_UNREACHABLE", Fault::Network),
            ("dns error: failed to lookup address", "PEER_UNREACHABLE", Fault::Network),
        ] {
            let explained = explain(text);
            assert_eq!((explained.code, explained.fault), (code, Some(fault)), "{text}");
        }
    }
}
