//! Objects folded from ops: what an application reads and edits. Pure state: no bytes beyond the op formats, no keys, no
//! signatures, no sessions.

mod batch;
mod check;
mod difference;
mod draft;
mod fold;
mod names;
mod object;
mod objects;
mod patch;
mod refs;
mod saved;
mod sequence;
mod step;
mod timeline;
mod toggle;
mod view;
mod writings;

pub use batch::{AMOUNT_MAX, Batch, BatchMark, Edit, EditError};
pub use check::{Incoming, Invalid};
pub use difference::{splice, splice_of};
pub use draft::Draft;
pub use fold::Fold;
pub use names::{Clear, Names, ObjectName, ObjectOrigin};
pub use object::{Body, Object, ObjectIx};
pub use patch::{Patch, PatchBody};
pub use refs::{RefTable, resolve};
pub use step::Written;
pub use timeline::{Past, Timeline};
pub use view::Selection;
