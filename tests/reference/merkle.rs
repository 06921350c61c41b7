//! The Merkle tree as RFC 9162, section 2.1, defines it: by recursion over the whole list. And what a checker of proofs comes
//! to, by the same recursion from the root down.

use sha2::{Digest as _, Sha256};
use stemma::crypto::Digest;

fn sha(parts: &[&[u8]]) -> Digest {
    Digest(Sha256::digest(parts.concat()).into())
}

/// The greatest power of two below `n`, by counting.
fn cut(n: usize) -> usize {
    let mut k = 1;
    while 2 * k < n {
        k *= 2;
    }
    k
}

/// MTH(D).
pub fn root(data: &[Vec<u8>]) -> Digest {
    match data {
        [] => sha(&[]),
        [one] => sha(&[&[0], one]),
        _ => {
            let (left, right) = data.split_at(cut(data.len()));
            sha(&[&[1], &root(left).0, &root(right).0])
        }
    }
}

/// PATH(m, D).
pub fn inclusion(index: usize, data: &[Vec<u8>]) -> Vec<Digest> {
    if data.len() == 1 {
        return Vec::new();
    }
    let k = cut(data.len());
    let (left, right) = data.split_at(k);
    let (mut path, beside) =
        if index < k { (inclusion(index, left), right) } else { (inclusion(index - k, right), left) };
    path.push(root(beside));
    path
}

/// PROOF(m, D).
pub fn consistency(first: usize, data: &[Vec<u8>]) -> Vec<Digest> {
    subproof(first, data, true)
}

fn subproof(first: usize, data: &[Vec<u8>], is_known: bool) -> Vec<Digest> {
    if first == data.len() {
        return if is_known { Vec::new() } else { vec![root(data)] };
    }
    let k = cut(data.len());
    let (left, right) = data.split_at(k);
    let (mut path, beside) = if first <= k {
        (subproof(first, left, is_known), right)
    } else {
        (subproof(first - k, right, false), left)
    };
    path.push(root(beside));
    path
}

/// The root that a path leads to from a leaf, from the end of the path on; none if it has another length.
pub fn root_by(data: &[u8], index: usize, size: usize, path: &[Digest]) -> Option<Digest> {
    let Some((beside, path)) = path.split_last() else {
        return (size == 1).then(|| sha(&[&[0], data]));
    };
    if size < 2 {
        return None;
    }
    let k = cut(size);
    if index < k {
        Some(sha(&[&[1], &root_by(data, index, k, path)?.0, &beside.0]))
    } else {
        Some(sha(&[&[1], &beside.0, &root_by(data, index - k, size - k, path)?.0]))
    }
}
