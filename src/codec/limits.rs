//! Protocol constants (`docs/format.md` §1). They decide which fate a changeset has, so they are the same for everybody
//! and never configuration.

/// Bytes of a changeset: header, signature and both segments.
pub const CHANGESET_BYTES_MAX: usize = 262_144;
/// Ops of a changeset.
pub const OPS_MAX: usize = 65_536;
/// Text units and list elements that one changeset may insert; none can hold content for more.
pub const INSERTED_UNITS_MAX: u64 = 262_144;
/// Deps of a changeset.
pub const DEPS_MAX: usize = 32;
/// Certificates in a chain.
pub const CHAIN_CERTIFICATES_MAX: usize = 8;
/// Bytes of the entries of an `ext`, and of the options of an object.
pub const EXT_BYTES_MAX: usize = 16_384;
/// Bytes of a clear name.
pub const NAME_BYTES_MAX: usize = 4_096;
/// Arrays and objects inside each other in a value.
pub const VALUE_DEPTH_MAX: usize = 100;
/// Greatest place of a changeset in its chain.
pub const SEQ_MAX: u64 = (1 << 32) - 1;
/// Units of one text, elements of one list.
pub const TEXT_UNITS_MAX: u64 = (1 << 31) - 1;
/// Bytes of the magnitude of a `bigint`.
pub const BIGINT_BYTES_MAX: usize = 1_024;
/// Greatest size of an integer that a double holds exactly together with its neighbours.
pub const SAFE_INTEGER_MAX: i64 = (1 << 53) - 1;
/// Greatest milliseconds of a timestamp.
pub const TIME_MS_MAX: u64 = (1 << 48) - 1;
/// Keys of one coupled group.
pub const COUPLED_KEYS_MAX: u64 = 64;
/// Names that one event concerns.
pub const CONCERNS_MAX: usize = 256;

/// Salt and authentication tag: what sealing adds to a plaintext.
pub const SEGMENT_OVERHEAD_BYTES: usize = 32;

/// Bytes of what a session shows of itself, as a value.
pub const PRESENCE_BYTES_MAX: usize = 8_192;
/// Sessions that one message says it knows.
pub const PRESENCE_SEEN_MAX: usize = 256;
/// Bytes of the payload of an EPHEMERAL frame.
pub const EPHEMERAL_BYTES_MAX: usize = 16_384;

/// Bytes of a decoded invite token.
pub const INVITE_BYTES_MAX: usize = 16_384;
/// Epoch secrets in an invite.
pub const INVITE_EPOCHS_MAX: usize = 64;
/// Relay addresses in an invite.
pub const INVITE_RELAYS_MAX: usize = 16;
/// Bytes of one relay address.
pub const RELAY_BYTES_MAX: usize = 2_048;
