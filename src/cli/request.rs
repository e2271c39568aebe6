//! `liangdi request`: a person's own request for a service.

use clap::{Args as ClapArgs, Subcommand};
use domain::area::AreaCode;
use domain::consent::{Given, Ground};
use domain::id::RequestId;
use domain::service::Service;
use domain::time::Date;

use super::connect::{ConnectArgs, office};
use super::consent::spread;
use super::exit::Failure;
use super::given::{DocumentArgs, choice, day, number, stated};
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
    /// Record a service that a person asked for 记录服务申请
    Record(Record),
    /// Take a request back; sending stops at once, and whoever got something deletes it 撤回服务申请
    Withdraw(Withdraw),
    /// How far that has come, county by county 撤回进展
    Withdrawal(Withdrawal),
}

#[derive(ClapArgs, Debug)]
struct Withdraw {
    /// Request 申请编号
    request: RequestId,
    /// How the person said so 方式
    #[arg(long, value_parser = choice(Given::chinese), default_value = "in-person")]
    form: Given,
}

#[derive(ClapArgs, Debug)]
struct Withdrawal {
    /// Request 申请编号
    request: RequestId,
}

#[derive(ClapArgs, Debug)]
struct Record {
    #[command(flatten)]
    document: DocumentArgs,
    /// Service she asks for 服务
    #[arg(long, value_parser = choice(Service::chinese))]
    service: Service,
    /// Day of the request; for a birth registration, on which the papers came. Today when left out 申请日期（材料收齐日期）
    #[arg(long, value_name = "YYYY-MM-DD")]
    requested_on: Option<Date>,
    /// County that is asked to give it or to be told 告知对象
    #[arg(long, value_name = "CODE")]
    recipient: AreaCode,
    /// Name as in the resident ID, for somebody who is not on record here yet 姓名
    #[arg(long, value_name = "NAME", default_value = "")]
    name: String,
}

/// Runs the command.
pub(super) async fn run(args: Args) -> Result<Answer, Failure> {
    match args.verb {
        Verb::Record(given) => record(args.connect, given).await,
        Verb::Withdraw(Withdraw { request, form }) => {
            let office = args.connect.open().await?;
            let request_id = request.to_string();
            let form = number(Some(form));
            let asked = office::WithdrawServiceRequestRequest { request_id, form };
            let taken = office.consents().withdraw_service_request(asked).await?.into_inner();
            let spread = spread(&office, Ground::Request(request)).await?;
            Ok(view::answer(&taken).and(&format!(
                "\n{}\nFollow it: liangdi request withdrawal {request}",
                spread.text
            )))
        }
        Verb::Withdrawal(Withdrawal { request }) => {
            spread(&args.connect.open().await?, Ground::Request(request)).await
        }
    }
}

async fn record(connect: ConnectArgs, given: Record) -> Result<Answer, Failure> {
    let service_request = office::ServiceRequest {
        service: number(Some(given.service)),
        requested_on: day(given.requested_on),
        recipient: given.recipient.to_string(),
        ..office::ServiceRequest::default()
    };
    let document = given.document.read()?;
    let person = (!given.name.is_empty()).then(|| stated(given.name, document.clone()));
    let request = office::RecordServiceRequestRequest {
        document: Some(document),
        service_request: Some(service_request),
        person,
    };
    let office = connect.open().await?;
    Ok(view::answer(&office.consents().record_service_request(request).await?.into_inner()))
}
