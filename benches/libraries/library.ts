// What a library has to do to be measured. Each adapter does it the way the library's manual says is fast.

import type { Patch } from "../../tests/traces.ts";

/** A text at one replica. `told` of its maker is called once after each group and each arrival. */
export interface TextDocument {
  insert(at: number, text: string): void;
  delete(at: number, length: number): void;
  /** Runs edits as one transaction. */
  group(edits: () => void): void | Promise<void>;
  text(): string;
  /** What others need of the last group. */
  update(): Uint8Array;
  apply(update: Uint8Array): void;
  /** The document as it is put on disk. */
  save(): Uint8Array;
}

/** Edits as one transaction, one call each. */
export function edit(document: TextDocument, patches: readonly Patch[]): void | Promise<void> {
  return document.group(() => {
    for (const [position, deleted, inserted] of patches) {
      if (deleted) document.delete(position, deleted);
      if (inserted) document.insert(position, inserted);
    }
  });
}

export interface MapDocument {
  set(key: string, value: number): void;
  group(edits: () => void): void | Promise<void>;
  read(): Record<string, unknown>;
}

export interface TextOptions {
  /** 0, 1, … */
  author: number;
  told: () => void;
  /** Whether {@link TextDocument.update} will be asked. */
  updates: boolean;
}

export interface Library {
  text(o: TextOptions): TextDocument;
  /** From what `save` gave. */
  load(bytes: Uint8Array, o: TextOptions): TextDocument;
  /** Absent where it has none. */
  map?(told: () => void): MapDocument;
  /** The text at the version that `mark` noted; absent where that is not to be had. */
  past?(document: TextDocument): { mark(): void; read(): string };
}
