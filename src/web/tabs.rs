//! A BroadcastChannel between the tabs of one profile. It carries pings, never data that is not stored.
//!
//! Without BroadcastChannel it is silent: `available` is false, posting does nothing.
use js_sys::{Function, Reflect};
use wasm_bindgen::prelude::*;
use web_sys::{BroadcastChannel, MessageEvent};

#[wasm_bindgen]
pub struct Tabs(Option<Open>);

struct Open {
    channel: BroadcastChannel,
    _message: Closure<dyn Fn(MessageEvent)>,
}

#[wasm_bindgen]
impl Tabs {
    #[wasm_bindgen(constructor)]
    pub fn new(name: &str, on_message: Function) -> Self {
        let known = Reflect::has(&js_sys::global(), &"BroadcastChannel".into()).unwrap_or(false);
        let channel = if known { BroadcastChannel::new(name).ok() } else { None };
        Self(channel.map(|channel| {
            let message = Closure::<dyn Fn(MessageEvent)>::new(move |event: MessageEvent| {
                // What a listener throws is the listener's.
                on_message.call1(&JsValue::UNDEFINED, &event.data()).ok();
            });
            channel.set_onmessage(Some(message.as_ref().unchecked_ref()));
            // In Node an open channel would keep the process alive.
            if let Ok(unref) = Reflect::get(&channel, &"unref".into()).and_then(JsCast::dyn_into::<Function>)
            {
                unref.call0(&channel).ok();
            }
            Open { channel, _message: message }
        }))
    }

    #[wasm_bindgen(getter)]
    pub fn available(&self) -> bool {
        self.0.is_some()
    }

    /// Sends a number, a string, bytes or a flat object of these to every other tab.
    pub fn post(&self, message: &JsValue) -> bool {
        self.0.as_ref().is_some_and(|open| open.channel.post_message(message).is_ok())
    }

    /// Closes the channel for good: `available` is false from then on.
    pub fn close(&mut self) {
        self.0 = None;
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.channel.set_onmessage(None);
        self.channel.close();
    }
}
