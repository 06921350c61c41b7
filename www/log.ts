/**
 * The log below the panes, as the member sees it for whom one acts: choosing in it shows what would be, in that member's pane.
 *
 * Invariant: looking writes nothing. Of the views that a choice opens none stays open once something else is chosen.
 */
import type { ChangesetInfo, Write } from "stemma";
import { Card, type CardState } from "./card.ts";
import { type Choice, type Seen, type Trial, clock, described, trialOf, whose } from "./choice.ts";
import { review } from "./demo.ts";
import { byId, say } from "./dom.ts";
import { type Mark, marksOf } from "./marks.ts";
import { type Pane, messageOf } from "./pane.ts";
import { type Lane, Strip } from "./strip.ts";
import { banOf, said, trustIn } from "./words.ts";

export class Log {
  readonly #panes: readonly Pane[];
  readonly #nameOf: (member: string) => string;
  readonly #strip: Strip;
  readonly #card: Card;
  readonly #review = byId<HTMLInputElement>("review");
  readonly #waiting = byId<HTMLButtonElement>("waiting");
  #acting: Pane | undefined;
  #marks: readonly Mark[] = [];
  #choice: Choice | undefined;
  #trial: Trial | undefined;
  #pointed: Mark | undefined;
  #done: { words: string; undo?: () => void } | undefined;
  #round = 0;

  constructor(panes: readonly Pane[], nameOf: (member: string) => string) {
    this.#panes = panes;
    this.#nameOf = nameOf;
    this.#strip = new Strip(byId("strip"), {
      choose: (mark) => this.#pick(mark),
      point: (mark) => {
        this.#pointed = mark;
        this.#showCard();
      },
      ban: (member) => this.#chooseBan(member),
      trust: (member) => this.#chooseTrust(member),
      travel: (time) => this.#choose(time === undefined ? undefined : { kind: "time", time, policy: this.#choice?.kind === "time" ? this.#choice.policy : "now" }),
    });
    const leave = () => this.#strip.focus(this.#choice?.kind === "mark" ? this.#choice.id : undefined);
    this.#card = new Card(
      {
        act: () => this.#act(),
        undo: () => this.#done?.undo?.(),
        back: () => this.#back(),
        dependents: (dependents) => this.#choice?.kind === "mark" && this.#choose({ ...this.#choice, dependents }),
        trust: (weight) => this.#choice?.kind === "trust" && this.#choose({ ...this.#choice, weight }),
        scope: (scope) => this.#choice?.kind === "ban" && this.#choose({ ...this.#choice, scope }),
        policy: (policy) => this.#choice?.kind === "time" && this.#choose({ ...this.#choice, policy }),
      },
      leave,
    );
    this.#review.addEventListener("change", () => {
      const pane = this.#acting;
      pane?.sign(() => review(pane.space, this.#review.checked));
      this.#choose(undefined);
      void this.#read();
    });
    this.#waiting.addEventListener("click", () => {
      const first = this.#marks.find(({ status }) => status === "waits");
      if (!first) return;
      this.#choose({ kind: "mark", id: first.id, dependents: false });
      byId("card-act").focus({ preventScroll: true });
    });
    byId("demo").addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !this.#choice) return;
      this.#back();
    });
  }

  /** Whoever wrote something of what the log shows. */
  get members(): ReadonlySet<string> {
    return new Set(this.#marks.map(({ member }) => member));
  }

  /** From now on the log is this pane's; resolves when it shows. */
  actAs(pane: Pane): Promise<void> {
    this.#leaveTrial();
    this.#choice = undefined;
    this.#done = undefined;
    this.#acting = pane;
    for (const one of this.#panes) one.setActing(one === pane);
    say(byId("log-name"), pane.name);
    return this.#read();
  }

  /** Looks at what it would be like without a payment, or with it again, in a pane that is acted as. */
  consider(entry: string): void {
    this.#choose({ kind: "entry", id: entry });
    // The button that was pressed is under the glass now.
    byId("card-act").focus({ preventScroll: true });
  }

  /** Something is otherwise at a pane. */
  refresh(pane: Pane): void {
    if (pane === this.#acting) void this.#read();
  }

  async #read(): Promise<void> {
    const pane = this.#acting;
    const round = ++this.#round;
    if (!pane || pane.isClosed) return;
    try {
      const history: ChangesetInfo[] = [];
      for await (const info of pane.space.history()) history.push(info);
      if (round !== this.#round || pane.isClosed) return;
      const { policy } = pane.space;
      const waiting = new Set(policy.inbox().map(({ id }) => id));
      this.#marks = marksOf(history, policy.entries(), waiting).slice(-DRAWN_MAX);
      this.#showReview(policy.mode === "review");
      this.#think();
    } catch (error) {
      if (!pane.isClosed) pane.notice(messageOf(error));
    }
  }

  #showReview(isOn: boolean): void {
    this.#review.disabled = false;
    this.#review.checked = isOn;
    const count = this.#marks.filter(({ status }) => status === "waits").length;
    this.#waiting.disabled = count === 0;
    this.#waiting.hidden = !isOn;
    say(this.#waiting, count === 0 ? "nothing waits" : count === 1 ? "1 waits" : `${count} wait`);
  }

  get #seen(): Seen | undefined {
    const pane = this.#acting;
    return pane && { space: pane.space, name: pane.name, marks: this.#marks, nameOf: this.#nameOf };
  }

  #pick(mark: Mark): void {
    const choice = this.#choice;
    if (choice?.kind === "ban" && choice.member === mark.member && mark.words.length === 0) {
      this.#choose({ ...choice, scope: "since", point: mark.id });
    } else if (choice?.kind === "mark" && choice.id === mark.id) {
      this.#back();
    } else {
      this.#choose({ kind: "mark", id: mark.id, dependents: false });
    }
  }

  #chooseBan(member: string): void {
    if (this.#choice?.kind === "ban" && this.#choice.member === member) return this.#back();
    const chosen = this.#choice?.kind === "mark" ? this.#choice.id : undefined;
    const own = this.#marks.filter((mark) => mark.member === member && mark.words.length === 0);
    const point = own.find(({ id }) => id === chosen) ?? own.at(-1);
    this.#choose({ kind: "ban", member, scope: "all", point: point?.id });
  }

  #chooseTrust(member: string): void {
    const space = this.#acting?.space;
    if (!space || (this.#choice?.kind === "trust" && this.#choice.member === member)) return this.#back();
    this.#choose({ kind: "trust", member, weight: trustIn(space, member) === 0 ? 1 : 0 });
  }

  #choose(choice: Choice | undefined): void {
    this.#choice = choice;
    this.#done = undefined;
    this.#think();
  }

  #back(): void {
    const choice = this.#choice;
    this.#choose(undefined);
    if (choice?.kind === "mark") this.#strip.focus(choice.id);
    if (choice?.kind === "entry") this.#acting?.focusPayment(choice.id);
  }

  /** Tries what is chosen, and draws all of it. */
  #think(): void {
    this.#leaveTrial();
    const [pane, seen] = [this.#acting, this.#seen];
    if (!pane || !seen || pane.isClosed) return;
    try {
      this.#trial = this.#choice && trialOf(this.#choice, seen);
    } catch (error) {
      pane.notice(messageOf(error));
    }
    if (!this.#trial) this.#choice = undefined;
    if (this.#trial?.view) pane.glass.show(this.#trial.title, pane.space, this.#trial.view, this.#trial.changes, this.#panes.map(({ space }) => space.me), this.#nameOf);
    else pane.glass.hide();
    this.#showStrip(pane, seen);
    this.#showCard();
  }

  #leaveTrial(): void {
    this.#trial?.view?.[Symbol.dispose]();
    this.#trial = undefined;
    this.#acting?.glass.hide();
  }

  #act(): void {
    const pane = this.#acting;
    const act = this.#trial?.act;
    if (!pane || !act) return;
    const { undo: own } = act;
    const undo = pane.sign(() => (own ? (act.say(), own) : said(pane.space, act.say).undo));
    this.#choice = undefined;
    this.#done = undo && { words: act.done, undo: () => this.#undo(pane, undo) };
    this.#think();
    void this.#read();
  }

  #undo(pane: Pane, undo: () => Write): void {
    const isDone = pane.sign(undo) !== undefined;
    this.#done = isDone ? { words: `Taken back. For ${pane.name} everything counts as before.` } : undefined;
    this.#showCard();
    void this.#read();
  }

  #showStrip(pane: Pane, seen: Seen): void {
    const choice = this.#choice;
    const members = new Set([...this.#panes.map(({ space }) => space.me), ...this.#marks.map(({ member }) => member)]);
    const lanes = [...members].map((member): Lane => {
      const isMe = member === pane.space.me;
      return { member, name: this.#nameOf(member), bannable: !isMe, isBanned: !isMe && banOf(pane.space, member) !== undefined, isTrusted: !isMe && trustIn(pane.space, member) > 0 };
    });
    this.#strip.show({
      lanes,
      marks: this.#marks,
      chosen: choice?.kind === "mark" ? choice.id : choice?.kind === "ban" && choice.scope === "since" ? choice.point : undefined,
      banning: choice?.kind === "ban" ? choice.member : undefined,
      trusting: choice?.kind === "trust" ? choice.member : undefined,
      time: choice?.kind === "time" ? choice.time : undefined,
      label: (mark) => `${whose(mark, seen)}. ${described(mark, seen)}`,
      clock,
    });
  }

  #showCard(): void {
    const seen = this.#seen;
    if (seen) this.#card.show(this.#cardState(seen));
  }

  #cardState(seen: Seen): CardState {
    const [choice, trial] = [this.#choice, this.#trial];
    if (choice && trial) {
      const { title, words, act, dependents } = trial;
      const isBan = choice.kind === "ban" && !banOf(seen.space, choice.member);
      const point = choice.kind === "ban" ? this.#marks.find(({ id }) => id === choice.point) : undefined;
      return {
        title,
        words,
        back: choice.kind === "time" ? "Back to now" : "Leave it",
        ...(act && { act: act.label }),
        ...(dependents && choice.kind === "mark" && { dependents: { words: dependents, on: choice.dependents } }),
        ...(isBan && { scope: { value: choice.scope, since: point && clock(point.from) } }),
        ...(choice.kind === "trust" && { trust: choice.weight }),
        ...(choice.kind === "time" && { policy: choice.policy }),
      };
    }
    const canUndo = this.#done?.undo !== undefined;
    if (this.#pointed) return { title: whose(this.#pointed, seen), words: described(this.#pointed, seen), isHint: true, canUndo };
    if (this.#done) return { title: "Signed and kept", words: this.#done.words, canUndo };
    return { title: "Choose whom to believe", words: IDLE };
  }
}

const IDLE = "Each mark is a burst of work. Point at one to see who signed it, press it to see the note without it, or move the slider to see the past.";
/** Marks beyond the newest ones are not drawn. */
const DRAWN_MAX = 240;
