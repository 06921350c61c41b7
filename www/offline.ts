/** Lets the page open without a network from its second visit on: the service worker of the built site. */

export async function workOffline(): Promise<void> {
  // The server of development has no such file; and without a secure origin there are no service workers.
  if (import.meta.env.DEV || !("serviceWorker" in navigator)) return;
  await navigator.serviceWorker.register(new URL("./worker.js", document.baseURI), { updateViaCache: "none" });
}
