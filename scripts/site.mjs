// The site for static hosting: www/ -> www/dist.

import { buildPackage } from "./build.mjs";

export async function main() {
  await buildPackage();
  const { build } = await import("vite");
  await build({ root: "www" });
}
