//! What a ledger reads as.

use super::ledger::{Account, Ledger, NONE, What};
use super::{AccountId, History, Part};
use crate::causal::{MemberId, NameId, OpIx};
use crate::codec::BigInt;
use crate::sorted::{sort, sort_by};

impl Ledger {
    /// What an account stands at. O(1).
    pub fn balance(&self, account: &AccountId) -> i128 {
        self.find(Part::Account(*account)).map_or(0, |at| self.accounts[at].balance)
    }

    /// Who owns an account; none if nobody opened it.
    pub fn owner(&self, account: &AccountId) -> Option<MemberId> {
        match account {
            AccountId::Member(member) => Some(*member),
            AccountId::Named(_) => self.owner_at(self.find(Part::Account(*account))?),
        }
    }

    /// All accounts that were ever named, by id: whose they are and what they stand at.
    pub fn accounts(&self) -> Vec<(AccountId, Option<MemberId>, i128)> {
        let mut places: Vec<usize> = (0..self.accounts.len()).collect();
        sort_by(&mut places, |a, b| self.accounts[*a].id.cmp(&self.accounts[*b].id));
        let account = |at| {
            let of: &Account = &self.accounts[at];
            (of.id, self.owner_at(at), of.balance)
        };
        places.into_iter().map(account).collect()
    }

    /// The members who opened an account and lost against the one who owns it, ascending.
    pub fn rivals(&self, account: &AccountId) -> Vec<MemberId> {
        let Some(at) = self.find(Part::Account(*account)) else { return Vec::new() };
        let authors = self.accounts[at].opens.active().filter_map(|op| self.row_of(op));
        let authors = authors.map(|row| self.rows[row as usize].author);
        let rivals = authors.filter(|author| *author != self.accounts[at].owner);
        // Numbers of authors are a replica's own matter.
        let mut rivals: Vec<MemberId> = rivals.map(|author| self.member(author)).collect();
        sort(&mut rivals);
        rivals.dedup();
        rivals
    }

    /// The id of an account by its number.
    pub fn account_id(&self, account: u32) -> AccountId {
        self.accounts[account as usize].id
    }

    /// The member of an account that authors have.
    pub fn member(&self, author: u32) -> MemberId {
        match self.accounts[author as usize].id {
            AccountId::Member(member) => member,
            AccountId::Named(_) => unreachable!("members are authors"),
        }
    }

    /// Transfers and reverses of an account, in topological order.
    pub fn rows_of(&self, account: &AccountId) -> &[u32] {
        self.find(Part::Account(*account)).map_or(&[], |at| &self.accounts[at].rows)
    }

    /// The accounts and the amount of an entry: from, to.
    pub fn entry(&self, at: u32) -> (AccountId, AccountId, BigInt) {
        let (transfer, [from, to]) = (self.transfer_of(at), self.ends_of(at));
        let (from, to) = if transfer == at { (from, to) } else { (to, from) };
        let amount = match self.rows[transfer as usize].what {
            What::Transfer { amount, .. } => amount,
            _ => 0,
        };
        let amount = self.large_at(transfer).cloned().unwrap_or_else(|| BigInt::from(amount));
        (self.account_id(from), self.account_id(to), amount)
    }

    /// The command of an entry.
    pub fn command_of(&self, at: u32) -> Option<NameId> {
        match self.rows[at as usize].what {
            What::Transfer { command, .. } if command != NONE => Some(self.commands[command as usize].name),
            _ => None,
        }
    }

    /// The entries of a member for a command, in topological order.
    pub fn entries_for(&self, author: MemberId, command: NameId) -> &[u32] {
        self.find(Part::Command(author, command)).map_or(&[], |at| &self.commands[at].rows)
    }

    /// The reverses and disputes of an entry, in topological order.
    pub fn notes_of(&self, at: u32) -> impl Iterator<Item = u32> + '_ {
        let notes = self.rows[self.transfer_of(at) as usize].notes();
        let rows = if notes == NONE { &[][..] } else { &self.notes[notes as usize].rows };
        let names = move |row: &u32| match self.rows[*row as usize].what {
            What::Reverse { of } | What::Dispute { of } => of == at,
            _ => false,
        };
        rows.iter().copied().filter(names)
    }

    /// The op that gives an entry back and counts.
    pub fn reversal_of(&self, at: u32) -> Option<OpIx> {
        let counts = |note: &u32| self.rows[*note as usize].counts;
        self.notes_of(at).find(counts).map(|note| self.rows[note as usize].op)
    }

    /// Whether an account was ever named.
    pub fn has_account(&self, account: &AccountId) -> bool {
        self.find(Part::Account(*account)).is_some()
    }

    /// The assets that somebody holds, by id, and the accounts.
    pub fn assets(&self) -> Vec<(NameId, AccountId)> {
        let mut places: Vec<usize> = (0..self.assets.len()).collect();
        sort_by(&mut places, |a, b| self.assets[*a].name.cmp(&self.assets[*b].name));
        let held = |at: usize| Some((self.assets[at].name, self.account_id(self.holder_at(at)?)));
        places.into_iter().filter_map(held).collect()
    }

    /// The account that holds an asset.
    pub fn holder(&self, asset: NameId) -> Option<AccountId> {
        self.holder_at(self.find(Part::Asset(asset))?).map(|account| self.account_id(account))
    }

    /// Who gave an asset to whom, in topological order: the row, to whom, and whether it is a link of the chain.
    pub fn links(&self, asset: NameId) -> Vec<(u32, AccountId, bool)> {
        let Some(title) = self.find(Part::Asset(asset)).map(|at| &self.assets[at]) else { return Vec::new() };
        let link = |at: &u32| {
            let op = self.rows[*at as usize].op;
            (*at, self.account_id(self.receiver(op)), title.has(op))
        };
        title.rows.iter().map(link).collect()
    }

    /// How many transfers and reverses count. O(ops).
    pub fn counting(&self) -> u64 {
        self.rows.iter().filter(|row| row.counts).count() as u64
    }

    /// What each part reads as, in numbers that are the same wherever the same ops count.
    pub(crate) fn reads(&self, part: &Part) -> (i128, Option<AccountId>, usize) {
        let active = |rows: &[u32]| rows.iter().filter(|at| self.rows[**at as usize].active).count();
        match (part, self.find(*part)) {
            (Part::Account(id), Some(at)) => {
                let owner = self.owner(id).map(AccountId::Member);
                (self.accounts[at].balance, owner, active(&self.accounts[at].rows))
            }
            (Part::Asset(name), Some(at)) => (0, self.holder(*name), active(&self.assets[at].rows)),
            _ => (0, None, 0),
        }
    }

    /// Accounts and assets that were ever named.
    pub(crate) fn parts(&self) -> Vec<Part> {
        let accounts = self.accounts.iter().map(|account| Part::Account(account.id));
        accounts.chain(self.assets.iter().map(|asset| Part::Asset(asset.name))).collect()
    }

    fn owner_at(&self, account: usize) -> Option<MemberId> {
        let owner = self.accounts[account].owner;
        (owner != NONE).then(|| self.member(owner))
    }

    fn find(&self, part: Part) -> Option<usize> {
        self.index.get(&part).map(|at| *at as usize)
    }

    /// Recomputes the invariants the slow way.
    #[doc(hidden)]
    pub fn dbg_check(&self, history: &impl History) {
        assert_eq!(self.index.len(), self.accounts.len() + self.commands.len() + self.assets.len());
        assert_eq!(self.accounts.iter().map(|account| account.balance).sum::<i128>(), 0, "money only moves");
        let is_active = |op| self.row_of(op).is_some_and(|at| self.rows[at as usize].active);
        let again = self.at(history, &|_| true, &is_active);
        for (now, then) in self.rows.iter().zip(&again.rows) {
            assert_eq!((now.op, now.counts), (then.op, then.counts));
            assert!(!now.counts || now.active);
        }
        for (now, then) in self.accounts.iter().zip(&again.accounts) {
            assert_eq!((now.id, now.owner, now.balance), (then.id, then.owner, then.balance));
            assert_eq!((&now.rows, now.opens.len()), (&then.rows, then.opens.len()));
        }
        for (now, then) in self.assets.iter().zip(&again.assets) {
            assert_eq!((&now.rows, &now.links), (&then.rows, &then.links));
        }
    }
}
