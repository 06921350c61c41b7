/** The dialog that lets another window or a phone in: the link, and the link as a QR code. */
import type { Space } from "stemma";
import { inviteLink } from "./config.ts";
import { byId } from "./dom.ts";

/** Wires it to the space that invites. */
export function wireJoin(space: Space): void {
  const [opener, dialog, field] = [byId<HTMLButtonElement>("join-open"), byId<HTMLDialogElement>("join"), byId<HTMLInputElement>("join-link")];
  const copied = byId("join-copied");
  const copy = async () => {
    field.select();
    const done = await navigator.clipboard?.writeText(field.value).then(() => true, () => false);
    copied.textContent = done ? "Copied" : "Copy it by hand";
  };
  byId("join-here").hidden = !LOOPBACK.test(location.hostname);
  opener.disabled = false;
  opener.addEventListener("click", async () => {
    const expires = new Date(Date.now() + DAY_MS);
    field.value = inviteLink(await space.invite({ role: "writer", uses: 5, expires }));
    byId<HTMLAnchorElement>("join-go").href = field.value;
    copied.textContent = "";
    const { showCode } = await import("./qr.ts");
    showCode(byId("join-code"), field.value);
    dialog.showModal();
    await copy();
  });
  byId("join-copy").addEventListener("click", copy);
  byId("join-close").addEventListener("click", () => dialog.close());
}

/** No other device reaches this page there. */
const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;
const DAY_MS = 24 * 60 * 60 * 1000;
