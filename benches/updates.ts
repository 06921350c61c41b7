// Files of updates: each in the order it was made, with its length in front.

import { readFile, writeFile } from "node:fs/promises";

export async function writeUpdates(path: string, updates: readonly Uint8Array[]): Promise<void> {
  const lengths = updates.map(({ length }) => {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setUint32(0, length);
    return bytes;
  });
  await writeFile(path, updates.flatMap((update, i) => [lengths[i] as Uint8Array, update]));
}

export async function readUpdates(path: string): Promise<Uint8Array[]> {
  const file = await readFile(path);
  const updates: Uint8Array[] = [];
  for (let at = 0; at < file.length; ) {
    const length = file.readUInt32BE(at);
    // A copy: libraries may look at the buffer behind it.
    updates.push(new Uint8Array(file.subarray(at + 4, at + 4 + length)));
    at += 4 + length;
  }
  return updates;
}
