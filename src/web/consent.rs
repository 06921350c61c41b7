//! The replica for JavaScript, sixth part: consent. Who: 64 hex digits are a member, none are this one, anything else is somebody outside.
use js_sys::Array;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use super::error::{Code, EdgeError};
use super::output::object;
use super::replica::{Replica, id32, with_env};
use crate::replica::{ConsentFault, ConsentInfo, Replica as Core, Whose};
use crate::{DataSubject, MemberId};

type Answer<T> = Result<T, EdgeError>;

#[wasm_bindgen]
impl Replica {
    /// Gives or withdraws a consent; the changeset that says so.
    pub fn consent(
        &mut self,
        subject: Option<String>,
        purpose: &str,
        terms: Option<String>,
        given: bool,
    ) -> Answer<String> {
        let core = self.core_mut();
        let whose = whose(core, subject.as_deref());
        let said = with_env(|env| core.consent(whose, purpose, terms.as_deref(), given, env));
        said.map(|id| id.to_string()).map_err(consent_error)
    }

    /// What holds; `undefined` where nothing was said.
    #[wasm_bindgen(js_name = consentTo)]
    pub fn consent_to(&self, subject: Option<String>, purpose: &str) -> Answer<JsValue> {
        let said = self.core().consent_to(whose(self.core(), subject.as_deref()), purpose);
        Ok(said.map_err(consent_error)?.map_or(JsValue::UNDEFINED, |said| consent_to_js(&said)))
    }

    /// What holds of everybody for everything.
    pub fn consents(&self) -> Array {
        self.core().consents().iter().map(consent_to_js).collect()
    }
}

pub(super) fn whose<'a>(core: &Core, subject: Option<&'a str>) -> Whose<'a> {
    match subject {
        None => Whose::Member(core.member()),
        Some(subject) => {
            id32(subject, "subject").map_or(Whose::Outsider(subject), |id| Whose::Member(MemberId(id)))
        }
    }
}

fn consent_error(fault: ConsentFault) -> EdgeError {
    let argument = match fault {
        ConsentFault::Role => return EdgeError::new(Code::Access, fault.to_string()),
        ConsentFault::Purpose | ConsentFault::Busy => "purpose",
        ConsentFault::Subject => "subject",
        ConsentFault::Terms => "terms",
    };
    EdgeError::argument(argument, fault.to_string())
}

fn consent_to_js(said: &ConsentInfo) -> JsValue {
    let subject = match said.consent.subject {
        DataSubject::Member(member) => member.to_string().into(),
        DataSubject::Outsider(_) => text(&said.subject),
    };
    object(&[
        ("changeset", said.changeset.to_string().into()),
        ("by", said.member.to_string().into()),
        ("time", (said.time_ms as f64).into()),
        ("given", said.consent.is_given.into()),
        ("subject", subject),
        ("purpose", text(&said.purpose)),
        ("terms", text(&said.terms)),
    ])
}

fn text(text: &Option<String>) -> JsValue {
    text.as_deref().map_or(JsValue::UNDEFINED, JsValue::from)
}
