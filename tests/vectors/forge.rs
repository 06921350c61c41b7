//! Builds rows from parts that need not fit together, and seals plaintexts that no honest writer makes. Written from
//! `docs/format.md` and not from the library: derivation and sealing are done here a second time.

use crate::fixture::{OWNER_ACTOR, key, owner_chain, space};
use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{Aes256Gcm, Nonce};
use hkdf::Hkdf;
use sha2::{Digest, Sha256};
use stemma::codec::{TlvWriter, Writer};
use stemma::crypto::Tag;

/// The parts of a row. Lists are raw, so that they can be wrong.
#[derive(Clone)]
pub struct Forge {
    pub version: u8,
    pub suite: u8,
    pub class: u8,
    pub flags: u8,
    pub space: [u8; 32],
    pub signer: u8,
    pub actor: [u8; 32],
    pub seq: Vec<u8>,
    pub prev: [u8; 32],
    pub deps: Vec<u8>,
    pub epoch: u8,
    /// `None`: the kid of the epoch.
    pub kid: Option<[u8; 16]>,
    pub skeleton: Vec<u8>,
    pub content: Option<Vec<u8>>,
    pub ext: Vec<u8>,
    pub tag: &'static str,
}

/// `tag(x)`.
pub fn tag(name: &str) -> [u8; 16] {
    let mut tag = *b"stemma/1\0\0\0\0\0\0\0\0";
    tag[8..8 + name.len()].copy_from_slice(name.as_bytes());
    tag
}

pub fn sha(name: &str, parts: &[&[u8]]) -> [u8; 32] {
    let mut sha = Sha256::new_with_prefix(tag(name));
    parts.iter().for_each(|part| sha.update(part));
    sha.finalize().into()
}

/// `codec 0 | body bytes | zeros` of a padding that is not the library's.
pub fn plaintext(body: &[u8]) -> Vec<u8> {
    let mut out = Writer::new();
    out.u8(0).bytes(body).raw(&[0; 5]);
    out.into_bytes()
}

pub fn ext(entries: &[(u64, &[u8])]) -> Vec<u8> {
    let (mut out, mut ext) = (Writer::new(), TlvWriter::new());
    for (tag, value) in entries {
        ext.entry(*tag, value);
    }
    ext.finish(&mut out);
    out.into_bytes()
}

impl Forge {
    /// A first changeset of the owner's actor with these bodies.
    pub fn first(skeleton: &[u8], content: Option<&[u8]>) -> Self {
        Self {
            version: 1,
            suite: 1,
            class: 1,
            flags: 0,
            space: space().0,
            signer: OWNER_ACTOR,
            actor: key(OWNER_ACTOR).public(),
            seq: vec![0],
            prev: space().0,
            deps: vec![0],
            epoch: 0x33,
            kid: None,
            skeleton: plaintext(skeleton),
            content: content.map(plaintext),
            ext: ext(&[(3, &owner_chain().encode())]),
            tag: "cs-sig",
        }
    }

    /// The second.
    pub fn second(skeleton: &[u8], content: Option<&[u8]>) -> Self {
        Self { seq: vec![1], prev: [0x5a; 32], ext: vec![0], ..Self::first(skeleton, content) }
    }

    pub fn row(&self) -> Vec<u8> {
        let prefix = self.prefix();
        let skeleton = self.sealed(&prefix, 0, &self.skeleton);
        let content = self.content.as_ref().map(|content| self.sealed(&prefix, 1, content));
        self.row_with(&skeleton, content.as_deref())
    }

    /// The row of segments that were sealed elsewhere.
    pub fn row_with(&self, skeleton: &[u8], content: Option<&[u8]>) -> Vec<u8> {
        let mut header = Writer::new();
        header.raw(&self.prefix()).varint(skeleton.len() as u64).raw(&sha("seg-hash", &[&[0], skeleton]));
        match content {
            Some(content) => header.varint(content.len() as u64).raw(&sha("seg-hash", &[&[1], content])),
            None => header.u8(0).raw(&[0; 32]),
        };
        header.raw(&self.ext);
        self.row_of(header.as_slice(), skeleton, content)
    }

    /// The row of a whole header, signed.
    pub fn row_of(&self, header: &[u8], skeleton: &[u8], content: Option<&[u8]>) -> Vec<u8> {
        let id = sha("cs-id", &[header]);
        let tag = if self.tag == "cs-sig" { Tag::CHANGESET_SIGNATURE } else { Tag::CERTIFICATE_SIGNATURE };
        let signature = key(self.signer).sign(tag, &[&id]);
        let mut out = Writer::new();
        out.u8(2 + u8::from(content.is_some())).bytes(header).raw(&signature.0).raw(skeleton);
        out.raw(content.unwrap_or_default());
        out.into_bytes()
    }

    pub fn prefix(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.u8(self.version).u8(self.suite).u8(self.class).u8(self.flags).raw(&self.space).raw(&self.actor);
        out.raw(&self.seq).raw(&self.prev).raw(&self.deps).raw(&self.kid.unwrap_or_else(|| kid(self.epoch)));
        out.into_bytes()
    }

    pub fn sealed(&self, prefix: &[u8], kind: u8, plain: &[u8]) -> Vec<u8> {
        let salt = [0x99 - kind; 16];
        let seq = self.seq.iter().rev().fold(0u64, |seq, byte| seq << 7 | u64::from(byte & 0x7f));
        let mut okm = [0; 44];
        let info =
            [&tag("seg-key")[..], &self.space, &self.actor, &seq.to_le_bytes(), &[kind], &salt].concat();
        prk(self.epoch).expand(&info, &mut okm).expect("44 bytes");
        let cipher = Aes256Gcm::new_from_slice(&okm[..32]).expect("32 bytes");
        let nonce: Nonce<_> = <[u8; 12]>::try_from(&okm[32..]).expect("12 bytes").into();
        let aad = sha("seg-aad", &[prefix, &[kind]]);
        let mut sealed = plain.to_vec();
        let mac = cipher.encrypt_inout_detached(&nonce, &aad, sealed.as_mut_slice().into()).expect("short");
        [&salt[..], &sealed, &mac].concat()
    }
}

pub fn kid(epoch: u8) -> [u8; 16] {
    let mut kid = [0; 16];
    prk(epoch).expand(&tag("kid"), &mut kid).expect("16 bytes");
    kid
}

fn prk(epoch: u8) -> Hkdf<Sha256> {
    Hkdf::new(Some(&space().0), &[epoch; 32])
}
