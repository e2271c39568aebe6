//! `liangdi consent`: what a person allows to be told, to whom, and until when.

use clap::{Args as ClapArgs, Subcommand};
use domain::area::AreaCode;
use domain::consent::{ConsentScope, Given, Ground};
use domain::id::ConsentId;
use domain::time::Date;

use super::connect::{ConnectArgs, Office, office};
use super::exit::Failure;
use super::given::{AccessArgs, DocumentArgs, choice, number};
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
    /// Record a consent that a person gave 记录同意
    Record(Record),
    /// Withdraw a consent; sending stops at once, and whoever got something deletes it 撤回同意
    Withdraw(Withdraw),
    /// How far a withdrawal has come, county by county 撤回进展
    Withdrawal(Withdrawal),
    /// A person's consents and service requests 列出
    List(List),
}

#[derive(ClapArgs, Debug)]
struct Record {
    #[command(flatten)]
    document: DocumentArgs,
    /// What it covers; may be given several times 同意范围
    #[arg(long = "scope", required = true, value_parser = choice(ConsentScope::chinese))]
    scopes: Vec<ConsentScope>,
    /// County that may be told 告知对象
    #[arg(long, value_name = "CODE")]
    recipient: AreaCode,
    /// Day it was given 同意日期
    #[arg(long, value_name = "YYYY-MM-DD")]
    given_on: Date,
    /// Last day it holds 有效期至
    #[arg(long, value_name = "YYYY-MM-DD")]
    valid_until: Date,
    /// How it was given 方式
    #[arg(long, value_parser = choice(Given::chinese))]
    form: Given,
}

#[derive(ClapArgs, Debug)]
struct Withdraw {
    /// Consent 同意编号
    consent: ConsentId,
    /// How the person said so 方式
    #[arg(long, value_parser = choice(Given::chinese), default_value = "in-person")]
    form: Given,
}

#[derive(ClapArgs, Debug)]
struct Withdrawal {
    /// Consent 同意编号
    consent: ConsentId,
}

#[derive(ClapArgs, Debug)]
struct List {
    #[command(flatten)]
    document: DocumentArgs,
    #[command(flatten)]
    access: AccessArgs,
}

/// Runs the command.
pub(super) async fn run(args: Args) -> Result<Answer, Failure> {
    let office = args.connect.open().await?;
    match args.verb {
        Verb::Record(given) => record(&office, given).await,
        Verb::Withdraw(given) => {
            let request = office::WithdrawConsentRequest {
                consent_id: given.consent.to_string(),
                form: number(Some(given.form)),
            };
            let withdrawn = office.consents().withdraw_consent(request).await?.into_inner();
            let spread = spread(&office, Ground::Consent(given.consent)).await?;
            Ok(view::answer(&withdrawn).and(&format!(
                "\n{}\nFollow it: liangdi consent withdrawal {}",
                spread.text, given.consent
            )))
        }
        Verb::Withdrawal(given) => spread(&office, Ground::Consent(given.consent)).await,
        Verb::List(given) => {
            let request = office::ListConsentsRequest {
                document: Some(given.document.read()?),
                access: Some(given.access.read()),
            };
            Ok(view::answer(&office.consents().list_consents(request).await?.into_inner()))
        }
    }
}

/// Who was told, who has deleted, and when.
pub(super) async fn spread(office: &Office, of: Ground) -> Result<Answer, Failure> {
    let mut request = office::GetWithdrawalRequest::default();
    match of {
        Ground::Consent(id) => request.consent_id = id.to_string(),
        Ground::Request(id) => request.request_id = id.to_string(),
    }
    let spread = office.agreements().get_withdrawal(request).await?.into_inner().spread;
    let columns = [
        "area",
        "sent_ms",
        "message_id",
        "deleted_ms",
        "acknowledged_ms",
        "refused_reason",
        "refused_ms",
    ];
    Ok(view::rows(&spread, &columns))
}

async fn record(office: &Office, given: Record) -> Result<Answer, Failure> {
    let consent = office::Consent {
        scopes: given.scopes.iter().map(|s| number(Some(*s))).collect(),
        recipient: given.recipient.to_string(),
        given_on: given.given_on.to_string(),
        valid_until: given.valid_until.to_string(),
        form: number(Some(given.form)),
        ..office::Consent::default()
    };
    let request = office::RecordConsentRequest {
        document: Some(given.document.read()?),
        consent: Some(consent),
    };
    Ok(view::answer(&office.consents().record_consent(request).await?.into_inner()))
}
