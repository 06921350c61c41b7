//! What can be wrong: [`FrameError`] for bytes that are no frame, [`Code`] for what the other side says is wrong.

/// Why bytes are not a frame of this protocol. All but `TooLarge` are `MALFORMED` on the wire.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// Longer than a frame may be.
    #[error("frame of {bytes} bytes is above the limit")]
    TooLarge {
        /// Its length.
        bytes: usize,
    },
    /// Shorter than type and flags.
    #[error("frame of {bytes} bytes has no header")]
    Short {
        /// Its length.
        bytes: usize,
    },
    /// A type or flag that this version does not know, in a frame that may not be ignored.
    #[error("unknown frame type {kind:#04x}, flags {flags:#04x}")]
    Unknown {
        /// The type.
        kind: u8,
        /// The flags.
        flags: u8,
    },
    /// The body is not protobuf, or not of this message.
    #[error("frame type {kind:#04x} does not decode")]
    Body {
        /// The type.
        kind: u8,
    },
    /// A field is missing, has another size or a value without meaning.
    #[error("frame type {kind:#04x}: bad {field}")]
    Field {
        /// The type.
        kind: u8,
        /// The field.
        field: &'static str,
    },
    /// More items than the frame may carry.
    #[error("frame type {kind:#04x} has more than {limit} items")]
    TooMany {
        /// The type.
        kind: u8,
        /// How many are allowed.
        limit: usize,
    },
}

impl FrameError {
    /// The code that answers it.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::TooLarge { .. } => Code::TooLarge,
            Self::Short { .. }
            | Self::Unknown { .. }
            | Self::Body { .. }
            | Self::Field { .. }
            | Self::TooMany { .. } => Code::Malformed,
        }
    }
}

/// An error code of `docs/protocol.md` §5.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// No version in common.
    Version,
    /// A frame that does not decode or does not belong there.
    Malformed,
    /// A login that does not verify.
    AuthFailed,
    /// The newcomer's invite has expired.
    InviteExpired,
    /// The newcomer's invite has let in as many as it may.
    InviteUsed,
    /// The node does not take this space.
    Denied,
    /// A frame or a push over its limit.
    TooLarge,
    /// A space without admission.
    NotFoundOrDenied,
    /// More than a peer takes.
    TooMany,
    /// The space is full.
    Quota,
    /// A row whose signature does not verify.
    BadSignature,
    /// A row whose certificate chain does not verify.
    BadChain,
    /// A row, or a peer, of another space.
    WrongSpace,
    /// A row that does not decode, or whose segments do not fit their hashes.
    BadRow,
    /// A row of a suite that cannot be checked.
    Unsupported,
    /// Too fast.
    Rate,
    /// Too much at once.
    Overloaded,
    /// The relay is going down.
    Draining,
    /// The relay cannot reach its disk.
    StoreUnavailable,
    /// A code that this version does not know.
    Unknown(u32),
}

impl Code {
    /// The number on the wire.
    #[must_use]
    pub fn number(self) -> u32 {
        match self {
            Self::Version => 1,
            Self::Malformed => 2,
            Self::AuthFailed => 3,
            Self::InviteExpired => 4,
            Self::InviteUsed => 5,
            Self::Denied => 6,
            Self::TooLarge => 7,
            Self::NotFoundOrDenied => 10,
            Self::TooMany => 11,
            Self::Quota => 12,
            Self::BadSignature => 16,
            Self::BadChain => 17,
            Self::WrongSpace => 18,
            Self::BadRow => 19,
            Self::Unsupported => 20,
            Self::Rate => 30,
            Self::Overloaded => 31,
            Self::Draining => 32,
            Self::StoreUnavailable => 33,
            Self::Unknown(number) => number,
        }
    }

    /// The code of a number.
    #[must_use]
    pub fn of(number: u32) -> Self {
        const KNOWN: [Code; 19] = [
            Code::Version,
            Code::Malformed,
            Code::AuthFailed,
            Code::InviteExpired,
            Code::InviteUsed,
            Code::Denied,
            Code::TooLarge,
            Code::NotFoundOrDenied,
            Code::TooMany,
            Code::Quota,
            Code::BadSignature,
            Code::BadChain,
            Code::WrongSpace,
            Code::BadRow,
            Code::Unsupported,
            Code::Rate,
            Code::Overloaded,
            Code::Draining,
            Code::StoreUnavailable,
        ];
        KNOWN.into_iter().find(|code| code.number() == number).unwrap_or(Self::Unknown(number))
    }

    /// Whether the same thing may be tried again unchanged.
    #[must_use]
    pub fn is_retryable(self) -> bool {
        matches!(self, Self::Quota | Self::Rate | Self::Overloaded | Self::Draining | Self::StoreUnavailable)
    }

    /// The name in `docs/protocol.md`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Version => "VERSION",
            Self::Malformed => "MALFORMED",
            Self::AuthFailed => "AUTH_FAILED",
            Self::InviteExpired => "INVITE_EXPIRED",
            Self::InviteUsed => "INVITE_USED",
            Self::Denied => "DENIED",
            Self::TooLarge => "TOO_LARGE",
            Self::NotFoundOrDenied => "NOT_FOUND_OR_DENIED",
            Self::TooMany => "TOO_MANY",
            Self::Quota => "QUOTA",
            Self::BadSignature => "BAD_SIGNATURE",
            Self::BadChain => "BAD_CHAIN",
            Self::WrongSpace => "WRONG_SPACE",
            Self::BadRow => "BAD_ROW",
            Self::Unsupported => "UNSUPPORTED",
            Self::Rate => "RATE",
            Self::Overloaded => "OVERLOADED",
            Self::Draining => "DRAINING",
            Self::StoreUnavailable => "STORE_UNAVAILABLE",
            Self::Unknown(_) => "UNKNOWN",
        }
    }
}
