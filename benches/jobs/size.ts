// What a page downloads for the engine and its glue.

import type { Context, Figures } from "./job.ts";

export async function measure(_context: Context): Promise<Figures> {
  const { packageSize } = await import(String("../../scripts/size.mjs"));
  return { download: packageSize().at(-1).brotli };
}
