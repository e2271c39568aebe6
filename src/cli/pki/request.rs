//! Keys and requests: made where the key stays.

use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;
use domain::area::AreaCode;
use domain::id::OperatorName;
use serde_json::json;
use trust::authority::ProvinceAuthority;
use trust::leaf;
use trust::name::{CertificateName, Suffix};

use super::super::exit::Failure;
use super::super::given::new_file;
use super::super::output::{Answer, record};
use super::{CaArgs, SuffixArgs, refused, unusable};
use crate::errors::chain;

#[derive(ClapArgs, Debug)]
pub(super) struct RequestProvince {
    #[command(flatten)]
    ca: CaArgs,
    /// Province, such as 41
    #[arg(long, value_name = "CODE", value_parser = super::province)]
    area: AreaCode,
    /// Request to write; goes to the root
    #[arg(long, value_name = "FILE")]
    csr: PathBuf,
    #[command(flatten)]
    suffix: SuffixArgs,
}

/// Where a new key and its request go.
#[derive(ClapArgs, Debug)]
pub(super) struct KeyAndCsr {
    /// Private key to write; never leaves this machine
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Request to write; goes to the province
    #[arg(long, value_name = "FILE")]
    csr: PathBuf,
    #[command(flatten)]
    suffix: SuffixArgs,
}

#[derive(ClapArgs, Debug)]
pub(super) struct RequestNode {
    /// Area the node speaks for
    #[arg(long, value_name = "CODE")]
    area: AreaCode,
    #[command(flatten)]
    files: KeyAndCsr,
}

#[derive(ClapArgs, Debug)]
pub(super) struct RequestOperator {
    /// The operator's name at the office, such as alice
    #[arg(long)]
    name: OperatorName,
    /// Area of the office
    #[arg(long, value_name = "CODE")]
    area: AreaCode,
    #[command(flatten)]
    files: KeyAndCsr,
}

pub(super) fn province(given: &RequestProvince) -> Result<Answer, Failure> {
    let suffix = &given.suffix.suffix;
    let csr = ProvinceAuthority::request(&given.ca.ca, given.area, suffix).map_err(refused)?;
    new_file(&given.csr, csr.as_bytes())?;
    let key = given.ca.ca.join("ca.key");
    let next = format!(
        "\nSend {} to the root; it answers with a certificate. Then:\n  liangdi pki province install --ca {} --certificate FILE",
        given.csr.display(),
        given.ca.ca.display(),
    );
    Ok(answer(&suffix.province(given.area), &key, &given.csr).and(&next))
}

pub(super) fn node(given: &RequestNode) -> Result<Answer, Failure> {
    let name = CertificateName::Node(given.area);
    let answer = request(&name, &given.files)?;
    let (area, csr) = (given.area, given.files.csr.display());
    let next = format!(
        "\nSend {csr} to the province; it runs:\n  liangdi pki node issue --ca DIR --csr {csr} --area {area} --out node.pem"
    );
    Ok(answer.and(&next))
}

pub(super) fn operator(given: &RequestOperator) -> Result<Answer, Failure> {
    let name = CertificateName::Operator { name: given.name.clone(), area: given.area };
    let answer = request(&name, &given.files)?;
    let (who, area, csr) = (given.name.as_str(), given.area, given.files.csr.display());
    let next = format!(
        "\nSend {csr} to the province; it runs:\n  liangdi pki operator issue --ca DIR --csr {csr} --name {who} --area {area} --role ROLE --out {who}.pem"
    );
    Ok(answer.and(&next))
}

fn request(name: &CertificateName, files: &KeyAndCsr) -> Result<Answer, Failure> {
    make_key_and_request(name, &files.suffix.suffix, &files.key, &files.csr)?;
    let dns = name.to_dns(&files.suffix.suffix).map_err(|e| Failure::usage(chain(&e)))?;
    Ok(answer(&dns, &files.key, &files.csr))
}

/// A new key and a request for it, in two files that must not exist yet.
pub(in super::super) fn make_key_and_request(
    name: &CertificateName,
    suffix: &Suffix,
    key: &Path,
    csr: &Path,
) -> Result<(), Failure> {
    let made = leaf::request(name, suffix).map_err(|e| Failure::usage(chain(&e)))?;
    made.key.save(key).map_err(|e| unusable(&e))?;
    new_file(csr, made.csr_pem.as_bytes())
}

fn answer(name: &str, key: &Path, csr: &Path) -> Answer {
    let pairs = [
        ("name", name.to_owned()),
        ("key", format!("{} (keep it here, nobody else needs it)", key.display())),
        ("request", csr.display().to_string()),
    ];
    Answer::new(json!({ "name": name, "key": key, "csr": csr }), record(&pairs))
}
