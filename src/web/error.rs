//! What an edge can answer instead of a result: a code that JavaScript maps to its own error class.
//!
//! A [`Fault`] is what the database says inside; only an [`EdgeError`] leaves. Hints and the question whether a retry
//! helps belong to the code and live in `ts/errors.ts`.
use js_sys::{Error, Reflect};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::DomException;

/// A named failure of an edge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EdgeError {
    pub(crate) code: Code,
    pub(crate) message: String,
    pub(crate) argument: Option<&'static str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    Aborted,
    Access,
    Argument,
    Closed,
    EventTooLarge,
    Invite,
    KeyMissing,
    ReadOnly,
    Signature,
    StorageBlocked,
    StorageExists,
    StorageLost,
    StorageNewer,
    StorageQuota,
    StorageUnavailable,
    Subject,
    Unsupported,
}

/// What an operation on the database ran into.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The handle is dead, nothing was written: a fresh handle may do.
    Dead(String),
    /// It would be the same with another handle.
    Edge(EdgeError),
}

impl EdgeError {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), argument: None }
    }

    pub(crate) fn argument(argument: &'static str, message: impl Into<String>) -> Self {
        Self { code: Code::Argument, message: message.into(), argument: Some(argument) }
    }
}

impl From<EdgeError> for JsValue {
    fn from(error: EdgeError) -> JsValue {
        if error.code == Code::Aborted {
            let abort = DomException::new_with_message_and_name(&error.message, "AbortError");
            return abort.expect("every realm with WebAssembly constructs a DOMException").into();
        }
        let thrown = JsValue::from(Error::new(&error.message));
        set(&thrown, "code", error.code.as_str());
        if let Some(argument) = error.argument {
            set(&thrown, "argument", argument);
        }
        thrown
    }
}

fn set(thrown: &JsValue, key: &str, value: &str) {
    Reflect::set(thrown, &key.into(), &value.into()).expect("a fresh error object is extensible");
}

impl Code {
    fn as_str(self) -> &'static str {
        match self {
            Code::Aborted => "AbortError",
            Code::Access => "E_ACCESS",
            Code::Argument => "E_ARGUMENT",
            Code::Closed => "E_CLOSED",
            Code::EventTooLarge => "E_EVENT_TOO_LARGE",
            Code::Invite => "E_INVITE",
            Code::KeyMissing => "E_KEY_MISSING",
            Code::ReadOnly => "E_READONLY",
            Code::Signature => "E_SIGNATURE",
            Code::StorageBlocked => "E_STORAGE_BLOCKED",
            Code::StorageExists => "E_STORAGE_EXISTS",
            Code::StorageLost => "E_STORAGE_LOST",
            Code::StorageNewer => "E_STORAGE_NEWER",
            Code::StorageQuota => "E_STORAGE_QUOTA",
            Code::StorageUnavailable => "E_STORAGE_UNAVAILABLE",
            Code::Subject => "E_SUBJECT",
            Code::Unsupported => "E_UNSUPPORTED",
        }
    }
}

impl Fault {
    /// Reads the name of a thrown or reported exception. An aborted transaction without a reason is what a forced
    /// close leaves behind, so no reason means a dead handle.
    pub(crate) fn of(thrown: &JsValue) -> Self {
        let (name, message) = name_and_message(thrown);
        let edge = |code| Fault::Edge(EdgeError::new(code, format!("{name}: {message}")));
        match name.as_str() {
            "" | "AbortError" | "InvalidStateError" | "UnknownError" => {
                Fault::Dead(format!("{name} {message}"))
            }
            "QuotaExceededError" => edge(Code::StorageQuota),
            "ConstraintError" => edge(Code::StorageExists),
            "VersionError" => edge(Code::StorageNewer),
            "SecurityError" | "NotAllowedError" => edge(Code::StorageUnavailable),
            "DataCloneError" => edge(Code::Unsupported),
            _ => edge(Code::StorageLost),
        }
    }

    /// What is left of a fault when a fresh handle did not help.
    pub(crate) fn settle(self) -> EdgeError {
        match self {
            Fault::Dead(reason) => EdgeError::new(
                Code::StorageLost,
                format!("the database does not answer any more ({})", reason.trim()),
            ),
            Fault::Edge(error) => error,
        }
    }
}

impl From<EdgeError> for Fault {
    fn from(error: EdgeError) -> Self {
        Fault::Edge(error)
    }
}

impl From<JsValue> for Fault {
    fn from(thrown: JsValue) -> Self {
        Fault::of(&thrown)
    }
}

/// rexie hides the exception in the debug form of its source; what it keeps as a value is read as such.
impl From<rexie::Error> for Fault {
    fn from(error: rexie::Error) -> Self {
        use std::error::Error as _;
        let text = error.source().map_or_else(|| error.to_string(), ToString::to_string);
        let known = ["QuotaExceededError", "VersionError", "SecurityError", "NotAllowedError"];
        match known.iter().find(|name| text.contains(**name)) {
            Some(name) => Fault::of(
                &DomException::new_with_message_and_name(&text, name).map_or(JsValue::NULL, JsValue::from),
            ),
            None => Fault::Dead(text),
        }
    }
}

/// `name` and `message` of anything that was thrown.
pub(crate) fn name_and_message(thrown: &JsValue) -> (String, String) {
    if let Some(exception) = thrown.dyn_ref::<DomException>() {
        return (exception.name(), exception.message());
    }
    if let Some(error) = thrown.dyn_ref::<Error>() {
        return (error.name().into(), error.message().into());
    }
    (String::new(), thrown.as_string().unwrap_or_default())
}
