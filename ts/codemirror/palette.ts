/**
 * Colours of people: one lightness and twenty-four angles, so that each can be told from paper by day and by night, and black
 * reads on each. As classes, for a content security policy may forbid the `style` of an element.
 */

import type { Extension } from "@codemirror/state";
import { EditorView } from "@codemirror/view";

/** The class of an angle. It gives `--stemma-color` to what is inside. */
export function hueClass(hue: number): string {
  return `cm-stemma-hue-${Math.round(hue / STEP) % STEPS}`;
}

const STEPS = 24;
const STEP = 360 / STEPS;

const colors = Array.from({ length: STEPS }, (_, step) => [`.cm-stemma-hue-${step}`, { "--stemma-color": `oklch(0.64 0.13 ${step * STEP})` }] as const);

export const palette: Extension = EditorView.baseTheme(Object.fromEntries(colors));
