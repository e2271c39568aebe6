//! What a CA keeps: what it issued and revoked, and its revocation list.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Args as ClapArgs, ValueEnum};
use serde_json::json;
use trust::authority::{
    AuthorityError, IssuedRecord, ProvinceAuthority, RevocationReason, RevokedRecord, RootAuthority,
};
use trust::crl::RevocationList;

use super::super::exit::Failure;
use super::super::given::replace_file;
use super::super::output::{Answer, record, table};
use super::{CaArgs, refused};
use crate::time::SystemClock;
use domain::hex::hex;

#[derive(ClapArgs, Debug)]
pub(super) struct ShowCa {
    #[command(flatten)]
    ca: CaArgs,
}

#[derive(ClapArgs, Debug)]
pub(super) struct List {
    #[command(flatten)]
    ca: CaArgs,
}

#[derive(ClapArgs, Debug)]
pub(super) struct IssueList {
    #[command(flatten)]
    ca: CaArgs,
    /// List to write; an older one is replaced
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

#[derive(ClapArgs, Debug)]
pub(super) struct Revoke {
    #[command(flatten)]
    ca: CaArgs,
    #[command(flatten)]
    which: Which,
    /// Why
    #[arg(long, value_enum, default_value_t = Why::Unspecified)]
    reason: Why,
}

#[derive(ClapArgs, Debug)]
#[group(required = true, multiple = false)]
struct Which {
    /// Serial number, hexadecimal
    #[arg(long)]
    serial: Option<String>,
    /// Name in the certificate: everything in force under it is revoked
    #[arg(long)]
    name: Option<String>,
}

#[derive(ValueEnum, Clone, Copy, Debug)]
enum Why {
    /// No reason is given
    Unspecified,
    /// The private key is in other hands, or may be
    KeyCompromise,
    /// The private key of a CA is in other hands, or may be
    CaCompromise,
    /// The operator works elsewhere or has another role
    AffiliationChanged,
    /// Another certificate takes its place
    Superseded,
    /// The node or office is closed
    CessationOfOperation,
}

impl From<Why> for RevocationReason {
    fn from(why: Why) -> Self {
        match why {
            Why::Unspecified => Self::Unspecified,
            Why::KeyCompromise => Self::KeyCompromise,
            Why::CaCompromise => Self::CaCompromise,
            Why::AffiliationChanged => Self::AffiliationChanged,
            Why::Superseded => Self::Superseded,
            Why::CessationOfOperation => Self::CessationOfOperation,
        }
    }
}

/// A root or a province's CA: what is done with both is the same.
enum Ca {
    Root(RootAuthority),
    Province(ProvinceAuthority),
}

impl Ca {
    fn open(given: &CaArgs) -> Result<Self, Failure> {
        match RootAuthority::open(&given.ca) {
            Ok(root) => Ok(Self::Root(root)),
            Err(AuthorityError::NotACa { .. }) => {
                ProvinceAuthority::open(&given.ca).map(Self::Province).map_err(refused)
            }
            Err(error) => Err(refused(error)),
        }
    }

    fn issued(&self) -> Result<Vec<IssuedRecord>, Failure> {
        match self {
            Self::Root(ca) => ca.issued(),
            Self::Province(ca) => ca.issued(),
        }
        .map_err(refused)
    }

    fn revoked(&self) -> Result<Vec<RevokedRecord>, Failure> {
        match self {
            Self::Root(ca) => ca.revoked(),
            Self::Province(ca) => ca.revoked(),
        }
        .map_err(refused)
    }

    fn revoke(&self, serial: &str, why: RevocationReason) -> Result<RevokedRecord, Failure> {
        let now = SystemClock.now();
        match self {
            Self::Root(ca) => ca.revoke(serial, why, now),
            Self::Province(ca) => ca.revoke(serial, why, now),
        }
        .map_err(refused)
    }

    fn revocation_list(&self) -> Result<RevocationList, Failure> {
        let now = SystemClock.now();
        match self {
            Self::Root(ca) => ca.revocation_list(now),
            Self::Province(ca) => ca.revocation_list(now),
        }
        .map_err(refused)
    }
}

pub(super) fn show_ca(given: &ShowCa) -> Result<Answer, Failure> {
    let root = RootAuthority::open(&given.ca.ca).map_err(refused)?;
    let certificate = given.ca.ca.join("ca.pem");
    let (issued, revoked) = (root.issued().map_err(refused)?, root.revoked().map_err(refused)?);
    let fingerprint = hex(&root.fingerprint());
    let pairs = [
        ("suffix", root.suffix().to_string()),
        ("valid until", root.ends().to_string()),
        ("fingerprint", fingerprint.clone()),
        ("certificate", certificate.display().to_string()),
        ("provinces issued", issued.len().to_string()),
        ("revoked", revoked.len().to_string()),
    ];
    let json = json!({
        "suffix": root.suffix().as_str(),
        "valid_until": root.ends().to_string(),
        "fingerprint": fingerprint,
        "certificate": certificate,
        "issued": issued.len(),
        "revoked": revoked.len(),
    });
    Ok(Answer::new(json, record(&pairs)))
}

pub(super) fn list(given: &List) -> Result<Answer, Failure> {
    let ca = Ca::open(&given.ca)?;
    let revoked: BTreeMap<String, RevokedRecord> =
        ca.revoked()?.into_iter().map(|r| (r.serial.clone(), r)).collect();
    let issued = ca.issued()?;
    let since = |r: &IssuedRecord| revoked.get(&r.serial).map(|r| r.at.to_string());
    let row = |r: &IssuedRecord| {
        let times = [r.issued.to_string(), r.not_after.to_string(), since(r).unwrap_or_default()];
        [r.name.clone(), r.serial.clone()].into_iter().chain(times).collect()
    };
    let rows: Vec<Vec<String>> = issued.iter().map(row).collect();
    let object = |r: &IssuedRecord| {
        json!({
            "name": r.name,
            "serial": r.serial,
            "issued": r.issued.to_string(),
            "valid_until": r.not_after.to_string(),
            "fingerprint": r.fingerprint,
            "revoked": since(r),
        })
    };
    let text = table(&["name", "serial", "issued", "valid until", "revoked"], &rows);
    Ok(Answer::new(issued.iter().map(object).collect(), text))
}

pub(super) fn revoke(given: &Revoke) -> Result<Answer, Failure> {
    let ca = Ca::open(&given.ca)?;
    let mut done = Vec::new();
    for serial in serials(&ca, &given.which)? {
        done.push(ca.revoke(&serial, given.reason.into())?);
    }
    let rows: Vec<Vec<String>> =
        done.iter().map(|r| vec![r.serial.clone(), r.at.to_string()]).collect();
    let object = |r: &RevokedRecord| json!({ "serial": r.serial, "revoked": r.at.to_string() });
    let next = format!(
        "\nIt counts for others from the next list on:\n  liangdi pki crl issue --ca {} --out FILE",
        given.ca.ca.display()
    );
    let json = done.iter().map(object).collect();
    Ok(Answer::new(json, table(&["serial", "revoked"], &rows)).and(&next))
}

fn serials(ca: &Ca, which: &Which) -> Result<Vec<String>, Failure> {
    if let Some(serial) = &which.serial {
        return Ok(vec![serial.clone()]);
    }
    let name = which.name.as_deref().unwrap_or_default();
    let now = SystemClock.now();
    let of_name = ca.issued()?.into_iter().filter(|r| r.name == name && r.not_after > now);
    let serials: Vec<String> = of_name.map(|r| r.serial).collect();
    if serials.is_empty() {
        return Err(Failure::not_found(format!("nothing in force was issued here to {name}"))
            .advise("see the names with: liangdi pki list --ca DIR"));
    }
    Ok(serials)
}

pub(super) fn issue_list(given: &IssueList) -> Result<Answer, Failure> {
    let ca = Ca::open(&given.ca)?;
    let (revoked, list) = (ca.revoked()?, ca.revocation_list()?);
    replace_file(&given.out, list.pem().as_bytes())?;
    let pairs = [
        ("issuer", list.issuer().to_owned()),
        ("revoked", revoked.len().to_string()),
        ("issued", list.this_update().to_string()),
        ("good until", list.next_update().to_string()),
        ("list", given.out.display().to_string()),
    ];
    let json = json!({
        "issuer": list.issuer(),
        "revoked": revoked.len(),
        "issued": list.this_update().to_string(),
        "good_until": list.next_update().to_string(),
        "list": given.out,
    });
    Ok(Answer::new(json, record(&pairs)))
}
