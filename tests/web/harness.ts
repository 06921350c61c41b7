// What tests with processes share: a relay that can be killed and restarted, a static server, Chromium.
// Everything ends with its owner: the test context, or `{ after }` of node:test for a whole file.
// `npm test` sets the variables; it also runs one area (`-- web`) or one file (`-- tests/web/x.test.ts`).

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { extname, join, normalize, resolve } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { type Browser, chromium } from "playwright-core";

export const root = fileURLToPath(new URL("../..", import.meta.url));

export interface Owner {
  after(end: () => Promise<void>): void;
}

/** A folder of this test's own, removed when its owner ends. */
export async function temporaryFolder(owner: Owner): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "stemma-"));
  owner.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Chromium, headless. A context of it is one browser profile. */
export async function launchBrowser(owner: Owner, args: readonly string[] = []): Promise<Browser> {
  const capabilities = JSON.parse(await readFile(join(root, "webdriver.json"), "utf8"));
  const browser = await chromium.launch({
    executablePath: variable("STEMMA_CHROMIUM"),
    args: [...capabilities["goog:chromeOptions"].args, ...args],
  });
  owner.after(() => browser.close());
  return browser;
}

const MIME: Record<string, string> = {
  ".css": "text/css",
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".json": "application/json",
  ".svg": "image/svg+xml",
  ".wasm": "application/wasm",
};

/**
 * Serves folders, each at its prefix, and answers with the origin. By default an empty page at "/" in which
 * `import("stemma")` is the built package.
 */
export async function servePages(
  owner: Owner,
  folders: Record<string, string> = { "/pkg/": "pkg", "/": "tests/web/pages" },
): Promise<string> {
  const prefixes = Object.keys(folders).sort((a, b) => b.length - a.length);
  const server = createServer(async (request, response) => {
    const path = normalize(decodeURIComponent(new URL(request.url ?? "/", "http://localhost").pathname));
    const prefix = prefixes.find((prefix) => path.startsWith(prefix)) ?? "/";
    const file = resolve(root, folders[prefix] ?? "", path.slice(prefix.length) || "index.html");
    const body = await readFile(file).catch(() => undefined);
    response.writeHead(body ? 200 : 404, { "content-type": MIME[extname(file)] ?? "application/octet-stream" });
    response.end(body);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  owner.after(async () => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** A relay process of its own. The address stays the same over restarts. */
export class Relay {
  readonly folder: string;
  #address = "127.0.0.1:0";
  #child: ChildProcess | undefined;

  /** More for the command line; counts from the next start on. */
  arguments: readonly string[];

  private constructor(folder: string, args: readonly string[]) {
    this.folder = folder;
    this.arguments = args;
  }

  static async start(owner: Owner, args: readonly string[] = []): Promise<Relay> {
    const relay = new Relay(await mkdtemp(join(tmpdir(), "stemma-relay-")), args);
    const kill = () => void relay.#child?.kill("SIGKILL");
    process.on("exit", kill); // when the test process dies before its hooks
    owner.after(async () => {
      process.off("exit", kill);
      await relay.kill();
      await rm(relay.folder, { recursive: true, force: true });
    });
    await relay.restart();
    return relay;
  }

  get url(): string {
    return `ws://${this.#address}/v1`;
  }

  /** Of the process that runs. */
  get pid(): number {
    return this.#child?.pid as number;
  }

  get http(): string {
    return `http://${this.#address}`;
  }

  /** SIGKILL: nothing is flushed, nobody is told. */
  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  /** SIGTERM: the relay drains first. */
  async stop(): Promise<void> {
    await this.#end("SIGTERM");
  }

  /** Starts the process over the same folder, ending the running one by SIGKILL, and waits until it is ready. */
  async restart(): Promise<void> {
    await this.kill();
    const child = spawn(variable("STEMMA_RELAY"), ["--listen", this.#address, "--data", this.folder, ...this.arguments], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    this.#child = child;
    this.#address = await listening(child);
    await this.#ready();
  }

  /** The process is there and does nothing, until it may go on. */
  pause(): void {
    this.#child?.kill("SIGSTOP");
  }

  goOn(): void {
    this.#child?.kill("SIGCONT");
  }

  /** Kills the process, deletes all it stored, and starts it over. */
  async lose(): Promise<void> {
    await this.kill();
    await rm(this.folder, { recursive: true, force: true });
    await this.restart();
  }

  async #ready(): Promise<void> {
    while (true) {
      const response = await fetch(`${this.http}/readyz`).catch(() => undefined);
      if (response?.status === 200) return;
      if (this.#child?.exitCode !== null) throw new Error("the relay ended before it was ready");
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, "exit");
    child.kill(signal);
    await exited;
  }
}

function listening(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("exit", (code) => reject(new Error(`the relay ended before it listened (${code})`)));
    if (!child.stdout) throw new Error("spawned without a pipe");
    createInterface({ input: child.stdout }).on("line", (line) => {
      const address = /^listening on (\S+)$/.exec(line)?.[1];
      if (address) resolve(address);
    });
  });
}

function variable(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: run through npm test`);
  return value;
}
