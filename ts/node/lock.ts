// One process at a time: a LOCK file that names its process, and can be taken from one that is dead.
//
// There are no kernel locks in Node. So a lock appears with its content in one step (`link`), a stale one is moved away
// before it is replaced (of several who try, one moves it), and the holder can ask at any time whether it still holds.
// Taking it is a dozen calls of microseconds in a row, so they are made at once: each turn of the thread pool takes longer.

import { closeSync, fstatSync, linkSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { StemmaError } from "../errors.js";

export class FolderLock {
  readonly #path: string;
  readonly #inode: bigint;

  private constructor(path: string, inode: bigint) {
    this.#path = path;
    this.#inode = inode;
  }

  /** Throws `E_STORAGE_BLOCKED` while a living process holds the folder. */
  static acquire(folder: string): FolderLock {
    const path = join(folder, "LOCK");
    const mine = `${path}.${process.pid}-${crypto.randomUUID()}`;
    const file = openSync(mine, "wx", 0o600);
    try {
      writeFileSync(file, `${process.pid}\n${startOf(process.pid)}\n`);
      const { ino } = fstatSync(file, { bigint: true });
      claim(path, mine);
      return new FolderLock(path, ino);
    } finally {
      closeSync(file);
      rmSync(mine, { force: true });
    }
  }

  async isHeld(): Promise<boolean> {
    const found = await stat(this.#path, { bigint: true }).catch(() => undefined);
    return found?.ino === this.#inode;
  }

  async release(): Promise<void> {
    if (await this.isHeld()) await rm(this.#path, { force: true });
  }
}

function claim(path: string, mine: string): void {
  while (!linked(mine, path)) {
    const holder = unlessGone(() => readFileSync(path, "utf8"));
    if (holder === undefined) continue; // released in this moment
    const [pid = "", started = ""] = holder.split("\n");
    if (isAlive(Number(pid), started)) {
      throw new StemmaError("E_STORAGE_BLOCKED", `process ${pid} has this folder open (${path})`);
    }
    const stale = `${mine}.stale`;
    if (!unlessGone(() => (renameSync(path, stale), true))) continue; // somebody else moved it
    // Between the look and the move another process may have replaced it: then it is put back.
    if (readFileSync(stale, "utf8") !== holder) linked(stale, path);
    rmSync(stale, { force: true });
  }
}

/** Makes the file appear at `path` unless there is one. */
function linked(file: string, path: string): boolean {
  try {
    linkSync(file, path);
    return true;
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw thrown;
  }
}

function isAlive(pid: number, started: string): boolean {
  if (!Number.isSafeInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
  } catch (thrown) {
    // EPERM: it lives and is somebody else's.
    if ((thrown as NodeJS.ErrnoException).code === "ESRCH") return false;
  }
  // Process numbers come round again, in containers at once.
  return startOf(pid) === started;
}

/** When a process began, in a form to compare, where the system tells (Linux); else nothing. */
function startOf(pid: number): string {
  const status = readable(`/proc/${pid}/stat`);
  // The second field is the program's name in brackets, which may hold anything.
  return status.slice(status.lastIndexOf(")") + 2).split(" ")[19] ?? "";
}

function readable(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

/** Nothing if the file is not there; on any other failure trying again would never end. */
function unlessGone<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw thrown;
  }
}
