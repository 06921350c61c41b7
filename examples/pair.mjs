// Two people with a space in common, for the examples: they work apart until they meet.

import { open } from "stemma";

export async function pair() {
  const ada = await open({ name: "ada", storage: "memory" });
  const bob = await open({ name: "bob", storage: "memory", invite: await ada.invite() });

  /** Joins the two by a line, until both show the same. */
  async function meet() {
    ada.flush();
    bob.flush();
    const { port1, port2 } = new MessageChannel();
    const ends = [ada.sync.attach(port1), bob.sync.attach(port2)];
    while (ada.viewDigest() !== bob.viewDigest()) await new Promise((resolve) => setTimeout(resolve, 5));
    for (const end of ends) end();
    if (ada.stateHash() !== bob.stateHash()) throw new Error("they show different things");
  }

  const close = () => Promise.all([ada.close(), bob.close()]);
  await meet();
  return { ada, bob, meet, close };
}
