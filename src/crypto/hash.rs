//! SHA-256, the only hash, always behind a domain tag.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use sha2::digest::{Digest as _, FixedOutput, consts::U32};
use std::fmt;

/// `H(tag | parts)`. The parts are joined without lengths: the caller's format keeps them apart.
#[must_use]
pub fn hash(tag: Tag, parts: &[&[u8]]) -> Digest {
    let mut sha = Sha256::new_with_prefix(tag.0);
    parts.iter().for_each(|part| sha.update(part));
    Digest(finish(sha))
}

/// HMAC-SHA256 under `key` over `tag | parts`.
#[must_use]
pub fn hmac(key: &[u8; 32], tag: Tag, parts: &[&[u8]]) -> [u8; 32] {
    mac(Hmac::new_from_slice(key).expect("HMAC takes keys of any length"), tag, parts)
}

/// The same with a key that was taken in before.
pub(super) fn mac(mut keyed: Hmac<Sha256>, tag: Tag, parts: &[&[u8]]) -> [u8; 32] {
    keyed.update(&tag.0);
    parts.iter().for_each(|part| keyed.update(part));
    finish(keyed)
}

/// Where it is to stand from the start: an output of its own the traits would fill byte by byte.
fn finish(hashed: impl FixedOutput<OutputSize = U32>) -> [u8; 32] {
    let mut out = [0; 32];
    hashed.finalize_into((&mut out).into());
    out
}

/// What stands for data at the bottom of a Merkle tree (RFC 9162, 2.1.1). No domain tag begins with this byte.
#[must_use]
pub fn merkle_leaf(data: &[u8]) -> Digest {
    let mut sha = Sha256::new_with_prefix([0]);
    sha.update(data);
    Digest(finish(sha))
}

/// What stands for two subtrees. Its first byte keeps it from being taken for a leaf.
#[must_use]
pub fn merkle_node(left: &Digest, right: &Digest) -> Digest {
    let mut bytes = [1; 65];
    bytes[1..33].copy_from_slice(&left.0);
    bytes[33..].copy_from_slice(&right.0);
    Digest(finish(Sha256::new_with_prefix(bytes)))
}

/// The root of a Merkle tree without leaves.
#[must_use]
pub fn merkle_empty() -> Digest {
    Digest(Sha256::digest([]).into())
}

/// A SHA-256 hash.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({}…)", &self.to_string()[..8])
    }
}

/// A domain tag: `stemma/1` and a name, padded with zeros to 16 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag([u8; 16]);

impl Tag {
    /// Space ids.
    pub const GENESIS: Self = Self::new("genesis");
    /// Changeset ids.
    pub const CHANGESET_ID: Self = Self::new("cs-id");
    /// Changeset signatures.
    pub const CHANGESET_SIGNATURE: Self = Self::new("cs-sig");
    /// Segment hashes.
    pub const SEGMENT_HASH: Self = Self::new("seg-hash");
    /// Associated data of segments.
    pub const SEGMENT_AAD: Self = Self::new("seg-aad");
    /// Segment keys.
    pub const SEGMENT_KEY: Self = Self::new("seg-key");
    /// Salts of ops that can be shown one by one.
    pub const OP_SALT: Self = Self::new("op-salt");
    /// Leaves of a tree over ops.
    pub const OP_LEAF: Self = Self::new("op-leaf");
    /// Segment salts.
    pub const SEGMENT_SALT: Self = Self::new("seg-salt");
    /// Certificate ids.
    pub const CERTIFICATE_ID: Self = Self::new("cert-id");
    /// Certificate signatures.
    pub const CERTIFICATE_SIGNATURE: Self = Self::new("cert-sig");
    /// Values under the key of a person.
    pub const PERSONAL: Self = Self::new("personal");
    /// Key ids of epochs.
    pub const KID: Self = Self::new("kid");
    /// The key of a member's own policy.
    pub const PRIVATE: Self = Self::new("private");
    /// Ids of names.
    pub const NAME: Self = Self::new("name");
    /// Ids of top-level objects.
    pub const OBJECT: Self = Self::new("object");
    /// Ids of child objects.
    pub const CHILD: Self = Self::new("child");
    /// Ends of lanes, to compare what two sides hold.
    pub const HEADS: Self = Self::new("heads");
    /// State hashes.
    pub const STATE: Self = Self::new("state");
    /// State hashes of maps.
    pub const STATE_MAP: Self = Self::new("state-mp");
    /// State hashes of texts.
    pub const STATE_TEXT: Self = Self::new("state-tx");
    /// State hashes of counters.
    pub const STATE_COUNTER: Self = Self::new("state-cn");
    /// State hashes of sets.
    pub const STATE_SET: Self = Self::new("state-st");
    /// State hashes of carts.
    pub const STATE_CART: Self = Self::new("state-ca");
    /// State hashes of ledgers.
    pub const STATE_LEDGER: Self = Self::new("state-le");
    /// State hashes of lists.
    pub const STATE_LIST: Self = Self::new("state-li");
    /// State hashes of objects that events define.
    pub const STATE_EVENTS: Self = Self::new("state-ev");
    /// Digests of definitions.
    pub const DEFINE: Self = Self::new("define");
    /// Keys of snapshot chunks.
    pub const SNAPSHOT: Self = Self::new("snapshot");
    /// Ids of manifests of snapshots, and what their makers sign.
    pub const MANIFEST: Self = Self::new("manifest");
    /// Hashes of chunks of snapshots.
    pub const SNAPSHOT_CHUNK: Self = Self::new("snapchnk");
    /// What witnesses of snapshots sign.
    pub const WITNESS: Self = Self::new("witness");
    /// View digests.
    pub const VIEW: Self = Self::new("view");
    /// Signatures of attestations.
    pub const ATTEST: Self = Self::new("attest");
    /// Sets of validators.
    pub const VALIDATORS: Self = Self::new("valset");
    /// Ids of blocks.
    pub const BLOCK_ID: Self = Self::new("block-id");
    /// Signatures of proposals of blocks.
    pub const BLOCK: Self = Self::new("block");
    /// Signatures of votes on blocks.
    pub const VOTE: Self = Self::new("vote");
    /// The ends of chains that blocks hold.
    pub const FRONTIER: Self = Self::new("frontier");
    /// Login signatures.
    pub const LOGIN: Self = Self::new("login");
    /// What is said to whoever is there.
    pub const EPHEMERAL: Self = Self::new("ephemera");
    /// Signatures of that.
    pub const PRESENCE: Self = Self::new("presence");
    /// Keys of drafts.
    pub const DRAFT: Self = Self::new("draft");
    /// Ids of evidence.
    pub const EVIDENCE: Self = Self::new("evidence");
    /// What a relay holds.
    pub const HOLDING: Self = Self::new("holding");
    /// Entries of the audit log of a device, and keys of their records.
    pub const JOURNAL: Self = Self::new("journal");
    /// What such an entry is about.
    pub const JOURNAL_DETAIL: Self = Self::new("jrnl-det");
    /// Signatures of what stands for entries that were dropped.
    pub const JOURNAL_CHECKPOINT: Self = Self::new("jrnl-chk");
    /// Blobs and their chunks.
    pub const BLOB: Self = Self::new("blob");
    /// The chain over a relay's log.
    pub const CHAIN: Self = Self::new("chain");
    /// Check sums of invite tokens.
    pub const INVITE: Self = Self::new("invite");

    /// The bytes that go in front.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    const fn new(name: &str) -> Self {
        let (prefix, name) = (b"stemma/1", name.as_bytes());
        let mut bytes = [0; 16];
        let mut i = 0;
        while i < 8 {
            bytes[i] = prefix[i];
            if i < name.len() {
                bytes[8 + i] = name[i];
            }
            i += 1;
        }
        assert!(name.len() <= 8, "a tag name has at most 8 bytes");
        Self(bytes)
    }
}
