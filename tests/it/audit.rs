//! The access log: everything that is done with a person's record is in it, it can be taken away and verified by
//! anybody, and who reads too much is stopped and noticed.

mod every_call;

use domain::access::Role;
use liangdi::cli::connect::Office;
use wire::pb::office as pb;

use crate::support::desk::Desk;
use crate::support::network::Network;
use crate::support::{eventually_async, now, office};

const HOME: &str = "410522";
const AWAY: &str = "440305";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_is_taken_away_and_verified_with_the_root_alone() {
    let network = Network::new();
    let mut home = network.node(HOME, &[]);
    home.start();
    let clerk = office::connect(&network.operator("hua", HOME, Role::Clerk)).await;
    let arrival = office::arrival(7, AWAY, HOME);
    let document = arrival.person.as_ref().unwrap().document.clone();
    clerk.registrations().register_arrival(arrival).await.unwrap();
    let find = pb::FindPersonRequest { document: document.clone(), access: Some(office::access()) };
    for _ in 0..3 {
        clerk.registrations().find_person(find.clone()).await.unwrap();
    }
    let desk = Desk::of(&network, HOME, Role::Auditor);
    let listed = desk.json("audit list --operator hua --action search");
    assert_eq!(listed["entries"].as_array().unwrap().len(), 3);
    let person = listed["entries"][0]["person"].as_str().unwrap().to_owned();
    assert_eq!(
        desk.json(&format!("audit list --person {person}"))["entries"].as_array().unwrap().len(),
        4
    );
    let document = document.unwrap().number;
    let by_document = desk.json(&format!("audit list --document {document} --action create"));
    assert_eq!(by_document["entries"][0]["person"], person.as_str());
    assert_eq!(desk.json("audit list --operator nobody")["entries"].as_array().unwrap().len(), 0);
    let two = desk.json("audit list --operator hua --limit 2");
    let next = two["next_page_token"].as_str().unwrap();
    let rest = desk.json(&format!("audit list --operator hua --after {next}"));
    assert_eq!(rest["entries"].as_array().unwrap().len(), 2);

    let file = network.path("log.jsonl");
    desk.json(&format!("audit export --out {}", file.display()));
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(!text.contains(&document), "no document is in the file");
    let root = network.path("root.pem");
    home.stop();
    let verify = |path: &std::path::Path, more: &str| {
        let line =
            format!("audit verify {} --root {} {more} --json", path.display(), root.display());
        crate::support::desk::run(&crate::support::desk::words(&line))
    };
    let ended = verify(&file, "");
    assert_eq!(ended.exit, 0, "{}", ended.err);
    let proven: serde_json::Value = serde_json::from_str(&ended.out).unwrap();
    let head = proven["head"].as_str().unwrap().to_owned();
    assert_eq!(proven["actions"]["CREATE"], 1);
    assert_eq!(verify(&file, &format!("--known {head}")).exit, 0);
    let other = format!("--known {}:{}", proven["entries"], "0".repeat(64));
    assert_eq!(verify(&file, &other).exit, 3);

    let altered = network.path("altered.jsonl");
    for (from, to) in [("\"hua\"", "\"huo\""), ("\"SEARCH\"", "\"VIEW\"")] {
        std::fs::write(&altered, text.replacen(from, to, 1)).unwrap();
        assert_eq!(verify(&altered, "").exit, 3, "{from}");
    }
    let lines: Vec<&str> = text.lines().collect();
    std::fs::write(&altered, lines[..lines.len() - 1].join("\n") + "\n").unwrap();
    assert_eq!(verify(&altered, "").exit, 3, "cut off");
    home.never_panicked();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_reads_too_much_is_stopped_with_a_time_and_those_who_watch_are_told() {
    let network = Network::new();
    let mut home = network.node(HOME, &[]);
    home.limit("reads_per_hour = 7\nreads_usual_least = 1\nreads_unusual_times = 3");
    home.start();
    let clerk = office::connect(&network.operator("hua", HOME, Role::Clerk)).await;
    let other = office::connect(&network.operator("ai", HOME, Role::Clerk)).await;
    let supervisor = office::connect(&network.operator("wei", HOME, Role::Supervisor)).await;
    let arrival = office::arrival(7, AWAY, HOME);
    let document = arrival.person.as_ref().unwrap().document.clone();
    clerk.registrations().register_arrival(arrival).await.unwrap();
    let find = pb::FindPersonRequest { document, access: Some(office::access()) };
    let notices = async |office: &Office| {
        let request = pb::ListNoticesRequest::default();
        office.delivery().list_notices(request).await.unwrap().into_inner().notices
    };
    // The hour may end in the middle of it; then it begins anew.
    let refused = eventually_async("the limit is met", || async {
        clerk.registrations().find_person(find.clone()).await.err()
    })
    .await;
    assert_eq!(office::code(&refused), "READS_TOO_MANY");
    use tonic_types::StatusExt as _;
    let detail = refused.get_details_error_info().unwrap().metadata["detail"].clone();
    assert!(detail.contains(":00 +08:00"), "{detail}");
    let told = notices(&supervisor).await;
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].kind(), pb::NoticeKind::UnusualReads);
    assert!(told[0].text_zh.contains("平常每日约1次"), "{}", told[0].text_zh);
    assert!(notices(&clerk).await.is_empty(), "who is watched is not told");
    other.registrations().find_person(find.clone()).await.unwrap();
    let reads = supervisor.audit().list_reads(pb::ListReadsRequest {}).await.unwrap().into_inner();
    assert_eq!(reads.per_hour, 7);
    let of = |name: &str| reads.operators.iter().find(|r| r.operator == name).unwrap().in_day;
    assert!(of("hua") >= 7 && of("ai") == 1);

    // A restart gives nobody a fresh hour.
    home.kill();
    home.start();
    let clerk = office::connect(&network.operator("hua", HOME, Role::Clerk)).await;
    let again = clerk.registrations().find_person(find).await;
    let hour = now().get() / 3_600_000;
    assert!(again.is_err() || now().get() / 3_600_000 != hour || detail.is_empty());
    home.never_panicked();
}
