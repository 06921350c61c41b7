//! Objects folded from ops: what an application reads and edits. Pure state: no bytes beyond the op formats, no keys, no
//! signatures, no sessions.

mod batch;
mod difference;
mod fold;
mod names;
mod object;
mod patch;
mod refs;
mod timeline;

pub use batch::{Batch, BatchMark, Draft};
pub use fold::{EditError, Fold, Incoming, Invalid};
pub use names::{Names, ObjectName};
pub use object::{Body, Object, ObjectIx};
pub use patch::{Patch, PatchBody};
pub use refs::{RefTable, resolve};
pub use timeline::{Past, Timeline};
