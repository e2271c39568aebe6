//! The shell of one courier, without a peer at the other end.

use std::path::Path;

use bytes::Bytes;
use domain::id::MessageId;
use exchange::envelope::{AlgorithmProfile, Header, SealHeader, SealedEnvelope};
use exchange::lane::{LANE_WINDOW, LaneSeq};
use exchange::runs::{Run as SeqRun, SeqRuns};
use store::Store;
use store::letters::{WithdrawnRow, WithdrawnWhy};
use store::messages::{EnvelopeKey, Side, peer_key};
use store::tables::{ENVELOPE, WITHDRAWN};

use super::*;
use crate::config::Settings;
use crate::delivery::identity::NodeIdentity;
use crate::delivery::limits::Limits;
use crate::delivery::limits::disk::DiskGuard;
use crate::delivery::peers::Peers;
use crate::demo::network::{Network, Plan};
use crate::tasks::Tasks;

const EPOCH: LaneEpoch = LaneEpoch::new(7);
const HOUR: Duration = Duration::from_secs(3_600);

/// The courier of the first of two nodes; nobody is at the other end.
fn courier(dir: &Path) -> Run {
    let areas = ["410522", "440305"].map(|code| code.parse::<AreaCode>().unwrap());
    let network = Network::prepare(&Plan::new(dir, "none", areas.to_vec())).unwrap();
    let settings = Settings::load(&network.member(areas[0]).unwrap().config).unwrap();
    let now = SystemClock.now();
    let key = store::DataKey::load(&settings.store.data_key).unwrap();
    let options = store::Options::new(settings.area.as_str(), key, now);
    let (store, _) = Store::open(&settings.store_dir(), options).unwrap();
    let peers = Peers::new(settings.area, &settings.peers);
    let hub = Hub::new(Shared {
        own: settings.area,
        store,
        identity: Arc::new(NodeIdentity::load(&settings.tls, now).unwrap()),
        tasks: Tasks::default(),
        peers: peers.clone(),
        heard: heard::Heard::default(),
        redial_after: Duration::from_millis(200),
        collects: false,
        limits: Limits::new(settings.limits.rate, DiskGuard::new(dir.to_owned(), 0)),
    });
    let outbound = Outbound::new(hub, CourierSettings::default());
    let peer = peers.get(areas[1]).unwrap();
    Run::new(outbound, peer, EPOCH, true, mpsc::channel(EVENTS_QUEUE).0).unwrap()
}

fn header(sequence: u64, expires: UnixMillis, due: Option<UnixMillis>) -> Header {
    let now = SystemClock.now();
    Header {
        message_id: MessageId::new(now, random()),
        from: "410522".parse().unwrap(),
        to: "440305".parse().unwrap(),
        epoch: EPOCH,
        sequence: LaneSeq::new(sequence),
        created: now,
        expires,
        due,
        seal: SealHeader {
            profile: AlgorithmProfile::International,
            recipient_key_id: [0; 8],
            encapsulated_key: [0; 32],
            counter: sequence,
        },
    }
}

/// Puts so many entries in the lane, and tells nobody.
fn accept(run: &Run, first: u64, headers: impl Fn(u64) -> Header, count: u64) {
    let key = EnvelopeKey::of(Side::Sent, run.peer.area, EPOCH).key();
    let peer = peer_key(run.peer.area);
    let entries = (first..first + count).map(|sequence| {
        let header = Bytes::from(wire::encode_header(&headers(sequence)));
        crate::app::messages::journal_entry(&SealedEnvelope::new(header, vec![2; 8]))
    });
    let entries: Vec<_> = entries.collect();
    let accepted = run.shared().store.commit_blocking(move |unit| {
        unit.put(&LANE_EPOCH, &peer, &EPOCH.get())?;
        for entry in &entries {
            unit.append(&ENVELOPE, &key, entry)?;
        }
        Ok::<_, store::StoreError>(())
    });
    accepted.unwrap();
}

fn later() -> UnixMillis {
    SystemClock.now().saturating_add(HOUR)
}

fn run_of(first: u64, last: u64) -> SeqRuns {
    let mut runs = SeqRuns::new();
    runs.insert_run(SeqRun { first: LaneSeq::new(first), last: LaneSeq::new(last) });
    runs
}

#[tokio::test]
async fn a_wish_that_came_true_is_not_wished_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut run = courier(dir.path());
    run.wish(UnixMillis::new(1));
    assert_eq!(run.sleep(), Duration::ZERO);
    run.woken();
    assert!(run.sleep() > Duration::ZERO);
}

#[tokio::test]
async fn mail_is_found_though_nobody_told_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut run = courier(dir.path());
    for accepted in [1, 2] {
        accept(&run, accepted, |sequence| header(sequence, later(), None), 1);
        run.woken();
        assert_eq!(run.courier.status().unsettled, accepted);
    }
}

#[tokio::test]
async fn a_parcel_reaches_no_further_than_its_receipt_is_looked_for() {
    let dir = tempfile::tempdir().unwrap();
    let mut run = courier(dir.path());
    accept(&run, 1, |sequence| header(sequence, later(), None), LANE_WINDOW + 10);
    run.woken();
    let mut asked = run_of(1, 1);
    asked.merge(run_of(LANE_WINDOW - 2, LANE_WINDOW + 5));
    let loaded = journal::read(&run.lane(), &asked, usize::MAX);
    let lowest = loaded.sequences.first().unwrap().get();
    assert_eq!(lowest, 1);
    assert!(loaded.sequences.len() > 3);
    assert!(loaded.sequences.last().unwrap().get() - lowest <= LANE_WINDOW);
}

#[tokio::test]
async fn what_has_no_purpose_any_more_travels_without_its_body() {
    let dir = tempfile::tempdir().unwrap();
    let mut run = courier(dir.path());
    let ended = UnixMillis::new(1);
    accept(&run, 1, |n| header(n, if n == 2 { ended } else { later() }, None), 3);
    let key = EnvelopeKey::of(Side::Sent, run.peer.area, EPOCH).key();
    let row = WithdrawnRow {
        message: MessageId::new(ended, random()),
        why: WithdrawnWhy::Discarded,
        at: ended,
        sealed_sha256: exchange::digest::Digest::of(b"x"),
    };
    let withdraw = run
        .shared()
        .store
        .commit_blocking(move |unit| unit.put(&WITHDRAWN, &(key.0, key.1, 3), &row));
    withdraw.unwrap();
    run.woken();
    let loaded = journal::read(&run.lane(), &run_of(1, 3), usize::MAX);
    let bodiless: Vec<_> = loaded.envelopes.iter().map(SealedEnvelope::is_withdrawn).collect();
    assert_eq!(bodiless, [false, true, true]);
}

#[tokio::test]
async fn deadlines_are_those_of_the_headers() {
    let dir = tempfile::tempdir().unwrap();
    let run = courier(dir.path());
    let due = later();
    accept(&run, 1, |n| header(n, later(), (n == 700).then_some(due)), 700);
    let looked = journal::deadlines(&run.lane(), &run_of(1, 700));
    assert_eq!(looked.len(), 700);
    assert_eq!(looked.last().unwrap(), &(LaneSeq::new(700), due));
    assert!(looked.iter().take(699).all(|(_, deadline)| *deadline > due));
}

#[tokio::test]
async fn damaged_mail_is_named_and_keeps_nothing_else_here() {
    let dir = tempfile::tempdir().unwrap();
    let run = courier(dir.path());
    accept(&run, 1, |n| header(n, later(), None), 2);
    let key = EnvelopeKey::of(Side::Sent, run.peer.area, EPOCH).key();
    let mut torn = Vec::new();
    for entry in [&b"no envelope"[..], &[]] {
        let entry = entry.to_vec();
        torn.push(
            run.shared().store.commit_blocking(move |unit| unit.append(&ENVELOPE, &key, &entry)),
        );
    }
    assert_eq!(torn.into_iter().map(Result::unwrap).collect::<Vec<_>>(), [3, 4]);
    accept(&run, 5, |n| header(n, later(), None), 1);
    let loaded = journal::read(&run.lane(), &run_of(1, 5), usize::MAX);
    assert_eq!(loaded.sequences, [1, 2, 5].map(LaneSeq::new));
    assert_eq!(loaded.unreadable, run_of(3, 4));
    let looked = journal::deadlines(&run.lane(), &run_of(1, 5));
    assert_eq!(looked.into_iter().map(|(at, _)| at.get()).collect::<Vec<_>>(), [1, 2, 5]);
}
