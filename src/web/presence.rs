//! The replica for JavaScript, seventh part: presence.
use js_sys::Array;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use super::error::EdgeError;
use super::replica::{Replica, with_env};
use super::value;
use crate::{ActorId, PresenceSession, Value};

type Answer<T> = Result<T, EdgeError>;

#[wasm_bindgen]
impl Replica {
    /// Shows this of the session, from now on.
    #[wasm_bindgen(js_name = presenceSet)]
    pub fn presence_set(&mut self, state: &JsValue) -> Answer<()> {
        let Value::Object(state) = value::from_js(state, "state")? else {
            return Err(EdgeError::argument("state", "state is not an object"));
        };
        match with_env(|env| self.core_mut().set_presence(state, env)) {
            true => Ok(()),
            false => Err(EdgeError::argument("state", "state is longer than 8,192 bytes")),
        }
    }

    /// The id of the session, if it is seen.
    #[wasm_bindgen(js_name = presenceSession)]
    pub fn presence_session(&self) -> Option<String> {
        self.core().presence_session().map(|(actor, session)| name_of(actor, session))
    }

    /// The session is not seen any more.
    #[wasm_bindgen(js_name = presenceLeave)]
    pub fn presence_leave(&mut self) {
        with_env(|env| self.core_mut().leave_presence(env));
    }

    /// The other sessions: of each its id, its member, its actor, when it was heard, and a number that rises when it shows
    /// something else.
    #[wasm_bindgen(js_name = presenceOthers)]
    pub fn presence_others(&self) -> Array {
        let row = |session: String, member: String, actor: String, heard: f64, revision: f64| {
            Array::of5(&session.into(), &member.into(), &actor.into(), &heard.into(), &revision.into())
        };
        let others = self.core().others_present().map(|(session, other)| {
            let (member, actor) = (other.member.to_string(), other.actor.to_string());
            row(name_of(other.actor, session), member, actor, other.heard_ms as f64, other.revision as f64)
        });
        others.collect()
    }

    /// What another session shows.
    #[wasm_bindgen(js_name = presenceState)]
    pub fn presence_state(&self, session: &str) -> JsValue {
        let other = self.core().others_present().find(|(id, other)| name_of(other.actor, *id) == session);
        let state = other.map(|(_, other)| Value::Object(other.state.clone()));
        state.map_or(JsValue::UNDEFINED, |state| value::to_js(&state))
    }

    /// Who sees what, of those that are here: of each group its frontier, its view digest, its weight, whether it is this
    /// replica's, and the members.
    pub fn agreement(&self) -> Array {
        let groups = self.core().agreement().into_iter().map(|group| {
            let members: Array =
                group.members.iter().map(|member| JsValue::from(member.to_string())).collect();
            let [frontier, digest] =
                [group.view.frontier, group.view.digest].map(|hash| JsValue::from(hex(&hash)));
            Array::of5(&frontier, &digest, &(group.weight as f64).into(), &group.is_own.into(), &members)
        });
        groups.collect()
    }
}

/// A session by name: half of its actor's key goes with it, so that none can have the name of another actor's.
fn name_of(actor: ActorId, session: PresenceSession) -> String {
    actor.to_string()[..16].to_owned() + &session.to_string()
}

fn hex(bytes: &[u8; 32]) -> String {
    crate::ChangesetId(*bytes).to_string()
}
