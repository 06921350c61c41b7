//! One word of one member on one subject.

use crate::causal::{ActorId, ChangesetId, ChangesetIx, Hlc, MemberId};
use crate::codec::{DecodeError, Reader, Saved, Writer, limits, saved};
use crate::event::{Accepted, BanScope, BanSubject, Op, Target, Value, Verdict};

/// What a word is about. Each member has one register per subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// Whether a changeset, or one op, should count.
    Target(Target),
    /// Whether what somebody wrote should count.
    Ban(BanSubject),
    /// How much the words of somebody else weigh.
    Trust(MemberId),
    /// How much weight hides something.
    Threshold,
    /// Whether what others write waits for review.
    Mode,
    /// Whether something passed the review.
    Accept(Accepted),
}

/// What is said about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// Of a target.
    Verdict(Verdict),
    /// Of whoever is banned.
    Ban(BanScope),
    /// Of whoever is trusted: 0 is no trust, and so is less.
    Weight(i64),
    /// The threshold; 0 counts as 1.
    Threshold(u64),
    /// The mode.
    Review(bool),
    /// Of what was reviewed; false takes it back.
    Accepted(bool),
}

/// A word as it was signed.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Who says it.
    pub author: MemberId,
    /// Where; `OPEN` for what is only tried.
    pub changeset: ChangesetIx,
    /// Which op of it.
    pub index: u32,
    /// When.
    pub stamp: Hlc,
    /// About what.
    pub subject: Subject,
    /// What.
    pub word: Word,
    /// Why.
    pub reason: Option<Value>,
    /// Whether only the member's own devices read it.
    pub is_private: bool,
}

impl Subject {
    /// What a policy op says, in its order; nothing for any other op.
    #[must_use]
    pub fn said_by(op: &Op) -> Vec<(Self, Word)> {
        match op {
            Op::PolicyExclude { verdict, targets } => {
                let said = |target: &Target| (Self::Target(*target), Word::Verdict(*verdict));
                targets.iter().map(said).collect()
            }
            Op::PolicyBan { subject, scope } => vec![(Self::Ban(*subject), Word::Ban(*scope))],
            Op::PolicyTrust { member, weight } => vec![(Self::Trust(*member), Word::Weight(*weight))],
            Op::PolicyThreshold { weight } => vec![(Self::Threshold, Word::Threshold(*weight))],
            Op::PolicyMode { review } => vec![(Self::Mode, Word::Review(*review))],
            Op::PolicyAccept { accepted, subject } => {
                vec![(Self::Accept(*subject), Word::Accepted(*accepted))]
            }
            _ => Vec::new(),
        }
    }

    /// The changeset and op that it names, or the changeset alone.
    #[must_use]
    pub fn target(&self) -> Option<Target> {
        match self {
            Self::Target(target) | Self::Accept(Accepted::Target(target)) => Some(*target),
            _ => None,
        }
    }
}

impl Saved for Entry {
    fn save(&self, out: &mut Writer) {
        self.author.save(out);
        self.changeset.0.save(out);
        self.index.save(out);
        out.varint(self.stamp.ms).varint(self.stamp.counter.into());
        match (self.subject, self.word) {
            (Subject::Target(target), Word::Verdict(verdict)) => {
                out.u8(0).u8(verdict as u8);
                save_target(&target, out);
            }
            (Subject::Ban(subject), Word::Ban(scope)) => {
                match subject {
                    BanSubject::Member(member) => out.u8(1).raw(&member.0),
                    BanSubject::Actor(actor) => out.u8(2).raw(&actor.0),
                };
                match scope {
                    BanScope::Lifted => out.u8(0),
                    BanScope::All => out.u8(1),
                    BanScope::FromHere => out.u8(2),
                    BanScope::SinceTime(ms) => out.u8(3).varint(ms),
                    BanScope::SinceChangeset(id) => out.u8(4).raw(&id.0),
                };
            }
            (Subject::Trust(member), Word::Weight(weight)) => drop(out.u8(3).raw(&member.0).zigzag(weight)),
            (Subject::Threshold, Word::Threshold(weight)) => drop(out.u8(4).varint(weight)),
            (Subject::Mode, Word::Review(on)) => drop(out.u8(5).u8(on.into())),
            (Subject::Accept(Accepted::Member(member)), Word::Accepted(on)) => {
                out.u8(6).u8(on.into()).raw(&member.0);
            }
            (Subject::Accept(Accepted::Target(target)), Word::Accepted(on)) => {
                out.u8(7).u8(on.into());
                save_target(&target, out);
            }
            _ => unreachable!("a word is of the sort of its subject"),
        }
        self.reason.is_some().save(out);
        if let Some(reason) = &self.reason {
            out.bytes(&reason.to_bytes());
        }
        self.is_private.save(out);
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (author, changeset, index) =
            (MemberId::load(from)?, ChangesetIx(u32::load(from)?), u32::load(from)?);
        let ms = from.varint("stamp", limits::TIME_MS_MAX)?;
        let counter = from.varint("stamp", u64::from(u16::MAX))? as u16;
        let at = from.position();
        let (subject, word) = match from.u8("subject")? {
            0 => {
                let verdict = match from.u8("verdict")? {
                    0 => Verdict::None,
                    1 => Verdict::Exclude,
                    _ => Verdict::Include,
                };
                (Subject::Target(load_target(from)?), Word::Verdict(verdict))
            }
            sort @ (1 | 2) => {
                let key = from.array("subject")?;
                let subject = if sort == 1 {
                    BanSubject::Member(MemberId(key))
                } else {
                    BanSubject::Actor(ActorId(key))
                };
                let scope = match from.u8("scope")? {
                    0 => BanScope::Lifted,
                    1 => BanScope::All,
                    2 => BanScope::FromHere,
                    3 => BanScope::SinceTime(from.varint("time", limits::TIME_MS_MAX)?),
                    _ => BanScope::SinceChangeset(ChangesetId::load(from)?),
                };
                (Subject::Ban(subject), Word::Ban(scope))
            }
            3 => (Subject::Trust(MemberId::load(from)?), Word::Weight(from.zigzag("weight")?)),
            4 => (Subject::Threshold, Word::Threshold(u64::load(from)?)),
            5 => (Subject::Mode, Word::Review(bool::load(from)?)),
            6 => {
                let on = bool::load(from)?;
                (Subject::Accept(Accepted::Member(MemberId::load(from)?)), Word::Accepted(on))
            }
            7 => {
                let on = bool::load(from)?;
                (Subject::Accept(Accepted::Target(load_target(from)?)), Word::Accepted(on))
            }
            found => return Err(DecodeError::Unknown { what: "subject", at, found: found.into() }),
        };
        let reason = match bool::load(from)? {
            true => Some(Value::decode(from.bytes("reason", limits::CHANGESET_BYTES_MAX)?)?),
            false => None,
        };
        let is_private = bool::load(from)?;
        saved::check(changeset != ChangesetIx::OPEN, from, "entry", "what is only tried is not kept")?;
        Ok(Self { author, changeset, index, stamp: Hlc { ms, counter }, subject, word, reason, is_private })
    }
}

fn save_target(target: &Target, out: &mut Writer) {
    match target {
        Target::Changeset(id) => out.u8(0).raw(&id.0),
        Target::Op(id, index) => out.u8(1).raw(&id.0).varint((*index).into()),
    };
}

fn load_target(from: &mut Reader<'_>) -> Result<Target, DecodeError> {
    let is_op = bool::load(from)?;
    let id = ChangesetId::load(from)?;
    Ok(if is_op { Target::Op(id, u32::load(from)?) } else { Target::Changeset(id) })
}
