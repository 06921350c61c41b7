//! The log in a snapshot: what is known of every changeset besides its bytes. Those stay where they are stored, and are
//! supplied when something needs them.

use super::chain::{Device, InviteTerms};
use super::{Author, Class, Entry, Fate, Fork, Log, Role, SignedChangeset};
use crate::causal::{ActorId, ChangesetId, ChangesetIx, MemberId};
use crate::codec::{DecodeError, Reader, Saved, Writer, limits, saved};
use crate::sorted::sort;
use foldhash::HashMap;
use std::num::NonZeroU64;

impl Log {
    /// Supplies the bytes of a changeset that a snapshot stood for; others are left alone. Whether they were missing.
    pub fn supply(&mut self, signed: SignedChangeset) -> bool {
        let Some(ix) = self.graph.get(&signed.id()) else { return false };
        let id = self.graph.id(ix);
        let entry = &mut self.entries[ix.0 as usize];
        if let Some(changeset) = &mut entry.changeset {
            if !entry.is_redacted {
                changeset.complete_from(signed);
            }
            return false;
        }
        let Some(mut changeset) = signed.trust_by_id(id) else { return false };
        if entry.is_redacted && changeset.signed().has_content() {
            self.late.push(changeset.clone());
            changeset.drop_content();
        }
        entry.changeset = Some(changeset.into());
        self.away -= u32::from(entry.changeset.is_some());
        entry.changeset.is_some()
    }

    /// Whether the bytes of every changeset are here.
    pub fn is_whole(&self) -> bool {
        self.away == 0
    }

    /// What a snapshot keeps of it: with the times when changesets came in, if it stays on this device.
    pub fn save(&self, out: &mut Writer, arrivals: bool) {
        let graph = &self.graph;
        let mut actors: HashMap<ActorId, u32> = HashMap::default();
        let mut table = Vec::new();
        for actor in (0..graph.len()).map(|ix| graph.actor(ChangesetIx(ix))) {
            actors.entry(actor).or_insert_with(|| {
                table.push(actor);
                table.len() as u32 - 1
            });
        }
        table.save(out);
        out.varint(u64::from(graph.len()));
        let mut last_ms = 0;
        for (ix, entry) in (0..).map(ChangesetIx).zip(&self.entries) {
            let steps = |parent: ChangesetIx| ix.0 - parent.0;
            graph.id(ix).save(out);
            actors[&graph.actor(ix)].save(out);
            graph.prev(ix).map_or(0, steps).save(out);
            graph.deps(ix).iter().copied().map(steps).collect::<Vec<_>>().save(out);
            entry.size.save(out);
            let received_ms = if arrivals { entry.received_ms } else { 0 };
            out.varint(saved::to_unsigned(received_ms.wrapping_sub(last_ms) as i64));
            last_ms = received_ms;
            let is_integrated = entry.fate == Fate::Integrated;
            out.u8((entry.class as u8) << 2 | u8::from(entry.is_redacted) << 1 | u8::from(is_integrated));
            if entry.root == ix {
                self.author(ix).save(out);
            }
        }
        self.forks.save(out);
        let mut unsupported: Vec<ChangesetId> = self.unsupported.iter().copied().collect();
        sort(&mut unsupported);
        unsupported.save(out);
    }

    /// Puts in what a snapshot kept, in place of everything.
    pub fn load(&mut self, from: &mut Reader<'_>) -> Result<(), DecodeError> {
        let mut log = Self::new(self.genesis.clone());
        let table = Vec::<ActorId>::load(from)?;
        // An id, four numbers, an empty list and a flag.
        let count = from.count("changesets", u32::MAX as usize, 38)?;
        log.graph.reserve(count);
        log.entries.reserve_exact(count);
        let mut last_ms = 0;
        for _ in 0..count {
            log.load_entry(&table, &mut last_ms, from)?;
        }
        log.away = log.graph.len();
        log.forks = Saved::load(from)?;
        log.unsupported = Vec::<ChangesetId>::load(from)?.into_iter().collect();
        *self = log;
        Ok(())
    }

    fn load_entry(
        &mut self,
        table: &[ActorId],
        last_ms: &mut u64,
        from: &mut Reader<'_>,
    ) -> Result<(), DecodeError> {
        let next = self.graph.len();
        let earlier = |from: &Reader<'_>, steps: u32| {
            saved::check(steps > 0 && steps <= next, from, "parent", "it is an earlier changeset")?;
            Ok(ChangesetIx(next - steps))
        };
        let id = ChangesetId::load(from)?;
        saved::check(self.graph.get(&id).is_none(), from, "changesets", "each is there once")?;
        let at = u32::load(from)?;
        saved::check((at as usize) < table.len(), from, "actor", "it is in the table")?;
        let actor = table[at as usize];
        let prev = match u32::load(from)? {
            0 => None,
            steps => Some(earlier(from, steps)?),
        };
        let of_actor = prev.is_none_or(|prev| self.graph.actor(prev) == actor);
        saved::check(of_actor, from, "prev", "it is of the same actor")?;
        let deps: Vec<u32> = Saved::load(from)?;
        saved::check(deps.len() <= limits::DEPS_MAX, from, "deps", "there are not many")?;
        let deps = deps.into_iter().map(|steps| earlier(from, steps)).collect::<Result<Vec<_>, _>>()?;
        let size = u32::load(from)?;
        let received_ms = last_ms.wrapping_add(saved::from_unsigned(u64::load(from)?) as u64);
        *last_ms = received_ms;
        let at = from.position();
        let flags = from.u8("flags")?;
        let unknown = DecodeError::Unknown { what: "class", at, found: flags.into() };
        let (class, is_redacted) = (Class::from_code(flags >> 2).ok_or(unknown)?, flags & 2 != 0);
        let fate = if flags & 1 != 0 { Fate::Integrated } else { Fate::Inert };
        let ix = self.graph.add(id, actor, prev, &deps);
        if prev.is_none() {
            self.chains.insert(id, Author::load(from)?);
        }
        let root = prev.map_or(ix, |prev| self.entries[prev.0 as usize].root);
        self.entries.push(Entry { changeset: None, size, received_ms, fate, class, is_redacted, root });
        Ok(())
    }
}

impl Saved for Author {
    fn save(&self, out: &mut Writer) {
        self.role.save(out);
        self.member.save(out);
        self.device.key.save(out);
        self.device.agreement.save(out);
        self.actor.save(out);
        self.not_after.save(out);
        self.invite.save(out);
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            role: Saved::load(from)?,
            member: MemberId::load(from)?,
            device: Device { key: Saved::load(from)?, agreement: Saved::load(from)? },
            actor: ActorId::load(from)?,
            not_after: Saved::load(from)?,
            invite: Saved::load(from)?,
        })
    }
}

impl Saved for InviteTerms {
    fn save(&self, out: &mut Writer) {
        self.key.save(out);
        self.role.save(out);
        self.not_after.save(out);
        self.uses.save(out);
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            key: Saved::load(from)?,
            role: Saved::load(from)?,
            not_after: Saved::load(from)?,
            uses: Saved::load(from)?,
        })
    }
}

impl Saved for Role {
    fn save(&self, out: &mut Writer) {
        out.u8(*self as u8);
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let at = from.position();
        let code = from.u8("role")?;
        let roles = [Self::Reader, Self::Writer, Self::Admin, Self::Owner];
        let found = roles.into_iter().find(|role| *role as u8 == code);
        found.ok_or(DecodeError::Unknown { what: "role", at, found: code.into() })
    }
}

impl Saved for NonZeroU64 {
    fn save(&self, out: &mut Writer) {
        self.get().save(out);
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let at = from.position();
        Self::new(u64::load(from)?).ok_or(DecodeError::Unknown { what: "limit", at, found: 0 })
    }
}

impl Saved for Fork {
    fn save(&self, out: &mut Writer) {
        self.actor.save(out);
        self.seq.save(out);
        self.first.save(out);
        self.second.save(out);
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            actor: ActorId::load(from)?,
            seq: Saved::load(from)?,
            first: Saved::load(from)?,
            second: Saved::load(from)?,
        })
    }
}
