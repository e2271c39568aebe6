//! Two provinces, their authorities, and nodes that have a directory but no sockets.

use std::path::{Path, PathBuf};
use std::time::Duration;

use exchange::card::NodeCard;
use exchange::directory::DirectoryQuestion;
use exchange::keys::{SignContext, Signer as _};
use store::{DataKey, Options};
use tempfile::TempDir;
use trust::authority::{ProvinceAuthority, RootAuthority};
use trust::leaf::{Identity, request};
use trust::name::{CertificateName, Suffix};
use wire::encode_card;

use super::*;
use crate::app::Refusal;
use crate::config::{PeerSettings, Settings};
use crate::delivery::directory::keys::SealingKeys;
use crate::delivery::peers::CardState;

pub(super) fn area(code: &str) -> AreaCode {
    code.parse().unwrap()
}

pub(super) fn now() -> UnixMillis {
    SystemClock.now()
}

/// Two provinces and their authorities.
pub(super) struct Net {
    pub(super) dir: TempDir,
    pub(super) root: RootAuthority,
    pub(super) provinces: Vec<ProvinceAuthority>,
}

impl Net {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root =
            RootAuthority::create(&dir.path().join("root"), &Suffix::default(), now()).unwrap();
        let province = |code: &&str| {
            ProvinceAuthority::create(&dir.path().join(code), &root, area(code), now()).unwrap()
        };
        let provinces = ["410000", "440000"].iter().map(province).collect();
        std::fs::write(dir.path().join("root.pem"), root.certificate_pem()).unwrap();
        Self { dir, root, provinces }
    }

    pub(super) fn authority(&self, of: AreaCode) -> &ProvinceAuthority {
        self.provinces.iter().find(|p| p.province() == of.province()).unwrap()
    }

    /// The list of an area's authority as of now, DER.
    pub(super) fn list(&self, code: &str) -> Vec<u8> {
        self.authority(area(code)).revocation_list(now()).unwrap().der().to_vec()
    }

    /// The certificate of an area's authority, DER.
    pub(super) fn ca(&self, code: &str) -> Vec<u8> {
        self.authority(area(code)).certificate().to_vec()
    }

    /// Certificate and key of a node, as files in its directory; the serial number.
    pub(super) fn certify(&self, code: &str) -> (PathBuf, String) {
        let home = self.dir.path().join(format!("node-{code}"));
        std::fs::create_dir_all(&home).unwrap();
        let made = request(&CertificateName::Node(area(code)), &Suffix::default()).unwrap();
        // A key is never overwritten.
        let _none = std::fs::remove_file(home.join("node.key")).is_err();
        made.key.save(&home.join("node.key")).unwrap();
        let issued =
            self.authority(area(code)).issue_node(&made.csr_pem, area(code), now()).unwrap();
        std::fs::write(home.join("node.pem"), &issued.chain_pem).unwrap();
        (home, issued.record.serial)
    }

    /// Somebody's card, signed with a certificate of its own.
    pub(super) fn card(&self, code: &str, change: impl FnOnce(&mut NodeCard)) -> SignedCard {
        let (home, _) = self.certify(code);
        self.sign(&home, code, change)
    }

    pub(super) fn sign(
        &self,
        home: &Path,
        code: &str,
        change: impl FnOnce(&mut NodeCard),
    ) -> SignedCard {
        let suffix = Suffix::default();
        let identity = Identity::load(&home.join("node.pem"), &home.join("node.key"), &suffix);
        let identity = identity.unwrap();
        let pair = trust::seal::SealingKeyPair::generate(&mut rand::rng());
        let mut card = NodeCard {
            area: area(code),
            name: "x".to_owned(),
            endpoints: vec!["node.example:1".parse().unwrap()],
            sealing_keys: vec![exchange::card::SealingKey {
                profile: exchange::envelope::AlgorithmProfile::International,
                public_key: *pair.public().as_bytes(),
                use_until: now().saturating_add(Duration::from_secs(86_400)),
            }],
            version: 1,
            valid_from: now(),
            valid_until: now().saturating_add(Duration::from_secs(86_400)),
            maintenance: Vec::new(),
            area_changes: Vec::new(),
            collects: false,
            retired: None,
            ledger_head: None,
        };
        change(&mut card);
        let bytes = encode_card(&card);
        let signature = identity.sign(SignContext::Card, &bytes).unwrap();
        SignedCard {
            card_bytes: bytes.into(),
            signature: signature.into(),
            chain: identity.chain_der().to_vec(),
        }
    }

    /// A node of `code` that has the lists of the root and of its own province in its files, and names its province.
    pub(super) fn node(&self, code: &str) -> Node {
        let (home, _) = self.certify(code);
        let lists = [
            self.root.revocation_list(now()).unwrap(),
            self.authority(area(code)).revocation_list(now()).unwrap(),
        ];
        let text: String = lists.iter().map(trust::crl::RevocationList::pem).collect();
        std::fs::write(home.join("lists.pem"), text).unwrap();
        DataKey::create(&home.join("data.key")).unwrap();
        let config = format!(
            "area = \"{code}\"\nname = \"x\"\ndata_dir = \"data\"\n[listen]\nnode = \"127.0.0.1:1\"\noffice = \"127.0.0.1:2\"\n\
             [tls]\ncertificate = \"node.pem\"\nkey = \"node.key\"\nroot = \"../root.pem\"\nrevocation_lists = [\"lists.pem\"]\n\
             [store]\nkey_file = \"data.key\"\ncache_mb = 4\n"
        );
        let mut settings = Settings::parse(&config, &home).unwrap();
        let province = area(code).province();
        if province != area(code) {
            settings.peers =
                vec![PeerSettings { area: province, endpoint: "p.example:1".to_owned() }];
        }
        Node::open(settings)
    }
}

pub(super) struct Node {
    pub(super) settings: Arc<Settings>,
    pub(super) directory: Directory,
}

impl Node {
    pub(super) fn open(settings: impl Into<Arc<Settings>>) -> Self {
        let settings = settings.into();
        let identity = Arc::new(NodeIdentity::load(&settings.tls, now()).unwrap());
        let key = DataKey::load(&settings.store.data_key).unwrap();
        let options = Options::new(settings.area.as_str(), key, now());
        let (store, _) = Store::open(&settings.store_dir(), options).unwrap();
        let keys = Arc::new(SealingKeys::open(&store, now()).unwrap());
        let own = OwnCard::open(settings.clone(), store.clone(), identity.clone(), keys, now());
        let peers = Peers::new(settings.area, &settings.peers);
        let directory =
            Directory::open(Parts { store, identity, peers, card: Arc::new(own.unwrap()) });
        Self { settings, directory: directory.unwrap() }
    }

    pub(super) fn restart(self) -> Self {
        self.directory.0.parts.store.close().unwrap();
        let settings = self.settings.clone();
        drop(self);
        Self::open(settings)
    }

    pub(super) fn peers(&self) -> &Peers {
        &self.directory.0.parts.peers
    }

    pub(super) async fn hears(&self, said: Said) -> Taken {
        self.directory.take(area("410000"), said).await.unwrap()
    }

    pub(super) async fn hears_cards(&self, cards: Vec<SignedCard>) -> Taken {
        self.hears(Said { cards, ..Said::default() }).await
    }

    pub(super) fn state(&self, code: &str) -> CardState {
        self.peers().get(area(code)).map_or(CardState::Missing, |peer| peer.card_state(now()))
    }

    pub(super) fn version(&self, code: &str) -> u64 {
        self.peers().get(area(code)).and_then(|peer| peer.card()).map_or(0, |card| card.version)
    }

    pub(super) fn destination(&self, to: &str) -> Result<AreaCode, Refusal> {
        self.peers().destination_at(area(to), now())
    }

    /// What somebody gets who asks page by page, and his last cursor.
    pub(super) async fn tells(
        &self,
        caller: &str,
        cursor: &[u8],
    ) -> (Vec<(String, u64)>, usize, Bytes) {
        let (mut cards, mut lists, mut cursor) = (Vec::new(), 0, Bytes::copy_from_slice(cursor));
        loop {
            let question =
                DirectoryQuestion { cursor, own_card: None, revocation_lists: Vec::new() };
            let answer = self.directory.answer(area(caller), question).await.unwrap();
            assert!(answer.revocation_lists.is_empty() || !answer.authorities.is_empty());
            let card = |signed: &SignedCard| {
                let card = decode_card(&signed.card_bytes).unwrap();
                (card.area.to_string(), card.version)
            };
            cards.extend(answer.cards.iter().map(card));
            lists += answer.revocation_lists.len();
            cursor = answer.cursor;
            if !answer.more {
                return (cards, lists, cursor);
            }
        }
    }
}
