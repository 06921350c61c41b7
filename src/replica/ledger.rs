//! Ledgers: what is signed into them. Whatever can be refused is refused here, before it is signed; what others sign all the
//! same is kept, and does not count.

use super::view::Target;
use super::{EditFault, Env, Replica};
use crate::causal::{ChangesetId, ChangesetIx, MemberId, NameId, OpIx};
use crate::codec::{BigInt, limits};
use crate::crdt::{AccountId, Ledger, LedgerOp, SignedOp};
use crate::doc::{Body, Edit, ObjectIx};
use crate::event::{MONEY_END, ObjectKind, Sort, Target as Named, Value, name_id};
use crate::trust::{Affected, Policy, Standing, Subject};

/// Bytes of a memo or a reason, encoded.
const MEMO_BYTES_MAX: usize = 8_192;

impl Replica {
    /// Opens an account with a name, which is this member's then; says whether it was not yet.
    pub fn ledger_open(
        &mut self,
        object: ObjectIx,
        name: &str,
        env: &mut Env<'_>,
    ) -> Result<bool, EditFault> {
        let account = self.account_named(name);
        let AccountId::Named(id) = account else { return Err(EditFault::AccountName) };
        self.expect_ledger(object)?;
        if name.is_empty() || name.starts_with('#') {
            return Err(EditFault::AccountName);
        }
        if name.len() > limits::NAME_BYTES_MAX {
            return Err(EditFault::TooLarge);
        }
        match self.ledger_owner(object, &account) {
            Some(owner) if owner == self.member() => Ok(false),
            Some(_) => Err(EditFault::Taken),
            None => {
                self.names.learn(Sort::Account, id, name.as_bytes());
                self.sign_into(object, LedgerOp::Open(id), None, env);
                Ok(true)
            }
        }
    }

    /// Moves an amount from an account of this member to any.
    pub fn ledger_transfer(
        &mut self,
        object: ObjectIx,
        (from, to): (AccountId, AccountId),
        amount: &BigInt,
        memo: Option<Value>,
        env: &mut Env<'_>,
    ) -> Result<(), EditFault> {
        self.expect_ledger(object)?;
        check_memo(memo.as_ref())?;
        let units = amount.to_i128().filter(|units| (1..MONEY_END).contains(units));
        let units = units.ok_or(EditFault::Money)?;
        if self.ledger_owner(object, &from) != Some(self.member()) {
            return Err(EditFault::Owner);
        }
        if !self.is_account(object, &to) || from == to {
            return Err(EditFault::Account);
        }
        let limit = self.options_of(object).and_then(|options| options.credit_of(self.member()));
        if limit.is_some_and(|limit| self.ledger_balance(object, &from) - units < -limit) {
            return Err(EditFault::Credit);
        }
        let op = LedgerOp::Transfer { from, to, amount: amount.clone() };
        self.sign_into(object, op, memo, env);
        Ok(())
    }

    /// Gives a transfer back that this member was given, or an account of this member.
    pub fn ledger_reverse(
        &mut self,
        object: ObjectIx,
        entry: Target,
        memo: Option<Value>,
        env: &mut Env<'_>,
    ) -> Result<(), EditFault> {
        self.expect_ledger(object)?;
        check_memo(memo.as_ref())?;
        let at = self.ledger_entry_at(object, entry)?;
        let ledger = self.ledger(object).ok_or(EditFault::Kind)?;
        let (row, (_, to, _)) = (&ledger.rows()[at as usize], ledger.entry(at));
        if !row.counts || ledger.transfer_of(at) != at || ledger.reversal_of(at).is_some() {
            return Err(EditFault::Returned);
        }
        if ledger.owner(&to) != Some(self.member()) {
            return Err(EditFault::Owner);
        }
        let op = LedgerOp::Reverse(row.op);
        self.sign_into(object, op, memo, env);
        Ok(())
    }

    /// Says what is wrong with an entry. It moves nothing.
    pub fn ledger_dispute(
        &mut self,
        object: ObjectIx,
        entry: Target,
        reason: Value,
        env: &mut Env<'_>,
    ) -> Result<(), EditFault> {
        self.expect_ledger(object)?;
        check_memo(Some(&reason))?;
        let at = self.ledger_entry_at(object, entry)?;
        let op = self.ledger(object).map(|ledger| LedgerOp::Dispute(ledger.rows()[at as usize].op));
        self.sign_into(object, op.ok_or(EditFault::Kind)?, Some(reason), env);
        Ok(())
    }

    /// Gives an asset to an account: one that this member holds, or a new one.
    pub fn ledger_assign(
        &mut self,
        object: ObjectIx,
        asset: &str,
        to: AccountId,
        env: &mut Env<'_>,
    ) -> Result<(), EditFault> {
        self.expect_ledger(object)?;
        if asset.len() > limits::NAME_BYTES_MAX {
            return Err(EditFault::TooLarge);
        }
        if !self.is_account(object, &to) {
            return Err(EditFault::Account);
        }
        let id = self.asset_named(asset);
        let ledger = self.ledger(object).ok_or(EditFault::Kind)?;
        if ledger.holder(id).is_some_and(|holder| ledger.owner(&holder) != Some(self.member())) {
            return Err(EditFault::Owner);
        }
        self.names.learn(Sort::Asset, id, asset.as_bytes());
        self.sign_into(object, LedgerOp::Assign(id, to), None, env);
        Ok(())
    }

    /// The changeset in which this member made a payment for a command already; none if it made none for it. Seals the open batch first.
    pub fn ledger_made(
        &mut self,
        object: ObjectIx,
        command: &str,
        (from, to): (AccountId, AccountId),
        amount: &BigInt,
        env: &mut Env<'_>,
    ) -> Result<Option<ChangesetId>, EditFault> {
        self.expect_ledger(object)?;
        self.flush(env);
        let command = name_id(self.identity.keyring().names(), Sort::Command, command.as_bytes());
        let ledger = self.ledger(object).ok_or(EditFault::Kind)?;
        let rows = ledger.entries_for(self.member(), command);
        let mut same = rows.iter().filter(|at| ledger.entry(**at) == (from, to, amount.clone())).peekable();
        // The one that counts before one that was undone, excluded or made twice.
        let first = same.peek().copied();
        match same.find(|at| ledger.rows()[**at as usize].counts).or(first) {
            None if rows.is_empty() => Ok(None),
            None => Err(EditFault::Command),
            Some(at) => {
                let changeset = self.fold.timeline().changeset_of(ledger.rows()[*at as usize].op);
                Ok((changeset != ChangesetIx::OPEN).then(|| self.log.graph().id(changeset)))
            }
        }
    }

    /// The account of a text: the id of a member, `#` and the digits of a name whose clear form is missing, or a name.
    pub fn account_named(&self, text: &str) -> AccountId {
        if let Some(id) = digits::<32>(text) {
            return AccountId::Member(MemberId(id));
        }
        if let Some(id) = text.strip_prefix('#').and_then(digits::<16>) {
            return AccountId::Named(NameId(id));
        }
        AccountId::Named(name_id(self.identity.keyring().names(), Sort::Account, text.as_bytes()))
    }

    /// The asset of a name.
    pub fn asset_named(&self, text: &str) -> NameId {
        let known = text.strip_prefix('#').and_then(digits::<16>).map(NameId);
        known.unwrap_or_else(|| name_id(self.identity.keyring().names(), Sort::Asset, text.as_bytes()))
    }

    /// Whether something can be given to an account: to that of a member of whom something is here, or one that is open.
    pub fn is_account(&self, object: ObjectIx, account: &AccountId) -> bool {
        let Some(ledger) = self.ledger(object) else { return false };
        match account {
            AccountId::Member(member) => ledger.has_account(account) || self.is_member(*member),
            AccountId::Named(_) => ledger.owner(account).is_some(),
        }
    }

    /// The row of an entry: of an op, or of the only one that a changeset has in the ledger.
    pub(super) fn ledger_entry_at(&self, object: ObjectIx, entry: Target) -> Result<u32, EditFault> {
        let ledger = self.ledger(object).ok_or(EditFault::Kind)?;
        let ops = self.target(entry).map_err(|_| EditFault::Entry)?;
        let mut found = ops.filter_map(|op| ledger.entry_of(OpIx(op)));
        let first = found.next().ok_or(EditFault::Entry)?;
        if found.next().is_some() { Err(EditFault::Several) } else { Ok(first) }
    }

    pub(super) fn ledger(&self, object: ObjectIx) -> Option<&Ledger> {
        if let Body::Ledger(ledger) = &self.fold.get(object).body { Some(ledger) } else { None }
    }

    fn expect_ledger(&self, object: ObjectIx) -> Result<(), EditFault> {
        self.expect(object, ObjectKind::Ledger)?;
        self.may_write()
    }

    /// The entries that a word on a subject is about, each with what a member says of it.
    pub(super) fn entries_with(&self, member: MemberId, subject: Subject) -> Vec<(OpIx, Option<bool>)> {
        let (id, index) = match subject {
            Subject::Target(Named::Changeset(id)) => (id, None),
            Subject::Target(Named::Op(id, index)) => (id, Some(index)),
            _ => return Vec::new(),
        };
        let Ok(ops) = self.target(Target { changeset: id, index }) else { return Vec::new() };
        let first = ops.start - index.unwrap_or(0);
        let entries = ops.map(OpIx).filter(|op| self.fold.is_entry(*op));
        entries.map(|op| (op, self.policy.said_of(member, id, op.0 - first))).collect()
    }

    /// Tells of those of which a member says something else now.
    pub(super) fn touch_entries(&mut self, member: MemberId, before: Vec<(OpIx, Option<bool>)>) {
        for (op, then) in before {
            let ix = self.fold.timeline().changeset_of(op);
            let index = op.0 - self.fold.timeline().ops_of(ix).start;
            if self.policy.said_of(member, self.log.graph().id(ix), index) != then {
                self.fold.touch_entry(op);
            }
        }
    }

    /// Tells of entries that do not count, of those that words bear on, and wait for review now and did not before, or the other way.
    pub(super) fn touch_waiting(&mut self, affected: &[Affected], before: &Policy) {
        let waits = |policy: &Policy, ix, op: OpIx| {
            let at = self.authored(ix, self.fold.timeline().stamp(ix).ms);
            let index = op.0 - self.fold.timeline().ops_of(ix).start;
            policy.judge(self.log.graph(), &at, Some(index), &mut |_| {}) == Standing::Waits
        };
        let mut other: Vec<OpIx> = Vec::new();
        for ix in self.reached(affected) {
            let hidden = self.fold.hidden_in(self.fold.timeline().ops_of(ix));
            let entries = hidden.filter(|op| self.fold.is_entry(*op));
            other.extend(entries.filter(|op| waits(before, ix, *op) != waits(&self.policy, ix, *op)));
        }
        other.into_iter().for_each(|op| self.fold.touch_entry(op));
    }

    /// The command of the open batch, and the number of its first op.
    pub(super) fn batch_command(&mut self) -> Option<(NameId, OpIx)> {
        let command = self.batch.command.as_ref()?;
        let id = name_id(self.identity.keyring().names(), Sort::Command, command.as_bytes());
        self.names.learn(Sort::Command, id, command.as_bytes());
        Some((id, self.fold.open_start()))
    }

    fn sign_into(&mut self, object: ObjectIx, op: LedgerOp, memo: Option<Value>, env: &mut Env<'_>) {
        let command = self.batch_command();
        let signed = SignedOp { op, author: self.member(), command };
        let memo = memo.filter(|memo| *memo != Value::Null);
        self.edit(object, Edit::Sign(Box::new(signed), memo), env);
    }
}

fn check_memo(memo: Option<&Value>) -> Result<(), EditFault> {
    let is_large = memo.is_some_and(|memo| memo.to_bytes().len() > MEMO_BYTES_MAX);
    if is_large { Err(EditFault::TooLarge) } else { Ok(()) }
}

/// As many bytes as the hexadecimal digits of a text are, if there are as many.
fn digits<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != 2 * N || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; N];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(bytes)
}
