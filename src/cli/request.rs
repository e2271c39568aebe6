//! `liangdi request`: a person's own request for a service.

use clap::{Args as ClapArgs, Subcommand};
use domain::area::AreaCode;
use domain::service::Service;
use domain::time::Date;

use super::connect::{ConnectArgs, office};
use super::exit::Failure;
use super::given::{DocumentArgs, choice, number, stated};
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
}

#[derive(ClapArgs, Debug)]
struct Record {
    #[command(flatten)]
    document: DocumentArgs,
    /// Service she asks for 服务
    #[arg(long, value_parser = choice(Service::chinese))]
    service: Service,
    /// Day of the request 申请日期
    #[arg(long, value_name = "YYYY-MM-DD")]
    requested_on: Date,
    /// County that is asked to give it or to be told 告知对象
    #[arg(long, value_name = "CODE")]
    recipient: AreaCode,
    /// Name as in the resident ID, for somebody who is not on record here yet 姓名
    #[arg(long, value_name = "NAME", default_value = "")]
    name: String,
}

/// Runs the command.
pub(super) async fn run(args: Args) -> Result<Answer, Failure> {
    let Verb::Record(given) = args.verb;
    let service_request = office::ServiceRequest {
        service: number(Some(given.service)),
        requested_on: given.requested_on.to_string(),
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
    let office = args.connect.open().await?;
    Ok(view::answer(&office.consents().record_service_request(request).await?.into_inner()))
}
