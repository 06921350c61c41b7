//! A ledger in a snapshot: what counts is kept, so that nothing has to be decided anew.

use super::command::Command;
use super::first::First;
use super::ledger::{Account, Ledger, NONE, Notes, Row, What};
use super::title::Title;
use super::{AccountId, Part};
use crate::causal::{MemberId, NameId, OpIx};
use crate::codec::{BigInt, DecodeError, Reader, Saved, Writer, saved};

impl Saved for AccountId {
    fn save(&self, out: &mut Writer) {
        match self {
            Self::Member(member) => member.save(out.u8(0)),
            Self::Named(name) => name.save(out.u8(1)),
        }
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(if bool::load(from)? {
            Self::Named(NameId::load(from)?)
        } else {
            Self::Member(MemberId::load(from)?)
        })
    }
}

impl Saved for Ledger {
    fn save(&self, out: &mut Writer) {
        debug_assert!(self.unsettled.rows.is_empty(), "toggles are settled before saving");
        out.varint(self.accounts.len() as u64);
        for account in &self.accounts {
            account.id.save(out);
            account.opens.save(out);
        }
        out.varint(self.commands.len() as u64);
        for command in &self.commands {
            command.author.save(out);
            command.name.save(out);
            command.firsts.save(out);
        }
        out.varint(self.assets.len() as u64);
        for asset in &self.assets {
            asset.name.save(out);
            out.varint(asset.links.len() as u64);
            asset.links.iter().for_each(|rivals| saved::save_steps(out, rivals.iter().map(|op| op.0)));
        }
        out.varint(self.notes.len() as u64);
        self.notes.iter().for_each(|notes| notes.reverses.save(out));
        saved::save_steps(out, self.rows.iter().map(|row| row.op.0));
        for row in &self.rows {
            row.save_what(out);
        }
        out.varint(self.large.len() as u64);
        for (at, amount) in &self.large {
            at.save(out);
            amount.encode(out);
        }
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut ledger = Self::default();
        for at in 0..from.count("accounts", u32::MAX as usize, 19)? as u32 {
            let (id, opens) = (AccountId::load(from)?, First::load(from)?);
            ledger.index.insert(Part::Account(id), at);
            ledger.accounts.push(Account { id, owner: NONE, opens, balance: 0, rows: Vec::new() });
        }
        for at in 0..from.count("commands", u32::MAX as usize, 50)? as u32 {
            let (author, name) = (MemberId::load(from)?, NameId::load(from)?);
            ledger.index.insert(Part::Command(author, name), at);
            ledger.commands.push(Command::saved(author, name, First::load(from)?));
        }
        for at in 0..from.count("assets", u32::MAX as usize, 17)? as u32 {
            let mut asset = Title::new(NameId::load(from)?);
            ledger.index.insert(Part::Asset(asset.name), at);
            let link = |from: &mut Reader<'_>| Ok(saved::load_steps(from)?.into_iter().map(OpIx).collect());
            asset.links = saved::load_list(from, link)?;
            ledger.assets.push(asset);
        }
        let tables = ledger.accounts.len() + ledger.commands.len() + ledger.assets.len();
        saved::check(ledger.index.len() == tables, from, "ledger", "each part is there once")?;
        let notes = |from: &mut Reader<'_>| Ok(Notes { rows: Vec::new(), reverses: First::load(from)? });
        ledger.notes = saved::load_list(from, notes)?;
        for op in saved::load_rising(from)? {
            let fits = ledger.load_row(OpIx(op), from)?;
            saved::check(fits, from, "ledger", "rows refer to what is there")?;
        }
        for _ in 0..from.count("amounts", u32::MAX as usize, 2)? {
            ledger.large.push((u32::load(from)?, BigInt::decode(from, "amount")?));
        }
        let fits =
            ledger.large.is_sorted_by(|a, b| a.0 < b.0) && ledger.links_exist() && ledger.find_owners();
        saved::check(fits, from, "ledger", "what counts is there")?;
        Ok(ledger)
    }
}

impl Row {
    fn save_what(&self, out: &mut Writer) {
        let (kind, [first, second]) = match self.what {
            What::Open { account } => (0, [account, 0]),
            What::Transfer { from, to, .. } => (1, [from, to]),
            What::Reverse { of } => (2, [of, 0]),
            What::Dispute { of } => (3, [of, 0]),
            What::Assign { asset, to } => (4, [asset, to]),
        };
        out.u8(kind << 2 | u8::from(self.active) << 1 | u8::from(self.counts));
        [self.author, first, second].iter().for_each(|number| number.save(out));
        if let What::Transfer { amount, command, head, notes, .. } = self.what {
            BigInt::from(amount).encode(out);
            command.wrapping_add(1).save(out);
            if command != NONE {
                head.0.save(out);
            }
            notes.wrapping_add(1).save(out);
        }
    }
}

impl Ledger {
    /// Adds a saved row; whether it fits to those before.
    fn load_row(&mut self, op: OpIx, from: &mut Reader<'_>) -> Result<bool, DecodeError> {
        let flags = from.u8("row")?;
        let (active, counts) = (flags & 2 != 0, flags & 1 != 0);
        let [author, first, second] = [u32::load(from)?, u32::load(from)?, u32::load(from)?];
        let at = self.rows.len() as u32;
        let account = |account: u32| (account as usize) < self.accounts.len();
        let is_transfer = |of: u32| matches!(self.rows.get(of as usize), Some(Row { what: What::Transfer { notes, .. }, .. }) if *notes != NONE);
        let is_author = self.accounts.get(author as usize);
        if !is_author.is_some_and(|author| matches!(author.id, AccountId::Member(_))) {
            return Ok(false);
        }
        let (what, ends) = match flags >> 2 {
            0 if account(first) => (What::Open { account: first }, None),
            1 if account(first) && account(second) => {
                let amount = BigInt::decode(from, "amount")?.to_i128().unwrap_or(0);
                let command = u32::load(from)?.wrapping_sub(1);
                let head = if command == NONE { op } else { OpIx(u32::load(from)?) };
                let notes = u32::load(from)?.wrapping_sub(1);
                let is_noted = notes == NONE || (notes as usize) < self.notes.len();
                let is_sound = (0..crate::event::MONEY_END).contains(&amount) && is_noted;
                if !is_sound || command != NONE && !self.load_run(command, at, head, active) {
                    return Ok(false);
                }
                (
                    What::Transfer { from: first, to: second, amount, command, head, notes },
                    Some([first, second]),
                )
            }
            2 if is_transfer(first) => {
                self.notes[self.rows[first as usize].notes() as usize].rows.push(at);
                (What::Reverse { of: first }, Some(self.ends_of(first)))
            }
            3 if self.rows.get(first as usize).is_some_and(|row| {
                !matches!(row.what, What::Open { .. } | What::Assign { .. } | What::Dispute { .. })
            }) =>
            {
                let of = self.transfer_of(first);
                if !is_transfer(of) {
                    return Ok(false);
                }
                self.notes[self.rows[of as usize].notes() as usize].rows.push(at);
                (What::Dispute { of: first }, None)
            }
            4 if account(second) && (first as usize) < self.assets.len() => {
                self.assets[first as usize].rows.push(at);
                (What::Assign { asset: first, to: second }, Some([second, second]))
            }
            _ => return Ok(false),
        };
        self.rows.push(Row { op, author, active, counts: false, what });
        if let Some([from, to]) = ends {
            self.accounts[from as usize].rows.push(at);
            if from != to {
                self.accounts[to as usize].rows.push(at);
            }
        }
        let moves = matches!(what, What::Transfer { .. } | What::Reverse { .. });
        if counts && moves {
            self.flip(at, true);
        }
        Ok(active || !counts)
    }

    fn load_run(&mut self, command: u32, at: u32, head: OpIx, active: bool) -> bool {
        let command = self.commands.get_mut(command as usize);
        command.map(|command| command.enter_saved(at, head, active)).is_some()
    }

    /// Whether the links of assets are assigns, one at least in each.
    fn links_exist(&self) -> bool {
        let is_assign = |op: &OpIx| {
            self.row_of(*op).is_some_and(|at| matches!(self.rows[at as usize].what, What::Assign { .. }))
        };
        let mut links = self.assets.iter().flat_map(|asset| &asset.links);
        links.all(|rivals| !rivals.is_empty() && rivals.iter().all(is_assign))
    }

    /// Finds whose the accounts are; whether those who opened them did.
    fn find_owners(&mut self) -> bool {
        self.touched.clear();
        for at in 0..self.accounts.len() {
            self.accounts[at].owner = match (self.accounts[at].id, self.accounts[at].opens.first()) {
                (AccountId::Member(_), _) => at as u32,
                (AccountId::Named(_), None) => NONE,
                (AccountId::Named(_), Some(op)) => match self.row_of(op) {
                    Some(row) => self.rows[row as usize].author,
                    None => return false,
                },
            };
        }
        true
    }
}
