//! What somebody who is here says of themselves: signed by their actor, sealed for the members, kept by nobody.
//!
//! ```text
//! body    = message | signature [64] over tag(presence) | space | message
//! message = version u8 | flags u8 | actor [32] | session [8] | counter varint | chain: bytes | seen: sorted list of [8]
//!         | view: 0 or 1 (frontier [32], view digest [32]) | removed: list of string | changed: value, an object
//! ```
//! A message with a chain is *whole*: its fields are all there are, and `seen` names the sessions whose own messages reached
//! the sender. Whoever finds its own there knows that the sender speaks now: what was recorded earlier cannot name it.

use super::value::Value;
use super::{Author, Chain, Genesis};
use crate::causal::ActorId;
use crate::codec::limits::{EPHEMERAL_BYTES_MAX, EXT_BYTES_MAX, NAME_BYTES_MAX, PRESENCE_SEEN_MAX};
use crate::codec::{DecodeError, Reader, Writer};
use crate::crypto::{Signature, SigningKey, Tag, VerifyingKey};
use std::collections::BTreeMap;
use std::fmt;

/// One opening of a space by an actor: 8 random bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PresenceSession(pub [u8; 8]);

impl fmt::Display for PresenceSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// What a session shows: the hash of its frontier, and what of it counts there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ShownView {
    /// Hash of the heads.
    pub frontier: [u8; 32],
    /// The view digest.
    pub digest: [u8; 32],
}

/// One message of a session.
#[derive(Clone, Debug, PartialEq)]
pub struct PresenceMessage {
    /// Who speaks.
    pub actor: ActorId,
    /// As which session.
    pub session: PresenceSession,
    /// Above that of every message before.
    pub counter: u64,
    /// The session ends.
    pub leaves: bool,
    /// Whose actor that is; the message is whole then.
    pub chain: Option<Chain>,
    /// The sessions heard, ascending.
    pub seen: Vec<PresenceSession>,
    /// What it sees of the space, if that is new.
    pub view: Option<ShownView>,
    /// Fields that are gone.
    pub removed: Vec<String>,
    /// Fields and what they are now.
    pub changed: BTreeMap<String, Value>,
}

impl PresenceMessage {
    /// The body: the message and its signature.
    #[must_use]
    pub fn sign(&self, space: &[u8; 32], actor: &SigningKey) -> Vec<u8> {
        let mut out = Writer::new();
        out.u8(VERSION)
            .u8(u8::from(self.leaves))
            .raw(&self.actor.0)
            .raw(&self.session.0)
            .varint(self.counter);
        out.bytes(&self.chain.as_ref().map_or_else(Vec::new, Chain::encode));
        out.varint(self.seen.len() as u64);
        for session in &self.seen {
            out.raw(&session.0);
        }
        out.u8(u8::from(self.view.is_some()));
        if let Some(view) = &self.view {
            out.raw(&view.frontier).raw(&view.digest);
        }
        out.varint(self.removed.len() as u64);
        for field in &self.removed {
            out.string(field);
        }
        Value::Object(self.changed.clone()).encode(&mut out);
        let signature = actor.sign(Tag::PRESENCE, &[space, out.as_slice()]);
        out.raw(&signature.0);
        out.into_bytes()
    }

    /// Reads a body. Nothing about it is checked by that: see [`PresenceMessage::verify`].
    pub fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        let (message, _) = split(body)?;
        let mut from = Reader::new(message);
        from.expect_u8("presence version", VERSION)?;
        let leaves = from.number("presence flags", 1)? == 1;
        let actor = ActorId(from.array("actor")?);
        let session = PresenceSession(from.array("session")?);
        let counter = from.varint("counter", u64::MAX)?;
        let at = from.position();
        let chain = from.bytes("chain", EXT_BYTES_MAX)?;
        let invalid = |_| DecodeError::Invalid { what: "chain", at, rule: "it is a certificate chain" };
        let chain = (!chain.is_empty()).then(|| Chain::decode(chain).map_err(invalid)).transpose()?;
        let seen = from.sorted_arrays("seen", PRESENCE_SEEN_MAX)?.into_iter().map(PresenceSession).collect();
        let view = match from.number("view", 1)? {
            0 => None,
            _ => Some(ShownView { frontier: from.array("frontier")?, digest: from.array("view digest")? }),
        };
        let count = from.count("removed fields", EPHEMERAL_BYTES_MAX, 1)?;
        let removed = (0..count).map(|_| Ok(from.string("field", NAME_BYTES_MAX)?.to_owned()));
        let removed = removed.collect::<Result<_, DecodeError>>()?;
        let at = from.position();
        let Value::Object(changed) = Value::read(&mut from)? else {
            return Err(DecodeError::Invalid { what: "fields", at, rule: "they are an object" });
        };
        from.finish("presence message")?;
        Ok(Self { actor, session, counter, leaves, chain, seen, view, removed, changed })
    }

    /// Checks the signature of a body that decodes to this.
    #[must_use]
    pub fn verify(&self, space: &[u8; 32], key: &VerifyingKey, body: &[u8]) -> bool {
        let Ok((message, signature)) = split(body) else { return false };
        key.to_bytes() == self.actor.0 && key.verify(Tag::PRESENCE, &[space, message], &signature).is_ok()
    }

    /// Whose actor it is, by the chain that comes along.
    #[must_use]
    pub fn author(&self, genesis: &Genesis) -> Option<Author> {
        let author = self.chain.as_ref()?.verify_actor(genesis).ok()?;
        (author.actor == self.actor).then_some(author)
    }
}

const VERSION: u8 = 1;

fn split(body: &[u8]) -> Result<(&[u8], Signature), DecodeError> {
    let (message, signature) = body.split_last_chunk::<64>().ok_or(DecodeError::Invalid {
        what: "presence",
        at: 0,
        rule: "it ends with a signature",
    })?;
    Ok((message, Signature(*signature)))
}
