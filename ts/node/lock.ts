// One process at a time: a LOCK file that names its process, and can be taken from one that is dead.
//
// There are no kernel locks in Node. So a lock appears with its content in one step (`link`), a stale one is moved away
// before it is replaced (of several who try, one moves it), and the holder can ask at any time whether it still holds.

import { link, open, readFile, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { StemmaError } from "../errors.js";

export class FolderLock {
  readonly #path: string;
  readonly #inode: bigint;

  private constructor(path: string, inode: bigint) {
    this.#path = path;
    this.#inode = inode;
  }

  /** Rejects with `E_STORAGE_BLOCKED` while a living process holds the folder. */
  static async acquire(folder: string): Promise<FolderLock> {
    const path = join(folder, "LOCK");
    const mine = `${path}.${process.pid}-${crypto.randomUUID()}`;
    const file = await open(mine, "wx", 0o600);
    try {
      await file.writeFile(`${process.pid}\n${await startOf(process.pid)}\n`);
      const { ino } = await file.stat({ bigint: true });
      await claim(path, mine);
      return new FolderLock(path, ino);
    } finally {
      await file.close();
      await rm(mine, { force: true });
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

async function claim(path: string, mine: string): Promise<void> {
  while (!(await linked(mine, path))) {
    const holder = await readFile(path, "utf8").catch(() => undefined);
    if (holder === undefined) continue; // released in this moment
    const [pid = "", started = ""] = holder.split("\n");
    if (await isAlive(Number(pid), started)) {
      throw new StemmaError("E_STORAGE_BLOCKED", `process ${pid} has this folder open (${path})`);
    }
    const stale = `${mine}.stale`;
    if (!(await rename(path, stale).then(() => true, () => false))) continue; // somebody else moved it
    // Between the look and the move another process may have replaced it: then it is put back.
    if ((await readFile(stale, "utf8")) !== holder) await linked(stale, path);
    await rm(stale, { force: true });
  }
}

/** Makes the file appear at `path` unless there is one. */
async function linked(file: string, path: string): Promise<boolean> {
  try {
    await link(file, path);
    return true;
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw thrown;
  }
}

async function isAlive(pid: number, started: string): Promise<boolean> {
  if (!Number.isSafeInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
  } catch (thrown) {
    // EPERM: it lives and is somebody else's.
    if ((thrown as NodeJS.ErrnoException).code === "ESRCH") return false;
  }
  // Process numbers come round again, in containers at once.
  return (await startOf(pid)) === started;
}

/** When a process began, in a form to compare, where the system tells (Linux); else nothing. */
async function startOf(pid: number): Promise<string> {
  const status = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
  // The second field is the program's name in brackets, which may hold anything.
  return status.slice(status.lastIndexOf(")") + 2).split(" ")[19] ?? "";
}
