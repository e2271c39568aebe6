//! Mail by file between offices without a line: the same receipts, whatever happens to the files.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use domain::access::Role;
use domain::message::Kind;
use domain::person::PersonReference;
use domain::purpose::Purpose;
use liangdi::cli::connect::{ConnectArgs, Office};
use serde_json::Value;
use wire::pb::office::{self, Direction, Stage};

use crate::support::network::Network;
use crate::support::node::Node;
use crate::support::office::{code, connect, list, messages, reaches, send, track};

const HERE: &str = "440305";
const THERE: &str = "410522";

/// Two offices that know each other by a card on a stick, and have no line.
struct Apart {
    network: Network,
    here: Side,
    there: Side,
}

struct Side {
    node: Node,
    clerk: Office,
    keeper: ConnectArgs,
}

impl Side {
    async fn new(network: &Network, code: &str) -> Self {
        let mut node = network.node(code, &[]);
        // Nobody listens where its card says, so there is no line.
        node.advertise(9);
        node.start();
        let clerk = connect(&network.operator("clerk", code, Role::Clerk)).await;
        let keeper = network.operator("keeper", code, Role::Administrator);
        Self { node, clerk, keeper }
    }

    /// Runs `liangdi bundle` as the administrator.
    fn bundle(&self, arguments: &[&str], file: &Path) -> Output {
        let path = |path: &Option<PathBuf>| path.clone().unwrap();
        Command::new(env!("CARGO_BIN_EXE_liangdi"))
            .args(["--json", "bundle"])
            .args(arguments)
            .arg(file)
            .args(["--office", self.keeper.office.as_deref().unwrap()])
            .args([Path::new("--cert"), &path(&self.keeper.cert)])
            .args([Path::new("--key"), &path(&self.keeper.key)])
            .args([Path::new("--root"), &path(&self.keeper.root)])
            .output()
            .unwrap()
    }

    fn does(&self, arguments: &[&str], file: &Path) -> Value {
        let output = self.bundle(arguments, file);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {said}\n{}", self.node.log());
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn fails(&self, arguments: &[&str], file: &Path) -> String {
        let output = self.bundle(arguments, file);
        assert!(!output.status.success(), "{arguments:?} was done");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    async fn received(&self) -> Vec<String> {
        let mut ids: Vec<_> = list(&self.clerk, Direction::Received)
            .await
            .into_iter()
            .map(|track| track.message_id)
            .collect();
        ids.sort();
        ids
    }
}

impl Apart {
    async fn new() -> Self {
        let network = Network::new();
        let here = Side::new(&network, HERE).await;
        let there = Side::new(&network, THERE).await;
        let apart = Self { network, here, there };
        for (from, to, name) in
            [(&apart.here, &apart.there, "here.card"), (&apart.there, &apart.here, "there.card")]
        {
            let file = apart.network.path(name);
            from.does(&["export-card", "--out"], &file);
            to.does(&["import-card"], &file);
        }
        apart
    }

    /// Accepts messages here; their ids, sorted.
    async fn accept(&self, seed: u64, count: usize) -> Vec<String> {
        let mut made = messages(seed, HERE, THERE);
        let mut ids = Vec::new();
        for _ in 0..count {
            let content = made.next(Kind::DepartureNotice).unwrap();
            let sent = send(&self.here.clerk, THERE, &content, "").await.unwrap();
            ids.push(sent.track.unwrap().message_id);
        }
        ids.sort();
        ids
    }

    fn export(&self, from: &Side, to: &str, name: &str) -> (PathBuf, Value) {
        let file = self.network.path(name);
        let report = from.does(&["export", "--to", to, "--out"], &file);
        (file, report)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_and_receipts_travel_by_file_both_ways() {
    let apart = Apart::new().await;
    let ids = apart.accept(1, 600).await;
    let (out, report) = apart.export(&apart.here, THERE, "one.bundle");
    assert_eq!(report["messages"], 600);
    assert!(report["parcels"].as_u64().unwrap() >= 2);

    let taken = apart.there.does(&["import"], &out);
    assert_eq!((&taken["stored"], &taken["complete"]), (&600.into(), &true.into()));
    assert_eq!(apart.there.received().await, ids);
    // Nothing is settled by a file that only went one way.
    assert_ne!(track(&apart.here.clerk, &ids[0]).await.stage(), Stage::Stored);

    let (back, report) = apart.export(&apart.there, HERE, "two.bundle");
    assert_eq!(report["words"], taken["parcels"]);
    apart.here.does(&["import"], &back);
    for id in [&ids[0], &ids[599]] {
        reaches(&apart.here.clerk, id, Stage::Stored).await;
    }
    // The receipt that came by file is evidence like any other.
    let request = office::ExportEvidenceRequest { message_id: ids[3].clone() };
    let evidence = apart.here.clerk.messages().export_evidence(request).await.unwrap().into_inner();
    let evidence = wire::decode_evidence(evidence.evidence.into()).unwrap();
    let proven = evidence.verify(&apart.network.chains()).unwrap();
    assert!(proven.answered.is_some());

    // What is settled is in no file any more.
    let (_, report) = apart.export(&apart.here, THERE, "three.bundle");
    assert_eq!(report["messages"], 0);
    apart.here.node.never_panicked();
    apart.there.node.never_panicked();
}

#[tokio::test(flavor = "multi_thread")]
async fn files_may_come_twice_and_in_any_order() {
    let apart = Apart::new().await;
    let mut ids = apart.accept(2, 5).await;
    let (first, _) = apart.export(&apart.here, THERE, "first.bundle");
    ids.extend(apart.accept(3, 5).await);
    ids.sort();
    let (second, report) = apart.export(&apart.here, THERE, "second.bundle");
    assert_eq!(report["messages"], 10, "what has no answer is in the next file as well");
    let taken = apart.there.does(&["import"], &second);
    assert_eq!((&taken["stored"], &taken["duplicates"]), (&10.into(), &0.into()));
    for _ in 0..2 {
        let again = apart.there.does(&["import"], &first);
        assert_eq!((&again["stored"], &again["duplicates"]), (&0.into(), &5.into()));
    }
    assert_eq!(apart.there.received().await, ids);
    let (back, _) = apart.export(&apart.there, HERE, "back.bundle");
    for _ in 0..2 {
        apart.here.does(&["import"], &back);
    }
    for id in &ids {
        reaches(&apart.here.clerk, id, Stage::Stored).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_cut_off_altered_or_not_for_us_is_said() {
    let apart = Apart::new().await;
    let ids = apart.accept(4, 4).await;
    let (out, _) = apart.export(&apart.here, THERE, "good.bundle");
    let good = std::fs::read(&out).unwrap();
    let file = apart.network.path("bad.bundle");

    // Cut off: the parcel is the last item but one, so it is lost with the end or is taken before it.
    for length in [0, 10, 60, good.len() / 2, good.len() - 60, good.len() - 1] {
        std::fs::write(&file, &good[..length]).unwrap();
        let said = apart.there.fails(&["import"], &file);
        let named = said.contains("MALFORMED") || said.contains("cut off");
        assert!(named, "{length}: {said}");
    }
    // Altered anywhere: nothing false is ever taken.
    for at in [3, 30, 200, good.len() / 2, good.len() - 200, good.len() - 3] {
        let mut bytes = good.clone();
        bytes[at] ^= 0x40;
        std::fs::write(&file, &bytes).unwrap();
        apart.there.fails(&["import"], &file);
    }
    let received = apart.there.received().await;
    assert!(received.is_empty() || received == ids);
    // Something after the end.
    let longer: Vec<u8> = good.iter().copied().chain(*b"more").collect();
    std::fs::write(&file, longer).unwrap();
    apart.there.fails(&["import"], &file);
    // For somebody else.
    assert!(apart.here.fails(&["import"], &out).contains("NOT_FOR_US"));
    // And the whole file is still good.
    let taken = apart.there.does(&["import"], &out);
    assert_eq!(taken["complete"], true);
    assert_eq!(apart.there.received().await, ids);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_tells_nobody_who_is_in_it() {
    let apart = Apart::new().await;
    let mut made = messages(5, HERE, THERE);
    let content = made.next(Kind::ArrivalNotice).unwrap();
    send(&apart.here.clerk, THERE, &content, "").await.unwrap();
    let (out, _) = apart.export(&apart.here, THERE, "sealed.bundle");
    let bytes = std::fs::read(&out).unwrap();
    let PersonReference { document, name } = content.person.unwrap();
    let why = Purpose::ResidenceRegistration;
    let secrets = [document.expose(&why).to_owned(), name.expose(&why).to_owned()];
    for secret in secrets {
        assert!(secret.len() > 3);
        assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()));
    }
    // Who may not tend delivery makes no files.
    let request = office::ExportBundleRequest { to: THERE.to_owned() };
    let collector = connect(&apart.network.operator("typist", HERE, Role::Collector)).await;
    let refused = collector.bundles().export_bundle(request).await.unwrap_err();
    assert_eq!(code(&refused), "ROLE_REQUIRED");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_lost_delays_nothing_when_there_is_a_line() {
    let network = Network::new();
    let mut here = network.node(HERE, &[THERE]);
    let mut there = network.node(THERE, &[HERE]);
    here.start();
    there.start();
    let clerk = connect(&network.operator("clerk", HERE, Role::Clerk)).await;
    let keeper = network.operator("keeper", HERE, Role::Administrator);
    let mut made = messages(6, HERE, THERE);
    let first = made.next(Kind::DepartureNotice).unwrap();
    let sent = crate::support::office::send_when_known(&clerk, THERE, &first).await;
    reaches(&clerk, &sent.track.unwrap().message_id, Stage::Stored).await;
    there.kill();
    let content = made.next(Kind::DepartureNotice).unwrap();
    let sent = send(&clerk, THERE, &content, "").await.unwrap();
    let id = sent.track.unwrap().message_id;
    let side = Side { node: here, clerk, keeper };
    side.does(&["export", "--to", THERE, "--out"], &network.path("lost.bundle"));
    there.start();
    reaches(&side.clerk, &id, Stage::Stored).await;
}
