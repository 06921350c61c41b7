//! `merkle.json`: roots over lists, and proofs, most of which prove nothing. The lists are the beginnings of the eight inputs
//! that implementations of certificate transparency share; their roots are known since RFC 6962.

use crate::fixture::{hex, unhex};
use crate::{Case, Outcome, ok, refused};
use serde_json::{Value as Json, json};
use stemma::audit::{MerkleTree, verify_consistency, verify_inclusion};
use stemma::crypto::Digest;

const LEAVES: [&str; 8] = [
    "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f",
];

fn tree(data: &[Vec<u8>]) -> MerkleTree<0> {
    let mut tree = MerkleTree::default();
    data.iter().for_each(|leaf| tree.push(leaf));
    tree
}

/// Every complete subtree is kept by a tree of height 0, so no leaf is ever asked for.
fn none(_: u64) -> [u8; 32] {
    unreachable!("a leaf was asked for")
}

fn path(path: &[Digest]) -> Json {
    path.iter().map(|hash| json!(hex(&hash.0))).collect()
}

pub fn cases() -> Vec<Case> {
    let data: Vec<Vec<u8>> = LEAVES.iter().map(|leaf| unhex(leaf)).collect();
    let tree = tree(&data);
    let root = |size: u64| hex(&tree.root(size, none).0);
    let mut cases = Vec::new();
    for size in 0..=8 {
        let leaves = &LEAVES[..size as usize];
        cases.push(ok(&format!("root of {size}"), "a tree", json!({ "leaves": leaves }), json!(root(size))));
    }
    let inclusion = |index: u64, size: u64| tree.inclusion(index, size, none).expect("a leaf of the tree");
    let included = |leaf: &str, index: u64, size: u64, beside: Json, root: &str| {
        json!({ "leaf": leaf, "index": index, "size": size, "path": beside, "root": root })
    };
    for (index, size) in [(0, 1), (0, 8), (5, 8), (2, 3), (1, 5), (4, 5), (6, 7)] {
        let input = included(LEAVES[index as usize], index, size, path(&inclusion(index, size)), &root(size));
        cases.push(ok(&format!("leaf {index} of {size}"), "a proof of inclusion", input, json!("valid")));
    }
    let consistent = |first: u64, first_root: &str, size: u64, beside: Json, root: &str| {
        json!({ "earlier": { "size": first, "root": first_root }, "size": size, "path": beside, "root": root })
    };
    let consistency = |first: u64, size: u64| tree.consistency(first, size, none).expect("a beginning of the tree");
    for (first, size) in [(1, 8), (6, 8), (2, 5), (4, 8), (3, 7), (7, 8), (1, 2)] {
        let input = consistent(first, &root(first), size, path(&consistency(first, size)), &root(size));
        cases.push(ok(&format!("{first} in {size}"), "a proof of consistency", input, json!("valid")));
    }
    cases.push(ok("5 in 5", "a tree is its own beginning", consistent(5, &root(5), 5, json!([]), &root(5)), json!("valid")));
    cases.push(ok("0 in 5", "nothing is the beginning of any", consistent(0, &root(0), 5, json!([]), &root(5)), json!("valid")));

    let five = inclusion(5, 8);
    let reversed: Vec<Digest> = five.iter().rev().copied().collect();
    let longer = [five.as_slice(), &five[..1]].concat();
    let node = tree.root(2, none);
    let mut refuse = |name: &str, reason: &str, input: Json| cases.push(refused(name, reason, input, "proof"));
    refuse("another leaf", "the data is another", included("00", 5, 8, path(&five), &root(8)));
    refuse("another index", "the leaf stands elsewhere", included(LEAVES[5], 4, 8, path(&five), &root(8)));
    refuse("index at the size", "there is no such leaf", included(LEAVES[5], 8, 8, path(&five), &root(8)));
    refuse("index above the size", "there is no such leaf", included(LEAVES[5], 13, 8, path(&five), &root(8)));
    refuse("a larger size", "a tree of nine has another shape", included(LEAVES[5], 5, 9, path(&five), &root(8)));
    refuse("a smaller size", "a tree of six has another shape", included(LEAVES[5], 5, 6, path(&five), &root(8)));
    refuse("no size", "an empty tree has no leaf", included("", 0, 0, json!([]), &root(0)));
    refuse("the root of another size", "a root belongs to a size", included(LEAVES[5], 5, 8, path(&five), &root(7)));
    refuse("a path that is too short", "it ends at a node", included(LEAVES[5], 5, 8, path(&five[..2]), &root(8)));
    refuse("a path that is too long", "it goes on above the root", included(LEAVES[5], 5, 8, path(&longer), &root(8)));
    refuse("a path upside down", "the lowest comes first", included(LEAVES[5], 5, 8, path(&reversed), &root(8)));
    refuse("a path to a lone leaf", "a tree of one has no path", included("", 0, 1, path(&five[..1]), &root(1)));
    refuse("a node as a leaf", "leaves and nodes begin with different bytes", included(&hex(&node.0), 0, 4, path(&inclusion(0, 8)[1..2]), &root(4)));
    refuse("what is below a node as a leaf", "leaves and nodes begin with different bytes", included(&hex(&[tree.root(1, none).0, five[0].0].concat()), 0, 4, path(&inclusion(0, 8)[1..2]), &root(4)));
    let six = consistency(6, 8);
    refuse("a tree that shrinks", "the earlier one is larger", consistent(8, &root(8), 6, path(&six), &root(6)));
    refuse("another earlier root", "the earlier tree was another", consistent(6, &root(5), 8, path(&six), &root(8)));
    refuse("another later root", "the later tree is another", consistent(6, &root(6), 8, path(&six), &root(7)));
    refuse("no path", "something came between", consistent(6, &root(6), 8, json!([]), &root(8)));
    refuse("a path without its end", "it does not reach the root", consistent(6, &root(6), 8, path(&six[..2]), &root(8)));
    refuse("the same size, another root", "one of them was altered", consistent(8, &root(7), 8, json!([]), &root(8)));
    refuse("the same size with a path", "there is nothing between", consistent(8, &root(8), 8, path(&six), &root(8)));
    refuse("nothing with another root", "the root of nothing is known", consistent(0, &root(1), 8, json!([]), &root(8)));
    refuse("nothing with a path", "there is nothing to lead from", consistent(0, &root(0), 8, path(&six), &root(8)));
    cases
}

pub fn run(input: &Json) -> Outcome {
    let digest = |json: &Json| Digest(unhex(json.as_str().expect("hex")).try_into().expect("32 bytes"));
    let number = |json: &Json| json.as_u64().expect("a size");
    if let Some(leaves) = input["leaves"].as_array() {
        let data: Vec<Vec<u8>> = leaves.iter().map(|leaf| unhex(leaf.as_str().expect("hex"))).collect();
        return Ok(json!(hex(&tree(&data).root(data.len() as u64, none).0)));
    }
    let (size, root) = (number(&input["size"]), digest(&input["root"]));
    let path: Vec<Digest> = input["path"].as_array().expect("a list").iter().map(digest).collect();
    let holds = match input.get("earlier") {
        Some(earlier) => {
            verify_consistency((number(&earlier["size"]), &digest(&earlier["root"])), (size, &root), &path)
        }
        None => {
            let leaf = unhex(input["leaf"].as_str().expect("hex"));
            verify_inclusion(&leaf, number(&input["index"]), size, &path, &root)
        }
    };
    if holds { Ok(json!("valid")) } else { Err("proof".to_owned()) }
}
