//! Node cards: where a node is and with which keys to seal for it.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use domain::area::AreaCode;
use domain::time::UnixMillis;

use crate::digest::Digest;
use crate::envelope::AlgorithmProfile;
use crate::keys::SignContext;
use crate::ledger::SeenHead;

/// Largest serialised card, in bytes; everything that [`NodeCard::check`] lets pass fits.
pub const CARD_BYTES_MAX: usize = 16 * 1024;
/// Longest name of an office, in characters.
pub const CARD_NAME_CHARS_MAX: usize = 100;
/// Most endpoints on a card.
pub const CARD_ENDPOINTS_MAX: usize = 8;
/// Longest endpoint, in bytes: a DNS name, a colon and a port.
pub const CARD_ENDPOINT_BYTES_MAX: usize = 260;
/// Most sealing keys on a card.
pub const CARD_KEYS_MAX: usize = 8;
/// Most maintenance windows on a card.
pub const CARD_WINDOWS_MAX: usize = 8;
/// Longest note of a maintenance window, in characters.
pub const WINDOW_NOTE_CHARS_MAX: usize = 100;
/// Longest maintenance window: mail waits for it, so it must end.
pub const WINDOW_MAX: Duration = Duration::from_secs(7 * 86_400);
/// Most ended areas on a card. Those that ended long ago give way.
pub const CARD_CHANGES_MAX: usize = 64;
/// Most areas that take over from one.
pub const SUCCESSORS_MAX: usize = 16;

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
    /// When the node will be out of service, as announced.
    pub maintenance: Vec<MaintenanceWindow>,
    /// Areas under this one that have ended, and what became of them.
    pub area_changes: Vec<AreaChange>,
    /// The node cannot be called; it collects its mail.
    pub collects: bool,
    /// When the office ended its service; nothing is sent to it afterwards.
    pub retired: Option<UnixMillis>,
    /// The head of the node's ledger when the card was signed; `None` while there is nothing in it.
    pub ledger_head: Option<SeenHead>,
}

/// A time in which a node is out of service: its mail waits with the sender.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MaintenanceWindow {
    /// From when.
    pub from: UnixMillis,
    /// Until when, at most [`WINDOW_MAX`] later.
    pub until: UnixMillis,
    /// Why, for people; may be empty.
    pub note: String,
}

/// An area that has ended. Believed only on the card of an area above it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AreaChange {
    /// The area that ended.
    pub area: AreaCode,
    /// The areas that took over: one after a merger or a new name, several after a split.
    pub successors: Vec<AreaCode>,
    /// From when.
    pub from: UnixMillis,
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
    /// There are more maintenance windows than [`CARD_WINDOWS_MAX`].
    #[error("a card has at most {CARD_WINDOWS_MAX} maintenance windows, not {found}")]
    Windows {
        /// How many there are.
        found: usize,
    },
    /// A window ends before it begins, or is longer than [`WINDOW_MAX`].
    #[error("a maintenance window ends after it begins, and at most seven days later")]
    Window,
    /// The note of a window is too long, or has control characters.
    #[error("the note of a window has at most {WINDOW_NOTE_CHARS_MAX} printable characters")]
    WindowNote,
    /// There are more changes of areas than [`CARD_CHANGES_MAX`].
    #[error("a card has at most {CARD_CHANGES_MAX} changes of areas, not {found}")]
    Changes {
        /// How many there are.
        found: usize,
    },
    /// An area that is not under that of the card, or is named twice.
    #[error("a card tells once of each area under its own, which {area} is not")]
    ChangedArea {
        /// The area.
        area: AreaCode,
    },
    /// No successor, more than [`SUCCESSORS_MAX`], one twice, or the ended area itself.
    #[error("the area {area} has 1 to {SUCCESSORS_MAX} different successors, and is none of them")]
    Successors {
        /// The area that ended.
        area: AreaCode,
    },
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
        if self.maintenance.len() > CARD_WINDOWS_MAX {
            return Err(InvalidCard::Windows { found: self.maintenance.len() });
        }
        self.maintenance.iter().try_for_each(MaintenanceWindow::check)?;
        self.check_changes()
    }

    fn check_changes(&self) -> Result<(), InvalidCard> {
        if self.area_changes.len() > CARD_CHANGES_MAX {
            return Err(InvalidCard::Changes { found: self.area_changes.len() });
        }
        let mut seen = BTreeSet::new();
        self.area_changes.iter().try_for_each(|change| {
            let area = change.area;
            if area == self.area || !self.area.contains(&area) || !seen.insert(area) {
                return Err(InvalidCard::ChangedArea { area });
            }
            change.check()
        })
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

    /// When the maintenance that is under way at that time ends; `None` when there is none. Windows that
    /// touch or overlap count as one.
    #[must_use]
    pub fn maintenance_at(&self, now: UnixMillis) -> Option<UnixMillis> {
        let ends_after = |at: UnixMillis| {
            let open = self.maintenance.iter().filter(move |w| w.from <= at && at < w.until);
            open.map(|window| window.until).max()
        };
        let mut end = ends_after(now)?;
        // Each turn passes the end of another window, and there are few of them.
        while let Some(later) = ends_after(end) {
            end = later;
        }
        Some(end)
    }

    /// Whether the office has ended its service by that time.
    #[must_use]
    pub fn retired_at(&self, now: UnixMillis) -> bool {
        self.retired.is_some_and(|retired| retired <= now)
    }

    /// Whether this card replaces `other` of the same area.
    #[must_use]
    pub fn replaces(&self, other: &Self) -> bool {
        self.area == other.area && self.version > other.version
    }
}

impl MaintenanceWindow {
    /// Checks what a window must keep to, whoever announces it.
    ///
    /// # Errors
    /// [`InvalidCard`].
    pub fn check(&self) -> Result<(), InvalidCard> {
        if self.until <= self.from || self.until.since(self.from) > WINDOW_MAX {
            return Err(InvalidCard::Window);
        }
        let chars = self.note.chars().count();
        if chars > WINDOW_NOTE_CHARS_MAX || self.note.chars().any(char::is_control) {
            return Err(InvalidCard::WindowNote);
        }
        Ok(())
    }
}

impl AreaChange {
    /// Checks what a change must keep to, whoever tells of it. Whether he may is for [`NodeCard::check`].
    ///
    /// # Errors
    /// [`InvalidCard::Successors`].
    pub fn check(&self) -> Result<(), InvalidCard> {
        let area = self.area;
        let different: BTreeSet<_> = self.successors.iter().collect();
        let count_is_good = (1..=SUCCESSORS_MAX).contains(&self.successors.len());
        if !count_is_good || different.len() != self.successors.len() || different.contains(&area) {
            return Err(InvalidCard::Successors { area });
        }
        Ok(())
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
