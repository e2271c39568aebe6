//! `liangdi agreement`: what this county has agreed with others.

use std::path::{Path, PathBuf};

use clap::{Args as ClapArgs, Subcommand};
use domain::area::AreaCode;
use domain::hex::hex;
use domain::id::AgreementId;
use domain::message::Kind;
use domain::purpose::Purpose;
use domain::time::Date;
use serde_json::json;
use trust::name::{SUFFIX_DEFAULT, Suffix};

use super::connect::{ConnectArgs, Office, message, office};
use super::exit::Failure;
use super::given::{choice, new_file};
use super::output::Answer;
use super::trusted::chains;
use super::view;
use crate::agreement_file::{AgreementFile, FILE_BYTES_MAX, SaidWord, Standing};
use crate::errors::chain;

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
    /// Agreements with their state 列出
    List(List),
    /// Every version of one agreement, with what both nodes signed 查看
    Show(Show),
    /// Propose an agreement, or the next version of one 提议
    Propose(Box<Propose>),
    /// Accept or decline what the other county proposed 答复
    Decide(Decide),
    /// End an agreement, with the agreed notice 终止
    End(End),
    /// Take over what the own province has agreed with another one, from such a file 采用省级协议
    Adopt {
        /// The file
        file: PathBuf,
    },
    /// Write a version with the signatures of both nodes into a file that proves itself 导出
    Export(Export),
    /// Check such a file with the root certificate alone; needs no node 核验
    Verify {
        /// The file
        file: PathBuf,
    },
}

#[derive(ClapArgs, Debug)]
struct Export {
    /// Agreement 协议编号
    agreement: AgreementId,
    /// Version; the newest when left out 版本
    #[arg(long, value_name = "NUMBER")]
    number: Option<u32>,
    /// The file, which must not exist yet
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

#[derive(ClapArgs, Debug)]
struct List {
    /// Only with this county 对方
    #[arg(long, value_name = "CODE")]
    peer: Option<AreaCode>,
}

#[derive(ClapArgs, Debug)]
struct Show {
    /// Agreement 协议编号
    agreement: AgreementId,
}

#[derive(ClapArgs, Debug)]
struct Propose {
    /// The other county 对方
    #[arg(long, value_name = "CODE")]
    to: AreaCode,
    /// The agreement that this is the next version of; a new one when left out 原协议编号
    #[arg(long, value_name = "ID")]
    next_of: Option<AgreementId>,
    /// A kind of message: alone for the whole of it, or Kind=field,field for these optional fields only; several times
    /// 通报种类
    #[arg(long = "kind", required = true, value_name = "KIND[=FIELDS]", value_parser = listed)]
    kinds: Vec<Listed>,
    /// A clock shorter than the law's: Kind=days; several times 缩短的时限
    #[arg(long = "clock", value_name = "KIND=DAYS", value_parser = numbered)]
    clocks: Vec<(Kind, u32)>,
    /// How long content of one kind is kept, months: Kind=months; several times 单项保存月数
    #[arg(long = "keep", value_name = "KIND=MONTHS", value_parser = numbered)]
    keeps: Vec<(Kind, u32)>,
    /// What the data may be used for; several times 目的
    #[arg(long = "purpose", required = true, value_parser = choice(Purpose::chinese))]
    purposes: Vec<Purpose>,
    /// First day 生效日期
    #[arg(long, value_name = "YYYY-MM-DD")]
    valid_from: Date,
    /// Last day 有效期至
    #[arg(long, value_name = "YYYY-MM-DD")]
    valid_until: Date,
    /// How long content is kept, months 保存月数
    #[arg(long, default_value = "36")]
    retention_months: u32,
    /// For how many days an earlier report answers a question; 0 for never 只问一次的天数
    #[arg(long, default_value = "0")]
    ask_once_days: u32,
    /// Notice for ending it, days 终止预告天数
    #[arg(long, default_value = "30")]
    notice_days: u32,
    /// Whom to call about it at this office 联系方式
    #[arg(long)]
    contact: String,
}

#[derive(ClapArgs, Debug)]
struct Decide {
    /// Agreement 协议编号
    agreement: AgreementId,
    /// Version that was read 版本
    #[arg(long, value_name = "NUMBER")]
    seen_version: u32,
    /// Accept it 同意
    #[arg(long, conflicts_with = "decline", required_unless_present = "decline")]
    accept: bool,
    /// Decline it, with a reason 不同意
    #[arg(long, requires = "reason")]
    decline: bool,
    /// Why not 原因
    #[arg(long, default_value = "")]
    reason: String,
    /// Whom to call about it at this office 联系方式
    #[arg(long, default_value = "")]
    contact: String,
}

#[derive(ClapArgs, Debug)]
struct End {
    /// Agreement 协议编号
    agreement: AgreementId,
    /// The last day it holds 最后一日
    #[arg(long, value_name = "YYYY-MM-DD")]
    last_day: Date,
    /// Why 原因
    #[arg(long)]
    reason: String,
}

/// A kind, and which of its optional fields go; none for all.
#[derive(Clone, Debug)]
struct Listed {
    kind: Kind,
    fields: Option<Vec<String>>,
}

fn listed(typed: &str) -> Result<Listed, String> {
    let (kind, fields) = match typed.split_once('=') {
        Some((kind, fields)) => (kind, Some(fields)),
        None => (typed, None),
    };
    let names = |fields: &str| {
        fields.split(',').map(|field| field.trim().to_owned()).filter(|f| !f.is_empty()).collect()
    };
    Ok(Listed { kind: super::message::kind(kind)?, fields: fields.map(names) })
}

fn numbered(typed: &str) -> Result<(Kind, u32), String> {
    let (kind, number) = typed.split_once('=').ok_or("write it as Kind=number")?;
    let number = number.parse().map_err(|_| "write it as Kind=number".to_owned())?;
    Ok((super::message::kind(kind)?, number))
}

/// Runs the command.
pub(super) async fn run(args: Args) -> Result<Answer, Failure> {
    if let Verb::Verify { file } = &args.verb {
        return verify(&args.connect, file);
    }
    let office = args.connect.open().await?;
    match args.verb {
        Verb::Verify { file } => verify(&args.connect, &file),
        Verb::Adopt { file } => {
            let file = std::fs::read(&file)
                .map_err(|e| Failure::usage(format!("cannot read {}: {e}", file.display())))?;
            let request = office::AdoptAgreementRequest { file };
            let adopted = office.agreements().adopt_agreement(request).await?.into_inner();
            Ok(view::answer(&adopted.agreement.unwrap_or_default()))
        }
        Verb::Export(given) => export(&office, given).await,
        Verb::List(given) => {
            let peer = given.peer.map(|area| area.to_string()).unwrap_or_default();
            let request = office::ListAgreementsRequest { peer };
            let listed = office.agreements().list_agreements(request).await?.into_inner();
            let columns = [
                "agreement_id",
                "version",
                "peer",
                "state",
                "proposal.valid_from",
                "proposal.valid_until",
            ];
            Ok(view::rows(&listed.agreements, &columns))
        }
        Verb::Show(given) => {
            let request = office::GetAgreementRequest { agreement_id: given.agreement.to_string() };
            Ok(view::answer(&office.agreements().get_agreement(request).await?.into_inner()))
        }
        Verb::Propose(given) => propose(&office, *given).await,
        Verb::Decide(given) => {
            let request = office::DecideAgreementRequest {
                agreement_id: given.agreement.to_string(),
                version: given.seen_version,
                accepted: given.accept,
                reason: given.reason,
                contact: given.contact,
            };
            Ok(view::answer(&office.agreements().decide_agreement(request).await?.into_inner()))
        }
        Verb::End(given) => {
            let request = office::EndAgreementRequest {
                agreement_id: given.agreement.to_string(),
                last_day: given.last_day.to_string(),
                reason: given.reason,
            };
            Ok(view::answer(&office.agreements().end_agreement(request).await?.into_inner()))
        }
    }
}

/// Writes one version, with what each side's node has signed, into a file.
async fn export(office: &Office, given: Export) -> Result<Answer, Failure> {
    let request = office::GetAgreementRequest { agreement_id: given.agreement.to_string() };
    let versions = office.agreements().get_agreement(request).await?.into_inner().versions;
    let wanted =
        |version: &office::Agreement| given.number.is_none_or(|number| version.version == number);
    let kept = versions.into_iter().rev().find(wanted);
    let kept = kept.ok_or_else(|| Failure::refused("no such version").zh("没有这个版本"))?;
    let file = file_of(&kept).ok_or_else(|| Failure::failed("the node shows no signatures"))?;
    new_file(&given.out, file.to_text().as_bytes())?;
    let json = json!({ "file": given.out.display().to_string(), "version": kept.version });
    Ok(Answer::new(json, given.out.display().to_string()).and(
        "\nAnybody with the root certificate can check it 任何持有根证书者均可核验:\n  liangdi agreement verify FILE --root root.pem",
    ))
}

/// What both nodes have signed, as a node shows it.
fn file_of(kept: &office::Agreement) -> Option<AgreementFile> {
    let (proposer, peer) = (kept.proposer.parse::<AreaCode>().ok()?, kept.proposal.as_ref()?);
    let signed = |by: AreaCode, word: String, at, signature: Option<&message::OfficeSignature>| {
        let signature = signature?;
        Some(SaidWord::new(by, word, at, &signature.signature, &signature.chain))
    };
    let line = kept.signed_text.lines().find_map(|line| line.strip_prefix("between "))?;
    let other: AreaCode = line.split_once(' ')?.1.parse().ok()?;
    let proposed = "proposed".to_owned();
    let mut words = vec![signed(proposer, proposed, kept.proposed_ms, peer.signature.as_ref())?];
    if let Some(decision) = &kept.decision {
        let contact = hex(decision.contact.as_bytes());
        let word =
            if decision.accepted { format!("accepted {contact}") } else { "declined".to_owned() };
        words.push(signed(other, word, kept.decided_ms, decision.signature.as_ref())?);
    }
    if let Some(ending) = &kept.ending {
        let by = kept.ended_by.parse().ok()?;
        let word = format!("ended {}", ending.last_day);
        words.push(signed(by, word, kept.ended_ms, ending.signature.as_ref())?);
    }
    Some(AgreementFile::new(kept.signed_text.clone(), words))
}

fn verify(connect: &ConnectArgs, path: &Path) -> Result<Answer, Failure> {
    let root = connect.root.as_deref().ok_or_else(|| Failure::usage("name the root: --root"))?;
    let suffix = connect.suffix.as_deref().unwrap_or(SUFFIX_DEFAULT).parse::<Suffix>();
    let suffix = suffix.map_err(|error| Failure::usage(error.to_string()))?;
    let chains = chains(root, &connect.crl, suffix)?;
    let unreadable = |e| Failure::usage(format!("cannot read {}: {e}", path.display()));
    let bytes = std::fs::read(path).map_err(unreadable)?;
    if bytes.len() > FILE_BYTES_MAX {
        return Err(Failure::usage(format!("{} is no agreement", path.display())));
    }
    let proven = AgreementFile::parse(&bytes).and_then(|file| file.verify(&chains));
    let proven = proven.map_err(|fault| {
        Failure::refused(format!("the agreement does not hold: {}", chain(&fault)))
            .zh("协议核验不通过")
            .advise("ask both offices for the file; if it still fails, it was altered")
    })?;
    let (standing, zh) = match proven.standing {
        Standing::Proposed => ("PROPOSED".to_owned(), "一方已提议，对方未签署"),
        Standing::Agreed => ("AGREED".to_owned(), "双方已签署"),
        Standing::Declined => ("DECLINED".to_owned(), "对方不同意"),
        Standing::Ended(day) => (format!("ENDED {day}"), "已终止"),
    };
    let ((one, other), (from, until)) = (proven.between, proven.valid);
    let checked = match connect.crl.is_empty() {
        true => {
            "\nNo revocation list was given: whether a key was revoked is not known. 未提供吊销列表。"
        }
        false => "",
    };
    let json = json!({
        "agreement_id": proven.id, "version": proven.version, "state": standing,
        "between": [one.as_str(), other.as_str()],
        "valid_from": from.to_string(), "valid_until": until.to_string(),
        "signed_text": proven.terms, "revocation_checked": !connect.crl.is_empty(),
    });
    let text = format!(
        "{standing} {zh}\n{one} – {other}, {from} – {until}, version {}\n\n{}{checked}",
        proven.version, proven.terms
    );
    Ok(Answer::new(json, text))
}

async fn propose(office: &Office, given: Propose) -> Result<Answer, Failure> {
    let own = |pairs: &[(Kind, u32)], kind: Kind| {
        pairs.iter().find(|(of, _)| *of == kind).map_or(0, |(_, number)| *number)
    };
    let (whole, some): (Vec<_>, Vec<_>) = given.kinds.iter().partition(|listed| {
        let plain = |pairs: &[(Kind, u32)]| own(pairs, listed.kind) == 0;
        listed.fields.is_none() && plain(&given.clocks) && plain(&given.keeps)
    });
    let every = |kind: Kind| {
        let known = domain::agreement::known_fields(kind);
        known.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let terms_of = |listed: &&Listed| message::KindTerms {
        kind: listed.kind.name().to_owned(),
        fields: listed.fields.clone().unwrap_or_else(|| every(listed.kind)),
        days: own(&given.clocks, listed.kind),
        retention_months: own(&given.keeps, listed.kind),
    };
    let terms = message::AgreementProposal {
        kinds: whole.iter().map(|listed| listed.kind.name().to_owned()).collect(),
        kind_terms: some.iter().map(terms_of).collect(),
        purposes: given.purposes.iter().map(|purpose| u32::from(purpose.number())).collect(),
        valid_from: given.valid_from.to_string(),
        valid_until: given.valid_until.to_string(),
        retention_months: given.retention_months,
        ask_once_days: given.ask_once_days,
        notice_days: given.notice_days,
        contact: given.contact,
        ..message::AgreementProposal::default()
    };
    let request = office::ProposeAgreementRequest {
        to: given.to.to_string(),
        agreement_id: given.next_of.map(|id| id.to_string()).unwrap_or_default(),
        terms: Some(terms),
    };
    Ok(view::answer(&office.agreements().propose_agreement(request).await?.into_inner()))
}
