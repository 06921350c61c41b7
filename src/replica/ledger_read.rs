//! Ledgers, as they are read: accounts, entries and how they stand, debts and what caused them, assets.

use super::{EditFault, Replica};
use crate::causal::{ActorId, ChangesetId, ChangesetIx, MemberId, NameId, OpIx};
use crate::codec::BigInt;
use crate::crdt::{AccountId, Flaw, Ledger, Recency, What};
use crate::doc::{ObjectIx, Written};
use crate::event::{Sort, Target, Value, Verdict};
use crate::sorted::sort_by;
use crate::trust::{Standing, Subject, Word};
use std::sync::Arc;

/// An op of a ledger: its changeset, none while that is not sealed, and its place in it.
pub type EntryId = (Option<ChangesetId>, u32);

/// How an entry stands here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryStanding {
    /// It moves something.
    Counts,
    /// A word of policy hides it.
    Hidden,
    /// It waits for review.
    Waits,
    /// Its author took it back.
    Undone,
    /// It is here and moves nothing.
    Flawed(Flaw),
}

/// Something signed: who, when.
#[derive(Clone, Debug, PartialEq)]
pub struct Signature {
    /// Which op.
    pub id: EntryId,
    /// Who signed it.
    pub member: MemberId,
    /// With which key.
    pub actor: ActorId,
    /// The claimed time in ms since 1970.
    pub time_ms: u64,
    /// The memo, or the reason of a dispute.
    pub memo: Option<Value>,
    /// How it stands.
    pub standing: EntryStanding,
}

/// A transfer, or one that gives another back.
#[derive(Clone, Debug, PartialEq)]
pub struct LedgerEntry {
    /// Who made it.
    pub by: Signature,
    /// Who gives.
    pub from: AccountId,
    /// Who gets.
    pub to: AccountId,
    /// How much.
    pub amount: BigInt,
    /// The command that it was made for.
    pub command: Option<Arc<str>>,
    /// What it gives back.
    pub reverses: Option<EntryId>,
    /// What gives it back, and counts.
    pub reversed: Option<EntryId>,
    /// What was said of it and was not taken back.
    pub disputes: Vec<Signature>,
    /// Members who would have it not count.
    pub support: Vec<MemberId>,
    /// Members who would have it count.
    pub oppose: Vec<MemberId>,
}

/// An account that is below zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Debt {
    /// The account.
    pub account: AccountId,
    /// Who owes.
    pub owner: MemberId,
    /// How much.
    pub amount: i128,
    /// How much of it is beyond the credit limit.
    pub over: i128,
    /// The entries that were not covered, oldest first, and by how much they are not yet.
    pub causes: Vec<(EntryId, i128)>,
}

/// An account, as it is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerAccount {
    /// The account.
    pub account: AccountId,
    /// Whose it is.
    pub owner: MemberId,
    /// What it stands at.
    pub balance: i128,
    /// Members who opened it too, and do not own it.
    pub rivals: Vec<MemberId>,
}

/// An assign of an asset.
#[derive(Clone, Debug, PartialEq)]
pub struct Assignment {
    /// Who made it.
    pub by: Signature,
    /// Who gets the asset.
    pub to: AccountId,
    /// Whether it is a link of the chain of owners.
    pub is_link: bool,
}

impl Replica {
    /// What an account stands at, 0 for one that nobody used. O(1).
    pub fn ledger_balance(&self, object: ObjectIx, account: &AccountId) -> i128 {
        self.ledger(object).map_or(0, |ledger| ledger.balance(account))
    }

    /// Who owns an account; none if nobody opened it.
    pub fn ledger_owner(&self, object: ObjectIx, account: &AccountId) -> Option<MemberId> {
        self.ledger(object)?.owner(account)
    }

    /// The accounts that are open, and those of members that have entries, members first. O(accounts).
    pub fn ledger_accounts(&self, object: ObjectIx) -> Vec<LedgerAccount> {
        let Some(ledger) = self.ledger(object) else { return Vec::new() };
        let used = ledger.accounts().into_iter().filter(|(account, ..)| match account {
            AccountId::Member(_) => {
                ledger.rows_of(account).iter().any(|at| ledger.rows()[*at as usize].counts)
            }
            AccountId::Named(_) => true,
        });
        let listed = used.filter_map(|(account, owner, balance)| {
            Some(LedgerAccount { account, owner: owner?, balance, rivals: ledger.rivals(&account) })
        });
        listed.collect()
    }

    /// The entries of an account, or all, by claimed time, in an order that is the same for everybody: the last ones, at most so many.
    /// O(entries log entries).
    pub fn ledger_entries(
        &self,
        object: ObjectIx,
        account: Option<&AccountId>,
        limit: usize,
    ) -> Vec<LedgerEntry> {
        let Some(ledger) = self.ledger(object) else { return Vec::new() };
        let rows = match account {
            Some(account) => ledger.rows_of(account).to_vec(),
            None => (0..ledger.rows().len() as u32).collect(),
        };
        let rows = self.in_order(ledger, rows, &|_| true);
        rows[rows.len().saturating_sub(limit)..]
            .iter()
            .map(|at| self.ledger_entry(object, ledger, *at))
            .collect()
    }

    /// Accounts below zero, but for those of issuers, and the entries that were not covered: what comes in covers the oldest
    /// first. O(entries of those accounts).
    pub fn ledger_debts(&self, object: ObjectIx) -> Vec<Debt> {
        let Some(ledger) = self.ledger(object) else { return Vec::new() };
        let options = self.options_of(object);
        let mut debts = Vec::new();
        for (account, owner, balance) in ledger.accounts() {
            let Some(owner) = owner.filter(|_| balance < 0) else { continue };
            if options.is_some_and(|options| options.issuers.contains(&owner)) {
                continue;
            }
            let limit = options.and_then(|options| options.credit_of(owner));
            let over = limit.map_or(0, |limit| (-balance - limit).max(0));
            let causes = self.causes_of(ledger, &account);
            debts.push(Debt { account, owner, amount: -balance, over, causes });
        }
        debts
    }

    fn causes_of(&self, ledger: &Ledger, account: &AccountId) -> Vec<(EntryId, i128)> {
        // What was given back is as if it had not been.
        let stays = |at: u32| {
            let is_transfer = ledger.transfer_of(at) == at;
            ledger.rows()[at as usize].counts && is_transfer && ledger.reversal_of(at).is_none()
        };
        let rows = self.in_order(ledger, ledger.rows_of(account).to_vec(), &stays);
        let (mut balance, mut open): (i128, Vec<(u32, i128)>) = (0, Vec::new());
        let mut covered = 0;
        for at in rows {
            let (from, to, amount) = ledger.entry(at);
            let amount = amount.to_i128().unwrap_or(0);
            if from == to {
                continue;
            }
            if from == *account {
                let lacking = amount - balance.clamp(0, amount);
                if lacking > 0 {
                    open.push((at, lacking));
                }
                balance -= amount;
            } else {
                let mut left = amount;
                while let Some((_, lacking)) = open.get_mut(covered).filter(|_| left > 0) {
                    let paid = left.min(*lacking);
                    (*lacking, left) = (*lacking - paid, left - paid);
                    covered += usize::from(*lacking == 0);
                }
                balance += amount;
            }
        }
        open.drain(..covered);
        open.into_iter()
            .map(|(at, lacking)| (self.entry_id(ledger.rows()[at as usize].op), lacking))
            .collect()
    }

    /// The assets that somebody holds, and the accounts, in an order that is the same for everybody.
    pub fn ledger_assets(&self, object: ObjectIx) -> Vec<(String, AccountId)> {
        let held = self.ledger(object).map_or_else(Vec::new, Ledger::assets).into_iter();
        held.map(|(asset, to)| (self.asset_text(&asset), to)).collect()
    }

    /// The account that holds an asset.
    pub fn ledger_holder(&self, object: ObjectIx, asset: &str) -> Option<AccountId> {
        self.ledger(object)?.holder(self.asset_named(asset))
    }

    /// Everything that was said on whose an asset is, oldest first: the links of its chain, and rival claims.
    pub fn ledger_assignments(&self, object: ObjectIx, asset: &str) -> Vec<Assignment> {
        let Some(ledger) = self.ledger(object) else { return Vec::new() };
        let links = ledger.links(self.asset_named(asset)).into_iter();
        links
            .map(|(at, to, is_link)| {
                let flaw = if ledger.owner(&to).is_some() { Flaw::Owner } else { Flaw::Closed };
                let mut by = self.signature(object, ledger, at);
                if by.standing == EntryStanding::Counts && !is_link {
                    by.standing = EntryStanding::Flawed(flaw);
                }
                Assignment { by, to, is_link }
            })
            .collect()
    }

    /// An account as text: see [`Replica::account_named`].
    pub fn account_text(&self, account: &AccountId) -> String {
        match account {
            AccountId::Member(member) => member.to_string(),
            AccountId::Named(name) => self.ledger_name(Sort::Account, name),
        }
    }

    /// An asset as text: its name, or its digits behind a `#`.
    pub fn asset_text(&self, asset: &NameId) -> String {
        self.ledger_name(Sort::Asset, asset)
    }

    fn ledger_name(&self, sort: Sort, name: &NameId) -> String {
        match self.names.text(sort, name) {
            Some(clear) => clear.as_ref().to_owned(),
            None => "#".to_owned() + &name.to_string(),
        }
    }

    /// The entry that a text means: an op, or the only one that a changeset has in the ledger.
    pub fn ledger_entry_id(&self, object: ObjectIx, entry: super::Target) -> Result<EntryId, EditFault> {
        let at = self.ledger_entry_at(object, entry)?;
        let ledger = self.ledger(object).ok_or(EditFault::Kind)?;
        Ok(self.entry_id(ledger.rows()[at as usize].op))
    }

    fn ledger_entry(&self, object: ObjectIx, ledger: &Ledger, at: u32) -> LedgerEntry {
        let row = &ledger.rows()[at as usize];
        let by = self.signature(object, ledger, at);
        let (from, to, amount) = ledger.entry(at);
        let reverses = match row.what {
            What::Reverse { of } => Some(self.entry_id(ledger.rows()[of as usize].op)),
            _ => None,
        };
        let is_said = |note: &u32| {
            matches!(ledger.rows()[*note as usize].what, What::Dispute { .. })
                && ledger.rows()[*note as usize].active
        };
        let disputes = ledger.notes_of(at).filter(is_said).map(|note| self.signature(object, ledger, note));
        let (support, oppose) = self.verdicts(by.id);
        LedgerEntry {
            from,
            to,
            amount,
            command: ledger.command_of(at).and_then(|name| self.names.text(Sort::Command, &name)).cloned(),
            reverses,
            reversed: ledger.reversal_of(at).map(|op| self.entry_id(op)),
            disputes: disputes.collect(),
            support,
            oppose,
            by,
        }
    }

    /// Who says of an op, or of its changeset, that it should not count, and who that it should.
    fn verdicts(&self, (changeset, index): EntryId) -> (Vec<MemberId>, Vec<MemberId>) {
        let (mut against, mut with) = (Vec::new(), Vec::new());
        let Some(id) = changeset else { return (against, with) };
        for target in [Target::Op(id, index), Target::Changeset(id)] {
            for number in self.policy.said_on(Subject::Target(target)) {
                let entry = &self.policy.entries()[number as usize];
                let is_new = !against.contains(&entry.author) && !with.contains(&entry.author);
                match entry.word {
                    Word::Verdict(Verdict::Exclude) if is_new => against.push(entry.author),
                    Word::Verdict(Verdict::Include) if is_new => with.push(entry.author),
                    _ => {}
                }
            }
        }
        (against, with)
    }

    fn signature(&self, object: ObjectIx, ledger: &Ledger, at: u32) -> Signature {
        let row = &ledger.rows()[at as usize];
        let changeset = self.fold.timeline().changeset_of(row.op);
        let is_open = changeset == ChangesetIx::OPEN;
        let standing = match ledger.why_not(at) {
            _ if !row.active => self.why_off(object, row.op),
            Some(flaw) => EntryStanding::Flawed(flaw),
            None => EntryStanding::Counts,
        };
        Signature {
            id: self.entry_id(row.op),
            member: ledger.member(row.author),
            actor: if is_open { self.acting() } else { self.log.graph().actor(changeset) },
            time_ms: match is_open {
                true => self.batch.begun_ms.unwrap_or(0),
                false => self.fold.timeline().stamp(changeset).ms,
            },
            memo: self.fold.written(row.op).and_then(Written::value).cloned(),
            standing,
        }
    }

    /// Why an op is off in the space, or in the view that has a copy.
    fn why_off(&self, object: ObjectIx, op: OpIx) -> EntryStanding {
        let view = self.views.origin(object).map(|(view, _)| view);
        let policy = view.map_or(&self.policy, |view| self.policy_in(view));
        let standing = self.standing_of(policy, op, &mut |_| {});
        let is_revoked = || match view {
            Some(view) => {
                self.view_ops(view).is_ok_and(|ops| self.fold.is_revoked(op, |revoke| ops.get(revoke.0)))
            }
            None => !self.fold.hidden().get(op.0),
        };
        match standing {
            Standing::Waits => EntryStanding::Waits,
            Standing::Counts if is_revoked() => EntryStanding::Undone,
            Standing::Counts | Standing::Hidden => EntryStanding::Hidden,
        }
    }

    fn entry_id(&self, op: OpIx) -> EntryId {
        let timeline = self.fold.timeline();
        match timeline.changeset_of(op) {
            ChangesetIx::OPEN => (None, op.0 - timeline.next_op()),
            changeset => (Some(self.log.graph().id(changeset)), op.0 - timeline.ops_of(changeset).start),
        }
    }

    /// Rows that are entries, by claimed time.
    fn in_order(&self, ledger: &Ledger, mut rows: Vec<u32>, is_chosen: &dyn Fn(u32) -> bool) -> Vec<u32> {
        let is_entry =
            |at: u32| matches!(ledger.rows()[at as usize].what, What::Transfer { .. } | What::Reverse { .. });
        rows.retain(|at| is_entry(*at) && is_chosen(*at));
        let past = self.fold.past(self.log.graph());
        sort_by(&mut rows, |a, b| past.newer(ledger.rows()[*a as usize].op, ledger.rows()[*b as usize].op));
        rows
    }
}
