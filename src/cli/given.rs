//! What several commands let a clerk type: documents, persons, reasons of access, days and choices from lists.

use std::fs;
use std::io::{self, Read};
use std::path::Path;

use clap::builder::ArgPredicate;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Arg, ArgMatches, Args, Command, FromArgMatches, Id};
use domain::numbered::Numbered;
use domain::person::{DocumentKind, IdentityDocument, MaritalStatus, Sex};
use domain::purpose::{LawfulBasis, Purpose};
use domain::time::Date;

use super::connect::{message, office};
use super::exit::Failure;
use crate::errors::chain;

/// Longest file that is read as a text, bytes: a body or a printed code is a few kilobytes.
const TEXT_BYTES_MAX: usize = 1024 * 1024;

/// Reads one value of a list of the domain; typed in lower case with hyphens, with its Chinese name as help.
pub(super) fn choice<T>(chinese: fn(T) -> &'static str) -> impl TypedValueParser<Value = T>
where
    T: Numbered + Send + Sync,
{
    let typed = |value: T| value.code().to_lowercase().replace('_', "-");
    let all = T::ALL.iter().map(|v| PossibleValue::new(typed(*v)).help(chinese(*v)));
    PossibleValuesParser::new(all.collect::<Vec<_>>()).try_map(move |text| {
        T::ALL.iter().copied().find(|v| typed(*v) == text).ok_or("not in the list")
    })
}

/// The number of a choice in a protobuf message; 0 when nothing was chosen.
pub(super) fn number<T: Numbered>(choice: Option<T>) -> i32 {
    choice.map_or(0, |c| i32::from(c.number()))
}

/// A day as protobuf messages carry it; empty when none was given.
pub(super) fn day(date: Option<Date>) -> String {
    date.map(|d| d.to_string()).unwrap_or_default()
}

/// An identity document.
#[derive(Args, Clone)]
pub(super) struct DocumentArgs {
    /// Number of the identity document, or - to read it from standard input 证件号码
    #[arg(long, value_name = "NUMBER")]
    document: String,
    /// Kind of the document 证件种类
    #[arg(long, value_parser = choice(DocumentKind::chinese), default_value = "resident-id")]
    document_kind: DocumentKind,
    /// I compared a number whose check character fails with the paper 校验位已人工核对
    #[arg(long)]
    check_confirmed: bool,
}

impl std::fmt::Debug for DocumentArgs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DocumentArgs").field("kind", &self.document_kind).finish_non_exhaustive()
    }
}

impl DocumentArgs {
    /// As the node takes it; the node checks it.
    pub(super) fn read(self) -> Result<message::IdentityDocument, Failure> {
        Ok(message::IdentityDocument {
            kind: i32::from(self.document_kind.number()),
            number: typed_or_stdin(self.document)?,
            check_confirmed: self.check_confirmed,
        })
    }
}

impl DocumentArgs {
    /// Checked here, for a comparison without a node.
    pub(super) fn checked(self) -> Result<IdentityDocument, Failure> {
        let number = typed_or_stdin(self.document)?;
        IdentityDocument::new(self.document_kind, &number, self.check_confirmed)
            .map_err(|e| Failure::refused(chain(&e)).zh("证件号码有误"))
    }
}

/// Arguments of a process can be seen by other users of the machine; standard input cannot.
fn typed_or_stdin(typed: String) -> Result<String, Failure> {
    if typed != "-" {
        return Ok(typed);
    }
    let mut line = String::new();
    let read = io::stdin().read_line(&mut line);
    read.map_err(|e| Failure::usage(format!("nothing can be read from standard input: {e}")))?;
    Ok(line.trim().to_owned())
}

/// A person.
#[derive(Args, Clone)]
pub(super) struct PersonArgs {
    #[command(flatten)]
    document: DocumentArgs,
    /// Name as in the document 姓名
    #[arg(long)]
    name: String,
    /// Sex as in the document; may be left out with a resident ID 性别
    #[arg(long, value_parser = choice(Sex::chinese))]
    sex: Option<Sex>,
    /// Day of birth; may be left out with a resident ID 出生日期
    #[arg(long, value_name = "YYYY-MM-DD")]
    born_on: Option<Date>,
    /// Marital status, as she or a paper states it 婚姻状况
    #[arg(long, value_parser = choice(MaritalStatus::chinese))]
    marital_status: Option<MaritalStatus>,
    /// Day of the present marriage, when she states it 结婚日期
    #[arg(long, value_name = "YYYY-MM-DD")]
    married_on: Option<Date>,
    /// Name of the husband or wife; required with --married-on 配偶姓名
    #[arg(long, value_name = "NAME", default_value = "")]
    spouse_name: String,
    /// At risk of harm: the residence is not told to the origin area 有受害风险
    #[arg(long)]
    at_risk: bool,
    /// Day of birth of a child; may be given several times 子女出生日期
    #[arg(long = "child-born-on", value_name = "YYYY-MM-DD")]
    children_born_on: Vec<Date>,
}

impl std::fmt::Debug for PersonArgs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PersonArgs").finish_non_exhaustive()
    }
}

impl PersonArgs {
    /// As the node takes it. What a resident ID says of sex and birth is read from it when not typed.
    pub(super) fn read(self) -> Result<office::Person, Failure> {
        let person = stated(self.name, self.document.read()?);
        Ok(office::Person {
            sex: self.sex.map_or(person.sex, |sex| number(Some(sex))),
            born_on: self.born_on.map_or(person.born_on, |born| born.to_string()),
            person_id: String::new(),
            document: person.document,
            name: person.name,
            marital_status: number(self.marital_status),
            married_on: day(self.married_on),
            children_born_on: self.children_born_on.iter().map(Date::to_string).collect(),
            change: None,
            at_risk: self.at_risk,
            spouse_name: self.spouse_name,
        })
    }
}

/// A person of whom nothing is stated but name and document; what a resident ID says of sex and birth is read from it.
pub(super) fn stated(name: String, document: message::IdentityDocument) -> office::Person {
    let says = domain::person::ResidentId::parse(&document.number).ok();
    office::Person {
        sex: number(says.as_ref().map(|id| id.sex())),
        born_on: day(says.map(|id| id.birth_date())),
        name,
        document: Some(document),
        ..office::Person::default()
    }
}

/// Arguments that are given together or not at all; clap's own optional group looks past nested ones.
#[derive(Clone, Debug)]
pub(super) struct Maybe<T>(pub(super) Option<T>);

impl<T: Args> Maybe<T> {
    fn arguments() -> Vec<Arg> {
        T::augment_args(Command::new("part")).get_arguments().cloned().collect()
    }
}

impl<T: Args> Args for Maybe<T> {
    fn augment_args(command: Command) -> Command {
        let arguments = Self::arguments();
        let needed: Vec<Id> =
            arguments.iter().filter(|a| a.is_required_set()).map(|a| a.get_id().clone()).collect();
        command.args(arguments.into_iter().map(|argument| {
            let others = needed.iter().filter(|id| *id != argument.get_id()).cloned();
            let conditions: Vec<Id> = others.collect();
            // A flag or a choice with a default is always there; only what is typed asks for the rest.
            let typed = ArgPredicate::IsPresent;
            argument
                .required(false)
                .requires_ifs(conditions.into_iter().map(|id| (typed.clone(), id)))
        }))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<T: Args> FromArgMatches for Maybe<T> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let typed = |argument: &Arg| {
            argument.is_required_set() && matches.contains_id(argument.get_id().as_str())
        };
        if Self::arguments().iter().any(typed) {
            return T::from_arg_matches(matches).map(|whole| Self(Some(whole)));
        }
        Ok(Self(None))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// Why a record is read; goes into the access log.
#[derive(Args, Clone, Debug)]
pub(super) struct AccessArgs {
    /// Lawful basis of this look; goes into the access log 合法性基础
    #[arg(long, value_parser = choice(LawfulBasis::chinese))]
    basis: LawfulBasis,
    /// Purpose of this look; goes into the access log 目的
    #[arg(long, value_parser = choice(Purpose::chinese))]
    purpose: Purpose,
}

impl AccessArgs {
    /// As the node takes it.
    pub(super) fn read(&self) -> office::Access {
        office::Access {
            basis: i32::from(self.basis.number()),
            purpose: i32::from(self.purpose.number()),
        }
    }
}

/// A page of a list.
#[derive(Args, Clone, Debug)]
pub(super) struct PageArgs {
    /// At most so many
    #[arg(long, value_name = "COUNT", default_value_t = 50)]
    pub(super) limit: u32,
    /// Continue where the previous page ended: the token it printed
    #[arg(long, value_name = "TOKEN", default_value = "")]
    pub(super) after: String,
}

/// A short text file, or standard input for `-`.
pub(super) fn text_file(path: &Path) -> Result<String, Failure> {
    String::from_utf8(bytes_file(path, TEXT_BYTES_MAX)?)
        .map_err(|_| Failure::usage(format!("{} is not a text", path.display())))
}

/// A file of at most `max` bytes, or standard input for `-`.
pub(super) fn bytes_file(path: &Path, max: usize) -> Result<Vec<u8>, Failure> {
    let unreadable = |e: io::Error| Failure::usage(format!("cannot read {}: {e}", path.display()));
    let limit = u64::try_from(max).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    if path.as_os_str() == "-" {
        io::stdin().take(limit).read_to_end(&mut bytes).map_err(unreadable)?;
    } else {
        let file = fs::File::open(path).map_err(unreadable)?;
        file.take(limit).read_to_end(&mut bytes).map_err(unreadable)?;
    }
    if bytes.len() > max {
        let what = path.display();
        return Err(Failure::usage(format!("{what} is larger than {max} bytes")));
    }
    Ok(bytes)
}

/// Writes a file that must not exist yet: nothing is ever overwritten by accident.
pub(super) fn new_file(path: &Path, contents: &[u8]) -> Result<(), Failure> {
    use std::io::Write;
    let written = fs::File::create_new(path).and_then(|mut file| {
        file.write_all(contents)?;
        file.sync_all()
    });
    written.map_err(|e| match e.kind() {
        io::ErrorKind::AlreadyExists => {
            Failure::usage(format!("{} exists already; it is not overwritten", path.display()))
        }
        _ => Failure::failed(format!("cannot write {}: {e}", path.display())),
    })
}

/// Writes a file in one step: a reader sees the old text or the new one.
pub(super) fn replace_file(path: &Path, contents: &[u8]) -> Result<(), Failure> {
    use std::io::Write;
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let written = fs::File::create(&beside).and_then(|mut file| {
        file.write_all(contents)?;
        file.sync_all()?;
        fs::rename(&beside, path)
    });
    written.map_err(|e| Failure::failed(format!("cannot write {}: {e}", path.display())))
}
