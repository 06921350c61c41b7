//! The replica for JavaScript: ledgers. Accounts are texts, see `account_named`; entries are arrays, whose order stands in
//! `ts/ledger.ts`.
use js_sys::Array;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use super::error::EdgeError;
use super::replica::{Replica, edit_error, with_env};
use super::value;
use crate::replica::{EditFault, EntryId, EntryStanding, LedgerEntry, Replica as Core, Signature};
use crate::{AccountId, BigInt, Flaw, MemberId, ObjectIx, Target, Value, phrase};

type Answer<T> = Result<T, EdgeError>;

#[wasm_bindgen]
impl Replica {
    /// Whether the account was not open yet.
    #[wasm_bindgen(js_name = ledgerOpen)]
    pub fn ledger_open(&mut self, handle: u32, name: &str) -> Answer<bool> {
        let object = self.object_at(handle)?;
        with_env(|env| self.core_mut().ledger_open(object, name, env))
            .map_err(|fault| edit_error(fault, "account"))
    }

    #[wasm_bindgen(js_name = ledgerTransfer)]
    pub fn ledger_transfer(
        &mut self,
        handle: u32,
        from: &str,
        to: &str,
        amount: &JsValue,
        memo: &JsValue,
    ) -> Answer<()> {
        let (object, ends) = (self.object_at(handle)?, self.ends(handle, from, to)?);
        let (amount, memo) = (money(amount)?, optional(memo, "memo")?);
        with_env(|env| self.core_mut().ledger_transfer(object, ends, &amount, memo, env))
            .map_err(|fault| edit_error(fault, if fault == EditFault::TooLarge { "memo" } else { "from" }))
    }

    /// The changeset of a payment that this member made for a command already; empty if there is none.
    #[wasm_bindgen(js_name = ledgerMade)]
    pub fn ledger_made(
        &mut self,
        handle: u32,
        command: &str,
        from: &str,
        to: &str,
        amount: &JsValue,
    ) -> Answer<String> {
        let (object, ends) = (self.object_at(handle)?, self.ends(handle, from, to)?);
        let amount = money(amount)?;
        let made = with_env(|env| self.core_mut().ledger_made(object, command, ends, &amount, env));
        made.map(|id| id.map_or_else(String::new, |id| id.to_string()))
            .map_err(|fault| edit_error(fault, "command"))
    }

    #[wasm_bindgen(js_name = ledgerReverse)]
    pub fn ledger_reverse(&mut self, handle: u32, entry: &str, memo: &JsValue) -> Answer<()> {
        let (object, entry) = (self.object_at(handle)?, entry_target(entry)?);
        let memo = optional(memo, "memo")?;
        self.sealed_core();
        with_env(|env| self.core_mut().ledger_reverse(object, entry, memo, env))
            .map_err(|fault| edit_error(fault, if fault == EditFault::TooLarge { "memo" } else { "entry" }))
    }

    #[wasm_bindgen(js_name = ledgerDispute)]
    pub fn ledger_dispute(&mut self, handle: u32, entry: &str, reason: &str) -> Answer<()> {
        let (object, entry) = (self.object_at(handle)?, entry_target(entry)?);
        self.sealed_core();
        with_env(|env| self.core_mut().ledger_dispute(object, entry, reason.into(), env))
            .map_err(|fault| edit_error(fault, if fault == EditFault::TooLarge { "reason" } else { "entry" }))
    }

    #[wasm_bindgen(js_name = ledgerAssign)]
    pub fn ledger_assign(&mut self, handle: u32, asset: &str, to: &str) -> Answer<()> {
        let object = self.object_at(handle)?;
        let to = self.known_account(object, to, "to")?;
        with_env(|env| self.core_mut().ledger_assign(object, asset, to, env))
            .map_err(|fault| edit_error(fault, "asset"))
    }

    #[wasm_bindgen(js_name = ledgerBalance)]
    pub fn ledger_balance(&self, handle: u32, account: &str) -> Answer<JsValue> {
        let object = self.object_at(handle)?;
        Ok(amount(self.core().ledger_balance(object, &self.core().account_named(account))))
    }

    /// Each account with its owner, its balance and rival claims.
    #[wasm_bindgen(js_name = ledgerAccounts)]
    pub fn ledger_accounts(&self, handle: u32) -> Answer<Array> {
        let accounts = self.core().ledger_accounts(self.object_at(handle)?);
        let account = |of: &crate::replica::LedgerAccount| {
            row(&[
                self.core().account_text(&of.account).into(),
                of.owner.to_string().into(),
                amount(of.balance),
                members(&of.rivals).into(),
            ])
        };
        Ok(accounts.iter().map(account).collect())
    }

    /// The last entries of an account or of all, by time.
    #[wasm_bindgen(js_name = ledgerEntries)]
    pub fn ledger_entries(&mut self, handle: u32, account: Option<String>, limit: f64) -> Answer<Array> {
        let object = self.object_at(handle)?;
        let core = self.sealed_core();
        let account = account.map(|account| core.account_named(&account));
        let entries = core.ledger_entries(object, account.as_ref(), limit as usize);
        Ok(entries.iter().map(|of| entry(core, of)).collect())
    }

    /// The id of an entry that is named by it, or by the changeset that it is alone in.
    #[wasm_bindgen(js_name = ledgerEntry)]
    pub fn ledger_entry(&mut self, handle: u32, entry: &str) -> Answer<String> {
        let (object, entry) = (self.object_at(handle)?, entry_target(entry)?);
        let found = self.sealed_core().ledger_entry_id(object, entry);
        found.map(id_text).map_err(|fault| edit_error(fault, "entry"))
    }

    /// Each debt: account, owner, amount, what of it is over the limit, the entries that caused it, and how much of each is left.
    #[wasm_bindgen(js_name = ledgerDebts)]
    pub fn ledger_debts(&mut self, handle: u32) -> Answer<Array> {
        let object = self.object_at(handle)?;
        let core = self.sealed_core();
        let debts = core.ledger_debts(object);
        let debt = |of: &crate::replica::Debt| {
            let (ids, left) = (Array::new(), Array::new());
            for (id, lacking) in &of.causes {
                ids.push(&id_text(*id).into());
                left.push(&amount(*lacking));
            }
            row(&[
                core.account_text(&of.account).into(),
                of.owner.to_string().into(),
                amount(of.amount),
                amount(of.over),
                ids.into(),
                left.into(),
            ])
        };
        Ok(debts.iter().map(debt).collect())
    }

    /// Each asset that somebody holds, with the account.
    #[wasm_bindgen(js_name = ledgerAssets)]
    pub fn ledger_assets(&self, handle: u32) -> Answer<Array> {
        let assets = self.core().ledger_assets(self.object_at(handle)?);
        let asset = |(asset, to): &(String, AccountId)| {
            row(&[asset.as_str().into(), self.core().account_text(to).into()])
        };
        Ok(assets.iter().map(asset).collect())
    }

    #[wasm_bindgen(js_name = ledgerHolder)]
    pub fn ledger_holder(&self, handle: u32, asset: &str) -> Answer<Option<String>> {
        let holder = self.core().ledger_holder(self.object_at(handle)?, asset);
        Ok(holder.map(|holder| self.core().account_text(&holder)))
    }

    /// Each claim on an asset: who signed it, to whom, and whether it is a link.
    #[wasm_bindgen(js_name = ledgerAssignments)]
    pub fn ledger_assignments(&mut self, handle: u32, asset: &str) -> Answer<Array> {
        let object = self.object_at(handle)?;
        let core = self.sealed_core();
        let claims = core.ledger_assignments(object, asset);
        let claim = |of: &crate::replica::Assignment| {
            let signed = signature(&of.by);
            signed.push(&core.account_text(&of.to).into());
            signed.push(&of.is_link.into());
            JsValue::from(signed)
        };
        Ok(claims.iter().map(claim).collect())
    }
}

impl Replica {
    fn known_account(&self, object: ObjectIx, text: &str, argument: &'static str) -> Answer<AccountId> {
        let account = self.core().account_named(text);
        let unknown = || edit_error(EditFault::Account, argument);
        self.core().is_account(object, &account).then_some(account).ok_or_else(unknown)
    }

    fn ends(&self, handle: u32, from: &str, to: &str) -> Answer<(AccountId, AccountId)> {
        let object = self.object_at(handle)?;
        let ends = (self.known_account(object, from, "from")?, self.known_account(object, to, "to")?);
        match ends.0 == ends.1 {
            true => Err(edit_error(EditFault::Account, "to")),
            false => Ok(ends),
        }
    }
}

fn money(amount: &JsValue) -> Answer<BigInt> {
    match value::from_js(amount, "amount")? {
        Value::BigInt(amount) => Ok(amount),
        _ => Err(EdgeError::argument("amount", "amount is not a bigint")),
    }
}

fn optional(value: &JsValue, argument: &'static str) -> Answer<Option<Value>> {
    if value.is_undefined() { Ok(None) } else { value::from_js(value, argument).map(Some) }
}

fn amount(amount: i128) -> JsValue {
    value::to_js(&Value::BigInt(BigInt::from(amount)))
}

fn row(fields: &[JsValue]) -> JsValue {
    fields.iter().collect::<Array>().into()
}

/// An op, or all of a changeset.
fn entry_target(entry: &str) -> Answer<crate::replica::Target> {
    let (changeset, index) = match phrase::parse_target(entry) {
        Some(Target::Changeset(changeset)) => (changeset, None),
        Some(Target::Op(changeset, index)) => (changeset, Some(index)),
        None => return Err(edit_error(EditFault::Entry, "entry")),
    };
    Ok(crate::replica::Target { changeset, index })
}

fn members(members: &[MemberId]) -> Array {
    members.iter().map(|member| JsValue::from(member.to_string())).collect()
}

/// The id of an entry; empty while its changeset is not sealed.
fn id_text((changeset, index): EntryId) -> String {
    changeset.map_or_else(String::new, |id| phrase::print_target(&Target::Op(id, index)))
}

fn maybe_id(id: Option<EntryId>) -> JsValue {
    id.map_or(JsValue::UNDEFINED, |id| id_text(id).into())
}

fn signature(by: &Signature) -> Array {
    let status = match by.standing {
        EntryStanding::Counts => "counts",
        EntryStanding::Hidden => "hidden",
        EntryStanding::Waits => "waits",
        EntryStanding::Undone => "undone",
        EntryStanding::Flawed(Flaw::Large) => "overflow",
        EntryStanding::Flawed(Flaw::Closed) => "unopened",
        EntryStanding::Flawed(Flaw::Owner) => "unsigned",
        EntryStanding::Flawed(Flaw::Twice) => "duplicate",
        EntryStanding::Flawed(Flaw::Void) => "void",
    };
    let memo = by.memo.as_ref().map_or(JsValue::UNDEFINED, value::to_js);
    let fields = [
        id_text(by.id).into(),
        by.member.to_string().into(),
        by.actor.to_string().into(),
        (by.time_ms as f64).into(),
        status.into(),
        memo,
    ];
    fields.into_iter().collect()
}

fn entry(core: &Core, of: &LedgerEntry) -> JsValue {
    let fields = signature(&of.by);
    let command = of.command.as_ref().map_or(JsValue::UNDEFINED, |command| (&**command).into());
    let disputes: Array = of.disputes.iter().map(|by| JsValue::from(signature(by))).collect();
    let more = [
        core.account_text(&of.from).into(),
        core.account_text(&of.to).into(),
        value::to_js(&Value::BigInt(of.amount.clone())),
        command,
        maybe_id(of.reverses),
        maybe_id(of.reversed),
        disputes.into(),
        members(&of.support).into(),
        members(&of.oppose).into(),
    ];
    for field in &more {
        fields.push(field);
    }
    fields.into()
}
