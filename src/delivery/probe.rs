//! Walks the way to a peer step by step, and says at the first that fails whose fault it is and what to do.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::area::AreaCode;
use domain::fault::Fault;
use domain::reason::Reason;
use domain::time::UnixMillis;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::transport::Channel;
use trust::refused::Refused;
use trust::tls::TlsMaterial;
use wire::client::NodeClient;
use wire::decode_card;

use super::hub::Hub;
use super::link::{self, Seen};
use super::peers::Peer;
use super::trouble::{Explained, explain};
use crate::errors::chain;
use crate::time::SystemClock;

/// Longest wait for any one step.
const STEP_TIMEOUT: Duration = Duration::from_secs(5);
/// Clocks that are further apart are a fault; what is signed is off by as much.
const CLOCKS_APART: Duration = Duration::from_secs(60);

/// One step on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StepName {
    /// The endpoint is known, from the configuration or the directory.
    Endpoint,
    /// Its name leads to an address.
    Address,
    /// Somebody answers there.
    Connection,
    /// Both certificates are accepted, and its name proves the area.
    Certificates,
    /// It has shown its card, and the card holds.
    Card,
    /// It has introduced itself.
    Introduction,
    /// Its clock and ours agree.
    Clock,
}

/// Why a step failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// In words.
    pub explained: Explained,
    /// What was found, for whoever looks closer.
    pub detail: String,
}

/// A step that was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Which.
    pub name: StepName,
    /// Time it took.
    pub took: Duration,
    /// What was found, or why it failed.
    pub outcome: Result<String, Failed>,
}

/// What a walk came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Probe {
    /// The steps, in order; the first that failed is the last.
    pub steps: Vec<Step>,
    /// Time between a question and its answer.
    pub round_trip: Option<Duration>,
    /// The peer's clock less ours, milliseconds.
    pub skew_ms: i64,
    /// Version of the peer's program.
    pub version: String,
    /// Features it understands.
    pub features: Vec<String>,
    /// Until when its certificate holds.
    pub certificate_until: Option<UnixMillis>,
    /// Version of its card.
    pub card_version: u64,
}

impl Probe {
    /// Whether every step went well.
    #[must_use]
    pub fn is_reachable(&self) -> bool {
        self.steps.iter().all(|step| step.outcome.is_ok())
    }
}

/// Walks the way to a peer; none when no such peer is known.
pub async fn probe(hub: &Hub, area: AreaCode) -> Option<Probe> {
    let peer = hub.shared().peers.get(area)?;
    let mut walk = Walk { hub, peer, probe: Probe::default() };
    // The walk ends at the step that fails; what failed stands in the probe.
    let _end = walk.all().await;
    Some(walk.probe)
}

struct Walk<'a> {
    hub: &'a Hub,
    peer: Arc<Peer>,
    probe: Probe,
}

impl Walk<'_> {
    async fn all(&mut self) -> Option<()> {
        let collects = self.peer.card().is_some_and(|card| card.collects);
        if collects {
            let (hub, area) = (self.hub, self.peer.area);
            self.step(StepName::Connection, collecting(hub, area)).await?;
        } else {
            self.call().await?;
        }
        let introduced = introduction(self.hub, self.peer.clone());
        let hello = self.step(StepName::Introduction, introduced).await?;
        self.probe.version = hello.version;
        self.probe.features = hello.features;
        self.probe.skew_ms = hello.skew_ms;
        self.step(StepName::Clock, clock(hello.skew_ms)).await
    }

    /// As far as a peer that can be called answers for itself.
    async fn call(&mut self) -> Option<()> {
        let endpoints = self.step(StepName::Endpoint, endpoints(self.peer.clone())).await?;
        let addresses = self.step(StepName::Address, addresses(endpoints)).await?;
        let (endpoint, tcp) = self.step(StepName::Connection, connection(addresses)).await?;
        let material = self.hub.shared().identity.material();
        let area = self.peer.area;
        let shaken = certificates(area, &endpoint, tcp, &material);
        let (channel, until) = self.step(StepName::Certificates, shaken).await?;
        self.probe.certificate_until = until;
        let carded = card(area, channel, &material);
        let (version, round_trip) = self.step(StepName::Card, carded).await?;
        (self.probe.card_version, self.probe.round_trip) = (version, Some(round_trip));
        Some(())
    }

    /// Takes a step, in the time there is for one, and notes what came of it.
    async fn step<T>(
        &mut self,
        name: StepName,
        work: impl Future<Output = Result<(T, String), Failed>>,
    ) -> Option<T> {
        let started = Instant::now();
        let done = tokio::time::timeout(STEP_TIMEOUT, work).await.unwrap_or_else(|_elapsed| {
            Err(failed(Reason::PeerUnreachable, Fault::Network, "no answer in time"))
        });
        let took = started.elapsed();
        let (found, outcome) = match done {
            Ok((found, detail)) => (Some(found), Ok(detail)),
            Err(failed) => (None, Err(failed)),
        };
        self.probe.steps.push(Step { name, took, outcome });
        found
    }
}

fn failed(reason: Reason, fault: Fault, detail: impl ToString) -> Failed {
    Failed { explained: Explained::reason(reason, Some(fault)), detail: detail.to_string() }
}

async fn endpoints(peer: Arc<Peer>) -> Result<(Vec<String>, String), Failed> {
    let endpoints = peer.endpoints();
    if endpoints.is_empty() {
        return Err(failed(Reason::PeerCardMissing, Fault::OwnNode, "no endpoint is known"));
    }
    let detail = endpoints.join(", ");
    Ok((endpoints, detail))
}

/// A peer that collects its mail is there while its own line stands.
async fn collecting(hub: &Hub, area: AreaCode) -> Result<((), String), Failed> {
    if hub.stands(area) {
        return Ok(((), "it has called us and collects its mail".to_owned()));
    }
    let explained = Explained::reason(Reason::PeerCollects, None);
    Err(Failed { explained, detail: "its card says that it collects".to_owned() })
}

type Addresses = Vec<(String, Vec<SocketAddr>)>;

async fn addresses(endpoints: Vec<String>) -> Result<(Addresses, String), Failed> {
    let (mut found, mut wrong) = (Addresses::new(), Vec::new());
    for endpoint in endpoints {
        let looked_up = tokio::net::lookup_host(&endpoint).await;
        match looked_up.map(Iterator::collect) {
            Ok(addresses) => found.push((endpoint, addresses)),
            Err(error) => wrong.push(format!("{endpoint}: {error}")),
        }
    }
    if found.is_empty() {
        return Err(failed(Reason::PeerUnreachable, Fault::Network, wrong.join("; ")));
    }
    let all = found.iter().flat_map(|(_, addresses)| addresses).map(ToString::to_string);
    let detail = all.collect::<Vec<_>>().join(", ");
    Ok((found, detail))
}

async fn connection(addresses: Addresses) -> Result<((String, TcpStream), String), Failed> {
    let mut last = failed(Reason::PeerUnreachable, Fault::Network, "its name has no address");
    for (endpoint, addresses) in addresses {
        for address in addresses {
            match TcpStream::connect(address).await {
                Ok(tcp) => return Ok(((endpoint, tcp), address.to_string())),
                Err(error) => {
                    // Something is there and says no, or nothing is there at all.
                    let fault = match error.kind() {
                        std::io::ErrorKind::ConnectionRefused => Fault::Peer,
                        _ => Fault::Network,
                    };
                    last = failed(Reason::PeerUnreachable, fault, format!("{address}: {error}"));
                }
            }
        }
    }
    Err(last)
}

/// Both certificates: theirs at the handshake, ours by the first answer, since a server refuses its client only then.
async fn certificates(
    area: AreaCode,
    endpoint: &str,
    tcp: TcpStream,
    material: &TlsMaterial,
) -> Result<((Channel, Option<UnixMillis>), String), Failed> {
    shake(area, tcp, material).await?;
    let seen = Seen::default();
    let channel = link::dial_and_see(area, endpoint, material, seen.clone()).await;
    let channel = channel.map_err(|error| refused(&chain(&error)))?;
    if let Err(error) = NodeClient::new(channel.clone()).card().await {
        let text = chain(&error);
        if let Some(refused) = Refused::from_text(&text) {
            return Err(Failed { explained: Explained::refused(refused), detail: text });
        }
    }
    let chain = seen.get().map(Vec::as_slice).unwrap_or_default();
    let purpose = trust::verify::Purpose::NodeAsServer;
    let leaf = material.chains().verify(chain, purpose, SystemClock.now());
    let until = leaf.ok().map(|verified| verified.leaf.not_after);
    let ends = until.map(|until| until.date().to_string()).unwrap_or_default();
    Ok(((channel, until), format!("it proves {area}; its certificate holds until {ends}")))
}

/// The handshake by itself, whose error says more than that of the layers above it.
async fn shake(area: AreaCode, tcp: TcpStream, material: &TlsMaterial) -> Result<(), Failed> {
    let own = |error: trust::tls::ConfigError| {
        failed(Reason::SigningUnavailable, Fault::OwnNode, chain(&error))
    };
    let name = material.server_name(area).map_err(own)?;
    let tls = material.client_config(area).map_err(own)?;
    let lost = |error: std::io::Error| match Refused::from_io(&error) {
        Some(refused) => {
            Failed { explained: Explained::refused(refused), detail: refused.to_string() }
        }
        None => refused(&error.to_string()),
    };
    TlsConnector::from(tls).connect(name, tcp).await.map_err(lost)?;
    Ok(())
}

fn refused(text: &str) -> Failed {
    Failed { explained: explain(text), detail: text.to_owned() }
}

/// The card, and how long a question and its answer take.
async fn card(
    area: AreaCode,
    channel: Channel,
    material: &TlsMaterial,
) -> Result<((u64, Duration), String), Failed> {
    let started = Instant::now();
    let asked = NodeClient::new(channel).card().await;
    let round_trip = started.elapsed();
    let signed = asked.map_err(|error| refused(&chain(&error)))?;
    let now = SystemClock.now();
    let (bytes, signature) = (&signed.card_bytes, &signed.signature);
    let held = trust::card::verify(material.chains(), bytes, signature, &signed.chain, area, now);
    held.map_err(|refused| Failed {
        explained: Explained::refused(refused),
        detail: refused.to_string(),
    })?;
    let card = decode_card(&signed.card_bytes)
        .map_err(|malformed| failed(Reason::Malformed, Fault::Peer, malformed))?;
    if !card.holds_at(now) {
        return Err(failed(Reason::ClockWrong, Fault::Peer, "its card does not hold now"));
    }
    let detail = format!("version {}, until {}", card.version, card.valid_until.date());
    Ok(((card.version, round_trip), detail))
}

struct Introduced {
    version: String,
    features: Vec<String>,
    skew_ms: i64,
}

/// What the session says that stands, or that is opened now; it serves mail afterwards.
async fn introduction(hub: &Hub, peer: Arc<Peer>) -> Result<(Introduced, String), Failed> {
    let session = hub.session(peer.area).await.map_err(|why| refused(&why))?;
    let hello = session.hello();
    let (version, features) = (hello.version.clone(), hello.features.clone());
    let detail = format!("version {version}");
    Ok((Introduced { version, features, skew_ms: peer.state().skew_ms }, detail))
}

async fn clock(skew_ms: i64) -> Result<((), String), Failed> {
    let apart = Duration::from_millis(skew_ms.unsigned_abs());
    let detail = format!("{skew_ms} ms");
    if apart > CLOCKS_APART {
        // Whose clock is wrong, neither of the two can say.
        return Err(Failed { explained: Explained::reason(Reason::ClockWrong, None), detail });
    }
    Ok(((), detail))
}
