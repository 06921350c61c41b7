//! What was redacted, by whom, and who says that they deleted it: the record that replicas keep of it.
//!
//! A redaction is a changeset that names others in clear. Whether it counts is decided where it is taken in; here is what it says,
//! and which changesets are redacted because of it. It is never taken back.

use crate::causal::{ChangesetIx, MemberId};
use crate::codec::{DecodeError, Reader, Saved, Writer, saved};
use crate::sorted::sort;

/// The payload of the op that says so (`docs/format.md` §15).
pub const REDACTION_PAYLOAD: [u8; 1] = [1];

/// A redaction that counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redaction {
    /// The changeset that says so.
    pub changeset: ChangesetIx,
    /// Who says so.
    pub member: MemberId,
    /// When, by the clock of whoever says so, in ms since 1970.
    pub time_ms: u64,
    /// The changesets whose content is gone, ascending.
    pub targets: Vec<ChangesetIx>,
    /// Why, if that is here.
    pub reason: Option<String>,
}

/// All redactions that count.
#[derive(Clone, Debug, Default)]
pub struct Redactions {
    /// In the order in which they were taken in.
    rows: Vec<Redaction>,
    /// All that they name, ascending, each once.
    redacted: Vec<ChangesetIx>,
}

impl Redactions {
    /// Takes one in. The targets that no other one named before.
    pub fn add(&mut self, redaction: Redaction) -> Vec<ChangesetIx> {
        let is_new = |target: &ChangesetIx| !self.contains(*target);
        let new: Vec<ChangesetIx> = redaction.targets.iter().copied().filter(is_new).collect();
        self.redacted.extend_from_slice(&new);
        sort(&mut self.redacted);
        self.rows.push(redaction);
        new
    }

    /// Whether the content of a changeset is gone. O(log redacted).
    pub fn contains(&self, changeset: ChangesetIx) -> bool {
        self.redacted.binary_search(&changeset).is_ok()
    }

    /// All of them, in the order in which they were taken in.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Redaction> {
        self.rows.iter()
    }

    /// All changesets whose content is gone, ascending.
    pub fn redacted(&self) -> &[ChangesetIx] {
        &self.redacted
    }

    /// Whether it is about none but the first so many changesets.
    pub fn is_within(&self, changesets: u32) -> bool {
        let named = self.rows.iter().map(|row| row.changeset);
        named.chain(self.redacted.iter().copied()).all(|ix| ix.0 < changesets)
    }
}

impl Saved for Redactions {
    fn save(&self, out: &mut Writer) {
        out.varint(self.rows.len() as u64);
        for Redaction { changeset, member, time_ms, targets, reason } in &self.rows {
            out.varint(u64::from(changeset.0)).raw(&member.0).varint(*time_ms);
            saved::save_steps(out, targets.iter().map(|target| target.0));
            reason.as_ref().map(|reason| Box::<[u8]>::from(reason.as_bytes())).save(out);
        }
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut redactions = Self::default();
        for _ in 0..from.count("redactions", u32::MAX as usize, 36)? {
            let changeset = ChangesetIx(from.varint_u32("changeset", u32::MAX)?);
            let (member, time_ms) = (MemberId(from.array("member")?), from.varint("time", u64::MAX)?);
            let targets = saved::load_rising(from)?.into_iter().map(ChangesetIx).collect();
            let reason = Option::<Box<[u8]>>::load(from)?.map(|reason| String::from_utf8(reason.into()));
            let reason = reason.transpose().ok();
            saved::check(reason.is_some(), from, "reason", "it is text")?;
            let reason = reason.flatten();
            redactions.add(Redaction { changeset, member, time_ms, targets, reason });
        }
        Ok(redactions)
    }
}
