//! What of all that happens is written down in the audit log, and in which words. How it gets there is in `journal`.

use super::Replica;
use super::receive::Origin;
use super::reputation::Fact;
use crate::audit::{BlockId, Consent, Detail, NoteKind};
use crate::causal::{ActorId, ChangesetId, ChangesetIx, MemberId};
use crate::crypto::Digest;
use crate::doc::ObjectIx;
use crate::event::{ControlKind, Skeleton};
use crate::sorted::SortedMap;
use crate::trust::{Authored, Subject, phrase};

/// What went over a session since it began.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    /// Rows that were new, that were refused, and that were sent.
    pub new: u64,
    pub refused: u64,
    pub sent: u64,
    /// The place in the relay's log where it began.
    from: Option<u64>,
}

pub(super) type Tallies = SortedMap<u32, Tally>;

impl Replica {
    /// Rows were refused. It is the word of whoever delivered them that they are of anybody: nobody else is named.
    pub(super) fn note_refused(
        &mut self,
        from: Option<u32>,
        id: Option<ChangesetId>,
        reason: &str,
        now_ms: u64,
    ) {
        let peer = from.map_or_else(|| "an import".to_owned(), |session| self.peer_name(session));
        let detail = Detail { changeset: id, peer, text: reason.to_owned(), ..Detail::default() };
        self.note_often(NoteKind::Refused, detail, now_ms);
    }

    /// A changeset is authentic, and waits or has no effect.
    pub(super) fn note_verdict(
        &mut self,
        kind: NoteKind,
        id: ChangesetId,
        (actor, member): (ActorId, Option<MemberId>),
        reason: &str,
        now_ms: u64,
    ) {
        if self.loading {
            return; // whoever stored it wrote it down
        }
        let (changeset, actor) = (Some(id), Some(actor));
        let detail = Detail { changeset, actor, member, text: reason.to_owned(), ..Detail::default() };
        self.note_often(kind, detail, now_ms);
    }

    /// An actor of somebody signed for the first time.
    pub(super) fn note_admitted(&mut self, ix: ChangesetIx, now_ms: u64) {
        let (graph, author) = (self.log.graph(), self.log.author(ix));
        if self.loading || author.member == self.member() {
            return;
        }
        let detail = Detail {
            changeset: Some(graph.id(ix)),
            actor: Some(author.actor),
            member: Some(author.member),
            text: format!("an actor of a member came, who is {}", author.role.name()),
            ..Detail::default()
        };
        self.note_often(NoteKind::Key, detail, now_ms);
    }

    /// Words of policy were taken in, which one changeset says.
    pub(super) fn note_words(&mut self, at: &Authored, skeleton: &Skeleton, now_ms: u64) {
        let mut words = skeleton.ops.iter().flat_map(Subject::said_by);
        let Some((subject, word)) = words.next().filter(|_| !self.loading) else { return };
        let text = match (phrase::print(&subject, &word), words.count()) {
            (first, 0) => first,
            (first, more) => format!("{first}, and {more} more"),
        };
        self.note_often(NoteKind::Policy, about(at, text), now_ms);
    }

    /// The space was ordered by an op of a changeset. Redactions and what settles evidence are told as what they are.
    pub(super) fn note_control(&mut self, at: &Authored, kind: ControlKind, now_ms: u64) {
        if !self.loading && !matches!(kind, ControlKind::Redact | ControlKind::Resolve) {
            self.note_often(NoteKind::Control, about(at, format!("{kind:?}").to_lowercase()), now_ms);
        }
    }

    /// Somebody redacted something.
    pub(super) fn note_redaction(&mut self, at: &Authored, now_ms: u64) {
        let changeset = self.log.entry(at.changeset).changeset().filter(|_| !self.loading);
        let Some(targets) = changeset.map(|changeset| changeset.header().redacts().len()) else { return };
        self.note_often(NoteKind::Redaction, about(at, format!("redacted {}", plural(targets))), now_ms);
    }

    /// What redactions name is gone from the stores of this device, says the actor of this tab.
    pub(super) fn note_erased(&mut self, at: &Authored, skeleton: &Skeleton, now_ms: u64) {
        if self.is_own_word(at) {
            let text = format!("deleted here what {} redacted", plural(skeleton.refs.len()));
            self.note(NoteKind::Redaction, about(at, text), now_ms);
        }
    }

    /// The actor of this tab wrote down that somebody consents, or does no more. To what, and who that is, is left to the changeset: it may be erased.
    pub(super) fn note_consent(&mut self, at: &Authored, consent: &Consent, now_ms: u64) {
        if self.is_own_word(at) {
            let verb = if consent.is_given { "given" } else { "withdrawn" };
            self.note(NoteKind::Consent, about(at, verb.to_owned()), now_ms);
        }
    }

    /// What is known of the chain of blocks before more is: its height, and whether it has ended.
    pub(super) fn blocks_known(&self) -> (u64, Option<u64>) {
        let height = self.chain.last(self.log.graph()).map_or(0, |(height, _)| height);
        (height, self.blocks_halt().map(|halt| halt.height))
    }

    /// Blocks are certified that were not, or two are at one height.
    pub(super) fn note_blocks(&mut self, (height, halted): (u64, Option<u64>), now_ms: u64) {
        let Some(era) = self.chain.era(self.log.graph()).filter(|_| !self.loading) else { return };
        let fresh = era.blocks().iter().filter(|block| block.header.height > height);
        let fresh: Vec<(u64, BlockId)> = fresh.map(|block| (block.header.height, block.id)).collect();
        let halt = era.halt().filter(|halt| halted != Some(halt.height)).cloned();
        let about =
            |id: BlockId, text: String| Detail { block: Some(Digest(id.0)), text, ..Detail::default() };
        for (height, id) in fresh {
            let detail = about(id, format!("block {height} is certified"));
            self.note_alike(NoteKind::Block, "blocks are certified", detail, now_ms);
        }
        if let Some(halt) = halt {
            let text =
                format!("one of {} blocks that are certified at height {}", halt.blocks.len(), halt.height);
            for id in halt.blocks.into_iter().take(2) {
                self.note(NoteKind::Block, about(id, text.clone()), now_ms);
            }
        }
    }

    /// Whether the actor of this tab says something now.
    fn is_own_word(&self, at: &Authored) -> bool {
        !self.loading && Some(at.actor) == self.actor
    }

    /// A session with a relay or a peer is established.
    pub(super) fn session_began(&mut self, session: u32, now_ms: u64) {
        let from = self.cursor(session);
        if self.links.tallies.get(&session).is_some() {
            return;
        }
        self.links.tallies.insert(session, Tally { from, ..Tally::default() });
        let detail = Detail { peer: self.peer_name(session), text: "began".to_owned(), ..Detail::default() };
        self.note_often(NoteKind::Session, detail, now_ms);
    }

    /// The same of a peer, whose session there is no login to.
    pub(super) fn peer_began(&mut self, session: u32, now_ms: u64) {
        if self.links.peers.get(&session).is_some() {
            self.session_began(session, now_ms);
        }
    }

    /// It is over; of one that was not established there is nothing to tell.
    pub(super) fn session_ended(&mut self, session: u32, now_ms: u64) {
        let Some(Tally { new, refused, sent, from }) = self.links.tallies.remove(&session) else { return };
        let places = match (from, self.cursor(session)) {
            (Some(from), Some(to)) => format!(", its log from {from} to {to}"),
            _ => String::new(),
        };
        let text = format!("ended: {new} changesets came, {refused} were refused, {sent} went{places}");
        self.note_often(
            NoteKind::Session,
            Detail { peer: self.peer_name(session), text, ..Detail::default() },
            now_ms,
        );
    }

    /// Rows came over a session.
    pub(super) fn tally(&mut self, origin: Origin, new: usize, refused: usize, now_ms: u64) {
        if let Origin::Session(session, _) = origin
            && let Some(tally) = self.links.tallies.get_mut(&session)
        {
            (tally.new, tally.refused) = (tally.new + new as u64, tally.refused + refused as u64);
            self.count_peer(session, Fact::Good, new as u64, now_ms);
            self.count_peer(session, Fact::Junk, refused as u64, now_ms);
        }
    }

    /// What an object is called in the audit log.
    pub fn journal_object(&self, of: ObjectIx) -> Option<[u8; 16]> {
        self.has_object(of).then(|| self.fold.identity(of).0.0)
    }

    /// What the other side of a session is called: a relay by its address.
    pub(super) fn peer_name(&self, session: u32) -> String {
        self.links.relays.get(&session).map_or_else(|| format!("peer {session}"), |link| link.url.clone())
    }

    fn cursor(&self, session: u32) -> Option<u64> {
        let link = self.links.relays.get(&session)?;
        Some(self.links.positions.get(&link.url).map_or(0, |position| position.cursor))
    }
}

fn plural(changesets: usize) -> String {
    if changesets == 1 { "1 changeset".to_owned() } else { format!("{changesets} changesets") }
}

fn about(at: &Authored, text: String) -> Detail {
    let (changeset, actor, member) = (Some(at.id), Some(at.actor), Some(at.member));
    Detail { changeset, actor, member, text, ..Detail::default() }
}
