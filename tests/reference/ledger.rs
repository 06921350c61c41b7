//! The naive model of a ledger: a list of what was signed. Whose an account is, which of rivals counts and what everything comes to
//! is found by the definition (docs/format.md §5) each time.
#![allow(dead_code)]

use super::reference::{Model, OpId};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Account {
    Member(u8),
    Named(u8),
}

#[derive(Clone, Debug, PartialEq)]
pub enum Said {
    Open(u8),
    /// None: more than is counted.
    Transfer(Account, Account, Option<i128>),
    Reverse(OpId),
    Dispute(OpId),
    Assign(u8, Account),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Signed {
    pub author: u8,
    /// The command, and the first changeset of the transaction.
    pub command: Option<(u8, usize)>,
    pub said: Said,
}

/// What a ledger reads as.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reading {
    pub owners: BTreeMap<u8, u8>,
    pub balances: BTreeMap<Account, i128>,
    pub counting: BTreeSet<OpId>,
    pub chains: BTreeMap<u8, Vec<OpId>>,
    pub holders: BTreeMap<u8, Account>,
}

#[derive(Clone, Debug, Default)]
pub struct Ledger {
    pub signed: BTreeMap<OpId, Signed>,
}

/// The causally first; of concurrent ones that of the changeset with the smallest id.
fn first(model: &Model, claims: &[OpId]) -> Option<OpId> {
    let has_earlier = |claim: &OpId| claims.iter().any(|other| other != claim && model.knew(*claim, *other));
    let firsts = claims.iter().filter(|claim| !has_earlier(claim));
    firsts.min_by_key(|(changeset, index)| (model.changesets[*changeset].id, *index)).copied()
}

impl Ledger {
    pub fn read(&self, model: &Model, counting: &BTreeSet<OpId>) -> Reading {
        let active: Vec<(OpId, &Signed)> = self
            .signed
            .iter()
            .filter(|(op, _)| counting.contains(op))
            .map(|(op, signed)| (*op, signed))
            .collect();
        let all = |is: &dyn Fn(&Signed) -> bool| -> Vec<OpId> {
            active.iter().filter(|(_, signed)| is(signed)).map(|(op, _)| *op).collect()
        };
        let owner = |account: Account| match account {
            Account::Member(member) => Some(member),
            Account::Named(name) => first(model, &all(&|signed| signed.said == Said::Open(name)))
                .map(|op| self.signed[&op].author),
        };
        let is_run = |signed: &Signed| -> bool {
            let Some((command, head)) = signed.command else { return true };
            let of_command = active.iter().filter(|(_, other)| {
                matches!(other.said, Said::Transfer(..))
                    && other.author == signed.author
                    && other.command.is_some_and(|(of, _)| of == command)
            });
            let heads: BTreeSet<OpId> =
                of_command.map(|(_, other)| (other.command.expect("it has one").1, 0)).collect();
            first(model, &heads.into_iter().collect::<Vec<_>>()) == Some((head, 0))
        };
        let mut reading = Reading::default();
        let mut moves: Vec<(Account, Account, i128)> = Vec::new();
        for (op, signed) in &active {
            let Said::Transfer(from, to, Some(amount)) = signed.said else { continue };
            if owner(from) == Some(signed.author) && owner(to).is_some() && is_run(signed) {
                reading.counting.insert(*op);
                moves.push((from, to, amount));
            }
        }
        for (op, signed) in &active {
            let Said::Reverse(of) = signed.said else { continue };
            let Said::Transfer(from, to, Some(amount)) = self.signed[&of].said else { continue };
            let is_first = first(model, &all(&|other| other.said == Said::Reverse(of))) == Some(*op);
            if reading.counting.contains(&of) && owner(to) == Some(signed.author) && is_first {
                reading.counting.insert(*op);
                moves.push((to, from, amount));
            }
        }
        for (from, to, amount) in moves {
            *reading.balances.entry(from).or_default() -= amount;
            *reading.balances.entry(to).or_default() += amount;
        }
        reading.balances.retain(|_, balance| *balance != 0);
        for (_, signed) in &active {
            match signed.said {
                Said::Open(name) => {
                    reading.owners.extend(owner(Account::Named(name)).map(|owner| (name, owner)));
                }
                Said::Assign(asset, _) if !reading.chains.contains_key(&asset) => {
                    let chain = self.chain(model, &active, asset, &owner);
                    if let Some(last) = chain.last() {
                        let Said::Assign(_, holder) = self.signed[last].said else {
                            unreachable!("an assign")
                        };
                        reading.holders.insert(asset, holder);
                    }
                    reading.chains.insert(asset, chain);
                }
                _ => {}
            }
        }
        reading
    }

    fn chain(
        &self,
        model: &Model,
        active: &[(OpId, &Signed)],
        asset: u8,
        owner: &dyn Fn(Account) -> Option<u8>,
    ) -> Vec<OpId> {
        let mut chain: Vec<OpId> = Vec::new();
        loop {
            let mut next: Vec<OpId> = Vec::new();
            for (op, signed) in active {
                let Said::Assign(of, to) = signed.said else { continue };
                let may = match chain.last() {
                    None => true,
                    Some(last) => {
                        let Said::Assign(_, holder) = self.signed[last].said else {
                            unreachable!("an assign")
                        };
                        model.knew(*op, *last) && owner(holder) == Some(signed.author)
                    }
                };
                if of == asset && owner(to).is_some() && may {
                    next.push(*op);
                }
            }
            match first(model, &next) {
                Some(link) => chain.push(link),
                None => return chain,
            }
        }
    }
}
