//! Making CAs, and issuing certificates from requests.

use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;
use domain::access::Role;
use domain::area::AreaCode;
use domain::id::OperatorName;
use serde_json::json;
use trust::authority::{Issued, ProvinceAuthority, RootAuthority};

use super::super::exit::Failure;
use super::super::given::{choice, new_file, text_file};
use super::super::output::{Answer, record};
use super::{CaArgs, SuffixArgs, refused};
use crate::time::SystemClock;
use domain::hex::hex;

#[derive(ClapArgs, Debug)]
pub(super) struct CreateRoot {
    #[command(flatten)]
    ca: CaArgs,
    #[command(flatten)]
    suffix: SuffixArgs,
}

#[derive(ClapArgs, Debug)]
pub(super) struct CreateProvince {
    #[command(flatten)]
    ca: CaArgs,
    /// Directory of the root
    #[arg(long, value_name = "DIR")]
    root: PathBuf,
    /// Province, such as 41
    #[arg(long, value_name = "CODE", value_parser = super::province)]
    area: AreaCode,
}

/// A request, and where the certificate goes.
#[derive(ClapArgs, Debug)]
struct Order {
    #[command(flatten)]
    ca: CaArgs,
    /// The request
    #[arg(long, value_name = "FILE")]
    csr: PathBuf,
    /// Certificate to write; must not exist yet
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

#[derive(ClapArgs, Debug)]
pub(super) struct IssueProvince {
    #[command(flatten)]
    order: Order,
    /// Province, such as 41
    #[arg(long, value_name = "CODE", value_parser = super::province)]
    area: AreaCode,
}

#[derive(ClapArgs, Debug)]
pub(super) struct InstallProvince {
    #[command(flatten)]
    ca: CaArgs,
    /// The certificate that the root issued
    #[arg(long, value_name = "FILE")]
    certificate: PathBuf,
}

#[derive(ClapArgs, Debug)]
pub(super) struct IssueNode {
    #[command(flatten)]
    order: Order,
    /// Area the node speaks for; the request must ask for the same
    #[arg(long, value_name = "CODE")]
    area: AreaCode,
}

#[derive(ClapArgs, Debug)]
pub(super) struct IssueOperator {
    #[command(flatten)]
    order: Order,
    /// The operator's name at the office
    #[arg(long)]
    name: OperatorName,
    /// Area of the office
    #[arg(long, value_name = "CODE")]
    area: AreaCode,
    /// What she may do
    #[arg(long, value_parser = choice(Role::chinese))]
    role: Role,
}

pub(super) fn create_root(given: &CreateRoot) -> Result<Answer, Failure> {
    let (dir, now) = (&given.ca.ca, SystemClock.now());
    let root = RootAuthority::create(dir, &given.suffix.suffix, now).map_err(refused)?;
    let made = made(dir, root.suffix().as_str(), &hex(&root.fingerprint()), root.ends());
    Ok(made
        .and("\nKeep this directory away from any network. Give ca.pem to everyone, as root.pem."))
}

pub(super) fn create_province(given: &CreateProvince) -> Result<Answer, Failure> {
    let (dir, now) = (&given.ca.ca, SystemClock.now());
    let root = RootAuthority::open(&given.root).map_err(refused)?;
    let province = ProvinceAuthority::create(dir, &root, given.area, now).map_err(refused)?;
    let name = province.suffix().province(given.area);
    Ok(made(dir, &name, &hex(&province.fingerprint()), province.ends()))
}

pub(super) fn province(given: &IssueProvince) -> Result<Answer, Failure> {
    let root = RootAuthority::open(&given.order.ca.ca).map_err(refused)?;
    let csr = text_file(&given.order.csr)?;
    let issued = root.issue_province(&csr, given.area, SystemClock.now()).map_err(refused)?;
    hand_out(&given.order, &issued)
}

pub(super) fn install_province(given: &InstallProvince) -> Result<Answer, Failure> {
    let (dir, pem) = (&given.ca.ca, text_file(&given.certificate)?);
    let province = ProvinceAuthority::install(dir, &pem).map_err(refused)?;
    let name = province.suffix().province(province.province());
    Ok(made(dir, &name, &hex(&province.fingerprint()), province.ends()))
}

pub(super) fn node(given: &IssueNode) -> Result<Answer, Failure> {
    let ca = ProvinceAuthority::open(&given.order.ca.ca).map_err(refused)?;
    let csr = text_file(&given.order.csr)?;
    let issued = ca.issue_node(&csr, given.area, SystemClock.now()).map_err(refused)?;
    hand_out(&given.order, &issued)
}

pub(super) fn operator(given: &IssueOperator) -> Result<Answer, Failure> {
    let ca = ProvinceAuthority::open(&given.order.ca.ca).map_err(refused)?;
    let csr = text_file(&given.order.csr)?;
    let now = SystemClock.now();
    let issued = ca.issue_operator(&csr, &given.name, given.area, given.role, now);
    hand_out(&given.order, &issued.map_err(refused)?)
}

fn hand_out(order: &Order, issued: &Issued) -> Result<Answer, Failure> {
    new_file(&order.out, issued.chain_pem.as_bytes())?;
    let line = &issued.record;
    let pairs = [
        ("name", line.name.clone()),
        ("serial", line.serial.clone()),
        ("valid until", line.not_after.to_string()),
        ("fingerprint", line.fingerprint.clone()),
        ("certificate", order.out.display().to_string()),
    ];
    let json = json!({
        "name": line.name,
        "serial": line.serial,
        "valid_until": line.not_after.to_string(),
        "fingerprint": line.fingerprint,
        "certificate": order.out,
    });
    Ok(Answer::new(json, record(&pairs)))
}

fn made(dir: &Path, name: &str, fingerprint: &str, ends: domain::time::UnixMillis) -> Answer {
    let certificate = dir.join("ca.pem");
    let pairs = [
        ("may name", format!("everything under {name}")),
        ("valid until", ends.to_string()),
        ("fingerprint", fingerprint.to_owned()),
        ("certificate", certificate.display().to_string()),
        ("key", format!("{} (keep it here)", dir.join("ca.key").display())),
    ];
    let json = json!({
        "name": name,
        "valid_until": ends.to_string(),
        "fingerprint": fingerprint,
        "certificate": certificate,
    });
    Answer::new(json, record(&pairs))
}
