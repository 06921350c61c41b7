//! What was redacted, by whom, and who says that they deleted it: the record that replicas keep of it.
//!
//! A redaction is a changeset that names others in clear. Whether it counts is decided where it is taken in; here is what it says,
//! and which changesets are redacted because of it. It is never taken back.

use crate::causal::{ChangesetIx, MemberId};
use crate::codec::{DecodeError, Reader, Saved, Writer, saved};
use crate::sorted::sort;

/// The payload of the op that says so (`docs/format.md` §17).
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

/// Where a device says that it has deleted what was redacted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Erased {
    /// The redaction.
    pub redaction: ChangesetIx,
    /// The device's key.
    pub device: [u8; 32],
    /// Whose it is.
    pub member: MemberId,
    /// When it said so, by its clock, in ms since 1970.
    pub time_ms: u64,
    /// In which kinds of stores: bits of [`STORE_BROWSER`], [`STORE_FOLDER`], [`STORE_OTHER`]; none where it was in memory alone.
    pub stores: u8,
}

/// The database of a browser.
pub const STORE_BROWSER: u8 = 1;
/// A folder.
pub const STORE_FOLDER: u8 = 2;
/// A store that an application brings.
pub const STORE_OTHER: u8 = 4;

impl Erased {
    /// The payload of the op that says so (`docs/format.md` §17).
    #[must_use]
    pub fn payload(stores: u8) -> Vec<u8> {
        vec![VERSION, stores]
    }

    /// The kinds of stores in a payload of this version.
    #[must_use]
    pub fn stores_in(payload: &[u8]) -> Option<u8> {
        let all = STORE_BROWSER | STORE_FOLDER | STORE_OTHER;
        if let [VERSION, stores] = payload { Some(*stores).filter(|stores| stores & !all == 0) } else { None }
    }
}

const VERSION: u8 = 1;

/// All redactions that count.
#[derive(Clone, Debug, Default)]
pub struct Redactions {
    /// In the order in which they were taken in.
    rows: Vec<Redaction>,
    erased: Vec<Erased>,
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

    /// A device deleted what one of them named; says whether it is one, and the device had not said so.
    pub fn confirm(&mut self, erased: Erased) -> bool {
        let Erased { redaction, device, .. } = erased;
        let is_new = self.find(redaction).is_some() && !self.is_confirmed(redaction, &device);
        if is_new {
            self.erased.push(erased);
        }
        is_new
    }

    /// Whether a device has said that it deleted what a redaction names.
    pub fn is_confirmed(&self, redaction: ChangesetIx, device: &[u8; 32]) -> bool {
        self.erased_by(redaction).any(|erased| erased.device == *device)
    }

    /// Which devices say that they deleted what a redaction names, in the order in which that came.
    pub fn erased_by(&self, redaction: ChangesetIx) -> impl Iterator<Item = &Erased> {
        self.erased.iter().filter(move |erased| erased.redaction == redaction)
    }

    /// The redaction that a changeset is.
    pub fn find(&self, changeset: ChangesetIx) -> Option<&Redaction> {
        self.rows.iter().find(|row| row.changeset == changeset)
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
        out.varint(self.erased.len() as u64);
        for Erased { redaction, device, member, time_ms, stores } in &self.erased {
            out.varint(u64::from(redaction.0)).raw(device).raw(&member.0).varint(*time_ms).u8(*stores);
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
        for _ in 0..from.count("erasures", u32::MAX as usize, 67)? {
            let redaction = ChangesetIx(from.varint_u32("changeset", u32::MAX)?);
            let (device, member) = (from.array("device")?, MemberId(from.array("member")?));
            let (time_ms, stores) = (from.varint("time", u64::MAX)?, from.u8("stores")?);
            redactions.erased.push(Erased { redaction, device, member, time_ms, stores });
        }
        Ok(redactions)
    }
}
