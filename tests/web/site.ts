// The built site over a real relay, and what a visitor's hands do there.

import { join } from "node:path";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { build } from "vite";
import { type Owner, Relay, launchBrowser, root, servePages } from "./harness.ts";

export interface Visit {
  path?: string;
  /** Another server than the site's own. */
  origin?: string;
  /** What is there once the page is ready. */
  ready?: string;
  width?: number;
  /** Gets every frame, from the browser's debugger and not from the page. */
  wire?: Buffer[];
}

export interface Visited {
  page: Page;
  context: BrowserContext;
  /** Errors of the console and uncaught ones; violations of the content security policy are among them. */
  complaints: string[];
}

/** A site with a relay and a browser of its own. */
export class Site {
  readonly origin: string;
  readonly #browser: Browser;
  readonly #relay: Relay;

  private constructor(origin: string, browser: Browser, relay: Relay) {
    this.origin = origin;
    this.#browser = browser;
    this.#relay = relay;
  }

  static async start(owner: Owner): Promise<Site> {
    await build({ root: join(root, "www"), logLevel: "warn" });
    const browser = await launchBrowser(owner);
    const relay = await Relay.start(owner);
    return new Site(await servePages(owner, { "/": "www/dist" }), browser, relay);
  }

  /** A new browser profile on the site, or on another one. */
  async visit(owner: Owner, visit: Visit = {}): Promise<Visited> {
    const context = await this.#browser.newContext({ viewport: { width: visit.width ?? 1280, height: 844 } });
    owner.after(() => context.close());
    await context.addInitScript(() => {
      const shifts: number[] = [];
      Object.assign(globalThis, { shifts });
      new PerformanceObserver((list) => {
        for (const entry of list.getEntries() as (PerformanceEntry & { value: number; hadRecentInput: boolean })[]) {
          if (!entry.hadRecentInput) shifts.push(entry.value);
        }
      }).observe({ type: "layout-shift", buffered: true });
    });
    const complaints: string[] = [];
    const url = new URL(visit.path ?? "/", visit.origin ?? this.origin);
    if (!url.searchParams.has("relay")) url.searchParams.set("relay", this.#relay.url);
    const page = await this.openPage(context, url.href, complaints, visit.wire);
    await page.locator(visit.ready ?? READY).waitFor();
    context.setDefaultTimeout(10_000);
    return { page, context, complaints };
  }

  /** What a picture shows: red, green, blue and alpha of each pixel. */
  async pixelsOf(picture: Buffer): Promise<{ pixels: Uint8ClampedArray; width: number; height: number }> {
    const context = await this.#browser.newContext();
    const page = await context.newPage();
    const { rgba, width, height } = await page.evaluate(async (base64) => {
      const bytes = Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
      const image = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
      const { width, height } = image;
      const canvas = new OffscreenCanvas(width, height).getContext("2d") as OffscreenCanvasRenderingContext2D;
      canvas.drawImage(image, 0, 0);
      const { data } = canvas.getImageData(0, 0, width, height);
      return { rgba: btoa(data.reduce((text, byte) => text + String.fromCharCode(byte), "")), width, height };
    }, picture.toString("base64"));
    await context.close();
    return { pixels: Uint8ClampedArray.from(Buffer.from(rgba, "base64")), width, height };
  }

  async openPage(context: BrowserContext, url: string, complaints: string[], wire?: Buffer[]): Promise<Page> {
    const page = await context.newPage();
    page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
    page.on("pageerror", (error) => complaints.push(error.message));
    page.on("websocket", (socket) => {
      for (const event of ["framesent", "framereceived"] as const) {
        socket.on(event as "framesent", ({ payload }) => wire?.push(Buffer.from(payload)));
      }
    });
    await page.goto(url);
    return page;
  }
}

/** All replicas are open, and the log is wired. */
export const READY = "#log:not([aria-busy])";

/** Types at the start of the text, as a person would. */
export async function type(page: Page, pane: string, words: string): Promise<void> {
  await page.click(`#${pane} .cm-content`);
  await page.keyboard.press("Control+Home");
  await page.keyboard.type(words);
}

/** Acts as somebody from now on. On a phone that is the pane that shows. */
export async function actAs(page: Page, pane: string): Promise<void> {
  await page.check(`#acting input[value=${pane}]`);
}

export async function addFact(page: Page, pane: string, key: string, value: string): Promise<void> {
  await page.fill(`#${pane} input[name=key]`, key);
  await page.fill(`#${pane} input[name=value]`, value);
  await page.click(`#${pane} .facts-add button`);
}

export async function setFact(page: Page, pane: string, key: string, value: string): Promise<void> {
  const field = page.locator(`#${pane} [aria-label='Value of ${key}']`);
  await field.fill(value);
  await field.press("Enter");
}

export async function fact(page: Page, pane: string, key: string): Promise<string> {
  return page.inputValue(`#${pane} [aria-label='Value of ${key}']`);
}

export async function textOf(page: Page, pane: string): Promise<string> {
  return (await page.locator(`#${pane} .cm-line`).allTextContents()).join("\n");
}

export async function shows(page: Page, pane: string, words: string): Promise<void> {
  await page.locator(`#${pane} .cm-content`, { hasText: words }).waitFor();
}

export async function badges(page: Page, pane: string, words: string[]): Promise<void> {
  await page.waitForFunction(
    ([pane, words]) =>
      [...document.querySelectorAll(`#${pane} .badge b`)].map((badge) => badge.textContent).join() === words,
    [pane, words.join()] as const,
  );
}
