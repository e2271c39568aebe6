//! `liangdi person`: one person at a time, found by her document.

use clap::{Args as ClapArgs, Subcommand};
use domain::area::AreaCode;
use domain::erasure::ErasureGround;
use domain::person::MaritalStatus;
use domain::time::Date;

use super::connect::{ConnectArgs, Office, message, office};
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
    /// Find a person by her document, with registrations and certificates 查找
    Find(Find),
    /// Correct what is recorded of a person; what is not given stays 更正
    Change(Box<Change>),
    /// Let one county be told, for seven days, where a person at risk lives 批准告知居住地
    ReleaseResidence(Release),
    /// Erase what is held of a person here; without --confirm, say what is held and what stands against it 删除个人资料
    Erase(Erase),
}

#[derive(ClapArgs, Debug)]
struct Erase {
    #[command(flatten)]
    document: DocumentArgs,
    /// Lawful ground 删除依据
    #[arg(long, value_parser = choice(ErasureGround::chinese))]
    ground: Option<ErasureGround>,
    /// Why, kept without her 原因
    #[arg(long, default_value = "")]
    reason: String,
    /// Erase her; nothing brings it back 确认删除
    #[arg(long, requires = "ground", requires = "reason")]
    confirm: bool,
}

#[derive(ClapArgs, Debug)]
struct Find {
    #[command(flatten)]
    document: DocumentArgs,
    #[command(flatten)]
    access: AccessArgs,
}

#[derive(ClapArgs)]
struct Change {
    #[command(flatten)]
    document: DocumentArgs,
    /// Name as in the document 姓名
    #[arg(long)]
    name: Option<String>,
    /// Marital status, as she or a paper states it 婚姻状况
    #[arg(long, value_parser = choice(MaritalStatus::chinese))]
    marital_status: Option<MaritalStatus>,
    /// Day of the present marriage 结婚日期
    #[arg(long, value_name = "YYYY-MM-DD")]
    married_on: Option<Date>,
    /// Name of the husband or wife 配偶姓名
    #[arg(long, value_name = "NAME")]
    spouse_name: Option<String>,
    /// Day of birth of a child, in place of those recorded; may be given several times 子女出生日期
    #[arg(long = "child-born-on", value_name = "YYYY-MM-DD")]
    children_born_on: Vec<Date>,
    /// At risk of harm: the residence is never told to the origin area 有受害风险
    #[arg(long)]
    at_risk: bool,
    /// Version you saw; the change is refused when there is a newer one
    #[arg(long, value_name = "NUMBER")]
    seen_version: u32,
    /// Why it changes 原因
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    access: AccessArgs,
}

impl std::fmt::Debug for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Change").finish_non_exhaustive()
    }
}

#[derive(ClapArgs, Debug)]
struct Release {
    #[command(flatten)]
    document: DocumentArgs,
    /// The county that may be told 告知对象
    #[arg(long, value_name = "CODE")]
    to: AreaCode,
    /// Why 原因
    #[arg(long)]
    reason: String,
}

/// Runs the command.
pub(super) async fn run(args: Args) -> Result<Answer, Failure> {
    let office = args.connect.open().await?;
    match args.verb {
        Verb::Find(given) => {
            let document = given.document.read()?;
            Ok(view::answer(&find(&office, document, &given.access).await?))
        }
        Verb::Change(given) => change(&office, *given).await,
        Verb::Erase(given) => {
            let request = office::ErasePersonRequest {
                document: Some(given.document.read()?),
                ground: number(given.ground),
                reason: given.reason,
                preview: !given.confirm,
            };
            Ok(view::answer(&office.registrations().erase_person(request).await?.into_inner()))
        }
        Verb::ReleaseResidence(given) => {
            let request = office::ReleaseResidenceRequest {
                document: Some(given.document.read()?),
                to: given.to.to_string(),
                reason: given.reason,
            };
            Ok(view::answer(&office.agreements().release_residence(request).await?.into_inner()))
        }
    }
}

async fn find(
    office: &Office,
    document: message::IdentityDocument,
    access: &AccessArgs,
) -> Result<office::FindPersonResponse, Failure> {
    let request =
        office::FindPersonRequest { document: Some(document), access: Some(access.read()) };
    Ok(office.registrations().find_person(request).await?.into_inner())
}

/// The API takes the whole record; what was not typed stays as it is.
async fn change(office: &Office, given: Change) -> Result<Answer, Failure> {
    let found = find(office, given.document.read()?, &given.access).await?.person;
    let now = found.ok_or_else(|| Failure::failed("the node answered without a person"))?;
    let children: Vec<String> = given.children_born_on.iter().map(Date::to_string).collect();
    let person = office::Person {
        name: given.name.unwrap_or(now.name),
        marital_status: given.marital_status.map_or(now.marital_status, |m| number(Some(m))),
        married_on: given.married_on.map_or(now.married_on, |d| d.to_string()),
        spouse_name: given.spouse_name.unwrap_or(now.spouse_name),
        children_born_on: if children.is_empty() { now.children_born_on } else { children },
        at_risk: given.at_risk || now.at_risk,
        ..now
    };
    let request = office::ChangePersonRequest {
        person: Some(person),
        // Not that of what was read just now to fill in the rest, which nobody has seen.
        seen_version: given.seen_version,
        reason: given.reason,
    };
    Ok(view::answer(&office.registrations().change_person(request).await?.into_inner()))
}
