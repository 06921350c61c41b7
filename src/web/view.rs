//! The replica for JavaScript, fourth part: views. Objects of a view have numbers of their own, good for every method that
//! reads.
use js_sys::Array;
use serde::Serialize;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use super::error::{Code, EdgeError};
use super::output;
use super::policy::policy_error;
use super::replica::{Replica, edit_error, id32, with_env};
use super::value::{field, texts};
use crate::replica::{EditFault, PolicyOf, RestoreFault, Target, ViewFault, ViewFilter, ViewIx, When};
use crate::{ChangesetId, Op, phrase};

type Answer<T> = Result<T, EdgeError>;

#[derive(Serialize)]
struct Named {
    name: String,
    kind: u8,
}

#[wasm_bindgen]
impl Replica {
    /// Makes a view; its number. Of `claimed`, `received` and `past` at most one is there; `ban` are words, and with
    /// `then` the policy is that of the view, not that of today.
    pub fn view(&mut self, query: JsValue) -> Answer<u32> {
        let ms = |name| field(&query, name).as_f64().map(|ms| ms.max(0.0) as u64);
        let when = match (ms("claimed"), ms("received"), field(&query, "past").as_string()) {
            (Some(ms), ..) => When::Claimed(ms),
            (_, Some(ms), _) => When::Received(ms),
            (.., Some(id)) => When::Past(ChangesetId(id32(&id, "when")?)),
            _ => When::Now,
        };
        let targets = |name: &'static str| {
            texts(&query, name)?.iter().map(|written| target(written, name)).collect::<Answer<Vec<Target>>>()
        };
        let (exclude, include) = (targets("exclude")?, targets("include")?);
        let ban = texts(&query, "ban")?;
        let bans = ban.iter().map(|written| match phrase::parse(written) {
            Some(Op::PolicyBan { subject, scope }) => Ok((subject, scope)),
            _ => Err(EdgeError::argument("ban", format!("ban has {written:?}"))),
        });
        let ban = bans.collect::<Answer<Vec<_>>>()?;
        let words: Vec<Op> =
            ban.iter().map(|(subject, scope)| Op::PolicyBan { subject: *subject, scope: *scope }).collect();
        self.core().check_words(&words).map_err(policy_error)?;
        let policy = if field(&query, "then").is_truthy() { PolicyOf::Then } else { PolicyOf::Now };
        let final_only = field(&query, "finalOnly").is_truthy();
        let filter = ViewFilter { when, exclude, include, policy, ban, final_only };
        let view = with_env(|env| self.core_mut().view(&filter, env));
        view.map(|view| view.0).map_err(|fault| view_error(fault, argument_of(fault, &filter)))
    }

    #[wasm_bindgen(js_name = closeView)]
    pub fn close_view(&mut self, view: u32) {
        self.core_mut().close_view(ViewIx(view));
    }

    /// The number under which a view shows an object.
    #[wasm_bindgen(js_name = objectIn)]
    pub fn object_in(&mut self, view: u32, handle: u32) -> Answer<u32> {
        let object = self.object_at(handle)?;
        self.core_mut().object_in(ViewIx(view), object).map(|copy| copy.0).map_err(closed)
    }

    #[wasm_bindgen(js_name = viewHeads)]
    pub fn view_heads(&self, view: u32) -> Answer<Vec<String>> {
        let heads = self.core().view_heads(ViewIx(view)).map_err(closed)?;
        Ok(heads.iter().map(ToString::to_string).collect())
    }

    #[wasm_bindgen(js_name = viewNames)]
    pub fn view_names(&mut self, view: u32) -> Answer<JsValue> {
        let named = self.core_mut().view_names(ViewIx(view)).map_err(closed)?;
        let named = named.into_iter().map(|(name, kind)| Named { name: name.to_string(), kind: kind as u8 });
        serde_wasm_bindgen::to_value(&named.collect::<Vec<_>>())
            .map_err(|error| EdgeError::new(Code::Unsupported, error.to_string()))
    }

    #[wasm_bindgen(js_name = viewStateHash)]
    pub fn view_state_hash(&mut self, view: u32) -> Answer<String> {
        self.core_mut().view_state_hash(ViewIx(view)).map(|hash| hash.to_string()).map_err(closed)
    }

    #[wasm_bindgen(js_name = digestOfView)]
    pub fn digest_of_view(&self, view: u32) -> Answer<String> {
        self.core().digest_of_view(ViewIx(view)).map(|digest| digest.to_string()).map_err(closed)
    }

    /// What turns one view into another, without who did it: nobody did.
    #[wasm_bindgen(js_name = viewDiff)]
    pub fn view_diff(&mut self, from: u32, to: u32) -> Answer<Array> {
        let patches = self.core_mut().view_diff(ViewIx(from), ViewIx(to)).map_err(closed)?;
        Ok(patches.iter().map(|patch| output::patch(patch.object, &patch.body, self.core())).collect())
    }

    /// Edits everything, one object or one key of it to what a view shows. Only inside a transaction.
    pub fn restore(&mut self, view: u32, handle: Option<u32>, key: Option<String>) -> Answer<()> {
        let object = handle.map(|handle| self.object_at(handle)).transpose()?;
        let restored = with_env(|env| self.core_mut().restore(ViewIx(view), object, key.as_deref(), env));
        restored.map_err(|fault| match fault {
            RestoreFault::View(fault) => view_error(fault, "when"),
            RestoreFault::Edit(object, EditFault::Amount | EditFault::Overflow) => {
                let name = self.core().name_of(object).map_or("?", |(name, _)| name);
                EdgeError::argument("when", format!("the counter {name:?} cannot be brought back to it"))
            }
            RestoreFault::Edit(_, fault) => edit_error(fault, "when"),
        })
    }
}

/// A changeset id, or one and the number of an op in it behind a colon.
fn target(written: &str, argument: &'static str) -> Answer<Target> {
    let wrong =
        || EdgeError::argument(argument, format!("{argument} has {written:?}: not an id, nor id:index"));
    let (id, index) = match written.split_once(':') {
        None => (written, None),
        Some((id, index)) if index.bytes().all(|digit| digit.is_ascii_digit()) => {
            (id, Some(index.parse().map_err(|_| wrong())?))
        }
        Some(_) => return Err(wrong()),
    };
    Ok(Target { changeset: ChangesetId(id32(id, argument).map_err(|_| wrong())?), index })
}

/// Which argument named what is not there. They are looked at in this order.
fn argument_of(fault: ViewFault, filter: &ViewFilter) -> &'static str {
    let id = match fault {
        ViewFault::Unknown(id) | ViewFault::Pending(id, _) if filter.when == When::Past(id) => return "when",
        ViewFault::Unknown(id) | ViewFault::Pending(id, _) | ViewFault::Index(id, _) => id,
        ViewFault::Closed => return "when",
    };
    let index = if let ViewFault::Index(_, index) = fault { Some(index) } else { None };
    let names = |target: &Target| target.changeset == id && (index.is_none() || target.index == index);
    if filter.exclude.iter().any(names) { "exclude" } else { "include" }
}

fn view_error(fault: ViewFault, argument: &'static str) -> EdgeError {
    match fault {
        ViewFault::Closed => closed(fault),
        _ => EdgeError::argument(argument, fault.to_string()),
    }
}

fn closed(fault: ViewFault) -> EdgeError {
    EdgeError::new(Code::Closed, fault.to_string())
}
