//! The table: every bad certificate, how it is made, and the code with which it is refused.

use crate::der::{integer, oid, sequence, tlv, utf8, yes};
use crate::made::{
    ALTERNATIVE_NAME, ANY_USAGE, BASIC_CONSTRAINTS, CLIENT_AUTH, CODE_SIGNING, DAY,
    EXTENDED_KEY_USAGE, Extension, KEY_USAGE, Key, Made, NAME_CONSTRAINTS, NOW, SERVER_AUTH,
    algorithm, common_name, dns, general, list, p256, permitted, public_key, usages,
};
use crate::world::{BOTH, Chain, NODE, World, node_under, province, root};

/// Taken.
pub const GOOD: &str = "";

/// Refused before it was read.
pub const NOT_TLS13: &str = "NOT_TLS13";

/// Which door of a node is knocked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// The node API; and the chain is also shown by a node that is called.
    Node,
    /// The office API.
    Office,
}

/// One way in which a chain is bad.
pub struct Row {
    pub what: &'static str,
    pub chain: Chain,
    pub lists: Vec<Vec<u8>>,
    pub door: Door,
    /// The code when it is shown by a caller.
    pub caller: &'static str,
    /// The code when it is shown by a node that is called.
    pub callee: &'static str,
    /// The code in a handshake, where that is another one.
    pub handshake: Option<&'static str>,
}

impl Row {
    fn callee(self, callee: &'static str) -> Self {
        Self { callee, ..self }
    }

    fn lists(self, lists: Vec<Vec<u8>>) -> Self {
        Self { lists, ..self }
    }

    fn handshake(self, code: &'static str) -> Self {
        Self { handshake: Some(code), ..self }
    }
}

/// The columns of a world.
struct Rows<'a> {
    world: &'a World,
    rows: Vec<Row>,
}

impl Rows<'_> {
    fn bad(&self, what: &'static str, chain: Chain, code: &'static str) -> Row {
        let (lists, door, handshake) = (self.world.lists(), Door::Node, None);
        Row { what, chain, lists, door, caller: code, callee: code, handshake }
    }

    /// A chain with a leaf that was changed.
    fn leaf(&mut self, what: &'static str, code: &'static str, change: impl FnOnce(&mut Made)) {
        let row = self.bad(what, self.world.node(change), code);
        self.rows.push(row);
    }

    /// A good leaf under a CA that was changed.
    fn ca(&mut self, what: &'static str, code: &'static str, change: impl FnOnce(&mut Made)) {
        let row = self.bad(what, self.world.under(change), code);
        self.rows.push(row);
    }

    /// A leaf with these alternative names.
    fn named(&mut self, what: &'static str, code: &'static str, names: &[Vec<u8>]) {
        self.leaf(what, code, |made| made.names(names));
    }

    /// A leaf with this as its only DNS name.
    fn called(&mut self, name: &'static str, code: &'static str) {
        self.named(name, code, &[dns(name)]);
    }

    /// A leaf with these extended usages: the code when it calls and when it is called.
    fn used(&mut self, what: &'static str, codes: [&'static str; 2], kinds: &[&str]) {
        let usage = |made: &mut Made| made.put(EXTENDED_KEY_USAGE, false, usages(kinds));
        let row = self.bad(what, self.world.node(usage), codes[0]).callee(codes[1]);
        self.rows.push(row);
    }

    /// Something shown at the office API.
    fn office(&mut self, what: &'static str, code: &'static str, chain: Chain) {
        let row = self.bad(what, chain, code);
        self.rows.push(Row { door: Door::Office, ..row });
    }

    /// A chain put together by hand.
    fn path(&mut self, what: &'static str, code: &'static str, certificates: Vec<Vec<u8>>) {
        let row = self.bad(what, Chain { certificates, key: Key::new() }, code);
        self.rows.push(row);
    }
}

/// All of them.
pub fn all(world: &World) -> Vec<Row> {
    let mut rows = Rows { world, rows: Vec::new() };
    times(&mut rows);
    usage(&mut rows);
    constraints(&mut rows);
    names(&mut rows);
    kinds(&mut rows);
    revocation(&mut rows);
    paths(&mut rows);
    keys(&mut rows);
    form(&mut rows);
    rows.rows
}

fn times(rows: &mut Rows<'_>) {
    const EXPIRED: &str = "CERTIFICATE_EXPIRED";
    const EARLY: &str = "CERTIFICATE_NOT_YET_VALID";
    const LONG: &str = "WRONG_VALIDITY";
    rows.leaf("expired", EXPIRED, |made| made.life = (NOW - 9 * DAY, NOW - 1));
    rows.leaf("not yet valid", EARLY, |made| made.life = (NOW + 1, NOW + DAY));
    rows.leaf("ends before it begins", EXPIRED, |made| made.life = (NOW + DAY, NOW - DAY));
    rows.ca("CA expired", EXPIRED, |made| made.life = (NOW - 9 * DAY, NOW - 1));
    rows.ca("CA not yet valid", EARLY, |made| made.life = (NOW + 1, NOW + 9 * DAY));
    rows.leaf("lives longer than 90 days", LONG, |made| {
        made.life = (NOW - 4 * DAY, NOW + 89 * DAY)
    });
    rows.ca("lives longer than its CA", LONG, |made| made.life = (NOW - 300, NOW + 88 * DAY));
    rows.ca("CA lives longer than five years", LONG, |made| made.life.1 = NOW + 1_900 * DAY);
    rows.ca("CA lives longer than the root", LONG, |made| {
        made.life = (NOW - 300, NOW + 7_001 * DAY);
    });
    let clerk = rows.world.operator(&["clerk"], |made| made.life = (NOW - 300, NOW + 370 * DAY));
    rows.office("operator's lives longer than a year", LONG, clerk);
}

fn usage(rows: &mut Rows<'_>) {
    const USAGE: &str = "WRONG_USAGE";
    rows.used("only for servers", [USAGE, USAGE], &[SERVER_AUTH]);
    rows.used("only for clients", [USAGE, USAGE], &[CLIENT_AUTH]);
    rows.used("for any usage", [USAGE, USAGE], &[ANY_USAGE]);
    rows.used("for any usage beside", [USAGE, USAGE], &[SERVER_AUTH, CLIENT_AUTH, ANY_USAGE]);
    rows.used("for code as well", [USAGE, USAGE], &[SERVER_AUTH, CLIENT_AUTH, CODE_SIGNING]);
    rows.used("for nothing", [USAGE, USAGE], &[]);
    rows.leaf("no extended usage", USAGE, |made| made.without(EXTENDED_KEY_USAGE));
    rows.leaf("no key usage", USAGE, |made| made.without(KEY_USAGE));
    let key_usage =
        |unused, bits| move |made: &mut Made| made.put(KEY_USAGE, true, tlv(0x03, &[unused, bits]));
    rows.leaf("key only for key agreement", USAGE, key_usage(3, 0x08));
    rows.leaf("key for key agreement as well", USAGE, key_usage(3, 0x88));
    rows.leaf("key may sign certificates", USAGE, key_usage(2, 0x84));
    rows.leaf("key may sign lists", USAGE, key_usage(1, 0x82));
    rows.ca("CA without key usage", USAGE, |made| made.without(KEY_USAGE));
    rows.ca("CA that may sign no certificates", USAGE, key_usage(1, 0x02));
    rows.ca("CA that may sign no lists", USAGE, key_usage(2, 0x04));
    rows.ca("CA for code only", USAGE, |made| {
        made.put(EXTENDED_KEY_USAGE, false, usages(&[CODE_SIGNING]));
    });
}

fn constraints(rows: &mut Rows<'_>) {
    const PROVINCE: &str = "WRONG_PROVINCE";
    rows.called("440305.44.liangdi.internal", PROVINCE);
    rows.ca("CA without a constraint", PROVINCE, |made| made.without(NAME_CONSTRAINTS));
    rows.ca("constraint not critical", PROVINCE, |made| {
        made.put(NAME_CONSTRAINTS, false, permitted(&[dns("41.liangdi.internal")]));
    });
    let to = |subtrees: Vec<Vec<u8>>| {
        move |made: &mut Made| made.put(NAME_CONSTRAINTS, true, permitted(&subtrees))
    };
    rows.ca("CA for the whole network", PROVINCE, to(vec![dns("liangdi.internal")]));
    rows.ca("CA for every name", PROVINCE, to(vec![dns("")]));
    rows.ca("CA of another province", PROVINCE, to(vec![dns("44.liangdi.internal")]));
    let two = vec![dns("41.liangdi.internal"), dns("44.liangdi.internal")];
    rows.ca("CA of two provinces", PROVINCE, to(two));
    rows.ca("CA for one county", PROVINCE, to(vec![dns(NODE)]));
    rows.ca("CA for one directory", PROVINCE, to(vec![general(0x24, &common_name("41"))]));
    rows.ca("CA with exceptions only", PROVINCE, |made| {
        let excluded = tlv(0xa1, &sequence(&[&dns("44.liangdi.internal")]));
        made.put(NAME_CONSTRAINTS, true, sequence(&[&excluded]));
    });
    rows.ca("CA that excepts the leaf", PROVINCE, |made| {
        let permitted = tlv(0xa0, &sequence(&[&dns("41.liangdi.internal")]));
        let excluded = tlv(0xa1, &sequence(&[&dns(NODE)]));
        made.put(NAME_CONSTRAINTS, true, sequence(&[&permitted, &excluded]));
    });
}

fn names(rows: &mut Rows<'_>) {
    const NAME: &str = "BAD_NAME";
    const PROVINCE: &str = "WRONG_PROVINCE";
    rows.leaf("common name only", NAME, |made| made.without(ALTERNATIVE_NAME));
    rows.named("no name", NAME, &[]);
    rows.named("two names", NAME, &[dns(NODE), dns("410523.41.liangdi.internal")]);
    rows.named("the same name twice", NAME, &[dns(NODE), dns(NODE)]);
    rows.named("address as well", NAME, &[dns(NODE), general(7, &[10, 0, 0, 1])]);
    rows.named("address only", NAME, &[general(7, &[10, 0, 0, 1])]);
    rows.named("mailbox as well", NAME, &[dns(NODE), general(1, b"a@41.liangdi.internal")]);
    rows.named("mailbox only", NAME, &[general(1, b"a@41.liangdi.internal")]);
    rows.named("link as well", NAME, &[dns(NODE), general(6, b"https://41.liangdi.internal/")]);
    rows.named("directory name only", NAME, &[general(0x24, &common_name(NODE))]);
    let other = [oid("1.3.6.1.4.1.311.20.2.3"), tlv(0xa0, &utf8(NODE))].concat();
    rows.named("name of another kind", NAME, &[general(0x20, &other)]);
    rows.called("*.41.liangdi.internal", NAME);
    rows.called("410522.41.LIANGDI.internal", NAME);
    rows.called("410522.41.liangdi.internal.", NAME);
    rows.called(".410522.41.liangdi.internal", NAME);
    rows.called("410522..41.liangdi.internal", NAME);
    rows.called("41.liangdi.internal", NAME);
    rows.called("41052.41.liangdi.internal", NAME);
    rows.called("410522101.41.liangdi.internal", NAME);
    rows.called("41o522.41.liangdi.internal", NAME);
    rows.called("440305.41.liangdi.internal", NAME);
    rows.called("node.410522.41.liangdi.internal", NAME);
    rows.called("a.b.operators.410522.41.liangdi.internal", NAME);
    rows.called("410522.41.liangdi.internal\0.example", NAME);
    rows.called("410522.41.example.internal", PROVINCE);
    rows.called("410522.41.notliangdi.internal", PROVINCE);
    rows.called("410522.41.liangdi.internal.example", PROVINCE);
    rows.named("name that is no text", NAME, &[general(2, &[0xff, 0xfe])]);
}

fn kinds(rows: &mut Rows<'_>) {
    const ROLE: &str = "UNKNOWN_ROLE";
    let world = rows.world;
    let clerk = world.operator(&["clerk"], |_| {});
    let row = rows.bad("operator at the node API, and as a server", clerk, "OPERATOR_NOT_NODE");
    rows.rows.push(row.callee("WRONG_USAGE"));
    rows.office("node at the office API", "NODE_NOT_OPERATOR", world.node(|_| {}));
    rows.office("operator without a role", ROLE, world.operator(&[], |_| {}));
    rows.office("operator with an unknown role", ROLE, world.operator(&["king"], |_| {}));
    rows.office("operator with two roles", ROLE, world.operator(&["clerk", "auditor"], |_| {}));
    let serves = |made: &mut Made| made.put(EXTENDED_KEY_USAGE, false, usages(&BOTH));
    rows.office("operator that may serve", "WRONG_USAGE", world.operator(&["clerk"], serves));
    let other = world.node(|made| made.names(&[dns("410523.41.liangdi.internal")]));
    let row = rows.bad("another node than the one that was called", other, GOOD);
    // The chain holds; only whoever called knows whom it wanted.
    rows.rows.push(row.callee("WRONG_AREA"));
    let copied = Chain { key: Key::new(), ..world.node(|_| {}) };
    rows.rows.push(rows.bad("somebody else's", copied, GOOD).handshake("BAD_SIGNATURE"));
}

fn revocation(rows: &mut Rows<'_>) {
    const REVOKED: &str = "CERTIFICATE_REVOKED";
    const OLD: &str = "REVOCATION_LIST_TOO_OLD";
    const MISSING: &str = "REVOCATION_LIST_MISSING";
    let World { root, henan, guangdong } = rows.world;
    let serial: &[u8] = &[0x40, 1, 2, 3, 4, 5, 6, 7];
    let mut row = |what, code, lists: &[Vec<u8>]| {
        let chain = node_under(henan, |_| {});
        let row = rows.bad(what, chain, code).lists(lists.to_vec());
        rows.rows.push(row);
    };
    let leaf_revoked = list(&henan.name, &henan.key, NOW, &[serial]);
    row("revoked", REVOKED, &[root.list(), leaf_revoked.clone()]);
    let ca_revoked = list(&root.name, &root.key, NOW, &[serial]);
    row("CA revoked", REVOKED, &[ca_revoked, henan.list()]);
    // Lists live for seven days, and for seven more in grace.
    let old = |authority: &crate::world::Authority| {
        list(&authority.name, &authority.key, NOW - 14 * DAY - 1, &[])
    };
    row("list past its grace", OLD, &[root.list(), old(henan)]);
    row("list of the root past its grace", OLD, &[old(root), henan.list()]);
    let old_revoked = list(&henan.name, &henan.key, NOW - 60 * DAY, &[serial]);
    row("revoked by a list past its grace", REVOKED, &[root.list(), old_revoked]);
    let older = list(&henan.name, &henan.key, NOW - DAY, &[]);
    row("revoked beside an older list", REVOKED, &[root.list(), leaf_revoked, older]);
    row("no list of the CA", MISSING, &[root.list(), guangdong.list()]);
    row("no list of the root", MISSING, &[guangdong.list(), henan.list()]);
    let forged = list(&henan.name, &guangdong.key, NOW, &[]);
    row("list signed by another CA", "REVOCATION_LIST_INVALID", &[root.list(), forged]);
}

fn paths(rows: &mut Rows<'_>) {
    const CHAIN: &str = "WRONG_CHAIN";
    const AUTHORITY: &str = "WRONG_AUTHORITY";
    let world = rows.world;
    let (root_ca, henan, guangdong) = (&world.root, &world.henan, &world.guangdong);
    let leaf = world.node(|_| {}).certificates[0].clone();
    rows.path("chain without the CA", AUTHORITY, vec![leaf.clone()]);
    rows.path("another province's CA", AUTHORITY, vec![leaf.clone(), guangdong.der.clone()]);
    let ca = || henan.der.clone();
    rows.path("chain too long", CHAIN, vec![leaf, ca(), ca(), ca(), ca()]);
    rows.path("directly below the root", CHAIN, node_under(root_ca, |_| {}).certificates);
    let below =
        |ca| province(ca, "41.liangdi.internal", |made| made.subject = common_name("410500 CA"));
    let mut deep = node_under(&below(henan), |_| {}).certificates;
    deep.push(henan.der.clone());
    rows.path("path longer than its CA allows", CHAIN, deep);
    let wide = province(root_ca, "41.liangdi.internal", |made| {
        made.put(BASIC_CONSTRAINTS, true, sequence(&[&yes(), &integer(&[3])]));
    });
    let mut deep = node_under(&below(&wide), |_| {}).certificates;
    deep.push(wide.der.clone());
    rows.path("CA below a CA that allows it", CHAIN, deep);
    rows.ca("CA that says it is none", CHAIN, |made| {
        made.put(BASIC_CONSTRAINTS, true, sequence(&[]));
    });
    rows.ca("CA without basic constraints", CHAIN, |made| made.without(BASIC_CONSTRAINTS));
    rows.leaf("leaf that is a CA", CHAIN, |made| {
        made.put(BASIC_CONSTRAINTS, true, sequence(&[&yes()]));
    });
    rows.path("a province's CA itself", CHAIN, vec![henan.der.clone()]);
    let own = Key::new();
    let made = Made::leaf(&common_name(NODE), NODE, &BOTH, &own);
    rows.path("self-signed", AUTHORITY, vec![made.sign(&own)]);
    let stranger = root(&common_name("Another Root CA"));
    let theirs = province(&stranger, "41.liangdi.internal", |_| {});
    let mut chain = node_under(&theirs, |_| {}).certificates;
    chain.push(stranger.der);
    rows.path("another root", AUTHORITY, chain);
    let twin = root(&root_ca.name);
    let theirs = province(&twin, "41.liangdi.internal", |_| {});
    rows.path("another root of the same name", AUTHORITY, node_under(&theirs, |_| {}).certificates);
    let twin = province(root_ca, "41.liangdi.internal", |_| {});
    let forged = node_under(&twin, |_| {}).certificates[0].clone();
    rows.path("another CA of the same name", AUTHORITY, vec![forged, henan.der.clone()]);
}

fn keys(rows: &mut Rows<'_>) {
    const WEAK: &str = "WEAK_KEY";
    const AUTHORITY: &str = "WRONG_AUTHORITY";
    let rsa = |bytes: usize| {
        let modulus = [vec![0], vec![0xc5; bytes]].concat();
        let key = sequence(&[&integer(&modulus), &integer(&[1, 0, 1])]);
        public_key(&[&oid("1.2.840.113549.1.1.1"), &[0x05, 0x00]], &key)
    };
    let ec = |curve: &str, bytes: usize| {
        public_key(
            &[&oid("1.2.840.10045.2.1"), &oid(curve)],
            &[&[4], vec![7; bytes].as_slice()].concat(),
        )
    };
    rows.leaf("RSA key of 2,048 bits", WEAK, |made| made.key = rsa(256));
    rows.leaf("RSA key of 1,024 bits", WEAK, |made| made.key = rsa(128));
    rows.leaf("P-384 key", WEAK, |made| made.key = ec("1.3.132.0.34", 96));
    rows.leaf("secp256k1 key", WEAK, |made| made.key = ec("1.3.132.0.10", 64));
    rows.leaf("Ed25519 key", WEAK, |made| made.key = public_key(&[&oid("1.3.101.112")], &[9; 32]));
    rows.leaf("key on no named curve", WEAK, |made| {
        made.key = public_key(&[&oid("1.2.840.10045.2.1"), &sequence(&[])], &Key::new().point());
    });
    rows.leaf("key with half a point", WEAK, |made| {
        made.key = p256(&[&[3], [7; 32].as_slice()].concat())
    });
    rows.ca("CA with an RSA key", WEAK, |made| made.key = rsa(256));
    rows.ca("CA with a P-384 key", WEAK, |made| made.key = ec("1.3.132.0.34", 96));
    let signed_by = |name: &'static str| {
        move |made: &mut Made| made.algorithms = [algorithm(name), algorithm(name)]
    };
    rows.leaf("signed with SHA-1", WEAK, signed_by("1.2.840.10045.4.1"));
    rows.leaf("signed with SHA-384", WEAK, signed_by("1.2.840.10045.4.3.3"));
    rows.leaf("signed with RSA and MD5", WEAK, signed_by("1.2.840.113549.1.1.4"));
    rows.ca("CA signed with SHA-1", WEAK, signed_by("1.2.840.10045.4.1"));
    rows.leaf("two signature algorithms", "CERTIFICATE_MALFORMED", |made| {
        made.algorithms[1] = algorithm("1.2.840.10045.4.3.3");
    });
    let world = rows.world;
    let mut chain = world.node(|_| {});
    *chain.certificates[0].last_mut().unwrap() ^= 1;
    rows.rows.push(rows.bad("signature changed", chain, AUTHORITY));
    let mut chain = world.node(|_| {});
    *chain.certificates[1].last_mut().unwrap() ^= 1;
    rows.rows.push(rows.bad("CA's signature changed", chain, AUTHORITY));
    let mut chain = world.node(|_| {});
    let leaf = &mut chain.certificates[0];
    let at = leaf.windows(6).position(|six| six == b"410522").unwrap();
    leaf[at + 5] = b'3';
    rows.rows.push(rows.bad("common name changed after it was signed", chain, AUTHORITY));
    let leaf = |sign: &dyn Fn(&[u8]) -> Vec<u8>| {
        let made = Made::leaf(&world.henan.name, NODE, &BOTH, &Key::new());
        vec![made.sign_with(sign), world.henan.der.clone()]
    };
    rows.path("no signature", AUTHORITY, leaf(&|_| Vec::new()));
    let zero = sequence(&[&integer(&[0]), &integer(&[0])]);
    rows.path("signature of zeros", AUTHORITY, leaf(&|_| zero.clone()));
    let point = [&[4], [1; 64].as_slice()].concat();
    let chain = world.node(|made| made.key = p256(&point));
    rows.rows.push(rows.bad("key that is no point", chain, GOOD).handshake("BAD_SIGNATURE"));
}

fn form(rows: &mut Rows<'_>) {
    const MALFORMED: &str = "CERTIFICATE_MALFORMED";
    rows.leaf("version 1", MALFORMED, |made| {
        made.version = None;
        made.extensions.clear();
    });
    rows.leaf("version 1 with extensions", MALFORMED, |made| made.version = None);
    rows.leaf("version 2", MALFORMED, |made| made.version = Some(1));
    rows.leaf("version 4", MALFORMED, |made| made.version = Some(3));
    rows.leaf("serial number zero", MALFORMED, |made| made.serial = vec![0]);
    rows.leaf("serial number negative", MALFORMED, |made| made.serial = vec![0x80, 1]);
    rows.leaf("serial number too long", MALFORMED, |made| made.serial = vec![0x40; 21]);
    rows.leaf("serial number empty", MALFORMED, |made| made.serial.clear());
    rows.ca("CA's serial number zero", MALFORMED, |made| made.serial = vec![0]);
    rows.ca("CA's serial number too long", MALFORMED, |made| made.serial = vec![0x40; 21]);
    let extension = |oid, critical: Vec<u8>| Extension { oid, critical, value: vec![0x05, 0x00] };
    let unknown = |critical: Vec<u8>| {
        move |made: &mut Made| made.extensions.push(extension("1.3.6.1.4.1.99999.1", critical))
    };
    rows.leaf("unknown critical extension", MALFORMED, unknown(yes()));
    rows.ca("CA with an unknown critical extension", MALFORMED, unknown(yes()));
    rows.leaf("truth that is neither true nor false", MALFORMED, unknown(tlv(0x01, &[0x01])));
    rows.leaf("name twice as an extension", MALFORMED, |made| {
        let again = made.extensions.iter().find(|known| known.oid == ALTERNATIVE_NAME).cloned();
        made.extensions.extend(again);
    });
    rows.leaf("unknown extension twice", MALFORMED, |made| {
        unknown(vec![])(made);
        unknown(vec![])(made);
    });
    rows.ca("CA with a constraint twice", MALFORMED, |made| {
        let again = made.extensions.iter().find(|known| known.oid == NAME_CONSTRAINTS).cloned();
        made.extensions.extend(again);
    });
    rows.leaf("rubbish as a usage", MALFORMED, |made| {
        made.put(EXTENDED_KEY_USAGE, false, vec![0x30, 0x05, 0x06]);
    });
    rows.leaf("name of the issuer's twin", MALFORMED, |made| made.between = tlv(0x81, &[0, 1, 2]));
    let cut = |rows: &mut Rows<'_>, what, keep: fn(usize) -> usize| {
        let mut chain = rows.world.node(|_| {});
        let leaf = &mut chain.certificates[0];
        leaf.truncate(keep(leaf.len()));
        rows.rows.push(rows.bad(what, chain, MALFORMED));
    };
    cut(rows, "one byte short", |bytes| bytes - 1);
    cut(rows, "half of it", |bytes| bytes / 2);
    cut(rows, "one byte of it", |_| 1);
    let mut chain = rows.world.node(|_| {});
    chain.certificates[0].push(0);
    rows.rows.push(rows.bad("one byte more", chain, MALFORMED));
    let mut chain = rows.world.node(|_| {});
    chain.certificates[0][1] = 0x80;
    rows.rows.push(rows.bad("indefinite length", chain, MALFORMED));
    let large = rows.world.node(|made| {
        let value = vec![0; 70_000];
        made.extensions.push(Extension { oid: "1.3.6.1.4.1.99999.2", critical: vec![], value });
    });
    // TLS does not even read messages of this size.
    rows.rows.push(rows.bad("larger than any certificate", large, MALFORMED).handshake(NOT_TLS13));
    let ca = rows.world.henan.der.clone();
    rows.path("something else than a certificate", MALFORMED, vec![b"certificate".to_vec(), ca]);
}
