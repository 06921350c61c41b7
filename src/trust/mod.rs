//! What somebody does not believe: the words that members say about each other's ops, and which ops they hide from one of them.
//!
//! ```text
//! state = reduce(all - inert - hidden)
//! ```
//! *Inert* is the same for everybody and decided elsewhere. *Hidden* is one member's own: what that member excludes, whom it
//! bans, what waits for its review, and what those whom it trusts hide. A word is a signed op of class policy or private; it
//! is never hidden itself, and a later one of the same member on the same subject replaces it. See docs/format.md §5.
//!
//! Nothing here folds: ops are judged by who wrote them, when, and in which changeset.

mod entry;
mod judge;
pub mod phrase;
mod policy;

pub use entry::{Entry, Subject, Word};
pub use judge::{Authored, OnAuthor, Standing};
pub use policy::{Affected, Policy};
