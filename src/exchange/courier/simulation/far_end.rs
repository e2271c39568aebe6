//! The receiving end of the simulation: its disk, and one unit of its store.

use std::collections::BTreeMap;

use domain::id::MessageId;
use domain::reason::Reason;
use domain::time::UnixMillis;

use crate::digest::Digest;
use crate::envelope::Header;
use crate::lane::Admission;
use crate::lane::LaneEpoch;
use crate::lane::LaneIn;
use crate::lane::LaneSeq;
use crate::receipt::Disposition;
use crate::receiver;
use crate::receiver::Original;
use crate::receiver::Verdict;
use crate::samples;

/// What survives a crash of the receiver; a unit that is written is written as a whole, so there is
/// nothing else.
#[derive(Default)]
pub(super) struct FarEnd {
    lanes: BTreeMap<LaneEpoch, LaneIn>,
    by_place: BTreeMap<(LaneEpoch, LaneSeq), Original>,
    pub(super) by_id: BTreeMap<MessageId, Original>,
    /// How often the effect of a message was applied.
    pub(super) applied: BTreeMap<u64, u32>,
    /// How often each message was put off.
    put_off: BTreeMap<u64, u64>,
}

impl FarEnd {
    /// The lane of that epoch; opened when it is new, which the other lanes of the sender are told.
    fn lane(&mut self, epoch: LaneEpoch, now: UnixMillis) -> &mut LaneIn {
        if !self.lanes.contains_key(&epoch) {
            self.lanes.values_mut().for_each(|other| other.another_opened(now));
            let opened = (!self.lanes.is_empty()).then_some(now);
            self.lanes.insert(epoch, LaneIn::open(epoch, opened));
        }
        self.lanes.get_mut(&epoch).unwrap()
    }

    /// One unit of the store.
    pub(super) fn receive(
        &mut self,
        header: &Header,
        message: u64,
        now: UnixMillis,
        seed: u64,
    ) -> Disposition {
        let admission = self.lane(header.epoch, now).admit(header);
        let place = (header.epoch, header.sequence);
        let same = |original: &Original| Original { same_body: true, ..original.clone() };
        let original = match admission {
            Admission::Seen => self.by_place.get(&place).cloned(),
            Admission::CheckId => self.by_id.get(&header.message_id).map(same),
            Admission::Fresh => None,
            Admission::TooFarAhead { .. } | Admission::OtherEpoch => {
                panic!("a courier never offers what is {admission:?}")
            }
        };
        let digest = Digest::of(format!("{header:?}").as_bytes());
        let verdict = self.verdict(seed, message, now);
        let decision =
            receiver::decide(admission, original.as_ref(), header, digest, false, verdict, now);
        let disposition = decision.disposition;
        if decision.effect.uses_sequence() {
            assert!(self.lane(header.epoch, now).mark(header.sequence, header.message_id));
            let original = Original {
                message_id: header.message_id,
                digest,
                outcome: disposition.outcome.clone(),
                decided: disposition.decided,
                same_body: false,
            };
            self.by_place.insert(place, original.clone());
            self.by_id.entry(header.message_id).or_insert(original);
        }
        if decision.effect == receiver::Effect::Store {
            *self.applied.entry(message).or_default() += 1;
        }
        disposition
    }

    /// Some are refused, some put off a few times: for themselves, or because the receiver is busy.
    fn verdict(&mut self, seed: u64, message: u64, now: UnixMillis) -> Verdict {
        let times = self.put_off.entry(message).or_default();
        let wanted = if message % 5 == 1 { message % 4 } else { 0 };
        if *times < wanted {
            *times += 1;
            let reason = if message.is_multiple_of(2) { Reason::Busy } else { Reason::UnknownCase };
            // Sometimes a time in the past, sometimes one that is too far.
            let until = match seed % 3 {
                0 => UnixMillis::new(0),
                1 => UnixMillis::new(now.get() + 30_000),
                _ => UnixMillis::new(u64::MAX),
            };
            return Verdict::Defer { reason, until };
        }
        if is_refused(message) {
            return Verdict::Refuse { reason: Reason::NotAgreed, field: None };
        }
        Verdict::Accept
    }

    /// Other content under a number that was used: nothing may change.
    pub(super) fn forge(&self, which: usize, now: UnixMillis) {
        if self.by_place.is_empty() {
            return;
        }
        let at = which % self.by_place.len();
        let (&(epoch, sequence), original) = self.by_place.iter().nth(at).unwrap();
        let header = Header { epoch, ..samples::header(sequence.get()) };
        let admission = self.lanes[&epoch].admit(&header);
        let (original, forged) = (Some(original), Digest::of(b"other content"));
        let decision =
            receiver::decide(admission, original, &header, forged, false, Verdict::Accept, now);
        assert!(decision.is_conflict());
        assert_eq!(decision.effect, receiver::Effect::Nothing);
    }
}

pub(super) const fn expires_soon(message: u64) -> bool {
    message % 11 == 4
}

pub(super) fn expiry(message: u64) -> UnixMillis {
    let millis = if expires_soon(message) { 60_000 } else { 1_000_000_000_000 };
    UnixMillis::new(samples::NOW.get() + millis)
}

pub(super) const fn is_refused(message: u64) -> bool {
    message % 7 == 3
}
