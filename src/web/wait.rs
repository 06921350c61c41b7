//! Waiting that ends: several requests in one turn, and work that may never answer.
use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;

use js_sys::{Function, Promise};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::AbortSignal;

use super::error::{Code, EdgeError, Fault};

#[wasm_bindgen]
extern "C" {
    // `Window` or a worker's global scope: both have them, web-sys knows them on each class apart.
    #[wasm_bindgen(js_name = setTimeout)]
    fn set_timeout(callback: &Function, delay_ms: u32) -> JsValue;
    #[wasm_bindgen(js_name = clearTimeout)]
    fn clear_timeout(timer: &JsValue);
}

/// How long to wait for a database that another tab may hold.
#[derive(Clone)]
pub(crate) struct Patience {
    pub(crate) limit_ms: u32,
    pub(crate) signal: Option<AbortSignal>,
}

impl Default for Patience {
    fn default() -> Self {
        Self { limit_ms: BLOCKED_MS, signal: None }
    }
}

impl Patience {
    /// Runs `work` to its end whatever happens, because a pending request of IndexedDB cannot be withdrawn, but stops
    /// waiting at the limit or on abort. A result that comes after that goes to `late`.
    ///
    /// # Errors
    /// Those of `work`; `E_STORAGE_BLOCKED` at the limit; an abort.
    pub(crate) async fn wait<T: 'static>(
        &self,
        work: impl Future<Output = Result<T, Fault>> + 'static,
        late: impl FnOnce(T) + 'static,
    ) -> Result<T, Fault> {
        self.check()?;
        let slot = Rc::new(RefCell::new(None));
        let given_up = Rc::new(Cell::new(false));
        let (wake, woken) = gate();
        let task = {
            let (slot, given_up, wake) = (slot.clone(), given_up.clone(), wake.clone());
            async move {
                let result = work.await;
                if given_up.get() {
                    if let Ok(result) = result {
                        late(result);
                    }
                } else {
                    *slot.borrow_mut() = Some(result);
                    wake.call0(&JsValue::UNDEFINED).expect("the resolver of a promise does not throw");
                }
            }
        };
        spawn_local(task);
        let timer = set_timeout(&wake, self.limit_ms);
        if let Some(signal) = &self.signal {
            signal.add_event_listener_with_callback("abort", &wake).expect("the listener is a function");
        }
        JsFuture::from(woken).await.expect("the gate is never rejected");
        clear_timeout(&timer);
        if let Some(signal) = &self.signal {
            signal.remove_event_listener_with_callback("abort", &wake).expect("the listener is a function");
        }
        let result = slot.borrow_mut().take();
        result.unwrap_or_else(|| {
            given_up.set(true);
            self.check()?;
            Err(EdgeError::new(Code::StorageBlocked, "another tab holds the database and does not let go")
                .into())
        })
    }

    fn check(&self) -> Result<(), Fault> {
        match &self.signal {
            Some(signal) if signal.aborted() => {
                Err(EdgeError::new(Code::Aborted, "opening was aborted").into())
            }
            _ => Ok(()),
        }
    }
}

/// A promise and the function that resolves it.
pub(crate) fn gate() -> (Function, Promise) {
    let mut open = None;
    let promise = Promise::new(&mut |resolve, _| open = Some(resolve));
    (open.expect("the executor runs inside the constructor"), promise)
}

/// Polls both in every turn, so that the requests of both are made in the first.
pub(crate) async fn both<A: Future, B: Future>(a: A, b: B) -> (A::Output, B::Output) {
    let (mut a, mut b) = (pin!(a), pin!(b));
    let (mut first, mut second) = (None, None);
    poll_fn(move |cx| {
        if first.is_none()
            && let Poll::Ready(out) = a.as_mut().poll(cx)
        {
            first = Some(out);
        }
        if second.is_none()
            && let Poll::Ready(out) = b.as_mut().poll(cx)
        {
            second = Some(out);
        }
        match (first.take(), second.take()) {
            (Some(a), Some(b)) => Poll::Ready((a, b)),
            (a, b) => {
                (first, second) = (a, b);
                Poll::Pending
            }
        }
    })
    .await
}

pub(crate) type Request<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// Makes all requests of a transaction and asks for its `end` in one turn, then waits: for the end, because a request
/// that a full disk cuts off after `commit` is told nothing, or for the first request that fails, because idb frees
/// its listeners at the error and the abort would call a freed one. For the same reason both are only borrowed: what
/// failed has to outlive the abort.
pub(crate) async fn settled<T, E>(
    requests: &mut [Request<'_, Result<T, E>>],
    mut end: Pin<&mut impl Future<Output = Result<(), E>>>,
) -> Result<Vec<T>, E> {
    let mut results: Vec<Option<T>> = requests.iter().map(|_| None).collect();
    poll_fn(|cx| {
        for (request, slot) in requests.iter_mut().zip(&mut results) {
            if slot.is_none()
                && let Poll::Ready(out) = request.as_mut().poll(cx)
            {
                match out {
                    Ok(out) => *slot = Some(out),
                    Err(error) => return Poll::Ready(Err(error)),
                }
            }
        }
        end.as_mut().poll(cx)
    })
    .await?;
    Ok(results
        .into_iter()
        .map(|slot| slot.expect("a complete transaction has answered every request"))
        .collect())
}

/// Long enough for a tab that is asked to close its handle, short enough for a person who waits.
const BLOCKED_MS: u32 = 4_000;
