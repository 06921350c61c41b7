//! The replica for JavaScript, seventh part: evidence and what is held of whom.
use js_sys::{Array, Date, Uint8Array};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use super::error::{Code, EdgeError};
use super::output::object;
use super::replica::{Replica, id32, with_env};
use crate::replica::{EvidenceInfo, ResolveFault};
use crate::{Accused, ActorId, EvidenceId};

type Answer<T> = Result<T, EdgeError>;

#[wasm_bindgen]
impl Replica {
    /// All evidence, or what is against an actor or a member.
    pub fn evidence(&self, against: Option<String>) -> Answer<Array> {
        let against = against.map(|id| id32(&id, "actor")).transpose()?;
        let is_against = |one: &EvidenceInfo| {
            let is = |id: [u8; 32]| {
                one.actors.iter().any(|actor| actor.0 == id)
                    || one.member.is_some_and(|member| member.0 == id)
            };
            against.is_none_or(is)
        };
        let found = self.core().evidence().filter(is_against);
        Ok(found.map(|one| info(&one)).collect())
    }

    /// What the space began with.
    pub fn genesis(&self) -> Uint8Array {
        Uint8Array::from(self.core().genesis().as_bytes())
    }

    #[wasm_bindgen(js_name = isByzantine)]
    pub fn is_byzantine(&self, actor: &str) -> Answer<bool> {
        Ok(self.core().is_byzantine(ActorId(id32(actor, "actor")?)))
    }

    pub fn reputation(&self, actor: &str) -> Answer<JsValue> {
        let held = self.core().reputation(ActorId(id32(actor, "actor")?), Date::now().max(0.0) as u64);
        Ok(object(&[
            ("score", held.score.into()),
            ("state", held.rung.name().into()),
            ("validator", held.validator.into()),
        ]))
    }

    /// What is held of a relay.
    #[wasm_bindgen(js_name = relayScore)]
    pub fn relay_score(&self, url: &str) -> u32 {
        self.core().relay_score(url, Date::now().max(0.0) as u64)
    }

    /// Says that evidence is settled; the changeset that says so.
    #[wasm_bindgen(js_name = resolveEvidence)]
    pub fn resolve_evidence(&mut self, evidence: &str) -> Answer<String> {
        let id = EvidenceId(id32(evidence, "evidence")?);
        let settled = with_env(|env| self.core_mut().resolve_evidence(id, env));
        settled.map(|id| id.to_string()).map_err(|fault| match fault {
            ResolveFault::Role | ResolveFault::Actor => EdgeError::new(Code::Access, fault.to_string()),
            ResolveFault::Unknown | ResolveFault::Transact => {
                EdgeError::argument("evidence", fault.to_string())
            }
        })
    }
}

fn info(one: &EvidenceInfo) -> JsValue {
    let bytes = |bytes: Vec<u8>| JsValue::from(Uint8Array::from(bytes.as_slice()));
    let ids = |ids: Vec<String>| ids.into_iter().map(JsValue::from).collect::<Array>().into();
    let evidence = &one.case.evidence;
    let mut fields = vec![
        ("id", one.case.id.to_string().into()),
        ("kind", evidence.kind().into()),
        ("actors", ids(one.actors.iter().map(ToString::to_string).collect())),
        ("changesets", ids(evidence.changesets().iter().map(ToString::to_string).collect())),
        ("changeset", one.changeset.to_string().into()),
        ("reporter", one.case.reporter.to_string().into()),
        ("proven", one.is_proven.into()),
        ("bytes", bytes(evidence.encode())),
    ];
    let member = match one.case.accused {
        Accused::Member(member) => Some(member),
        Accused::Actor(_) => one.member,
    };
    fields.extend(member.map(|member| ("member", member.to_string().into())));
    fields.extend(evidence.doubts().map(|(_, seq)| ("since", seq.into())));
    fields.extend(one.settled.map(|settled| ("settled", settled.to_string().into())));
    object(&fields)
}
