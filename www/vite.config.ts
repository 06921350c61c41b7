// The built site works from any folder of any host, and by rules of content security that allow no inline script.

import { defineConfig } from "vite";

export default defineConfig({
  root: import.meta.dirname,
  base: "./",
  server: { fs: { allow: [".."] } }, // "stemma" is a link to pkg/
  build: { target: "es2022", assetsInlineLimit: 0, modulePreload: { polyfill: false } },
});
