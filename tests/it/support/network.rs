//! The certificates of a small network, and the nodes in it.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use domain::access::Role;
use domain::area::AreaCode;
use domain::time::UnixMillis;
use liangdi::cli::connect::ConnectArgs;
use store::DataKey;
use tempfile::TempDir;
use trust::authority::{Issued, ProvinceAuthority, RevocationReason, RootAuthority};
use trust::crl::{GRACE_DEFAULT, RevocationLists};
use trust::key::SigningKey;
use trust::leaf::{Identity, request};
use trust::name::{CertificateName, Suffix};
use trust::tls::TlsMaterial;
use trust::verify::{ChainVerifier, Roots};

use super::node::Node;
use super::{area, eventually, now};

/// Provinces whose CAs a network has.
const PROVINCES: [&str; 2] = ["410000", "440000"];

/// A root, two provinces, and whatever nodes and operators a test asks for.
pub struct Network {
    pub dir: TempDir,
    pub root: RootAuthority,
    provinces: Vec<ProvinceAuthority>,
    ports: RefCell<BTreeMap<AreaCode, Ports>>,
    /// The time at which certificates and lists are made; that of the machine when not set.
    at: Cell<Option<UnixMillis>>,
}

#[derive(Clone, Copy, Debug)]
pub struct Ports {
    pub node: u16,
    pub office: u16,
}

/// A certificate of the network with its key.
pub struct Certified {
    pub identity: Arc<Identity>,
    pub chain_pem: String,
    pub key: SigningKey,
    pub serial: String,
}

impl Network {
    pub fn new() -> Self {
        Self::made(None)
    }

    /// A network that was made at another time than now.
    pub fn starting(at: UnixMillis) -> Self {
        Self::made(Some(at))
    }

    /// Certificates and lists are made at that time from now on.
    pub fn set(&self, at: UnixMillis) {
        self.at.set(Some(at));
    }

    fn now(&self) -> UnixMillis {
        self.at.get().unwrap_or_else(now)
    }

    fn made(at: Option<UnixMillis>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let made = at.unwrap_or_else(now);
        let root = RootAuthority::create(&dir.path().join("root"), &Suffix::default(), made);
        let root = root.unwrap();
        let province = |code: &&str| {
            let directory = dir.path().join(code);
            let csr = ProvinceAuthority::request(&directory, area(code), root.suffix()).unwrap();
            let issued = root.issue_province(&csr, area(code), made).unwrap();
            // A process that another test is just starting holds our file locks until it is itself.
            eventually("the CA can be opened", || {
                ProvinceAuthority::install(&directory, &issued.chain_pem).ok()
            })
        };
        let provinces = PROVINCES.iter().map(province).collect();
        let network = Self { dir, root, provinces, ports: RefCell::default(), at: Cell::new(at) };
        std::fs::write(network.path("root.pem"), network.root.certificate_pem()).unwrap();
        network.publish_lists();
        network
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn province(&self, area: AreaCode) -> &ProvinceAuthority {
        self.provinces.iter().find(|p| p.province() == area.province()).unwrap()
    }

    /// A new certificate, issued as if it were `at`.
    pub fn certify(&self, name: &CertificateName, role: Option<Role>, at: UnixMillis) -> Certified {
        let asked = request(name, &Suffix::default()).unwrap();
        let ca = self.province(name.area());
        let Issued { der, chain_pem, record } = match name {
            CertificateName::Node(area) => ca.issue_node(&asked.csr_pem, *area, at).unwrap(),
            CertificateName::Operator { name, area } => {
                ca.issue_operator(&asked.csr_pem, name, *area, role.unwrap(), at).unwrap()
            }
        };
        let chain = vec![der.to_vec(), ca.certificate().to_vec()];
        let identity = Identity::new(chain, copy(&asked.key, self), &Suffix::default()).unwrap();
        Certified { identity: Arc::new(identity), chain_pem, key: asked.key, serial: record.serial }
    }

    pub fn node_certificate(&self, area: AreaCode) -> Certified {
        self.certify(&CertificateName::Node(area), None, self.now())
    }

    /// An identity made of any chain, checked by nobody.
    pub fn material(&self, identity: Arc<Identity>) -> TlsMaterial {
        TlsMaterial::new(identity, Arc::new(self.chains()))
    }

    /// What others are checked against: the root and the lists of now.
    pub fn chains(&self) -> ChainVerifier {
        let roots = Roots::new(vec![self.root.certificate().clone()]).unwrap();
        ChainVerifier::new(roots, Suffix::default(), self.lists())
    }

    /// The lists of all CAs as of now.
    pub fn lists(&self) -> RevocationLists {
        let mut lists = vec![self.root.revocation_list(self.now()).unwrap()];
        lists.extend(self.provinces.iter().map(|p| p.revocation_list(self.now()).unwrap()));
        RevocationLists::new(lists, GRACE_DEFAULT)
    }

    /// Writes the revocation lists of this moment where all nodes of the network read them.
    pub fn publish_lists(&self) {
        let text: String = self.lists().iter().map(|list| list.pem()).collect();
        replace(&self.path("lists.pem"), text.as_bytes());
    }

    pub fn revoke(&self, area: AreaCode, serial: &str) {
        let reason = RevocationReason::KeyCompromise;
        self.province(area).revoke(serial, reason, self.now()).unwrap();
    }

    /// An operator of an office, as the command line has him.
    pub fn operator(&self, name: &str, code: &str, role: Role) -> ConnectArgs {
        let office = area(code);
        let full = CertificateName::Operator { name: name.parse().unwrap(), area: office };
        let certified = self.certify(&full, Some(role), self.now());
        // A name of their own each time: the same operator may ask for a second certificate.
        let file = |end: &str| self.path(&format!("{name}-{code}-{}.{end}", certified.serial));
        let (cert, key) = (file("pem"), file("key"));
        std::fs::write(&cert, &certified.chain_pem).unwrap();
        certified.key.save(&key).unwrap();
        ConnectArgs {
            office: Some(format!("127.0.0.1:{}", self.ports(office).office)),
            cert: Some(cert),
            key: Some(key),
            root: Some(self.path("root.pem")),
            ..ConnectArgs::default()
        }
    }

    pub fn ports(&self, area: AreaCode) -> Ports {
        let mut ports = self.ports.borrow_mut();
        *ports.entry(area).or_insert_with(|| Ports { node: free_port(), office: free_port() })
    }

    /// A node that is set up but does not run yet.
    pub fn node(&self, code: &str, peers: &[&str]) -> Node {
        let own = area(code);
        let dir = self.path(&format!("node-{code}"));
        std::fs::create_dir_all(dir.join("data")).unwrap();
        let certified = self.node_certificate(own);
        std::fs::write(dir.join("node.pem"), &certified.chain_pem).unwrap();
        certified.key.save(&dir.join("node.key")).unwrap();
        DataKey::create(&dir.join("data.key")).unwrap();
        let Ports { node, office } = self.ports(own);
        let mut config = format!(
            "area = \"{code}\"\nname = \"测试\"\ndata_dir = \"data\"\n\
             [listen]\nnode = \"127.0.0.1:{node}\"\noffice = \"127.0.0.1:{office}\"\n\
             [tls]\ncertificate = \"node.pem\"\nkey = \"node.key\"\nroot = \"../root.pem\"\n\
             revocation_lists = [\"../lists.pem\"]\n\
             [store]\nkey_file = \"data.key\"\ncache_mb = 8\n\
             [delivery]\nbackoff_min_ms = 50\nbackoff_max_ms = 500\nreceipt_timeout_ms = 5000\n\
             progress_every_s = 3600\n[alarms]\nlook_every_s = 1\n"
        );
        for peer in peers {
            let port = self.ports(area(peer)).node;
            config += &format!("[[peer]]\narea = \"{peer}\"\nendpoint = \"127.0.0.1:{port}\"\n");
        }
        std::fs::write(dir.join("liangdi.toml"), config).unwrap();
        Node::new(own, dir, self.ports(own), certified.serial)
    }
}

/// Writes a file whole, so that a reader finds the old one or the new one.
pub fn replace(path: &Path, bytes: &[u8]) {
    let beside = path.with_extension("new");
    std::fs::write(&beside, bytes).unwrap();
    std::fs::rename(&beside, path).unwrap();
}

/// Keys are not cloned; a copy goes over a file, as it does for a node.
fn copy(key: &SigningKey, network: &Network) -> SigningKey {
    static NUMBER: AtomicU16 = AtomicU16::new(0);
    let path = network.path(&format!("copy-{}.key", NUMBER.fetch_add(1, Ordering::Relaxed)));
    key.save(&path).unwrap();
    SigningKey::load(&path).unwrap()
}

/// A port below those that the system gives to callers, so that nobody takes it while a node is down.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    loop {
        let offset = NEXT.fetch_add(1, Ordering::Relaxed);
        let start = u16::try_from(std::process::id() % 60).unwrap() * 200;
        let port = 20_000 + (start + offset) % 12_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
