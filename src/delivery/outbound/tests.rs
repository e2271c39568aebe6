//! The shell of one courier, without a peer at the other end.

use exchange::backoff::Backoff;
use exchange::envelope::SealedEnvelope;
use exchange::runs::Run as SeqRun;
use store::tables::LANE_EPOCH;

use super::*;
use crate::config::Settings;
use crate::delivery::peers::Peers;
use crate::demo::network::{Network, Plan};

const EPOCH: LaneEpoch = LaneEpoch::new(7);

/// The courier of the first of two nodes; nobody is at the other end.
fn courier(dir: &std::path::Path) -> Run {
    let areas = ["410522", "440305"].map(|code| code.parse::<AreaCode>().unwrap());
    let network = Network::prepare(&Plan::new(dir, "none", areas.to_vec())).unwrap();
    let settings = Settings::load(&network.member(areas[0]).unwrap().config).unwrap();
    let now = SystemClock.now();
    let key = store::DataKey::load(&settings.store.data_key).unwrap();
    let options = store::Options::new(settings.area.as_str(), key, now);
    let (store, _) = Store::open(&settings.store_dir(), options).unwrap();
    let shared = Outbound {
        own: settings.area,
        store,
        identity: Arc::new(NodeIdentity::load(&settings.tls, now).unwrap()),
        settings: CourierSettings { backoff: Backoff::PROTOCOL, ..CourierSettings::default() },
        tasks: Tasks::default(),
    };
    let peer = Peers::new(&settings.peers).get(areas[1]).unwrap().clone();
    Run::new(shared, peer, mpsc::channel(EVENTS_QUEUE).0)
}

/// Puts so many entries in the lane, and tells nobody.
fn accept(run: &Run, entries: u64) {
    let key = EnvelopeKey::of(Side::Sent, run.peer.area, EPOCH).key();
    let peer = store::messages::peer_key(run.peer.area);
    let envelope = SealedEnvelope::new(vec![1; 8], vec![2; 8]);
    let entry = crate::app::messages::journal_entry(&envelope);
    let accepted = run.shared.store.commit_blocking(move |unit| {
        unit.put(&LANE_EPOCH, &peer, &EPOCH.get())?;
        for _ in 0..entries {
            unit.append(&ENVELOPE, &key, &entry)?;
        }
        Ok::<_, store::StoreError>(())
    });
    accepted.unwrap();
}

#[tokio::test]
async fn a_wish_that_came_true_is_not_wished_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut run = courier(dir.path());
    run.wake = Some(UnixMillis::new(1));
    assert_eq!(run.sleep(), Duration::ZERO);
    run.woken();
    assert_eq!(run.sleep(), SLEEP_MAX);
}

#[tokio::test]
async fn mail_is_found_though_nobody_told_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut run = courier(dir.path());
    for accepted in [1, 2] {
        accept(&run, 1);
        run.woken();
        assert_eq!(run.courier.status().unsettled, accepted);
    }
}

#[tokio::test]
async fn a_parcel_reaches_no_further_than_its_receipt_is_looked_for() {
    let dir = tempfile::tempdir().unwrap();
    let mut run = courier(dir.path());
    accept(&run, LANE_WINDOW + 10);
    run.woken();
    let mut asked = SeqRuns::new();
    for (first, last) in [(1, 1), (LANE_WINDOW - 2, LANE_WINDOW + 5)] {
        let (first, last) = (LaneSeq::new(first), LaneSeq::new(last));
        asked.insert_run(SeqRun { first, last });
    }
    let loaded = run.read(&asked, usize::MAX).unwrap();
    let lowest = loaded.sequences.first().unwrap().get();
    assert_eq!(lowest, 1);
    assert!(loaded.sequences.len() > 3);
    assert!(loaded.sequences.last().unwrap().get() - lowest <= LANE_WINDOW);
}
