//! The ledger of random histories: what is signed into it, and what it should read as.

use crate::ledger::{Account, Reading, Said, Signed};
use crate::reference::OpId;
use crate::rng::Rng;
use crate::{LEDGER, Replica, World};
use std::collections::{BTreeMap, BTreeSet};
use stemma::causal::{MemberId, NameId, OpIx};
use stemma::codec::BigInt;
use stemma::crdt::{AccountId, Ledger, LedgerOp, Part, SignedOp, What};
use stemma::doc::{Body, Edit, ObjectIx};
use stemma::event::{self, ChangesetAt, NameAt, Op, Skeleton, Value};

/// What an application shows of a part: what it stands at, whose it is, who holds it.
pub type Shown = (i128, Option<MemberId>, Option<AccountId>);

pub fn member_id(member: usize) -> MemberId {
    MemberId([member as u8 + 1; 32])
}

fn account_id(account: Account) -> AccountId {
    match account {
        Account::Member(member) => AccountId::Member(member_id(member.into())),
        Account::Named(name) => AccountId::Named(NameId([name; 16])),
    }
}

fn account_of(account: &AccountId) -> Account {
    match account {
        AccountId::Member(member) => Account::Member(member.0[0] - 1),
        AccountId::Named(name) => Account::Named(name.0[0]),
    }
}

fn account(rng: &mut Rng) -> AccountId {
    account_id(match rng.chance(50) {
        true => Account::Member(rng.below(4) as u8),
        false => Account::Named(rng.below(3) as u8),
    })
}

impl Replica {
    pub fn ledger_of(&self, object: ObjectIx) -> &Ledger {
        let Body::Ledger(ledger) = &self.fold.get(object).body else { panic!("a ledger") };
        ledger
    }

    /// Signs anything, also what others alone could.
    pub fn edit_ledger(&mut self, rng: &mut Rng) {
        let object = self.objects[LEDGER];
        let rows = self.ledger_of(object).rows();
        let entries: Vec<(OpIx, bool)> = rows
            .iter()
            .filter(|row| matches!(row.what, What::Transfer { .. } | What::Reverse { .. }))
            .map(|row| (row.op, matches!(row.what, What::Transfer { .. })))
            .collect();
        let transfers: Vec<OpIx> = entries.iter().filter(|entry| entry.1).map(|entry| entry.0).collect();
        let op = match rng.below(10) {
            0 => LedgerOp::Open(NameId([rng.below(3) as u8; 16])),
            1 if !entries.is_empty() => LedgerOp::Dispute(rng.pick(&entries).0),
            2 | 3 if !transfers.is_empty() => LedgerOp::Reverse(*rng.pick(&transfers)),
            4 | 5 => LedgerOp::Assign(NameId([rng.below(2) as u8; 16]), account(rng)),
            _ => {
                let large = if rng.chance(5) { 1 << 95 } else { 0 };
                let amount = BigInt::from(large + 1 + rng.below(30) as i128);
                // Most pay from their own account.
                let own = AccountId::Member(member_id(self.member));
                let from = if rng.chance(60) { own } else { account(rng) };
                LedgerOp::Transfer { from, to: account(rng), amount }
            }
        };
        let memo = (op.takes_content() && rng.chance(30)).then(|| Value::from(rng.below(100) as i32));
        let command = self.command.map(|command| (NameId([command; 16]), self.fold.open_start()));
        let signed = SignedOp { op, author: member_id(self.member), command };
        self.fold.edit(&self.graph, object, Edit::Sign(Box::new(signed), memo));
    }

    /// All parts that read as something.
    pub fn parts_of(&self, object: ObjectIx) -> BTreeMap<Part, Shown> {
        let ledger = self.ledger_of(object);
        let accounts = ledger.accounts().into_iter().map(|(account, ..)| Part::Account(account));
        let assets = ledger.assets().into_iter().map(|(asset, _)| Part::Asset(asset));
        let mut parts: BTreeMap<Part, Shown> =
            accounts.chain(assets).map(|part| (part, self.part_of(object, &part))).collect();
        parts.retain(|_, shown| is_shown(shown));
        parts
    }

    pub fn part_of(&self, object: ObjectIx, part: &Part) -> Shown {
        let ledger = self.ledger_of(object);
        match part {
            Part::Account(account) => {
                let owner = ledger.owner(account).filter(|_| matches!(account, AccountId::Named(_)));
                (ledger.balance(account), owner, None)
            }
            Part::Asset(asset) => (0, None, ledger.holder(*asset)),
            Part::Command(..) => panic!("nobody is told of commands"),
        }
    }

    /// A ledger against what the model makes of ops that count.
    pub fn check_ledger(&self, world: &World, object: ObjectIx, counting: &BTreeSet<OpId>) {
        let (ledger, reading) = (self.ledger_of(object), world.ledger.read(&world.model, counting));
        for (row, at) in ledger.rows().iter().zip(0..) {
            let op = self.global(row.op);
            assert_eq!(row.active, counting.contains(&op));
            assert_eq!(row.counts, reading.counting.contains(&op), "{op:?} {:?}", world.ledger.signed[&op]);
            if let What::Transfer { .. } | What::Reverse { .. } = row.what {
                assert_eq!(row.active && ledger.why_not(at).is_none(), row.counts);
            }
            if row.op.0 < self.fold.timeline().next_op() && self.is_present(op.0) {
                let sent = &world.sent[op.0];
                let (_, values) = sent.content.by_op(&sent.skeleton.ops).nth(op.1).expect("it is there");
                let memo = values.first().filter(|value| **value != Value::Null);
                assert_eq!(self.fold.written(row.op).and_then(|written| written.value()), memo);
            }
        }
        assert_eq!(self.parts_of(object), parts(&reading));
        for (asset, chain) in &reading.chains {
            let links = ledger.links(NameId([*asset; 16])).into_iter().filter(|(.., is_link)| *is_link);
            let links: Vec<OpId> = links.map(|(at, ..)| self.global(ledger.rows()[at as usize].op)).collect();
            assert_eq!(&links, chain);
        }
    }
}

pub fn is_shown(shown: &Shown) -> bool {
    *shown != (0, None, None)
}

/// What a reading shows, by part.
pub fn parts(reading: &Reading) -> BTreeMap<Part, Shown> {
    let mut parts: BTreeMap<Part, Shown> = BTreeMap::new();
    for (account, balance) in &reading.balances {
        parts.entry(Part::Account(account_id(*account))).or_default().0 = *balance;
    }
    for (name, owner) in &reading.owners {
        parts.entry(Part::Account(account_id(Account::Named(*name)))).or_default().1 =
            Some(member_id(usize::from(*owner)));
    }
    for (asset, holder) in &reading.holders {
        parts.entry(Part::Asset(NameId([*asset; 16]))).or_default().2 = Some(account_id(*holder));
    }
    parts
}

/// What an op says, in the terms of the model. `number` is that of its changeset, `begun` that of the first of its transaction.
pub fn to_model(
    op: &Op,
    skeleton: &Skeleton,
    refs: &[usize],
    (member, number, begun): (usize, usize, usize),
) -> Option<Signed> {
    let name = |at: &NameAt| skeleton.names[at.0 as usize].0[0];
    let account = |account: &event::Account| match account {
        event::Account::Member(member) => account_of(&AccountId::Member(*member)),
        event::Account::Named(at) => Account::Named(name(at)),
    };
    let entry = |at: &ChangesetAt, op: u32| match at.0 {
        0 => (number, op as usize),
        nth => (refs[nth as usize - 1], op as usize),
    };
    let said = match op {
        Op::LedgerOpen { account, .. } => Said::Open(name(account)),
        Op::LedgerTransfer { from, to, amount, .. } => {
            let amount = amount.to_i128().filter(|amount| *amount < 1 << 95);
            Said::Transfer(account(from), account(to), amount)
        }
        Op::LedgerReverse { changeset, op, .. } => Said::Reverse(entry(changeset, *op)),
        Op::LedgerDispute { changeset, op, .. } => Said::Dispute(entry(changeset, *op)),
        Op::LedgerAssign { asset, to, .. } => Said::Assign(name(asset), account(to)),
        _ => return None,
    };
    let command = skeleton.command.map(|NameId(bytes)| (bytes[0], begun));
    Some(Signed { author: member as u8, command, said })
}
