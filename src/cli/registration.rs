//! `liangdi registration`: who lives here, and since when.

use clap::{Args as ClapArgs, Subcommand};
use domain::area::AreaCode;
use domain::id::{CertificateNumber, RegistrationId};
use domain::message::ResidenceReason;
use domain::time::Date;

use super::connect::{ConnectArgs, Office, office};
use super::exit::Failure;
use super::given::{AccessArgs, PersonArgs, choice, day, number};
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
    /// Register a person who has come to live here 登记
    Arrive(Arrive),
    /// Correct or change a registration 变更
    Change(Change),
    /// Record that she moved on to another area 转往他处
    MoveOn(End),
    /// Record that she left 离开
    Depart(End),
    /// Show a registration with its history 查看
    Show(Show),
}

#[derive(ClapArgs, Debug)]
struct Arrive {
    #[command(flatten)]
    person: PersonArgs,
    /// County of household registration; the digits of an ID never decide it 户籍地
    #[arg(long, value_name = "CODE")]
    origin: AreaCode,
    /// Where she lives, 6 to 12 digits 现居住地
    #[arg(long, value_name = "CODE")]
    residence: AreaCode,
    /// Address, as she states it; may be left out 居住地址
    #[arg(long, default_value = "")]
    address: String,
    /// Day of arrival 来现居住地日期
    #[arg(long, value_name = "YYYY-MM-DD")]
    arrived_on: Date,
    /// Reason, if she gave one 居住事由
    #[arg(long, value_parser = choice(ResidenceReason::chinese))]
    residence_reason: Option<ResidenceReason>,
    /// Number of the certificate she showed, if any 证明编号
    #[arg(long, value_name = "NUMBER")]
    certificate: Option<CertificateNumber>,
    /// Makes a repeated call harmless
    #[arg(long, value_name = "KEY", default_value = "")]
    idempotency_key: String,
    /// Why, in a few words; may be left out
    #[arg(long, default_value = "")]
    reason: String,
}

#[derive(ClapArgs, Debug)]
struct Change {
    /// Registration 登记编号
    registration: RegistrationId,
    /// Where she lives now, 6 to 12 digits
    #[arg(long, value_name = "CODE")]
    residence: Option<AreaCode>,
    /// Address, as she states it
    #[arg(long)]
    address: Option<String>,
    /// County of household registration
    #[arg(long, value_name = "CODE")]
    origin: Option<AreaCode>,
    /// Day of arrival
    #[arg(long, value_name = "YYYY-MM-DD")]
    arrived_on: Option<Date>,
    /// Reason, if she gave one
    #[arg(long, value_parser = choice(ResidenceReason::chinese))]
    residence_reason: Option<ResidenceReason>,
    /// Version you saw; the change is refused when there is a newer one
    #[arg(long, value_name = "NUMBER")]
    seen_version: u32,
    /// Why it changes
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    access: AccessArgs,
}

#[derive(ClapArgs, Debug)]
struct End {
    /// Registration 登记编号
    registration: RegistrationId,
    /// Day it happened
    #[arg(long, value_name = "YYYY-MM-DD")]
    on: Date,
    /// Where she went; required for move-on
    #[arg(long, value_name = "CODE")]
    to: Option<AreaCode>,
    /// Version you saw
    #[arg(long, value_name = "NUMBER")]
    seen_version: u32,
    /// Why, in a few words; may be left out
    #[arg(long, default_value = "")]
    reason: String,
}

#[derive(ClapArgs, Debug)]
struct Show {
    /// Registration 登记编号
    registration: RegistrationId,
    #[command(flatten)]
    access: AccessArgs,
}

/// Runs the command.
pub(super) async fn run(args: Args) -> Result<Answer, Failure> {
    let office = args.connect.open().await?;
    match args.verb {
        Verb::Arrive(given) => arrive(&office, given).await,
        Verb::Change(given) => change(&office, given).await,
        Verb::MoveOn(given) => end(&office, given, office::RegistrationState::MovedOn).await,
        Verb::Depart(given) => end(&office, given, office::RegistrationState::Departed).await,
        Verb::Show(given) => {
            Ok(view::answer(&read(&office, given.registration, &given.access).await?))
        }
    }
}

async fn arrive(office: &Office, given: Arrive) -> Result<Answer, Failure> {
    let registration = office::Registration {
        origin_area: given.origin.to_string(),
        residence_area: given.residence.to_string(),
        address: given.address,
        arrived_on: given.arrived_on.to_string(),
        reason: number(given.residence_reason),
        certificate_number: given.certificate.map(|n| n.to_string()).unwrap_or_default(),
        ..office::Registration::default()
    };
    let request = office::RegisterArrivalRequest {
        person: Some(given.person.read()?),
        registration: Some(registration),
        idempotency_key: given.idempotency_key,
        reason: given.reason,
    };
    let done = office.registrations().register_arrival(request).await?.into_inner();
    Ok(view::answer(&done))
}

async fn read(
    office: &Office,
    registration: RegistrationId,
    access: &AccessArgs,
) -> Result<office::GetRegistrationResponse, Failure> {
    let request = office::GetRegistrationRequest {
        registration_id: registration.to_string(),
        access: Some(access.read()),
    };
    Ok(office.registrations().get_registration(request).await?.into_inner())
}

/// The API takes the whole record; what was not typed stays as it is.
async fn change(office: &Office, given: Change) -> Result<Answer, Failure> {
    let versions = read(office, given.registration, &given.access).await?.versions;
    let now = versions.into_iter().next();
    let now = now.ok_or_else(|| Failure::not_found("the registration has no version"))?;
    let text = |new: Option<AreaCode>, old: String| new.map_or(old, |a| a.to_string());
    let registration = office::Registration {
        origin_area: text(given.origin, now.origin_area),
        residence_area: text(given.residence, now.residence_area),
        address: given.address.unwrap_or(now.address),
        arrived_on: given.arrived_on.map_or(now.arrived_on, |d| d.to_string()),
        reason: given.residence_reason.map_or(now.reason, |r| number(Some(r))),
        ..now
    };
    let request = office::ChangeRegistrationRequest {
        registration: Some(registration),
        // Not that of what was read just now to fill in the rest, which nobody has seen.
        seen_version: given.seen_version,
        reason: given.reason,
    };
    let done = office.registrations().change_registration(request).await?.into_inner();
    Ok(view::answer(&done))
}

async fn end(
    office: &Office,
    given: End,
    state: office::RegistrationState,
) -> Result<Answer, Failure> {
    let request = office::EndRegistrationRequest {
        registration_id: given.registration.to_string(),
        state: i32::from(state),
        ended_on: day(Some(given.on)),
        destination_area: given.to.map(|a| a.to_string()).unwrap_or_default(),
        seen_version: given.seen_version,
        reason: given.reason,
    };
    let done = office.registrations().end_registration(request).await?.into_inner();
    Ok(view::answer(&done))
}
