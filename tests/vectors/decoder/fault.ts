// Why bytes are refused. The decoder throws nothing else, whatever it is given.

/** `kind` is a class of faults of `tests/vectors/README.md`, with the fate in front where one was decided. */
export class Fault extends Error {
  readonly kind: string;

  constructor(kind: string, message: string) {
    super(`${kind}: ${message}`);
    this.kind = kind;
  }
}

export function check(condition: boolean, kind: string, message: string): asserts condition {
  if (!condition) throw new Fault(kind, message);
}

/** Runs `decide` with its faults renamed: the same bytes have another class as a part of something. */
export function within<T>(rename: (kind: string) => string, decide: () => T): T {
  try {
    return decide();
  } catch (error) {
    if (error instanceof Fault) throw new Fault(rename(error.kind), error.message);
    throw error;
  }
}
