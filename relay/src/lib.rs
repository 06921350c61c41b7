//! The relay: stores and forwards what it cannot read.
//!
//! ```text
//! connection -- verify --> committer -- one commit --> store
//!     ^                        |
//!     |                        v
//!   socket <---- pump <------ hub       a pump reads the hub's ring, or the store
//! ```
//! It sees headers, certificates, sizes and times; it holds no key of any space. The protocol is drawn in
//! `docs/protocol.md`. Invariant: what was acked is on disk.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod archive;
pub mod check;
pub mod committer;
mod config;
mod connection;
pub mod hub;
pub mod metrics;
mod neighbours;
mod page;
mod pump;
mod rate;
mod receipt;
mod redaction;
mod server;
mod snapshots;
pub mod store;
pub mod tls;
pub mod verify;
mod websocket;

pub use config::{Create, RelayConfig};
pub use server::{ServeError, serve};
