/**
 * Loads the engine: once per page, whatever the number of spaces, and again after a trap.
 *
 * Invariant: after a trap nothing of the old instance is called any more; every owner of one of its objects hears of
 * it through {@link onReset} before anything else runs.
 */

import init, * as glue from "./engine.js";
import { StemmaError } from "./errors.js";
import type { EngineModule } from "./replica.js";

/** Where the engine comes from: compiled, as bytes, or fetched. Only the first `open` of a page looks at it. */
export type WasmSource = WebAssembly.Module | BufferSource | Response | URL | string;

/** What `./engine.js` exports. */
export type Glue = typeof glue & EngineModule;

let loading: Promise<Glue> | undefined;

/** Resolves to the engine; the source is asked for only if the engine was not loaded yet. A failure can be tried again. */
export function loadEngine(source: () => WasmSource | Promise<WasmSource>): Promise<Glue> {
  loading ??= instantiate(source).catch((error: unknown) => {
    loading = undefined;
    throw error;
  });
  return loading;
}

async function instantiate(source: () => WasmSource | Promise<WasmSource>): Promise<Glue> {
  const module = await compile(await source());
  // The glue keeps what it was given first, so it is given nothing else.
  const isEngine = WebAssembly.Module.exports(module).some(({ name }) => name === "working");
  if (!isEngine) throw new StemmaError("E_WASM_LOAD", "the WebAssembly that was loaded is not the engine of this package");
  try {
    await init({ module_or_path: module });
  } catch (cause) {
    // An import or export that the other side does not have.
    const code = cause instanceof WebAssembly.LinkError ? "E_VERSION_SKEW" : "E_WASM_LOAD";
    throw new StemmaError(code, `engine.wasm does not start: ${text(cause)}`, { cause });
  }
  return glue as unknown as Glue;
}

async function compile(source: WasmSource): Promise<WebAssembly.Module> {
  if (source instanceof WebAssembly.Module) return source;
  if (source instanceof ArrayBuffer || ArrayBuffer.isView(source)) return compileBytes(source, "the bytes that were passed");
  const response = source instanceof Response ? source : await request(source);
  const where = response.url || "the response that was passed";
  if (!response.ok) throw new StemmaError("E_WASM_LOAD", `${where} answered with status ${response.status}`);
  const type = response.headers.get("content-type") ?? "";
  if (type.startsWith("application/wasm") && WebAssembly.compileStreaming) {
    return WebAssembly.compileStreaming(response).catch((cause: unknown) => {
      throw compileError(cause, where);
    });
  }
  return compileBytes(await body(response, where), where);
}

async function request(url: URL | string): Promise<Response> {
  try {
    return await fetch(url);
  } catch (cause) {
    throw new StemmaError("E_WASM_LOAD", `${url} cannot be fetched: ${text(cause)}`, { cause });
  }
}

async function body(response: Response, where: string): Promise<ArrayBuffer> {
  try {
    return await response.arrayBuffer();
  } catch (cause) {
    throw new StemmaError("E_WASM_LOAD", `${where} broke off: ${text(cause)}`, { cause });
  }
}

async function compileBytes(bytes: BufferSource, where: string): Promise<WebAssembly.Module> {
  const start = ArrayBuffer.isView(bytes) ? new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength) : new Uint8Array(bytes);
  if (!MAGIC.every((byte, i) => start[i] === byte)) {
    const html = /^\s*<(!doctype|html|head|body|!--)/i.test(new TextDecoder().decode(start.subarray(0, 64)));
    throw new StemmaError("E_WASM_LOAD", html ? `the server returned HTML for ${where}` : `${where} is not WebAssembly`);
  }
  try {
    return await WebAssembly.compile(bytes);
  } catch (cause) {
    throw compileError(cause, where);
  }
}

/** `\0asm` */
const MAGIC = [0x00, 0x61, 0x73, 0x6d];

function compileError(cause: unknown, where: string): StemmaError {
  const message = text(cause);
  if (/content.security.policy|unsafe-eval/i.test(message)) {
    return new StemmaError("E_CSP", `the page's policy forbids WebAssembly: allow script-src 'wasm-unsafe-eval' (${message})`, { cause });
  }
  return new StemmaError("E_WASM_LOAD", `${where} does not compile: ${message}`, { cause });
}

function text(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}

/** Hears that every object of the engine is gone. */
export type ResetListener = (cause: StemmaError) => void;

let resets = 0;
const resetListeners = new Set<ResetListener>();

/** Returns what ends the subscription. */
export function onReset(listener: ResetListener): () => void {
  resetListeners.add(listener);
  return () => resetListeners.delete(listener);
}

/** Whether this is how a trap looks from outside: the instance is in no state that can be trusted. */
export function isTrap(thrown: unknown): boolean {
  return thrown instanceof WebAssembly.RuntimeError || thrown instanceof RangeError;
}

/** What a trap leaves to be said. */
export interface Crash {
  cause: StemmaError;
  /** The changeset that was being integrated, `""` if none was. */
  quarantine: string;
}

let crash: (Crash & { untold: ResetListener[] }) | undefined;

/**
 * Replaces the instance after a trap and tells every owner. It may run out of stack, for that is how some traps come
 * about: called again, it goes on where it was.
 */
export function resetEngine(trap: unknown): Crash {
  crash ??= { ...describe(trap), untold: [] };
  if (crash.untold.length === 0) {
    glue.__wbg_reset_state();
    resets++;
    crash.untold = [...resetListeners];
  }
  const { untold, ...told } = crash;
  for (let listener; (listener = untold[0]); untold.shift()) listener(told.cause);
  crash = undefined;
  return told;
}

function describe(trap: unknown): Crash {
  const cause = new StemmaError("E_ENGINE_CRASHED", `the engine trapped: ${text(trap)}`, { cause: trap });
  try {
    return { cause, quarantine: (glue as unknown as EngineModule).working() };
  } catch {
    return { cause, quarantine: "" }; // Too broken even for that.
  }
}

/** How often that has happened in this page. */
export function resetCount(): number {
  return resets;
}
