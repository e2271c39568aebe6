//! `liangdi pki`: the certificates of a network, made and looked at as files; no node takes part.

mod issue;
mod keep;
mod request;
mod show;
#[cfg(test)]
mod tests;

use std::error::Error;
use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};
use domain::area::AreaCode;
use trust::authority::AuthorityError;
use trust::name::{SUFFIX_DEFAULT, Suffix};

pub(super) use self::request::make_key_and_request;
use super::exit::Failure;
use super::output::Answer;
use crate::errors::chain;

/// Arguments of the noun.
#[derive(ClapArgs, Debug)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// The root of a network 根机构
    #[command(subcommand)]
    Root(Root),
    /// The CA of a province 省级签发机构
    #[command(subcommand)]
    Province(Province),
    /// Certificates of nodes 节点证书
    #[command(subcommand)]
    Node(Node),
    /// Certificates of operators 操作员证书
    #[command(subcommand)]
    Operator(Operator),
    /// Revocation lists 吊销列表
    #[command(subcommand)]
    Crl(Crl),
    /// Revoke a certificate; counts for others from the next list on 吊销
    Revoke(keep::Revoke),
    /// What a CA has issued and revoked 列出
    List(keep::List),
    /// A certificate, request or revocation list in plain words 查看
    Show(show::Show),
    /// Check a certificate against the root, and against revocation lists when given 核验
    Verify(show::Verify),
}

#[derive(Subcommand, Debug)]
enum Root {
    /// Make the root: once for a network, on a machine without a network
    Create(issue::CreateRoot),
    /// Show the root
    Show(keep::ShowCa),
}

#[derive(Subcommand, Debug)]
enum Province {
    /// Make the CA of a province in one step, where the root is on the same machine
    Create(issue::CreateProvince),
    /// Make the key of a province's CA, and a request for the root
    Request(request::RequestProvince),
    /// Certify a province's CA; done by the root
    Issue(issue::IssueProvince),
    /// Put the certificate that the root issued beside the key
    Install(issue::InstallProvince),
}

#[derive(Subcommand, Debug)]
enum Node {
    /// Make a node's key, and a request for its province
    Request(request::RequestNode),
    /// Certify a node; done by its province
    Issue(issue::IssueNode),
}

#[derive(Subcommand, Debug)]
enum Operator {
    /// Make an operator's key, and a request for her province
    Request(request::RequestOperator),
    /// Certify an operator; done by her province
    Issue(issue::IssueOperator),
}

#[derive(Subcommand, Debug)]
enum Crl {
    /// Sign a new revocation list; to be done daily, and after each revocation
    Issue(keep::IssueList),
}

/// Where a CA lives.
#[derive(ClapArgs, Debug)]
struct CaArgs {
    /// Directory of the CA
    #[arg(long, value_name = "DIR")]
    ca: PathBuf,
}

#[derive(ClapArgs, Debug)]
struct SuffixArgs {
    /// Suffix of all names of this network
    #[arg(long, value_name = "NAME", env = "LIANGDI_SUFFIX", default_value = SUFFIX_DEFAULT)]
    suffix: Suffix,
}

/// Runs the command.
pub(super) fn run(args: Args) -> Result<Answer, Failure> {
    match args.verb {
        Verb::Root(Root::Create(given)) => issue::create_root(&given),
        Verb::Root(Root::Show(given)) => keep::show_ca(&given),
        Verb::Province(Province::Create(given)) => issue::create_province(&given),
        Verb::Province(Province::Request(given)) => request::province(&given),
        Verb::Province(Province::Issue(given)) => issue::province(&given),
        Verb::Province(Province::Install(given)) => issue::install_province(&given),
        Verb::Node(Node::Request(given)) => request::node(&given),
        Verb::Node(Node::Issue(given)) => issue::node(&given),
        Verb::Operator(Operator::Request(given)) => request::operator(&given),
        Verb::Operator(Operator::Issue(given)) => issue::operator(&given),
        Verb::Crl(Crl::Issue(given)) => keep::issue_list(&given),
        Verb::Revoke(given) => keep::revoke(&given),
        Verb::List(given) => keep::list(&given),
        Verb::Show(given) => show::show(&given),
        Verb::Verify(given) => show::verify(&given),
    }
}

/// A province as clerks say it: `41` or `410000`.
fn province(typed: &str) -> Result<AreaCode, String> {
    let whole = if typed.len() == 2 { format!("{typed}0000") } else { typed.to_owned() };
    let area: AreaCode = whole.parse().map_err(|e: domain::area::AreaError| e.to_string())?;
    if area == area.province() { Ok(area) } else { Err("write two digits, such as 41".to_owned()) }
}

/// An error of the CA, with the exit code that fits it.
fn refused(error: AuthorityError) -> Failure {
    let text = chain(&error);
    match error {
        AuthorityError::Request(_)
        | AuthorityError::Name(_)
        | AuthorityError::OtherName { .. }
        | AuthorityError::OtherProvince { .. }
        | AuthorityError::Expired => Failure::refused(text),
        AuthorityError::UnknownSerial { .. } => Failure::not_found(text),
        AuthorityError::File(_) | AuthorityError::NotACa { .. } => Failure::usage(text),
        AuthorityError::Key(_)
        | AuthorityError::InUse { .. }
        | AuthorityError::Corrupt { .. }
        | AuthorityError::NoSuchTime
        | AuthorityError::NoRandomness
        | AuthorityError::Encode(_)
        | AuthorityError::List(_) => Failure::failed(text),
    }
}

/// A file that was named but cannot be used.
fn unusable(error: &(dyn Error + 'static)) -> Failure {
    Failure::usage(chain(error))
}
