//! The replica for JavaScript, fifth part: proofs and validators. Hashes beside a way go out one behind the other, as bytes.
use js_sys::{Array, Uint8Array};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use super::error::{Code, EdgeError};
use super::output::object;
use super::replica::{Replica, id32, with_env};
use crate::replica::{AuditHead, ChoiceFault, InclusionProof, ProofFault, Replica as Core};
use crate::sorted::sort_by_key;
use crate::{Attested, BlockRules, ChangesetId, Digest, MemberId, ValidatorSet};

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
        self.flushed().audit_proof(&id).map(|proof| proof_to_js(&proof, &[])).map_err(proof_error)
    }

    /// One op of a changeset that was made to be shown, with what leads to the ops root.
    #[wasm_bindgen(js_name = auditDisclose)]
    pub fn audit_disclose(&self, changeset: &str, index: u32) -> Answer<JsValue> {
        let shown = self.core().audit_disclose(&ChangesetId(id32(changeset, "changeset")?), index);
        let shown = shown.map_err(proof_error)?;
        Ok(object(&[
            ("count", shown.count.into()),
            ("salt", Uint8Array::from(&shown.salt[..]).into()),
            ("statement", Uint8Array::from(shown.statement.as_slice()).into()),
            ("path", packed(&shown.path)),
        ]))
    }

    /// The same for the tree that a member attested, with what shows that it did.
    #[wasm_bindgen(js_name = auditAttested)]
    pub fn audit_attested(&mut self, changeset: &str, member: &str) -> Answer<JsValue> {
        let (id, member) =
            (ChangesetId(id32(changeset, "changeset")?), MemberId(id32(member, "attestedBy")?));
        let (proof, by) = self.flushed().audit_attested(&id, member).map_err(proof_error)?;
        let bytes = |bytes: &[u8]| Uint8Array::from(bytes).into();
        let vouched = [
            ("actor", by.actor.to_string().into()),
            ("vouched", bytes(&by.signature)),
            ("genesis", bytes(&by.genesis)),
            ("chain", bytes(&by.chain)),
        ];
        Ok(proof_to_js(&proof, &vouched))
    }

    /// The same for the tree of the block that holds it, with what shows that it is certified.
    #[wasm_bindgen(js_name = auditInBlock)]
    pub fn audit_in_block(&mut self, changeset: &str) -> Answer<JsValue> {
        let id = ChangesetId(id32(changeset, "changeset")?);
        let (proof, block) = self.flushed().audit_in_block(&id).map_err(proof_error)?;
        Ok(proof_to_js(&proof, &[("block", self.certified_to_js(&block))]))
    }

    /// That the tree begins with an earlier one of its own; `undefined` if it does not.
    #[wasm_bindgen(js_name = auditConsistency)]
    pub fn audit_consistency(&mut self, size: f64, root: &str) -> Answer<JsValue> {
        let earlier = AuditHead { size: size as u64, root: Digest(id32(root, "earlier")?) };
        let path = self.flushed().audit_consistency(earlier);
        Ok(path.map_or(JsValue::UNDEFINED, |path| packed(&path)))
    }

    /// Chooses who is to attest, with their weights, and how many changesets a block has (0: no blocks); the changeset that says so.
    #[wasm_bindgen(js_name = chooseValidators)]
    pub fn choose_validators(
        &mut self,
        members: Vec<String>,
        weights: Vec<u32>,
        pause_ms: f64,
        max: u32,
        anew: bool,
    ) -> Answer<String> {
        let member = |id: &String| Ok(MemberId(id32(id, "validators")?));
        let members = members.iter().map(member).collect::<Answer<Vec<MemberId>>>()?;
        let mut members: Vec<(MemberId, u32)> = members.into_iter().zip(weights).collect();
        sort_by_key(&mut members, |(member, _)| *member);
        let begins = anew.then(|| self.core().beginning());
        let blocks = (max > 0).then_some(BlockRules { max, begins });
        let set = ValidatorSet { pause_ms: pause_ms as u64, blocks, members };
        let chosen = with_env(|env| self.core_mut().choose_validators(&set, env));
        chosen.map(|id| id.to_string()).map_err(|fault| match fault {
            ChoiceFault::Role => EdgeError::new(Code::Access, fault.to_string()),
            ChoiceFault::Actor | ChoiceFault::Transact => {
                EdgeError::argument("validators", fault.to_string())
            }
        })
    }

    /// Who is asked to attest: a member, its weight, and so on.
    pub fn validators(&self) -> Array {
        let set = self.core().validators().into_iter();
        let each = |(member, weight): &(MemberId, u32)| [JsValue::from(member.to_string()), (*weight).into()];
        set.flat_map(|set| set.members.iter().flat_map(each)).collect()
    }

    /// The weight that makes something final; 0 without validators.
    pub fn quorum(&self) -> f64 {
        self.core().validators().map_or(0.0, |set| set.quorum() as f64)
    }

    pub fn validate(&mut self, on: bool) {
        self.core_mut().validate(on);
    }

    /// Whether a quorum has attested a changeset; `undefined` for one that is not known.
    #[wasm_bindgen(js_name = isFinal)]
    pub fn is_final(&self, changeset: &str) -> Answer<Option<bool>> {
        Ok(self.core().is_final(&ChangesetId(id32(changeset, "changeset")?)))
    }

    #[wasm_bindgen(js_name = attestedBy)]
    pub fn attested_by(&self, changeset: &str) -> Answer<Vec<String>> {
        let members = self.core().attested_by(&ChangesetId(id32(changeset, "changeset")?));
        Ok(members.iter().map(ToString::to_string).collect())
    }

    /// The latest attestations.
    pub fn attestations(&self) -> Array {
        let each = |(id, attested): (ChangesetId, &Attested)| {
            object(&[
                ("changeset", id.to_string().into()),
                ("member", attested.member.to_string().into()),
                ("size", (attested.attestation.size as f64).into()),
                ("root", attested.attestation.root.to_string().into()),
            ])
        };
        self.core().attestations().map(each).collect()
    }

    fn flushed(&mut self) -> &mut Core {
        with_env(|env| self.core_mut().flush(env));
        self.core_mut()
    }
}

fn proof_error(fault: ProofFault) -> EdgeError {
    match fault {
        ProofFault::Unknown | ProofFault::Undisclosable | ProofFault::Erased | ProofFault::NoOp => {
            EdgeError::argument("changeset", fault.to_string())
        }
        ProofFault::Unattested => EdgeError::argument("attestedBy", fault.to_string()),
        ProofFault::NoBlock => EdgeError::argument("block", fault.to_string()),
        ProofFault::Absent => EdgeError::new(Code::StorageLost, fault.to_string()),
        ProofFault::Signature | ProofFault::Root | ProofFault::OpsRoot => {
            EdgeError::new(Code::Signature, fault.to_string())
        }
    }
}

fn proof_to_js(proof: &InclusionProof, more: &[(&str, JsValue)]) -> JsValue {
    let mut fields = vec![
        ("size", (proof.head.size as f64).into()),
        ("root", proof.head.root.to_string().into()),
        ("index", (proof.index as f64).into()),
        ("path", packed(&proof.path)),
        ("header", Uint8Array::from(proof.header.as_slice()).into()),
        ("signature", Uint8Array::from(&proof.signature[..]).into()),
    ];
    fields.extend_from_slice(more);
    object(&fields)
}

fn packed(path: &[Digest]) -> JsValue {
    let bytes: Vec<u8> = path.iter().flat_map(|hash| hash.0).collect();
    Uint8Array::from(bytes.as_slice()).into()
}
