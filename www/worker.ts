/**
 * The service worker: keeps the files of the site in the browser, so that it opens without a network.
 *
 * Invariant: files with a hash in their name never change, so they come from the cache; the page itself is asked for first
 * and comes from the cache if nobody answers. Nothing else is touched, and nothing of an address beyond its path is kept: an invite is a key.
 */

/** What the build made, relative to this file, and a digest of it; `vite.config.ts` writes both above this code. */
declare const FILES: readonly string[];
declare const VERSION: string;

/** What this file uses of a service worker: its types and those of a page exclude each other. */
interface Worker {
  readonly registration: { readonly scope: string };
  readonly clients: { claim(): Promise<void> };
  addEventListener(type: "install" | "activate", listener: (event: { waitUntil(work: Promise<unknown>): void }) => void): void;
  addEventListener(type: "fetch", listener: (event: { request: Request; respondWith(answer: Promise<Response>): void }) => void): void;
}

const worker = globalThis as unknown as Worker;
const { scope } = worker.registration;
const prefix = `stemma-site ${scope} `;
const name = prefix + VERSION;
const files = new Set(FILES.map((file) => new URL(file, scope).href));

worker.addEventListener("install", (event) => event.waitUntil(install()));
worker.addEventListener("activate", (event) => event.waitUntil(activate()));
worker.addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  const path = url.origin + url.pathname;
  if (request.method !== "GET") return;
  if (files.has(path)) event.respondWith(kept(path, request));
  else if (request.mode === "navigate" && (path === scope || path === `${scope}index.html`)) event.respondWith(page(request));
});

async function install(): Promise<void> {
  const cache = await caches.open(name);
  // The page has no hash in its name: not the one that the browser may have kept.
  await cache.addAll([...files, scope].map((url) => new Request(url, url === scope ? { cache: "reload" } : {})));
}

/** A new version waits until no window of the old one is open, so what they may still load is not taken from them. */
async function activate(): Promise<void> {
  const old = (await caches.keys()).filter((key) => key.startsWith(prefix) && key !== name);
  await Promise.all(old.map((key) => caches.delete(key)));
  await worker.clients.claim();
}

async function kept(path: string, request: Request): Promise<Response> {
  return (await (await caches.open(name)).match(path)) ?? fetch(request);
}

/** A network that does not answer in time is none. */
async function page(request: Request): Promise<Response> {
  try {
    return await fetch(request, { signal: AbortSignal.timeout(PATIENCE_MS) });
  } catch (error) {
    const kept = await (await caches.open(name)).match(scope);
    if (kept) return kept;
    throw error;
  }
}

const PATIENCE_MS = 4000;

export {};
