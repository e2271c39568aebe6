//! Known answers of the certificate transparency reference tree, and the laws of proofs.

use proptest::prelude::*;

use super::*;

/// Leaves of the reference tree used by the certificate transparency projects, in hexadecimal.
const LEAVES: [&str; 8] = [
    "",
    "00",
    "10",
    "2021",
    "3031",
    "40414243",
    "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
];

/// Roots of its first 0 to 8 leaves.
const ROOTS: [&str; 9] = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

const NODE_5F: &str = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e";
const NODE_96: &str = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7";
const NODE_6B: &str = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4";
const NODE_BC: &str = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b";
const NODE_CA: &str = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0";
const NODE_0E: &str = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a";

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap()).collect()
}

fn hashes(hex: &[&str]) -> Vec<Digest> {
    hex.iter().map(|text| Digest::new(unhex(text).try_into().unwrap())).collect()
}

fn number(of: usize) -> u64 {
    u64::try_from(of).unwrap()
}

fn reference() -> Vec<Digest> {
    LEAVES.iter().map(|leaf| leaf_hash(&unhex(leaf))).collect()
}

#[test]
fn roots_are_the_reference_ones() {
    let leaves = reference();
    for (size, expected) in ROOTS.iter().enumerate() {
        assert_eq!(root(&leaves[..size]).to_string(), *expected, "size {size}");
    }
    assert_eq!(root_of(LEAVES.map(unhex)).to_string(), ROOTS[8]);
}

#[test]
fn inclusion_proofs_are_the_reference_ones() {
    let leaves = reference();
    let path = |index, size: usize| inclusion_path(&leaves[..size], index).unwrap();
    assert_eq!(path(0, 1), []);
    assert_eq!(path(0, 8), hashes(&[NODE_96, NODE_5F, NODE_6B]));
    assert_eq!(path(5, 8), hashes(&[NODE_BC, NODE_CA, ROOTS[4]]));
    assert_eq!(path(2, 3), hashes(&[ROOTS[2]]));
    assert_eq!(path(1, 5), hashes(&[ROOTS[1], NODE_5F, NODE_BC]));
    assert_eq!(inclusion_path(&leaves, 8), None);
}

#[test]
fn consistency_proofs_are_the_reference_ones() {
    let leaves = reference();
    let proof = |old, new: usize| consistency_proof(&leaves[..new], old).unwrap();
    assert_eq!(proof(1, 1), []);
    assert_eq!(proof(1, 8), hashes(&[NODE_96, NODE_5F, NODE_6B]));
    assert_eq!(proof(6, 8), hashes(&[NODE_0E, NODE_CA, ROOTS[4]]));
    assert_eq!(proof(2, 5), hashes(&[NODE_5F, NODE_BC]));
    assert_eq!(consistency_proof(&leaves[..5], 6), None);
}

#[test]
fn everything_is_consistent_with_nothing_but_not_with_a_wrong_nothing() {
    let new = root(&reference());
    assert!(verify_consistency((0, &empty_root()), (8, &new), &[]));
    assert!(!verify_consistency((0, &new), (8, &new), &[]));
    assert!(!verify_consistency((8, &new), (7, &new), &[]));
}

#[test]
fn the_largest_sizes_do_not_overflow() {
    let size = u64::MAX;
    assert!(inclusion_ranges(size, size - 1).unwrap().len() <= PROOF_HASHES_MAX);
    assert!(consistency_ranges(size - 1, size).unwrap().len() <= PROOF_HASHES_MAX);
    assert!(!verify_consistency((size - 1, &empty_root()), (size, &empty_root()), &[empty_root()]));
    assert!(!verify_inclusion(&empty_root(), size - 1, size, &[], &empty_root()));
}

#[test]
fn a_stored_frontier_must_be_consistent() {
    assert!(Frontier::from_parts(3, vec![empty_root()]).is_err());
    let frontier: Frontier = reference().into_iter().collect();
    let stored = postcard::to_allocvec(&frontier).unwrap();
    assert_eq!(postcard::from_bytes::<Frontier>(&stored).unwrap(), frontier);
    let wrong = postcard::to_allocvec(&(7_u64, Vec::<Digest>::new())).unwrap();
    assert!(postcard::from_bytes::<Frontier>(&wrong).is_err());
}

/// Root by the recursive definition in the RFC.
fn recursive_root(leaves: &[Digest]) -> Digest {
    match leaves {
        [] => empty_root(),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            node_hash(&recursive_root(left), &recursive_root(right))
        }
    }
}

fn some_leaves(most: usize) -> impl Strategy<Value = Vec<Digest>> {
    prop::collection::vec(any::<[u8; 32]>().prop_map(Digest::new), 1..most)
}

proptest! {
    #[test]
    fn subtrees_are_as_good_as_their_leaves(leaves in some_leaves(70), levels in 0_u32..4) {
        let mut frontier = Frontier::new();
        for some in leaves.chunks(1 << levels) {
            if some.len() == 1 << levels {
                frontier.push_subtree(levels, root(some)).unwrap();
            } else {
                prop_assert!(levels > 0);
                some.iter().for_each(|leaf| frontier.push(*leaf));
                prop_assert!(frontier.push_subtree(levels, root(some)).is_err());
            }
        }
        prop_assert_eq!(frontier, leaves.iter().copied().collect::<Frontier>());
    }

    #[test]
    fn root_is_the_recursive_definition(leaves in some_leaves(70)) {
        prop_assert_eq!(root(&leaves), recursive_root(&leaves));
    }

    #[test]
    fn every_leaf_is_proved_and_nothing_else(leaves in some_leaves(40), pick in any::<prop::sample::Index>(), other in any::<[u8; 32]>(), at in any::<prop::sample::Index>()) {
        let index = pick.index(leaves.len());
        let (size, at_leaf, root) = (number(leaves.len()), number(index), root(&leaves));
        let path = inclusion_path(&leaves, at_leaf).unwrap();
        prop_assert!(verify_inclusion(&leaves[index], at_leaf, size, &path, &root));
        prop_assert!(!verify_inclusion(&Digest::new(other), at_leaf, size, &path, &root));
        prop_assert!(!verify_inclusion(&leaves[index], size, size, &path, &root));
        let mut longer = path.clone();
        longer.push(Digest::new(other));
        prop_assert!(!verify_inclusion(&leaves[index], at_leaf, size, &longer, &root));
        if !path.is_empty() {
            let mut wrong = path.clone();
            let at = at.index(path.len());
            wrong[at] = Digest::new(other);
            prop_assert!(!verify_inclusion(&leaves[index], at_leaf, size, &wrong, &root));
            prop_assert!(!verify_inclusion(&leaves[index], at_leaf, size, &path[1..], &root));
        }
    }

    #[test]
    fn growth_is_proved_and_rewriting_is_not(leaves in some_leaves(40), pick in any::<prop::sample::Index>(), other in any::<[u8; 32]>()) {
        let old = pick.index(leaves.len()) + 1;
        let (old_root, new_root) = (root(&leaves[..old]), root(&leaves));
        let (old, new) = (number(old), number(leaves.len()));
        let proof = consistency_proof(&leaves, old).unwrap();
        prop_assert!(verify_consistency((old, &old_root), (new, &new_root), &proof));
        prop_assert!(!verify_consistency((old, &Digest::new(other)), (new, &new_root), &proof));
        prop_assert!(!verify_consistency((old, &old_root), (new, &Digest::new(other)), &proof));
        if !proof.is_empty() {
            prop_assert!(!verify_consistency((old, &old_root), (new, &new_root), &proof[1..]));
        }
    }
}
