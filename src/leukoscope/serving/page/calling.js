// Calling cells: some files at a time go to the server, and what it says is kept.

import { ask, Problem } from "./api.js";
import { byId, count, say } from "./dom.js";
import { keep } from "./keep.js";
import { cut } from "./pictures.js";
import { called, changed, list } from "./worklist.js";

const TOGETHER = 16; // files of a request
const REQUESTS = 2; // at once: one is computed while the other is sent
const SMALL = 192; // side of the pictures in the grid

let calling = null;

export const stop = () => calling?.abort();

/** Send what is not called yet to the server, and keep what it says. */
export async function callAll() {
  if (calling) return;
  calling = new AbortController();
  byId("problem").hidden = true;
  const { signal } = calling;
  const begun = performance.now(), before = list.rows.filter(called).length;
  const next = () => {
    const some = list.rows.filter((row) => !called(row) && row.file && !row.sent).slice(0, TOGETHER);
    for (const row of some) row.sent = true;
    return some;
  };
  const worker = async () => {
    for (let some = next(); some.length; some = next()) {
      await callSome(some, signal);
      progress(begun, before);
    }
  };
  progress(begun, before);
  byId("calling").hidden = false;
  try {
    await Promise.all(Array.from({ length: REQUESTS }, worker));
  } catch (error) {
    calling.abort();
    if (error.name !== "AbortError") problem(error instanceof Problem ? error.message : String(error));
  }
  for (const row of list.rows) delete row.sent;
  calling = null;
  byId("calling").hidden = true;
  changed();
  const left = list.rows.filter((row) => !called(row)).length;
  say(left ? `${count(left)} cells are not called yet` : `${count(list.rows.length)} cells are called`);
  if (left && byId("problem").hidden) problem(`Stopped: ${count(left)} cells are not called yet.`);
}

async function callSome(rows, signal) {
  const body = new FormData();
  for (const row of rows) body.append("files", row.file, row.path);
  const [{ calls }, ...smalls] = await Promise.all([
    ask("/v1/predict", { body, signal }),
    ...rows.map((row) => cut(row.file, list.model.window, SMALL)),
  ]);
  rows.forEach((row, place) => {
    const { subject, probability, certainty, flags, reason } = calls[place];
    Object.assign(row, { subject, probability, certainty, flags, reason, small: smalls[place] });
    delete row.sent;
  });
  await keep(rows);
  changed();
}

function progress(begun, before) {
  const all = list.rows.length, done = list.rows.filter(called).length;
  const rate = (done - before) / ((performance.now() - begun) / 1000);
  Object.assign(byId("progress"), { max: all, value: done });
  const left = rate && done < all ? `, ${Math.ceil((all - done) / rate)} s left` : "";
  byId("progress-text").textContent = `${count(done)} of ${count(all)} called${left}`;
}

/** Say what went wrong; what was not called can be tried again. */
export function problem(words) {
  byId("problem-text").textContent = words;
  byId("problem").hidden = false;
  byId("retry").hidden = !list.rows.some((row) => !called(row) && row.file);
}
