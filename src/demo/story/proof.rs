//! What holds without any node: the printed code and the evidence, checked by the command line with files alone.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use domain::purpose::Purpose;
use serde_json::Value;
use wire::pb::office;

use super::super::cast::Cast;
use super::super::program::Ran;
use super::super::step::{Broken, Held, Outcome, call, ensure};
use super::records::Issued;

/// Exit code of the command line for what a rule or a signature forbids.
const REFUSED: i32 = 3;
/// Places in the evidence file where one bit is turned, each in a copy of its own.
const PLACES: usize = 7;

async fn verify_code(cast: &Cast, file: &Path) -> Result<Ran, Broken> {
    let (root, lists) = (cast.network.root(), cast.network.lists());
    let document = cast.her.document.expose(&Purpose::Certificate);
    let mut args: Vec<&OsStr> =
        ["certificate", "verify", "--credential-file"].map(OsStr::new).to_vec();
    args.extend([file.as_os_str(), OsStr::new("--root"), root.as_os_str()]);
    for list in &lists {
        args.extend([OsStr::new("--crl"), list.as_os_str()]);
    }
    args.extend([OsStr::new("--document"), OsStr::new(document)]);
    cast.program.run(&args).await
}

/// The residence county checks the code with the root certificate and the revocation lists alone.
pub(super) async fn credential(cast: &Cast, issued: &Issued) -> Outcome<()> {
    let dir = cast.network.dir();
    let found = verify_code(cast, &dir.join("credential.txt")).await?.well()?;
    let yes = |field: &str| found.get(field) == Some(&Value::Bool(true));
    let text = |field: &str| found.get(field).and_then(Value::as_str).unwrap_or_default();
    for claim in ["genuine", "in_force", "matches_document", "revocation_checked"] {
        ensure(yes(claim), || format!("the code is not {claim}"))?;
    }
    ensure(text("certificate_number") == issued.number, || "another certificate".to_owned())?;
    ensure(text("issuer") == cast.origin.as_str(), || "another issuer".to_owned())?;
    let forged = dir.join("credential-altered.txt");
    write(&forged, altered_code(&issued.credential).as_bytes())?;
    refused(&verify_code(cast, &forged).await?, "a code with one character changed")?;
    Ok(Held::new(
        (),
        "只凭根证书与吊销列表：真实、有效、属于持证人、未吊销；改动一个字符即被拒绝",
        "with the root certificate and the revocation lists alone: genuine, in force, hers, not revoked; with one character changed it is refused",
    ))
}

/// The code with one character in its middle replaced by its neighbour in the alphabet of base45.
fn altered_code(code: &str) -> String {
    let middle = code.chars().count() / 2;
    let other = |c: char| if c == 'A' { 'B' } else { 'A' };
    code.chars().enumerate().map(|(i, c)| if i == middle { other(c) } else { c }).collect()
}

/// The program has to end with what a rule or a signature forbids.
pub(super) fn refused(ran: &Ran, what: &'static str) -> Result<(), Broken> {
    match ran.exit {
        Some(REFUSED) => Ok(()),
        Some(0) => Err(Broken::NotRefused(what)),
        _ => Err(Broken::NotSo(format!(
            "{} ended with {:?}: {}",
            ran.command, ran.exit, ran.trouble
        ))),
    }
}

async fn verify_evidence(cast: &Cast, file: &Path) -> Result<Ran, Broken> {
    let root = cast.network.root();
    let words = [OsStr::new("evidence"), OsStr::new("verify"), file.as_os_str()];
    let root = [OsStr::new("--root"), root.as_os_str()];
    cast.program.run(&[&words[..], &root].concat()).await
}

/// Exports the evidence of a message and checks it. Its value is the file.
pub(super) async fn evidence(cast: &Cast, message: &str) -> Outcome<PathBuf> {
    let request = office::ExportEvidenceRequest { message_id: message.to_owned() };
    let exported = cast.clerk(cast.residence).await?.messages().export_evidence(request).await;
    let exported = exported.map_err(call(cast.residence))?.into_inner().evidence;
    let file = cast.network.dir().join("evidence.bin");
    write(&file, &exported)?;
    let proven = verify_evidence(cast, &file).await?.well()?;
    let text = |path: &str| proven.pointer(path).and_then(Value::as_str).unwrap_or_default();
    let expected = [
        ("/message_id", message),
        ("/sent/area", cast.residence.as_str()),
        ("/answered/by/area", cast.origin.as_str()),
        ("/answered/outcome", "STORED"),
    ];
    for (path, value) in expected {
        ensure(text(path) == value, || format!("{path} is \"{}\", not {value}", text(path)))?;
    }
    let (bytes, from, to) = (exported.len(), cast.residence, cast.origin);
    Ok(Held::new(
        file,
        format!("{bytes} 字节，只凭根证书：{from} 发出，{to} 签认已入库"),
        format!(
            "{bytes} bytes, with the root certificate alone: {from} sent it, {to} signed that it stored it"
        ),
    ))
}

/// Evidence with one bit turned does not hold, wherever the bit is.
pub(super) async fn forged(cast: &Cast, file: &Path) -> Outcome<()> {
    let unreadable = |source| Broken::File { path: file.to_owned(), source };
    let genuine = fs::read(file).map_err(unreadable)?;
    let altered = cast.network.dir().join("evidence-altered.bin");
    for place in 0..PLACES {
        let mut bytes = genuine.clone();
        let at = (bytes.len() * (2 * place + 1)) / (2 * PLACES);
        if let Some(byte) = bytes.get_mut(at) {
            *byte ^= 1;
        }
        write(&altered, &bytes)?;
        refused(&verify_evidence(cast, &altered).await?, "evidence with one bit turned")?;
    }
    Ok(Held::new(
        (),
        format!("{PLACES} 处各改一个比特，全部不成立"),
        format!("one bit turned in each of {PLACES} places: refused every time"),
    ))
}

/// Writes a file of the demonstration.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), Broken> {
    fs::write(path, bytes).map_err(|source| Broken::File { path: path.to_owned(), source })
}
