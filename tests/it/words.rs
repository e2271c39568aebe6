//! No text that people meet asks for what no message may ask for: help, answers, labels, notices, the story of the
//! demonstration, templates, reasons, formats and documents pass the same screen as the texts of messages.

use std::path::Path;

use clap::CommandFactory as _;
use domain::message::screen::screen;

use crate::tidy::{files, none, words};

/// More words that stand for what this software does not do, compared with whole words.
const ENGLISH: [&str; 17] = [
    "fine",
    "fines",
    "fee",
    "fees",
    "quota",
    "quotas",
    "penalty",
    "penalties",
    "score",
    "scores",
    "ranking",
    "attendance",
    "employer",
    "landlord",
    "police",
    "unplanned",
    "evasion",
];
/// The same in Chinese, compared anywhere in a text.
const CHINESE: [&str; 12] = [
    "罚",
    "社会抚养费",
    "计划外",
    "超生",
    "传唤",
    "排名",
    "评分",
    "考勤",
    "雇主",
    "房东",
    "公安",
    "民族",
];
/// What has to say what is not allowed.
const MAY_SAY: [&str; 4] = [
    "src/domain/absent.rs",
    "src/domain/data/forbidden.toml",
    "src/domain/message/screen.rs",
    "tests/it/words.rs",
];
/// Sentences that say that something is not so.
const DENIALS: [&str; 6] = [
    // reasons.toml, about FORBIDDEN_TEXT.
    "要求返乡、到场或交钱一类的内容",
    "asks somebody to return, to appear or to pay",
    // docs/protocol.md, about the same.
    "no text that summons a person or asks for money",
    // reason.rs and person.rs, about the same.
    "Free text demands a return, an appearance or money",
    "There is no ethnicity, photo, employer, landlord or account of anything owed.",
    // What a certificate says of itself.
    "no condition for work, lease or household entry",
];

/// What is wrong with a text, if anything is.
fn wrong(text: &str) -> Option<String> {
    if DENIALS.iter().any(|denial| text.contains(denial)) {
        return None;
    }
    if let Some(demand) = screen(text).demand {
        return Some(format!("{demand:?}"));
    }
    let said = words(text);
    let word = ENGLISH.iter().find(|word| said.iter().any(|s| s == *word));
    word.or_else(|| CHINESE.iter().find(|word| text.contains(**word)))
        .map(|word| (*word).to_owned())
}

/// The texts of a file: string literals of a source without its tests, lines of everything else; of the README all but the
/// section that says what this software does not do.
fn texts(name: &str, path: &Path) -> Vec<String> {
    let text = String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned();
    if name.ends_with(".rs") {
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default().to_owned();
        return literals(&code);
    }
    let without = match text.split_once("\n## What it does not do, on purpose") {
        Some((before, after)) => {
            format!("{before}{}", after.split_once("\n## ").map_or("", |(_, rest)| rest))
        }
        None => text,
    };
    without.lines().map(str::to_owned).collect()
}

/// String literals in the code, as written.
fn literals(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in code.lines() {
        let trimmed = line.trim_start();
        if let Some(comment) = trimmed.strip_prefix("///") {
            // What stands over an argument of the command line is its help.
            found.push(comment.to_owned());
        }
    }
    let mut rest = code;
    while let Some((_, after)) = rest.split_once('"') {
        let mut literal = String::new();
        let mut letters = after.char_indices();
        let end = loop {
            match letters.next() {
                Some((_, '\\')) => drop(letters.next()),
                Some((at, '"')) => break at + 1,
                Some((_, letter)) => literal.push(letter),
                None => break after.len(),
            }
        };
        found.push(literal);
        rest = &after[end..];
    }
    found
}

fn is_text(name: &str) -> bool {
    let source = name.starts_with("src/") && name.ends_with(".rs");
    let tests = name.contains("/tests") || name.contains("/synthetic");
    let data = name.ends_with(".toml") && name.starts_with("src/domain/data/");
    let page = name.ends_with(".md") && !name.starts_with("certs/");
    let deployed = name.starts_with("deploy/");
    (source && !tests) || data || page || deployed || name.ends_with(".proto")
}

#[test]
fn no_text_of_the_program_and_no_page_asks_for_it() {
    let mut looked = 0;
    let mut offenders = Vec::new();
    for (name, path) in files() {
        if !is_text(&name) || MAY_SAY.contains(&name.as_str()) {
            continue;
        }
        for text in texts(&name, &path) {
            looked += 1;
            if let Some(word) = wrong(&text) {
                offenders.push(format!("{name}: {word}: {text}"));
            }
        }
    }
    assert!(looked > 10_000, "the texts were found: {looked}");
    none("such a thing must not be said", offenders);
}

/// Everything that the command line says about itself.
fn help(command: &clap::Command, path: &str, said: &mut Vec<(String, String)>) {
    let name = format!("{path} {}", command.get_name());
    let about = [command.get_about(), command.get_long_about(), command.get_after_help()];
    said.extend(about.into_iter().flatten().map(|text| (name.clone(), text.to_string())));
    for argument in command.get_arguments() {
        let help = [argument.get_help(), argument.get_long_help()];
        said.extend(help.into_iter().flatten().map(|text| (name.clone(), text.to_string())));
        said.push((name.clone(), argument.get_id().to_string()));
        for value in argument.get_possible_values() {
            said.push((name.clone(), value.get_name().to_owned()));
            said.extend(value.get_help().map(|text| (name.clone(), text.to_string())));
        }
    }
    command.get_subcommands().for_each(|inner| help(inner, &name, said));
}

#[test]
fn no_command_and_no_choice_of_the_command_line_asks_for_it() {
    let mut said = Vec::new();
    help(&liangdi::cli::Cli::command(), "", &mut said);
    assert!(said.len() > 500, "the help was found: {}", said.len());
    let wrong = said
        .into_iter()
        .filter_map(|(name, text)| wrong(&text).map(|word| format!("{name}: {word}: {text}")));
    none("such a thing must not be offered", wrong.collect());
}

#[test]
fn no_name_in_the_domain_speaks_of_it() {
    let mut offenders = Vec::new();
    for (name, path) in files() {
        let domain = name.starts_with("src/domain/") && name.ends_with(".rs");
        if !domain || MAY_SAY.contains(&name.as_str()) {
            continue;
        }
        let text = std::fs::read_to_string(path).unwrap();
        for line in text.lines().filter(|line| !line.trim_start().starts_with("//")) {
            let said = words(line);
            if let Some(word) = ENGLISH.iter().find(|word| said.iter().any(|s| s == *word))
                && !line.contains('"')
            {
                offenders.push(format!("{name}: {word}: {line}"));
            }
        }
    }
    none("such a thing must not be sayable", offenders);
}

#[test]
fn the_search_would_notice() {
    for text in ["须缴纳罚款", "She must return home.", "birth quota", "考勤表", "收取 fee"]
    {
        assert!(wrong(text).is_some(), "{text}");
    }
    for text in ["免费办理", "defined finally", "她的居住地"] {
        assert_eq!(wrong(text), None, "{text}");
    }
    assert_eq!(literals("a(\"x\\\"y\", \"z\")"), ["xy", "z"]);
}
