//! `liangdi node`: sets up a node on this machine, and looks after one that runs.

mod upkeep;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::{Args as ClapArgs, Subcommand};
use domain::area::{AreaCode, AreaTable};
use serde_json::json;
use store::DataKey;
use trust::name::{CertificateName, SUFFIX_DEFAULT, Suffix};

use super::exit::Failure;
use super::given::new_file;
use super::output::{Answer, record};
use super::pki::make_key_and_request;
use crate::errors::chain;

/// The example is also the pattern for a new configuration, so that the comments of both are the same.
const EXAMPLE: &str = include_str!("../../deploy/liangdi.example.toml");
const CONFIG_FILE: &str = "liangdi.toml";

/// Arguments of the noun.
#[derive(ClapArgs, Debug)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// Make directories, keys, a certificate request and a configuration; overwrites nothing 新建
    Init(Init),
    /// Make a new sealing key; what was sealed with the old one still opens 更换密钥
    RotateKey(upkeep::RotateKey),
    /// End the service of the node: send nothing new, settle everything, then tell the others 停用
    Retire(upkeep::Retire),
}

#[derive(ClapArgs, Debug)]
struct Init {
    /// Directory of the node
    #[arg(long)]
    dir: PathBuf,
    /// Area it speaks for, six digits
    #[arg(long, value_name = "CODE")]
    area: AreaCode,
    /// Name of the office, for people; the area's when left out
    #[arg(long)]
    name: Option<String>,
    /// Address for other nodes
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:7401")]
    listen_node: SocketAddr,
    /// Address for clerks' programs
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:7402")]
    listen_office: SocketAddr,
    /// Suffix of all names of this network
    #[arg(long, value_name = "NAME", env = "LIANGDI_SUFFIX", default_value = SUFFIX_DEFAULT)]
    suffix: Suffix,
}

/// Runs the command.
pub(super) fn run(args: Args) -> Result<Answer, Failure> {
    match args.verb {
        Verb::Init(given) => init(given),
        Verb::RotateKey(args) => super::online(upkeep::rotate_key(args)),
        Verb::Retire(args) => super::online(upkeep::retire(args)),
    }
}

fn init(given: Init) -> Result<Answer, Failure> {
    let area_name = match AreaTable::builtin().lookup(&given.area) {
        Some(area) if given.area == given.area.county() => area.name,
        _ => {
            return Err(Failure::usage(format!("{} is no area with a node", given.area))
                .advise("look it up: liangdi area find NAME"));
        }
    };
    let config = given.dir.join(CONFIG_FILE);
    if config.exists() {
        return Err(Failure::usage(format!("there is a node in {} already", given.dir.display())));
    }
    let tls = given.dir.join("tls");
    let (key, csr) = (tls.join("node.key"), tls.join("node.csr"));
    let data_key = given.dir.join("data.key");
    for dir in [&tls, &given.dir.join("data")] {
        private_dir(dir)?;
    }
    DataKey::create(&data_key).map_err(|e| Failure::usage(chain(&e)))?;
    make_key_and_request(&CertificateName::Node(given.area), &given.suffix, &key, &csr)?;
    let name = given.name.clone().unwrap_or_else(|| area_name.to_owned());
    // Last, so that its presence says that everything before it is there.
    new_file(&config, configuration(&given, &name).as_bytes())?;
    Ok(answer(&given, &config, &csr, &data_key))
}

fn private_dir(dir: &Path) -> Result<(), Failure> {
    let mut how = fs::DirBuilder::new();
    how.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut how, 0o700);
    how.create(dir).map_err(|e| Failure::failed(format!("cannot make {}: {e}", dir.display())))
}

/// The example with the values given, and its sample peer turned into a comment.
fn configuration(given: &Init, name: &str) -> String {
    let province = given.area.province_prefix();
    let lists = format!("[\"tls/root.crl.pem\", \"tls/province-{province}.crl.pem\"]");
    let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
    let values = [
        ("", "area", quoted(given.area.as_str())),
        ("", "name", quoted(name)),
        ("[listen]", "node", quoted(&given.listen_node.to_string())),
        ("[listen]", "office", quoted(&given.listen_office.to_string())),
        ("[tls]", "revocation_lists", lists),
        ("[tls]", "suffix", quoted(given.suffix.as_str())),
    ];
    let mut section = "";
    let mut text = String::new();
    for line in EXAMPLE.lines() {
        if line.starts_with('[') {
            section = line;
        }
        let key = line.split_once(" = ").map(|(key, _)| key);
        let value = values.iter().find(|(s, k, _)| *s == section && Some(*k) == key);
        match value {
            _ if section == "[[peer]]" && !line.is_empty() => text.push_str(&format!("# {line}")),
            Some((_, key, value)) => text.push_str(&format!("{key} = {value}")),
            None => text.push_str(line),
        }
        text.push('\n');
    }
    text
}

fn answer(given: &Init, config: &Path, csr: &Path, data_key: &Path) -> Answer {
    let (area, csr, config) = (given.area, csr.display(), config.display());
    let tls = given.dir.join("tls");
    let tls = tls.display();
    let pairs = [
        ("configuration", config.to_string()),
        ("request", csr.to_string()),
        ("data key", format!("{} (keep a copy away from this machine)", data_key.display())),
    ];
    let next = format!(
        "
Next:
  1. Send {csr} to the province; it runs
       liangdi pki node issue --ca DIR --csr node.csr --area {area} --out node.pem
  2. Put its answer at {tls}/node.pem, the root at {tls}/root.pem, and the revocation lists beside them
  3. Name the node of the province in {config} (a [[peer]]); it tells of all others. Then
       liangdi config check {config}
       liangdi serve --config {config}"
    );
    let json = json!({
        "area": area.as_str(),
        "config": config.to_string(),
        "csr": csr.to_string(),
        "key": given.dir.join("tls/node.key"),
        "data_key": data_key,
    });
    Answer::new(json, record(&pairs)).and(&next)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;

    fn init(dir: &Path) -> Init {
        Init {
            dir: dir.to_owned(),
            area: "440305".parse().unwrap(),
            name: Some("深圳市\"南山\"区".to_owned()),
            listen_node: "127.0.0.1:8101".parse().unwrap(),
            listen_office: "127.0.0.1:8102".parse().unwrap(),
            suffix: "test.internal".parse().unwrap(),
        }
    }

    #[test]
    fn a_new_node_has_a_configuration_that_can_be_used() {
        let dir = tempfile::tempdir().unwrap();
        let node = dir.path().join("node");
        run(Args { verb: Verb::Init(init(&node)) }).unwrap();
        let settings = Settings::load(&node.join(CONFIG_FILE)).unwrap();
        assert_eq!(settings.area.as_str(), "440305");
        assert_eq!(settings.office_name, "深圳市\"南山\"区");
        assert_eq!(settings.listen_node.port(), 8101);
        assert_eq!(settings.listen_office.port(), 8102);
        assert_eq!(settings.tls.suffix, "test.internal");
        assert_eq!(settings.data_dir, node.join("data"));
        assert!(settings.peers.is_empty());
        let lists = settings.tls.revocation_lists;
        assert!(lists.contains(&node.join("tls/province-44.crl.pem")), "{lists:?}");
        let again = run(Args { verb: Verb::Init(init(&node)) }).unwrap_err();
        assert_eq!(again.exit.number(), 2);
        #[cfg(unix)]
        for secret in ["data.key", "tls/node.key"] {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(node.join(secret)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{secret}");
        }
    }

    #[test]
    fn a_town_or_an_unknown_area_has_no_node() {
        let dir = tempfile::tempdir().unwrap();
        for area in ["410522101", "999999"] {
            let given = Init { area: area.parse().unwrap(), ..init(dir.path()) };
            assert_eq!(run(Args { verb: Verb::Init(given) }).unwrap_err().exit.number(), 2);
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
