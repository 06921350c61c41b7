/** The listing: the part of `demo.ts` between its region marks, with comments, strings and keywords set apart. */
import source from "./demo.ts?raw";

/** Fills `code` with it. */
export function showListing(code: HTMLElement): void {
  const listing = source.split(/^\/\/ #(?:end)?region.*$/m)[1] ?? "";
  for (const token of listing.trim().split(TOKEN)) {
    const kind = KINDS.find(([, pattern]) => pattern.test(token))?.[0];
    if (!kind) {
      code.append(token);
      continue;
    }
    const span = document.createElement("span");
    span.className = kind;
    span.textContent = token;
    code.append(span);
  }
}

const TOKEN = /(\/\/[^\n]*|"[^"\n]*"|\b(?:import|from|type|export|const|return|new)\b)/;
const KINDS = [
  ["comment", /^\/\//],
  ["string", /^"/],
  ["keyword", /^(?:import|from|type|export|const|return|new)$/],
] as const;
