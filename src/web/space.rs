//! The replica for JavaScript, second part: the space as a whole, its history and its sync.
use js_sys::Array;
use serde::Serialize;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use super::error::{Code, EdgeError};
use super::replica::{Replica, changeset, id32, role, with_env};
use super::value;
use crate::Fate;
use crate::replica::{
    ChangesetSummary, Elsewhere, HistoryFilter, ImportError, LaneEnd, SyncState, SyncStatus,
};
use crate::{ActorId, MemberId};

type Answer<T> = Result<T, EdgeError>;

#[derive(Serialize)]
pub(super) struct Summary {
    id: String,
    member: String,
    actor: String,
    seq: u32,
    prev: Option<String>,
    deps: Vec<String>,
    time: f64,
    received: f64,
    message: Option<String>,
    #[serde(with = "serde_wasm_bindgen::preserve")]
    headers: JsValue,
    command: Option<String>,
    repeats: Option<String>,
    ops: u32,
    hidden: u32,
    bytes: usize,
    status: &'static str,
}

/// What was found before the number `next`, and how far that is in each chain.
#[derive(Serialize)]
struct Page {
    entries: Vec<Summary>,
    next: u32,
    lanes: Vec<Lane>,
}

#[derive(Serialize)]
struct Lane {
    actor: String,
    seq: u32,
    id: String,
    before: Option<String>,
}

#[derive(Serialize)]
struct Pending {
    id: String,
    reason: String,
}

#[derive(Serialize)]
struct Stats {
    changesets: u32,
    inert: u32,
    ops: u32,
    bytes: f64,
    objects: u32,
    actors: u32,
    pending: Vec<Pending>,
    forks: u32,
    refused: f64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Sync {
    pending: usize,
    last_heard: Option<f64>,
    connected: bool,
    settled: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Relay {
    url: String,
    status: &'static str,
    pending: Option<usize>,
    last_heard: Option<f64>,
    progress: Option<(f64, f64)>,
    refusal: Option<String>,
    is_shut: bool,
}

#[derive(Serialize)]
struct Named {
    name: String,
    kind: u8,
}

#[derive(Serialize)]
struct Stream {
    head: String,
    length: u32,
}

#[wasm_bindgen]
impl Replica {
    pub fn id(&self) -> String {
        self.core().space().to_string()
    }

    pub fn member(&self) -> String {
        self.core().member().to_string()
    }

    pub fn actor(&self) -> String {
        self.core().actor().map_or_else(String::new, |actor| actor.to_string())
    }

    pub fn role(&self) -> String {
        self.core().role().name().to_owned()
    }

    pub fn heads(&mut self) -> Vec<String> {
        self.sealed_core().heads().iter().map(ToString::to_string).collect()
    }

    pub fn names(&self) -> Answer<JsValue> {
        let named = self
            .core()
            .names()
            .into_iter()
            .map(|(name, kind)| Named { name: name.to_string(), kind: kind as u8 });
        to_js(&named.collect::<Vec<_>>())
    }

    #[wasm_bindgen(js_name = stateHash)]
    pub fn state_hash(&mut self) -> String {
        self.sealed_core().state_hash().to_string()
    }

    #[wasm_bindgen(js_name = viewDigest)]
    pub fn view_digest(&mut self) -> String {
        self.sealed_core().view_digest().to_string()
    }

    pub fn stream(&mut self, actor: &str) -> Answer<JsValue> {
        let actor = ActorId(id32(actor, "actor")?);
        match self.sealed_core().stream(actor) {
            Some((head, length)) => to_js(&Stream { head: head.to_string(), length }),
            None => Ok(JsValue::UNDEFINED),
        }
    }

    pub fn history(&mut self, query: JsValue) -> Answer<JsValue> {
        let text = |name| value::field(&query, name).as_string();
        let number = |name| value::field(&query, name).as_f64();
        let filter = HistoryFilter {
            object: number("object").map(|handle| self.object_at(handle as u32)).transpose()?,
            key: text("key"),
            subject: number("subject").map(|subject| subject as u32),
            actor: text("actor").map(|id| id32(&id, "actor")).transpose()?.map(ActorId),
            member: text("member").map(|id| id32(&id, "member")).transpose()?.map(MemberId),
            since_ms: number("since").map(|ms| ms as u64),
            until_ms: number("until").map(|ms| ms as u64),
            from: number("from").unwrap_or_default() as u32,
            to: number("to").map(|number| number as u32),
            limit: number("limit").unwrap_or_default() as usize,
        };
        let core = self.sealed_core();
        let found = core.history(&filter);
        let last = found.last().filter(|_| found.len() == filter.limit).map(|last| last.number + 1);
        let next = last.unwrap_or_else(|| filter.to.unwrap_or(u32::MAX).min(core.log_len()));
        let lanes = core.lane_ends(filter.from..next).into_iter().map(|end| Lane {
            actor: end.actor.to_string(),
            seq: end.seq,
            id: end.id.to_string(),
            before: end.before.map(|id| id.to_string()),
        });
        to_js(&Page { lanes: lanes.collect(), entries: found.into_iter().map(summary).collect(), next })
    }

    /// Whether some of what a history shows is in rows that are to be supplied first.
    #[wasm_bindgen(js_name = historyNeedsRows)]
    pub fn history_needs_rows(&self) -> bool {
        self.core().history_needs_rows()
    }

    /// The numbers of what was not read by whoever read up to these ends: first, after the last, first, and so on.
    pub fn unread(&mut self, lanes: &Array) -> Answer<Vec<u32>> {
        let end = |lane: JsValue| {
            let text = |name| value::field(&lane, name).as_string().unwrap_or_default();
            let seq = value::field(&lane, "seq").as_f64().unwrap_or_default() as u32;
            let (actor, id) = (ActorId(id32(&text("actor"), "actor")?), changeset(&text("id"))?);
            Ok(LaneEnd { actor, seq, id, before: None })
        };
        let read = lanes.iter().map(end).collect::<Answer<Vec<LaneEnd>>>()?;
        Ok(self.sealed_core().unread(&read).into_iter().flat_map(|range| [range.start, range.end]).collect())
    }

    /// How many changesets there are, of these how many are stored, and what their numbers are worth.
    #[wasm_bindgen(js_name = logLength)]
    pub fn log_length(&mut self) -> Vec<f64> {
        let core = self.sealed_core();
        vec![f64::from(core.log_len()), f64::from(core.stored_len()), core.numbering() as f64]
    }

    #[wasm_bindgen(js_name = tellGrowth)]
    pub fn tell_growth(&mut self, beyond: u32) {
        self.core_mut().tell_growth(beyond);
    }

    pub fn stats(&mut self) -> Answer<JsValue> {
        let stats = self.sealed_core().stats();
        let pending = self.core().pending().into_iter().map(|(id, reason)| Pending {
            id: id.to_string(),
            reason: reason.map_or_else(|| "parents are missing".to_owned(), |reason| reason.to_string()),
        });
        to_js(&Stats {
            changesets: stats.changesets,
            inert: stats.inert,
            ops: stats.ops,
            bytes: stats.bytes as f64,
            objects: stats.objects,
            actors: stats.actors,
            pending: pending.collect(),
            forks: stats.forks,
            refused: stats.refused as f64,
        })
    }

    pub fn invite(
        &mut self,
        role_name: &str,
        not_after_ms: f64,
        uses: f64,
        relays: Vec<String>,
    ) -> Answer<String> {
        let role = role(role_name)?;
        let may_not = || EdgeError::new(Code::Access, "only the owner of a space invites");
        let invite =
            with_env(|env| self.core_mut().invite(role, not_after_ms as u64, uses as u64, relays, env));
        let token = invite.ok_or_else(may_not)?.encode();
        let too_long = || EdgeError::argument("relays", "the invite would be too long");
        token.map(|token| token.to_string()).ok_or_else(too_long)
    }

    #[wasm_bindgen(js_name = exportSpace)]
    pub fn export_space(&mut self) -> Vec<u8> {
        self.note_export(None);
        self.sealed_core().export_space()
    }

    #[wasm_bindgen(js_name = exportObject)]
    pub fn export_object(&mut self, handle: u32) -> Answer<Vec<u8>> {
        let object = self.object_at(handle)?;
        self.note_export(Some(object));
        Ok(self.sealed_core().export_object(object))
    }

    /// How many changesets were new, known and refused, and 1 if there is more to integrate.
    #[wasm_bindgen(js_name = importSpace)]
    pub fn import_space(&mut self, bytes: &[u8]) -> Answer<Vec<u32>> {
        let wrong = |error: ImportError| EdgeError::argument("bytes", error.to_string());
        let report = with_env(|env| self.core_mut().import_space(bytes, env)).map_err(wrong)?;
        let more = usize::from(self.core().has_ready());
        Ok([report.added, report.known, report.refused, more].map(|count| count as u32).to_vec())
    }

    /// How many changesets wait for something. O(those).
    pub fn waiting(&self) -> usize {
        self.core().pending().len()
    }

    pub fn integrate(&mut self) -> bool {
        with_env(|env| self.core_mut().integrate_more(env))
    }

    pub fn connect(&mut self, url: &str) -> u32 {
        with_env(|env| self.core_mut().connect(url, env))
    }

    #[wasm_bindgen(js_name = readPlace)]
    pub fn read_place(&mut self, url: &str, record: &[u8]) {
        self.core_mut().read_place(url, record);
    }

    /// How it stands with relays that other tabs speak with; without a status this tab is on its own.
    #[wasm_bindgen(js_name = shareRelays)]
    pub fn share_relays(
        &mut self,
        status: Option<String>,
        refusal: Option<String>,
        rejected: Vec<String>,
    ) -> Answer<()> {
        let rejected = rejected.iter().map(|line| {
            let (id, why) = line.split_once(' ').unwrap_or((line, ""));
            Ok((changeset(id)?, why.to_owned()))
        });
        let rejected = rejected.collect::<Answer<Vec<_>>>()?;
        let known = status.map(|status| {
            STATUSES.iter().find(|(_, name)| *name == status).map_or(SyncStatus::Offline, |(known, _)| *known)
        });
        let elsewhere = known.map(|status| Elsewhere { status, refusal, rejected });
        with_env(|env| self.core_mut().share_relays(elsewhere, env));
        Ok(())
    }

    /// The relays that this tab speaks with, in the order in which they were connected.
    #[wasm_bindgen(js_name = relayStates)]
    pub fn relay_states(&self) -> Answer<JsValue> {
        let states = self.core().relay_states().into_iter().map(|state| Relay {
            url: state.url,
            status: name_of(state.status),
            pending: state.pending,
            last_heard: state.last_heard_ms.map(|ms| ms as f64),
            progress: state.progress.map(|(received, total)| (received as f64, total as f64)),
            refusal: state.refusal,
            is_shut: state.is_shut,
        });
        to_js(&states.collect::<Vec<_>>())
    }

    /// What one of them refused for good, and why: a line each, as `shareRelays` takes them.
    #[wasm_bindgen(js_name = rejectedAt)]
    pub fn rejected_at(&self, url: &str) -> Vec<String> {
        self.core().rejected_at(url).iter().map(|(id, why)| format!("{id} {why}")).collect()
    }

    #[wasm_bindgen(js_name = relayTips)]
    pub fn relay_tips(&self) -> Vec<String> {
        self.core().relay_tips().iter().map(ToString::to_string).collect()
    }

    #[wasm_bindgen(js_name = atRelay)]
    pub fn at_relay(&mut self, ids: Vec<String>) -> Answer<()> {
        let ids = ids.iter().map(|id| changeset(id)).collect::<Answer<Vec<_>>>()?;
        self.core_mut().at_relay(&ids);
        Ok(())
    }

    #[wasm_bindgen(js_name = heardFromTab)]
    pub fn heard_from_tab(&mut self, payload: &[u8], is_said: bool) {
        with_env(|env| self.core_mut().heard_from_tab(payload, is_said, env));
    }

    pub fn disconnect(&mut self, url: &str) {
        self.core_mut().disconnect(url);
    }

    pub fn attach(&mut self) -> u32 {
        self.core_mut().attach()
    }

    pub fn detach(&mut self, session: u32) {
        self.core_mut().detach(session);
    }

    pub fn opened(&mut self, session: u32) {
        with_env(|env| self.core_mut().opened(session, env));
    }

    pub fn received(&mut self, session: u32, bytes: &[u8]) {
        with_env(|env| self.core_mut().received(session, bytes, env));
    }

    pub fn closed(&mut self, session: u32) {
        with_env(|env| self.core_mut().closed(session, env));
    }

    #[wasm_bindgen(js_name = syncState)]
    pub fn sync_state(&self) -> Answer<JsValue> {
        let state = self.core().sync_state();
        let last_heard = state.last_heard_ms.map(|ms| ms as f64);
        let SyncState { pending, connected, settled, .. } = state;
        to_js(&Sync { pending, last_heard, connected, settled })
    }

    pub fn committed(&mut self, id: f64, _numbers: &Array) {
        with_env(|env| self.core_mut().committed(id as u64, env));
    }

    #[wasm_bindgen(js_name = commitFailed)]
    pub fn commit_failed(&mut self, id: f64, code: &str) {
        with_env(|env| self.core_mut().commit_failed(id as u64, code, env));
    }

    pub fn tick(&mut self) {
        with_env(|env| self.core_mut().tick(env));
    }

    #[wasm_bindgen(js_name = nextTimer)]
    pub fn next_timer(&self) -> Option<f64> {
        with_env(|env| self.core().next_timer(env.now_ms)).map(|at| at as f64)
    }

    /// Whether the changeset is in the graph, waits, or is unknown.
    #[wasm_bindgen(js_name = knows)]
    pub fn knows(&self, id: &str) -> Answer<bool> {
        Ok(self.core().knows(changeset(id)?))
    }
}

pub(super) fn summary(entry: ChangesetSummary) -> Summary {
    Summary {
        id: entry.id.to_string(),
        member: entry.member.to_string(),
        actor: entry.actor.to_string(),
        seq: entry.seq,
        prev: entry.prev.map(|id| id.to_string()),
        deps: entry.deps.iter().map(ToString::to_string).collect(),
        time: entry.time_ms as f64,
        received: entry.received_ms as f64,
        message: entry.message,
        headers: entry.headers.as_ref().map_or(JsValue::UNDEFINED, value::to_js),
        command: entry.command,
        repeats: entry.repeats.map(|id| id.to_string()),
        ops: entry.ops,
        hidden: entry.hidden,
        bytes: entry.bytes,
        status: match entry.fate {
            Fate::Integrated => "integrated",
            Fate::Inert => "inert",
        },
    }
}

pub(super) fn to_js(value: &impl Serialize) -> Answer<JsValue> {
    serde_wasm_bindgen::to_value(value).map_err(|error| EdgeError::new(Code::Unsupported, error.to_string()))
}

/// States of a connection by their names.
fn name_of(status: SyncStatus) -> &'static str {
    STATUSES.iter().find(|(known, _)| *known == status).map_or("", |(_, name)| *name)
}

const STATUSES: [(SyncStatus, &str); 6] = [
    (SyncStatus::Offline, "offline"),
    (SyncStatus::Connecting, "connecting"),
    (SyncStatus::CatchingUp, "catching-up"),
    (SyncStatus::Live, "live"),
    (SyncStatus::Denied, "denied"),
    (SyncStatus::Reset, "reset"),
];
