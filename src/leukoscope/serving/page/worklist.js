// The worklist: its cells, how they are looked at, and what the person says of them.

import { byPath, callOf, ORDERS, WORD } from "./calls.js";
import { keep, keepSettings } from "./keep.js";

export const list = {
  model: null,
  rows: [], // path, size, modified, file, subject, probability, certainty, flags, reason, small, mark, tile
  settings: null, // threshold, coverage
  view: { show: "all", subject: "", order: "probability" },
  chosen: null,
  passedOver: 0,
};

const undone = []; // what `undo` puts back: [row, mark]
const watchers = new Set();

/** Call `watcher` whenever what is shown may have changed. */
export const watch = (watcher) => watchers.add(watcher);
export const changed = () => watchers.forEach((watcher) => watcher());

export const SHOWS = {
  all: ["All", () => true],
  blast: ["Blast", (row) => call(row) === "blast"],
  normal: ["Normal", (row) => call(row) === "normal"],
  review: ["For review", (row) => call(row) === "review"],
  flagged: ["Flagged", (row) => Boolean(row.flags)],
  unreadable: ["Unreadable", (row) => Boolean(row.reason)],
  unmarked: ["Not reviewed by you", (row) => !row.mark],
  differs: ["You differ", (row) => Boolean(row.mark) && row.mark !== call(row)],
};

export const call = (row) => callOf(row, list.settings);
export const called = (row) => row.probability !== undefined;

/** The cells that are to be shown, in their order. */
export function shown() {
  const { show, subject, order } = list.view;
  const fits = SHOWS[show][1], rank = ORDERS[order];
  return list.rows
    .filter((row) => called(row) && fits(row) && (!subject || row.subject === subject))
    .sort((one, other) => rank(one) - rank(other) || byPath(one, other));
}

/** Record the person's call of a cell, or take it back with null. */
export function mark(row, value) {
  undone.push([row, row.mark ?? null]);
  put(row, value);
}

/** Put back what was recorded last; returns its cell, null if there is none. */
export function undo() {
  const last = undone.pop();
  if (!last) return null;
  put(...last);
  return last[0];
}

export const canUndo = () => undone.length > 0;

// Nothing waits for the browser's database: the next key may come at once, and is for the next cell.
function put(row, value) {
  row.mark = value;
  keep([row]);
  changed();
}

export function set(settings) {
  Object.assign(list.settings, settings);
  keepSettings(list.settings);
  changed();
}

/** What is known of a threshold on the people by whom the model was settled. */
export function point(threshold) {
  const { points, curve } = list.model;
  return [...points, ...curve].find((one) => one.threshold === threshold);
}

/** A cell in words, for who does not see it. */
export function words(row) {
  const parts = [row.path.split("/").at(-1)];
  parts.push(row.reason ? "unreadable" : `${call(row)}, probability of blast ${row.probability.toFixed(2)}`);
  if (row.flags) parts.push(`flagged: ${row.flags}`);
  if (row.mark) parts.push(`your call: ${WORD[row.mark]}`);
  return parts.join("; ");
}
