//! Cases from before there was a node: taken in all or none, with a report line by line, and looked up one person at a time.

use domain::access::Role;
use serde_json::Value;

use crate::support::desk::Desk;
use crate::support::network::Network;
use crate::support::office;

const HERE: &str = "410522";
const THERE: &str = "440305";
const HEADINGS: &str =
    "证件号码,姓名,原个案编号,个案种类,我方角色,对方地区代码,立案日期,办理状态,办结日期";

/// A line about a synthetic person: number, kind, side, other county, opened, state, ended.
fn line(seed: u64, case: &str) -> String {
    let person = office::arrival(seed, HERE, THERE).person.unwrap();
    format!("{},{},{case}", person.document.unwrap().number, person.name)
}

fn file(network: &Network, name: &str, lines: &[String]) -> String {
    let path = network.path(name);
    std::fs::write(&path, format!("{HEADINGS}\r\n{}\r\n", lines.join("\r\n"))).unwrap();
    path.display().to_string()
}

fn old_of(desk: &Desk, seed: u64) -> Vec<Value> {
    let person = office::arrival(seed, HERE, THERE).person.unwrap();
    let access = "--basis statutory-duty --purpose verification";
    let shown =
        desk.json(&format!("case old --document {} {access}", person.document.unwrap().number));
    shown["old_cases"].as_array().unwrap().clone()
}

#[test]
fn old_cases_are_taken_in_all_or_none_and_looked_up_one_person_at_a_time() {
    let network = Network::new();
    let mut node = network.node(HERE, &[]);
    node.start();
    let desk = Desk::at(&network, HERE);
    let right = [
        line(1, "XC-2019-0042,协查,承办方,440305,2019-05-06,已答复,2019-05-30"),
        line(1, "XC-2021-0007,流入通报,承办方,440305,2021/3/2,未办结,"),
        line(2, "XC-2020-0001,生育服务登记核实,发起方,411528,20200110,已办结,2020-02-01"),
    ];
    let wrong = [
        &right[..],
        &[
            line(3, "XC-2020-0002,协查,承办方,440305,2020-05-06,已答复,2020-05-05"),
            line(4, "XC-2020-0003,孕情通报,承办方,440305,2020-05-06,未办结,"),
            line(5, "XC-2020-0004,逃避检查,承办方,440305,2020-05-06,未办结,"),
            line(6, "XC-2020-0005,协查,承办方,410522,2020-05-06,未办结,"),
            line(7, "XC-2019-0042,协查,承办方,440305,2020-05-06,未办结,"),
        ],
    ]
    .concat();
    for flag in ["--dry-run", ""] {
        let path = file(&network, "wrong.csv", &wrong);
        let ended = desk.run(&format!("import old-cases --file {path} {flag} --json"));
        assert_eq!(ended.exit, 3, "{}{}", ended.out, ended.err);
        let told: Value = serde_json::from_str(&ended.out).unwrap();
        let mut found: Vec<(u64, &str)> = told["findings"]
            .as_array()
            .unwrap()
            .iter()
            .map(|f| (f["line"].as_u64().unwrap(), f["column"].as_str().unwrap()))
            .collect();
        found.sort_unstable();
        let expected = [
            (5, "办结日期"),
            (6, "个案种类"),
            (7, "个案种类"),
            (8, "对方地区代码"),
            (9, "原个案编号"),
        ];
        assert_eq!(found, expected, "{told}");
    }
    let path = file(&network, "right.csv", &right);
    let dry = desk.json(&format!("import old-cases --file {path} --dry-run"));
    assert_eq!((dry["rows"].as_u64(), dry["written"].as_u64()), (Some(3), Some(0)));
    let done = desk.json(&format!("import old-cases --file {path}"));
    assert_eq!((done["written"].as_u64(), done["state"].as_str()), (Some(3), Some("DONE")));

    let first = old_of(&desk, 1);
    let numbers: Vec<&str> = first.iter().map(|case| case["number"].as_str().unwrap()).collect();
    assert_eq!(numbers, ["XC-2019-0042", "XC-2021-0007"], "oldest first");
    assert_eq!((&first[0]["kind"], &first[0]["ours"]), (&"Inquiry".into(), &"ANSWERING".into()));
    assert_eq!(
        (&first[1]["opened_on"], &first[1]["old_state"]),
        (&"2021-03-02".into(), &"OPEN".into())
    );
    assert_eq!(old_of(&desk, 2).len(), 1);
    assert!(
        desk.json("case list --which all")["cases"].as_array().unwrap().is_empty(),
        "nobody's turn"
    );
    let again = desk.run(&format!("import old-cases --file {path}"));
    assert!(again.exit == 3 && again.out.contains("原个案编号"), "{}", again.out);

    let auditor = Desk::of(&network, HERE, Role::Auditor);
    let looked = auditor.json("audit list --operator alice --action search");
    let looked = looked["entries"].as_array().unwrap().iter().filter(|e| e["role"] == "CLERK");
    assert_eq!(
        looked.count(),
        7,
        "two persons looked up, two files checked, three lines that met somebody"
    );
    let supervisor = Desk::of(&network, HERE, Role::Supervisor);
    let person = office::arrival(1, HERE, THERE).person.unwrap().document.unwrap().number;
    let line =
        format!("case old --document {person} --basis statutory-duty --purpose verification");
    assert_eq!(supervisor.refused(&line, 3)["code"], "ROLE_REQUIRED");
    let everything = std::fs::read(node.dir.join("log")).unwrap();
    assert!(!String::from_utf8_lossy(&everything).contains("XC-2019-0042"));
    node.never_panicked();
}
