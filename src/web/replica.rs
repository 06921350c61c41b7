//! The replica for JavaScript. Everything is synchronous, plain values go in and out, no JavaScript function is called; the
//! shapes and the manual are in `ts/replica.ts`.
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use js_sys::{Array, Date, Uint8Array};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};

use super::error::{Code, EdgeError};
use super::packed::Packed;
use super::{options, output, random, value};
use crate::ChangesetId;
use crate::ObjectIx;
use crate::replica::{
    DraftFault, EditFault, Env, IdentityError, Mark, Output, Replica as Core, Settings, Shown, Tier,
    TransactFault,
};
use crate::{Bias, Text};
use crate::{Invite, ObjectKind, Role};

type Answer<T> = Result<T, EdgeError>;

thread_local! {
    /// The changeset that was being integrated last, readable after a trap too.
    static WORKING: RefCell<Rc<Cell<Option<ChangesetId>>>> = RefCell::default();
}

/// Hex id of the changeset that was being integrated when the engine trapped, or an empty string.
#[wasm_bindgen]
pub fn working() -> String {
    WORKING.with_borrow(|working| working.get().map_or_else(String::new, |id| id.to_string()))
}

#[wasm_bindgen]
pub struct Replica {
    pub(super) core: Core,
    marks: Vec<Mark>,
    /// What the last invite says about where the space is.
    relay_hints: Vec<String>,
    /// When the open batch was begun.
    batch_ms: u64,
    pub(super) packed: Packed,
}

/// Calls the core with the time and the platform's randomness.
pub(super) fn with_env<T>(call: impl FnOnce(&mut Env<'_>) -> T) -> T {
    with_env_at(now_ms(), call)
}

pub(super) fn with_env_at<T>(now_ms: u64, call: impl FnOnce(&mut Env<'_>) -> T) -> T {
    call(&mut Env { now_ms, random: &mut random::fill })
}

fn now_ms() -> u64 {
    Date::now().max(0.0) as u64
}

impl Replica {
    fn around(core: Core) -> Self {
        WORKING.with_borrow_mut(|working| *working = core.working());
        Self::beside(core)
    }

    /// One that only reads: whatever traps there, nothing is integrated.
    pub(super) fn beside(core: Core) -> Self {
        Self { core, marks: Vec::new(), relay_hints: Vec::new(), batch_ms: 0, packed: Packed::default() }
    }

    /// Calls the core for an edit. In an open batch the time is that of its beginning: asking the platform for it costs
    /// a fifth of typing a letter.
    pub(super) fn edit<T>(&mut self, call: impl FnOnce(&mut Core, &mut Env<'_>) -> T) -> T {
        if self.core.open_edits() == 0 {
            self.batch_ms = now_ms();
        }
        with_env_at(self.batch_ms, |env| call(&mut self.core, env))
    }

    /// When the open batch was begun: at this time, if none is open yet.
    pub(super) fn batch_begun(&mut self, now_ms: u64) -> u64 {
        if self.core.open_edits() == 0 {
            self.batch_ms = now_ms;
        }
        self.batch_ms
    }

    /// Opens a transaction of which nothing is to be said in the history.
    pub(super) fn begin(&mut self, env: &mut Env<'_>) {
        self.marks.clear();
        let begun = self.core.begin_transact(None, None, None, env);
        begun.expect("a message that is not there is not too large");
    }

    pub(super) fn core(&self) -> &Core {
        &self.core
    }

    /// The core with nothing closed left to be sealed: for whatever asks about changesets.
    pub(super) fn sealed_core(&mut self) -> &mut Core {
        with_env(|env| self.core.seal_closed(env));
        &mut self.core
    }

    pub(super) fn core_mut(&mut self) -> &mut Core {
        &mut self.core
    }

    pub(super) fn object_at(&self, handle: u32) -> Answer<ObjectIx> {
        let object = ObjectIx(handle);
        let unknown = || match object.is_copy() {
            true => EdgeError::new(Code::Closed, "the view is closed"),
            false => EdgeError::argument("object", format!("no object {handle}")),
        };
        self.core.has_object(object).then_some(object).ok_or_else(unknown)
    }

    fn text(&self, handle: u32) -> Answer<&Text> {
        let object = self.object_at(handle)?;
        self.core.text(object).ok_or_else(|| EdgeError::argument("object", "not a text"))
    }
}

#[wasm_bindgen]
impl Replica {
    pub fn create(batch_ms: Option<f64>) -> Replica {
        with_env(|env| Replica::around(Core::create(settings(batch_ms), env)))
    }

    pub fn join(token: &str, batch_ms: Option<f64>) -> Answer<Replica> {
        let invite = invite(token)?;
        let mut replica = with_env(|env| Replica::around(Core::join(&invite, settings(batch_ms), env)));
        replica.relay_hints = invite.relays().to_vec();
        Ok(replica)
    }

    pub fn open(meta: &Array, keys: &Array, actors: &Array, batch_ms: Option<f64>) -> Answer<Replica> {
        let (meta, keys, actors) =
            (records(meta, "meta")?, records(keys, "keys")?, records(actors, "actors")?);
        Core::open(&meta, &keys, &actors, settings(batch_ms)).map(Replica::around).map_err(
            |error| match error {
                IdentityError::Missing(_) => EdgeError::new(Code::KeyMissing, error.to_string()),
                _ => EdgeError::new(Code::StorageLost, error.to_string()),
            },
        )
    }

    pub fn rejoin(&mut self, token: &str) -> Answer<()> {
        let invite = invite(token)?;
        let other = |_| EdgeError::new(Code::Invite, "the invite is for another space");
        with_env(|env| self.core.rejoin(&invite, env)).map_err(other)?;
        self.relay_hints = invite.relays().to_vec();
        Ok(())
    }

    /// The relays that the invite named.
    #[wasm_bindgen(js_name = relayHints)]
    pub fn relay_hints(&self) -> Vec<String> {
        self.relay_hints.clone()
    }

    #[wasm_bindgen(js_name = loadTail)]
    pub fn load_tail(&mut self, records: &Array) -> Answer<()> {
        each_row(records, |record| self.core.load_tail(record))
    }

    /// Integrates a slice of what was loaded; whether there is more.
    #[wasm_bindgen(js_name = finishLoad)]
    pub fn finish_load(&mut self) -> bool {
        with_env(|env| self.core.finish_load(env))
    }

    pub fn quarantine(&mut self, id: &str) -> Answer<()> {
        self.core.quarantine(changeset(id)?);
        Ok(())
    }

    #[wasm_bindgen(js_name = actorCandidates)]
    pub fn actor_candidates(&self) -> Vec<String> {
        self.core.actor_candidates().iter().map(ToString::to_string).collect()
    }

    #[wasm_bindgen(js_name = useActor)]
    pub fn use_actor(&mut self, actor: &str) -> Answer<()> {
        let actor = crate::ActorId(id32(actor, "actor")?);
        with_env(|env| self.core.use_actor(actor, env));
        Ok(())
    }

    /// What is to be stored before the actor signs anything, and why a draft was not sealed.
    #[wasm_bindgen(js_name = takeUpDraft)]
    pub fn take_up_draft(&mut self, actor: &str, record: &[u8]) -> Answer<JsValue> {
        let actor = crate::ActorId(id32(actor, "actor")?);
        let taken = with_env(|env| self.core.take_up_draft(actor, record, env));
        let code = |fault| match fault {
            DraftFault::Newer => "E_STORAGE_NEWER",
            DraftFault::Damaged | DraftFault::Past | DraftFault::GoneOn => "E_STORAGE_LOST",
        };
        let mut fields = Vec::new();
        if !taken.batch.is_empty() {
            fields.push(("batch", output::batch_to_js(&taken.batch)));
        }
        if let Some(fault) = taken.fault {
            fields.push(("code", code(fault).into()));
            fields.push(("message", fault.to_string().into()));
        }
        Ok(output::object(&fields))
    }

    #[wasm_bindgen(js_name = newActor)]
    pub fn new_actor(&mut self, durable: bool) -> String {
        with_env(|env| self.core.new_actor(durable, env)).to_string()
    }

    /// The number of an object; `asked` if the application asked for it by name, so that the name stands for it alone.
    pub fn object(&mut self, name: &str, kind: u8, options: JsValue, asked: bool) -> Answer<u32> {
        let kind = ObjectKind::from_code(kind).ok_or_else(|| EdgeError::argument("kind", "unknown kind"))?;
        let options = options::from_js(options)?;
        let object = match asked {
            true => self.core.object_with(name, kind, &options),
            false => self.core.object_like(name, kind, &options),
        };
        object.map(|object| object.0).map_err(|fault| edit_error(fault, "name"))
    }

    #[wasm_bindgen(js_name = textInsert)]
    pub fn text_insert(&mut self, handle: u32, position: f64, string: &str) -> Answer<()> {
        let (object, position) = (self.object_at(handle)?, unit(position, "index")?);
        self.edit(|core, env| core.text_insert(object, position, string, env))
            .map_err(|fault| edit_error(fault, "index"))
    }

    #[wasm_bindgen(js_name = textDelete)]
    pub fn text_delete(&mut self, handle: u32, position: f64, len: f64) -> Answer<()> {
        let (object, position, len) =
            (self.object_at(handle)?, unit(position, "index")?, unit(len, "length")?);
        self.edit(|core, env| core.text_delete(object, position, len, env))
            .map_err(|fault| edit_error(fault, "index"))
    }

    #[wasm_bindgen(js_name = textLength)]
    pub fn text_length(&self, handle: u32) -> Answer<u32> {
        self.text(handle).map(Text::len)
    }

    #[wasm_bindgen(js_name = textString)]
    pub fn text_string(&self, handle: u32) -> Answer<String> {
        self.text(handle).map(Text::string)
    }

    #[wasm_bindgen(js_name = textSlice)]
    pub fn text_slice(&self, handle: u32, from: f64, to: f64) -> Answer<String> {
        let range = unit(from, "from")?..unit(to, "to")?;
        self.text(handle)?.slice(range).map_err(|error| EdgeError::argument("to", error.to_string()))
    }

    #[wasm_bindgen(js_name = textAnchor)]
    pub fn text_anchor(&mut self, handle: u32, position: f64, bias: i32) -> Answer<Vec<u8>> {
        let (object, position) = (self.object_at(handle)?, unit(position, "index")?);
        let bias = if bias < 0 { Bias::After } else { Bias::Before };
        let none = || EdgeError::argument("index", "outside the text, or beside text of an open transaction");
        with_env(|env| self.core.text_anchor(object, position, bias, env)).ok_or_else(none)
    }

    #[wasm_bindgen(js_name = textPosition)]
    pub fn text_position(&self, handle: u32, anchor: &[u8]) -> Answer<u32> {
        let unknown = || EdgeError::argument("anchor", "not an anchor of this text");
        self.core.text_position(self.object_at(handle)?, anchor).ok_or_else(unknown)
    }

    #[wasm_bindgen(js_name = textAuthors)]
    pub fn text_authors(&self, handle: u32) -> Answer<Array> {
        let object = self.object_at(handle)?;
        let runs = self.core.text_authors(object);
        Ok(runs
            .iter()
            .map(|(member, actor, length)| {
                output::object(&[
                    ("member", member.to_string().into()),
                    ("actor", actor.to_string().into()),
                    ("length", (*length).into()),
                ])
            })
            .collect())
    }

    #[wasm_bindgen(js_name = mapSet)]
    pub fn map_set(&mut self, handle: u32, key: &str, value: &JsValue) -> Answer<()> {
        let (object, value) = (self.object_at(handle)?, value::from_js(value, "value")?);
        self.edit(|core, env| core.map_set(object, key, value, env))
            .map_err(|fault| edit_error(fault, "value"))
    }

    #[wasm_bindgen(js_name = mapDelete)]
    pub fn map_delete(&mut self, handle: u32, key: &str) -> Answer<bool> {
        let object = self.object_at(handle)?;
        self.edit(|core, env| core.map_delete(object, key, env)).map_err(|fault| edit_error(fault, "key"))
    }

    #[wasm_bindgen(js_name = mapGet)]
    pub fn map_get(&mut self, handle: u32, key: &str) -> Answer<JsValue> {
        let object = self.object_at(handle)?;
        Ok(match self.core.map_shown(object, key) {
            None => JsValue::UNDEFINED,
            Some(Shown::Value(value)) => value::to_js(value),
            Some(Shown::Child(child)) => output::child(child),
        })
    }

    #[wasm_bindgen(js_name = mapHas)]
    pub fn map_has(&self, handle: u32, key: &str) -> Answer<bool> {
        Ok(self.core.map_has(self.object_at(handle)?, key))
    }

    #[wasm_bindgen(js_name = mapKeys)]
    pub fn map_keys(&self, handle: u32) -> Answer<Vec<String>> {
        Ok(self.core.map_keys(self.object_at(handle)?).iter().map(ToString::to_string).collect())
    }

    #[wasm_bindgen(js_name = mapSize)]
    pub fn map_size(&self, handle: u32) -> Answer<u32> {
        Ok(self.core.map_size(self.object_at(handle)?) as u32)
    }

    #[wasm_bindgen(js_name = mapConflicts)]
    pub fn map_conflicts(&mut self, handle: u32, key: &str) -> Answer<Array> {
        let object = self.object_at(handle)?;
        let rivals = self.core.map_rivals(object, key).into_iter().map(|rival| match rival {
            Shown::Value(value) => Ok(value::to_js(value)),
            Shown::Child(child) => Err(child),
        });
        let rivals: Vec<Result<JsValue, ObjectIx>> = rivals.collect();
        Ok(rivals.into_iter().map(|rival| rival.unwrap_or_else(output::child)).collect())
    }

    #[wasm_bindgen(js_name = mapHistory)]
    pub fn map_history(&mut self, handle: u32, key: &str) -> Answer<Array> {
        let object = self.object_at(handle)?;
        let writes = self.sealed_core().map_history(object, key);
        Ok(writes
            .into_iter()
            .map(|write| {
                let mut fields = vec![
                    ("changeset", write.changeset.map_or_else(String::new, |id| id.to_string()).into()),
                    ("member", write.member.to_string().into()),
                    ("actor", write.actor.to_string().into()),
                    ("time", (write.time_ms as f64).into()),
                    ("deleted", write.deleted.into()),
                    ("live", write.live.into()),
                ];
                fields.extend(write.value.as_ref().map(|value| ("value", value::to_js(value))));
                fields.extend(write.child.map(|kind| ("child", JsValue::from(kind as u8))));
                output::object(&fields)
            })
            .collect())
    }

    pub fn mark(&mut self) -> u32 {
        self.marks.push(self.core.mark());
        self.marks.len() as u32 - 1
    }

    /// Goes back to a mark and forgets it and those made after it.
    pub fn rollback(&mut self, mark: u32) -> Answer<()> {
        let unknown = || EdgeError::argument("mark", "no such mark");
        let at = self.marks.get(mark as usize).cloned().ok_or_else(unknown)?;
        self.marks.truncate(mark as usize);
        self.core.rollback(&at);
        Ok(())
    }

    #[wasm_bindgen(js_name = beginTransact)]
    pub fn begin_transact(
        &mut self,
        message: Option<String>,
        headers: &JsValue,
        command: Option<String>,
        disclosable: bool,
    ) -> Answer<()> {
        let headers = if headers.is_undefined() { None } else { Some(value::from_js(headers, "headers")?) };
        self.marks.clear();
        with_env(|env| self.core.begin_transact(message, headers, command, env)).map_err(transact_error)?;
        if disclosable {
            self.core.make_disclosable();
        }
        Ok(())
    }

    /// Whether anything was edited.
    #[wasm_bindgen(js_name = closeTransact)]
    pub fn close_transact(&mut self) -> bool {
        self.marks.clear();
        with_env(|env| self.core.close_transact(env))
    }

    /// The ids of closed transactions that were sealed since the last time, 32 bytes each; `all`: seals the others first.
    #[wasm_bindgen(js_name = takeSealed)]
    pub fn take_sealed(&mut self, all: bool) -> Vec<u8> {
        if all {
            self.sealed_core();
        }
        self.core.take_sealed().iter().flat_map(|id| id.0).collect()
    }

    #[wasm_bindgen(js_name = abortTransact)]
    pub fn abort_transact(&mut self) {
        self.marks.clear();
        with_env(|env| self.core.abort_transact(env));
    }

    pub fn flush(&mut self) -> String {
        with_env(|env| self.core.flush(env)).map_or_else(String::new, |id| id.to_string())
    }

    #[wasm_bindgen(js_name = pendingEdits)]
    pub fn pending_edits(&self) -> bool {
        self.core.has_edits()
    }

    #[wasm_bindgen(js_name = lastWrite)]
    pub fn last_write(&mut self) -> String {
        self.sealed_core().last_write().map_or_else(String::new, |id| id.to_string())
    }

    #[wasm_bindgen(js_name = setComposing)]
    pub fn set_composing(&mut self, on: bool) {
        self.core.set_composing(on);
    }

    #[wasm_bindgen(js_name = isSaved)]
    pub fn is_saved(&self, id: &str, tier: &str) -> Answer<bool> {
        Ok(self.core.is_saved(changeset(id)?, self::tier(tier)?))
    }

    /// Why a write will not reach a tier, as code and message; undefined if it has or may.
    pub fn obstacle(&self, id: &str, tier: &str) -> Answer<JsValue> {
        let obstacle = self.core.obstacle(changeset(id)?, self::tier(tier)?);
        Ok(obstacle.map_or(JsValue::UNDEFINED, |obstacle| output::obstacle(&obstacle)))
    }

    /// Why no relay takes all that is here, if none does.
    pub fn refusal(&self) -> Option<String> {
        self.core.refusal()
    }

    #[wasm_bindgen(js_name = seenBy)]
    pub fn seen_by(&self, id: &str) -> Answer<u32> {
        Ok(self.core.seen_by(changeset(id)?) as u32)
    }

    /// The next output; changes of texts alone as [`Packed`] numbers.
    pub fn poll(&mut self) -> JsValue {
        let Some(next) = self.core.poll() else { return JsValue::UNDEFINED };
        let packed = match &next {
            Output::Change(changes) => self.packed.pack(changes, self.core.has_outputs()),
            _ => None,
        };
        packed.unwrap_or_else(|| output::to_js(next, &self.core))
    }
}

/// Hands over the bytes of numbered records.
pub(super) fn each_row(records: &Array, mut each: impl FnMut(&[u8])) -> Answer<()> {
    for record in records.iter() {
        let bytes = record.unchecked_ref::<Array>().get(1);
        let bytes =
            bytes.dyn_ref::<Uint8Array>().ok_or_else(|| EdgeError::argument("records", "not bytes"))?;
        each(&bytes.to_vec());
    }
    Ok(())
}

fn settings(batch_ms: Option<f64>) -> Settings {
    let batch_ms = batch_ms.filter(|ms| ms.is_finite() && *ms >= 0.0).map(|ms| ms as u64);
    Settings { batch_ms, drafts: true }
}

pub(super) fn invite(token: &str) -> Answer<Invite> {
    Invite::decode(token).map_err(|error| EdgeError::new(Code::Invite, error.to_string()))
}

pub(super) fn role(name: &str) -> Answer<Role> {
    match name {
        "writer" => Ok(Role::Writer),
        "reader" => Ok(Role::Reader),
        _ => Err(EdgeError::argument("role", "role is writer or reader")),
    }
}

fn tier(name: &str) -> Answer<Tier> {
    match name {
        "local" => Ok(Tier::Local),
        "relay" => Ok(Tier::Relay),
        "final" => Ok(Tier::Final),
        _ => Err(EdgeError::argument("tier", "local or relay")),
    }
}

pub(super) fn records(entries: &Array, argument: &'static str) -> Answer<BTreeMap<String, Vec<u8>>> {
    let entry = |entry: JsValue| {
        let pair = entry.dyn_into::<Array>().ok()?;
        let value = pair.get(1).dyn_into::<Uint8Array>().ok()?;
        Some((pair.get(0).as_string()?, value.to_vec()))
    };
    let mut records = BTreeMap::new();
    for item in entries.iter() {
        let (name, record) = entry(item).ok_or_else(|| EdgeError::argument(argument, "not a record"))?;
        records.insert(name, record);
    }
    Ok(records)
}

pub(super) fn changeset(id: &str) -> Answer<ChangesetId> {
    id32(id, "id").map(ChangesetId)
}

pub(super) fn id32(hex: &str, argument: &'static str) -> Answer<[u8; 32]> {
    let wrong = || EdgeError::argument(argument, format!("{argument} is not 64 hexadecimal digits"));
    if hex.len() != 64 || !hex.is_ascii() {
        return Err(wrong());
    }
    let mut bytes = [0; 32];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).map_err(|_| wrong())?;
    }
    Ok(bytes)
}

/// A position in units: a whole number that a text or a list can have.
pub(super) fn unit(number: f64, argument: &'static str) -> Answer<u32> {
    let whole = number.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&number);
    whole
        .then_some(number as u32)
        .ok_or_else(|| EdgeError::argument(argument, format!("{argument} is not an index")))
}

fn transact_error(fault: TransactFault) -> EdgeError {
    let argument = match fault {
        TransactFault::Message => "message",
        TransactFault::Headers => "headers",
        TransactFault::Command => "command",
    };
    EdgeError { argument: Some(argument), ..EdgeError::new(Code::EventTooLarge, fault.to_string()) }
}

pub(super) fn edit_error(fault: EditFault, argument: &'static str) -> EdgeError {
    match fault {
        EditFault::Access => EdgeError::new(Code::Access, fault.to_string()),
        EditFault::Range | EditFault::Empty | EditFault::Kind => {
            EdgeError::argument(argument, fault.to_string())
        }
        EditFault::OtherKind => EdgeError::argument("kind", fault.to_string()),
        EditFault::OtherOptions | EditFault::Options => EdgeError::argument("o", fault.to_string()),
        EditFault::Amount | EditFault::Overflow => EdgeError::argument("n", fault.to_string()),
        EditFault::Money | EditFault::Credit => EdgeError::argument("amount", fault.to_string()),
        EditFault::Command | EditFault::EventCommand => EdgeError::argument("command", fault.to_string()),
        EditFault::Account | EditFault::AccountName | EditFault::Taken | EditFault::Owner => {
            EdgeError::argument(argument, fault.to_string())
        }
        EditFault::Entry | EditFault::Several | EditFault::Returned => {
            EdgeError::argument(argument, fault.to_string())
        }
        EditFault::TooLarge => {
            EdgeError { argument: Some(argument), ..EdgeError::new(Code::EventTooLarge, fault.to_string()) }
        }
        EditFault::Field | EditFault::Coupled | EditFault::Depth => {
            EdgeError::argument("key", fault.to_string())
        }
        EditFault::Unsupported => EdgeError::new(Code::Unsupported, fault.to_string()),
        EditFault::ReadOnly => EdgeError::new(Code::ReadOnly, fault.to_string()),
    }
}
