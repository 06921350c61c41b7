//! Evidence: that an actor signed what contradicts itself. It holds what was signed, so whoever is shown it sees for themselves.
//!
//! Invariant: nothing but a valid signature of the accused makes evidence, so nobody can be framed. The id is a hash of what is claimed, not
//! of the bytes that show it: the same contradiction has one id, whoever found it and whatever came first.

use super::{Contradiction, SignedProposal, SignedVote};
use crate::causal::{ActorId, ChangesetId, MemberId, SpaceId};
use crate::codec::{DecodeError, Reader, Writer, limits};
use crate::crypto::{ChunkContext, ChunkKey, Digest, Keyring, Signature, Tag, VerifyingKey, hash};
use crate::event::{
    BodyError, Chain, Genesis, Header, MANIFEST_BYTES_MAX, Manifest, SealedDigest, SegmentError,
    SignedChangeset, SnapshotId, Voice,
};
use std::fmt;

/// Headers from one that is claimed to be signed to one whose signature is there.
pub const RUN_MAX: usize = 16;

/// Names what is claimed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EvidenceId(pub [u8; 32]);

impl fmt::Display for EvidenceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Digest(self.0).fmt(f)
    }
}

impl fmt::Debug for EvidenceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EvidenceId({}…)", &self.to_string()[..8])
    }
}

/// Headers linked by `prev`, the earliest first, and the signature of the last: it covers all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedRun {
    headers: Vec<Header>,
    signature: Signature,
}

/// What a validator said of a block, and who it is: the chain of certificates is needed where two actors of one member contradict each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said<T> {
    /// Who signed.
    pub actor: ActorId,
    /// What.
    pub statement: T,
    /// The certificates from the root to the actor, encoded; empty if both actors are one.
    pub chain: Vec<u8>,
}

/// What contradicts itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// Two changesets after one, of one actor. The lesser id first.
    Fork(Box<[SignedRun; 2]>),
    /// A changeset whose number does not follow that of its `prev`, or whose `prev` is somebody else's.
    Gap(SignedRun, Box<Header>),
    /// A changeset whose skeleton is the one that its header names, and that no member can read.
    Body(SignedRun, Vec<u8>),
    /// A snapshot that was shared, and the state hash that somebody found instead. Only who works it out again knows who is right.
    Snapshot {
        /// What was signed.
        manifest: Vec<u8>,
        /// Whose signature it is.
        chain: Vec<u8>,
        /// The maker's.
        signature: Signature,
        /// What the log comes to, as whoever says so found.
        found: Digest,
    },
    /// Two votes. The lesser first, as bytes.
    Votes(Box<[Said<SignedVote>; 2]>),
    /// Two proposals of blocks. The lesser first.
    Blocks(Box<[Said<SignedProposal>; 2]>),
}

/// Whom evidence is against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Accused {
    /// One chain.
    Actor(ActorId),
    /// A person: two of its chains contradict each other.
    Member(MemberId),
}

/// Why evidence shows nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvidenceFault {
    /// It is about another space.
    #[error("it is about another space")]
    Space,
    /// The accused did not sign it.
    #[error("the accused did not sign it")]
    Signature,
    /// Two things that can both be true.
    #[error("what it shows does not contradict itself")]
    Consistent,
    /// The certificates do not lead to who signed.
    #[error("its certificates do not show who signed")]
    Chain,
    /// Only who has the key can see it.
    #[error("the key of its epoch is missing")]
    Key,
}

impl SignedRun {
    /// Of a changeset that bears its own signature.
    pub fn of(signed: &SignedChangeset) -> Self {
        Self { headers: vec![signed.header().clone()], signature: *signed.signature() }
    }

    /// The changeset that it is about.
    pub fn header(&self) -> &Header {
        &self.headers[0]
    }

    fn check(&self, space: &SpaceId) -> Result<(), EvidenceFault> {
        let first = self.header();
        if first.space() != *space {
            return Err(EvidenceFault::Space);
        }
        let follows = |pair: &[Header]| {
            let (next, before) = (&pair[1], &pair[0]);
            next.actor() == first.actor() && next.prev() == Some(before.id()) && next.space() == *space
        };
        let last = self.headers.last().expect("a run has a header");
        let is_signed = self.headers.windows(2).all(follows)
            && VerifyingKey::parse(&first.actor().0).is_some_and(|key| {
                key.verify(Tag::CHANGESET_SIGNATURE, &[&last.id().0], &self.signature).is_ok()
            });
        if is_signed { Ok(()) } else { Err(EvidenceFault::Signature) }
    }

    fn write(&self, out: &mut Writer) {
        out.varint(self.headers.len() as u64);
        self.headers.iter().for_each(|header| {
            out.bytes(header.as_bytes());
        });
        out.raw(&self.signature.0);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let at = from.position();
        let count = from.count("headers", RUN_MAX, 1)?;
        let mut headers = Vec::with_capacity(count);
        for _ in 0..count {
            headers.push(read_header(from)?);
        }
        if headers.is_empty() {
            return Err(DecodeError::Invalid { what: "run", at, rule: "a run has a header" });
        }
        Ok(Self { headers, signature: Signature(from.array("signature")?) })
    }
}

impl<T> Said<T> {
    fn order(mut pair: [Self; 2], encode: impl Fn(&T) -> Vec<u8>) -> Box<[Self; 2]> {
        if pair[0].actor == pair[1].actor {
            pair.iter_mut().for_each(|said| said.chain.clear());
        }
        let key = |said: &Self| (said.actor, encode(&said.statement));
        if key(&pair[0]) > key(&pair[1]) {
            pair.reverse();
        }
        Box::new(pair)
    }

    /// Whether they are in the order that makes the id one.
    fn is_ordered(pair: &[Self; 2], encode: impl Fn(&T) -> Vec<u8>) -> bool {
        let key = |said: &Self| (said.actor, encode(&said.statement));
        key(&pair[0]) < key(&pair[1])
    }

    /// Whether both are of one member: of one actor, without certificates, or of two with certificates of the same one.
    fn accused(pair: &[Self; 2], genesis: &Genesis) -> Result<Accused, EvidenceFault> {
        if pair[0].actor == pair[1].actor {
            let is_bare = pair.iter().all(|said| said.chain.is_empty());
            return if is_bare { Ok(Accused::Actor(pair[0].actor)) } else { Err(EvidenceFault::Chain) };
        }
        let author = |said: &Self| {
            let author = Chain::decode(&said.chain).ok()?.verify_actor(genesis).ok()?;
            (author.actor == said.actor).then_some(author.member)
        };
        match (author(&pair[0]), author(&pair[1])) {
            (Some(one), Some(other)) if one == other => Ok(Accused::Member(one)),
            _ => Err(EvidenceFault::Chain),
        }
    }

    fn write(&self, out: &mut Writer, statement: &[u8]) {
        out.raw(&self.actor.0).bytes(statement).bytes(&self.chain);
    }

    fn read(
        from: &mut Reader<'_>,
        read: impl Fn(&[u8]) -> Result<T, DecodeError>,
    ) -> Result<Self, DecodeError> {
        let actor = ActorId(from.array("actor")?);
        let statement = read(from.bytes("statement", limits::EXT_BYTES_MAX)?)?;
        Ok(Self { actor, statement, chain: from.bytes("chain", limits::EXT_BYTES_MAX)?.to_vec() })
    }
}

impl Evidence {
    /// Of two changesets, in whatever order.
    pub fn fork(one: &SignedChangeset, other: &SignedChangeset) -> Self {
        let mut pair = [SignedRun::of(one), SignedRun::of(other)];
        if pair[0].header().id() > pair[1].header().id() {
            pair.reverse();
        }
        Self::Fork(Box::new(pair))
    }

    /// Of two votes.
    pub fn votes(pair: [Said<SignedVote>; 2]) -> Self {
        Self::Votes(Said::order(pair, SignedVote::encode))
    }

    /// Of two proposals.
    pub fn blocks(pair: [Said<SignedProposal>; 2]) -> Self {
        Self::Blocks(Said::order(pair, SignedProposal::encode))
    }

    /// What it is called.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Fork(_) => "fork",
            Self::Gap(..) => "gap",
            Self::Body(..) => "bad-body",
            Self::Snapshot { .. } => "bad-snapshot",
            Self::Votes(pair) => match pair[0].statement.vote.contradicts(&pair[1].statement.vote) {
                Some(Contradiction::BrokenLock) => "broken-lock",
                _ => "double-vote",
            },
            Self::Blocks(_) => "double-block",
        }
    }

    /// Whether everybody who is shown it sees the same: not what has to be worked out again.
    pub fn is_proof(&self) -> bool {
        !matches!(self, Self::Snapshot { .. })
    }

    /// Whether it is about what a validator said.
    pub fn is_about_votes(&self) -> bool {
        matches!(self, Self::Votes(_) | Self::Blocks(_))
    }

    /// Who signed what it shows: one actor, or two of one member.
    pub fn actors(&self) -> Vec<ActorId> {
        let mut actors = match self {
            Self::Fork(pair) => vec![pair[0].header().actor()],
            Self::Gap(of, _) | Self::Body(of, _) => vec![of.header().actor()],
            Self::Snapshot { manifest, .. } => {
                Manifest::decode(manifest).iter().map(|read| read.actor).collect()
            }
            Self::Votes(pair) => pair.iter().map(|said| said.actor).collect(),
            Self::Blocks(pair) => pair.iter().map(|said| said.actor).collect(),
        };
        actors.dedup();
        actors
    }

    /// Whom it is against, if it was checked before.
    pub fn accused(&self, genesis: &Genesis) -> Option<Accused> {
        match self {
            Self::Votes(pair) => Said::accused(pair, genesis).ok(),
            Self::Blocks(pair) => Said::accused(pair, genesis).ok(),
            _ => self.actors().first().map(|actor| Accused::Actor(*actor)),
        }
    }

    /// From which of its changesets on what its actor wrote is in doubt; none where that is not about changesets.
    pub fn doubts(&self) -> Option<(ActorId, u32)> {
        match self {
            Self::Fork(pair) => Some((pair[0].header().actor(), pair[0].header().seq())),
            Self::Gap(of, _) | Self::Body(of, _) => Some((of.header().actor(), of.header().seq())),
            Self::Snapshot { .. } | Self::Votes(_) | Self::Blocks(_) => None,
        }
    }

    /// The changesets that it shows.
    pub fn changesets(&self) -> Vec<ChangesetId> {
        match self {
            Self::Fork(pair) => pair.iter().map(|run| run.header().id()).collect(),
            Self::Gap(of, _) | Self::Body(of, _) => vec![of.header().id()],
            Self::Snapshot { .. } | Self::Votes(_) | Self::Blocks(_) => Vec::new(),
        }
    }

    /// The name of what it claims.
    pub fn id(&self, space: &SpaceId) -> EvidenceId {
        let mut claim = Writer::new();
        match self {
            Self::Fork(pair) => {
                claim.raw(&pair[0].header().id().0).raw(&pair[1].header().id().0);
            }
            Self::Gap(of, prev) => {
                claim.raw(&of.header().id().0).raw(&prev.id().0);
            }
            Self::Body(of, _) => {
                claim.raw(&of.header().id().0);
            }
            Self::Snapshot { manifest, .. } => {
                claim.raw(&SnapshotId::of(manifest).0);
            }
            Self::Votes(pair) => {
                for said in pair.iter() {
                    let bytes = said.statement.encode();
                    claim.raw(&said.actor.0).bytes(&bytes[..bytes.len() - 64]);
                }
            }
            Self::Blocks(pair) => {
                for said in pair.iter() {
                    let bytes = said.statement.encode();
                    claim.raw(&said.actor.0).bytes(&bytes[..bytes.len() - 64]);
                }
            }
        }
        EvidenceId(hash(Tag::EVIDENCE, &[&space.0, &[self.code()], claim.as_slice()]).0)
    }

    /// Whom it is against, if it shows what it claims. Two signatures at most for what is in a space; more for longer runs and certificates.
    pub fn check(&self, genesis: &Genesis, keys: &Keyring) -> Result<Accused, EvidenceFault> {
        let space = genesis.id();
        match self {
            Self::Fork(pair) => {
                let [one, other] = &**pair;
                one.check(&space)?;
                other.check(&space)?;
                let (a, b) = (one.header(), other.header());
                let is_fork =
                    (a.actor(), a.seq(), a.prev()) == (b.actor(), b.seq(), b.prev()) && a.id() < b.id();
                if is_fork { Ok(Accused::Actor(a.actor())) } else { Err(EvidenceFault::Consistent) }
            }
            Self::Gap(of, prev) => {
                of.check(&space)?;
                let header = of.header();
                let follows = prev.actor() == header.actor()
                    && prev.space() == space
                    && header.seq().checked_sub(1) == Some(prev.seq());
                let is_gap = header.prev() == Some(prev.id()) && !follows;
                if is_gap { Ok(Accused::Actor(header.actor())) } else { Err(EvidenceFault::Consistent) }
            }
            Self::Body(of, skeleton) => self.check_body(of, skeleton, &space, keys),
            Self::Snapshot { manifest, chain, signature, found } => {
                let read = Manifest::decode(manifest).map_err(|_| EvidenceFault::Consistent)?;
                if read.space != space {
                    return Err(EvidenceFault::Space);
                }
                let maker = Voice::Maker
                    .verify(genesis, SnapshotId::of(manifest), chain, &signature.0)
                    .filter(|maker| maker.actor == read.actor)
                    .ok_or(EvidenceFault::Chain)?;
                let said = sealed_digest(&read, keys);
                let is_other = said.is_none_or(|said| said.state_hash != *found);
                if is_other { Ok(Accused::Actor(maker.actor)) } else { Err(EvidenceFault::Consistent) }
            }
            Self::Votes(pair) => {
                let [one, other] = &**pair;
                if !pair.iter().all(|said| said.statement.is_signed_by(&said.actor, &space)) {
                    return Err(EvidenceFault::Signature);
                }
                let contradicts = one.statement.vote.contradicts(&other.statement.vote);
                contradicts
                    .filter(|_| Said::is_ordered(pair, SignedVote::encode))
                    .ok_or(EvidenceFault::Consistent)?;
                Said::accused(pair, genesis)
            }
            Self::Blocks(pair) => {
                let [one, other] = &**pair;
                if !pair.iter().all(|said| said.statement.is_signed_by(&said.actor, &space)) {
                    return Err(EvidenceFault::Signature);
                }
                let contradicts = one.statement.proposal.contradicts(&other.statement.proposal);
                contradicts
                    .filter(|_| Said::is_ordered(pair, SignedProposal::encode))
                    .ok_or(EvidenceFault::Consistent)?;
                Said::accused(pair, genesis)
            }
        }
    }

    fn check_body(
        &self,
        of: &SignedRun,
        skeleton: &[u8],
        space: &SpaceId,
        keys: &Keyring,
    ) -> Result<Accused, EvidenceFault> {
        of.check(space)?;
        let header = of.header();
        let row = SignedChangeset::from_parts(header.as_bytes(), of.signature.0, Some(skeleton), None);
        let row = row.map_err(|_| EvidenceFault::Consistent)?;
        // One of a run stands on the signature of another one.
        let changeset = row.verify().map_err(|_| EvidenceFault::Signature)?;
        match changeset.open_skeleton(keys) {
            Err(BodyError::Segment(SegmentError::NoKey(_))) => Err(EvidenceFault::Key),
            Err(error) if !error.may_change() => Ok(Accused::Actor(header.actor())),
            _ => Err(EvidenceFault::Consistent),
        }
    }

    /// The payload of the op that says so.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.u8(VERSION).u8(self.code());
        match self {
            Self::Fork(pair) => pair.iter().for_each(|run| run.write(&mut out)),
            Self::Gap(of, prev) => {
                of.write(&mut out);
                out.bytes(prev.as_bytes());
            }
            Self::Body(of, skeleton) => {
                of.write(&mut out);
                out.bytes(skeleton);
            }
            Self::Snapshot { manifest, chain, signature, found } => {
                out.bytes(manifest).bytes(chain).raw(&signature.0).raw(&found.0);
            }
            Self::Votes(pair) => pair.iter().for_each(|said| said.write(&mut out, &said.statement.encode())),
            Self::Blocks(pair) => pair.iter().for_each(|said| said.write(&mut out, &said.statement.encode())),
        }
        out.into_bytes()
    }

    /// Whether this version reads a payload.
    pub fn is_known(payload: &[u8]) -> bool {
        payload.first() == Some(&VERSION) && payload.get(1).is_none_or(|code| (1..=6).contains(code))
    }

    /// Reads one; it may show nothing: see [`Evidence::check`].
    pub fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let mut from = Reader::new(payload);
        from.expect_u8("version", VERSION)?;
        let at = from.position();
        let evidence = match from.u8("kind")? {
            1 => Self::Fork(Box::new([SignedRun::read(&mut from)?, SignedRun::read(&mut from)?])),
            2 => Self::Gap(SignedRun::read(&mut from)?, Box::new(read_header(&mut from)?)),
            3 => Self::Body(
                SignedRun::read(&mut from)?,
                from.bytes("skeleton", limits::CHANGESET_BYTES_MAX)?.to_vec(),
            ),
            4 => Self::Snapshot {
                manifest: from.bytes("manifest", MANIFEST_BYTES_MAX)?.to_vec(),
                chain: from.bytes("chain", limits::EXT_BYTES_MAX)?.to_vec(),
                signature: Signature(from.array("signature")?),
                found: Digest(from.array("hash")?),
            },
            5 => {
                let mut said = || Said::read(&mut from, SignedVote::decode);
                Self::Votes(Box::new([said()?, said()?]))
            }
            6 => {
                let mut said = || Said::read(&mut from, SignedProposal::decode);
                Self::Blocks(Box::new([said()?, said()?]))
            }
            found => return Err(DecodeError::Unknown { what: "evidence", at, found: found.into() }),
        };
        from.finish("evidence")?;
        Ok(evidence)
    }

    fn code(&self) -> u8 {
        match self {
            Self::Fork(_) => 1,
            Self::Gap(..) => 2,
            Self::Body(..) => 3,
            Self::Snapshot { .. } => 4,
            Self::Votes(_) => 5,
            Self::Blocks(_) => 6,
        }
    }
}

/// What a manifest says of the state, to whoever has the key.
fn sealed_digest(manifest: &Manifest, keys: &Keyring) -> Option<SealedDigest> {
    let count = manifest.chunks.len() as u32;
    let at = ChunkContext { space: &manifest.space.0, run: &manifest.run, number: count, count };
    let mut opened = Vec::new();
    ChunkKey::new(keys.get(manifest.kid)?, &at).open(&manifest.seal, &mut opened).ok()?;
    SealedDigest::decode(&opened).ok()
}

fn read_header(from: &mut Reader<'_>) -> Result<Header, DecodeError> {
    Header::decode(from.bytes("header", limits::CHANGESET_BYTES_MAX)?)
}

const VERSION: u8 = 1;
