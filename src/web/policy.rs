//! The replica for JavaScript, fifth part: policy. Words cross the border as `trust::phrase` writes them.
use js_sys::Array;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use super::error::{Code, EdgeError};
use super::output::{self, object};
use super::replica::{Replica, edit_error, id32, unit, with_env};
use super::value;
use crate::replica::{Bearing, Claim, EntryInfo, PolicyFault, Selected, Spot};
use crate::{ActorId, MemberId, ObjectKind, Op, Standing, Subject, Target, Value, phrase};

type Answer<T> = Result<T, EdgeError>;

#[wasm_bindgen]
impl Replica {
    /// Signs words, a line each; the id of the last changeset that says them, empty if there were none.
    pub fn say(
        &mut self,
        phrases: &str,
        dependents: bool,
        reason: Option<String>,
        publish: bool,
    ) -> Answer<String> {
        let (words, reason) = (self.words(phrases, dependents)?, reason.map(Value::String));
        let said = with_env(|env| self.core_mut().say(words, reason.as_ref(), publish, env));
        said.map(|id| id.map_or_else(String::new, |id| id.to_string())).map_err(policy_error)
    }

    /// What words would do: changesets, ops hidden, ops shown, and whose ops; what stands on them, and whose that is; the changes,
    /// and the number of a view.
    pub fn preview(&mut self, phrases: &str, dependents: bool) -> Answer<JsValue> {
        let words = self.words(phrases, dependents)?;
        let preview = with_env(|env| self.core_mut().preview(&words, env)).map_err(policy_error)?;
        let members = preview.members.iter().map(|member| JsValue::from(member.to_string()));
        let others = preview.others.iter().map(|member| JsValue::from(member.to_string()));
        let patches =
            preview.patches.iter().map(|patch| output::patch(patch.object, &patch.body, self.core()));
        Ok(object(&[
            ("changesets", preview.changesets.into()),
            ("hidden", preview.hidden.into()),
            ("shown", preview.shown.into()),
            ("members", members.collect::<Array>().into()),
            ("dependents", preview.dependents.into()),
            ("others", others.collect::<Array>().into()),
            ("patches", patches.collect::<Array>().into()),
            ("view", preview.view.0.into()),
        ]))
    }

    /// The targets that a selection compiles to.
    #[wasm_bindgen(js_name = policyTargets)]
    pub fn policy_targets(
        &mut self,
        member: Option<String>,
        actor: Option<String>,
        handle: Option<u32>,
        since: Option<f64>,
        until: Option<f64>,
    ) -> Answer<Vec<String>> {
        let id = |id: Option<String>, argument| id.map(|id| id32(&id, argument)).transpose();
        let selected = Selected {
            member: id(member, "member")?.map(MemberId),
            actor: id(actor, "actor")?.map(ActorId),
            object: handle.map(|handle| self.object_at(handle)).transpose()?,
            since_ms: since.map(|ms| ms.max(0.0) as u64),
            until_ms: until.map(|ms| ms.max(0.0) as u64),
        };
        Ok(self.sealed_core().targets(&selected).iter().map(phrase::print_target).collect())
    }

    #[wasm_bindgen(js_name = policyEntries)]
    pub fn policy_entries(&self) -> Array {
        self.core().entries().iter().map(entry).collect()
    }

    /// What a member believes otherwise: how many ops are hidden here alone, how many there alone, whether its view is this one
    /// (undefined if it shows none), the words that decide about these ops, and how many of the first wait for review.
    #[wasm_bindgen(js_name = policyCompare)]
    pub fn policy_compare(&self, member: &str) -> Answer<Array> {
        let found = self.core().compare(MemberId(id32(member, "member")?));
        let entries: Array = found.entries.iter().map(entry).collect();
        let waiting = found.waiting.into();
        Ok(Array::of5(&found.here.into(), &found.there.into(), &found.agrees.into(), &entries, &waiting))
    }

    /// Who says what on the subject of a word.
    #[wasm_bindgen(js_name = policyVotes)]
    pub fn policy_votes(&self, phrase: &str) -> Answer<Array> {
        let op = phrase::parse(phrase).ok_or_else(|| malformed(phrase))?;
        let subjects = Subject::said_by(&op);
        Ok(subjects
            .iter()
            .flat_map(|(subject, _)| self.core().votes(*subject))
            .map(|said| entry(&said))
            .collect())
    }

    /// How an op or a changeset stands, and behind that the words that were looked at.
    #[wasm_bindgen(js_name = policyStanding)]
    pub fn policy_standing(&self, written: &str) -> Answer<Array> {
        let wrong = || EdgeError::argument("target", format!("{written:?} is not an id, nor id:index"));
        let target = match phrase::parse_target(written).ok_or_else(wrong)? {
            Target::Changeset(changeset) => crate::replica::Target { changeset, index: None },
            Target::Op(changeset, index) => crate::replica::Target { changeset, index: Some(index) },
        };
        let standing = self.core().standing(target);
        let (standing, entries) =
            standing.map_err(|fault| EdgeError::argument("target", fault.to_string()))?;
        let standing = match standing {
            Standing::Counts => "counts",
            Standing::Hidden => "hidden",
            Standing::Waits => "waits",
        };
        Ok(std::iter::once(JsValue::from(standing)).chain(entries.iter().map(entry)).collect())
    }

    /// The writes that bear on a place: a key of a map, an element of a set, an index of a text or a list.
    pub fn why(&mut self, handle: u32, place: &JsValue) -> Answer<Array> {
        let object = self.object_at(handle)?;
        with_env(|env| self.core_mut().flush(env));
        let core = self.core();
        let claims = match core.kind_of(object) {
            ObjectKind::Map => {
                let key =
                    place.as_string().ok_or_else(|| EdgeError::argument("key", "key is not a string"))?;
                core.why(object, Spot::Key(&key))
            }
            ObjectKind::Set => core.why(object, Spot::Element(&value::from_js(place, "key")?)),
            _ => core.why(object, Spot::Index(unit(place.as_f64().unwrap_or(f64::NAN), "key")?)),
        };
        Ok(claims.map_err(|fault| edit_error(fault, "key"))?.iter().map(claim).collect())
    }

    /// Whether the id is that of an actor of whom something is here.
    #[wasm_bindgen(js_name = isActor)]
    pub fn is_actor(&self, id: &str) -> Answer<bool> {
        Ok(self.core().stream(ActorId(id32(id, "who")?)).is_some())
    }

    pub fn reviews(&self) -> bool {
        self.core().reviews()
    }

    pub fn threshold(&self) -> f64 {
        self.core().threshold() as f64
    }

    pub fn inbox(&self) -> Array {
        let waiting = self.core().inbox();
        let waiting = waiting.iter().map(|one| {
            object(&[
                ("id", one.changeset.to_string().into()),
                ("member", one.member.to_string().into()),
                ("actor", one.actor.to_string().into()),
                ("time", (one.time_ms as f64).into()),
            ])
        });
        waiting.collect()
    }

    /// Whether the id is that of a member of whom something is here.
    #[wasm_bindgen(js_name = isMember)]
    pub fn is_member(&self, id: &str) -> Answer<bool> {
        Ok(self.core().is_member(MemberId(id32(id, "who")?)))
    }
}

fn claim(claim: &Claim) -> JsValue {
    let bearing = match claim.bearing {
        Bearing::Shows => "shows",
        Bearing::Lost => "lost",
        Bearing::Hidden => "hidden",
        Bearing::Waits => "waits",
        Bearing::Undone => "undone",
    };
    object(&[
        ("changeset", claim.changeset.map_or_else(String::new, |id| id.to_string()).into()),
        ("index", claim.index.into()),
        ("member", claim.member.to_string().into()),
        ("actor", claim.actor.to_string().into()),
        ("time", (claim.time_ms as f64).into()),
        ("value", claim.value.as_ref().map_or(JsValue::UNDEFINED, value::to_js)),
        ("status", bearing.into()),
        ("considered", claim.considered.iter().map(entry).collect::<Array>().into()),
    ])
}

impl Replica {
    fn words(&mut self, phrases: &str, dependents: bool) -> Answer<Vec<Op>> {
        let words = phrase::parse_lines(phrases).map_err(malformed)?;
        let words = self.sealed_core().spelled_out(words);
        if !dependents {
            return Ok(words);
        }
        self.core().check_words(&words).map_err(policy_error)?;
        Ok(with_env(|env| self.core_mut().with_dependents(words, env)))
    }
}

fn malformed(phrase: &str) -> EdgeError {
    EdgeError::argument("target", format!("{phrase:?} names no changeset, op, member or actor"))
}

fn entry(entry: &EntryInfo) -> JsValue {
    object(&[
        ("changeset", entry.changeset.to_string().into()),
        ("index", entry.index.into()),
        ("member", entry.member.to_string().into()),
        ("time", (entry.time_ms as f64).into()),
        ("said", phrase::print(&entry.subject, &entry.word).into()),
        ("reason", entry.reason.as_ref().map_or(JsValue::UNDEFINED, value::to_js)),
        ("private", entry.is_private.into()),
        ("counts", entry.counts.into()),
        ("weight", entry.weight.map_or(JsValue::UNDEFINED, |weight| (weight as f64).into())),
        ("pending", entry.is_pending.into()),
    ])
}

pub(super) fn policy_error(fault: PolicyFault) -> EdgeError {
    let argument = match fault {
        PolicyFault::Oneself => "who",
        PolicyFault::Index(..) => "target",
        PolicyFault::Reason => "reason",
        PolicyFault::Transact => "fn",
        PolicyFault::Actor => return EdgeError::new(Code::Unsupported, fault.to_string()),
    };
    EdgeError::argument(argument, fault.to_string())
}
