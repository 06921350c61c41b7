//! What people ask of whoever keeps data about them, and what came of it. `docs/format.md` §18.

use super::DataSubject;
use crate::causal::{CausalGraph, ChangesetIx, Hlc, MemberId};
use crate::codec::{DecodeError, Reader, Saved, Writer, saved};
use crate::event::Value;
use crate::sorted::SortedMap;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum RequestKind {
    /// That data about somebody is erased.
    Erasure = 1,
    /// That it is handed out.
    Export = 2,
}

/// What is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Verdict {
    /// It will be done.
    Approved = 1,
    /// It will not.
    Refused = 2,
    /// It was done.
    Done = 3,
}

/// A step in the life of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Somebody asks.
    Asked(RequestKind, DataSubject),
    /// Somebody answers what a changeset asks that it names.
    Answered(Verdict),
}

impl Step {
    /// The payload of the op that says so.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut payload = Writer::new();
        payload.u8(VERSION);
        match self {
            Self::Asked(kind, subject) => {
                payload.u8(0).u8(*kind as u8);
                subject.encode(&mut payload);
            }
            Self::Answered(verdict) => {
                payload.u8(*verdict as u8);
            }
        }
        payload.into_bytes()
    }

    /// Reads a payload of this version.
    pub fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        reader.expect_u8("request version", VERSION)?;
        let verdict = match reader.number("request step", 3)? {
            0 => None,
            1 => Some(Verdict::Approved),
            2 => Some(Verdict::Refused),
            _ => Some(Verdict::Done),
        };
        let step = match verdict {
            Some(verdict) => Self::Answered(verdict),
            None => {
                let at = reader.position();
                let kind = match reader.u8("request kind")? {
                    1 => RequestKind::Erasure,
                    2 => RequestKind::Export,
                    found => {
                        return Err(DecodeError::Unknown { what: "request kind", at, found: found.into() });
                    }
                };
                Self::Asked(kind, DataSubject::decode(&mut reader)?)
            }
        };
        reader.finish("request")?;
        Ok(step)
    }
}

const VERSION: u8 = 1;

/// A step as it was signed.
#[derive(Clone, Debug, PartialEq)]
pub struct Stepped {
    /// What says so.
    pub changeset: ChangesetIx,
    /// When, as is claimed.
    pub stamp: Hlc,
    /// Who signed it.
    pub member: MemberId,
    /// What its content says: a reason. None where it is gone.
    pub clear: Option<Value>,
    /// The redactions by which it was done.
    pub redactions: Vec<ChangesetIx>,
}

/// A request, and what was answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// What is asked for.
    pub kind: RequestKind,
    /// About whom.
    pub subject: DataSubject,
    /// The asking.
    pub asked: Stepped,
    /// The answers, in the order in which they came.
    pub answers: Vec<(Verdict, Stepped)>,
}

impl Request {
    /// The answer that stands; none while it is only asked. What is done stays done; else what wins as a write of a key would.
    #[must_use]
    pub fn answer(&self, graph: &CausalGraph) -> Option<&(Verdict, Stepped)> {
        let stands = |one: &&(Verdict, Stepped)| {
            let mut others = self.answers.iter().filter(|other| other.1.changeset != one.1.changeset);
            !others.any(|other| graph.contains(other.1.changeset, one.1.changeset))
        };
        let done = self.answers.iter().filter(|(verdict, _)| *verdict == Verdict::Done);
        let latest = |one: &&(Verdict, Stepped)| (one.1.stamp, graph.id(one.1.changeset));
        done.max_by_key(latest).or_else(|| self.answers.iter().filter(stands).max_by_key(latest))
    }

    fn steps(&self) -> impl Iterator<Item = &Stepped> {
        std::iter::once(&self.asked).chain(self.answers.iter().map(|(_, step)| step))
    }

    fn steps_mut(&mut self) -> impl Iterator<Item = &mut Stepped> {
        std::iter::once(&mut self.asked).chain(self.answers.iter_mut().map(|(_, step)| step))
    }
}

/// All requests, by what asks.
#[derive(Clone, Debug, Default)]
pub struct Requests {
    rows: SortedMap<ChangesetIx, Request>,
}

impl Requests {
    /// Somebody asks.
    pub fn ask(&mut self, kind: RequestKind, subject: DataSubject, asked: Stepped) {
        self.rows.insert(asked.changeset, Request { kind, subject, asked, answers: Vec::new() });
    }

    /// Somebody answers what a changeset asks.
    pub fn answer(&mut self, request: ChangesetIx, verdict: Verdict, step: Stepped) {
        if let Some(request) = self.rows.get_mut(&request) {
            request.answers.push((verdict, step));
        }
    }

    /// The request that a changeset is.
    #[must_use]
    pub fn find(&self, changeset: ChangesetIx) -> Option<&Request> {
        self.rows.get(&changeset)
    }

    /// Whether a changeset asks or answers.
    #[must_use]
    pub fn has(&self, changeset: ChangesetIx) -> bool {
        self.rows.values().flat_map(Request::steps).any(|step| step.changeset == changeset)
    }

    /// All of them, in the order in which they came.
    pub fn iter(&self) -> impl Iterator<Item = &Request> {
        self.rows.values()
    }

    /// The content of a changeset came late, or is gone; whether it is one of these.
    pub fn fill(&mut self, changeset: ChangesetIx, clear: Option<&Value>) -> bool {
        let mut steps = self.rows.values_mut().flat_map(Request::steps_mut);
        let step = steps.find(|step| step.changeset == changeset);
        step.map(|step| step.clear = clear.cloned()).is_some()
    }

    /// Whether it is about none but the first so many changesets.
    #[must_use]
    pub fn is_within(&self, changesets: u32) -> bool {
        self.rows
            .values()
            .flat_map(Request::steps)
            .all(|step| step.changeset.0 < changesets && step.redactions.iter().all(|one| one.0 < changesets))
    }
}

impl Saved for Stepped {
    fn save(&self, out: &mut Writer) {
        let Self { changeset, stamp, member, clear, redactions } = self;
        out.varint(changeset.0.into()).varint(stamp.ms).varint(stamp.counter.into()).raw(&member.0);
        out.bytes(&clear.as_ref().map(Value::to_bytes).unwrap_or_default());
        saved::save_steps(out, redactions.iter().map(|one| one.0));
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let changeset = ChangesetIx(from.varint_u32("changeset", u32::MAX)?);
        let ms = from.varint("stamp", u64::MAX)?;
        let counter = from.varint("stamp", u64::from(u16::MAX))? as u16;
        let member = MemberId(from.array("member")?);
        let clear = from.bytes("clear", usize::MAX)?;
        let clear = if clear.is_empty() { None } else { Some(Value::decode(clear)?) };
        let redactions = saved::load_rising(from)?.into_iter().map(ChangesetIx).collect();
        Ok(Self { changeset, stamp: Hlc { ms, counter }, member, clear, redactions })
    }
}

impl Saved for Requests {
    fn save(&self, out: &mut Writer) {
        out.varint(self.rows.iter().len() as u64);
        for Request { kind, subject, asked, answers } in self.rows.values() {
            out.bytes(&Step::Asked(*kind, *subject).encode());
            asked.save(out);
            out.varint(answers.len() as u64);
            for (verdict, step) in answers {
                out.u8(*verdict as u8);
                step.save(out);
            }
        }
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut requests = Self::default();
        for _ in 0..from.count("requests", u32::MAX as usize, 55)? {
            let at = from.position();
            let Step::Asked(kind, subject) = Step::decode(from.bytes("request", usize::MAX)?)? else {
                return Err(DecodeError::Invalid { what: "request", at, rule: "it asks" });
            };
            let asked = Stepped::load(from)?;
            let request = asked.changeset;
            requests.ask(kind, subject, asked);
            for _ in 0..from.count("answers", u32::MAX as usize, 36)? {
                let verdict = match from.number("verdict", 3)? {
                    1 => Verdict::Approved,
                    2 => Verdict::Refused,
                    _ => Verdict::Done,
                };
                requests.answer(request, verdict, Stepped::load(from)?);
            }
        }
        Ok(requests)
    }
}
