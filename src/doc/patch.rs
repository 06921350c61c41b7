//! What changed, in terms of what an application shows.

use super::ObjectIx;
use crate::causal::NameId;

/// The change of one object's visible value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patch {
    /// The object.
    pub object: ObjectIx,
    /// What changed in it.
    pub body: PatchBody,
}

/// The change by kind of object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PatchBody {
    /// Splices in order of application, in UTF-16 units of the text as it is after the ones before: position, units
    /// removed, units inserted. The inserted text of all of them follows in one string.
    Text {
        /// `[position, removed, inserted]` each.
        splices: Vec<[u32; 3]>,
        /// The inserted text, splice after splice.
        inserted: String,
    },
    /// Keys that may read differently.
    Map(Vec<NameId>),
}
