//! `liangdi certificate`: issues, renews and checks the certificate a person travels with.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};
use domain::certificate::{ReplacementCause, RevocationCause};
use domain::id::{CertificateNumber, RegistrationId};
use domain::purpose::Purpose;
use serde_json::json;
use trust::credential::{self, Checked, Question};
use trust::name::Suffix;

use super::connect::{ConnectArgs, Office, office};
use super::exit::Failure;
use super::given::{
    AccessArgs, DocumentArgs, Maybe, PersonArgs, choice, number, replace_file, text_file,
};
use super::output::{Answer, record};
use super::trusted::chains;
use super::{qr, view};
use crate::errors::chain;
use crate::time::SystemClock;

/// Arguments of the noun.
#[derive(ClapArgs, Debug)]
pub(super) struct Args {
    #[command(flatten)]
    connect: ConnectArgs,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// Issue a certificate to a person; free of charge 签发
    Issue(Issue),
    /// Renew it for another three years 续期
    Renew(Renew),
    /// Replace a lost, damaged or changed one 换发
    Replace(Replace),
    /// Revoke it, with a written reason 注销
    Revoke(Revoke),
    /// Record that a certificate was checked here 查验
    Endorse(Endorse),
    /// Show a certificate with its history and its code 查看
    Show(Show),
    /// Check a printed code: by the node, or with --root alone on any machine 核验
    Verify(Verify),
}

#[derive(ClapArgs, Debug)]
struct Issue {
    #[command(flatten)]
    person: PersonArgs,
    /// Write the code as a picture
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Makes a repeated call harmless
    #[arg(long, value_name = "KEY", default_value = "")]
    idempotency_key: String,
}

#[derive(ClapArgs, Debug)]
struct Renew {
    /// Number 证明编号
    number: CertificateNumber,
    /// Version you saw
    #[arg(long, value_name = "NUMBER")]
    seen_version: u32,
    /// Write the code as a picture
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

#[derive(ClapArgs, Debug)]
struct Replace {
    /// Number 证明编号
    number: CertificateNumber,
    /// Version you saw
    #[arg(long, value_name = "NUMBER")]
    seen_version: u32,
    /// Write the code as a picture
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Why, from the list 事由
    #[arg(long, value_parser = choice(ReplacementCause::chinese))]
    cause: ReplacementCause,
    /// Why, in a few words 原因
    #[arg(long)]
    reason: String,
    /// What the new one states; for --cause changed, with the document of the old one
    #[command(flatten)]
    person: Maybe<PersonArgs>,
}

#[derive(ClapArgs, Debug)]
struct Revoke {
    /// Number 证明编号
    number: CertificateNumber,
    /// Version you saw
    #[arg(long, value_name = "NUMBER")]
    seen_version: u32,
    /// Why, from the list 事由
    #[arg(long, value_parser = choice(RevocationCause::chinese))]
    cause: RevocationCause,
    /// Why, in writing; the holder has a right to read it 原因
    #[arg(long)]
    reason: String,
}

#[derive(ClapArgs, Debug)]
struct Endorse {
    /// Registration of the person who showed it 登记编号
    #[arg(long, value_name = "ID")]
    registration: RegistrationId,
    #[command(flatten)]
    code: Code,
    /// Makes a repeated call harmless
    #[arg(long, value_name = "KEY", default_value = "")]
    idempotency_key: String,
}

#[derive(ClapArgs, Debug)]
struct Show {
    /// Number 证明编号
    number: CertificateNumber,
    #[command(flatten)]
    access: AccessArgs,
    /// Write the code as a picture
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

#[derive(ClapArgs, Debug)]
struct Verify {
    #[command(flatten)]
    code: Code,
    #[command(flatten)]
    document: Maybe<DocumentArgs>,
}

/// The text of a scanned code.
#[derive(ClapArgs)]
#[group(required = true, multiple = false)]
struct Code {
    /// Text of the code, LD1:…
    #[arg(long, value_name = "TEXT")]
    credential: Option<String>,
    /// File with the text of the code, or - for standard input (a scanner types it)
    #[arg(long, value_name = "FILE")]
    credential_file: Option<PathBuf>,
}

impl std::fmt::Debug for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Code").finish_non_exhaustive()
    }
}

impl Code {
    fn read(self) -> Result<String, Failure> {
        let text = match (self.credential, self.credential_file) {
            (Some(text), _) => text,
            (None, Some(path)) => text_file(&path)?,
            (None, None) => String::new(),
        };
        Ok(text.trim().to_owned())
    }
}

/// Runs the command.
pub(super) async fn run(args: Args) -> Result<Answer, Failure> {
    let Args { connect, verb } = args;
    if let Verb::Verify(given) = verb {
        return verify(&connect, given).await;
    }
    let office = connect.open().await?;
    match verb {
        Verb::Issue(given) => issue(&office, given).await,
        Verb::Renew(given) => renew(&office, given).await,
        Verb::Replace(given) => replace(&office, given).await,
        Verb::Revoke(given) => revoke(&office, given).await,
        Verb::Endorse(given) => endorse(&office, given).await,
        Verb::Show(given) => show(&office, given).await,
        Verb::Verify(given) => verify_at(&office, given).await,
    }
}

async fn issue(office: &Office, given: Issue) -> Result<Answer, Failure> {
    let request = office::IssueCertificateRequest {
        person: Some(given.person.read()?),
        idempotency_key: given.idempotency_key,
    };
    let done = office.certificates().issue_certificate(request).await?.into_inner();
    with_code(view::answer(&done), &done.credential, &done.credential_svg, given.svg)
}

async fn renew(office: &Office, given: Renew) -> Result<Answer, Failure> {
    let request = office::RenewCertificateRequest {
        certificate_number: given.number.to_string(),
        seen_version: given.seen_version,
    };
    let done = office.certificates().renew_certificate(request).await?.into_inner();
    with_code(view::answer(&done), &done.credential, &done.credential_svg, given.svg)
}

async fn replace(office: &Office, given: Replace) -> Result<Answer, Failure> {
    let request = office::ReplaceCertificateRequest {
        certificate_number: given.number.to_string(),
        seen_version: given.seen_version,
        reason: given.reason,
        cause: number(Some(given.cause)),
        person: given.person.0.map(PersonArgs::read).transpose()?,
    };
    let done = office.certificates().replace_certificate(request).await?.into_inner();
    with_code(view::answer(&done), &done.credential, &done.credential_svg, given.svg)
}

async fn revoke(office: &Office, given: Revoke) -> Result<Answer, Failure> {
    let request = office::RevokeCertificateRequest {
        certificate_number: given.number.to_string(),
        seen_version: given.seen_version,
        reason: given.reason,
        cause: number(Some(given.cause)),
    };
    Ok(view::answer(&office.certificates().revoke_certificate(request).await?.into_inner()))
}

async fn endorse(office: &Office, given: Endorse) -> Result<Answer, Failure> {
    let request = office::EndorseCertificateRequest {
        registration_id: given.registration.to_string(),
        credential: given.code.read()?,
        idempotency_key: given.idempotency_key,
    };
    Ok(view::answer(&office.certificates().endorse_certificate(request).await?.into_inner()))
}

async fn show(office: &Office, given: Show) -> Result<Answer, Failure> {
    let request = office::GetCertificateRequest {
        certificate_number: given.number.to_string(),
        access: Some(given.access.read()),
    };
    let found = office.certificates().get_certificate(request).await?.into_inner();
    with_code(view::answer(&found), &found.credential, &found.credential_svg, given.svg)
}

/// Adds the code for people, and writes the picture where one was asked for.
fn with_code(
    answer: Answer,
    credential: &str,
    svg: &str,
    file: Option<PathBuf>,
) -> Result<Answer, Failure> {
    if credential.is_empty() {
        return match file {
            None => Ok(answer),
            Some(_) => Err(Failure::refused("only a certificate in force has a code")
                .zh("证明已失效，没有二维码")),
        };
    }
    let answer = answer.and(&format!("\n{}\n{credential}", qr::on_terminal(credential)?));
    let Some(file) = file else { return Ok(answer) };
    let made = if svg.is_empty() { qr::as_svg(credential)? } else { svg.to_owned() };
    replace_file(&file, made.as_bytes())?;
    Ok(answer.and(&format!("picture: {}", file.display())))
}

/// By the node when one is named, else with the root alone.
async fn verify(connect: &ConnectArgs, given: Verify) -> Result<Answer, Failure> {
    match (&connect.office, &connect.profile, &connect.root) {
        (None, None, Some(root)) => {
            let suffix = connect.suffix.as_deref().map(str::parse::<Suffix>).transpose();
            let suffix = suffix.map_err(|e| Failure::usage(chain(&e)))?.unwrap_or_default();
            let chains = chains(root, &connect.crl, suffix)?;
            let checked = credential::check(&given.code.read()?, &chains)
                .map_err(|invalid| forged(&invalid))?;
            told(&checked, given.document.0)
        }
        _ => verify_at(&connect.open().await?, given).await,
    }
}

async fn verify_at(office: &Office, given: Verify) -> Result<Answer, Failure> {
    let request = office::VerifyCredentialRequest {
        credential: given.code.read()?,
        document: given.document.0.map(DocumentArgs::read).transpose()?,
    };
    let shown = request.document.is_some();
    let found = office.certificates().verify_credential(request).await?.into_inner();
    if found.genuine && found.in_force && (found.matches_document || !shown) {
        return Ok(view::answer(&found));
    }
    let why = view::answer(&found);
    Err(match domain::reason::Reason::from_code(&found.reason) {
        Some(reason) => Failure::reason(reason),
        None => Failure::refused("the certificate is not good here and now").zh("证明无效"),
    }
    .advise(format!("ask the county that issued it\n{}", why.text)))
}

fn forged(invalid: &credential::Invalid) -> Failure {
    Failure::refused(format!("the code is not accepted: {}", chain(invalid)))
        .zh("二维码核验未通过")
        .advise("scan it again; if it still fails, ask the county that issued it")
}

fn told(checked: &Checked, document: Option<DocumentArgs>) -> Result<Answer, Failure> {
    let claims = &checked.claims;
    let today = SystemClock.now().date();
    let in_force = claims.answer(&Question::ValidOn(today)).unwrap_or(false);
    let held = match document {
        Some(document) => claims.answer(&Question::HeldBy(document.checked()?)),
        None => None,
    };
    let yes = |is: bool| if is { "yes" } else { "no" }.to_owned();
    let not_looked = "not looked at: no revocation list given".to_owned();
    let marital = claims.marital_status.map(|m| m.chinese());
    let pairs = [
        ("genuine 真实", yes(true)),
        ("in force 有效", yes(in_force)),
        ("for the document shown 与证件相符", held.map(yes).unwrap_or_default()),
        ("number 证明编号", claims.number.to_string()),
        ("holder 持证人", claims.holder.expose(&Purpose::Certificate).to_owned()),
        ("valid until 有效期至", claims.valid_until.to_string()),
        ("marital status 婚姻状况", marital.unwrap_or_default().to_owned()),
        ("children 子女数", claims.children.map(|c| c.to_string()).unwrap_or_default()),
        ("issuer 签发地", checked.issuer.to_string()),
        ("revocation 吊销", if checked.revocation_checked { yes(false) } else { not_looked }),
    ];
    let json = json!({
        "genuine": true,
        "in_force": in_force,
        "matches_document": held,
        "certificate_number": claims.number.to_string(),
        "holder_name": claims.holder.expose(&Purpose::Certificate),
        "valid_until": claims.valid_until.to_string(),
        "marital_status": claims.marital_status.map(|m| m.code()),
        "children": claims.children,
        "issuer": checked.issuer.as_str(),
        "revocation_checked": checked.revocation_checked,
        "revocation_list_date": claims.list_date.to_string(),
    });
    let text = record(&pairs);
    if in_force && held != Some(false) {
        let purpose = format!("\n{}\n{}", credential::PURPOSE_ZH, credential::PURPOSE_EN);
        return Ok(Answer::new(json, text).and(&purpose));
    }
    let why = if in_force {
        "it belongs to another document"
    } else {
        "its validity has ended or not begun"
    };
    Err(Failure::refused(format!("the certificate is genuine, but {why}"))
        .zh(if in_force { "证明与所持证件不符" } else { "证明不在有效期内" })
        .advise(format!("ask her whether she has a newer one\n{text}")))
}
