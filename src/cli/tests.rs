//! The surface: what can be typed, and how it ends.

use std::path::PathBuf;

use clap::{CommandFactory, Parser};
use domain::id::CertificateNumber;
use domain::reason::Reason;
use tonic::Code;

use super::exit::{Exit, Failure, exit_of};
use super::output::Output;
use super::{Cli, execute};

#[test]
fn the_commands_are_well_formed() {
    Cli::command().debug_assert();
}

#[test]
fn every_noun_and_verb_says_what_it_is_and_nouns_in_both_languages() {
    fn walk(command: &clap::Command, depth: usize) {
        for sub in command.get_subcommands().filter(|c| c.get_name() != "help") {
            let about = sub.get_about().map(ToString::to_string).unwrap_or_default();
            assert!(!about.is_empty(), "{} has no help", sub.get_name());
            let chinese = about.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c));
            assert!(depth > 0 || chinese, "{}: {about}", sub.get_name());
            for arg in sub.get_arguments().filter(|a| !a.is_global_set()) {
                assert!(arg.get_help().is_some(), "{} {}", sub.get_name(), arg.get_id());
            }
            walk(sub, depth + 1);
        }
    }
    walk(&Cli::command(), 0);
}

#[test]
fn what_a_clerk_types_is_understood() {
    let office = "--office 127.0.0.1:7402 --cert a.pem --key a.key --root root.pem";
    let person = "--document 41052219900307234X --name 王芳";
    let access = "--basis statutory-duty --purpose verification";
    let id = "0190a1b2-0000-7000-8000-000000000001";
    let number = CertificateNumber::new("410522".parse().unwrap(), 2026, 7).unwrap();
    for line in [
        format!(
            "registration arrive {person} --origin 410522 --residence 440305001 --address 南海大道1号 --arrived-on 2026-11-01 {office}"
        ),
        format!("registration {office} show {id} {access} --json"),
        format!(
            "registration change {id} --seen-version 1 --address 新街2号 --reason 搬家 {access} {office}"
        ),
        format!("registration move-on {id} --on 2026-11-02 --to 440306 --seen-version 1 {office}"),
        format!("person find --document - --document-kind passport {access} {office}"),
        format!(
            "certificate issue {person} --marital-status married --married-on 2015-05-01 --child-born-on 2016-06-01 --svg a.svg {office}"
        ),
        "certificate verify --credential LD1:ABC --root root.pem".to_owned(),
        "certificate verify --credential-file - --document 41052219900307234X --root root.pem"
            .to_owned(),
        format!(
            "consent record --document X --scope pregnancy --scope contraception --recipient 410522 --given-on 2026-01-01 --valid-until 2027-01-01 --form in-writing {office}"
        ),
        format!(
            "request record --document X --service antenatal-care --requested-on 2026-01-01 --recipient 410522 {office}"
        ),
        format!(
            "message send arrivalnotice --to 410522 {person} --basis own-application --set arrived_on=2026-11-01 {office}"
        ),
        format!("message send AgreementProposal --to 410522 --body body.json {office}"),
        format!("message answer {id} --set outcome=confirmed {office}"),
        format!(
            "certificate replace {number} --seen-version 1 --cause lost --reason 丢失 {office}"
        ),
        format!(
            "certificate replace {number} --seen-version 1 --cause changed --reason 结婚 {person} {office}"
        ),
        format!(
            "person erase --document X --ground purpose-over --reason 本人申请 --confirm {office}"
        ),
        format!("request withdraw {id} --form online {office}"),
        format!("request withdrawal {id} {office}"),
        format!(
            "person change --document X --seen-version 1 --marital-status divorced --reason 更正 {access} {office}"
        ),
        "message list --sent --peer 410522 --limit 10 --profile office.toml".to_owned(),
        format!("message evidence {id} --out e.evidence {office}"),
        format!("dead-letter list --all --to 410522 --limit 5 {office}"),
        format!("dead-letter show {id} {access} {office}"),
        format!(
            "dead-letter resend {id} --to 410523 --set note=x --basis statutory-duty {person} {office}"
        ),
        format!("dead-letter replay {id} --expires-on 2027-01-01 --idempotency-key k {office}"),
        format!("dead-letter discard {id} --reason 已电话核实 {office}"),
        format!("notice list --all --about 410522 {office}"),
        format!("notice done 7 {office}"),
        format!("peer show 410522 {office}"),
        format!("peer test 410522 {office}"),
        "evidence verify e.evidence --root root.pem --crl a.crl --crl b.crl".to_owned(),
        "serve --config liangdi.toml --log-format json".to_owned(),
        "pki revoke --ca ca --serial 01 --reason superseded".to_owned(),
        "store check --config liangdi.toml".to_owned(),
    ] {
        let words = std::iter::once("liangdi").chain(line.split_whitespace());
        if let Err(error) = Cli::try_parse_from(words) {
            panic!("{line}\n{error}");
        }
    }
}

#[test]
fn what_makes_no_sense_is_refused_before_anything_happens() {
    for line in [
        "message send Summons --to 410522",
        "case close 0190a1b2-0000-7000-8000-000000000001",
        "person change --document X --marital-status divorced --reason 更正 --basis statutory-duty --purpose verification",
        "registration change 0190a1b2-0000-7000-8000-000000000001 --address 新街2号 --reason 搬家 --basis statutory-duty --purpose verification",
        "message send ArrivalNotice --to 41052",
        "message list --sent --received",
        "person find --document X --purpose curiosity --basis statutory-duty",
        "person find --document X",
        "certificate endorse --registration 0190a1b2-0000-7000-8000-000000000001",
        "message send ArrivalNotice --to 410522 --document X",
        "message send ArrivalNotice --to 410522 --name 王芳",
        "pki revoke --ca ca --serial 01 --name x",
        "pki province create --ca a --root b --area 4105",
        "consent record --document X --recipient 410522 --given-on 2026-02-30 --valid-until 2027-01-01 --form online --scope pregnancy",
        "dead-letter discard 0190a1b2-0000-7000-8000-000000000001",
        "notice done seven",
        "peer test",
        "frobnicate",
    ] {
        let words = std::iter::once("liangdi").chain(line.split_whitespace());
        let error = Cli::try_parse_from(words).expect_err(line);
        assert_eq!(error.exit_code(), 2, "{line}");
    }
}

#[test]
fn exit_codes_are_part_of_the_interface() {
    let numbers = [
        (Exit::Done, 0),
        (Exit::Failed, 1),
        (Exit::Usage, 2),
        (Exit::Refused, 3),
        (Exit::Unreachable, 4),
        (Exit::NotFound, 5),
    ];
    assert!(numbers.iter().all(|(exit, number)| exit.number() == *number));
    for (code, exit) in [
        (Code::Ok, Exit::Done),
        (Code::NotFound, Exit::NotFound),
        (Code::Unavailable, Exit::Unreachable),
        (Code::DeadlineExceeded, Exit::Unreachable),
        (Code::InvalidArgument, Exit::Refused),
        (Code::FailedPrecondition, Exit::Refused),
        (Code::AlreadyExists, Exit::Refused),
        (Code::PermissionDenied, Exit::Refused),
        (Code::Unauthenticated, Exit::Refused),
        (Code::Aborted, Exit::Refused),
        (Code::OutOfRange, Exit::Refused),
        (Code::ResourceExhausted, Exit::Failed),
        (Code::Internal, Exit::Failed),
        (Code::Unimplemented, Exit::Failed),
        (Code::DataLoss, Exit::Failed),
    ] {
        assert_eq!(exit_of(code), exit, "{code:?}");
    }
}

#[test]
fn what_the_node_refuses_is_told_in_both_languages_with_what_to_do() {
    for reason in Reason::ALL {
        let failure = Failure::from(crate::api::status::of_reason(*reason));
        assert_eq!(failure.code, reason.code());
        let text = failure.for_people();
        for part in
            [reason.code(), reason.text_zh(), reason.text_en(), reason.todo_zh(), reason.todo_en()]
        {
            assert!(text.contains(part), "{part} is missing in\n{text}");
        }
        assert_eq!(failure.retry_helps, Some(reason.retry_helps()));
        let json = failure.for_programs();
        assert_eq!(json["error"]["code"], reason.code());
        assert_eq!(json["error"]["exit"], failure.exit.number());
    }
    let missing = Failure::from(crate::api::status::of_reason(Reason::NotFound));
    assert_eq!(missing.exit, Exit::NotFound);
    let basis = Failure::from(crate::api::status::of_reason(Reason::BasisRequired));
    assert_eq!(basis.exit, Exit::Refused);
}

#[test]
fn a_status_of_somebody_else_keeps_its_words() {
    let failure = Failure::from(tonic::Status::resource_exhausted("too many"));
    assert_eq!((failure.exit, failure.en.as_str()), (Exit::Failed, "too many"));
    assert_eq!(failure.retry_helps, Some(true));
}

fn ended(line: &str) -> Failure {
    let words = std::iter::once("liangdi").chain(line.split_whitespace());
    let cli = Cli::try_parse_from(words).unwrap();
    execute(cli.command, &mut Output::standard(true)).expect_err(line)
}

#[test]
fn a_missing_option_of_the_connection_is_named() {
    let failure = ended("status --cert a --key b --root c");
    assert_eq!(failure.exit, Exit::Usage);
    assert!(failure.en.contains("--office"), "{failure:?}");
    assert!(failure.advice.contains("LIANGDI_OFFICE"), "{failure:?}");
}

#[test]
fn a_configuration_that_cannot_be_used_lists_every_problem() {
    let dir = tempfile::tempdir().unwrap();
    let file: PathBuf = dir.path().join("liangdi.toml");
    let example = include_str!("../../deploy/liangdi.example.toml");
    let wrong = example.replace("410522", "000000").replace("127.0.0.1:7402", "here");
    std::fs::write(&file, wrong).unwrap();
    for line in
        [format!("config check {}", file.display()), format!("serve --config {}", file.display())]
    {
        let failure = ended(&line);
        assert_eq!(failure.exit, Exit::Usage, "{line}");
        assert!(failure.fields.len() >= 2, "{failure:?}");
        assert!(failure.for_people().contains("liangdi.toml:4 area"), "{}", failure.for_people());
    }
    std::fs::write(&file, example).unwrap();
    let words = ["liangdi", "config", "check", &file.display().to_string()].map(str::to_owned);
    let cli = Cli::try_parse_from(words).unwrap();
    let answer = execute(cli.command, &mut Output::standard(true)).unwrap();
    assert_eq!(answer.json["area"], "410522");
}

#[test]
fn completions_know_the_nouns() {
    for shell in ["bash", "zsh", "fish"] {
        let cli = Cli::try_parse_from(["liangdi", "completions", shell]).unwrap();
        let script = execute(cli.command, &mut Output::standard(true)).unwrap().text;
        assert!(script.contains("registration") && script.contains("evidence"), "{shell}");
    }
}
