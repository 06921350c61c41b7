//! What can be said about an object, a policy or a space: every op of the design, as it stands in a skeleton.
//!
//! Objects, names and changesets are named by their place in the skeleton's tables. What people read (values, text) is
//! not here: [`Op::content`] says what an op takes from the content.

use super::{Class, ObjectKind};
use crate::causal::{ActorId, ChangesetId, MemberId};
use crate::codec::BigInt;

/// A place in [`Skeleton::objects`](super::Skeleton::objects).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectAt(pub u32);

/// A place in [`Skeleton::names`](super::Skeleton::names).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NameAt(pub u32);

/// 0 is the changeset the op stands in, k the k-th of [`Skeleton::refs`](super::Skeleton::refs).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChangesetAt(pub u32);

/// A unit of a text or an element of a list: the `offset`-th that a changeset inserted into the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UnitAt {
    /// Who inserted it.
    pub changeset: ChangesetAt,
    /// Counted over the insert ops of that changeset in order.
    pub offset: u32,
}

/// Consecutive units that one changeset inserted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Span {
    /// The first.
    pub first: UnitAt,
    /// How many; at least 1.
    pub len: u32,
}

/// Consecutive ops of one changeset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OpSpan {
    /// The changeset.
    pub changeset: ChangesetAt,
    /// The first op.
    pub first: u32,
    /// How many; at least 1.
    pub count: u32,
}

/// Who owns or owes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Account {
    /// A member.
    Member(MemberId),
    /// An account with a name.
    Named(NameAt),
}

/// An end of a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Anchor {
    /// Before everything.
    Start,
    /// After everything.
    End,
    /// Before a unit.
    Before(UnitAt),
    /// After a unit.
    After(UnitAt),
}

/// Whether text typed at the ends of a mark takes it on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Expand {
    /// At its start.
    pub before: bool,
    /// At its end.
    pub after: bool,
}

/// What a policy entry is about. It need not have arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// All ops of a changeset.
    Changeset(ChangesetId),
    /// One op.
    Op(ChangesetId, u32),
}

/// What a member thinks of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Verdict {
    /// Nothing any more.
    None = 0,
    /// It should not count.
    Exclude = 1,
    /// It should count.
    Include = 2,
}

/// Whom a ban is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BanSubject {
    /// A person.
    Member(MemberId),
    /// One chain.
    Actor(ActorId),
}

/// How far a ban reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BanScope {
    /// No more.
    Lifted,
    /// Everything, back to the beginning.
    All,
    /// What is not in the causal past of the ban.
    FromHere,
    /// What claims a time from this on, in ms since 1970.
    SinceTime(u64),
    /// This changeset and what follows it.
    SinceChangeset(ChangesetId),
}

/// What is accepted under review.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Accepted {
    /// All that a person wrote and will write.
    Member(MemberId),
    /// One changeset or op.
    Target(Target),
}

/// Ops that order the space. Their payload has a version of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ControlKind {
    /// A new epoch.
    Epoch = 0x50,
    /// The end of a member's chains.
    Cut = 0x51,
    /// A redaction.
    Redact = 0x52,
    /// The answer to a fork.
    Resolve = 0x53,
    /// The end of an invite.
    RevokeInvite = 0x54,
    /// Who is asked to attest.
    Validators = 0x55,
}

/// Ops that testify. Their payload has a version of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum AuditKind {
    /// A statement about a frontier.
    Attest = 0x60,
    /// A block.
    Block = 0x61,
    /// A vote on a block.
    Vote = 0x62,
    /// A consent given or withdrawn.
    Consent = 0x63,
    /// Evidence that somebody contradicts itself.
    Evidence = 0x64,
    /// What was redacted was deleted.
    Erased = 0x65,
    /// The key of a person.
    Subject = 0x66,
    /// What a person asks for, or is answered.
    Request = 0x67,
}

/// One op.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(
    missing_docs,
    reason = "the fields are those of docs/format.md §5, and their types say what they are"
)]
pub enum Op {
    /// Gives a key a value.
    MapSet { object: ObjectAt, key: NameAt },
    /// Takes a key away.
    MapDelete { object: ObjectAt, key: NameAt },
    /// Gives a key an object.
    MapChild { object: ObjectAt, key: NameAt, kind: ObjectKind, options: Vec<u8> },
    /// Writes the whole tuple of a coupled group; bit k of `present` says whether key k has a value.
    MapCouple { object: ObjectAt, group: u32, count: u8, present: u64 },
    /// Adds to a counter.
    CounterAdd { object: ObjectAt, amount: i64 },
    /// Cancels the adds in its causal past.
    CounterReset { object: ObjectAt },
    /// Adds an element.
    SetAdd { object: ObjectAt, element: NameAt, has_value: bool },
    /// Removes an element.
    SetRemove { object: ObjectAt, element: NameAt },
    /// Adds to the quantity of an item.
    CartAdd { object: ObjectAt, item: NameAt, quantity: i64 },
    /// Removes an item.
    CartRemove { object: ObjectAt, item: NameAt },
    /// Inserts elements between two others.
    ListInsert { object: ObjectAt, left: Option<UnitAt>, right: Option<UnitAt>, count: u32 },
    /// Deletes elements.
    ListDelete { object: ObjectAt, spans: Vec<Span> },
    /// Moves an element between two others.
    ListMove { object: ObjectAt, element: UnitAt, left: Option<UnitAt>, right: Option<UnitAt> },
    /// Inserts text between two units.
    TextInsert { object: ObjectAt, left: Option<UnitAt>, right: Option<UnitAt>, len: u32 },
    /// Deletes text.
    TextDelete { object: ObjectAt, spans: Vec<Span> },
    /// Marks a range.
    TextMark { object: ObjectAt, start: Anchor, end: Anchor, key: NameAt, expand: Expand },
    /// Opens an account.
    LedgerOpen { object: ObjectAt, account: NameAt },
    /// Transfers an amount above zero.
    LedgerTransfer { object: ObjectAt, from: Account, to: Account, amount: BigInt },
    /// Disputes an entry.
    LedgerDispute { object: ObjectAt, changeset: ChangesetAt, op: u32 },
    /// Gives an asset to an account.
    LedgerAssign { object: ObjectAt, asset: NameAt, to: Account },
    /// Gives a transfer back.
    LedgerReverse { object: ObjectAt, changeset: ChangesetAt, op: u32 },
    /// Makes an event-defined object.
    EventCreate { type_name: NameAt, id: NameAt },
    /// Emits an event.
    EventEmit { type_name: NameAt, concerns: Vec<NameAt> },
    /// Excludes or includes.
    PolicyExclude { verdict: Verdict, targets: Vec<Target> },
    /// Bans.
    PolicyBan { subject: BanSubject, scope: BanScope },
    /// Trusts; weight 0 is no trust.
    PolicyTrust { member: MemberId, weight: i64 },
    /// How much weight hides something.
    PolicyThreshold { weight: u64 },
    /// Whether what strangers write waits for review.
    PolicyMode { review: bool },
    /// Accepts, or withdraws that.
    PolicyAccept { accepted: bool, subject: Accepted },
    /// Switches ops of the same member off: undo, and undo of undo.
    Revoke { targets: Vec<OpSpan> },
    /// Orders the space.
    Control { kind: ControlKind, payload: Vec<u8> },
    /// Testifies.
    Audit { kind: AuditKind, payload: Vec<u8> },
    /// An op from 0x80 on, which only later versions know. It has a place in the count and no effect.
    Skipped { kind: u8, payload: Vec<u8> },
}

/// What an op takes from the content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpContent {
    /// Nothing.
    Nothing,
    /// Text of so many UTF-16 units.
    Text(u32),
    /// So many values.
    Values(u32),
}

impl Op {
    /// What it takes from the content.
    #[must_use]
    pub fn content(&self) -> OpContent {
        match self {
            Self::TextInsert { len, .. } => OpContent::Text(*len),
            Self::ListInsert { count, .. } => OpContent::Values(*count),
            Self::MapCouple { present, .. } => OpContent::Values(present.count_ones()),
            Self::SetAdd { has_value, .. } => OpContent::Values((*has_value).into()),
            Self::MapSet { .. }
            | Self::TextMark { .. }
            | Self::LedgerTransfer { .. }
            | Self::LedgerDispute { .. }
            | Self::LedgerReverse { .. }
            | Self::EventCreate { .. }
            | Self::EventEmit { .. }
            | Self::PolicyExclude { .. }
            | Self::PolicyBan { .. }
            | Self::Control { .. }
            | Self::Audit { .. } => OpContent::Values(1),
            Self::MapDelete { .. }
            | Self::MapChild { .. }
            | Self::CounterAdd { .. }
            | Self::CounterReset { .. }
            | Self::SetRemove { .. }
            | Self::CartAdd { .. }
            | Self::CartRemove { .. }
            | Self::ListDelete { .. }
            | Self::ListMove { .. }
            | Self::TextDelete { .. }
            | Self::LedgerOpen { .. }
            | Self::LedgerAssign { .. }
            | Self::PolicyTrust { .. }
            | Self::PolicyThreshold { .. }
            | Self::PolicyMode { .. }
            | Self::PolicyAccept { .. }
            | Self::Revoke { .. }
            | Self::Skipped { .. } => OpContent::Nothing,
        }
    }

    /// How many units it makes.
    #[must_use]
    pub fn units_made(&self) -> u32 {
        match self {
            Self::TextInsert { len: units, .. } | Self::ListInsert { count: units, .. } => *units,
            Self::ListMove { .. } => 1,
            _ => 0,
        }
    }

    /// The object it is about, and the kind that object must have.
    #[must_use]
    pub fn object(&self) -> Option<(ObjectAt, ObjectKind)> {
        Some(match self {
            Self::MapSet { object, .. }
            | Self::MapDelete { object, .. }
            | Self::MapChild { object, .. }
            | Self::MapCouple { object, .. } => (*object, ObjectKind::Map),
            Self::CounterAdd { object, .. } | Self::CounterReset { object } => (*object, ObjectKind::Counter),
            Self::SetAdd { object, .. } | Self::SetRemove { object, .. } => (*object, ObjectKind::Set),
            Self::CartAdd { object, .. } | Self::CartRemove { object, .. } => (*object, ObjectKind::Cart),
            Self::ListInsert { object, .. }
            | Self::ListDelete { object, .. }
            | Self::ListMove { object, .. } => (*object, ObjectKind::List),
            Self::TextInsert { object, .. }
            | Self::TextDelete { object, .. }
            | Self::TextMark { object, .. } => (*object, ObjectKind::Text),
            Self::LedgerOpen { object, .. }
            | Self::LedgerTransfer { object, .. }
            | Self::LedgerDispute { object, .. }
            | Self::LedgerReverse { object, .. }
            | Self::LedgerAssign { object, .. } => (*object, ObjectKind::Ledger),
            _ => return None,
        })
    }

    /// Whether changesets of a class may hold it.
    #[must_use]
    pub fn fits(&self, class: Class) -> bool {
        match self.kind() {
            0x00..=0x3f | 0x48 => class == Class::Data,
            0x40..=0x47 => matches!(class, Class::Policy | Class::Private),
            0x50..=0x5f => class == Class::Control,
            0x60..=0x6f => class == Class::Audit,
            0x80.. => true,
            _ => false,
        }
    }
}
