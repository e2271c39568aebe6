//! One task a peer: feeds its courier with events and performs the effects.

#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use domain::area::AreaCode;
use domain::time::UnixMillis;
use exchange::courier::{Answer, Courier, CourierSettings, Effect, Event, ParcelNo};
use exchange::digest::Digest;
use exchange::keys::SignContext;
use exchange::lane::{LANE_WINDOW, LaneEpoch, LaneOut, LaneSeq, Mark};
use exchange::parcel::{PARCEL_ENVELOPES_MAX, Parcel, ParcelId};
use exchange::receipt::Receipt;
use exchange::route::{Route, Routes};
use exchange::runs::SeqRuns;
use store::Store;
use store::messages::{EnvelopeKey, Side};
use store::tables::ENVELOPE;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use wire::{decode_disposition, decode_receipt_manifest};

use super::identity::NodeIdentity;
use super::link::{self, LinkEvent};
use super::parcels::{Loaded, Sent, build};
use super::peers::{Mail, Peer, Peers};
use crate::app::AppError;
use crate::app::messages::{envelope_of, settle};
use crate::tasks::{Stopping, Tasks};
use crate::time::{SystemClock, random};

/// Events of the link and the store that wait for the courier.
const EVENTS_QUEUE: usize = 64;
/// Longest sleep of a courier that expects nothing, so that a clock that was set is noticed.
const SLEEP_MAX: Duration = Duration::from_secs(60);

/// What the couriers of a node share.
#[derive(Clone, Debug)]
pub struct Outbound {
    /// Our area.
    pub own: AreaCode,
    /// The store.
    pub store: Store,
    /// Our identity.
    pub identity: Arc<NodeIdentity>,
    /// How couriers behave.
    pub settings: CourierSettings,
    /// Where tasks are spawned.
    pub tasks: Tasks,
}

impl Outbound {
    /// Starts a courier for each peer, also for those that join later.
    pub fn follow(&self, peers: &Peers) {
        let (shared, peers) = (self.clone(), peers.clone());
        self.tasks.spawn("couriers", async move {
            let (mut joined, mut stopping) = (peers.joined(), shared.tasks.stopping());
            let mut started = BTreeSet::new();
            loop {
                joined.mark_unchanged();
                for peer in peers.all() {
                    if started.insert(peer.area) {
                        shared.start(&peer);
                    }
                }
                tokio::select! {
                    () = stopping.stopped() => return,
                    Ok(()) = joined.changed() => {}
                }
            }
        });
    }

    /// Starts the courier of a peer.
    pub fn start(&self, peer: &Arc<Peer>) {
        let (shared, peer) = (self.clone(), peer.clone());
        self.tasks.spawn("courier", async move {
            let stopping = shared.tasks.stopping();
            let (events, incoming) = mpsc::channel(EVENTS_QUEUE);
            let mut run = Run::new(shared, peer, events);
            run.until_stopped(incoming, stopping).await;
        });
    }
}

/// What comes to a courier from outside.
pub(super) enum Incoming {
    /// From the link with this number.
    Link(u64, LinkEvent),
    /// A receipt is on disk, or could not be written.
    Kept(ParcelNo, Result<(), AppError>),
}

struct OpenLink {
    number: u64,
    task: AbortHandle,
    /// Where parcels go, once the link stands.
    out: Option<mpsc::Sender<Parcel>>,
    /// The peer's chain, from the first receipt that carried it.
    chain: Vec<Vec<u8>>,
    /// Whose chain the peer has: our certificate may be renewed while the link stands.
    chain_sent: Option<Digest>,
}

struct Run {
    shared: Outbound,
    peer: Arc<Peer>,
    courier: Courier,
    epoch: Option<LaneEpoch>,
    events: mpsc::Sender<Incoming>,
    link: Option<OpenLink>,
    /// Links opened so far; tells the events of one from those of the next.
    links: u64,
    loaded: HashMap<ParcelNo, Loaded>,
    offered: HashMap<ParcelNo, Sent>,
    by_id: HashMap<ParcelId, ParcelNo>,
    wake: Option<UnixMillis>,
}

impl Run {
    fn new(shared: Outbound, peer: Arc<Peer>, events: mpsc::Sender<Incoming>) -> Self {
        Self {
            courier: Courier::new(
                shared.settings,
                LaneOut::new(LaneEpoch::new(0)),
                Routes::direct(),
            ),
            epoch: None,
            shared,
            peer,
            events,
            link: None,
            links: 0,
            loaded: HashMap::new(),
            offered: HashMap::new(),
            by_id: HashMap::new(),
            wake: None,
        }
    }

    async fn until_stopped(
        &mut self,
        mut incoming: mpsc::Receiver<Incoming>,
        mut stopping: Stopping,
    ) {
        let mut mail = self.peer.mail();
        self.look_at_lane();
        loop {
            let sleep = self.sleep();
            tokio::select! {
                () = stopping.stopped() => break,
                changed = mail.changed() => {
                    if changed.is_err() { break }
                    let news = *mail.borrow_and_update();
                    self.mail(news);
                }
                event = incoming.recv() => match event {
                    Some(event) => self.incoming(event),
                    None => break,
                },
                () = self.peer.seen() => self.step(Event::PeerSeen),
                () = tokio::time::sleep(sleep) => self.woken(),
            }
            let status = self.courier.status();
            self.peer.note(|state| state.courier = Some(status));
        }
        if let Some(link) = self.link.take() {
            link.task.abort();
        }
    }

    fn sleep(&self) -> Duration {
        let now = SystemClock.now();
        self.wake.map_or(SLEEP_MAX, |at| at.since(now).min(SLEEP_MAX))
    }

    /// Takes up the lane as it is on disk; at the start, and when its epoch changes.
    fn look_at_lane(&mut self) {
        match settle::lane(&self.shared.store, self.peer.area) {
            Ok(Some(lane)) => {
                self.epoch = Some(lane.epoch());
                self.courier = Courier::new(self.shared.settings, lane, Routes::direct());
                self.step(Event::Woken);
            }
            Ok(None) => {}
            Err(error) => {
                tracing::error!(peer = %self.peer.area, error = %error, "cannot read the lane to a peer");
            }
        }
    }

    /// The time of a wish has come, or a minute has passed. A wish is for once: one that came true and stayed
    /// would come true again at once.
    fn woken(&mut self) {
        self.wake = None;
        // Whoever accepts mail may be gone between the disk and the nudge.
        match settle::lane(&self.shared.store, self.peer.area) {
            Ok(Some(lane)) => self.mail(Some((lane.epoch(), lane.next_sequence().prev()))),
            Ok(None) => {}
            Err(error) => {
                tracing::error!(peer = %self.peer.area, %error, "cannot read the lane to a peer");
            }
        }
        self.step(Event::Woken);
    }

    fn mail(&mut self, news: Mail) {
        match news {
            Some((epoch, through)) if self.epoch == Some(epoch) => {
                self.step(Event::Mail { through });
            }
            Some(_) => self.look_at_lane(),
            None => {}
        }
    }

    fn incoming(&mut self, incoming: Incoming) {
        match incoming {
            Incoming::Link(number, event) => {
                if self.link.as_ref().is_some_and(|link| link.number == number) {
                    self.link_event(event);
                }
            }
            Incoming::Kept(parcel, Ok(())) => {
                let kept = self.forget(parcel);
                self.peer.advance(|progress| progress.kept += kept);
                self.peer.note(|state| state.last_receipt = Some(SystemClock.now()));
                self.step(Event::Kept { parcel });
            }
            Incoming::Kept(parcel, Err(error)) => {
                // Nothing is settled that is not on disk.
                tracing::error!(peer = %self.peer.area, ?parcel, %error, "a receipt could not be kept");
                self.forget(parcel);
                self.step(Event::NotKept { parcel });
            }
        }
    }

    fn link_event(&mut self, event: LinkEvent) {
        match event {
            LinkEvent::Up { hello, out, skew_ms } => {
                if let Some(link) = &mut self.link {
                    link.out = Some(out);
                }
                tracing::info!(peer = %self.peer.area, version = hello.version, "link to the peer stands");
                self.peer.note(|state| {
                    state.trouble = None;
                    state.version.clone_from(&hello.version);
                    state.skew_ms = skew_ms;
                });
                self.step(Event::LinkUp {
                    route: Route::Direct,
                    window_parcels: hello.window_parcels,
                });
            }
            LinkEvent::Lost { why } => {
                tracing::info!(peer = %self.peer.area, why, "no link to the peer");
                self.peer.note(|state| state.trouble = Some(why));
                self.link = None;
                self.forget_unanswered();
                self.step(Event::LinkLost { route: Route::Direct });
            }
            LinkEvent::Receipt(receipt) => self.receipt(receipt),
        }
    }

    fn step(&mut self, event: Event) {
        let mut events = vec![event];
        while let Some(event) = events.pop() {
            let now = SystemClock.now();
            let random = u64::from_be_bytes(random());
            let lane = LaneOut::new(LaneEpoch::new(0));
            let empty = Courier::new(self.shared.settings, lane, Routes::direct());
            let courier = std::mem::replace(&mut self.courier, empty);
            let (courier, effects) = courier.step(event, now, random);
            self.courier = courier;
            for effect in effects {
                events.extend(self.perform(effect));
            }
        }
    }

    /// Performs an effect; says what it came to, if that is known at once.
    fn perform(&mut self, effect: Effect) -> Option<Event> {
        match effect {
            Effect::Connect { .. } => {
                self.connect();
                None
            }
            Effect::Disconnect { .. } => {
                if let Some(link) = self.link.take() {
                    link.task.abort();
                }
                self.forget_unanswered();
                None
            }
            Effect::Load { parcel, sequences, bytes_max } => {
                Some(self.load(parcel, &sequences, bytes_max))
            }
            Effect::Look { sequences } => {
                // First come, first served: deadlines are not read yet.
                let deadlines = sequences.iter().map(|s| (s, UnixMillis::new(s.get()))).collect();
                Some(Event::Looked { deadlines })
            }
            Effect::Send { parcel, .. } => self.send(parcel),
            Effect::Keep { parcel, marks } | Effect::KeepCustody { parcel, marks } => {
                self.keep(parcel, marks);
                None
            }
            Effect::WakeAt(at) => {
                self.wake = Some(at);
                None
            }
        }
    }

    fn connect(&mut self) {
        self.links += 1;
        let number = self.links;
        if let Some(old) = self.link.take() {
            old.task.abort();
        }
        let events = self.events.clone();
        let identity = self.shared.identity.clone();
        // Another one each time, when there are several.
        let endpoints = self.peer.endpoints();
        let turn = usize::try_from(number).unwrap_or_default();
        let endpoint = endpoints.get(turn % endpoints.len().max(1)).cloned().unwrap_or_default();
        let open = link::open(self.peer.area, endpoint, identity, number, events);
        let task = self.shared.tasks.spawn("link", open);
        self.link = Some(OpenLink { number, task, out: None, chain: Vec::new(), chain_sent: None });
    }

    fn load(&mut self, parcel: ParcelNo, sequences: &SeqRuns, bytes_max: usize) -> Event {
        let loaded = self.read(sequences, bytes_max).unwrap_or_else(|error| {
            tracing::error!(peer = %self.peer.area, %error, "cannot read the mail for a peer");
            Loaded { envelopes: Vec::new(), sequences: Vec::new() }
        });
        let sequences = loaded.sequences.iter().copied().collect();
        self.loaded.insert(parcel, loaded);
        Event::Loaded { parcel, sequences }
    }

    fn read(&self, sequences: &SeqRuns, bytes_max: usize) -> Result<Loaded, AppError> {
        let mut loaded = Loaded { envelopes: Vec::new(), sequences: Vec::new() };
        let Some(epoch) = self.epoch else { return Ok(loaded) };
        let key = EnvelopeKey::of(Side::Sent, self.peer.area, epoch).key();
        let mut left = bytes_max;
        for run in sequences.runs() {
            let room = PARCEL_ENVELOPES_MAX.saturating_sub(loaded.envelopes.len());
            let count = usize::try_from(run.count()).unwrap_or(usize::MAX).min(room);
            if count == 0 || left == 0 {
                break;
            }
            // A parcel is found again by its lowest sequence, from at most a window above it.
            let lowest = loaded.sequences.first().copied().unwrap_or(run.first);
            let reach = lowest.plus(LANE_WINDOW).get().saturating_sub(run.first.get());
            let count = count.min(usize::try_from(reach).unwrap_or(usize::MAX));
            let asked = count;
            let entries =
                self.shared.store.read_from(&ENVELOPE, &key, run.first.get(), count, left)?;
            let got = entries.len();
            for (position, entry) in entries {
                left = left.saturating_sub(entry.len());
                let envelope = envelope_of(entry);
                loaded.envelopes.push(envelope.ok_or(AppError::Internal("not an envelope"))?);
                loaded.sequences.push(LaneSeq::new(position));
            }
            if got < asked {
                break;
            }
        }
        Ok(loaded)
    }

    fn send(&mut self, parcel: ParcelNo) -> Option<Event> {
        let loaded = self.loaded.remove(&parcel)?;
        let material = self.shared.identity.material();
        let signer = material.identity();
        let (built, sent) = match build(self.shared.own, self.peer.area, loaded, signer.as_ref()) {
            Ok(built) => built,
            Err(reason) => {
                tracing::error!(peer = %self.peer.area, code = reason.code(), "cannot make a parcel");
                return Some(Event::PeerMisbehaved);
            }
        };
        let link = self.link.as_mut()?;
        let known = link.chain_sent.replace(sent.manifest.signer) == Some(sent.manifest.signer);
        let chain = if known { Vec::new() } else { sent.chain.clone() };
        self.by_id.insert(sent.manifest.parcel_id, parcel);
        self.offered.insert(parcel, sent);
        // The queue holds a window of parcels, so it is never full on a link that stands.
        let out = link.out.as_ref()?;
        match out.try_send(Parcel { chain, ..built }) {
            Ok(()) => None,
            Err(_) => Some(Event::PeerMisbehaved),
        }
    }

    fn receipt(&mut self, receipt: Receipt) {
        match self.check(receipt) {
            Ok(Some((parcel, answers))) => {
                let answered = u64::try_from(answers.len()).unwrap_or_default();
                self.peer.advance(|progress| progress.answered += answered);
                self.step(Event::ReceiptArrived { parcel, answers });
            }
            // For a parcel of an earlier link: it is on its way again already.
            Ok(None) => {}
            Err(fault) => {
                tracing::warn!(peer = %self.peer.area, fault, code = "SIGNATURE_INVALID", "a receipt does not hold");
                self.peer.note(|state| state.trouble = Some(fault));
                self.step(Event::PeerMisbehaved);
            }
        }
    }

    /// Checks a receipt in every respect and notes it with its parcel.
    fn check(&mut self, receipt: Receipt) -> Result<Option<(ParcelNo, Vec<Answer>)>, String> {
        let manifest =
            decode_receipt_manifest(&receipt.manifest_bytes).map_err(|e| e.to_string())?;
        let Some(parcel) = self.by_id.get(&manifest.parcel_id).copied() else { return Ok(None) };
        let Some(sent) = self.offered.get_mut(&parcel) else { return Ok(None) };
        let link = self.link.as_mut().ok_or("no link")?;
        if !receipt.chain.is_empty() {
            link.chain.clone_from(&receipt.chain);
        }
        let material = self.shared.identity.material();
        let now = SystemClock.now();
        let chain = material
            .chains()
            .verify(&link.chain, trust::verify::Purpose::Node, now)
            .map_err(|refused| refused.to_string())?;
        if chain.identity.area() != self.peer.area
            || chain.leaf.fingerprint != manifest.signer.into_bytes()
        {
            return Err("the receipt is signed by somebody else".to_owned());
        }
        // Whoever looks at the evidence asks whether the certificate held at the time in the receipt.
        if !(chain.leaf.not_before..=chain.leaf.not_after).contains(&manifest.signed) {
            return Err("the receipt bears a time at which its signer's certificate does not hold"
                .to_owned());
        }
        chain
            .verify(SignContext::Receipt, &receipt.manifest_bytes, &receipt.signature)
            .map_err(|_| "the signature of the receipt does not hold".to_owned())?;
        let dispositions = receipt.dispositions.iter().map(|bytes| decode_disposition(bytes));
        let dispositions: Vec<_> =
            dispositions.collect::<Result<_, _>>().map_err(|e| e.to_string())?;
        manifest
            .check_answers(&sent.manifest, &sent.offered, &receipt.dispositions, &dispositions)
            .map_err(|fault| fault.to_string())?;
        let answers = dispositions.iter().map(|d| Answer::from(&d.outcome)).collect();
        sent.answered = Some(Arc::new(settle::Answered {
            peer: self.peer.area,
            epoch: self.epoch.ok_or("no lane")?,
            parcel_id: manifest.parcel_id,
            parcel: sent.signed.clone(),
            parcel_signer: sent.manifest.signer,
            parcel_chain: sent.chain.clone(),
            sequences: sent.sequences.clone(),
            receipt,
            receipt_signer: manifest.signer,
            receipt_chain: link.chain.clone(),
        }));
        Ok(Some((parcel, answers)))
    }

    fn keep(&mut self, parcel: ParcelNo, marks: Vec<Mark>) {
        let Some(answered) = self.offered.get(&parcel).and_then(|sent| sent.answered.clone())
        else {
            return;
        };
        let (store, events) = (self.shared.store.clone(), self.events.clone());
        self.shared.tasks.spawn("keep", async move {
            let kept = store.commit(move |unit| settle::keep(unit, &answered, &marks)).await;
            // The courier is gone when nobody listens, and finds the receipt on disk at its next start.
            let _gone =
                events.send(Incoming::Kept(parcel, kept.map_err(AppError::from))).await.is_err();
        });
    }

    /// Lets go of a parcel that is settled, and says how many envelopes were in it.
    fn forget(&mut self, parcel: ParcelNo) -> u64 {
        let mut envelopes = 0;
        if let Some(sent) = self.offered.remove(&parcel) {
            self.by_id.remove(&sent.manifest.parcel_id);
            envelopes = u64::from(sent.manifest.count);
        }
        envelopes
    }

    /// What was lost with the link gets new parcels; what is being kept stays known.
    fn forget_unanswered(&mut self) {
        self.offered.retain(|_, sent| sent.answered.is_some());
        self.by_id.retain(|_, no| self.offered.contains_key(no));
    }
}
