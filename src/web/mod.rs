//! The browser edges: storage, socket, locks and tabs for JavaScript. wasm32 only.
//!
//! Invariant: nothing here decides. These classes carry bytes, numbers and flat objects between the browser and the
//! caller, and say in a code what went wrong; what to write, to send or to retry is decided elsewhere. No borrow is
//! held while a JavaScript function runs, so a callback may call back. The manual is in `ts/`.
mod audit;
mod batch;
mod blocks;
mod connection;
mod consent;
mod erasure;
mod error;
mod events;
mod evidence;
mod idb;
mod journal;
mod ledger;
mod lists;
mod locks;
mod marks;
mod objects;
mod options;
mod output;
mod packed;
mod pending;
mod policy;
mod presence;
mod random;
mod registry;
mod replica;
mod snapshot;
mod socket;
mod space;
mod subjects;
mod tabs;
mod value;
mod view;
mod wait;
mod wrap;

pub use self::idb::IdbStorage;
pub use self::locks::try_lock;
pub use self::socket::Socket;
pub use self::tabs::Tabs;
