// Bytes in use by JavaScript and by every WebAssembly instance of this process. Import it before what is measured.

const memories = new Set<WebAssembly.Memory>();

/** After a full collection; needs `--expose-gc`. WebAssembly counts with what it has reserved: it never gives back. */
export function memory(): number {
  (globalThis as unknown as { gc(): void }).gc();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  let wasm = 0;
  for (const one of memories) wasm += one.buffer.byteLength;
  return heapUsed + arrayBuffers + wasm;
}

function note(instance: WebAssembly.Instance): void {
  for (const exported of Object.values(instance.exports)) if (exported instanceof WebAssembly.Memory) memories.add(exported);
}

WebAssembly.Instance = new Proxy(WebAssembly.Instance, {
  construct(target, args, newTarget) {
    const instance = Reflect.construct(target, args, newTarget) as WebAssembly.Instance;
    note(instance);
    return instance;
  },
});

const { instantiate } = WebAssembly;
WebAssembly.instantiate = async (...args: Parameters<typeof instantiate>) => {
  const result = (await instantiate(...args)) as unknown as WebAssembly.Instance | WebAssembly.WebAssemblyInstantiatedSource;
  note("instance" in result ? result.instance : result);
  return result as never;
};
