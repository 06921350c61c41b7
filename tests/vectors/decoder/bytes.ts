// Raw bytes as the vectors write them and as hashes take them.

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

export function unhex(text: string): Uint8Array<ArrayBuffer> {
  if (!/^([0-9a-f]{2})*$/.test(text)) throw new TypeError(`not hex: ${text}`);
  return concat(Buffer.from(text, "hex"));
}

/** Its own copy, so WebCrypto takes it. */
export function concat(...parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

export function compare(a: Uint8Array, b: Uint8Array): number {
  return Buffer.compare(a, b);
}

export function same(a: Uint8Array, b: Uint8Array): boolean {
  return compare(a, b) === 0;
}

export function bigOfHex(digits: string): bigint {
  return digits === "" ? 0n : BigInt(`0x${digits}`);
}

export function bigOfLittle(bytes: Uint8Array): bigint {
  return bigOfHex(hex(Uint8Array.from(bytes).reverse()));
}

/** A fixed-width integer inside a hash input. */
export function u64(n: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(n), true);
  return bytes;
}
