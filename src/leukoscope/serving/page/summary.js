// One page to print: the worklist by subject, as the server counts it, with what the person said.

import { ask } from "./api.js";
import { MARKS } from "./calls.js";
import { byId, count, element } from "./dom.js";
import { call, called, list, SHOWS } from "./worklist.js";

export async function summarise() {
  const { threshold, coverage } = list.settings;
  const rows = list.rows.filter(called);
  const cells = rows.map((row) => ({ subject: row.subject, probability: row.probability, call: call(row) }));
  const table = await ask("/v1/subjects", { body: { threshold, cells } });
  const told = new Map(table.map((line) => [line.subject, line]));
  const groups = Map.groupBy(rows, (row) => row.subject ?? "");
  const byName = new Intl.Collator(undefined, { numeric: true }).compare;
  const lines = [...groups].sort(([one], [other]) => byName(one, other)).map(([subject, some]) => line(subject || "unknown", some, told.get(subject)));
  if (groups.size > 1) lines.push(line("all", rows));
  byId("summary-rows").replaceChildren(...lines);
  byId("summary-how").textContent =
    `${new Date().toLocaleString()}. ${count(rows.length)} cells by the model ${list.model.name} ` +
    `(bundle ${list.model.bundle.slice(0, 12)}, engine ${list.model.engine}); blast from a probability of ${threshold.toFixed(2)}` +
    (coverage ? `, for review at a coverage of ${coverage.toFixed(2)}.` : ", none left for review.") +
    (list.model.phantom ? " Trained on phantom cells: this says nothing about patients." : "");
  byId("summary").showModal();
}

function line(subject, rows, told) {
  const number = (fits) => count(rows.filter(fits).length);
  const marks = MARKS.map((mark) => number((row) => row.mark === mark));
  const values = [
    subject, count(rows.length),
    ...[...MARKS, "flagged", "unreadable"].map((name) => number(SHOWS[name][1])),
    share(told),
    rows.some((row) => row.mark) ? marks.join(" / ") : "–",
  ];
  const made = document.createElement("tr");
  made.append(...values.map((value, place) => element(place ? "td" : "th", value)));
  made.firstChild.scope = "row";
  return made;
}

function share(told) {
  if (told?.blast_share == null) return "–";
  const { blast_share: share, blast_share_low: low, blast_share_high: high } = told;
  return `${percent(share)} (${low === null ? "interval unknown" : `${percent(low)} to ${percent(high)}`})`;
}

const percent = (share) => `${(100 * share).toFixed(0)} %`;
