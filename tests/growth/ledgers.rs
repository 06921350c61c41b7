//! How the work of ledgers grows.

use crate::{Past, chain, constant, grows, linear, log, steps_of};
use stemma::causal::{MemberId, NameId, OpIx};
use stemma::codec::BigInt;
use stemma::crdt::{AccountId, History, Ledger, LedgerOp, SignedOp};

fn member(number: u8) -> AccountId {
    AccountId::Member(MemberId([number; 32]))
}

fn name(number: u32) -> NameId {
    let mut name = [0; 16];
    name[..4].copy_from_slice(&number.to_le_bytes());
    NameId(name)
}

fn sign(ledger: &mut Ledger, past: &impl History, op: u32, author: u8, said: LedgerOp) -> u32 {
    let signed = SignedOp { op: said, author: MemberId([author; 32]), command: None };
    ledger.apply(past, &signed, OpIx(op), true)
}

fn pay(ledger: &mut Ledger, past: &impl History, op: u32) -> u32 {
    let (from, to) = ((op % 7) as u8, ((op / 7 + 1) % 7) as u8);
    let transfer = LedgerOp::Transfer { from: member(from), to: member(to), amount: BigInt::from(1) };
    sign(ledger, past, op, from, transfer)
}

#[test]
fn a_payment_and_its_toggles_are_constant_and_so_is_reading_a_balance() {
    grows(constant, 10_000, |n| {
        let (mut ledger, past) = (Ledger::default(), chain());
        (0..n as u32).for_each(|op| {
            pay(&mut ledger, &past, op);
        });
        steps_of(|| {
            for op in 0..100 {
                pay(&mut ledger, &past, n as u32 + op);
                for on in [false, true] {
                    ledger.set_active(&past, op, on);
                    ledger.settle(&past);
                    ledger.balance(&member(1));
                }
            }
        })
    });
}

#[test]
fn a_ledger_at_half_of_its_history_is_linear() {
    grows(linear, 10_000, |n| {
        let (mut ledger, past) = (Ledger::default(), chain());
        (0..n as u32).for_each(|op| {
            pay(&mut ledger, &past, op);
        });
        let half = |op: OpIx| op.0 < n as u32 / 2;
        steps_of(|| drop(ledger.at(&past, &half, &half)))
    });
}

#[test]
fn a_ban_of_n_rivals_is_linear() {
    grows(linear, 2_000, |n| {
        let (mut ledger, past) = (Ledger::default(), chain());
        let said = |op: u32| match op % 2 {
            0 => LedgerOp::Open(name(0)),
            _ => LedgerOp::Assign(name(1), member(1)),
        };
        (0..n as u32).for_each(|op| {
            sign(&mut ledger, &past, op, 1, said(op));
        });
        steps_of(|| {
            (0..n as u32).for_each(|at| ledger.set_active(&past, at, false));
            ledger.settle(&past);
            (0..n as u32).for_each(|at| ledger.set_active(&past, at, true));
            ledger.settle(&past);
        })
    });
}

#[test]
fn an_asset_that_n_owned_is_passed_on_in_logarithmic_steps() {
    grows(log, 4_000, |n| {
        let (mut ledger, past) = (Ledger::default(), chain());
        let assign =
            |ledger: &mut Ledger, op| sign(ledger, &past, op, 1, LedgerOp::Assign(name(1), member(1)));
        (0..n as u32).for_each(|op| {
            assign(&mut ledger, op);
        });
        steps_of(|| {
            (0..100).for_each(|op| {
                assign(&mut ledger, n as u32 + op);
            })
        })
    });
}

#[test]
fn n_who_open_one_account_apart_are_looked_at_once_for_each_that_comes() {
    grows(linear, 1_000, |n| {
        let past = Past { knows: |_, _| false, key: |changeset: u32| changeset, newest: None };
        let mut ledger = Ledger::default();
        (0..n as u32).for_each(|op| {
            sign(&mut ledger, &past, op, 1, LedgerOp::Open(name(0)));
        });
        steps_of(|| {
            (0..10).for_each(|op| {
                sign(&mut ledger, &past, n as u32 + op, 1, LedgerOp::Open(name(0)));
            })
        })
    });
}
