//! The rules of the house: what every file of the repository keeps, and what no format may have.

use std::path::{Path, PathBuf};

use prost_reflect::DescriptorPool;

/// Longest source file, in lines.
const LINES_MAX: usize = 500;
/// Where the generated protobuf types may be named.
const PROTOBUF: [&str; 6] = ["src/wire", "src/api", "src/cli", "src/demo", "src/bench", "tests"];
/// Words that no name in a format may have: what this software does not do, on purpose.
const FORBIDDEN: [&str; 26] = [
    "fine",
    "fines",
    "fee",
    "fees",
    "quota",
    "quotas",
    "penalty",
    "penalties",
    "punish",
    "payment",
    "deposit",
    "summon",
    "summons",
    "overdue",
    "score",
    "scores",
    "rank",
    "ranking",
    "attendance",
    "employer",
    "landlord",
    "police",
    "unplanned",
    "evasion",
    "ethnicity",
    "photo",
];
/// Words that together mean what none of them means alone.
const FORBIDDEN_PAIRS: [(&str, &str); 5] = [
    ("bulk", "search"),
    ("bulk", "export"),
    ("outside", "plan"),
    ("within", "plan"),
    ("overdue", "women"),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file of the repository, as git would see it, with its path from the root.
pub fn files() -> Vec<(String, PathBuf)> {
    fn walk(dir: &Path, files: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if [".git", "target", "artifacts", "corpus", "node_modules"].contains(&name.as_str()) {
                continue;
            }
            if path.is_dir() { walk(&path, files) } else { files.push(path) }
        }
    }
    let mut files = Vec::new();
    walk(root(), &mut files);
    let name = |path: &PathBuf| path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
    files.into_iter().map(|path| (name(&path), path)).collect()
}

fn sources() -> Vec<(String, String)> {
    let rust = files().into_iter().filter(|(name, _)| name.ends_with(".rs"));
    rust.map(|(name, path)| (name, std::fs::read_to_string(path).unwrap())).collect()
}

/// Fails with all offenders, not with the first.
pub fn none(what: &str, offenders: Vec<String>) {
    assert!(offenders.is_empty(), "{what}:\n{}", offenders.join("\n"));
}

#[test]
fn every_source_says_in_its_first_line_what_it_is() {
    let says = |text: &str| {
        let first = text.lines().next().unwrap_or_default();
        first.strip_prefix("//! ").is_some_and(|sentence| {
            let whole: String = text.lines().map_while(|line| line.strip_prefix("//!")).collect();
            sentence.split(' ').count() >= 3 && whole.trim_end().contains(['.', ':'])
        })
    };
    let silent = sources().into_iter().filter(|(_, text)| !says(text)).map(|(name, _)| name);
    none("no `//!` sentence", silent.collect());
}

#[test]
fn no_source_is_too_long() {
    let lines = sources().into_iter().map(|(name, text)| (name, text.lines().count()));
    let long = lines.filter(|(_, lines)| *lines > LINES_MAX);
    none("split them", long.map(|(name, lines)| format!("{name}: {lines} lines")).collect());
}

#[test]
fn generated_types_stay_at_the_edge() {
    let inside = sources().into_iter().filter(|(name, text)| {
        let edge = PROTOBUF.iter().any(|allowed| name.starts_with(allowed));
        !edge && (text.contains("wire::pb") || text.contains("use prost::"))
    });
    none("protobuf types in", inside.map(|(name, _)| name).collect());
}

#[test]
fn only_the_store_knows_its_engine_and_only_tasks_spawns() {
    let knows = |folder: &str, word: &str| {
        let outside = sources().into_iter().filter(|(name, text)| {
            let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
            name.starts_with("src/")
                && !name.starts_with(folder)
                && code.into_iter().any(|l| l.contains(word))
        });
        none(word, outside.map(|(name, _)| name).collect());
    };
    knows("src/store", "sled::");
    knows("src/tasks.rs", "tokio::spawn");
}

#[test]
fn nothing_names_this_machine() {
    let marks = [
        concat!("/wo", "rk/"),
        concat!("/ro", "ot/"),
        concat!("/ho", "me/"),
        concat!("/tm", "p/plan"),
    ];
    let named = files().into_iter().filter(|(name, path)| {
        let text = String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned();
        // `ca/root/` in the documents is a folder of an authority.
        let text = text.replace("ca/root/", "");
        name != "Cargo.lock" && marks.iter().any(|mark| text.contains(mark))
    });
    none("paths of a machine in", named.map(|(name, _)| name).collect());
}

#[test]
fn no_private_key_is_in_the_repository() {
    let mark = concat!("-----BEGIN ", "PRIVATE KEY");
    let keys = files()
        .into_iter()
        .filter(|(_, path)| String::from_utf8_lossy(&std::fs::read(path).unwrap()).contains(mark));
    // The parser of such files has to know what they begin with.
    let keys = keys.map(|(name, _)| name).filter(|name| !name.ends_with(".rs"));
    none("private keys in", keys.collect());
}

/// The words of a name: `no_work_fees`, `NoWorkFees` and `NO_WORK_FEES` have the same.
pub fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut capital_before = true;
    for letter in name.chars() {
        if !letter.is_alphanumeric() || (letter.is_uppercase() && !capital_before) {
            words.push(String::new());
        }
        if letter.is_alphanumeric() {
            words.last_mut().unwrap().extend(letter.to_lowercase());
        }
        capital_before = letter.is_uppercase();
    }
    words.retain(|word| !word.is_empty());
    words
}

#[test]
fn no_format_has_what_this_software_does_not_do() {
    let pool = DescriptorPool::decode(wire::FILE_DESCRIPTOR_SET).unwrap();
    let mut names = Vec::new();
    for message in pool.all_messages() {
        names.push(message.full_name().to_owned());
        names.extend(message.fields().map(|field| field.full_name().to_owned()));
        names.extend(message.oneofs().map(|oneof| oneof.full_name().to_owned()));
    }
    for list in pool.all_enums() {
        names.push(list.full_name().to_owned());
        names.extend(list.values().map(|value| format!("{}.{}", list.full_name(), value.name())));
    }
    for service in pool.services() {
        names.extend(service.methods().map(|method| method.full_name().to_owned()));
    }
    names.retain(|name| name.starts_with("liangdi."));
    assert!(names.len() > 300, "the formats were found: {}", names.len());
    names.retain(|name| {
        let words = words(name);
        let has = |word: &str| words.iter().any(|w| w == word);
        FORBIDDEN.iter().any(|word| has(word))
            || FORBIDDEN_PAIRS.iter().any(|(a, b)| has(a) && has(b))
    });
    none("such a thing must not be sayable", names);
    assert_eq!(
        words("liangdi.v1.NoWorkFees.FEE_DUE"),
        ["liangdi", "v1", "no", "work", "fees", "fee", "due"]
    );
}

#[test]
fn every_crate_keeps_the_lints() {
    for (name, path) in files() {
        if name.ends_with("Cargo.toml") && !name.starts_with("fuzz/") {
            let text = std::fs::read_to_string(path).unwrap();
            assert!(text.contains("[lints]\nworkspace = true"), "{name} leaves the lints out");
        }
    }
    let own = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    assert!(own.contains("unsafe_code = \"forbid\""));
}
