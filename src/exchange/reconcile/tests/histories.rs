//! Any two histories: what differs is found, exactly and by name; cured by the rules of the program it is equal, and whatever
//! is done twice, nothing has an effect twice.

mod planted;

use std::collections::BTreeMap;

use self::planted::Planted;
use domain::reason::Reason;
use domain::time::UnixMillis;

use super::super::cure::Again;
use super::super::cure::Owed;
use super::super::cure::again;
use super::super::cure::expires_again;
use super::super::cure::stored_in;
use super::super::run::curable;
use super::*;
use crate::envelope::Header;
use crate::lane::Admission;
use crate::lane::LaneEpoch;
use crate::lane::LaneOut;
use crate::lane::Mark;
use crate::ledger::LedgerEntry;
use crate::receipt::Disposition;
use crate::receipt::Outcome;
use crate::receiver;
use crate::receiver::Effect;
use crate::receiver::Original;
use crate::receiver::Verdict;
use crate::samples::header;

/// The two sides, and of each a county that reports all, and one that has not.
const COUNTIES: [[&str; 2]; 2] = [["410522", "410524"], ["440305", "440307"]];
/// Another county of each side, which has a part in what is told wrongly.
const OTHERS: [&str; 2] = ["410523", "440306"];
const EPOCH: LaneEpoch = LaneEpoch::new(7);
const DAY_MS: u64 = 86_400_000;
/// When cures are carried out.
const LATER: UnixMillis = UnixMillis::new(NOW.get() + 400 * DAY_MS);
/// Comparisons until everything has to be cured; in the second half nothing fails.
const ROUNDS: u32 = 12;

/// A message, as its sender keeps it.
#[derive(Clone)]
struct Sent {
    header: Header,
    digest: Digest,
    body: u64,
    asks: Option<MessageId>,
    lane: LaneOut,
    was_refused: bool,
}

/// One county: what is on its disk, and what its province knows of that.
#[derive(Default)]
struct County {
    book: Vec<(Direction, Entry)>,
    /// What it has not reported yet; all of the book after this place.
    told: Option<usize>,
    sent: BTreeMap<MessageId, Sent>,
    received: BTreeMap<MessageId, (Original, u64, Sent)>,
    /// What has had an effect here: stored, taken back, answered.
    effects: Vec<(&'static str, MessageId)>,
}

/// Whether a call fails, and in which order things are done.
struct Chance(u64);

impl Chance {
    fn one_in(&mut self, many: u64) -> bool {
        // xorshift64
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.is_multiple_of(many)
    }
}

struct World {
    counties: BTreeMap<AreaCode, County>,
    chance: Chance,
    quiet: bool,
}

fn seal(id: MessageId, seals: u64) -> Digest {
    Digest::of_parts(&[id.as_bytes(), &seals.to_be_bytes()])
}

fn said(id: MessageId, digest: Digest, state: EntryState) -> Disposition {
    let outcome = match state {
        EntryState::Refused => Outcome::Refused { reason: Reason::NotAgreed, field: None },
        EntryState::Stored | EntryState::Waiting => Outcome::Stored,
    };
    Disposition { message_id: id, digest, outcome, duplicate: false, decided: NOW }
}

/// A word that is given again.
fn again_said(id: MessageId, word: Original) -> Disposition {
    let Original { digest, outcome, decided, .. } = word;
    Disposition { message_id: id, digest, outcome, duplicate: false, decided }
}

impl World {
    fn county(&mut self, area: AreaCode) -> &mut County {
        self.counties.entry(area).or_default()
    }

    fn fails(&mut self) -> bool {
        !self.quiet && self.chance.one_in(4)
    }

    /// A message that its sender has accepted. It expires long before anything is cured.
    fn accepts(&mut self, id: MessageId, (from, to): (AreaCode, AreaCode)) -> Sent {
        let mut lane = LaneOut::new(EPOCH);
        let sequence = lane.assign();
        let header = Header { message_id: id, from, to, epoch: EPOCH, sequence, ..header(1) };
        let digest = seal(id, 0);
        let sent = Sent { header, digest, body: 1, asks: None, lane, was_refused: false };
        let county = self.county(from);
        county.book.push(book::of_ledger(&LedgerEntry::of(&sent.header, digest, Direction::Sent)));
        county.sent.insert(id, sent.clone());
        sent
    }

    /// The sender has this word of its recipient.
    fn settles(&mut self, from: AreaCode, said: &Disposition) {
        let county = self.county(from);
        let Some(sent) = county.sent.get_mut(&said.message_id) else { return };
        let pair = (sent.header.from, sent.header.to);
        sent.lane.apply([Mark::Settled(sent.header.sequence)]);
        sent.was_refused |= matches!(said.outcome, Outcome::Refused { .. });
        county.book.extend(book::of_disposition(Direction::Sent, pair, said));
    }

    /// The recipient has it, with this word.
    fn has(&mut self, sent: &Sent, digest: Digest, state: EntryState) {
        let Header { message_id: id, to, from, .. } = sent.header;
        let said = said(id, digest, state);
        let county = self.county(to);
        county.book.extend(match state {
            EntryState::Stored | EntryState::Waiting => {
                let entry = LedgerEntry::of(&sent.header, digest, Direction::Received);
                Some(book::of_ledger(&entry))
            }
            EntryState::Refused => book::of_disposition(Direction::Received, (from, to), &said),
        });
        let Disposition { outcome, decided, .. } = said;
        let original = Original { message_id: id, digest, outcome, decided, same_body: false };
        county.received.insert(id, (original, sent.body, sent.clone()));
    }

    // The cures.

    /// What a county owes, done by the rules of the program.
    fn carry_out(&mut self, own: AreaCode, found: &[Difference]) {
        let asked = |id, _, direction| {
            let county = self.counties.get(&own);
            Ok::<_, ()>(county.and_then(|county| match direction {
                Direction::Sent => county.sent.get(&id)?.asks,
                Direction::Received => county.received.get(&id)?.2.asks,
            }))
        };
        let owed = Owed::of(own, found, asked);
        for (id, from) in owed.hand_back {
            self.hand_back(own, from, id, false);
        }
        for (id, peer) in owed.show {
            self.show(own, peer, id);
        }
        // As of a county that cannot be asked.
        for (id, from) in owed.tell {
            let word = self.county(own).received.get(&id).map(|(original, ..)| original.clone());
            if let Some(word) = word.filter(|_| !self.fails() && self.chance.one_in(2)) {
                self.settles(from, &again_said(id, word));
            }
        }
        let mut deliver: Vec<_> = owed.deliver.into_values().flatten().collect();
        for (id, to) in owed.ask {
            let word = self.county(to).received.get(&id).map(|(original, ..)| original.clone());
            match word.filter(|_| !self.fails()) {
                Some(word) => self.settles(own, &again_said(id, word)),
                None => deliver.push((id, true)),
            }
        }
        for what in deliver {
            self.deliver(own, what);
        }
        for (id, from, follows) in owed.answers {
            self.hand_back(own, from, id, follows);
        }
        if owed.reports > 0 && !self.fails() {
            self.county(own).told = None;
        }
    }

    fn seals_again(&mut self, own: AreaCode, id: MessageId) {
        let county = self.county(own);
        let Some(sent) = county.sent.get_mut(&id) else { return };
        sent.header.sequence = sent.lane.assign();
        sent.header.expires = expires_again(sent.header.expires, LATER);
        sent.digest = seal(id, sent.header.sequence.get() - 1);
        let entry = LedgerEntry::of(&sent.header, sent.digest, Direction::Sent);
        county.book.push(book::of_ledger(&entry));
    }

    fn deliver(&mut self, own: AreaCode, (id, is_there): (MessageId, bool)) {
        let Some(sent) = self.county(own).sent.get(&id).cloned() else { return };
        let known = (sent.was_refused, is_there);
        match again(Some(&sent.lane), sent.header.sequence, known, LATER) {
            Again::Refused | Again::Answered => return,
            Again::Waits(_) => {}
            Again::Anew => self.seals_again(own, id),
        }
        if self.fails() {
            return;
        }
        let sent = self.county(own).sent.get(&id).cloned().unwrap();
        let said = self.receive(&sent);
        if !self.fails() {
            self.settles(own, &said);
        }
    }

    /// The recipient decides; ids are looked up, since it may have lost its lanes.
    fn receive(&mut self, sent: &Sent) -> Disposition {
        let Header { message_id: id, to, from, .. } = sent.header;
        let county = self.county(to);
        let known = county.received.get(&id).map(|(original, body, _)| {
            let same_body = *body == sent.body;
            Original { same_body, ..original.clone() }
        });
        let decision = receiver::decide(
            Admission::CheckId,
            known.as_ref(),
            &sent.header,
            sent.digest,
            false,
            Verdict::Accept,
            LATER,
        );
        let Disposition { digest, outcome, decided, .. } = decision.disposition.clone();
        let original = Original { message_id: id, digest, outcome, decided, same_body: false };
        match decision.effect {
            Effect::Store => {
                county.effects.push(("stored", id));
                let entry = LedgerEntry::of(&sent.header, sent.digest, Direction::Received);
                county.book.push(book::of_ledger(&entry));
                county.received.insert(id, (original, sent.body, sent.clone()));
            }
            Effect::RecordRefusal if !decision.is_conflict() => {
                let pair = (from, to);
                let said = &decision.disposition;
                county.book.extend(book::of_disposition(Direction::Received, pair, said));
                county.received.insert(id, (original, sent.body, sent.clone()));
            }
            Effect::RecordRefusal | Effect::RecordRepeat | Effect::Nothing => {}
        }
        decision.disposition
    }

    fn hand_back(&mut self, own: AreaCode, from: AreaCode, id: MessageId, follows: bool) {
        let Some((original, _, sent)) = self.county(own).received.get(&id).cloned() else { return };
        if self.fails() {
            return;
        }
        let digest = original.digest;
        let said = again_said(id, original);
        let county = self.county(from);
        let stored = stored_in(std::slice::from_ref(&said), id, digest);
        if county.sent.contains_key(&id) || stored.is_none() {
            return;
        }
        if let Some(asked) = sent.asks {
            match county.received.contains_key(&asked) {
                true => county.effects.push(("answered", asked)),
                false if follows => return,
                false => {}
            }
        }
        county.effects.push(("taken back", id));
        let entry = LedgerEntry::of(&sent.header, digest, Direction::Sent);
        county.book.push(book::of_ledger(&entry));
        county.sent.insert(id, Sent { digest, ..sent });
        self.settles(from, &said);
    }

    /// The signed refusal is shown to whoever does not know of the message; what is there speaks for itself.
    fn show(&mut self, own: AreaCode, peer: AreaCode, id: MessageId) {
        if self.fails() {
            return;
        }
        let county = self.county(own);
        let (digest, header, body) = match (county.sent.get(&id), county.received.get(&id)) {
            (Some(sent), _) => (sent.digest, sent.header.clone(), sent.clone()),
            (None, Some((original, _, sent))) => {
                (original.digest, sent.header.clone(), sent.clone())
            }
            (None, None) => return,
        };
        let said = said(id, digest, EntryState::Refused);
        let pair = (header.from, header.to);
        let county = self.county(peer);
        if pair.1 == peer && !county.received.contains_key(&id) {
            self.has(&body, digest, EntryState::Refused);
        } else if pair.0 == peer && !county.sent.contains_key(&id) {
            county.book.extend(book::of_disposition(Direction::Sent, pair, &said));
        }
    }

    /// What a province holds, of which counties it does not hold everything, and who is silent.
    fn side(&self, party: AreaCode) -> (EntrySet, Lacks) {
        let (mut set, mut lacks) = (EntrySet::new(), Lacks::default());
        for (area, county) in self.counties.iter().filter(|(area, _)| party.contains(area)) {
            let told = county.told.unwrap_or(county.book.len());
            for (direction, entry) in county.book.iter().take(told) {
                let speaks = *direction == scope().side_of(*area, entry.from);
                if speaks && scope().holds(entry.id, entry.from, entry.to) {
                    set.hear(*direction, *entry);
                }
            }
            if county.told.is_some() {
                lacks.incomplete.push((*area, NOW.date()));
                lacks.silent.push(*area);
            }
        }
        (set, lacks)
    }

    fn compare(&self) -> Vec<Difference> {
        let [(ours, ours_lack), (theirs, theirs_lack)] =
            [scope().asker, scope().answerer].map(|party| self.side(party));
        let (_, answerer) = talk_lacking(ours, theirs, [ours_lack, theirs_lack]).unwrap();
        answerer.into_found()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_history_is_equal_after_the_cures_and_nothing_has_an_effect_twice(
        plan in proptest::collection::vec(0..=Planted::ALL.len(), 0..120),
        seed in 1..u64::MAX,
        times in 1..3_u32,
    ) {
        let mut world = World { counties: BTreeMap::new(), chance: Chance(seed), quiet: true };
        let (mut expected, mut sealed) = (BTreeMap::new(), Vec::new());
        let planted = plan.iter().map(|at| {
            Planted::ALL.get(*at).copied().unwrap_or(Planted::QuestionAndAnswer)
        });
        let in_silence = |(_, it): &(u64, Planted)| *it == Planted::SealedInSilence;
        let (told, others): (Vec<_>, Vec<_>) = (0_u64..).zip(planted).partition(in_silence);
        for (number, it) in told {
            for (id, name) in world.plant(number, it) {
                expected.insert(id, name);
                let from = area(COUNTIES[usize::try_from(number % 2).unwrap()][1]);
                sealed.push((from, id));
            }
        }
        for (from, id) in sealed {
            world.is_silent(from);
            world.seals_again(from, id);
        }
        for (number, it) in others {
            expected.extend(world.plant(number, it));
        }
        let mut found = world.compare();
        let names: BTreeMap<_, _> = found.iter().map(|it| (it.id().unwrap(), it.name)).collect();
        prop_assert_eq!((&names, found.len()), (&expected, expected.len()));
        for round in 0..ROUNDS {
            world.quiet = 2 * round >= ROUNDS;
            let lost = std::collections::BTreeSet::new();
            let curable: Vec<_> = curable(&found, &lost).cloned().collect();
            // Each county several times, by what is old by then as well.
            for _ in 0..times {
                let mut counties: Vec<_> = world.counties.keys().copied().collect();
                if world.chance.one_in(2) {
                    counties.reverse();
                }
                counties.into_iter().for_each(|county| world.carry_out(county, &curable));
            }
            found = world.compare();
        }
        let left: Vec<_> = found.iter().map(|it| (it.id().unwrap(), it.name)).collect();
        let for_people = |(_, name): &(MessageId, DifferenceName)| name.is_for_a_person();
        let decisions: Vec<_> = expected.into_iter().filter(for_people).collect();
        prop_assert_eq!(left, decisions);
        for (area, county) in &world.counties {
            let mut effects = county.effects.clone();
            effects.sort_unstable();
            let count = effects.len();
            effects.dedup();
            prop_assert_eq!(effects.len(), count, "something had an effect twice at {}", area);
        }
    }
}
