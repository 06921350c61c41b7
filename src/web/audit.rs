//! The replica for JavaScript, fifth part: proofs. Hashes beside a way go out one behind the other, as bytes.
use js_sys::Uint8Array;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use super::error::{Code, EdgeError};
use super::output::object;
use super::replica::{Replica, id32, with_env};
use crate::ChangesetId;
use crate::crypto::Digest;
use crate::replica::{AuditHead, ProofFault, Replica as Core};

type Answer<T> = Result<T, EdgeError>;

#[wasm_bindgen]
impl Replica {
    /// How many changesets there are, and their Merkle root. Seals the open batch.
    #[wasm_bindgen(js_name = auditHead)]
    pub fn audit_head(&mut self) -> JsValue {
        let head = self.flushed().audit_head();
        object(&[("size", (head.size as f64).into()), ("root", head.root.to_string().into())])
    }

    /// That a changeset is in that tree, whose log is to have all its rows: `isWhole`.
    #[wasm_bindgen(js_name = auditProof)]
    pub fn audit_proof(&mut self, changeset: &str) -> Answer<JsValue> {
        let id = ChangesetId(id32(changeset, "changeset")?);
        let proof = self.flushed().audit_proof(&id).map_err(|fault| match fault {
            ProofFault::Unknown => EdgeError::argument("changeset", fault.to_string()),
            ProofFault::Absent => EdgeError::new(Code::StorageLost, fault.to_string()),
            ProofFault::Signature => EdgeError::new(Code::Signature, fault.to_string()),
        })?;
        Ok(object(&[
            ("size", (proof.head.size as f64).into()),
            ("root", proof.head.root.to_string().into()),
            ("index", (proof.index as f64).into()),
            ("path", packed(&proof.path)),
            ("header", Uint8Array::from(proof.header.as_slice()).into()),
            ("signature", Uint8Array::from(&proof.signature[..]).into()),
        ]))
    }

    /// That the tree begins with an earlier one of its own; `undefined` if it does not.
    #[wasm_bindgen(js_name = auditConsistency)]
    pub fn audit_consistency(&mut self, size: f64, root: &str) -> Answer<JsValue> {
        let earlier = AuditHead { size: size as u64, root: Digest(id32(root, "earlier")?) };
        let path = self.flushed().audit_consistency(earlier);
        Ok(path.map_or(JsValue::UNDEFINED, |path| packed(&path)))
    }

    fn flushed(&mut self) -> &mut Core {
        with_env(|env| self.core_mut().flush(env));
        self.core_mut()
    }
}

fn packed(path: &[Digest]) -> JsValue {
    let bytes: Vec<u8> = path.iter().flat_map(|hash| hash.0).collect();
    Uint8Array::from(bytes.as_slice()).into()
}
