//! The bench-only entry into the engine, compiled to WebAssembly as the package is: what the public API cannot show
//! alone. Functions do their work many times, so that the calls from JavaScript do not count.
#![cfg(target_arch = "wasm32")]

#[path = "../tests/common/chain.rs"]
mod chain;

use aes_gcm::Aes256Gcm;
use aes_gcm::aead::{AeadInOut, KeyInit};
use chain::Made;
use std::hint::black_box;
use stemma::audit::{BlockHeader, MerkleTree, verify_inclusion};
use stemma::causal::{ChangesetIx, OpIx};
use stemma::codec::{Reader, Saved, Writer};
use stemma::crdt::Text;
use stemma::crypto::{
    EpochKey, EpochSecret, SaltKey, SegmentContext, SegmentKind, Signature, SigningKey, Tag, hash, open, seal,
};
use stemma::doc::{Body, Fold, Object, Patch, resolve};
use stemma::event::{Changeset, Content, Log, SignedChangeset, Skeleton};
use stemma::{Invite, PatchBody};
use wasm_bindgen::prelude::wasm_bindgen;

const AT: SegmentContext<'static> = SegmentContext {
    space: &[1; 32],
    actor: &[2; 32],
    seq: 3,
    kind: SegmentKind::Content,
    header_prefix: &[4; 128],
};

/// Keys, and something they signed and sealed.
#[wasm_bindgen]
pub struct Costs {
    signing: SigningKey,
    signature: Signature,
    epoch: EpochKey,
    salt: SaltKey,
    body: Vec<u8>,
    segment: Vec<u8>,
}

#[wasm_bindgen]
impl Costs {
    #[wasm_bindgen(constructor)]
    pub fn new(bytes: usize) -> Self {
        let signing = SigningKey::from_seed(&[5; 32]);
        let signature = signing.sign(Tag::CHANGESET_SIGNATURE, &[&[6; 32]]);
        let epoch = EpochSecret::new([7; 32]).derive(AT.space);
        let salt = signing.salt_key();
        let body = vec![8; bytes];
        let segment = seal(&epoch, &AT, &salt, &[9; 32], &body);
        Self { signing, signature, epoch, salt, body, segment }
    }

    pub fn sign(&self, times: usize) {
        (0..times).for_each(|_| {
            black_box(self.signing.sign(Tag::CHANGESET_SIGNATURE, &[black_box(&[6; 32])]));
        });
    }

    pub fn verify(&self, times: usize) {
        let key = self.signing.verifying_key();
        (0..times).for_each(|_| {
            let valid = key.verify(Tag::CHANGESET_SIGNATURE, &[black_box(&[6; 32])], &self.signature);
            valid.expect("it is the signature of this key");
        });
    }

    /// The cipher alone, with a key that was not used before.
    pub fn aes(&self, times: usize) {
        let mut body = self.body.clone();
        (0..times).for_each(|_| {
            let cipher = Aes256Gcm::new(black_box(&[7; 32]).into());
            let tag = cipher.encrypt_inout_detached(&[1; 12].into(), &[4; 32], body.as_mut_slice().into());
            black_box(tag).expect("it is short");
        });
    }

    pub fn seal(&self, times: usize) {
        (0..times).for_each(|_| {
            black_box(seal(&self.epoch, &AT, &self.salt, &[9; 32], black_box(&self.body)));
        });
    }

    pub fn open(&self, times: usize) {
        (0..times).for_each(|_| {
            black_box(open(&self.epoch, &AT, black_box(&self.segment))).expect("it was sealed with this key");
        });
    }

    pub fn sha256(&self, times: usize) {
        (0..times).for_each(|_| {
            black_box(hash(Tag::SEGMENT_HASH, &[black_box(&self.body)]));
        });
    }
}

/// Changesets of others, and the state they are folded into.
#[wasm_bindgen]
pub struct Arrivals {
    opened: std::vec::IntoIter<(Changeset, Skeleton, Content)>,
    log: Log,
    fold: Fold,
}

#[wasm_bindgen]
impl Arrivals {
    /// What comes before a changeset is folded, for each row: it is read, its hashes and its signature are checked, both
    /// segments are opened and read.
    #[wasm_bindgen(constructor)]
    pub fn new(invite: &str, rows: Vec<js_sys::Uint8Array>) -> Self {
        let invite = Invite::decode(invite).expect("an invite of this version");
        let open = |row: &js_sys::Uint8Array| {
            let signed = SignedChangeset::decode(&row.to_vec()).expect("a row of this version");
            let changeset = signed.verify().expect("a row that was signed");
            let skeleton =
                changeset.open_skeleton(invite.keys()).expect("sealed under the key of the invite");
            let content = changeset
                .open_content(invite.keys(), &skeleton)
                .expect("the content of this skeleton")
                .unwrap_or_default();
            (changeset, skeleton, content)
        };
        let opened: Vec<_> = rows.iter().map(open).collect();
        let (log, fold) = (Log::new(invite.genesis().clone()), Fold::default());
        Self { opened: opened.into_iter(), log, fold }
    }

    /// Folds the next one: into the causal graph, its ops compared with what they stand on, then applied. Returns how many
    /// splices there are to tell.
    pub fn apply(&mut self) -> usize {
        let (changeset, skeleton, content) = self.opened.next().expect("one that was not applied yet");
        let _ = self.log.offer_authentic(changeset, 0);
        let ready = self.log.next_ready().expect("they come in causal order");
        let (prev, deps) = (ready.prev, ready.deps.clone());
        let ix = self.log.add(ready);
        let graph = self.log.graph();
        let refs = resolve(graph, prev, &deps, &skeleton.refs).expect("what it names came before it");
        let by = (self.log.author(ix).member, |_| true);
        let incoming = self.fold.check(graph, ix, &skeleton, &refs, by).expect("honest ops");
        let stamp = (skeleton.hlc, skeleton.undo_group);
        self.fold.integrate(graph, ix, stamp, Some(incoming), Some((&skeleton, &content)), |_| true);
        let splices = |patch: Patch| match patch.body {
            PatchBody::Text { splices, .. } => splices.len(),
            _ => 0,
        };
        self.fold.take_patches().into_iter().map(splices).sum()
    }

    /// The text that they wrote.
    pub fn text(&self) -> String {
        let text = |(_, object): (_, &Object)| match &object.body {
            Body::Text(text) => text.to_string(),
            _ => String::new(),
        };
        self.fold.objects().map(text).collect()
    }
}

/// What a snapshot keeps of a text: its units, their order, every op. `edits` holds position, units deleted and units inserted
/// of each, `inserted` all inserted text; `size` edits are a changeset.
#[wasm_bindgen(js_name = savedText)]
pub fn saved_text(edits: &[u32], inserted: &str, size: usize) -> Vec<u8> {
    let mut text = Text::new();
    let mut rest = inserted.chars();
    let mut ops = 0;
    for (changeset, group) in edits.chunks(3 * size).enumerate() {
        for edit in group.chunks_exact(3) {
            let (position, deleted, mut units) = (edit[0], edit[1], edit[2] as usize);
            let mut part = String::new();
            while units > 0 {
                let next = rest.next().expect("the inserted text has all units");
                units -= next.len_utf16();
                part.push(next);
            }
            text.delete(position, deleted).expect("a trace stays inside its text");
            text.insert(position, &part).expect("a trace stays inside its text");
        }
        let first = ops;
        ops += text.pending_len() as u32;
        let numbers: Vec<OpIx> = (first..ops).map(OpIx).collect();
        text.seal(ChangesetIx(changeset as u32), &numbers);
    }
    let mut saved = Writer::new();
    text.save(&mut saved);
    saved.into_bytes()
}

/// A text from what a snapshot keeps of it, as the replica wakes it.
#[wasm_bindgen]
pub struct OpenedText(Text);

#[wasm_bindgen]
impl OpenedText {
    #[wasm_bindgen(constructor)]
    pub fn new(saved: &[u8]) -> Self {
        let mut text: Text = Saved::load(&mut Reader::new(saved)).expect("what `savedText` made");
        text.record_deltas(true);
        Self(text)
    }

    pub fn text(&self) -> String {
        self.0.string()
    }

    /// Returns whether there is a change to tell of.
    pub fn insert(&mut self, position: u32, string: &str) -> bool {
        self.0.insert(position, string).expect("a position in the text");
        !self.0.drain_deltas().changes.is_empty()
    }
}

/// A chain of blocks, and what waits for the next one.
#[wasm_bindgen]
pub struct Blocks(Made);

#[wasm_bindgen]
impl Blocks {
    /// So many blocks of one changeset, and so many changesets behind them that four validators have attested.
    #[wasm_bindgen(constructor)]
    pub fn new(blocks: usize, waiting: usize) -> Self {
        let mut made = Made::new();
        (0..blocks).for_each(|_| made.block_of(1));
        made.write_more(waiting);
        made.attest();
        Self(made)
    }

    /// The next block, made so many times; how many changesets there are in all with it.
    pub fn create(&mut self, times: usize) -> f64 {
        let mut size = 0;
        for _ in 0..times {
            size = self.0.draft().expect("something waits for it").size;
        }
        size as f64
    }

    /// Makes the next block, so that it can be looked at.
    pub fn propose(&mut self) -> Proposed {
        let header = self.0.draft().expect("something waits for it");
        Proposed { header }
    }

    /// Looks whether a block is right; once.
    pub fn validate(&mut self, proposed: &Proposed) {
        self.0.propose(&proposed.header);
    }

    /// Works the chain out anew; how many blocks it has.
    pub fn verify(&self) -> usize {
        assert_eq!(self.0.chain.verify(&self.0.graph), None);
        self.0.blocks()
    }
}

/// A block that was made.
#[wasm_bindgen]
pub struct Proposed {
    header: BlockHeader,
}

/// A Merkle tree over numbers.
#[wasm_bindgen]
pub struct Merkle(MerkleTree);

#[wasm_bindgen]
impl Merkle {
    #[wasm_bindgen(constructor)]
    pub fn new(size: u32) -> Self {
        let mut tree = Self(MerkleTree::default());
        tree.grow(size);
        tree
    }

    pub fn grow(&mut self, by: u32) {
        let size = self.0.size();
        (size..size + u64::from(by)).for_each(|number| self.0.push(&numbered(number)));
    }

    /// So many proofs, of leaves all over the tree; the hashes in them.
    pub fn prove(&self, times: usize) -> usize {
        let (size, path) = (self.0.size(), |index| self.0.inclusion(index, self.0.size(), numbered));
        (0..times as u64).filter_map(|n| path(n * 7 % size)).map(|path| path.len()).sum()
    }

    /// One proof checked so many times; how often it held.
    pub fn verify(&self, times: usize) -> usize {
        let (size, root) = (self.0.size(), self.0.root(self.0.size(), numbered));
        let index = size / 3;
        let Some(path) = self.0.inclusion(index, size, numbered) else { return 0 };
        let holds = |_: &usize| verify_inclusion(&numbered(index), index, size, black_box(&path), &root);
        (0..times).filter(holds).count()
    }
}

fn numbered(number: u64) -> [u8; 32] {
    let mut leaf = [0; 32];
    leaf[..8].copy_from_slice(&number.to_le_bytes());
    leaf
}
