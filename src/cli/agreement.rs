//! `liangdi agreement`: what this county has agreed with others.

use clap::{Args as ClapArgs, Subcommand};
use domain::area::AreaCode;
use domain::id::AgreementId;
use domain::message::Kind;
use domain::purpose::Purpose;
use domain::time::Date;

use super::connect::{ConnectArgs, Office, message, office};
use super::exit::Failure;
use super::given::choice;
use super::output::Answer;
use super::view;

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
    let office = args.connect.open().await?;
    match args.verb {
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
