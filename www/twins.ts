/** Somebody who signs two stories: in a space of its own, made and closed here, whose members are this page alone. */
import { type Evidence, type Space, open } from "stemma";
import { Disk } from "./disk.ts";

/** What the others find. */
export interface Caught {
  readonly evidence: Evidence;
  /** The two stories, as one who got both reads them. */
  readonly reads: string;
  readonly state: string;
}

/** Writes, goes back to a backup of the disk, writes something else, and shows both to somebody. */
export async function signTwice(): Promise<Caught> {
  const disk = Disk.empty();
  await using judge = await open({ name: "demo-judge", storage: "memory" });
  const invite = await judge.invite();
  const first = await open({ name: "demo-liar", storage: disk, invite });
  first.getMap("debts").set("taxi", "I owe you 20");
  await first.flush().saved("local");
  await first.close();
  const backup = disk.copy();
  for (const [storage, words] of [[disk, "paid back 5"], [backup, "paid back 20"]] as const) {
    await using liar = await open({ name: "demo-liar", storage });
    liar.getMap("debts").set("rest", words);
    await liar.flush().saved("local");
    await judge.import(await liar.export());
  }
  const evidence = await told(judge);
  const [actor = ""] = evidence.actors;
  const reads = judge.getMap("debts").conflicts("rest").join(" · ") || "nothing of what came after";
  return { evidence, reads, state: judge.audit.reputation(actor).state };
}

/** Members wait some seconds before they tell of evidence, for one of them is enough. */
async function told(judge: Space): Promise<Evidence> {
  for (const begun = performance.now(); performance.now() - begun < PATIENCE_MS; ) {
    const [evidence] = judge.audit.evidence();
    if (evidence) return evidence;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error("no evidence was found");
}

const PATIENCE_MS = 20_000;
