//! Imports from files: checked line by line, taken in all or not at all, through kill -9 as well.

use std::fmt::Write as _;
use std::time::Instant;

use domain::access::Role;
use domain::purpose::Purpose;
use domain::synthetic::People;
use domain::time::Date;
use liangdi::cli::connect::Office;
use wire::pb::message::IdentityDocument;
use wire::pb::office as pb;

use crate::support::desk::Desk;
use crate::support::network::Network;
use crate::support::{area, eventually_async, now, office};

const HERE: &str = "440305";
const THERE: &str = "410522";
const HEADINGS: &str = "姓名*,证件号码*,户籍地代码*,现居住地代码*,居住地址,来现居住地日期*";

/// Numbers of documents and the lines of a file.
fn people(seed: u64, count: usize) -> Vec<(String, String)> {
    let today = Date::from_millis(now());
    let why = Purpose::ResidenceRegistration;
    let people = People::new(seed, vec![area(THERE)], today).take(count);
    people
        .map(|person| {
            let number = person.document.expose(&why).to_owned();
            let name = person.name.expose(&why);
            let arrived = today.plus_days(-5);
            (number.clone(), format!("{name},{number},{THERE},{HERE},梧桐路1号,{arrived}"))
        })
        .collect()
}

fn file(network: &Network, name: &str, lines: &[String]) -> String {
    let path = network.path(name);
    std::fs::write(&path, format!("\u{feff}{HEADINGS}\r\n{}\r\n", lines.join("\r\n"))).unwrap();
    path.display().to_string()
}

async fn is_here(clerk: &Office, number: &str) -> bool {
    let document = IdentityDocument { kind: 1, number: number.to_owned(), check_confirmed: false };
    let request =
        pb::FindPersonRequest { document: Some(document), access: Some(office::access()) };
    match clerk.registrations().find_person(request).await {
        Ok(found) => {
            let found = found.into_inner();
            assert_eq!(found.registrations.len(), 1);
            true
        }
        Err(status) => {
            assert_eq!(office::code(&status), "NOT_FOUND");
            false
        }
    }
}

/// An import of a file that a program begins, and nobody has put a row into.
async fn begin(clerk: &Office, path: &str) -> pb::Import {
    let digest = exchange::digest::Digest::of(&std::fs::read(path).unwrap());
    let begin = pb::BeginImportRequest {
        kind: pb::ImportKind::Registration.into(),
        file_sha256: digest.to_string(),
        ..Default::default()
    };
    clerk.imports().begin_import(begin).await.unwrap().into_inner().import.unwrap()
}

fn first_and_last(people: &[(String, String)]) -> [&str; 3] {
    [&people[0].0, &people[people.len() / 2].0, &people[people.len() - 1].0]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_with_a_wrong_line_is_told_line_by_line_and_nothing_of_it_is_taken_in() {
    let network = Network::new();
    let mut node = network.node(HERE, &[]);
    node.start();
    let clerk = office::connect(&network.operator("hua", HERE, Role::Clerk)).await;
    let desk = Desk::at(&network, HERE);
    let people = people(1, 1_200);
    let right: Vec<String> = people.iter().map(|(_, line)| line.clone()).collect();
    let mut lines = right.clone();
    lines[10] = lines[10].replace("梧桐路1号,20", "梧桐路1号,29");
    lines[700] = ",,,,,".to_owned() + &lines[700];
    lines[900] = lines[3].clone();
    let wrong = file(&network, "wrong.csv", &lines);
    for flag in ["--dry-run", ""] {
        let ended = desk.run(&format!("import registrations --file {wrong} {flag} --json"));
        assert_eq!(ended.exit, 3, "{}{}", ended.out, ended.err);
        let told: serde_json::Value = serde_json::from_str(&ended.out).unwrap();
        let found: Vec<(u64, &str)> = told["findings"]
            .as_array()
            .unwrap()
            .iter()
            .map(|f| (f["line"].as_u64().unwrap(), f["column"].as_str().unwrap()))
            .collect();
        assert!(found.contains(&(12, "来现居住地日期")), "{found:?}");
        assert!(found.iter().any(|(line, _)| *line == 702), "{found:?}");
        assert!(found.contains(&(902, "证件号码")), "{found:?}");
        assert!(found.iter().all(|(line, _)| [12, 702, 902].contains(line)), "{found:?}");
        for finding in told["findings"].as_array().unwrap() {
            assert!(!finding["fix_zh"].as_str().unwrap().is_empty(), "{finding}");
        }
    }
    for number in first_and_last(&people) {
        assert!(!is_here(&clerk, number).await, "nothing is half imported");
    }
    let good = file(&network, "good.csv", &right);
    let dry = desk.json(&format!("import registrations --file {good} --dry-run"));
    assert_eq!((dry["rows"].as_u64(), dry["rows_wrong"].as_u64()), (Some(1_200), Some(0)));
    assert!(!is_here(&clerk, &people[5].0).await);
    let started = Instant::now();
    let done = desk.json(&format!("import registrations --file {good}"));
    println!("{:.0} rows/s", 1_200.0 / started.elapsed().as_secs_f64());
    assert_eq!((done["written"].as_u64(), done["state"].as_str()), (Some(1_200), Some("DONE")));
    for number in first_and_last(&people) {
        assert!(is_here(&clerk, number).await);
    }
    let again = desk.run(&format!("import registrations --file {good}"));
    // So many who are on record are as many searches, and nobody makes so many in an hour.
    assert!(again.exit != 0 && again.err.contains("READS_TOO_MANY"), "{}", again.err);
    let (first, _) = right.split_at(3);
    let few = file(&network, "few.csv", first);
    let again = desk.run(&format!("import registrations --file {few}"));
    assert_eq!(again.exit, 3);
    assert!(again.out.contains("ALREADY_EXISTS"), "{}", again.out);
    node.never_panicked();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_template_that_is_filled_in_is_taken_as_it_is() {
    let network = Network::new();
    let mut node = network.node(HERE, &[]);
    node.start();
    let desk = Desk::at(&network, HERE);
    for kind in ["registrations", "certificates", "old-cases"] {
        for ending in ["csv", "xlsx"] {
            let out = network.path(&format!("{kind}.{ending}"));
            let line = format!("import template {kind} --out {}", out.display());
            let told = crate::support::desk::run(&crate::support::desk::words(&line));
            assert!(told.exit == 0 && told.out.contains("证件号码"), "{}", told.err);
            // Without lines there is nothing to take in, and the headings are known.
            let taken = desk.json(&format!("import {kind} --file {} --dry-run", out.display()));
            assert_eq!(taken["rows"], 0);
        }
    }
    let mut book = rust_xlsxwriter::Workbook::new();
    let sheet = book.add_worksheet();
    let numbers = people(3, 2);
    let headings = ["证件号码", "姓名", "证明编号", "发证日期"];
    for (column, heading) in (0..).zip(headings) {
        sheet.write(0, column, heading).unwrap();
    }
    for (row, (number, line)) in (1..).zip(&numbers) {
        sheet.write(row, 0, number).unwrap();
        sheet.write(row, 1, line.split(',').next().unwrap()).unwrap();
        let certificate = domain::id::CertificateNumber::new(area(HERE), 2025, 40 + row).unwrap();
        sheet.write(row, 2, certificate.to_string()).unwrap();
        // A day as spreadsheets keep it: 2025-06-18.
        sheet.write(row, 3, 45_826).unwrap();
    }
    let format = rust_xlsxwriter::Format::new().set_num_format("yyyy-mm-dd");
    for row in 1..3 {
        sheet.write_with_format(row, 3, 45_826, &format).unwrap();
    }
    let path = network.path("old.xlsx");
    book.save(&path).unwrap();
    let done = desk.json(&format!("import certificates --file {}", path.display()));
    assert_eq!(done["written"], 2, "{done}");
    let certificate = domain::id::CertificateNumber::new(area(HERE), 2025, 41).unwrap();
    let access = "--basis statutory-duty --purpose certificate";
    let shown = desk.json(&format!("certificate show {certificate} {access}"));
    assert!(shown.to_string().contains("2025-06-18"), "{shown}");
    let again = desk.run(&format!("import certificates --file {}", path.display()));
    assert_eq!(again.exit, 3, "the number is taken");
    node.never_panicked();
}

fn rows(lines: &[(String, String)], first: u32) -> Vec<pb::ImportRow> {
    let row = |(line, (number, text)): (u32, &(String, String))| {
        let cells: Vec<&str> = text.split(',').collect();
        let document = IdentityDocument { kind: 1, number: number.clone(), check_confirmed: false };
        pb::ImportRow {
            line,
            person: Some(pb::Person {
                document: Some(document),
                name: cells[0].to_owned(),
                ..Default::default()
            }),
            registration: Some(pb::Registration {
                origin_area: THERE.to_owned(),
                residence_area: HERE.to_owned(),
                arrived_on: cells[5].to_owned(),
                ..Default::default()
            }),
            ..Default::default()
        }
    };
    (first..).zip(lines).map(row).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_leaves_nothing_or_everything() {
    let network = Network::new();
    let mut node = network.node(HERE, &[]);
    node.start();
    let operator = network.operator("alice", HERE, Role::Clerk);
    let clerk = office::connect(&operator).await;
    let people = people(7, 2_500);
    let lines: Vec<String> = people.iter().map(|(_, line)| line.clone()).collect();
    let path = file(&network, "people.csv", &lines);
    let digest = exchange::digest::Digest::of(&std::fs::read(&path).unwrap());
    let digest = digest.as_bytes().iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    });
    let begin = pb::BeginImportRequest {
        kind: pb::ImportKind::Registration.into(),
        file_sha256: digest,
        ..Default::default()
    };
    let begun = clerk.imports().begin_import(begin).await.unwrap().into_inner().import.unwrap();
    for batch in 1..=2_u64 {
        let at = (batch as usize - 1) * 500;
        let put = pb::PutImportRowsRequest {
            import_id: begun.import_id.clone(),
            batch,
            rows: rows(&people[at..at + 500], at as u32 + 2),
        };
        let put = clerk.imports().put_import_rows(put).await.unwrap().into_inner();
        assert!(put.findings.is_empty());
    }
    // In the middle of the file the power goes: nothing of it is there, and what was handed over is not lost.
    node.kill();
    node.start();
    let clerk = office::connect(&operator).await;
    for number in first_and_last(&people) {
        assert!(!is_here(&clerk, number).await);
    }
    let get = pb::GetImportRequest { import_id: begun.import_id.clone() };
    let now = clerk.imports().get_import(get.clone()).await.unwrap().into_inner().import.unwrap();
    assert_eq!((now.batches, now.rows, now.state()), (2, 1_000, pb::ImportState::Staging));
    for batch in 3..=5_u64 {
        let at = (batch as usize - 1) * 500;
        let put = pb::PutImportRowsRequest {
            import_id: begun.import_id.clone(),
            batch,
            rows: rows(&people[at..at + 500], at as u32 + 2),
        };
        clerk.imports().put_import_rows(put).await.unwrap();
    }
    // Once it is decided it ends, however often the power goes, and nobody has to ask for it.
    let finish = pb::FinishImportRequest { import_id: begun.import_id.clone() };
    clerk.imports().finish_import(finish).await.unwrap();
    let mut killed_at = vec![0];
    for _ in 0..3 {
        node.kill();
        node.start();
        let clerk = office::connect(&operator).await;
        let written = eventually_async("it goes on by itself", || async {
            let now = clerk.imports().get_import(get.clone()).await.unwrap().into_inner();
            let now = now.import.unwrap();
            let more = now.written > *killed_at.last().unwrap();
            (more || now.state() == pb::ImportState::Done).then_some(now.written)
        })
        .await;
        killed_at.push(written);
    }
    println!("killed with {killed_at:?} of 2500 written");
    let clerk = office::connect(&operator).await;
    let done = eventually_async("the import ends", || async {
        let now = clerk.imports().get_import(get.clone()).await.unwrap().into_inner().import;
        now.filter(|import| import.state() == pb::ImportState::Done)
    })
    .await;
    assert_eq!((done.written, done.skipped), (2_500, 0));
    for (number, _) in people.iter().step_by(97) {
        assert!(is_here(&clerk, number).await);
    }
    node.stop();
    node.never_panicked();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupted_import_goes_on_with_its_file_and_with_no_other() {
    let network = Network::new();
    let mut node = network.node(HERE, &[]);
    node.start();
    let desk = Desk::at(&network, HERE);
    let people = people(9, 600);
    let lines: Vec<String> = people.iter().map(|(_, line)| line.clone()).collect();
    let (path, other) = (file(&network, "a.csv", &lines), file(&network, "b.csv", &lines[1..]));
    let none = desk.run(&format!("import registrations --file {path} --resume"));
    assert_eq!(none.exit, 5, "{}", none.err);
    // The program that hands over is killed in the middle.
    let clerk = office::connect(&desk.connect).await;
    let begun = begin(&clerk, &path).await;
    let put = pb::PutImportRowsRequest {
        import_id: begun.import_id.clone(),
        batch: 1,
        rows: rows(&people[..500], 2),
    };
    clerk.imports().put_import_rows(put.clone()).await.unwrap();
    // The same batch once more changes nothing.
    let twice = clerk.imports().put_import_rows(put).await.unwrap().into_inner();
    assert_eq!(twice.import.unwrap().rows, 500);
    assert_eq!(desk.run(&format!("import registrations --file {other} --resume")).exit, 5);
    let done = desk.json(&format!("import registrations --file {path} --resume"));
    assert_eq!(done["import_id"], begun.import_id.as_str());
    assert_eq!(done["written"], 600);
    let stranger = office::connect(&network.operator("bob", HERE, Role::Clerk)).await;
    let get = pb::GetImportRequest { import_id: begun.import_id };
    let refused = stranger.imports().get_import(get).await.unwrap_err();
    assert_eq!(office::code(&refused), "NOT_FOUND");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_taken_in_is_told_whenever_it_turns_out() {
    let network = Network::new();
    let mut node = network.node(HERE, &[]);
    node.start();
    let desk = Desk::at(&network, HERE);
    let people = people(11, 6);
    let (people, others) = people.split_at(3);
    // One number on the certificates of two persons: nothing of the file is taken in, and both lines are named.
    let number = domain::id::CertificateNumber::new(area(HERE), 2025, 7).unwrap();
    let line = |(document, line): &(String, String)| {
        format!("{},{document},{number},2025-06-18", line.split(',').next().unwrap())
    };
    let lines: Vec<String> = people[..2].iter().map(line).collect();
    let path = network.path("twice.csv");
    let text = format!("\u{feff}姓名,证件号码,证明编号,发证日期\r\n{}\r\n", lines.join("\r\n"));
    std::fs::write(&path, text).unwrap();
    let ended = desk.run(&format!("import certificates --file {} --json", path.display()));
    assert_eq!(ended.exit, 3, "{}{}", ended.out, ended.err);
    let told: serde_json::Value = serde_json::from_str(&ended.out).unwrap();
    let found = &told["findings"][0];
    assert_eq!(
        (found["line"].as_u64(), found["earlier_line"].as_u64()),
        (Some(3), Some(2)),
        "{told}"
    );
    assert_eq!((&found["code"], &found["column"]), (&"ROWS_CONTRADICT".into(), &"证明编号".into()));
    assert!(found["text_zh"].as_str().unwrap().contains("第2行"), "{told}");
    assert!(found["text_en"].as_str().unwrap().contains("line 2"), "{told}");
    let told = desk
        .run(&format!("certificate show {number} --basis statutory-duty --purpose certificate"));
    assert_eq!(told.exit, 5, "{}", told.err);

    // Somebody is entered while the rows lie aside: her row is left out, and told.
    let lines: Vec<String> = people.iter().map(|(_, line)| line.clone()).collect();
    let path = file(&network, "overtaken.csv", &lines);
    let clerk = office::connect(&desk.connect).await;
    let begun = begin(&clerk, &path).await;
    let put =
        pb::PutImportRowsRequest { import_id: begun.import_id, batch: 1, rows: rows(people, 2) };
    clerk.imports().put_import_rows(put).await.unwrap();
    let bob = Desk { connect: network.operator("bob", HERE, Role::Clerk) };
    let one = file(&network, "one.csv", &lines[1..2]);
    assert_eq!(bob.json(&format!("import registrations --file {one}"))["written"], 1);
    let ended = desk.run(&format!("import registrations --file {path} --resume --json"));
    assert_eq!(ended.exit, 3, "{}{}", ended.out, ended.err);
    let told: serde_json::Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!((told["written"].as_u64(), told["skipped"].as_u64()), (Some(2), Some(1)), "{told}");
    assert_eq!(told["skipped_lines"], serde_json::json!([3]), "{told}");

    // A program that was cut off after it had heard what is wrong: whoever goes on hears it as well.
    let mut lines: Vec<String> = others.iter().map(|(_, line)| line.clone()).collect();
    lines[1] = lines[1].replace("梧桐路1号,20", "梧桐路1号,29");
    let path = file(&network, "wrong.csv", &lines);
    let begun = begin(&clerk, &path).await;
    let mut put = rows(others, 2);
    put[1].registration.as_mut().unwrap().arrived_on = "2926-01-01".to_owned();
    let put = pb::PutImportRowsRequest { import_id: begun.import_id, batch: 1, rows: put };
    let put = clerk.imports().put_import_rows(put).await.unwrap().into_inner();
    assert_eq!(put.findings.len(), 1);
    let ended = desk.run(&format!("import registrations --file {path} --resume --json"));
    assert_eq!(ended.exit, 3, "{}{}", ended.out, ended.err);
    let told: serde_json::Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(told["findings"][0]["line"].as_u64(), Some(3), "{told}");
    node.never_panicked();
}
