// The loader behind typescript.mjs: strips the types of .ts files outside packages. Checking them is tsc's work.

import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { transformSync } from "rolldown/utils";

/** Sources in ts/ name "./x.js", as the compiled package needs it; here that is "./x.ts". */
export async function resolve(specifier, context, nextResolve) {
  const source = specifier.replace(/\.js$/, ".ts");
  const isOurs = specifier.startsWith(".") && source !== specifier && context.parentURL?.endsWith(".ts");
  if (isOurs && existsSync(new URL(source, context.parentURL))) return nextResolve(source, context);
  return nextResolve(specifier, context);
}

export async function load(url, context, nextLoad) {
  if (!url.startsWith("file:") || !url.endsWith(".ts")) return nextLoad(url, context);
  const path = fileURLToPath(url);
  const { code, map, errors } = transformSync(path, await readFile(path, "utf8"), { sourcemap: true, tsconfig: false });
  if (errors.length > 0) throw new SyntaxError(`${path}: ${errors[0].message}`);
  const comment = `//# sourceMappingURL=data:application/json;base64,${Buffer.from(JSON.stringify(map)).toString("base64")}`;
  return { format: "module", source: `${code}\n${comment}`, shortCircuit: true };
}
