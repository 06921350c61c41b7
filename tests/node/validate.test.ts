// `stemma validate` as a process of its own: it joins, makes blocks, ends when it is told to, goes on where it was, and says no secret.

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { type TestContext, test } from "node:test";
import { WebSocket as Ws } from "ws";
import { Relay, root } from "../web/harness.ts";
import { atEnd, newFolder, openSpace } from "./ends.ts";

const webSocket = Ws as unknown as typeof WebSocket;

interface Line {
  event: string;
  [name: string]: unknown;
}

/** A process, with what it has said. */
class Validator {
  readonly #process: ChildProcess;
  readonly lines: Line[] = [];
  said = "";

  constructor(t: TestContext, args: string[], env: Record<string, string> = {}) {
    this.#process = spawn(process.execPath, [join(root, "pkg/cli.js"), ...args], { env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "pipe"] });
    atEnd(t, () => this.#process.kill("SIGKILL"));
    createInterface({ input: this.#process.stdout as NodeJS.ReadableStream }).on("line", (line) => {
      this.said += line;
      if (line.startsWith("{")) this.lines.push(JSON.parse(line));
    });
    this.#process.stderr?.on("data", (bytes) => (this.said += String(bytes)));
  }

  async line(event: string, fits: (line: Line) => boolean = () => true): Promise<Line> {
    const deadline = Date.now() + 60_000;
    for (;;) {
      const line = this.lines.find((line) => line.event === event && fits(line));
      if (line) return line;
      assert.ok(Date.now() < deadline, `${event}: ${this.said}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  async ended(signal?: NodeJS.Signals): Promise<number | null> {
    const exit = once(this.#process, "exit");
    if (signal) this.#process.kill(signal);
    const [code] = await exit;
    return code;
  }
}

test("a validator of its own joins, makes blocks, ends, and goes on where it was", { timeout: 180_000 }, async (t) => {
  const relay = await Relay.start({ after: (end) => atEnd(t, end) });
  const owner = await openSpace(t, { webSocket, relay: relay.url });
  const [invite, dir] = [await owner.invite(), await newFolder(t)];
  const args = ["validate", "--dir", dir, "--relay", relay.url];
  const first = new Validator(t, [...args, "--invite", invite]);
  const { member, space } = await first.line("open");
  assert.equal(space, owner.id);
  await first.line("sync", ({ status }) => status === "live");
  await first.line("asked", ({ validator }) => validator === false);
  await owner.audit.configure({ validators: [member as string], blockTimeMs: 50 }).saved("relay");
  await owner.transact(() => owner.getMap("m").set("key", 1)).saved("final", { signal: AbortSignal.timeout(60_000) });
  await first.line("asked", ({ validator }) => validator === true);
  await first.line("block", ({ height }) => height === 1);
  assert.equal(await first.ended("SIGTERM"), 0);
  assert.equal(first.lines.at(-1)?.event, "close");
  const second = new Validator(t, args);
  assert.equal((await second.line("open"))["member"], member, "who it was");
  await owner.transact(() => owner.getMap("m").set("key", 2)).saved("final", { signal: AbortSignal.timeout(60_000) });
  await second.line("block", ({ height }) => (height as number) > 1);
  assert.equal(await second.ended("SIGINT"), 0);
  for (const { said } of [first, second]) assert.ok(!said.includes(invite) && !said.includes(invite.slice(-40)), "no secret is said");
  assert.equal((await owner.audit.verify()).fault, undefined);
});

test("what it cannot do it says, and ends", { timeout: 60_000 }, async (t) => {
  const dir = await newFolder(t);
  const wrong: [string[], RegExp][] = [
    [[], /the one command/],
    [["serve"], /the one command/],
    [["validate", "--relay", "ws://127.0.0.1:1/v1"], /--dir is missing/],
    [["validate", "--dir", dir], /--relay is missing/],
    [["validate", "--dir", dir, "--relay", "ws://127.0.0.1:1/v1"], /no space in this folder/],
    [["validate", "--secret=s3cret", "--dir", dir], /usage/],
  ];
  for (const [args, expected] of wrong) {
    const validator = new Validator(t, args);
    assert.equal(await validator.ended(), 2, args.join(" "));
    assert.match(validator.said, expected);
    assert.doesNotMatch(validator.said, /s3cret/);
  }
  const refused = new Validator(t, ["validate", "--dir", dir, "--relay", "ws://127.0.0.1:1/v1"], { STEMMA_INVITE: "no link" });
  assert.equal(await refused.ended(), 1);
  assert.deepEqual(refused.lines.map(({ event, code }) => [event, code]), [["error", "E_INVITE"]]);
});
