//! One WebSocket connection, from `connecting` to `closed`; a new connection is a new object.
//!
//! Invariant: after construction nothing throws and nothing is called once `close` or `free` ran. `onClose` is called
//! at most once, and always if the connection ends by itself. When to connect again is decided by the session.
use std::cell::{Cell, RefCell};
use std::rc::Rc;

use js_sys::{Array, ArrayBuffer, Function, Reflect, Uint8Array};
use wasm_bindgen::prelude::*;
use web_sys::{BinaryType, CloseEvent, MessageEvent, WebSocket};

use super::error::{Code, EdgeError, name_and_message};

#[wasm_bindgen]
pub struct Socket(Rc<Line>);

#[wasm_bindgen]
impl Socket {
    /// Connects with the class that was passed or the platform's own. `onMessage` gets a `Uint8Array`, `onClose` a
    /// code and a reason.
    #[wasm_bindgen(constructor)]
    pub fn new(
        url: &str,
        class: JsValue,
        on_open: Function,
        on_message: Function,
        on_close: Function,
    ) -> Result<Socket, JsValue> {
        let web_socket = connect(url, class)?;
        web_socket.set_binary_type(BinaryType::Arraybuffer);
        let line = Rc::new(Line { web_socket, over: Cell::new(false), listeners: RefCell::new(None) });
        line.listen(on_open, on_message, on_close);
        Ok(Self(line))
    }

    /// Whether the bytes were handed to an open connection.
    pub fn send(&self, bytes: &Uint8Array) -> bool {
        let socket = &self.0.web_socket;
        socket.ready_state() == WebSocket::OPEN && socket.send_with_js_u8_array(bytes).is_ok()
    }

    /// Bytes that were sent but have not left yet.
    #[wasm_bindgen(getter, js_name = bufferedAmount)]
    pub fn buffered_amount(&self) -> u32 {
        self.0.web_socket.buffered_amount()
    }

    #[wasm_bindgen(getter, js_name = isOpen)]
    pub fn is_open(&self) -> bool {
        self.0.web_socket.ready_state() == WebSocket::OPEN
    }

    /// Says goodbye with a code, 1000 unless named, and goes silent.
    pub fn close(&self, code: Option<u16>) {
        self.0.end(code.unwrap_or(NORMAL));
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.0.end(NORMAL);
    }
}

struct Line {
    web_socket: WebSocket,
    over: Cell<bool>,
    listeners: RefCell<Option<Listeners>>,
}

struct Listeners {
    _open: Closure<dyn Fn()>,
    _message: Closure<dyn Fn(MessageEvent)>,
    _error: Closure<dyn Fn()>,
    _close: Closure<dyn Fn(CloseEvent)>,
}

impl Line {
    /// The closures hold the line and the line holds them until the connection is over: `ws` of npm throws an error
    /// that nobody listens to, so they stay attached as long as one can come.
    fn listen(self: &Rc<Self>, on_open: Function, on_message: Function, on_close: Function) {
        let line = self.clone();
        let open = Closure::<dyn Fn()>::new(move || line.call(&on_open, &Array::new()));
        let line = self.clone();
        let message = Closure::<dyn Fn(MessageEvent)>::new(move |event: MessageEvent| {
            match event.data().dyn_ref::<ArrayBuffer>() {
                Some(buffer) => line.call(&on_message, &Array::of1(&Uint8Array::new(buffer))),
                // The protocol has no text frames; the peer hears why it is left.
                None => {
                    line.web_socket.close_with_code_and_reason(NOT_BINARY, "only binary frames").unwrap_or(())
                }
            }
        });
        let error = Closure::<dyn Fn()>::new(|| ());
        let line = self.clone();
        let close = Closure::<dyn Fn(CloseEvent)>::new(move |event: CloseEvent| {
            line.call(&on_close, &Array::of2(&event.code().into(), &event.reason().into()));
            line.over.set(true);
            let socket = &line.web_socket;
            socket.set_onopen(None);
            socket.set_onmessage(None);
            socket.set_onerror(None);
            socket.set_onclose(None);
            line.listeners.take();
        });
        let socket = &self.web_socket;
        socket.set_onopen(Some(open.as_ref().unchecked_ref()));
        socket.set_onmessage(Some(message.as_ref().unchecked_ref()));
        socket.set_onerror(Some(error.as_ref().unchecked_ref()));
        socket.set_onclose(Some(close.as_ref().unchecked_ref()));
        let listeners = Listeners { _open: open, _message: message, _error: error, _close: close };
        *self.listeners.borrow_mut() = Some(listeners);
    }

    fn call(&self, callback: &Function, arguments: &Array) {
        if !self.over.get() {
            // What a listener throws is the listener's.
            callback.apply(&JsValue::UNDEFINED, arguments).ok();
        }
    }

    fn end(&self, code: u16) {
        self.over.set(true);
        if self.web_socket.close_with_code(code).is_err() {
            self.web_socket.close().ok();
        }
    }
}

fn connect(url: &str, class: JsValue) -> Result<WebSocket, EdgeError> {
    if !url.starts_with("ws://") && !url.starts_with("wss://") {
        return Err(EdgeError::argument(
            "url",
            format!("a relay is reached at ws:// or wss://, not {url:?}"),
        ));
    }
    let class = if class.is_undefined() {
        Reflect::get(&js_sys::global(), &"WebSocket".into()).unwrap_or(JsValue::UNDEFINED)
    } else {
        class
    };
    let missing = |_| EdgeError::new(Code::Unsupported, "there is no WebSocket here, and none was passed");
    let class: Function = class.dyn_into().map_err(missing)?;
    let made = Reflect::construct(&class, &Array::of1(&url.into()));
    let refused =
        |thrown| EdgeError::argument("url", format!("{url:?} was refused: {}", name_and_message(&thrown).1));
    Ok(made.map_err(refused)?.unchecked_into())
}

const NORMAL: u16 = 1_000;
const NOT_BINARY: u16 = 3_003;
