// One cell, large: what the model says, what in the picture speaks for it, which training cells are like it.

import { ask } from "./api.js";
import { WORD } from "./calls.js";
import { byId, element } from "./dom.js";
import { cut } from "./pictures.js";
import { call, list } from "./worklist.js";

const SIDE = 736;
const BLIND = "The picture itself is not kept in the browser: drop its folder again to see more.";
const panel = byId("detail");
const explained = new WeakMap(); // by row
let open = null;
let layer = 0;
let waiting; // of the explanation that is under way
let url;

export const isOpen = () => !panel.hidden;

export function close() {
  panel.hidden = true;
  open = null;
  waiting?.abort();
}

/** Show a cell; its explanation follows when it is computed. */
export async function show(row) {
  panel.hidden = false;
  if (row !== open) {
    open = row;
    waiting?.abort();
    waiting = new AbortController();
    const folders = row.path.split("/");
    byId("detail-name").textContent = folders.pop();
    byId("detail-place").textContent = folders.join("/");
    draw();
    picture(row);
    explain(row, waiting.signal);
  }
  facts(row);
}

function facts(row) {
  const now = call(row);
  const told = [["call", now ?? "none"]];
  if (row.probability !== null) {
    told.push(["probability of blast", row.probability.toFixed(4)]);
    told.push(["certainty", row.certainty ? `for review beyond a coverage of ${row.certainty.toFixed(2)}` : "for review at any coverage"]);
  }
  told.push(["subject", row.subject ?? "unknown"]);
  if (row.flags) told.push(["flags", row.flags]);
  if (row.reason) told.push(["why no call", row.reason]);
  told.push(["your call", row.mark ? WORD[row.mark] : "none yet"]);
  byId("facts").replaceChildren(...told.flatMap(([name, value]) => [element("dt", name), element("dd", value)]));
  for (const button of byId("marks").children) button.ariaPressed = String(button.dataset.mark === row.mark);
}

async function picture(row) {
  const image = byId("view-cell");
  image.alt = row.path;
  source(image, row.small);
  const large = row.file && (await cut(row.file, list.model.window, SIDE));
  if (large && row === open) source(image, large);
}

function source(image, blob) {
  if (url) URL.revokeObjectURL(url);
  url = blob ? URL.createObjectURL(blob) : "";
  if (url) image.src = url;
  else image.removeAttribute("src");
}

async function explain(row, signal) {
  if (explained.has(row) || !list.model.explains || row.reason || !row.file) return;
  await new Promise((resolve) => setTimeout(resolve, 250)); // who goes on to the next cell at once does not wait for it
  if (signal.aborted) return;
  const body = new FormData();
  body.append("file", row.file, row.path);
  let problem;
  try {
    explained.set(row, await ask("/v1/explain", { body, signal }));
  } catch (error) {
    if (error.name === "AbortError") return;
    problem = { problem: error.message, layers: [], nearest: [] }; // not kept: it is asked for again
  }
  if (row === open) draw(problem);
}

/** Draw what is known of the explanation, or the problem with it. */
function draw(problem) {
  const found = problem ?? explained.get(open);
  const names = ["Cell", ...(found?.layers ?? []).map((one) => one.name)];
  layer = Math.min(layer, names.length - 1);
  byId("layers").replaceChildren(...names.map((name, place) => choice(name, place)));
  byId("layers").hidden = names.length < 2;
  const over = found?.layers[layer - 1];
  byId("view").classList.toggle("under", Boolean(over));
  byId("view-layer").hidden = !over;
  if (over) byId("view-layer").src = `data:image/png;base64,${over.png}`;
  if (found?.seen && !byId("view-cell").getAttribute("src")) byId("view-cell").src = `data:image/png;base64,${found.seen}`;
  byId("layer-text").textContent = text(found, over);
  byId("near").hidden = !found?.nearest.length;
  byId("near-rows").replaceChildren(...(found?.nearest ?? []).map((cell) => {
    const line = document.createElement("tr");
    const values = [cell.label ? "blast" : "normal", cell.subject ?? "", cell.id.split("/").at(-1), cell.distance.toFixed(2)];
    line.append(...values.map((value) => element("td", value)));
    return line;
  }));
}

function text(found, over) {
  if (over) return `Orange speaks for a blast, blue for a normal cell; by up to ${over.most.toFixed(2)} in log-odds.`;
  if (found?.problem) return found.problem;
  if (found) return "";
  if (open.reason) return "";
  if (!list.model.explains) return "PyTorch is not installed on the server: nothing can be explained.";
  return open.file ? "Looking for what speaks for the call …" : BLIND;
}

function choice(name, place) {
  const button = element("button", name);
  button.type = "button";
  button.role = "radio";
  button.ariaChecked = String(place === layer);
  button.addEventListener("click", () => {
    layer = place;
    draw();
    byId("layers").children[place].focus();
  });
  return button;
}
