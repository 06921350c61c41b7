//! Stemma: signed, end-to-end encrypted, mergeable data for local-first apps.
//!
//! ```text
//! web                              the JS edge (wasm32 only)
//! replica                          the only file where the two halves meet
//! store    sync      |     doc     left: MOVE changesets, never look inside
//!                    |     crdt    right: FOLD changesets, never look outside
//! event                            MAKE changesets: the one thing everybody shares
//! causal             |     crypto  who and when | secrets
//! codec                            bytes
//! ```
#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![deny(rustdoc::broken_intra_doc_links)]

pub mod causal;
pub mod codec;
pub mod crdt;
pub mod crypto;
pub mod event;
pub mod sync;
