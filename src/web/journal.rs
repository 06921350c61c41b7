//! The replica for JavaScript, sixth part: the audit log of this device. Records go in as the store has them, entries out as flat objects.
use js_sys::{Array, Reflect};
use std::collections::BTreeMap;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use super::error::EdgeError;
use super::output::{batch_to_js, object};
use super::replica::{Replica, id32, records, with_env};
use crate::replica::{JournalPlaces, JournalRow};
use crate::{ActorId, ChangesetId, Detail, Digest, JournalFilter, MemberId, NoteKind, ObjectIx};

type Answer<T> = Result<T, EdgeError>;

#[wasm_bindgen]
impl Replica {
    /// Entries from `places` on (an actor, a number, and so on) that pass: the entries, the new places, and how many records do not open.
    pub fn journal(&self, stored: &Array, places: &Array, filter: &JsValue, limit: usize) -> Answer<JsValue> {
        let stored: BTreeMap<String, Vec<u8>> = records(stored, "records")?;
        let mut from = JournalPlaces::new();
        for at in (0..places.length()).step_by(2) {
            let actor = places.get(at).as_string().unwrap_or_default();
            from.insert(ActorId(id32(&actor, "places")?), places.get(at + 1).as_f64().unwrap_or(0.0) as u64);
        }
        let filter = self.filter(filter)?;
        let (rows, damaged) = self.core().journal(&stored, &mut from, &filter, limit);
        let place =
            |(actor, next): (&ActorId, &u64)| [JsValue::from(actor.to_string()), (*next as f64).into()];
        let places = from.iter().flat_map(place);
        Ok(object(&[
            ("entries", rows.iter().map(row).collect::<Array>().into()),
            ("places", places.collect::<Array>().into()),
            ("damaged", damaged.into()),
        ]))
    }

    /// How each chain is.
    #[wasm_bindgen(js_name = journalCheck)]
    pub fn journal_check(&self, stored: &Array) -> Answer<Array> {
        let states = self.core().journal_check(&records(stored, "records")?);
        let state = |state: &crate::replica::JournalState| {
            let mut fields = vec![
                ("actor", state.actor.to_string().into()),
                ("size", (state.head.size as f64).into()),
                ("head", state.head.hash.to_string().into()),
                ("dropped", (state.dropped as f64).into()),
            ];
            fields.extend(state.fault.map(|at| ("fault", (at as f64).into())));
            object(&fields)
        };
        Ok(states.iter().map(state).collect())
    }

    /// Drops what entries are about that pass: a batch to be stored, and how many.
    #[wasm_bindgen(js_name = forgetNoted)]
    pub fn forget_noted(&mut self, stored: &Array, filter: &JsValue) -> Answer<JsValue> {
        let (stored, filter) = (records(stored, "records")?, self.filter(filter)?);
        let (batch, count) = with_env(|env| self.core_mut().forget_noted(&stored, &filter, env.now_ms));
        Ok(object(&[("batch", batch_to_js(&batch)), ("count", count.into())]))
    }

    #[wasm_bindgen(js_name = trimNoted)]
    pub fn trim_noted(&mut self, stored: &Array) -> Answer<()> {
        self.core_mut().trim_noted(&records(stored, "records")?);
        Ok(())
    }

    #[wasm_bindgen(js_name = keepNoted)]
    pub fn keep_noted(&mut self, entries: f64) {
        self.core_mut().keep_noted(entries as u64);
    }

    #[wasm_bindgen(js_name = watchNoted)]
    pub fn watch_noted(&mut self) {
        self.core_mut().watch_noted();
    }

    #[wasm_bindgen(js_name = settleNoted)]
    pub fn settle_noted(&mut self) {
        with_env(|env| self.core_mut().settle_noted(env.now_ms));
    }

    /// Something was given out as bytes: everything, or an object.
    pub(super) fn note_export(&mut self, of: Option<ObjectIx>) {
        let object = of.and_then(|of| self.core().journal_object(of));
        let text = if of.is_some() { "an object" } else { "the space" }.to_owned();
        let detail = Detail { object, text, ..Detail::default() };
        with_env(|env| self.core_mut().note(NoteKind::Export, detail, env.now_ms));
    }

    fn filter(&self, filter: &JsValue) -> Answer<JournalFilter> {
        let get = |name: &str| Reflect::get(filter, &name.into()).unwrap_or(JsValue::UNDEFINED);
        let id = |name: &'static str| get(name).as_string().map(|id| id32(&id, name)).transpose();
        let number = |name: &str| get(name).as_f64();
        let time = |name: &str| number(name).map(|ms| ms as u64);
        let kind = get("type").as_string();
        let kind = kind
            .map(|kind| NoteKind::named(&kind).ok_or_else(|| EdgeError::argument("type", "no such type")));
        let object = match number("object") {
            Some(of) => Some(self.object_at(of as u32)?),
            None => None,
        };
        Ok(JournalFilter {
            kind: kind.transpose()?,
            block: id("block")?.map(Digest),
            changeset: id("changeset")?.map(ChangesetId),
            actor: id("actor")?.map(ActorId),
            member: id("member")?.map(MemberId),
            object: object.and_then(|of| self.core().journal_object(of)),
            since_ms: time("since"),
            until_ms: time("until"),
        })
    }
}

fn row(JournalRow { actor, entry }: &JournalRow) -> JsValue {
    let mut fields = vec![
        ("chain", actor.to_string().into()),
        ("index", (entry.index as f64).into()),
        ("type", entry.kind().map_or("unknown", NoteKind::name).into()),
        ("time", (entry.time_ms as f64).into()),
        ("count", (entry.count as f64).into()),
        ("hash", entry.hash().to_string().into()),
        ("previous", entry.previous.to_string().into()),
    ];
    if entry.span_ms > 0 {
        fields.push(("until", ((entry.time_ms + entry.span_ms) as f64).into()));
    }
    let Some(detail) = entry.detail() else {
        fields.push(("redacted", true.into()));
        return object(&fields);
    };
    let hex = |bytes: [u8; 16]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let texts = [
        ("block", detail.block.map(|id| id.to_string())),
        ("changeset", detail.changeset.map(|id| id.to_string())),
        ("actor", detail.actor.map(|id| id.to_string())),
        ("member", detail.member.map(|id| id.to_string())),
        ("object", detail.object.map(hex)),
        ("peer", Some(detail.peer).filter(|peer| !peer.is_empty())),
        ("detail", Some(detail.text).filter(|text| !text.is_empty())),
    ];
    fields.extend(texts.into_iter().filter_map(|(name, text)| Some((name, JsValue::from(text?)))));
    object(&fields)
}
