// What is said of a cell, and of many: the same words and digits as in `leukoscope predict`'s table.

export const MARKS = ["blast", "normal", "review"];
export const LETTER = { blast: "B", normal: "N", review: "R" };
export const WORD = { blast: "blast", normal: "normal", review: "unsure" };

/** How a cell is called at a threshold and a coverage; null: it could not be read, or is not called yet. */
export function callOf(row, { threshold, coverage }) {
  if (row.probability === null || row.probability === undefined) return null;
  if (row.certainty < coverage) return "review";
  return row.probability >= threshold ? "blast" : "normal";
}

/** The order in which the command names what lies in a folder: its files, then its folders. */
export function byPath(one, other) {
  const left = one.path.split("/"), right = other.path.split("/");
  for (let level = 0; ; level++) {
    const last = [left.length - 1 === level, right.length - 1 === level];
    if (last[0] !== last[1]) return last[0] ? -1 : 1;
    if (left[level] !== right[level]) return left[level] < right[level] ? -1 : 1;
    if (last[0]) return 0;
  }
}

export const ORDERS = {
  probability: (row) => -(row.probability ?? -1),
  certainty: (row) => row.certainty ?? 2,
  path: () => 0,
};

const COLUMNS = ["path", "subject", "probability", "call", "certainty", "flags", "reason"];

/** The table of calls as CSV, in the order of paths, with the reviewer's calls and what the model's were made at. */
export function csv(rows, settings) {
  const lines = [[...COLUMNS, "reviewer", "threshold", "coverage"]];
  for (const row of [...rows].sort(byPath)) {
    const told = { ...row, call: callOf(row, settings) };
    lines.push([...COLUMNS.map((name) => told[name]), row.mark && WORD[row.mark], settings.threshold, settings.coverage]);
  }
  return lines.map((line) => line.map(field).join(",") + "\n").join("");
}

function field(value) {
  if (value === null || value === undefined) return "";
  // A text that a spreadsheet would take for a formula is marked as text, as Python's tables are.
  const text = typeof value === "number" ? number(value) : value.replace(/^('*[=+\-@\t\r\n])/, "'$1");
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** A number as Python writes it: as many digits as tell it from all others, an exponent below 1e-4. */
export function number(value) {
  if (Number.isInteger(value)) return value.toFixed(1);
  if (Math.abs(value) >= 1e-4) return String(value);
  return value.toExponential().replace(/e-(\d)$/, "e-0$1");
}
