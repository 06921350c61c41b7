//! The logs of one database of a relay, after `docs/protocol.md` §2 to §4: who is let in, what becomes of a pushed row, how
//! the log is read. A model of the real stores in little code; the relay's own tests hold it against them.

use std::collections::{BTreeMap, BTreeSet};
use stemma::causal::{ActorId, ChangesetId, LogChain, LogId, MemberId, SpaceId, Tip};
use stemma::crypto::{SegmentKind, Signature, Tag, VerifyingKey, hash, segment_hash};
use stemma::event::{Genesis, Header, Login, LoginProof, changeset_id, next_chain, start_chain};
use stemma::sync::{Auth, ChainRange, Code, Position, Row, Verdict};

/// Somebody at the door of a space.
pub struct Knock {
    pub genesis: Genesis,
    /// The key that let the member in, and on which terms.
    pub gate: [u8; 32],
    pub member: MemberId,
    pub uses: Option<u64>,
    pub is_expired: bool,
}

/// A row that was checked for itself.
#[derive(Clone)]
pub struct NewRow {
    pub id: ChangesetId,
    pub actor: ActorId,
    pub seq: u32,
    pub prev: Option<ChangesetId>,
    pub row: Row,
}

/// What a relay keeps of its spaces. Every change is durable when it returns.
pub trait Logs {
    /// An empty one of this kind.
    fn empty(&self) -> Box<dyn Logs>;
    /// Makes a space unless it is there.
    fn create(&mut self, space: SpaceId, genesis: &[u8], log_id: LogId);
    fn genesis(&self, space: SpaceId) -> Option<Vec<u8>>;
    fn head(&self, space: SpaceId) -> Option<Position>;
    /// Lets a member in, counting it at its gate the first time.
    fn admit(&mut self, space: SpaceId, knock: &Knock) -> Result<(), Code>;
    fn members(&self, space: SpaceId) -> Vec<([u8; 32], MemberId)>;
    fn append(&mut self, space: SpaceId, quota_bytes: u64, rows: &[NewRow]) -> Vec<Verdict>;
    /// Rows after a cursor, each with its chain.
    fn read(&self, space: SpaceId, after: u64, rows_max: usize) -> Vec<(LogChain, Row)>;
    fn chain_at(&self, space: SpaceId, cursor: u64) -> Option<LogChain>;
    fn tips(&self, space: SpaceId, actors: &[ActorId]) -> Vec<Tip>;
    /// Those of everybody.
    fn ends(&self, space: SpaceId) -> Vec<Tip>;
    /// Rows at places in chains behind a cursor, each with its own, and whether there are more.
    fn chains(
        &self,
        space: SpaceId,
        ranges: &[ChainRange],
        after: u64,
        rows_max: usize,
    ) -> (Vec<(u64, Row)>, bool);

    /// The proofs of an AUTH, if they hold.
    fn check_login(&self, auth: &Auth, key: &[u8; 32], nonce: &[u8; 32], now_ms: u64) -> Option<Vec<Knock>> {
        check_login(auth, key, nonce, now_ms)
    }

    /// A row for itself.
    fn check_row(&self, row: Row, space: SpaceId, genesis: &Genesis) -> Result<NewRow, Code> {
        check_row(row, space, genesis)
    }
}

/// The logs in memory.
#[derive(Default)]
pub struct Model {
    spaces: BTreeMap<SpaceId, Space>,
}

struct Space {
    genesis: Vec<u8>,
    log_id: LogId,
    rows: Vec<(LogChain, NewRow)>,
    places: BTreeMap<ChangesetId, u64>,
    bytes: u64,
    members: Vec<([u8; 32], MemberId)>,
}

impl Logs for Model {
    fn empty(&self) -> Box<dyn Logs> {
        Box::new(Self::default())
    }

    fn create(&mut self, space: SpaceId, genesis: &[u8], log_id: LogId) {
        self.spaces.entry(space).or_insert_with(|| Space {
            genesis: genesis.to_vec(),
            log_id,
            rows: Vec::new(),
            places: BTreeMap::new(),
            bytes: 0,
            members: Vec::new(),
        });
    }

    fn genesis(&self, space: SpaceId) -> Option<Vec<u8>> {
        Some(self.spaces.get(&space)?.genesis.clone())
    }

    fn head(&self, space: SpaceId) -> Option<Position> {
        let of = self.spaces.get(&space)?;
        let chain = of.rows.last().map_or(start_chain(of.log_id, space), |(chain, _)| *chain);
        Some(Position { log_id: of.log_id, cursor: of.rows.len() as u64, chain })
    }

    fn admit(&mut self, space: SpaceId, knock: &Knock) -> Result<(), Code> {
        let members = &mut self.spaces.get_mut(&space).ok_or(Code::Denied)?.members;
        if members.contains(&(knock.gate, knock.member)) {
            return Ok(());
        }
        let count = members.iter().filter(|(gate, _)| *gate == knock.gate).count() as u64;
        if knock.is_expired {
            return Err(Code::InviteExpired);
        }
        if knock.uses.is_some_and(|uses| count >= uses) {
            return Err(Code::InviteUsed);
        }
        members.push((knock.gate, knock.member));
        Ok(())
    }

    fn members(&self, space: SpaceId) -> Vec<([u8; 32], MemberId)> {
        self.spaces.get(&space).map_or(Vec::new(), |of| of.members.clone())
    }

    fn append(&mut self, space: SpaceId, quota_bytes: u64, rows: &[NewRow]) -> Vec<Verdict> {
        let of = self.spaces.get_mut(&space).expect("whoever pushes was let in");
        rows.iter().map(|row| of.append(space, quota_bytes, row)).collect()
    }

    fn read(&self, space: SpaceId, after: u64, rows_max: usize) -> Vec<(LogChain, Row)> {
        let Some(of) = self.spaces.get(&space) else { return Vec::new() };
        let rows = of.rows.iter().skip(after as usize).take(rows_max);
        rows.map(|(chain, new)| (*chain, new.row.clone())).collect()
    }

    fn chain_at(&self, space: SpaceId, cursor: u64) -> Option<LogChain> {
        let of = self.spaces.get(&space)?;
        match cursor.checked_sub(1) {
            None => Some(start_chain(of.log_id, space)),
            Some(before) => of.rows.get(before as usize).map(|(chain, _)| *chain),
        }
    }

    fn tips(&self, space: SpaceId, actors: &[ActorId]) -> Vec<Tip> {
        let Some(of) = self.spaces.get(&space) else { return Vec::new() };
        let tips = |actor: &ActorId| of.tips(*actor);
        actors.iter().flat_map(tips).collect()
    }

    fn chains(
        &self,
        space: SpaceId,
        ranges: &[ChainRange],
        after: u64,
        rows_max: usize,
    ) -> (Vec<(u64, Row)>, bool) {
        let Some(of) = self.spaces.get(&space) else { return (Vec::new(), false) };
        let is_asked = |row: &NewRow| {
            ranges
                .iter()
                .any(|range| range.actor == row.actor && (range.first..=range.last).contains(&row.seq))
        };
        let behind = (1_u64..).zip(&of.rows).filter(|(cursor, (_, row))| *cursor > after && is_asked(row));
        let mut rows: Vec<(u64, Row)> = behind.map(|(cursor, (_, new))| (cursor, new.row.clone())).collect();
        let more = rows.len() > rows_max;
        rows.truncate(rows_max);
        (rows, more)
    }

    fn ends(&self, space: SpaceId) -> Vec<Tip> {
        let Some(of) = self.spaces.get(&space) else { return Vec::new() };
        let actors: BTreeSet<ActorId> = of.rows.iter().map(|(_, row)| row.actor).collect();
        actors.into_iter().flat_map(|actor| of.tips(actor)).collect()
    }
}

impl Model {
    /// Where the ends of a log add up to something else than somebody's, after `docs/protocol.md` §3.
    pub fn differing(ends: &[Tip], sums: &[u128]) -> (Vec<u32>, Vec<Tip>) {
        let hashed =
            |tip: &Tip| hash(Tag::HEADS, &[&tip.actor.0, &u64::from(tip.seq).to_le_bytes(), &tip.id.0]).0;
        let within = |range: usize| {
            let number = |tip: &Tip| usize::from(hashed(tip)[0]) + 256 * usize::from(hashed(tip)[1]);
            ends.iter().copied().filter(move |tip| number(tip) % sums.len() == range)
        };
        let sum = |range: usize| {
            let add = |sum: u128, tip: Tip| {
                sum.wrapping_add(u128::from_le_bytes(hashed(&tip)[16..].try_into().expect("16")))
            };
            within(range).fold(0, add)
        };
        let ranges: Vec<usize> = (0..sums.len()).filter(|range| sum(*range) != sums[*range]).collect();
        let tips = ranges.iter().flat_map(|range| within(*range)).collect();
        (ranges.into_iter().map(|range| range as u32).collect(), tips)
    }

    /// A row for itself.
    pub fn check(&self, row: Row, space: SpaceId, genesis: &Genesis) -> Result<NewRow, Code> {
        check_row(row, space, genesis)
    }
}

impl Space {
    /// The ends of all lanes of an actor, by seq and id.
    fn tips(&self, actor: ActorId) -> Vec<Tip> {
        let of_actor = || self.rows.iter().map(|(_, row)| row).filter(|row| row.actor == actor);
        let passed: BTreeSet<ChangesetId> = of_actor().filter_map(|row| row.prev).collect();
        let ends = of_actor().filter(|row| !passed.contains(&row.id));
        let mut tips: Vec<Tip> = ends.map(|row| Tip { actor, seq: row.seq, id: row.id }).collect();
        tips.sort_by_key(|tip| (tip.seq, tip.id));
        tips
    }

    fn append(&mut self, space: SpaceId, quota_bytes: u64, row: &NewRow) -> Verdict {
        if let Some(cursor) = self.places.get(&row.id) {
            return Verdict::Dup { cursor: *cursor };
        }
        if row.prev.is_some_and(|prev| !self.places.contains_key(&prev)) {
            return Verdict::Gap { tip: self.tips(row.actor).last().map(|tip| (tip.seq, tip.id)) };
        }
        let bytes = self.bytes + row.row.bytes() as u64;
        if bytes > quota_bytes {
            return Verdict::Rejected(Code::Quota);
        }
        let others = self.rows.iter().map(|(_, other)| other);
        let existing = others.clone().find(|other| (other.actor, other.seq) == (row.actor, row.seq));
        let existing = existing.map(|other| other.id);
        let before = self.rows.last().map_or(start_chain(self.log_id, space), |(chain, _)| *chain);
        self.bytes = bytes;
        self.rows.push((next_chain(before, row.id), row.clone()));
        let cursor = self.rows.len() as u64;
        self.places.insert(row.id, cursor);
        existing.map_or(Verdict::Accepted { cursor }, |existing| Verdict::Forked { cursor, existing })
    }
}

/// A database as it was when each log had a part of its rows, with the log ids it has or with others.
pub fn restored(
    logs: &dyn Logs,
    spaces: &[SpaceId],
    percent: u64,
    mut mint: impl FnMut() -> Option<LogId>,
) -> Box<dyn Logs> {
    let mut older = logs.empty();
    for space in spaces {
        let (Some(genesis), Some(head)) = (logs.genesis(*space), logs.head(*space)) else { continue };
        older.create(*space, &genesis, mint().unwrap_or(head.log_id));
        for (gate, member) in logs.members(*space) {
            let genesis = Genesis::decode(&genesis).expect("it was checked at the login");
            let knock = Knock { genesis, gate, member, uses: None, is_expired: false };
            older.admit(*space, &knock).expect("nothing stands against it");
        }
        let rows = logs.read(*space, 0, (head.cursor * percent / 100) as usize);
        let rows: Vec<NewRow> = rows.into_iter().map(|(_, row)| placed(row)).collect();
        older.append(*space, u64::MAX, &rows);
    }
    older
}

/// A row that is known to be good.
pub fn placed(row: Row) -> NewRow {
    let header = Header::decode(&row.header).expect("the row was checked");
    NewRow { id: header.id(), actor: header.actor(), seq: header.seq(), prev: header.prev(), row }
}

/// The id of a row.
pub fn id_of(row: &Row) -> ChangesetId {
    changeset_id(&row.header)
}

fn check_login(auth: &Auth, key: &[u8; 32], nonce: &[u8; 32], now_ms: u64) -> Option<Vec<Knock>> {
    let proofs: Vec<LoginProof<'_>> =
        auth.proofs.iter().map(|proof| LoginProof { genesis: &proof.genesis, chain: &proof.chain }).collect();
    let login = Login { relay: key, nonce, client_nonce: &auth.client_nonce, proofs: &proofs };
    let knock = |proof: &stemma::sync::Proof| {
        let genesis = Genesis::decode(&proof.genesis).ok()?;
        let author = stemma::event::Chain::decode(&proof.chain).ok()?.verify_actor(&genesis).ok()?;
        login.verify(author.actor, &Signature(proof.signature)).ok()?;
        Some(Knock {
            gate: author.invite.map_or(genesis.root().to_bytes(), |invite| invite.key),
            member: MemberId(author.member.0),
            uses: author.invite.and_then(|invite| invite.uses).map(u64::from),
            is_expired: author.not_after.is_some_and(|not_after| not_after.get() < now_ms),
            genesis,
        })
    };
    (!auth.proofs.is_empty()).then(|| auth.proofs.iter().map(knock).collect())?
}

fn check_row(row: Row, space: SpaceId, genesis: &Genesis) -> Result<NewRow, Code> {
    let header = Header::decode(&row.header).map_err(|_| Code::BadRow)?;
    if header.space() != space {
        return Err(Code::WrongSpace);
    }
    let skeleton = header.skeleton();
    let mut is_intact = row.skeleton.len() == skeleton.len as usize
        && segment_hash(SegmentKind::Skeleton, &row.skeleton) == skeleton.hash;
    if let Some(bytes) = &row.content {
        is_intact &= header.content().is_some_and(|content| {
            bytes.len() == content.len as usize && segment_hash(SegmentKind::Content, bytes) == content.hash
        });
    }
    if !is_intact {
        return Err(Code::BadRow);
    }
    if row.header[1] != SUITE {
        return Err(Code::Unsupported);
    }
    if header.seq() == 0 {
        let chain = header.chain().ok_or(Code::Unsupported)?;
        let author = chain.verify_actor(genesis).map_err(|_| Code::BadChain)?;
        if author.actor != header.actor() {
            return Err(Code::BadChain);
        }
    }
    let key = VerifyingKey::parse(&header.actor().0).ok_or(Code::BadSignature)?;
    key.verify(Tag::CHANGESET_SIGNATURE, &[&header.id().0], &Signature(row.signature))
        .map_err(|_| Code::BadSignature)?;
    Ok(placed(row))
}

const SUITE: u8 = 1;
