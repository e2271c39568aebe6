//! What must not be found anywhere: texts, each in every form in which a log, a table or a file may write it.

use std::path::{Path, PathBuf};

use aho_corasick::AhoCorasick;
use wire::pb::office as pb;

/// Letters of base64, as programs and addresses write it.
const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const OF_ADDRESSES: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
/// A form with fewer bytes stands somewhere by chance.
const BYTES_MIN: usize = 6;

/// What must not be found anywhere.
#[derive(Default)]
pub struct Secrets(Vec<Vec<u8>>);

impl Secrets {
    pub fn add(&mut self, text: &str) {
        assert!(text.chars().count() >= 2, "too short to look for: {text}");
        self.0.extend(forms(text));
    }

    pub fn person(&mut self, person: &pb::Person) {
        self.add(&person.name);
        self.number(&person.document.as_ref().unwrap().number);
    }

    /// A resident ID, and every piece of it that a mask has to cover: with the area and the birth date, or with the birth
    /// date and the last digits, somebody is found.
    pub fn number(&mut self, number: &str) {
        assert_eq!(number.len(), 18);
        self.add(number);
        self.add(&number[..14]);
        self.add(&number[6..]);
    }

    /// Finds all of them in one pass.
    pub fn finder(&self) -> AhoCorasick {
        AhoCorasick::new(&self.0).unwrap()
    }
}

/// A text in the forms in which programs write texts.
fn forms(text: &str) -> Vec<Vec<u8>> {
    let utf16: Vec<u16> = text.encode_utf16().collect();
    let small: String = utf16.iter().map(|unit| format!("\\u{unit:04x}")).collect();
    let capital: String = utf16.iter().map(|unit| format!("\\u{unit:04X}")).collect();
    let rust: String = text.escape_unicode().to_string();
    let escaped: String = text.bytes().flat_map(|b| b.escape_ascii()).map(char::from).collect();
    let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
    let spaced: Vec<_> = text.bytes().map(|byte| format!("{byte:02x}")).collect();
    let percent: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let list: Vec<_> = text.bytes().map(|byte| byte.to_string()).collect();
    let lines = list.join(",\n");
    let texts = [
        text.to_owned(),
        small,
        capital,
        rust,
        escaped,
        hex.to_uppercase(),
        hex,
        spaced.join(" "),
        spaced.join(":"),
        percent,
        list.join(", "),
        list.join(","),
        lines,
    ];
    let mut forms: Vec<Vec<u8>> = texts.map(String::into_bytes).into();
    let wide = [u16::to_le_bytes, u16::to_be_bytes]
        .map(|bytes| utf16.iter().flat_map(|unit| bytes(*unit)).collect::<Vec<u8>>());
    let (national, _, _) = encoding_rs::GB18030.encode(text);
    forms.extend(wide.into_iter().chain([national.into_owned()]).filter(|f| f.len() >= BYTES_MIN));
    for letters in [STANDARD, OF_ADDRESSES] {
        forms.extend((0..3).map(|before| base64(text.as_bytes(), before, letters)));
    }
    forms
}

/// The letters of base64 that a text makes whatever stands around it, when so many bytes stand before its first group.
fn base64(text: &[u8], before: usize, letters: &[u8; 64]) -> Vec<u8> {
    let padded = [&vec![0; before][..], text].concat();
    let bits = |from: usize| -> usize {
        (from..from + 6).fold(0, |bits, at| {
            let bit = padded.get(at / 8).map_or(0, |byte| byte >> (7 - at % 8) & 1);
            bits << 1 | usize::from(bit)
        })
    };
    let (first, last) = ((before * 8).div_ceil(6), padded.len() * 8 / 6);
    (first..last).map(|group| letters[bits(group * 6)]).collect()
}

/// The first that is found in some bytes, with what stands around it.
pub fn found(secrets: &AhoCorasick, bytes: &[u8], what: &str) -> Option<String> {
    let hit = secrets.find(bytes)?;
    let around = &bytes[hit.start().saturating_sub(300)..(hit.end() + 100).min(bytes.len())];
    Some(format!("{what}: …{}…", String::from_utf8_lossy(around)))
}

/// The first that is found in a file.
pub fn found_in(secrets: &AhoCorasick, path: &Path) -> Option<String> {
    found(secrets, &std::fs::read(path).unwrap(), &path.display().to_string())
}

/// Every file below a directory.
pub fn files(dir: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { all.extend(files(&path)) } else { all.push(path) }
    }
    all
}

#[test]
fn every_form_is_found() {
    let mut secrets = Secrets::default();
    secrets.number("410522199001011234");
    secrets.add("王秀兰〇");
    let finder = secrets.finder();
    let sees = |text: &str| finder.find(text.as_bytes()).is_some();
    for seen in [
        "id=410522199001011234,",
        "41052219900101****",
        "******199001011234",
        "MTA1MjIxOTkwMDEwMTEyMzQ",
        "xNDEwNTIyMTk5MDAxMDExMjM0",
        "[52, 49, 48, 53, 50, 50, 49, 57, 57, 48, 48, 49, 48, 49, 49, 50, 51, 52]",
        "343130353232313939303031303131323334",
        "\\u738b\\u79c0\\u5170\\u3007",
        "\\xe7\\x8e\\x8b\\xe7\\xa7\\x80\\xe5\\x85\\xb0\\xe3\\x80\\x87",
        "%E7%8E%8B%E7%A7%80%E5%85%B0%E3%80%87",
    ] {
        assert!(sees(seen), "{seen}");
    }
    assert!(!sees("4105**********1234"), "a mask that covers enough");
    for before in ["", "x", "yy"] {
        let whole = [before.as_bytes(), "王秀兰〇".as_bytes(), b"zz"].concat();
        let coded = base64(&whole, 0, STANDARD);
        assert!(finder.find(&coded).is_some(), "after {} bytes", before.len());
    }
}
