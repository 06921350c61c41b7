//! What a relay signs that it holds: a receipt for what was pushed, or an answer to who asked. `docs/protocol.md` §3, "What a relay can be shown to withhold".

use crate::causal::{ActorId, ChangesetId, SpaceId, Tip};
use crate::codec::{DecodeError, Reader, Writer, limits};
use crate::crypto::{Signature, SigningKey, Tag, VerifyingKey};

/// Clocks of relays that share a database differ by less.
pub const HOLDING_APART_MS: u64 = 60_000;

/// Actors and ends in one statement.
const NAMED_MAX: usize = 8_192;

/// Ends of chains in a space, at a time, as a relay signed that it has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holding {
    /// By the relay's clock, in ms since 1970.
    pub time_ms: u64,
    /// Actors of whom these are all ends; of others it says nothing.
    pub asked: Vec<ActorId>,
    /// The ends, or where a chain was at least.
    pub held: Vec<Tip>,
    /// The relay's.
    pub signature: Signature,
}

impl Holding {
    /// Signs it with the key of a relay.
    pub fn sign(
        key: &SigningKey,
        space: &SpaceId,
        time_ms: u64,
        asked: Vec<ActorId>,
        held: Vec<Tip>,
    ) -> Self {
        let mut holding = Self { time_ms, asked, held, signature: Signature([0; 64]) };
        holding.signature = key.sign(Tag::HOLDING, &[&space.0, &holding.statement()]);
        holding
    }

    /// Whether a relay signed it.
    #[must_use]
    pub fn is_signed_by(&self, relay: &[u8; 32], space: &SpaceId) -> bool {
        let key = VerifyingKey::parse(relay);
        key.is_some_and(|key| {
            key.verify(Tag::HOLDING, &[&space.0, &self.statement()], &self.signature).is_ok()
        })
    }

    /// Whether a later one says that what this one says is held is not: it was asked for, and no end is as far.
    #[must_use]
    pub fn is_broken_by(&self, later: &Self) -> bool {
        let lacks = |tip: &Tip| {
            let reaches = |other: &Tip| other.actor == tip.actor && other.seq >= tip.seq;
            later.asked.contains(&tip.actor) && !later.held.iter().any(reaches)
        };
        self.time_ms.saturating_add(HOLDING_APART_MS) < later.time_ms && self.held.iter().any(lacks)
    }

    /// The ends of what of some rows is held, in the order in which their actors first come.
    #[must_use]
    pub fn ends(rows: impl IntoIterator<Item = Tip>) -> Vec<Tip> {
        let mut ends: Vec<Tip> = Vec::new();
        for tip in rows {
            match ends.iter_mut().find(|end| end.actor == tip.actor) {
                Some(end) if end.seq < tip.seq => *end = tip,
                Some(_) => {}
                None => ends.push(tip),
            }
        }
        ends
    }

    /// What is signed, besides the space.
    #[must_use]
    pub fn statement(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.varint(self.time_ms).varint(self.asked.len() as u64);
        self.asked.iter().for_each(|actor| {
            out.raw(&actor.0);
        });
        out.varint(self.held.len() as u64);
        for Tip { actor, seq, id } in &self.held {
            out.raw(&actor.0).varint(u64::from(*seq)).raw(&id.0);
        }
        out.into_bytes()
    }

    /// Writes it, with the signature.
    pub fn write(&self, out: &mut Writer) {
        out.bytes(&self.statement()).raw(&self.signature.0);
    }

    /// Reads what [`Holding::write`] wrote.
    pub fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let statement = from.bytes("holding", limits::CHANGESET_BYTES_MAX)?;
        let signature = Signature(from.array("signature")?);
        let mut from = Reader::new(statement);
        let time_ms = from.varint("time", limits::TIME_MS_MAX)?;
        let (mut asked, mut held) = (Vec::new(), Vec::new());
        for _ in 0..from.count("actors", NAMED_MAX, 32)? {
            asked.push(ActorId(from.array("actor")?));
        }
        for _ in 0..from.count("ends", NAMED_MAX, 65)? {
            let actor = ActorId(from.array("actor")?);
            let seq = from.varint_u32("seq", u32::MAX)?;
            held.push(Tip { actor, seq, id: ChangesetId(from.array("id")?) });
        }
        from.finish("holding")?;
        Ok(Self { time_ms, asked, held, signature })
    }
}
