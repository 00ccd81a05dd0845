// The page: what a person does, and what follows.

import { ask } from "./api.js";
import { callAll, problem, stop } from "./calling.js";
import { csv, WORD } from "./calls.js";
import * as detail from "./detail.js";
import { byId, count, element, say } from "./dom.js";
import { along, arrange, at, choose, columns, placeOf } from "./grid.js";
import * as store from "./keep.js";
import { gather } from "./pictures.js";
import { summarise } from "./summary.js";
import { called, canUndo, changed, list, mark, point, set, SHOWS, undo, watch } from "./worklist.js";

const on = (id, event, action) => byId(id).addEventListener(event, action);

// ---------------------------------------------------------------- start

let kept; // the review that is offered back; undefined until the browser's database is open

async function start() {
  byId("host").textContent = location.host;
  list.model = await ask("/v1/model");
  const { name, networks, engine, phantom, points, coverage, most_coverage: most } = list.model;
  byId("model").textContent = `${name} · ${networks.length > 1 ? `${networks.length} × ` : ""}${networks[0]} · ${engine}`;
  byId("phantom").hidden = !phantom;
  list.settings = { threshold: points[0].threshold, coverage };
  for (const one of points) byId("point").append(new Option(`${one.name} (${one.threshold.toFixed(2)})`, one.threshold));
  byId("point").append(new Option("another", ""));
  byId("coverage-field").hidden = !most;
  Object.assign(byId("coverage"), { min: 0.5, max: most });
  shows();
  about();
  watch(soon);
  await store.open(list.model.bundle);
  kept = await store.kept();
  const { rows } = kept;
  byId("kept").hidden = !rows.length;
  byId("kept-text").textContent =
    `${count(rows.length)} cells, ${count(rows.filter((row) => row.mark).length)} reviewed by you.`;
}

/** Show the worklist. What was kept goes on in it, also where cells are dropped at once: none of it is written over. */
function work() {
  if (byId("work").hidden) {
    list.rows = kept.rows;
    Object.assign(list.settings, kept.settings);
  }
  byId("start").hidden = true;
  byId("work").hidden = false;
  changed();
}

function shows() {
  for (const [name, [words]] of Object.entries(SHOWS)) {
    const label = document.createElement("label");
    label.innerHTML = '<input type="radio" name="show"><i></i><span></span><output></output>';
    label.querySelector("input").value = name;
    label.querySelector("input").checked = name === list.view.show;
    label.querySelector("i").dataset.call = name;
    label.querySelector("span").textContent = words;
    byId("show").append(label);
  }
}

// ---------------------------------------------------------------- taking

let adding = Promise.resolve(); // one drop after the other

async function take(items) {
  const gathered = gather(items); // at once: a drop's items are gone after its event
  const added = adding.then(() => add(gathered));
  adding = added.catch(() => {});
  if (await added) await callAll();
}

/** Add pictures to the worklist, but for those that it has already; tell whether there were any. */
async function add(gathered) {
  const { pictures, others } = await gathered;
  if (!pictures.length) problem(`No picture was among them${others ? `, but ${count(others)} other files` : ""}.`);
  if (!pictures.length) return false;
  await ready;
  if (!kept) return false; // why is said already
  work();
  list.passedOver += others;
  const known = new Map(list.rows.map((row) => [row.path, row]));
  for (const [path, file] of pictures) {
    let name = path;
    for (let copy = 2; known.has(name) && !(await same(known.get(name), file)); copy++) name = `${path} (${copy})`;
    const row = known.get(name) ?? { path: name, size: file.size, modified: file.lastModified };
    if (!known.has(name)) list.rows.push(row);
    row.file = file;
    known.set(name, row);
  }
  changed();
  return true;
}

/** Whether a file of a row's name is the row's: by size and date, and by content while that is at hand. */
async function same(row, file) {
  if (row.size !== file.size || row.modified !== file.lastModified) return false;
  if (!row.file) return true; // of a review that was kept
  try {
    const [one, other] = await Promise.all([row.file, file].map(async (each) => new Uint8Array(await each.arrayBuffer())));
    return one.every((byte, place) => byte === other[place]);
  } catch {
    return true; // the one is gone from the disk: the other takes its place
  }
}

// ---------------------------------------------------------------- showing

let due = false;

/** Show the worklist anew, at most once a frame. */
function soon() {
  if (due) return;
  due = true;
  requestAnimationFrame(() => {
    due = false;
    show();
  });
}

function show() {
  arrange();
  const { threshold, coverage } = list.settings;
  const rows = list.rows.filter(called);
  for (const label of byId("show").querySelectorAll("label")) {
    const name = label.querySelector("input").value;
    const found = rows.filter((row) => SHOWS[name][1](row) && (!list.view.subject || row.subject === list.view.subject)).length;
    label.querySelector("output").textContent = count(found);
  }
  subjects(rows);
  byId("threshold").value = threshold;
  byId("threshold-value").textContent = threshold.toFixed(2);
  byId("point").value = list.model.points.some((one) => one.threshold === threshold) ? threshold : "";
  const told = point(threshold);
  byId("rates").textContent = `On people whom the model did not train on: sensitivity ${rate("sensitivity", told)}, specificity ${rate("specificity", told)}.`;
  byId("coverage").value = coverage;
  byId("coverage-value").textContent = coverage.toFixed(2);
  byId("coverage-text").textContent =
    `Of a new person's cells of each class, at least ${(100 * coverage).toFixed(0)} % are called rightly or left for review` +
    (threshold === list.model.points[0].threshold ? "." : `, where blasts are called from ${list.model.points[0].threshold.toFixed(2)}.`);
  byId("reviewed").textContent = `${count(rows.filter((row) => row.mark).length)} of ${count(rows.length)} reviewed by you`;
  byId("undo").disabled = !canUndo();
  byId("passed-over").textContent = list.passedOver ? `${count(list.passedOver)} other files in the folders are no pictures.` : "";
  if (detail.isOpen() && list.chosen) detail.show(list.chosen);
}

/** A share with its standard error over people, which a single one does not have. */
function rate(name, told, digits = 2) {
  const error = told[`${name}_error`];
  return told[name].toFixed(digits) + (error === null ? " (one person)" : ` ± ${error.toFixed(digits)}`);
}

function subjects(rows) {
  const names = [...new Set(rows.map((row) => row.subject).filter(Boolean))].sort(new Intl.Collator(undefined, { numeric: true }).compare);
  const select = byId("subject");
  byId("subject-field").hidden = !names.length;
  if (select.options.length === names.length + 1) return;
  select.replaceChildren(new Option(`all ${names.length} subjects`, ""), ...names.map((name) => new Option(name, name)));
  select.value = list.view.subject;
}

function about() {
  const { name, bundle, made_by, networks, people, most_coverage: most, points, card } = list.model;
  const facts = [
    ["name", name], ["bundle", bundle], ["made by", made_by], ["networks", networks.join(", ")],
    ["settled by", `people: ${people[0]} with normal cells, ${people[1]} with blasts`],
    ["coverage", most ? `up to ${most.toFixed(2)} can be promised` : "nothing is promised for new people"],
  ];
  byId("about-facts").replaceChildren(...facts.flatMap(([term, value]) => [element("dt", term), element("dd", value)]));
  byId("about-points").replaceChildren(...points.map((one) => {
    const line = document.createElement("tr");
    const both = ["sensitivity", "specificity"].map((kind) => rate(kind, one, 3));
    line.append(...[one.name, one.threshold.toFixed(3), ...both].map((value) => element("td", value)));
    return line;
  }));
  byId("about-card").hidden = !card;
  byId("about-card").textContent = (card ?? "").replace(/^---\n[^]*?\n---\n+/, ""); // without its front matter
}

// ---------------------------------------------------------------- doing

function record(value) {
  const row = list.chosen;
  if (!row) return;
  const place = placeOf(row);
  mark(row, value);
  arrange();
  say(value ? `${row.path}: ${WORD[value]}` : `${row.path}: your call is taken back`);
  if (value) choose(placeOf(row) < 0 ? at(place) : along(1), { focus: !byId("detail").contains(document.activeElement) });
}

function back() {
  const row = undo();
  if (!row) return;
  arrange();
  if (placeOf(row) >= 0) choose(row);
  say(`undone: ${row.path}`);
}

function go(steps) {
  const row = along(steps);
  if (!row) return;
  choose(row);
  if (detail.isOpen()) detail.show(row);
}

const KEYS = {
  b: () => record("blast"),
  n: () => record("normal"),
  r: () => record("review"),
  Delete: () => record(null),
  u: back,
  ArrowRight: () => go(1),
  ArrowLeft: () => go(-1),
  ArrowDown: () => go(columns()),
  ArrowUp: () => go(-columns()),
  Home: () => go(-Infinity),
  End: () => go(Infinity),
  Enter: () => list.chosen && detail.show(list.chosen),
  Escape: () => { detail.close(); choose(list.chosen); },
  "?": () => byId("help").showModal(),
};

document.addEventListener("keydown", (event) => {
  if (byId("work").hidden || document.querySelector("dialog[open]") || event.altKey || event.metaKey) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (event.ctrlKey) {
    if (key === "z") { event.preventDefault(); back(); }
    return;
  }
  // A slider or a list of choices has its own use for arrows and letters, a button for Enter.
  const own = event.target.closest("input, select") || (key === "Enter" && event.target.closest("button, a"));
  if (own && key !== "Escape") return;
  if (!(key in KEYS)) return;
  event.preventDefault();
  KEYS[key]();
});

on("grid", "click", (event) => {
  const tile = event.target.closest("li");
  if (!tile) return;
  choose(tile.row);
  detail.show(tile.row);
});
on("detail-close", "click", KEYS.Escape);
for (const button of byId("marks").children) button.addEventListener("click", () => record(button.ariaPressed === "true" ? null : button.dataset.mark));
on("undo", "click", back);

on("show", "change", (event) => { list.view.show = event.target.value; soon(); });
for (const id of ["subject", "order"]) on(id, "change", (event) => { list.view[id] = event.target.value; soon(); });
// As the curve has it: 0.07 is not 7 × 0.01.
on("threshold", "input", (event) => set({ threshold: Math.round(100 * event.target.value) / 100 }));
on("point", "change", (event) => event.target.value && set({ threshold: Number(event.target.value) }));
on("coverage", "input", (event) => set({ coverage: Math.round(100 * event.target.value) / 100 }));

for (const [id, input] of [["choose-files", "files"], ["add-files", "files"], ["choose-folder", "folder"], ["add-folder", "folder"]]) {
  on(id, "click", () => byId(input).click());
}
for (const id of ["files", "folder"]) {
  on(id, "change", async (event) => {
    await take(event.target.files);
    event.target.value = "";
  });
}
for (const event of ["dragenter", "dragover"]) {
  document.addEventListener(event, (dragged) => {
    dragged.preventDefault();
    document.body.classList.add("over");
  });
}
document.addEventListener("dragleave", (event) => event.relatedTarget || document.body.classList.remove("over"));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("over");
  take(event.dataTransfer.items);
});

document.addEventListener("unkept", ({ detail: why }) => {
  problem(`This browser cannot keep the review (${why}): export it before you leave the page.`);
});

on("stop", "click", stop);
on("retry", "click", callAll);
on("export", "click", () => {
  const rows = list.rows.filter(called);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([csv(rows, list.settings)], { type: "text/csv" }));
  link.download = "calls.csv";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  say(`${count(rows.length)} cells exported`);
});
on("summary-open", "click", () => summarise().catch((error) => problem(error.message)));
on("print", "click", () => print());
on("about-open", "click", () => byId("about").showModal());
on("help-open", "click", () => byId("help").showModal());

/** Ask before what a person has said is thrown away. */
async function discard(words) {
  byId("sure-text").textContent = words;
  const dialog = byId("sure");
  dialog.returnValue = "no";
  dialog.showModal();
  await new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }));
  if (dialog.returnValue !== "yes") return false;
  stop(); // what is called now would be kept again
  await store.discard();
  return true;
}

on("kept-open", "click", work);
on("kept-discard", "click", async () => {
  if (!(await discard("Discard the kept cells with your calls of them?"))) return;
  kept = { rows: [] };
  byId("kept").hidden = true;
});
on("new", "click", async () => {
  const marked = list.rows.filter((row) => row.mark).length;
  if (!(await discard(`Begin anew? ${count(list.rows.length)} cells and ${count(marked)} calls of yours are discarded; export them first if you need them.`))) return;
  location.reload();
});

const ready = start().catch((error) => problem(error.message));
