//! What can be said to a ledger, in local terms, and by whom.

use crate::causal::{MemberId, NameId, OpIx};
use crate::codec::BigInt;

/// An account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AccountId {
    /// That of a member.
    Member(MemberId),
    /// One with a name, which a member opened.
    Named(NameId),
}

/// What of a ledger may read differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// An account: what it stands at, whose it is, or something of its entries.
    Account(AccountId),
    /// An asset.
    Asset(NameId),
    /// The transactions of a member that have a command; nobody is told of those.
    Command(MemberId, NameId),
}

/// What an op says. Entries are named by the op that made them, an earlier one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LedgerOp {
    /// Opens an account with a name.
    Open(NameId),
    /// Moves an amount above zero.
    Transfer {
        /// Who gives.
        from: AccountId,
        /// Who gets.
        to: AccountId,
        /// How much.
        amount: BigInt,
    },
    /// Moves the amount of a transfer back.
    Reverse(OpIx),
    /// Says something on an entry.
    Dispute(OpIx),
    /// Gives an asset to an account.
    Assign(NameId, AccountId),
}

/// An op with what is known of the changeset that it stands in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedOp {
    /// What it says.
    pub op: LedgerOp,
    /// Who says it.
    pub author: MemberId,
    /// The command that it is said for, and the first op of the transaction.
    pub command: Option<(NameId, OpIx)>,
}

impl LedgerOp {
    /// Whether it takes a memo or a reason from the content.
    #[must_use]
    pub fn takes_content(&self) -> bool {
        matches!(self, Self::Transfer { .. } | Self::Reverse(_) | Self::Dispute(_))
    }
}
