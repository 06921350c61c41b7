/** When the page goes out of sight and comes back: it may never run again after the former. */

export interface PageObserver {
  hide(): void;
  show(): void;
  /** It may be gone for good. */
  leave(): void;
  /** It was not. */
  enter(): void;
}

/** Watches the page, if there is one; returns what ends it. */
export function watchPage(observer: PageObserver): () => void {
  const ending = new AbortController();
  const { signal } = ending;
  if (typeof document === "undefined") return () => {};
  addEventListener("pagehide", () => (observer.hide(), observer.leave()), { signal });
  addEventListener("blur", () => observer.hide(), { signal });
  addEventListener("pageshow", () => (observer.enter(), observer.show()), { signal });
  document.addEventListener(
    "visibilitychange",
    () => (document.visibilityState === "hidden" ? observer.hide() : observer.show()),
    { signal },
  );
  document.addEventListener("freeze", () => (observer.hide(), observer.leave()), { signal });
  document.addEventListener("resume", () => (observer.enter(), observer.show()), { signal });
  return () => ending.abort();
}
