//! A file of the access log proves what it says, and nothing that was changed.

use domain::area::AreaCode;
use exchange::digest::Digest;
use exchange::keys::{SignatureInvalid, VerifiedChain, Verifier};
use proptest::prelude::*;

use super::*;

const AREA: &str = "410522";

/// Signs with a hash: enough to see what is signed and by whom.
struct Key;

impl Signer for Key {
    fn sign(&self, context: SignContext, bytes: &[u8]) -> Result<Vec<u8>, SignError> {
        Ok(context.digest(bytes).as_bytes().to_vec())
    }

    fn chain_der(&self) -> &[Vec<u8>] {
        const CHAIN: &[Vec<u8>] = &[];
        CHAIN
    }

    fn fingerprint(&self) -> [u8; 32] {
        [1; 32]
    }
}

struct Chains(&'static str);

impl Verifier for Chains {
    fn verify_signature(
        &self,
        _: &[u8],
        context: SignContext,
        bytes: &[u8],
        signature: &[u8],
    ) -> Result<(), SignatureInvalid> {
        let fits = context.digest(bytes).as_bytes() == signature;
        fits.then_some(()).ok_or(SignatureInvalid)
    }
}

impl ChainVerifier for Chains {
    fn verify_chain(
        &self,
        _: &[Vec<u8>],
        _: UnixMillis,
        _: &[Vec<u8>],
    ) -> Result<VerifiedChain, ChainError> {
        let area = self.0.parse().unwrap();
        Ok(VerifiedChain { area, fingerprint: Digest::new([1; 32]), public_key: Vec::new() })
    }
}

fn area() -> AreaCode {
    AREA.parse().unwrap()
}

fn log(length: u64) -> Vec<AccessEntry> {
    let mut entries: Vec<AccessEntry> = Vec::new();
    for number in 1..=length {
        let even = number % 2 == 0;
        entries.push(AccessEntry {
            number,
            previous: entries.last().map_or([0; 32], access_hash),
            at: UnixMillis::new(1_772_352_000_000 + number),
            operator: "alice".parse().unwrap(),
            area: area(),
            role: Role::Clerk,
            action: if even { AccessAction::View } else { AccessAction::Search },
            purpose: Purpose::Certificate,
            basis: LawfulBasis::StatutoryDuty,
            person: even.then_some(PersonKey([9; 32])),
            message: None,
        });
    }
    entries
}

fn head(entry: Option<&AccessEntry>) -> AccessHead {
    match entry {
        Some(entry) => AccessHead { number: entry.number, hash: access_hash(entry) },
        None => AccessHead { number: 0, hash: [0; 32] },
    }
}

/// The file of all entries after the first `after`.
fn file(log: &[AccessEntry], after: usize) -> String {
    let before = head(after.checked_sub(1).and_then(|at| log.get(at)));
    let end = End {
        area: area(),
        after: before,
        head: head(log.last()),
        signed: UnixMillis::new(1_772_400_000_000),
    };
    let entries: String = log[after..].iter().map(entry_line).collect();
    let last = last_line(&end, &Key, std::iter::empty()).unwrap();
    format!("{}{entries}{last}", first_line(area(), before))
}

fn verified(text: &str) -> Result<Proven, FileFault> {
    verify(&mut text.as_bytes(), &Chains(AREA), &[])
}

#[test]
fn a_whole_log_and_a_part_of_it_prove_their_entries() {
    let log = log(9);
    let whole = verified(&file(&log, 0)).unwrap();
    assert_eq!(whole.head, head(log.last()));
    assert_eq!(whole.actions, [(AccessAction::View, 4), (AccessAction::Search, 5)]);
    let part = verified(&file(&log, 6)).unwrap();
    assert_eq!((part.after.number, part.head), (6, whole.head));
    assert_eq!(verified(&file(&[], 0)).unwrap().head.number, 0);
}

#[test]
fn a_line_that_is_taken_out_put_in_changed_or_moved_is_noticed() {
    let text = file(&log(5), 0);
    let lines: Vec<&str> = text.lines().collect();
    let joined = |lines: Vec<&str>| lines.join("\n") + "\n";
    for at in 1..lines.len() {
        let mut without = lines.clone();
        without.remove(at);
        assert!(verified(&joined(without)).is_err(), "without {at}");
        let mut twice = lines.clone();
        twice.insert(at, lines[at]);
        assert!(verified(&joined(twice)).is_err(), "{at} twice");
        let mut moved = lines.clone();
        moved.swap(at, at - 1);
        assert!(verified(&joined(moved)).is_err(), "{at} moved");
    }
    let other = text.replacen("alice", "bob", 1);
    assert!(matches!(verified(&other), Err(FileFault::Broken(ChainBreak::Hash { number: 2 }))));
}

#[test]
fn a_log_that_was_written_anew_is_noticed_by_who_kept_an_end() {
    let old = log(6);
    let mut new = log(6);
    new[3].operator = "bob".parse().unwrap();
    for at in 4..6 {
        new[at].previous = access_hash(&new[at - 1]);
    }
    let known = [head(old.get(4))];
    let text = file(&new, 0);
    assert!(verified(&text).is_ok(), "by itself it is whole");
    let seen = verify(&mut text.as_bytes(), &Chains(AREA), &known);
    assert!(matches!(seen, Err(FileFault::Rewritten(5))));
    assert!(verify(&mut file(&old, 0).as_bytes(), &Chains(AREA), &known).is_ok());
}

#[test]
fn another_office_cannot_sign_for_this_one() {
    let seen = verify(&mut file(&log(2), 0).as_bytes(), &Chains("440305"), &[]);
    assert!(matches!(seen, Err(FileFault::OtherArea { .. })));
}

proptest! {
    #[test]
    fn no_file_that_differs_in_one_byte_proves_another_end(at in 0..100_000_usize, to in 0..128_u8) {
        let text = file(&log(4), 0);
        let mut bytes = text.clone().into_bytes();
        let at = at % bytes.len();
        bytes[at] = to;
        let expected = verified(&text).unwrap();
        if let Ok(proven) = verify(&mut bytes.as_slice(), &Chains(AREA), &[]) {
            // Capital digits and blanks mean the same.
            prop_assert_eq!(proven, expected);
        }
    }
}
