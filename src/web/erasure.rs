//! The replica for JavaScript, sixth part: redactions, and taking what they name out of the store.
use js_sys::{Array, Uint8Array};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};

use super::error::{Code, EdgeError};
use super::output::object;
use super::replica::{Replica, id32, with_env};
use crate::replica::{RedactFault, Redacted};
use crate::{Digest, Target, phrase};

type Answer<T> = Result<T, EdgeError>;

#[wasm_bindgen]
impl Replica {
    /// Redacts what targets are in, one a line: what says so, what is gone, and the ops that were not asked for.
    pub fn redact(&mut self, targets: &str, reason: &str) -> Answer<JsValue> {
        let targets = targets_of(targets)?;
        let redacted = with_env(|env| self.core_mut().redact(&targets, reason, env));
        Ok(redacted_to_js(&redacted.map_err(redaction_error)?))
    }

    /// What to tell `finishErasing`; the store is gone through meanwhile.
    #[wasm_bindgen(js_name = beginErasing)]
    pub fn begin_erasing(&self) -> f64 {
        self.core().begin_erasing() as f64
    }

    /// Those of some numbered records that hold what was redacted, without it.
    pub fn erased(&self, records: &Array) -> Array {
        let each = |pair: JsValue| {
            let pair: Array = pair.unchecked_into();
            let record: Uint8Array = pair.get(1).unchecked_into();
            let erased = self.core().erased(&record.to_vec())?;
            Some(Array::of2(&pair.get(0), &Uint8Array::from(erased.as_slice())))
        };
        records.iter().filter_map(each).collect()
    }

    /// The store was gone through; whether it has to be once more.
    #[wasm_bindgen(js_name = finishErasing)]
    pub fn finish_erasing(&mut self, begun: f64, stores: u8) -> bool {
        self.core_mut().finish_erasing(begun as u64, stores)
    }

    /// The redactions that count, by their ids.
    pub fn redactions(&self) -> Vec<String> {
        let core = self.core();
        core.redactions().map(|one| core.id_at(one.changeset).to_string()).collect()
    }

    /// What one of them names, who says so, and which devices have said that they deleted it, or not.
    pub fn redaction(&self, id: &str) -> Answer<JsValue> {
        let core = self.core();
        let id = crate::ChangesetId(id32(id, "id")?);
        let unknown = || EdgeError::argument("id", "no redaction with this id is known here");
        let (redaction, erased, missing) = core.redaction_standing(&id).ok_or_else(unknown)?;
        let hex = |device: &[u8; 32]| JsValue::from(Digest(*device).to_string());
        let confirmed = erased.iter().map(|one| {
            object(&[
                ("device", hex(&one.device)),
                ("member", one.member.to_string().into()),
                ("time", (one.time_ms as f64).into()),
                ("stores", one.stores.into()),
            ])
        });
        let missing = missing.iter().map(|(device, member)| {
            object(&[("device", hex(device)), ("member", member.to_string().into())])
        });
        let targets = redaction.targets.iter().map(|target| JsValue::from(core.id_at(*target).to_string()));
        Ok(object(&[
            ("targets", targets.collect::<Array>().into()),
            ("reason", redaction.reason.as_deref().unwrap_or_default().into()),
            ("member", redaction.member.to_string().into()),
            ("time", (redaction.time_ms as f64).into()),
            ("confirmed", confirmed.collect::<Array>().into()),
            ("missing", missing.collect::<Array>().into()),
        ]))
    }
}

/// Targets, one a line.
pub(super) fn targets_of(lines: &str) -> Answer<Vec<Target>> {
    let wrong = |line: &str| EdgeError::argument("target", format!("{line:?} is not an id, nor id:index"));
    lines.lines().map(|line| phrase::parse_target(line).ok_or_else(|| wrong(line))).collect()
}

pub(super) fn redacted_to_js(redacted: &Redacted) -> JsValue {
    let ids = |ids: &[crate::ChangesetId]| -> JsValue {
        ids.iter().map(|id| JsValue::from(id.to_string())).collect::<Array>().into()
    };
    let also = redacted.also.iter().map(|(id, index)| JsValue::from(format!("{id}:{index}")));
    object(&[
        ("redactions", ids(&redacted.redactions)),
        ("changesets", ids(&redacted.changesets)),
        ("also", also.collect::<Array>().into()),
    ])
}

pub(super) fn redaction_error(fault: RedactFault) -> EdgeError {
    match fault {
        RedactFault::Access(_) => EdgeError::new(Code::Access, fault.to_string()),
        RedactFault::Reason => EdgeError::argument("reason", fault.to_string()),
        _ => EdgeError::argument("target", fault.to_string()),
    }
}
