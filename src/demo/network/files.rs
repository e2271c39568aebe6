//! The files of a network: CAs, certificates, revocation lists, configurations and profiles.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use domain::access::Role;
use domain::area::{AreaCode, AreaTable};
use domain::id::OperatorName;
use store::DataKey;
use trust::authority::{ProvinceAuthority, RootAuthority};
use trust::leaf;
use trust::name::{CertificateName, Suffix};

use super::{NetworkError, Plan, Tuning, ports};
use crate::time::SystemClock;

/// Lines of a log that are shown when something went wrong.
const TAIL_LINES: usize = 15;

/// A node of the network and what belongs to it.
#[derive(Clone, Debug)]
pub struct Member {
    /// Area it speaks for.
    pub area: AreaCode,
    /// Name of the area.
    pub name: &'static str,
    /// Port of the node API, on 127.0.0.1.
    pub node_port: u16,
    /// Port of the office API, on 127.0.0.1.
    pub office_port: u16,
    /// Its directory.
    pub dir: PathBuf,
    /// Its store and what else it keeps.
    pub data_dir: PathBuf,
    /// Its configuration.
    pub config: PathBuf,
    /// Its log: everything it wrote since it was first started.
    pub log: PathBuf,
    /// Its certificate chain, PEM.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
    /// Root certificate of the network, PEM.
    pub root: PathBuf,
    /// Operators of its office.
    pub operators: Vec<Operator>,
}

/// Somebody who works at an office.
#[derive(Clone, Debug)]
pub struct Operator {
    /// Her name in the certificate.
    pub name: String,
    /// What she may do.
    pub role: Role,
    /// Her certificate chain, PEM.
    pub certificate: PathBuf,
    /// Her private key, PEM.
    pub key: PathBuf,
    /// Her profile for `liangdi … --profile`.
    pub profile: PathBuf,
}

impl Member {
    /// Whether it is the node of a province.
    #[must_use]
    pub fn is_province(&self) -> bool {
        self.area == self.area.province()
    }

    /// The first operator of a role.
    ///
    /// # Errors
    /// [`NetworkError::NoOperator`].
    pub fn operator(&self, role: Role) -> Result<&Operator, NetworkError> {
        let found = self.operators.iter().find(|o| o.role == role);
        found.ok_or(NetworkError::NoOperator { area: self.area, role })
    }

    /// The last lines of its log; empty when there is none.
    #[must_use]
    pub fn log_tail(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines.get(lines.len().saturating_sub(TAIL_LINES)..).unwrap_or_default().join("\n")
    }
}

/// Makes everything that a plan names.
pub(super) fn make(plan: &Plan) -> Result<Vec<Member>, NetworkError> {
    let now = SystemClock.now();
    let public = plan.dir.join("pki");
    make_dir(&public)?;
    let root = RootAuthority::create(&plan.dir.join("ca/root"), &Suffix::default(), now)?;
    write(&public.join("root.pem"), &root.certificate_pem())?;
    for province in provinces(&plan.areas) {
        let dir = plan.dir.join("ca").join(province.province_prefix());
        ProvinceAuthority::create(&dir, &root, province, now)?;
    }
    // A CA belongs to one program at a time; whoever wants one opens it.
    drop(root);
    sign_lists(&plan.dir, &plan.areas)?;
    let count = u16::try_from(plan.areas.len()).ok().and_then(|n| n.checked_mul(2));
    let ports = ports::choose(plan.base_port, count.ok_or(NetworkError::NoPorts)?)?;
    let mut members = Vec::with_capacity(plan.areas.len());
    for (area, ports) in plan.areas.iter().zip(ports.chunks_exact(2)) {
        let &[node_port, office_port] = ports else { return Err(NetworkError::NoPorts) };
        members.push(member(&plan.dir, *area, node_port, office_port)?);
    }
    for member in &mut members {
        staff(&plan.dir, member)?;
    }
    for member in &members {
        let text = configuration(member, &members, &plan.dir, &plan.areas, plan.tuning);
        write(&member.config, &text)?;
    }
    Ok(members)
}

fn provinces(areas: &[AreaCode]) -> BTreeSet<AreaCode> {
    areas.iter().map(AreaCode::province).collect()
}

/// Where the revocation lists lie.
pub(super) fn lists(dir: &Path, areas: &[AreaCode]) -> Vec<PathBuf> {
    let public = dir.join("pki");
    let name = |p: AreaCode| public.join(format!("province-{}.crl.pem", p.province_prefix()));
    let provinces = provinces(areas).into_iter().map(name);
    [public.join("root.crl.pem")].into_iter().chain(provinces).collect()
}

/// Signs all lists anew, in the order of [`lists`].
pub(super) fn sign_lists(dir: &Path, areas: &[AreaCode]) -> Result<(), NetworkError> {
    let now = SystemClock.now();
    let mut signed = vec![RootAuthority::open(&dir.join("ca/root"))?.revocation_list(now)?];
    for province in provinces(areas) {
        let ca = ProvinceAuthority::open(&dir.join("ca").join(province.province_prefix()))?;
        signed.push(ca.revocation_list(now)?);
    }
    for (path, list) in lists(dir, areas).iter().zip(signed) {
        // Written beside and renamed: a node that reads just now sees the old list or the new one.
        let beside = path.with_extension("new");
        write(&beside, &list.pem())?;
        fs::rename(&beside, path).map_err(NetworkError::file(path))?;
    }
    Ok(())
}

fn member(
    dir: &Path,
    area: AreaCode,
    node_port: u16,
    office_port: u16,
) -> Result<Member, NetworkError> {
    let home = dir.join(area.as_str());
    let tls = home.join("tls");
    make_dir(&tls)?;
    let made = leaf::request(&CertificateName::Node(area), &Suffix::default())?;
    let (key, certificate) = (tls.join("node.key"), tls.join("node.pem"));
    made.key.save(&key).map_err(|e| NetworkError::Key(e.to_string()))?;
    let ca = ProvinceAuthority::open(&dir.join("ca").join(area.province_prefix()))?;
    let issued = ca.issue_node(&made.csr_pem, area, SystemClock.now())?;
    write(&certificate, &issued.chain_pem)?;
    DataKey::create(&home.join("data.key"))?;
    Ok(Member {
        area,
        name: AreaTable::builtin().lookup(&area).map_or("", |a| a.name),
        node_port,
        office_port,
        data_dir: home.join("data"),
        config: home.join("liangdi.toml"),
        log: home.join("node.log"),
        certificate,
        key,
        root: dir.join("pki/root.pem"),
        dir: home,
        operators: Vec::new(),
    })
}

/// The usual operators: at a county all but the collector, at a province those who look after nodes and proofs.
fn staff(dir: &Path, member: &mut Member) -> Result<(), NetworkError> {
    let roles: &[Role] = match member.is_province() {
        true => &[Role::Administrator, Role::Auditor],
        false => &[Role::Clerk, Role::Supervisor, Role::Administrator, Role::Auditor],
    };
    for role in roles {
        let operator = operator(dir, member, role.unit(), *role)?;
        member.operators.push(operator);
    }
    Ok(())
}

/// Certifies an operator and writes her profile.
pub(super) fn operator(
    dir: &Path,
    member: &Member,
    name: &str,
    role: Role,
) -> Result<Operator, NetworkError> {
    let area = member.area;
    let unfit = |_| NetworkError::OperatorName(name.to_owned());
    let operator: OperatorName = name.parse().map_err(unfit)?;
    let home = member.dir.join("operators");
    make_dir(&home)?;
    let (key, certificate) = (home.join(format!("{name}.key")), home.join(format!("{name}.pem")));
    let wanted = CertificateName::Operator { name: operator.clone(), area };
    let made = leaf::request(&wanted, &Suffix::default())?;
    made.key.save(&key).map_err(|e| NetworkError::Key(e.to_string()))?;
    let ca = ProvinceAuthority::open(&dir.join("ca").join(area.province_prefix()))?;
    let issued = ca.issue_operator(&made.csr_pem, &operator, area, role, SystemClock.now())?;
    write(&certificate, &issued.chain_pem)?;
    let profile = dir.join(format!("{area}-{name}.toml"));
    let text = format!(
        "# {name} of {area}, for: liangdi NOUN VERB --profile FILE\noffice = \"127.0.0.1:{}\"\n\
         cert = \"{area}/operators/{name}.pem\"\nkey = \"{area}/operators/{name}.key\"\n\
         root = \"pki/root.pem\"\n",
        member.office_port
    );
    write(&profile, &text)?;
    Ok(Operator { name: name.to_owned(), role, certificate, key, profile })
}

fn configuration(
    member: &Member,
    all: &[Member],
    dir: &Path,
    areas: &[AreaCode],
    tuning: Tuning,
) -> String {
    let lists = lists(dir, areas);
    let lists = lists.iter().filter_map(|path| path.file_name()?.to_str());
    let lists: Vec<String> = lists.map(|name| format!("\"../pki/{name}\"")).collect();
    let mut text = format!(
        "area = \"{area}\"\nname = \"{name}卫生健康委员会\"\ndata_dir = \"data\"\n\n\
         [listen]\nnode = \"127.0.0.1:{node_port}\"\noffice = \"127.0.0.1:{office_port}\"\n\n\
         [tls]\ncertificate = \"tls/node.pem\"\nkey = \"tls/node.key\"\nroot = \"../pki/root.pem\"\n\
         revocation_lists = [{lists}]\n\n\
         [store]\nkey_file = \"data.key\"\ncache_mb = {cache_mb}\n\n\
         [delivery]\nwindow_parcels = {window_parcels}\nbackoff_min_ms = {backoff_min_ms}\n\
         backoff_max_ms = {backoff_max_ms}\nreceipt_timeout_ms = {receipt_timeout_ms}\n",
        area = member.area,
        name = member.name,
        node_port = member.node_port,
        office_port = member.office_port,
        lists = lists.join(", "),
        cache_mb = tuning.cache_mb,
        window_parcels = tuning.window_parcels,
        backoff_min_ms = tuning.backoff_min_ms,
        backoff_max_ms = tuning.backoff_max_ms,
        receipt_timeout_ms = tuning.receipt_timeout_ms,
    );
    for peer in all.iter().filter(|peer| peer.area != member.area) {
        let (area, port) = (peer.area, peer.node_port);
        text.push_str(&format!("\n[[peer]]\narea = \"{area}\"\nendpoint = \"127.0.0.1:{port}\"\n"));
    }
    text
}

fn make_dir(path: &Path) -> Result<(), NetworkError> {
    fs::create_dir_all(path).map_err(NetworkError::file(path))
}

fn write(path: &Path, text: &str) -> Result<(), NetworkError> {
    fs::write(path, text).map_err(NetworkError::file(path))
}
