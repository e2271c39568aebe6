//! One task for each next hop with waiting mail: feeds its forwarder with events and performs the effects.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::area::AreaCode;
use domain::reason::Reason;
use domain::time::UnixMillis;
use exchange::courier;
use exchange::custody::{CustodyManifest, CustodyOutcome, CustodyReceipt};
use exchange::parcel::{ParcelId, ParcelManifest};
use exchange::receipt::{Receipt, ReceiptManifest};
use exchange::relay::{Answer, Effect, Event, FlightNo, Forwarder, ForwarderSettings};
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;
use wire::{decode_disposition, decode_manifest};

use super::{Relay, answers};
use crate::app::AppError;
use crate::app::relay::{self as units, ReturnedReceipt, Said, SignedWord, Waiting};
use crate::delivery::hub::{Hub, Shared};
use crate::delivery::proof;
use crate::delivery::session::{self, Incoming, Place, Session};
use crate::time::{SystemClock, random};

/// Events of links and the store that wait for one forwarder.
const EVENTS_QUEUE: usize = 64;
/// Longest sleep of a forwarder that expects nothing, so that a clock that was set is noticed.
const SLEEP_MAX: Duration = Duration::from_secs(60);

/// The forwarders of a relay. Clones share them.
#[derive(Clone)]
pub(super) struct Forwarding(Arc<Inner>);

struct Inner {
    hub: Hub,
    settings: ForwarderSettings,
    /// How much mail has come for each next hop that has a forwarder.
    // Touched for each parcel; never across an await.
    running: Mutex<BTreeMap<AreaCode, watch::Sender<u64>>>,
}

impl Forwarding {
    /// No forwarder runs yet.
    pub(super) fn new(hub: Hub, settings: ForwarderSettings) -> Self {
        Self(Arc::new(Inner { hub, settings, running: Mutex::default() }))
    }

    /// There is mail for this next hop, on disk.
    pub(super) fn wake(&self, relay: &Relay, next: AreaCode) {
        let mut running = self.0.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mail) = running.get(&next) {
            mail.send_modify(|count| *count += 1);
            return;
        }
        let mail = watch::Sender::new(0);
        let news = mail.subscribe();
        running.insert(next, mail);
        drop(running);
        let (relay, settings, hub) = (relay.clone(), self.0.settings, self.0.hub.clone());
        self.0.hub.shared().tasks.spawn("forwarder", async move {
            match units::count_waiting(&hub.shared().store, next) {
                Ok(waiting) => {
                    let (events, incoming) = mpsc::channel(EVENTS_QUEUE);
                    let run = Run::new(relay, hub, next, Forwarder::new(settings, waiting), events);
                    run.until_stopped(incoming, news).await;
                }
                Err(error) => {
                    tracing::error!(%next, %error, "cannot read what waits for a next hop");
                }
            }
        });
    }
}

impl fmt::Debug for Forwarding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Forwarding").finish_non_exhaustive()
    }
}

/// The session that the forwarder has asked for.
struct OpenLink {
    number: u64,
    task: AbortHandle,
    session: Option<Arc<Session>>,
}

/// A parcel in the forwarder's hands.
struct InHand {
    id: ParcelId,
    manifest: ParcelManifest,
    /// Until it is sent: the parcel, and the room it has.
    ready: Option<(Waiting, Place)>,
    since: UnixMillis,
    /// What was said about it, checked in every respect.
    said: Option<Said>,
}

struct Run {
    relay: Relay,
    hub: Hub,
    next: AreaCode,
    forwarder: Forwarder,
    events: mpsc::Sender<Incoming>,
    link: Option<OpenLink>,
    link_count: u64,
    /// A flight that waits for room on the session.
    wanted: Option<FlightNo>,
    in_hand: HashMap<FlightNo, InHand>,
    announced: Option<UnixMillis>,
    wake: Option<UnixMillis>,
}

impl Run {
    fn new(
        relay: Relay,
        hub: Hub,
        next: AreaCode,
        forwarder: Forwarder,
        events: mpsc::Sender<Incoming>,
    ) -> Self {
        Self {
            relay,
            hub,
            next,
            forwarder,
            events,
            link: None,
            link_count: 0,
            wanted: None,
            in_hand: HashMap::new(),
            announced: None,
            wake: None,
        }
    }

    fn shared(&self) -> &Shared {
        self.hub.shared()
    }

    async fn until_stopped(
        mut self,
        mut incoming: mpsc::Receiver<Incoming>,
        mut news: watch::Receiver<u64>,
    ) {
        let mut stopping = self.shared().tasks.stopping();
        let mut seen = self.hub.seen(self.next);
        let mut known = 0;
        self.woken();
        loop {
            let now = SystemClock.now();
            let sleep = self.wake.map_or(SLEEP_MAX, |at| at.since(now).min(SLEEP_MAX));
            tokio::select! {
                () = stopping.stopped() => break,
                Ok(()) = news.changed() => {
                    let count = *news.borrow_and_update();
                    for _ in known..count {
                        self.step(Event::Mail);
                    }
                    known = count;
                }
                Some(event) = incoming.recv() => self.incoming(event),
                Ok(()) = seen.changed() => self.step(Event::PeerSeen),
                () = tokio::time::sleep(sleep) => self.woken(),
            }
        }
        if let Some(link) = self.link.take() {
            link.task.abort();
        }
    }

    fn woken(&mut self) {
        self.wake = None;
        let peer = self.shared().peers.get(self.next);
        let announced = peer.and_then(|peer| peer.maintenance_until(SystemClock.now()));
        if announced != self.announced {
            self.announced = announced;
            self.step(Event::HoldUntil { until: announced });
        }
        // Whoever puts a parcel into the queue may be gone between the disk and the nudge.
        if self.forwarder.status().parcels == 0 {
            let missed = units::count_waiting(&self.shared().store, self.next).unwrap_or_default();
            (0..missed).for_each(|_| self.step(Event::Mail));
        }
        self.step(Event::Woken);
    }

    fn incoming(&mut self, incoming: Incoming) {
        match incoming {
            Incoming::Up { link, session } => {
                let Some(open) = self.link.as_mut().filter(|open| open.number == link) else {
                    return;
                };
                let window_parcels = session.hello().window_parcels;
                open.session = Some(session);
                self.step(Event::LinkUp { window_parcels });
            }
            Incoming::Lost { link, why } => {
                if self.link.as_ref().is_some_and(|open| open.number == link) {
                    tracing::debug!(next = %self.next, why, "a forwarder has lost its link");
                    self.link = None;
                    self.step(Event::LinkLost);
                }
            }
            Incoming::Room { link, place } => {
                if self.link.as_ref().is_some_and(|open| open.number == link)
                    && let Some(flight) = self.wanted.take()
                {
                    let loaded = self.read(flight, place);
                    self.step(loaded);
                }
            }
            Incoming::Answer { parcel, answer } => self.answer(parcel, answer),
            Incoming::Kept { parcel, kept } => self.kept(parcel, kept),
            // Nobody marks anything of a relay's.
            Incoming::Marked(_) | Incoming::TurnedBack { .. } => {}
        }
    }

    fn step(&mut self, event: Event) {
        let mut events = vec![event];
        while let Some(event) = events.pop() {
            let random = u64::from_be_bytes(random());
            let forwarder = self.forwarder.clone();
            let (forwarder, effects) = forwarder.step(event, SystemClock.now(), random);
            self.forwarder = forwarder;
            for effect in effects {
                events.extend(self.perform(effect));
            }
        }
    }

    /// Performs an effect; says what it came to, if that is known at once.
    fn perform(&mut self, effect: Effect) -> Option<Event> {
        match effect {
            Effect::Connect => {
                self.connect();
                None
            }
            Effect::Disconnect => {
                self.disconnect();
                None
            }
            Effect::LoadNext { flight, not } => self.load(flight, &not),
            Effect::Send { flight } => {
                self.send(flight);
                None
            }
            Effect::Keep { flight, ending: _ } => {
                self.keep(flight);
                None
            }
            Effect::WakeAt(at) => {
                self.wake = Some(at);
                None
            }
        }
    }

    fn connect(&mut self) {
        self.disconnect();
        self.link_count += 1;
        let (number, next) = (self.link_count, self.next);
        let (hub, events) = (self.hub.clone(), self.events.clone());
        let task = self.shared().tasks.spawn("link", async move {
            hub.follow(next, number, events).await;
        });
        self.link = Some(OpenLink { number, task, session: None });
    }

    /// Lets go of the session, which goes on for others; one that owes us answers for too long is ended.
    fn disconnect(&mut self) {
        let Some(link) = self.link.take() else { return };
        link.task.abort();
        let (now, patience) = (SystemClock.now(), self.relay.settings().answer_timeout);
        let overdue = |flight: &InHand| {
            flight.said.is_none()
                && flight.ready.is_none()
                && flight.since.saturating_add(patience) <= now
        };
        if let Some(session) = link.session
            && self.in_hand.values().any(overdue)
        {
            session.close("no answer came in time");
        }
    }

    /// Asks for room on the session first: what is read then is the most urgent of that moment. Without a session the
    /// loss of the link is on its way to the forwarder.
    fn load(&mut self, flight: FlightNo, not: &[FlightNo]) -> Option<Event> {
        self.in_hand.retain(|number, _| not.contains(number));
        let link = self.link.as_ref()?;
        let (number, session) = (link.number, link.session.clone()?);
        if let Some(place) = session.try_place() {
            return Some(self.read(flight, place));
        }
        self.wanted = Some(flight);
        let events = self.events.clone();
        self.shared().tasks.spawn("room", async move {
            if let Ok(place) = session.place().await {
                let room = Incoming::Room { link: number, place };
                let _gone = events.send(room).await.is_err();
            }
        });
        None
    }

    fn read(&mut self, flight: FlightNo, place: Place) -> Event {
        let skip: Vec<_> = self.in_hand.values().map(|flight| flight.id).collect();
        let read = units::most_urgent(&self.shared().store, self.next, &skip)
            .and_then(|waiting| waiting.map(|waiting| self.take(waiting, place)).transpose());
        match read {
            Ok(Some(in_hand)) => {
                self.in_hand.insert(flight, in_hand);
                Event::Loaded { flight, found: true }
            }
            Ok(None) => Event::Loaded { flight, found: false },
            Err(error) => {
                tracing::error!(next = %self.next, %error, "cannot read a parcel in transit");
                Event::NotKept { flight }
            }
        }
    }

    /// A parcel goes on with our own word, which is signed again should it have been lost.
    fn take(&self, mut waiting: Waiting, place: Place) -> Result<InHand, AppError> {
        let manifest = decode_manifest(&waiting.row.parcel.signed.manifest.0)
            .map_err(|_| AppError::Internal("a manifest in transit is unreadable"))?;
        if waiting.row.own_word.is_none() {
            let held = CustodyOutcome::Held { next: self.next };
            let word = self.relay.sign(&manifest, waiting.row.handed_by, held)?;
            waiting.parcel.custody.push(word);
        }
        let (id, since) = (waiting.parcel_id, SystemClock.now());
        Ok(InHand { id, manifest, ready: Some((waiting, place)), since, said: None })
    }

    fn send(&mut self, flight: FlightNo) {
        let Some(in_hand) = self.in_hand.get_mut(&flight) else { return };
        let Some((waiting, place)) = in_hand.ready.take() else { return };
        let session = self.link.as_ref().and_then(|link| link.session.clone());
        let Some(session) = session else { return };
        in_hand.since = SystemClock.now();
        // When the session has just ended, the loss of the link is on its way.
        let events = self.events.clone();
        let _gone = session.send(place, in_hand.id, waiting.parcel, None, events).is_err();
    }

    fn flight_of(&self, parcel: ParcelId) -> Option<FlightNo> {
        let found = self.in_hand.iter().find(|(_, flight)| flight.id == parcel);
        found.map(|(number, _)| *number)
    }

    fn answer(&mut self, parcel: ParcelId, answer: session::Answer) {
        let Some(flight) = self.flight_of(parcel) else { return };
        let checked = match answer {
            session::Answer::Receipt(manifest, receipt) => {
                self.receipt(flight, &manifest, &receipt)
            }
            session::Answer::Custody(manifest, word) => self.custody(flight, &manifest, &word),
        };
        match checked {
            Ok((answer, said)) => {
                if let Some(in_hand) = self.in_hand.get_mut(&flight) {
                    in_hand.said = said;
                }
                self.step(Event::Answered { flight, answer });
            }
            Err(fault) => {
                let code = Reason::SignatureInvalid.code();
                tracing::warn!(next = %self.next, fault, code, "an answer does not hold");
                if let Some(session) = self.link.as_ref().and_then(|link| link.session.clone()) {
                    session.close(fault);
                }
                self.step(Event::PeerMisbehaved);
            }
        }
    }

    fn receipt(
        &self,
        flight: FlightNo,
        manifest: &ReceiptManifest,
        receipt: &Receipt,
    ) -> Result<(Answer, Option<Said>), String> {
        let in_hand = self.in_hand.get(&flight).ok_or("no such parcel")?;
        if manifest.from != self.next
            || !answers(&in_hand.manifest, manifest, &receipt.dispositions)
        {
            return Err("the receipt answers another parcel".to_owned());
        }
        let claim = proof::of_receipt(manifest, receipt);
        proof::check_evidence(&self.shared().identity, &claim, SystemClock.now())
            .map_err(|unproven| unproven.to_string())?;
        if let Some(until) = put_off(receipt)? {
            return Ok((Answer::Deferred { until }, None));
        }
        let said = Said::Receipt(Box::new(ReturnedReceipt::of(receipt, manifest.signer)));
        Ok((Answer::Final, Some(said)))
    }

    fn custody(
        &self,
        flight: FlightNo,
        manifest: &CustodyManifest,
        word: &CustodyReceipt,
    ) -> Result<(Answer, Option<Said>), String> {
        let in_hand = self.in_hand.get(&flight).ok_or("no such parcel")?;
        manifest
            .check_answers(&in_hand.manifest, self.next, self.shared().own)
            .map_err(|fault| fault.to_string())?;
        let claim = proof::of_custody(manifest, word);
        proof::check_evidence(&self.shared().identity, &claim, SystemClock.now())
            .map_err(|unproven| unproven.to_string())?;
        let signed = SignedWord::of_custody(word, manifest.signer);
        Ok(match manifest.outcome {
            CustodyOutcome::Held { .. } => (Answer::Held, Some(Said::Held(signed))),
            CustodyOutcome::Refused { reason } => {
                let code = reason.code();
                tracing::warn!(next = %self.next, code, "a next hop does not take a parcel");
                (Answer::Refused, Some(Said::Refused(reason, Some(signed))))
            }
            CustodyOutcome::Deferred { until, .. } => (Answer::Deferred { until }, None),
        })
    }

    fn keep(&self, flight: FlightNo) {
        let Some(in_hand) = self.in_hand.get(&flight) else { return };
        let Some(said) = in_hand.said.clone() else { return };
        let (relay, events, parcel) = (self.relay.clone(), self.events.clone(), in_hand.id);
        self.shared().tasks.spawn("keep", async move {
            let kept = relay.note(parcel, said).await.map(drop);
            // The forwarder is gone when nobody listens, and finds on disk what there is.
            let _gone = events.send(Incoming::Kept { parcel, kept }).await.is_err();
        });
    }

    fn kept(&mut self, parcel: ParcelId, kept: Result<(), AppError>) {
        let Some(flight) = self.flight_of(parcel) else { return };
        self.in_hand.remove(&flight);
        match kept {
            Ok(()) => self.step(Event::Kept { flight }),
            Err(error) => {
                tracing::error!(next = %self.next, %error, "an answer could not be kept");
                self.step(Event::NotKept { flight });
            }
        }
    }
}

/// Until when a recipient that takes nothing at all just now wants to be left alone. That is between it and us; what it
/// says of single envelopes is for their sender.
fn put_off(receipt: &Receipt) -> Result<Option<UnixMillis>, String> {
    let mut earliest: Option<UnixMillis> = None;
    for bytes in &receipt.dispositions {
        let said = decode_disposition(bytes).map_err(|fault| fault.to_string())?;
        match courier::Answer::from(&said.outcome) {
            courier::Answer::Deferred { until, whole_peer: true } => {
                earliest = Some(earliest.map_or(until, |known| known.min(until)));
            }
            courier::Answer::Deferred { .. } | courier::Answer::Final => return Ok(None),
        }
    }
    Ok(earliest)
}
