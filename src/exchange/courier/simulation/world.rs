//! Everything between the two ends, and the sender's shell and disk.

use std::collections::BTreeMap;

use domain::time::UnixMillis;

use super::Luck;
use super::far_end::FarEnd;
use super::far_end::expires_soon;
use super::far_end::expiry;
use super::far_end::is_refused;
use crate::courier::Answer;
use crate::courier::Courier;
use crate::courier::CourierSettings;
use crate::courier::Effect;
use crate::courier::Event;
use crate::courier::Link;
use crate::courier::ParcelNo;
use crate::envelope::Header;
use crate::lane::LaneEpoch;
use crate::lane::LaneOut;
use crate::lane::LaneSeq;
use crate::lane::Mark;
use crate::receipt::Disposition;
use crate::receipt::Outcome;
use crate::route::Route;
use crate::route::Routes;
use crate::runs::SeqRuns;
use crate::samples;

/// What survives a crash of the sender.
#[derive(Clone)]
struct SenderDisk {
    lane: LaneOut,
    /// Message number by sequence, from 1.
    journal: Vec<u64>,
    /// Final answers that are kept.
    kept: BTreeMap<u64, Outcome>,
    withdrawn: Vec<u64>,
}

/// Something the sender's shell has been asked to do and has not done yet.
#[derive(Debug)]
enum Job {
    Connect,
    Load { parcel: ParcelNo, sequences: SeqRuns },
    Keep { parcel: ParcelNo, marks: Vec<Mark>, dispositions: Vec<Disposition> },
}

#[derive(Clone)]
struct Offered {
    connection: u32,
    parcel: ParcelNo,
    headers: Vec<(Header, u64)>,
}

#[derive(Clone)]
struct Answered {
    connection: u32,
    parcel: ParcelNo,
    dispositions: Vec<Disposition>,
}

pub(super) struct World {
    now: UnixMillis,
    seed: u64,
    settings: CourierSettings,
    disk: SenderDisk,
    backup: SenderDisk,
    courier: Courier,
    timer: Option<UnixMillis>,
    jobs: Vec<Job>,
    loaded: BTreeMap<ParcelNo, SeqRuns>,
    /// Number of the connection, so that what belongs to an old one is known.
    connection: u32,
    answered_waiting: BTreeMap<ParcelNo, Vec<Disposition>>,
    parcels: Vec<Offered>,
    receipts: Vec<Answered>,
    receiver: FarEnd,
    messages: u64,
}

impl World {
    pub(super) fn new(seed: u64, window: u32, envelopes: u32, fill: u32) -> Self {
        let settings = CourierSettings {
            window_parcels: window,
            envelopes_max: envelopes,
            fill,
            ..CourierSettings::default()
        };
        let lane = LaneOut::new(LaneEpoch::new(1));
        let disk = SenderDisk {
            lane: lane.clone(),
            journal: Vec::new(),
            kept: BTreeMap::new(),
            withdrawn: Vec::new(),
        };
        Self {
            now: samples::NOW,
            seed,
            settings,
            backup: disk.clone(),
            disk,
            courier: Courier::new(settings, lane, Routes::direct()),
            timer: None,
            jobs: Vec::new(),
            loaded: BTreeMap::new(),
            connection: 0,
            answered_waiting: BTreeMap::new(),
            parcels: Vec::new(),
            receipts: Vec::new(),
            receiver: FarEnd::default(),
            messages: 0,
        }
    }

    // What the test can do.

    pub(super) fn submit(&mut self, count: u8) {
        for _ in 0..count {
            self.disk.lane.assign();
            self.messages += 1;
            self.disk.journal.push(self.messages);
        }
        self.happen(Event::Mail { through: self.disk.lane.last_assigned() });
    }

    pub(super) fn perform(&mut self, which: usize, luck: Luck) {
        if self.jobs.is_empty() {
            return;
        }
        match self.jobs.swap_remove(which % self.jobs.len()) {
            Job::Connect if luck == Luck::Bad => {
                self.happen(Event::LinkLost { route: Route::Direct })
            }
            Job::Connect => {
                self.connection += 1;
                self.happen(Event::LinkUp { route: Route::Direct, window_parcels: 3 });
            }
            Job::Load { parcel, sequences } => self.load(parcel, sequences, luck),
            Job::Keep { parcel, marks, dispositions } => self.keep(parcel, marks, &dispositions),
        }
    }

    pub(super) fn parcel_arrives(&mut self, which: usize, repeat: bool, lose_receipt: bool) {
        if self.parcels.is_empty() {
            return;
        }
        let at = which % self.parcels.len();
        let offered = if repeat { self.parcels[at].clone() } else { self.parcels.swap_remove(at) };
        let answers = offered
            .headers
            .iter()
            .map(|(header, message)| self.receiver.receive(header, *message, self.now, self.seed));
        let dispositions = answers.collect();
        if !lose_receipt {
            let Offered { connection, parcel, .. } = offered;
            self.receipts.push(Answered { connection, parcel, dispositions });
        }
    }

    pub(super) fn receipt_arrives(&mut self, which: usize, repeat: bool) {
        if self.receipts.is_empty() {
            return;
        }
        let at = which % self.receipts.len();
        let answered =
            if repeat { self.receipts[at].clone() } else { self.receipts.swap_remove(at) };
        // The shell forgets its parcels with the connection.
        if answered.connection != self.connection || !self.loaded.contains_key(&answered.parcel) {
            return;
        }
        let answers = answered.dispositions.iter().map(|d| Answer::from(&d.outcome)).collect();
        let parcel = answered.parcel;
        self.answered_waiting.insert(parcel, answered.dispositions);
        self.happen(Event::ReceiptArrived { parcel, answers });
    }

    pub(super) fn lose(&mut self, which: usize) {
        let count = self.parcels.len() + self.receipts.len();
        if count == 0 {
            return;
        }
        let at = which % count;
        if at < self.parcels.len() {
            self.parcels.swap_remove(at);
        } else {
            self.receipts.swap_remove(at - self.parcels.len());
        }
    }

    /// The stream breaks. Parcels may still lie in some buffer and arrive later; receipts are gone.
    pub(super) fn link_lost(&mut self) {
        self.forget_link();
        self.happen(Event::LinkLost { route: Route::Direct });
    }

    pub(super) fn peer_seen(&mut self) {
        self.happen(Event::PeerSeen);
    }

    pub(super) fn sender_crash(&mut self) {
        self.forget_link();
        self.jobs.clear();
        self.loaded.clear();
        self.timer = None;
        self.courier = Courier::new(self.settings, self.disk.lane.clone(), Routes::direct());
        assert_eq!(self.courier.lane(), &self.disk.lane);
        self.happen(Event::Woken);
    }

    pub(super) fn forge(&self, which: usize) {
        self.receiver.forge(which, self.now);
    }

    pub(super) fn withdraw(&mut self, which: usize) {
        if self.disk.journal.is_empty() {
            return;
        }
        let at = which % self.disk.journal.len();
        let sequence = LaneSeq::new(u64::try_from(at).unwrap() + 1);
        if !self.disk.lane.is_settled(sequence) {
            self.disk.lane.apply([Mark::Settled(sequence)]);
            self.disk.withdrawn.push(self.disk.journal[at]);
            self.happen(Event::Marked { marks: vec![Mark::Settled(sequence)] });
        }
    }

    pub(super) fn backup(&mut self) {
        self.backup = self.disk.clone();
    }

    /// What the backup does not know as settled is sealed again and gets a place in a new epoch.
    pub(super) fn restore(&mut self) {
        let old = self.backup.clone();
        let epoch = LaneEpoch::new(self.disk.lane.epoch().get() + 1);
        let settled = |at: usize| old.lane.is_settled(LaneSeq::new(u64::try_from(at).unwrap() + 1));
        let again = old.journal.iter().enumerate().filter(|(at, _)| !settled(*at));
        self.disk.journal = again.map(|(_, message)| *message).collect();
        self.disk.lane = LaneOut::new(epoch);
        self.disk.lane.assigned_through(LaneSeq::new(self.disk.journal.len().try_into().unwrap()));
        self.disk.kept = old.kept;
        self.disk.withdrawn = old.withdrawn;
        self.backup = self.disk.clone();
        self.sender_crash();
    }

    pub(super) fn pass(&mut self, millis: u64) {
        self.now = UnixMillis::new(self.now.get() + millis);
        if self.timer.is_some_and(|timer| timer <= self.now) {
            self.timer = None;
            self.happen(Event::Woken);
        }
    }

    /// From now on everything works, until nothing is left to do.
    pub(super) fn finish(&mut self) {
        let first = 0;
        for _ in 0..100_000 {
            if !self.jobs.is_empty() {
                self.perform(first, Luck::Good);
            } else if !self.parcels.is_empty() {
                self.parcel_arrives(first, false, false);
            } else if !self.receipts.is_empty() {
                self.receipt_arrives(first, false);
            } else if let Some(timer) = self.timer {
                self.pass(timer.get().saturating_sub(self.now.get()));
            } else {
                return;
            }
        }
        panic!("the world does not come to rest: {:?}", self.courier.status());
    }

    pub(super) fn check_the_end(&self) {
        assert_eq!(self.courier.lane(), &self.disk.lane);
        assert_eq!(self.disk.lane.waiting(), 0, "{:?}", self.courier.status());
        assert_eq!(self.courier.status().in_flight, 0);
        for message in &self.disk.journal {
            let id = samples::message_id(*message);
            if self.disk.withdrawn.contains(message) {
                continue;
            }
            // The sender knows what the receiver has on disk, in the same words.
            let outcome = &self.disk.kept[message];
            assert_eq!(outcome, &self.receiver.by_id[&id].outcome);
            assert_eq!(*outcome == Outcome::Stored, self.receiver.applied.contains_key(message));
            let may_be_refused = is_refused(*message) || expires_soon(*message);
            assert!(may_be_refused || *outcome == Outcome::Stored);
            assert!(!is_refused(*message) || *outcome != Outcome::Stored);
        }
        assert!(self.receiver.applied.values().all(|times| *times == 1));
    }

    // How the ends work.

    fn happen(&mut self, event: Event) {
        // Any number will do for the jitter.
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let (courier, effects) = self.courier.clone().step(event, self.now, self.seed);
        self.courier = courier;
        for effect in effects {
            self.note(effect);
        }
        let flights = self.jobs.len() + self.loaded.len();
        assert!(flights <= 16, "more is in flight than the window allows");
        let window = u64::from(self.settings.window_parcels * self.settings.envelopes_max);
        assert!(self.courier.status().in_flight <= window);
        assert!(self.courier.status().deferred <= crate::lane::LANE_WINDOW);
    }

    fn note(&mut self, effect: Effect) {
        match effect {
            Effect::Connect { .. } => {
                assert!(matches!(self.courier.status().link, Link::Connecting { .. }));
                self.jobs.push(Job::Connect);
            }
            Effect::Disconnect { .. } => self.forget_link(),
            Effect::Load { parcel, sequences, bytes_max: _ } => {
                assert!(sequences.count() <= u64::from(self.settings.envelopes_max));
                self.jobs.push(Job::Load { parcel, sequences });
            }
            Effect::Send { parcel, .. } => self.send(parcel),
            Effect::Keep { parcel, marks } => {
                let dispositions = self.answered_waiting.remove(&parcel).unwrap();
                self.loaded.remove(&parcel);
                self.jobs.push(Job::Keep { parcel, marks, dispositions });
            }
            Effect::Look { sequences } => {
                let deadlines = sequences.iter().map(|s| (s, UnixMillis::new(s.get()))).collect();
                self.happen(Event::Looked { deadlines });
            }
            Effect::KeepCustody { .. } => panic!("there is no relay"),
            Effect::WakeAt(at) => {
                assert!(at > self.now, "waking in the past is spinning");
                self.timer = Some(at);
            }
        }
    }

    fn forget_link(&mut self) {
        self.connection += 1;
        self.receipts.clear();
        self.loaded.clear();
        self.answered_waiting.clear();
        self.jobs.retain(|job| !matches!(job, Job::Connect));
    }

    fn load(&mut self, parcel: ParcelNo, sequences: SeqRuns, luck: Luck) {
        let most = match luck {
            Luck::Good => usize::MAX,
            Luck::Partly(most) => usize::from(most),
            Luck::Bad => 0,
        };
        let sequences: SeqRuns = sequences.iter().take(most).collect();
        self.loaded.insert(parcel, sequences.clone());
        self.happen(Event::Loaded { parcel, sequences });
        let is_it = |sent: &Offered| sent.parcel == parcel && sent.connection == self.connection;
        if !self.parcels.iter().any(is_it) {
            self.loaded.remove(&parcel);
        }
    }

    fn send(&mut self, parcel: ParcelNo) {
        let epoch = self.disk.lane.epoch();
        let header_of = |sequence: LaneSeq| {
            let message = self.disk.journal[usize::try_from(sequence.get()).unwrap() - 1];
            let message_id = samples::message_id(message);
            let expires = expiry(message);
            (Header { message_id, epoch, expires, ..samples::header(sequence.get()) }, message)
        };
        let headers = self.loaded[&parcel].iter().map(header_of).collect();
        self.parcels.push(Offered { connection: self.connection, parcel, headers });
    }

    /// One unit of the sender's store: the receipt and what it changes in the lane.
    fn keep(&mut self, parcel: ParcelNo, marks: Vec<Mark>, dispositions: &[Disposition]) {
        for (mark, disposition) in marks.iter().zip(dispositions) {
            if let Mark::Settled(sequence) = mark {
                let message = self.disk.journal[usize::try_from(sequence.get()).unwrap() - 1];
                // What the receipt says is true on the receiver's disk before it is believed here.
                let original = &self.receiver.by_id[&disposition.message_id];
                assert_eq!(original.outcome, disposition.outcome);
                assert_eq!(disposition.message_id, samples::message_id(message));
                self.disk.kept.insert(message, disposition.outcome.clone());
            }
        }
        self.disk.lane.apply(marks);
        self.happen(Event::Kept { parcel });
    }
}
