import { defineConfig } from "vite";

export default defineConfig({
  base: "./", // the built site works from any folder of any host
  server: { fs: { allow: [".."] } }, // "stemma" is a link to pkg/
  build: { target: "es2022" },
});
