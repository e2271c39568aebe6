//! Node cards: where a node is and with which keys to seal for it.

use std::fmt;

use bytes::Bytes;
use domain::area::AreaCode;
use domain::time::UnixMillis;

use crate::digest::Digest;
use crate::envelope::AlgorithmProfile;
use crate::keys::SignContext;

/// Largest serialised card, in bytes.
pub const CARD_BYTES_MAX: usize = 8 * 1024;
/// Longest name of an office, in characters.
pub const CARD_NAME_CHARS_MAX: usize = 100;
/// Most endpoints on a card.
pub const CARD_ENDPOINTS_MAX: usize = 8;
/// Longest endpoint, in bytes: a DNS name, a colon and a port.
pub const CARD_ENDPOINT_BYTES_MAX: usize = 260;
/// Most sealing keys on a card.
pub const CARD_KEYS_MAX: usize = 8;

/// Who is where, with which keys.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NodeCard {
    /// Area the node speaks for.
    pub area: AreaCode,
    /// Name of the office, for people.
    pub name: String,
    /// Where the node API can be reached, best first.
    pub endpoints: Vec<Endpoint>,
    /// Keys to seal with: the first is the one to use, the others still open.
    pub sealing_keys: Vec<SealingKey>,
    /// Grows with every change of the card.
    pub version: u64,
    /// From when the card holds.
    pub valid_from: UnixMillis,
    /// Until when the card holds.
    pub valid_until: UnixMillis,
}

/// A host name or address with a port, `host:port` or `[address]:port`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint(String);

/// A public key to seal envelopes with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SealingKey {
    /// Algorithms the key is for.
    pub profile: AlgorithmProfile,
    /// Raw public key.
    pub public_key: [u8; 32],
    /// Until when senders may seal with it.
    pub use_until: UnixMillis,
}

/// A card with its proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedCard {
    /// Serialised card; the signature covers exactly these bytes.
    pub card_bytes: Bytes,
    /// ECDSA P-256 over [`card_signing_input`], ASN.1 DER.
    pub signature: Bytes,
    /// The signer's chain, leaf first, DER.
    pub chain: Vec<Vec<u8>>,
}

/// The text is not `host:port`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an endpoint is a host name or address, a colon, and a port from 1 to 65535")]
pub struct InvalidEndpoint;

/// Why a card makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCard {
    /// The name is empty, too long, or has control characters.
    #[error("the name must have 1 to {CARD_NAME_CHARS_MAX} printable characters")]
    Name,
    /// There are more endpoints than [`CARD_ENDPOINTS_MAX`]. None at all is a node that only calls others.
    #[error("a card has at most {CARD_ENDPOINTS_MAX} endpoints, not {found}")]
    Endpoints {
        /// How many there are.
        found: usize,
    },
    /// There is no sealing key, or more than [`CARD_KEYS_MAX`].
    #[error("a card has 1 to {CARD_KEYS_MAX} sealing keys, not {found}")]
    Keys {
        /// How many there are.
        found: usize,
    },
    /// It ends before it begins.
    #[error("the card's validity ends before it begins")]
    Validity,
}

impl NodeCard {
    /// Checks what a card must keep to, whoever made it.
    ///
    /// # Errors
    /// [`InvalidCard`].
    pub fn check(&self) -> Result<(), InvalidCard> {
        let chars = self.name.chars().count();
        if chars == 0 || chars > CARD_NAME_CHARS_MAX || self.name.chars().any(char::is_control) {
            return Err(InvalidCard::Name);
        }
        if self.endpoints.len() > CARD_ENDPOINTS_MAX {
            return Err(InvalidCard::Endpoints { found: self.endpoints.len() });
        }
        if self.sealing_keys.is_empty() || self.sealing_keys.len() > CARD_KEYS_MAX {
            return Err(InvalidCard::Keys { found: self.sealing_keys.len() });
        }
        if self.valid_until <= self.valid_from {
            return Err(InvalidCard::Validity);
        }
        Ok(())
    }

    /// Whether the card holds at that time.
    #[must_use]
    pub fn holds_at(&self, now: UnixMillis) -> bool {
        self.valid_from <= now && now < self.valid_until
    }

    /// The key to seal with at that time: the first of this profile that may still be used.
    #[must_use]
    pub fn sealing_key_at(
        &self,
        now: UnixMillis,
        profile: AlgorithmProfile,
    ) -> Option<&SealingKey> {
        self.sealing_keys.iter().find(|key| key.profile == profile && now < key.use_until)
    }

    /// Whether this card replaces `other` of the same area.
    #[must_use]
    pub fn replaces(&self, other: &Self) -> bool {
        self.area == other.area && self.version > other.version
    }
}

impl SealingKey {
    /// First 8 bytes of SHA-256 of the raw key, as headers carry it.
    #[must_use]
    pub fn key_id(&self) -> [u8; 8] {
        let [a, b, c, d, e, f, g, h, ..] = Digest::of(&self.public_key).into_bytes();
        [a, b, c, d, e, f, g, h]
    }
}

impl Endpoint {
    /// The text as given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Host name or address, without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        let host = self.0.rsplit_once(':').map_or(self.0.as_str(), |(host, _)| host);
        host.trim_start_matches('[').trim_end_matches(']')
    }

    /// Port.
    #[must_use]
    pub fn port(&self) -> u16 {
        // Checked when it was parsed.
        self.0.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).unwrap_or_default()
    }
}

impl std::str::FromStr for Endpoint {
    type Err = InvalidEndpoint;

    fn from_str(text: &str) -> Result<Self, InvalidEndpoint> {
        let (host, port) = text.rsplit_once(':').ok_or(InvalidEndpoint)?;
        let digits = port.bytes().all(|byte| byte.is_ascii_digit());
        let port_is_good = digits && port.parse::<u16>().is_ok_and(|port| port != 0);
        let host_is_good = match host.strip_prefix('[') {
            Some(rest) => rest
                .strip_suffix(']')
                .is_some_and(|address| address.parse::<std::net::Ipv6Addr>().is_ok()),
            None => {
                let allowed =
                    |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
                !host.is_empty() && host.bytes().all(allowed)
            }
        };
        if text.len() <= CARD_ENDPOINT_BYTES_MAX && port_is_good && host_is_good {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidEndpoint)
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `SHA-256("liangdi/v1/card" || 0x00 || card)`: the hash that is signed.
#[must_use]
pub fn card_signing_input(card_bytes: &[u8]) -> [u8; 32] {
    SignContext::Card.digest(card_bytes).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;
    use crate::samples::NOW;

    fn key(first: u8, use_until: u64) -> SealingKey {
        SealingKey {
            profile: AlgorithmProfile::International,
            public_key: [first; 32],
            use_until: UnixMillis::new(NOW.get() + use_until),
        }
    }

    fn card() -> NodeCard {
        NodeCard {
            area: samples::area("410522"),
            name: "安阳县卫生健康委员会".to_owned(),
            endpoints: vec!["node.example:7443".parse().unwrap()],
            sealing_keys: vec![key(1, 10), key(2, 20)],
            version: 3,
            valid_from: NOW,
            valid_until: UnixMillis::new(NOW.get() + 100),
        }
    }

    #[test]
    fn each_fault_of_a_card_has_a_name() {
        assert_eq!(card().check(), Ok(()));
        assert_eq!(NodeCard { name: String::new(), ..card() }.check(), Err(InvalidCard::Name));
        assert_eq!(NodeCard { name: "a\nb".into(), ..card() }.check(), Err(InvalidCard::Name));
        let endpoints = vec!["h:1".parse().unwrap(); 9];
        let found = 9;
        assert_eq!(NodeCard { endpoints, ..card() }.check(), Err(InvalidCard::Endpoints { found }));
        let found = 0;
        assert_eq!(
            NodeCard { sealing_keys: vec![], ..card() }.check(),
            Err(InvalidCard::Keys { found })
        );
        assert_eq!(NodeCard { valid_until: NOW, ..card() }.check(), Err(InvalidCard::Validity));
    }

    #[test]
    fn the_first_usable_key_seals() {
        let at = |millis: u64| {
            let now = UnixMillis::new(NOW.get() + millis);
            let card = card();
            card.sealing_key_at(now, AlgorithmProfile::International).map(|key| key.public_key[0])
        };
        assert_eq!([at(9), at(10), at(20)], [Some(1), Some(2), None]);
        assert_eq!(card().sealing_key_at(NOW, AlgorithmProfile::Shangmi), None);
        assert_eq!(key(1, 1).key_id(), Digest::of(&[1; 32]).as_bytes()[..8]);
    }

    #[test]
    fn validity_and_version_order_cards() {
        let later = |millis: u64| UnixMillis::new(NOW.get() + millis);
        assert!(card().holds_at(NOW) && card().holds_at(later(99)) && !card().holds_at(later(100)));
        let newer = NodeCard { version: 4, ..card() };
        assert!(newer.replaces(&card()) && !card().replaces(&newer) && !card().replaces(&card()));
        assert!(!NodeCard { area: samples::area("330106"), ..newer }.replaces(&card()));
    }

    #[test]
    fn endpoints_are_host_and_port() {
        for good in ["a.b-c.example:7443", "10.0.0.1:1", "[2001:db8::1]:65535"] {
            assert_eq!(good.parse::<Endpoint>().unwrap().as_str(), good);
        }
        let endpoint: Endpoint = "[2001:db8::1]:7443".parse().unwrap();
        assert_eq!((endpoint.host(), endpoint.port()), ("2001:db8::1", 7443));
        for bad in [
            "",
            "host",
            ":1",
            "host:",
            "host:0",
            "host:65536",
            "host:+1",
            "h st:1",
            "h/x:1",
            "2001:db8::1:1",
            "[x]:1",
        ] {
            assert_eq!(bad.parse::<Endpoint>(), Err(InvalidEndpoint), "{bad}");
        }
    }
}
