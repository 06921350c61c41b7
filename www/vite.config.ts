// The built site works from any folder of any host, without a network after the first visit, and by rules of content security
// that allow no inline script.

import { createHash } from "node:crypto";
import { join } from "node:path";
import { build } from "rolldown";
import { type Plugin, defineConfig } from "vite";

export default defineConfig({
  root: import.meta.dirname,
  base: "./",
  plugins: [serviceWorker()],
  server: { fs: { allow: [".."] } }, // "stemma" is a link to pkg/
  build: { target: "es2022", assetsInlineLimit: 0, modulePreload: { polyfill: false } },
});

/** `worker.js` beside the page: `worker.ts` with the names of all files of the build and a digest of them. */
function serviceWorker(): Plugin {
  return {
    name: "service-worker",
    apply: "build",
    enforce: "post", // the page is among the files by then
    async generateBundle(_, bundle) {
      const made = Object.values(bundle).sort((a, b) => (a.fileName < b.fileName ? -1 : 1));
      const hash = createHash("sha256");
      for (const file of made) hash.update(`${file.fileName}\0`).update(file.type === "chunk" ? file.code : file.source);
      const files = made.map(({ fileName }) => fileName).filter((name) => name !== "index.html");
      const define = { FILES: JSON.stringify(files), VERSION: JSON.stringify(hash.digest("hex").slice(0, 16)) };
      const { output } = await build({
        input: join(import.meta.dirname, "worker.ts"),
        write: false,
        transform: { define },
        output: { format: "iife", minify: true },
      });
      this.emitFile({ type: "asset", fileName: "worker.js", source: output[0].code });
    },
  };
}
