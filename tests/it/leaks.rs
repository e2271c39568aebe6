//! The whole demonstration with logs of everything: no number of a document, no name and no text of a message is in what
//! any node writes, or answers to whoever may see no person.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use aho_corasick::AhoCorasick;
use domain::message::Kind;
use domain::person::{MaritalStatus, PersonDetails, Sex};
use domain::purpose::Purpose;
use domain::synthetic::People;
use domain::time::Date;
use serde_json::Value;

use crate::support::desk::{Ended, run, words};
use crate::support::now;
use crate::support::secrets::{Secrets, files, found, found_in};

const PROGRAM: &str = env!("CARGO_BIN_EXE_liangdi");
const COUNTIES: [&str; 4] = ["410522", "411528", "440305", "440306"];
const PROVINCES: [&str; 2] = ["410000", "440000"];
/// People of the demonstration besides the one in its story.
const OTHERS: usize = 30;
const SEED: u64 = 7;
/// What anybody of an office may ask for, as whoever may see no person asks.
const LISTS: [&str; 18] = [
    "message list",
    "message list --received",
    "message todo",
    "case list",
    "agreement list",
    "dead-letter list",
    "notice list",
    "peer list",
    "peer show 440305",
    "directory list",
    "maintenance list",
    "area find 410522",
    "reconcile list",
    "reconcile reports",
    "statement list",
    "ledger head",
    "status",
    "indicator show 2026",
];

/// The demonstration, kept up; killed when the test fails.
struct Demo {
    child: Child,
    place: PathBuf,
}

impl Demo {
    /// Plays the story to its end.
    fn play(place: PathBuf) -> Self {
        let trouble = std::fs::File::create(place.with_extension("err")).unwrap();
        let mut child = Command::new(PROGRAM)
            .args(["demo", "--json", "--people", &OTHERS.to_string()])
            .args(["--seed", &SEED.to_string(), "--dir"])
            .arg(&place)
            .env("LIANGDI_LOG", "trace")
            .stdout(Stdio::piped())
            .stderr(trouble)
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut said = String::new();
        for line in lines.map(Result::unwrap) {
            said += &format!("{line}\n");
            let told: Value = serde_json::from_str(&line).unwrap();
            assert!(told["ok"] != false, "{line}");
            if told["number"].is_u64() && told["number"] == told["of"] {
                break;
            }
        }
        std::fs::write(place.with_extension("out"), said).unwrap();
        Self { child, place }
    }

    fn at(&self, area: &str, role: &str, line: &str) -> Ended {
        let profile = self.place.join(format!("{area}-{role}.toml"));
        run(&[words(line), words(&format!("--profile {}", profile.display()))].concat())
    }

    fn stop(mut self) {
        let told = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        assert!(told.unwrap().success());
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // Its nodes notice that it is gone. A demonstration that was stopped cannot be killed.
        let _gone = self.child.kill().is_err();
    }
}

/// The people of the demonstration: the same seed makes the same.
fn people() -> (PersonDetails, Vec<PersonDetails>) {
    let today = Date::from_millis(now());
    let origins = COUNTIES[..2].iter().map(|code| code.parse().unwrap()).collect();
    let mut people = People::new(SEED, origins, today);
    let fits = |who: &PersonDetails| {
        let young = who.birth_date.age_at(today).is_some_and(|age| (22..38).contains(&age));
        young && who.sex == Sex::Female && who.marital_status == Some(MaritalStatus::Married)
    };
    let her = people.find(fits).unwrap();
    (her, people.take(OTHERS).collect())
}

const WHY: Purpose = Purpose::PersonRights;

fn add_person(secrets: &mut Secrets, who: &PersonDetails) {
    secrets.number(who.document.expose(&WHY));
    secrets.add(who.name.expose(&WHY));
    if let Some(spouse) = &who.spouse {
        secrets.add(spouse.name.expose(&WHY));
    }
}

/// The texts of a message: what stands in its content and is neither a code nor an id, a day or a kind.
fn texts(content: &Value, found: &mut Vec<String>) {
    match content {
        Value::String(text) => {
            let code = text.chars().all(|c| c.is_ascii_uppercase() || "_.".contains(c));
            let id = text.len() >= 32 && text.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
            let number = text.chars().all(|c| c.is_ascii_digit() || c == '-');
            let kind = Kind::ALL.iter().any(|kind| kind.name() == text);
            if !(code || id || number || kind) && text.chars().count() > 3 {
                found.push(text.clone());
            }
        }
        Value::Array(all) => all.iter().for_each(|value| texts(value, found)),
        Value::Object(all) => all.values().for_each(|value| texts(value, found)),
        _ => {}
    }
}

/// What the messages about persons say, as the clerks of all counties read them.
fn bodies(demo: &Demo) -> Vec<String> {
    let mut all = Vec::new();
    let mut read = 0;
    for county in COUNTIES {
        let listed = demo.at(county, "clerk", "message list --json");
        let listed: Value = serde_json::from_str(&listed.out).unwrap();
        for message in listed["messages"].as_array().unwrap() {
            let kind = message["kind"].as_str().unwrap();
            // What was deleted since shows no kind any more.
            let kind = Kind::ALL.iter().find(|known| known.name() == kind);
            if !kind.is_some_and(|kind| kind.needs_person()) {
                continue;
            }
            let id = message["message_id"].as_str().unwrap();
            let show = format!(
                "message show {id} --json --basis statutory-duty --purpose residence-registration"
            );
            let shown = demo.at(county, "clerk", &show);
            if shown.exit == 0 {
                let shown: Value = serde_json::from_str(&shown.out).unwrap();
                texts(&shown["content"], &mut all);
                read += 1;
            }
        }
    }
    assert!(read >= 8, "the messages of the story were read: {read}");
    all
}

/// What leaves the nodes as files, put beside everything else they have written.
fn take_out(demo: &Demo) {
    for (area, other) in [("410522", "440305"), ("440305", "410522")] {
        let out = |name: &str| demo.place.join(format!("{area}-{name}")).display().to_string();
        let well = |role: &str, line: String| {
            let ended = demo.at(area, role, &line);
            assert_eq!(ended.exit, 0, "{line}: {}", ended.err);
        };
        well("administrator", "backup create".to_owned());
        well("clerk", format!("bundle export --to {other} --out {}", out("mail.bundle")));
        well("administrator", format!("bundle export-card --out {}", out("node.card")));
        well("auditor", format!("audit export --out {}", out("access.jsonl")));
        well("supervisor", format!("indicator show 2026 --out {}", out("indicators.csv")));
    }
}

/// Everything that the nodes answer to whoever may see no person, and everything they refuse.
fn answers(demo: &Demo, her: &PersonDetails) -> String {
    let mut said = String::new();
    let mut keep = |ended: Ended| said += &format!("{}\n{}\n", ended.out, ended.err);
    for county in COUNTIES {
        for role in ["supervisor", "administrator", "auditor"] {
            for line in LISTS {
                keep(demo.at(county, role, line));
                keep(demo.at(county, role, &format!("{line} --json")));
            }
        }
        keep(demo.at(county, "auditor", "audit list --json"));
        keep(demo.at(county, "auditor", "audit reads"));
        keep(demo.at(county, "clerk", "message list --json"));
        keep(demo.at(county, "clerk", "case list --json"));
    }
    for province in PROVINCES {
        for line in LISTS {
            keep(demo.at(province, "administrator", &format!("{line} --json")));
        }
    }
    // Refused for her role, not found, and wrong in every field.
    let (number, name) = (her.document.expose(&WHY), her.name.expose(&WHY));
    let why = "--basis statutory-duty --purpose residence-registration";
    let find = format!("person find --document {number} {why}");
    for role in ["supervisor", "administrator", "auditor"] {
        let refused = demo.at("440305", role, &find);
        assert_eq!(refused.exit, 3, "{role}: {}", refused.out);
        keep(refused);
    }
    let unknown = demo.at("411528", "clerk", &find);
    assert_eq!(unknown.exit, 5, "{}", unknown.out);
    keep(unknown);
    let wrong = format!("{}0", &number[..17]);
    for json in ["", "--json"] {
        keep(demo.at("440305", "clerk", &format!("person find --document {wrong} {why} {json}")));
        let arrive = format!(
            "registration arrive --document {number} --name {name} --origin 999999 --residence 440305 \
             --arrived-on 2099-01-01 {json}"
        );
        let refused = demo.at("440305", "clerk", &arrive);
        assert_ne!(refused.exit, 0);
        keep(refused);
    }
    said
}

/// Evidence and the certificate's code are papers that somebody asked for; what is sealed in them is not readable either.
fn search(finder: &AhoCorasick, place: &Path) -> Vec<String> {
    let all = files(place);
    let has = |end: &str| all.iter().any(|path| path.to_string_lossy().ends_with(end));
    for end in [
        "node.log",
        "/db",
        ".liangdi-backup",
        ".liangdi-keys",
        ".bundle",
        ".jsonl",
        ".csv",
        ".card",
    ] {
        assert!(has(end), "no file {end}");
    }
    all.iter().filter_map(|path| found_in(finder, path)).collect()
}

#[test]
fn nobody_is_found_in_what_the_demonstration_writes() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("demo");
    let demo = Demo::play(place.clone());
    let (her, others) = people();

    // What is looked for is what is on record.
    let number = her.document.expose(&WHY).to_owned();
    let find = format!(
        "person find --document {number} --basis statutory-duty --purpose residence-registration"
    );
    let shown = demo.at("440305", "clerk", &format!("{find} --json"));
    assert!(shown.out.contains(her.name.expose(&WHY)), "{}{}", shown.out, shown.err);

    let mut secrets = Secrets::default();
    [&her].into_iter().chain(&others).for_each(|who| add_person(&mut secrets, who));
    let mut said = bodies(&demo);
    said.sort_unstable();
    said.dedup();
    said.iter().for_each(|text| secrets.add(text));
    let finder = secrets.finder();

    take_out(&demo);
    let answers = answers(&demo, &her);
    if let Some(place) = found(&finder, answers.as_bytes(), "an answer") {
        panic!("{place}");
    }
    demo.stop();
    let log = std::fs::read_to_string(place.join("440305/node.log")).unwrap();
    assert!(log.contains("TRACE"), "the logs are logs of everything");
    let found = search(&finder, dir.path());
    assert!(found.is_empty(), "{}", found.join("\n"));
}
